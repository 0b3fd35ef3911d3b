"""Bring Livermore up on this machine; this is what `./run` calls."""

import errno

from livermore.command import LivermoreCommand
from livermore.running import preflight
from livermore.running.supervisor import Supervisor


class Command(LivermoreCommand):
    help = (
        "Prepare the database, start the sandbox exchange and the web server, warm the sandbox, "
        "print the page's address, and stay until Ctrl-C, which ends all of it."
    )
    requires_system_checks = "__all__"

    def add_arguments(self, parser):
        preflight.add_arguments(parser)

    def handle(self, *args, **options):
        given = [options[name] for name in ("port", "serve_port", "sandbox_port")]
        Supervisor(self._say, preflight.Ports(*given)).run()

    def _say(self, line):
        try:
            self.stdout.write(line)
            self.stdout.flush()
        except OSError as error:
            if error.errno != errno.EIO:  # its terminal is gone: what runs goes on
                raise
