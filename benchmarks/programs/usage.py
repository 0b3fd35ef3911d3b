"""Runs a command, and prints what it took as JSON: seconds, bytes at the peak, seconds of a core.

The peak of a process is at least what that one has which starts it, so this one is small.
"""

import json
import os
import subprocess
import sys
import time


def main(command: list[str]) -> int:
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    memory = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps([seconds, memory, used.ru_utime + used.ru_stime]))
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
