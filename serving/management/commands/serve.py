"""Serve candles to programs that speak an exchange's protocol."""

import asyncio
import ipaddress
import signal

from django.conf import settings
from django.core.management.base import CommandError
from django_redis import get_redis_connection

from livermore.command import LivermoreCommand
from livermore.running.preflight import SERVE_PORT, port
from serving.models import ApiClient
from serving.server import Server


class Command(LivermoreCommand):
    help = "Serve candles from the cache to any program that speaks Binance's protocol."

    def add_arguments(self, parser):
        parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="to listen at")
        parser.add_argument("--port", type=port, default=SERVE_PORT, metavar="PORT")

    def handle(self, *args, **options):
        if not is_loopback(options["host"]) and not ApiClient.objects.filter(is_active=True):
            raise CommandError(
                f"{options['host']} can be reached from elsewhere, and nobody has a token: make an "
                "API client in the admin first, or serve at 127.0.0.1"
            )
        try:
            asyncio.run(self._serve(options["host"], options["port"]))
        except OSError as error:
            where = f"{options['host']}:{options['port']}"
            raise CommandError(f"Can't serve at {where}: {error.strerror or error}") from error

    async def _serve(self, host, port):
        ending = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, ending.set)
        is_open = is_loopback(host)
        redis = get_redis_connection("default")
        server = Server(redis, settings.REDIS_URL, is_open=is_open)
        await server.run(host, port, ending, self._say)

    def _say(self, line):
        self.stdout.write(line)
        self.stdout.flush()


def is_loopback(host):
    """Tell whether an address can be reached from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
