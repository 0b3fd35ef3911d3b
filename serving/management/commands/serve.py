"""Serve candles to programs that speak an exchange's protocol."""

import argparse
import asyncio
import contextlib
import ipaddress
import secrets
import signal
import sys

from django.conf import settings
from django.core.management.base import CommandError
from django_redis import get_redis_connection

from livermore.checks import METRICS_TOKEN
from livermore.command import ENDING_SIGNALS, LivermoreCommand, SignalExit
from livermore.running.preflight import SERVE_PORT, port
from serving.candles.history import History
from serving.models import ApiClient
from serving.server import Server
from serving.together.processes import Processes, reserved, say_serving
from serving.transport.connections import connections_allowed
from warmup.processes.fork_server import ForkServerDied

MOST_WORKERS = 64


class Command(LivermoreCommand):
    help = "Serve candles from the cache to any program that speaks Binance's protocol."
    ending_signals = (signal.SIGINT, *ENDING_SIGNALS)

    def add_arguments(self, parser):
        parser.add_argument(
            "--host", type=address, default="127.0.0.1", metavar="ADDRESS", help="to listen at"
        )
        parser.add_argument("--port", type=port, default=SERVE_PORT, metavar="PORT")
        parser.add_argument(
            "--workers",
            type=worker_count,
            default=1,
            metavar="N",
            help="processes that serve there together, each on a core of its own (default: 1)",
        )
        parser.add_argument(
            "--tokens",
            action="store_true",
            help="let nobody in without a token, on this machine neither: behind a proxy",
        )

    def handle(self, *args, **options):
        host, number, count = options["host"], options["port"], options["workers"]
        is_open = is_loopback(host) and not options["tokens"]
        try:
            if count == 1:
                self._refuse_if_nobody_may(is_open, host)
                self._serve_alone(host, number, is_open)
            else:
                self._serve_together(count, host, number, is_open)
        except OSError as error:
            raise CommandError(why_not(host, number, error)) from error

    def _refuse_if_nobody_may(self, is_open, host):
        if is_open or ApiClient.objects.filter(is_active=True):
            return
        others = "nobody has a token: make an API client in the admin first"
        if is_loopback(host):
            raise CommandError(f"--tokens lets nobody in without one, and {others}")
        raise CommandError(
            f"{host} can be reached from elsewhere, and {others}, or serve at 127.0.0.1"
        )

    def _serve_alone(self, host, number, is_open):
        async def serve():
            ending = asyncio.Event()
            set_when_told(ending, self.ending_signals)
            server, most = make_server(is_open, None), connections_allowed()
            begun = lambda: self._say(announcement(host, number))  # noqa: E731
            await server.run(host, number, ending, begun, most=most)

        asyncio.run(serve())

    def _serve_together(self, count, host, number, is_open):
        server_id = secrets.token_hex(8)

        async def serve(line):
            ending, loop = asyncio.Event(), asyncio.get_running_loop()
            loop.add_reader(line, ending.set)  # its other end says nothing: it goes
            loop.add_signal_handler(signal.SIGTERM, ending.set)
            server = make_server(is_open, server_id)
            signs = []
            begun = lambda: signs.append(loop.create_task(say_serving(line)))  # noqa: E731
            most = connections_allowed()
            await server.run(host, number, ending, begun, beside_others=True, most=most)
            loop.remove_reader(line)

        def work(line):
            try:
                asyncio.run(serve(line))
            except OSError as error:
                print(f"Error: {why_not(host, number, error)}", file=sys.stderr)
                sys.exit(1)

        # Before anything is opened: what is open is open in all that are forked.
        processes = Processes(count, work)
        try:
            self._refuse_if_nobody_may(is_open, host)
            with reserved(host, number):
                processes.run(lambda: self._say(announcement(host, number)))
        except SignalExit:  # what it waited for
            pass
        except ForkServerDied as error:
            raise CommandError(f"Nothing can be begun any more: {error}") from error
        finally:
            processes.close()

    def _say(self, line):
        self.stdout.write(line)
        self.stdout.flush()


def make_server(is_open, server_id):
    token = settings.LIVERMORE_METRICS_TOKEN
    return Server(
        get_redis_connection("default"),
        settings.REDIS_URL,
        is_open=is_open,
        server_id=server_id,
        metrics_token=token if METRICS_TOKEN.fullmatch(token) else "",
        history=History(),
    )


def set_when_told(ending, numbers):
    """Set an event of this loop at the first of these signals; from then on they change nothing.

    A handler of the loop's own would go with it, and the process take a while longer.
    """
    loop = asyncio.get_running_loop()
    heeded = [each for each in numbers if signal.getsignal(each) is not signal.SIG_IGN]  # nohup

    def told(*_):
        for each in heeded:
            signal.signal(each, signal.SIG_IGN)
        loop.call_soon_threadsafe(ending.set)

    for each in heeded:
        signal.signal(each, told)


def announcement(host, number):
    return f"Serving candles at http://{place(host, number)}/EXCHANGE/api/v3/klines"


def place(host, number):
    """Return an address with its port."""
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"


def why_not(host, number, error):
    return f"Can't serve at {place(host, number)}: {error.strerror or error}"


def address(text):
    """Return the address that was typed, of IPv6 without brackets."""
    found = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    with contextlib.suppress(UnicodeError):
        if found.isascii() and found.isprintable() and " " not in found and found.encode("idna"):
            return found
    raise argparse.ArgumentTypeError(f"{text[:40]!r} is no address of this machine")


def worker_count(text):
    """Return how many processes are to serve."""
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(MOST_WORKERS))
    if not (is_number and 1 <= int(text) <= MOST_WORKERS):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no number from 1 to {MOST_WORKERS}")
    return int(text)


def is_loopback(host):
    """Tell whether an address can be reached from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
