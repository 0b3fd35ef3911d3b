"""A command line that runs some of the things it knows by name, each of which takes a while."""

import argparse
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType

from livermore.command import ending_signals_raise


def make_parser(command: str, description: str) -> argparse.ArgumentParser:
    """Return a parser that takes names, and `--list`."""
    parser = argparse.ArgumentParser(prog=command, description=description)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which ones (default: all)")
    parser.add_argument("--list", action="store_true", help="name them and what they are about")
    return parser


def run_named(
    options: argparse.Namespace,
    known: Mapping[str, str],
    run: Callable[[list[str]], int],
    parts: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """Run or list what `options` name of what is `known`; return the exit status.

    It is that of `run`, which is given the names, or 2 for a name that nobody knows, 130 after
    Ctrl-C. Where none is given all run but `parts`, which are of others.
    """
    named = {**known, **parts}
    if options.list:
        for name, about in named.items():
            print(f"{name:10} {about}")
        return 0
    if unknown := [name for name in options.names if name not in named]:
        print(f"unknown: {' '.join(unknown)}; known are: {' '.join(named)}", file=sys.stderr)
        return 2
    try:
        with ending_signals_raise():
            return run(list(dict.fromkeys(options.names)) or list(known))
    except KeyboardInterrupt:
        return 130
