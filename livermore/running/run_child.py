"""Run a Python module that ends when the process that started it is gone.

    python -m livermore.running.run_child MODULE [ARGUMENTS]

Its standard input is a pipe whose other end only the parent holds: the end of the file means
that the parent died, even of SIGKILL. Linux's PR_SET_PDEATHSIG would do without a thread, but
there is none on macOS, and it fires when the *thread* that forked ends.
"""

import os
import runpy
import signal
import sys
import threading
import time

GRACE_SECONDS = 5.0
ADOPTION_SECONDS = 1.0


def watch_parent(parent: int) -> None:
    while os.read(0, 1024):
        pass
    # A process that is killed loses its pipes before its locks, and its children after both. We
    # may be the last user of the embedded Redis, and find out by a lock.
    deadline = time.monotonic() + ADOPTION_SECONDS
    while os.getppid() == parent and time.monotonic() < deadline:
        time.sleep(0.01)
    # To the main thread, where Python's handlers run: a sleeping one would not wake up otherwise.
    signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=watch_parent, args=[os.getppid()], daemon=True).start()
    del sys.argv[0]
    sys.path[0] = os.getcwd()  # noqa: PTH109  sys.path holds strings
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
