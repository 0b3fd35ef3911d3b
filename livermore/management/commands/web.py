"""Serve the web side: the admin, the Network page and its socket, /health and /metrics."""

import signal
import sys

from daphne.server import Server

from livermore.command import LivermoreCommand
from livermore.running.preflight import WEB_PORT, port
from livermore.web.database_faults import wait_briefly

ANSWER_SECONDS = 120  # in which a page is answered, or 503 in its place
CONNECTIONS_IN_LINE = 511  # that the system keeps until they are taken in


class Command(LivermoreCommand):
    help = "Serve the admin, the Network page, /health and /metrics until it is told to end."
    needs_redis = False  # the application has a server of its own where it is embedded
    requires_system_checks = "__all__"

    def add_arguments(self, parser):
        parser.add_argument("--bind", default="127.0.0.1", metavar="ADDRESS", help="to listen at")
        parser.add_argument("--port", type=port, default=WEB_PORT, metavar="PORT")
        parser.add_argument(
            "--root-path",
            default="",
            metavar="PATH",
            help="what comes before all paths, such as /livermore; LIVERMORE_ROOT_PATH goes first",
        )

    def handle(self, *args, **options):
        from livermore.asgi import application  # it begins what it needs

        wait_briefly()
        server = Server(
            application,
            endpoints=[_endpoint(options["bind"], options["port"])],
            http_timeout=ANSWER_SECONDS,
            websocket_connect_timeout=5,
            root_path=options["root_path"],
            server_name="",
        )
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
        server.run()
        if server.abort_start:
            sys.exit(1)  # daphne has said why


def _endpoint(address: str, port: int) -> str:
    interface = address.strip("[]").replace(":", r"\:")
    return f"tcp:port={port}:interface={interface}:backlog={CONNECTIONS_IN_LINE}"
