"""Run an exchange on this machine, over a made-up market."""

import errno
from dataclasses import Field, fields
from typing import ClassVar

from django.core.management.base import CommandError, CommandParser

from exchanges.sandbox.faults.scenario import KINDS
from exchanges.sandbox.protocols import PROTOCOLS
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import run_in_foreground
from exchanges.sandbox.symbols import CHEAP, listings
from exchanges.sandbox.written_scenarios import parse_scenarios
from livermore.command import LivermoreCommand


class Command(LivermoreCommand):
    help = "Run the sandbox exchange until it is told to stop."
    requires_system_checks: ClassVar[list[str]] = []
    needs_redis = False

    def add_arguments(self, parser: CommandParser) -> None:
        usual = SandboxConfig()
        parser.add_argument("--host", default=usual.host)
        parser.add_argument("--port", type=int, default=8899, help="0 takes a free one")
        parser.add_argument("--symbols", type=int, help="how many symbols trade on each exchange")
        parser.add_argument(
            "--cheap", action="store_true", help=f"list {CHEAP.symbol} too, at {CHEAP.price}"
        )
        parser.add_argument("--seed", type=int, default=usual.seed, help="which market it is")
        parser.add_argument("--speed", type=float, default=usual.speed, help="clock against ours")
        parser.add_argument(
            "--scenario",
            default="",
            metavar="NAME[:OPTION=VALUE...],...",
            help=f"what goes wrong, see docs/sandbox.md; names: {', '.join(KINDS)}",
        )
        parser.add_argument(
            "--dead-ipv6", action="store_true", help="answer nothing on [::1] at the same port"
        )
        parser.add_argument(
            "--tls-ca", metavar="FILE", help="speak TLS; the CA's certificate goes into this file"
        )
        parser.add_argument("--proxy-port", type=int, help="have a proxy too; 0 takes a free one")
        parser.add_argument(
            "--proxy-login", default="", metavar="USER:PASSWORD", help="what that proxy wants"
        )
        parser.add_argument("--latency-ms", type=int, default=usual.latency_ms)
        for one in _protocol_options():
            option = f"--{one.name.replace('_', '-')}"
            parser.add_argument(option, type=int, default=one.default, help=one.metadata["help"])

    def handle(self, *args, **options) -> None:
        names = ("host", "port", "seed", "speed", "latency_ms")
        network = ("dead_ipv6", "tls_ca", "proxy_port", "proxy_login")
        limits = (one.name for one in _protocol_options())
        chosen = {name: options[name] for name in (*names, *network, *limits)}
        try:
            scenarios = tuple(parse_scenarios(options["scenario"]))
            listed = listings(options["symbols"]) + (CHEAP,) * options["cheap"]
            config = SandboxConfig(**chosen, listings=listed, scenarios=scenarios)
        except ValueError as error:
            raise CommandError(str(error), returncode=2) from error
        try:
            run_in_foreground(config, self._ready)
        except (OSError, OverflowError) as error:
            address = f"{config.host}:{config.port}"
            raise CommandError(f"cannot listen on {address}: {_why_not(error)}") from error

    def _ready(self, url: str, proxy_port: int | None) -> None:
        self.stdout.write(f"sandbox exchange at {url}")
        if proxy_port is not None:
            self.stdout.write(f"its proxy, CONNECT and SOCKS5, at port {proxy_port}")
        self.stdout.flush()


def _protocol_options() -> list[Field]:
    """Return the settings of protocols that are options here."""
    settings = (one for protocol in PROTOCOLS for one in fields(protocol.settings))
    return [one for one in settings if "help" in one.metadata]


def _why_not(error: OSError | OverflowError) -> str:
    """Return why a place can't be had, and what to do, in one line without the system's numbers."""
    if getattr(error, "errno", None) == errno.EADDRINUSE:
        return "the port is in use; give another --port, or 0 for a free one"
    text = str(getattr(error, "strerror", None) or error).partition(" (while")[0]
    return f"{text}; give another --port or --host"
