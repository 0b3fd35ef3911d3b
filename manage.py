#!/usr/bin/env python
"""Run one of Livermore's or Django's commands: `python manage.py help` lists them."""

import gc
import os
import sys

from livermore import __version__


def main():
    if sys.argv[1:] in (["version"], ["--version"]):  # else Django tells its own
        print(f"Livermore {__version__}")
        return
    gc.disable()  # until the command is there: nothing of what is imported is garbage
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "livermore.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.db import Error as DatabaseError

        from livermore.command_line import CommandLine
    except ImportError:
        sys.exit("Django is not installed in this Python: call ./run instead of manage.py")
    try:
        CommandLine(sys.argv).execute()
    except ImproperlyConfigured as error:
        sys.exit(f"Error: {error}")
    except DatabaseError as error:  # in one of Django's own commands
        from livermore.observing.redaction import redacted
        from livermore.web.database_faults import fault

        if "--traceback" in sys.argv or (text := fault(error)) is None:
            raise
        sys.exit(f"Error: {redacted(text)}")


if __name__ == "__main__":
    main()
