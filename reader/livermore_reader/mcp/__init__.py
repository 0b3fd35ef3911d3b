"""Tools for assistants: `livermore-mcp` answers them over its standard input and output."""

import argparse
import os
import sys
from collections.abc import Sequence

from livermore_reader.errors import BadRequest


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until standard input ends; return the status to exit with."""
    options = _parser().parse_args(arguments)
    try:
        from livermore_reader.mcp.server import serve
    except ImportError:
        return _refuse("mcp, version 2, is needed for that: pip install 'livermore-reader[mcp]'")
    try:
        serve(options.url, os.environ.get("LIVERMORE_TOKEN"), options.prefix)
    except BadRequest as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        return 130
    return 0


def _refuse(line: str) -> int:
    print(f"livermore-mcp: {line}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="livermore-mcp",
        description="Candles and MACD-V for assistants, over standard input and output (MCP). "
        "It only reads, and each answer says how old and how complete it is.",
    )
    parser.add_argument(
        "url",
        nargs="?",
        help="a Redis, or serve's http address, whose token is in LIVERMORE_TOKEN; else "
        "LIVERMORE_URL, REDIS_URL, or what ./run started in this folder",
    )
    parser.add_argument("--prefix", help="what stands before the names of keys in Redis")
    return parser
