"""What `./run` does: prepare, start the sandbox and the web server, warm, then watch over them."""

import contextlib
import fcntl
import io
import os
import signal
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TextIO
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import Error as DatabaseError
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django_redis import get_redis_connection

from exchanges.lock.acquire import ExchangeLock
from exchanges.models import Exchange
from history.following.kept import kept_exchanges
from livermore.command import SignalExit
from livermore.running import embedded_redis, first_run, install, preflight
from livermore.running.children import Child, ChildError, Children

WATCH_SECONDS = 0.5
REDIS_SECONDS = 2.0  # between looks whether the embedded Redis lives
REDIS_AGAIN_SECONDS = 30.0  # where it could not be started
HISTORY_SECONDS = 5.0  # between looks whether history is kept
LOOK_SECONDS = 1.0  # for which who only looks may hold the lock, and more
SANDBOX = "sandbox"
HISTORY_REQUIREMENTS = "requirements-history.txt"


class Supervisor:
    """One running Livermore on this machine: `run()` returns when it was asked to end.

    A port that is not given is the first free one from 8000 on, or from 8010 on for what serves
    candles; the sandbox's is its row's or the first free one after it: its row is moved to where it
    is. Raises CommandError for what a person has to fix.
    """

    def __init__(self, say: Callable[[str], None], ports: preflight.Ports = preflight.NONE_GIVEN):
        self._say = say
        self._given = ports
        self._children = Children(say)
        self._redis: embedded_redis.Membership | None = None  # of one that was started anew
        self._look_at_redis = self._look_at_history = 0.0  # monotonic
        self._lock: TextIO | None = None

    def run(self) -> None:
        first_run.private_folder(settings.VAR_DIR)
        with _only_one() as self._lock:
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
        sandbox = self._sandbox()
        ports = self._take_ports(sandbox)
        if sandbox:
            self._start_sandbox(sandbox)
        os.environ.setdefault("LIVERMORE_SERVE_URL", f"http://127.0.0.1:{ports.serve}")
        page = self._start_web(ports.web)
        if sandbox:
            self._warm()
        self._children.start(self._child("agent", ["manage", "agent"], None))
        live = ", ".join(_wanted()) or "none"
        self._say(f"Agent: keeps live what is wanted ({live})")
        self._start_serving(ports.serve)
        self._children.start(self._child("alerts", ["manage", "alerts"], None))
        return ["", f"Open {page}", _how_to_log_in(password), _how_to_end()]

    def _tell_others(self, lines: str) -> None:
        """Leave what another `./run` says to who starts it."""
        self._lock.write(lines)
        self._lock.flush()

    def _watch(self, announcement: list[str]) -> None:
        try:
            self._say("\n".join(announcement))
            while True:
                self._keep_redis(time.monotonic())
                self._keep_history(time.monotonic())
                self._children.step(time.monotonic())
                time.sleep(WATCH_SECONDS)
        except (KeyboardInterrupt, SignalExit):  # what it waited for: the end of a good run
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

    def _keep_history(self, now: float) -> None:
        """Start who continues history once any is kept, or a place for it is named."""
        if now < self._look_at_history:
            return
        self._look_at_history = now + HISTORY_SECONDS
        if not _keeps_history():
            return
        self._look_at_history = float("inf")  # it is watched as all others are
        if not find_spec("pyarrow"):
            install.prepare(HISTORY_REQUIREMENTS)
        self._children.start(self._child("history", ["manage", "history", "--follow"], None))
        self._say("History: continues what is kept (docs/history.md)")

    def _migrate(self) -> None:
        connection = connections["default"]
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if plan:
            call_command("migrate", verbosity=0, interactive=False, stdout=io.StringIO())
            self._say(f"Database: {len(plan)} migrations applied.")

    def _sandbox(self) -> Exchange | None:
        """Return the sandbox's row, where there is one to start and to warm."""
        exchange = Exchange.objects.filter(name=SANDBOX).first()
        if exchange is None or not exchange.is_active:
            state = "was deleted" if exchange is None else "is not active"
            self._say(f"The exchange {SANDBOX} {state}: going on without it.")
            return None
        return exchange

    def _take_ports(self, exchange: Exchange | None) -> preflight.Ports:
        """Return all ports; a sandbox on this machine is moved to where it can be.

        All are chosen before one is moved.
        """
        at = _local_port(exchange) if exchange else None
        usual = at or preflight.SANDBOX_PORT
        try:
            ports = preflight.choose(self._given, usual)
        except preflight.PortError as error:
            raise CommandError(str(error), returncode=error.status) from error
        moved = []
        if not self._given.web and ports.web != preflight.WEB_PORT:
            moved.append(f"Port {preflight.WEB_PORT} is taken: the page goes to {ports.web}.")
        if not self._given.serve and ports.serve != preflight.SERVE_PORT:
            moved.append(f"Port {preflight.SERVE_PORT} is taken: candles go to {ports.serve}.")
        if at and ports.sandbox != at:
            if not self._given.sandbox:
                _refuse_while_held(exchange, at)
                moved.append(f"Port {at} is taken: the sandbox goes to {ports.sandbox}.")
            _move(exchange, ports.sandbox)
        if at:
            (settings.VAR_DIR / preflight.SANDBOX_FILE).write_text(f"{ports.sandbox}\n")
            _allow_sandbox(ports.sandbox)
        if moved:
            self._say(" ".join(moved))
        return ports

    def _start_sandbox(self, exchange: Exchange) -> None:
        port = _local_port(exchange)
        if port is None:
            self._say(f"The sandbox is at {exchange.rest_url}, not on this machine: not started.")
            return
        self._children.start(
            self._child(
                SANDBOX,
                ["manage", "sandbox", "--port", str(port)],
                f"http://127.0.0.1:{port}/api/v3/ping",
            )
        )
        self._say(f"Sandbox exchange: {exchange.rest_url}")

    def _start_web(self, port: int) -> str:
        page = f"http://127.0.0.1:{port}/"
        arguments = ["manage", "web", "--port", str(port)]
        self._children.start(self._child("web", arguments, f"{page}health/live/"))
        self._tell_others(f"{page}\n{_how_to_log_in(None)}\n")
        return page

    def _start_serving(self, port: int) -> None:
        address = f"http://127.0.0.1:{port}"
        arguments = ["manage", "serve", "--port", str(port)]
        self._children.start(self._child("serve", arguments, f"{address}/health/"))
        self._say(f"Candles for programs: {address}/{SANDBOX}/api/v3/ (docs/bots.md)")

    def _warm(self) -> None:
        again = f"./run warmup {SANDBOX} tries again"
        try:
            call_command("warmup", SANDBOX)
        except CommandError as error:
            self._say(f"The sandbox was not warmed: {error}. {again}")
        except SignalExit:
            raise
        except SystemExit:  # the command's status, after it said what failed
            self._say(f"Not all of the sandbox was warmed: {again}")

    def _child(self, name: str, arguments: list[str], url: str | None) -> Child:
        log = settings.VAR_DIR / "log" / f"{name}.log"
        return Child(name, arguments, url, log, settings.BASE_DIR)


@contextlib.contextmanager
def _only_one() -> Iterator[TextIO]:
    """Yield the file that another `./run` of this folder reads; it is held until the end."""
    with (settings.VAR_DIR / preflight.LOCK).open("a+") as lock:
        deadline = time.monotonic() + LOOK_SECONDS
        while not preflight.try_lock(lock, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise CommandError(preflight.runs_already(settings.BASE_DIR, lock))
            time.sleep(LOOK_SECONDS / 20)
        lock.truncate(0)
        yield lock


def _keeps_history() -> bool:
    try:
        return settings.HISTORY_IS_NAMED or bool(kept_exchanges())
    except DatabaseError:  # it is asked again
        return False


def _wanted() -> list[str]:
    rows = Exchange.objects.filter(is_active=True, wanted=Exchange.Wanted.RUNNING)
    return list(rows.values_list("name", flat=True))


def _move(exchange: Exchange, port: int) -> None:
    fields, before = ["rest_url", "ws_url"], urlsplit(exchange.rest_url).netloc
    if urlsplit(exchange.archive_url).netloc == before:
        fields.append("archive_url")
    for field in fields:
        parts = urlsplit(getattr(exchange, field))
        setattr(exchange, field, urlunsplit(parts._replace(netloc=f"{parts.hostname}:{port}")))
    exchange.save(update_fields=[*fields, "updated_at"])


def _allow_sandbox(port: int) -> None:
    """Do in this process what others do by the file when they start."""
    listed = settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS
    if listed == [f"127.0.0.1:{settings.SANDBOX_PORT}"]:  # nobody has set another
        settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = [f"127.0.0.1:{port}"]
    settings.SANDBOX_PORT = port


def _local_port(exchange: Exchange) -> int | None:
    """Return the port of a sandbox on this machine, None of one that is elsewhere."""
    address = urlsplit(exchange.rest_url)
    return address.port if address.hostname in ("127.0.0.1", "localhost") else None


def _refuse_while_held(exchange: Exchange, port: int) -> None:
    """Leave an exchange where it is while somebody who shares the Redis works with it there."""
    if holder := ExchangeLock(get_redis_connection("default"), exchange.pk).holder():
        raise CommandError(
            f"Port {port}, the sandbox's, is in use, and {exchange.name} is held by {holder}: end "
            f"that, or move the sandbox with ./run up --sandbox-port {port + 1}"
        )


def _how_to_log_in(password: str | None) -> str:
    path = first_run.admin_password_file()
    if password:
        return f"Log in as {first_run.ADMIN} with the password {password} (kept in {path})"
    if path.exists():
        return f"Log in as {first_run.ADMIN}: password in {path}"
    return "Log in with a user of your database (./run createsuperuser makes one)"


def _how_to_end() -> str:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background of a script
        return f"kill {os.getpid()} ends everything."
    return "Ctrl-C ends everything."
