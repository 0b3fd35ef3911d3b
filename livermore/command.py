"""The base of our management commands: their Redis, their errors, their exit status."""

import contextlib
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from typing import ClassVar, NoReturn
from urllib.parse import urlsplit, urlunsplit

import redis
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, SystemCheckError
from django.db import Error as DatabaseError
from django_redis.exceptions import ConnectionInterrupted

from exchanges.errors import LivermoreError
from exchanges.redis.recognition import misnamed
from livermore import __version__
from livermore.checks import SETTINGS
from livermore.observing.redaction import redacted
from livermore.redis_url import fault_of
from livermore.running import embedded_redis
from livermore.web.database_faults import fault, first_line

INTERRUPTED = 128 + signal.SIGINT
CLOSED = 128 + signal.SIGPIPE
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
SECONDS_UNTIL_AGAIN = 0.05


class UsageError(CommandError):
    """What a person typed can't be done: one line that names what is known, exit status 2."""

    def __init__(self, *args):
        super().__init__(*args, returncode=2)


class SignalExit(SystemExit):
    """SIGTERM or SIGHUP came: leave through every `finally`, with the status shells expect."""

    def __init__(self, signal_number: int):
        super().__init__(128 + signal_number)
        self.number = signal_number


class LivermoreCommand(BaseCommand):
    """A command that says what went wrong in one line.

    Exit status: 0 done, 1 something failed, 2 wrong usage, 130 Ctrl-C, 141 output closed, 143
    SIGTERM. Called by
    `call_command` it raises CommandError (UsageError for status 2) instead. `--traceback` shows
    where an error came from.
    """

    # Django's own options stay, but their help would bury ours.
    suppressed_base_arguments = {
        "--version",
        "--verbosity",
        "--settings",
        "--pythonpath",
        "--no-color",
        "--force-color",
    }
    # Django's others look at every page and form, which takes as long again as all else before it.
    requires_system_checks: ClassVar[Sequence[str] | str] = (SETTINGS,)
    ending_signals: ClassVar[Sequence[signal.Signals]] = ENDING_SIGNALS
    needs_redis = True  # the embedded server runs at least as long as handle(), if it is ours

    def create_parser(self, prog_name, subcommand, **kwargs):
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.prog = f"./run {subcommand}"
        if self._called_from_command_line:
            parser.error = partial(refuse_call, subcommand)
        return parser

    def get_version(self):
        return f"Livermore {__version__}"

    def execute(self, *args, **options):
        if not self._called_from_command_line:
            return self._execute(*args, **options)
        try:
            with ending_signals_raise(self.ending_signals):
                return self._execute(*args, **options)
        except SystemCheckError:
            raise  # many lines, and Django prints them well
        except CommandError as error:
            if options["traceback"]:
                raise
            self.stderr.write(f"Error: {error}")
            sys.exit(error.returncode)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except BrokenPipeError:  # who read our output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(CLOSED)

    def _execute(self, *args, **options):
        if self.needs_redis:
            _refuse_redis()
        with errors_for_people(), self._redis():
            return super().execute(*args, **options)

    def _redis(self):
        if self.needs_redis and settings.EMBEDDED_REDIS_DIR:
            return embedded_redis.ensure_running(settings.EMBEDDED_REDIS_DIR)
        return contextlib.nullcontext()


def _refuse_redis() -> None:
    """Raise CommandError where REDIS_URL is no address, or names something else than is there."""
    if fault := fault_of(settings.REDIS_URL):
        raise CommandError(" ".join(fault))
    if not settings.EMBEDDED_REDIS_DIR and (found := misnamed(settings.REDIS_URL)):
        raise CommandError(f"{found.fault} {found.remedy}")


def refuse_call(subcommand: str, message: str) -> NoReturn:
    """End this process, as a command was called wrongly, with one line that says in what way."""
    sys.stderr.write(f"Error: {message}; `./run help {subcommand}` tells what it takes\n")
    sys.exit(2)


@contextlib.contextmanager
def ending_signals_raise(
    numbers: Sequence[signal.Signals] = ENDING_SIGNALS,
) -> Iterator[None]:
    """Turn the first of these signals into SignalExit; from then on they change nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    main_thread = threading.get_ident()

    def end(number, _frame):
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise SignalExit(number)

    def note_loss(unraisable):
        match unraisable.exc_value:
            case SignalExit(number=number):
                signal.signal(number, end)
            case KeyboardInterrupt():
                number = signal.SIGINT
            case _:
                show(unraisable)
                return
        threading.Timer(SECONDS_UNTIL_AGAIN, try_again, [number]).start()

    def try_again(number):
        if sys.unraisablehook is note_loss:  # else all is over
            signal.pthread_kill(main_thread, number)

    # What is raised while Python calls back, as when an object goes, ends nothing and is lost.
    show, sys.unraisablehook = sys.unraisablehook, note_loss
    before = {}
    for each in numbers:
        if signal.getsignal(each) is not signal.SIG_IGN:  # nohup's wish
            before[each] = signal.signal(each, end)
    try:
        yield
    finally:
        sys.unraisablehook = show
        for each, handler in before.items():
            if signal.getsignal(each) is not signal.SIG_IGN:  # else this process ends
                signal.signal(each, handler)


@contextlib.contextmanager
def errors_for_people() -> Iterator[None]:
    """Turn what can go wrong outside this code into a CommandError of one line."""
    try:
        yield
    except (LivermoreError, embedded_redis.EmbeddedRedisError) as error:
        raise CommandError(redacted(str(error))) from error
    except (redis.RedisError, ConnectionInterrupted) as error:
        raise CommandError(redacted(_redis_message(error))) from error
    except DatabaseError as error:
        message = fault(error)
        if message is None:
            raise
        raise CommandError(redacted(message)) from error


def url_without_password(url: str) -> str:
    """Return `url` with what may be a secret in it replaced by ***."""
    url = re.sub(r"(?i)([?&]\w*password=)[^&]*", r"\1***", url)
    parts = urlsplit(url)
    if parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}:***@{host}"))


def _redis_message(error: Exception) -> str:
    if isinstance(error, ConnectionInterrupted) and error.__cause__:
        error = error.__cause__
    where = f"Redis at {url_without_password(settings.REDIS_URL)}"
    reason = first_line(error)
    gone = isinstance(error, redis.ConnectionError | redis.TimeoutError)
    if not gone or isinstance(
        error, redis.AuthenticationError | redis.exceptions.AuthorizationError
    ):
        return f"{where} refuses: {reason}"
    if settings.EMBEDDED_REDIS_DIR:
        remedy = f"see {settings.EMBEDDED_REDIS_DIR}/server.log"
    else:
        remedy = "start it or correct REDIS_URL"
    return f"{where} is gone ({reason}): {remedy}, then run this again, it goes on from there"
