"""What is called from a terminal: a name that is no command's is one line, and status 2."""

import difflib
import gc
import sys

from django.conf import settings
from django.core.management import ManagementUtility, get_commands

OUR_APPS = ("livermore", "exchanges", "warmup", "serving")
OF_RUN = ("test", "lint", "bench", "experiments", "up", "help", "version")  # what ./run knows


class CommandLine(ManagementUtility):
    """Django's, but for what it says of a command that there is none of.

    From the command on garbage is collected, but not looked for in what was imported.
    """

    def fetch_command(self, subcommand):
        if subcommand not in get_commands():
            _ = settings.INSTALLED_APPS  # raises what is wrong with them: without, few are known
            sys.stderr.write(f"Error: {unknown(subcommand)}\n")
            sys.exit(2)
        command = super().fetch_command(subcommand)
        gc.freeze()
        gc.enable()
        return command


def unknown(name: str) -> str:
    """Return the line that names the commands which may be meant, or ours."""
    apps = get_commands()
    near = difflib.get_close_matches(name, [*apps, *OF_RUN], n=3)
    ours = sorted(each for each, app in apps.items() if app in OUR_APPS)
    what, names = ("similar are", dict.fromkeys(near)) if near else ("ours are", ours)
    return f"unknown command {name!r}; {what}: {', '.join(names)}. `./run help` tells more"
