"""What `./run` does: prepare, start the sandbox and the web server, warm, then watch over them."""

import contextlib
import fcntl
import io
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from exchanges.models import Exchange
from livermore import embedded_redis, first_run
from livermore.children import Child, ChildError, Children, port_is_free
from livermore.command import Ended

FIRST_WEB_PORT = 8000
WEB_PORTS_TRIED = 100
WATCH_SECONDS = 0.5
REDIS_SECONDS = 2.0  # between looks whether the embedded Redis lives
REDIS_AGAIN_SECONDS = 30.0  # where it could not be started
SANDBOX = "sandbox"


class Supervisor:
    """One running Livermore on this machine: `run()` returns when it was asked to end.

    `web_port` None takes the first free port from 8000 on. `sandbox_port` not None moves the
    sandbox's row to that port first. Raises CommandError for what a person has to mend.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        web_port: int | None = None,
        sandbox_port: int | None = None,
    ):
        self._say = say
        self._web_port = web_port
        self._sandbox_port = sandbox_port
        self._children = Children(say)
        self._redis: embedded_redis.Membership | None = None  # of one that was started anew
        self._look_at_redis = 0.0  # monotonic

    def run(self) -> None:
        first_run.private_folder(settings.VAR_DIR)
        with _only_one():
            try:
                self._watch(self._start())
            except ChildError as error:
                raise CommandError(str(error)) from error
            finally:
                self._children.stop()
                if self._redis:
                    self._redis.leave()

    def _start(self) -> list[str]:
        """Return what a person has to know now."""
        first_run.secret_key(settings.SECRET_KEY_FILE)
        self._migrate()
        password = first_run.admin_password(first_run.admin_password_file())
        if password:  # of a new database: what a person stopped later stays so
            Exchange.objects.filter(name=SANDBOX).update(wanted=Exchange.Wanted.RUNNING)
        sandbox = self._start_sandbox()
        page = self._start_web()
        if sandbox:
            self._warm()
        self._children.start(self._child("agent", ["manage", "agent"], None))
        live = ", ".join(_wanted()) or "none"
        self._say(f"Agent: keeps live what is wanted ({live})")
        return ["", f"Open {page}", _how_to_log_in(password), "Ctrl-C ends everything."]

    def _watch(self, announcement: list[str]) -> None:
        try:
            self._say("\n".join(announcement))
            while True:
                self._keep_redis(time.monotonic())
                self._children.step(time.monotonic())
                time.sleep(WATCH_SECONDS)
        except (KeyboardInterrupt, Ended):  # what it waited for: the end of a good run
            self._say("Ending.")

    def _keep_redis(self, now: float) -> None:
        """Start the embedded Redis again where it died: those who use it wait for that."""
        directory = settings.EMBEDDED_REDIS_DIR
        if directory is None or now < self._look_at_redis:
            return
        self._look_at_redis = now + REDIS_SECONDS
        if embedded_redis.is_running(directory):
            return
        self._say("The embedded Redis ended: it is started again.")
        try:
            # Kept, as where the folder was replaced ours is no right to use the new server.
            before, self._redis = self._redis, embedded_redis.ensure_running(directory)
            if before:
                before.leave()
        except embedded_redis.EmbeddedRedisError as error:
            self._say(str(error))
            self._look_at_redis = now + REDIS_AGAIN_SECONDS

    def _migrate(self) -> None:
        connection = connections["default"]
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if plan:
            call_command("migrate", verbosity=0, interactive=False, stdout=io.StringIO())
            self._say(f"Database: {len(plan)} migrations applied.")

    def _start_sandbox(self) -> bool:
        """Return whether there is one to warm."""
        exchange = Exchange.objects.filter(name=SANDBOX).first()
        if exchange is None or not exchange.is_active:
            state = "was deleted" if exchange is None else "is not active"
            self._say(f"The exchange {SANDBOX} {state}: going on without it.")
            return False
        if self._sandbox_port:
            _move(exchange, self._sandbox_port)
        address = urlsplit(exchange.rest_url)
        if address.hostname not in ("127.0.0.1", "localhost") or not address.port:
            self._say(f"The sandbox is at {exchange.rest_url}, not on this machine: not started.")
            return True
        if not port_is_free(address.port):
            raise CommandError(
                f"Port {address.port}, the sandbox's, is in use by another program: end that, or "
                f"move the sandbox with ./run up --sandbox-port {address.port + 1}"
            )
        self._children.start(
            self._child(
                SANDBOX,
                ["manage", "sandbox", "--port", str(address.port)],
                f"http://127.0.0.1:{address.port}/api/v3/ping",
            )
        )
        self._say(f"Sandbox exchange: {exchange.rest_url}")
        return True

    def _start_web(self) -> str:
        port = self._web_port or _free_web_port()
        if not port_is_free(port):
            raise CommandError(f"Port {port} is in use by another program: give another --port")
        page = f"http://127.0.0.1:{port}/"
        arguments = ["manage", "web", "--port", str(port)]
        self._children.start(self._child("web", arguments, f"{page}health/live/"))
        return page

    def _warm(self) -> None:
        again = f"./run warmup {SANDBOX} tries again"
        try:
            call_command("warmup", SANDBOX)
        except CommandError as error:
            self._say(f"The sandbox was not warmed: {error}. {again}")
        except Ended:
            raise
        except SystemExit:  # the command's status, after it said what failed
            self._say(f"Not all of the sandbox was warmed: {again}")

    def _child(self, name: str, arguments: list[str], url: str | None) -> Child:
        log = settings.VAR_DIR / "log" / f"{name}.log"
        return Child(name, arguments, url, log, settings.BASE_DIR)


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    with (settings.VAR_DIR / "up.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(f"Livermore runs already from {settings.BASE_DIR}") from None
        yield


def _wanted() -> list[str]:
    rows = Exchange.objects.filter(is_active=True, wanted=Exchange.Wanted.RUNNING)
    return list(rows.values_list("name", flat=True))


def _move(exchange: Exchange, port: int) -> None:
    for field in ("rest_url", "ws_url"):
        parts = urlsplit(getattr(exchange, field))
        setattr(exchange, field, urlunsplit(parts._replace(netloc=f"{parts.hostname}:{port}")))
    exchange.save(update_fields=["rest_url", "ws_url", "updated_at"])


def _free_web_port() -> int:
    for port in range(FIRST_WEB_PORT, FIRST_WEB_PORT + WEB_PORTS_TRIED):
        if port_is_free(port):
            return port
    raise CommandError(f"No free port from {FIRST_WEB_PORT} on: give one with --port")


def _how_to_log_in(password: str | None) -> str:
    path = first_run.admin_password_file()
    if password:
        return f"Log in as {first_run.ADMIN} with the password {password} (kept in {path})"
    if path.exists():
        return f"Log in as {first_run.ADMIN}: password in {path}"
    return "Log in with a user of your database (./run createsuperuser makes one)"
