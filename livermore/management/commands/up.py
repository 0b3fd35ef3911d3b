"""Bring Livermore up on this machine; this is what `./run` calls."""

import argparse

from livermore.command import LivermoreCommand
from livermore.supervisor import Supervisor


class Command(LivermoreCommand):
    help = (
        "Prepare the database, start the sandbox exchange and the web server, warm the sandbox, "
        "print the page's address, and stay until Ctrl-C, which ends all of it."
    )

    def add_arguments(self, parser):
        parser.add_argument(
            "--port",
            type=port,
            metavar="PORT",
            help="of the web server (default: the first free one from 8000 on)",
        )
        parser.add_argument(
            "--sandbox-port",
            type=port,
            metavar="PORT",
            help="move the sandbox exchange to this port, for good: its row is changed",
        )

    def handle(self, *args, **options):
        Supervisor(self._say, options["port"], options["sandbox_port"]).run()

    def _say(self, line):
        self.stdout.write(line)
        self.stdout.flush()


def port(text: str) -> int:
    if text.isascii() and text.isdigit() and 0 < int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is not a port: give a number from 1 to 65535")
