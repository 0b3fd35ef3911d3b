"""Run a command on a terminal, and type an answer each time it asks.

    python typist.py ANSWER COMMAND...

A program that asks for a password throws away what was typed before it asked.
"""

import os
import pty
import sys


def main(answer: str, command: list[str]) -> int:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    line = b""
    while True:
        try:
            chunk = os.read(terminal, 1024)
        except OSError:  # the other side was closed
            break
        if not chunk:
            break
        sys.stdout.buffer.write(chunk)
        line = (line + chunk).rpartition(b"\n")[2]
        if line.endswith(b": "):
            os.write(terminal, answer.encode() + b"\n")
            line = b""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
