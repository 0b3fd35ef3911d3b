"""A Redis behind one address that loses the last of what was written to it, as real ones do."""

import os
import signal
import socket
import subprocess
from contextlib import contextmanager

import redis as redis_client

from livermore.running.embedded_redis import _find_engine
from tests.warmup.runners import wait_until


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One process, in a folder of its own; it can be killed, paused, and started again."""

    def __init__(self, folder, **options):
        self.folder = folder
        self.folder.mkdir()
        self.port = free_port()
        self.path = str(folder / "socket")
        self._options = options
        self.start()

    def start(self):
        options = {
            "port": self.port, "bind": "127.0.0.1", "unixsocket": self.path, "save": "",
            "dir": self.folder, "appendonly": "yes", "appendfsync": "everysec",
            "repl-diskless-sync-delay": 0, "enable-debug-command": "yes",
        } | self._options  # fmt: skip
        flat = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        self.process = subprocess.Popen(
            [_find_engine()[1], *flat], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.client = redis_client.Redis(unix_socket_path=self.path)
        wait_until(self._answers)

    def _answers(self):
        try:
            return self.client.ping()
        except redis_client.RedisError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.client.close()

    def pause(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self):
        os.kill(self.process.pid, signal.SIGCONT)


class LossyRedis:
    """A server at `url`; `remember` is the moment to which `lose` goes back, by one of `WAYS`."""

    def __init__(self, folder, way):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self._path = folder / "current"
        self._way = way
        self.servers = [Server(folder / "first")]
        self._point_at(self.servers[0])
        if way == "promoted":
            self._add_replica()
        self.url = f"unix://{self._path}"

    def client(self):
        return redis_client.Redis(unix_socket_path=str(self._path))

    def remember(self):
        getattr(self, f"_remember_{self._way}")()

    def lose(self):
        getattr(self, f"_lose_{self._way}")()

    def close(self):
        for server in self.servers:
            server.go_on() if server.process.poll() is None else None
            server.kill()

    def _point_at(self, server):
        draft = self.folder / "draft"
        draft.symlink_to(server.path)
        draft.replace(self._path)

    # -- the append file of a crash ends earlier

    def _append_file(self):
        [found] = self.servers[0].folder.glob("appendonlydir/*.incr.aof")
        return found

    def _remember_cut(self):
        client = self.servers[0].client
        client.ping()  # whatever came before it was written to the file
        self._size = self._append_file().stat().st_size

    def _lose_cut(self):
        self.servers[0].kill()
        os.truncate(self._append_file(), self._size)
        self.servers[0].start()

    # -- a replica that lagged is promoted

    def _add_replica(self):
        first = self.servers[0]
        second = Server(self.folder / "second", replicaof=f"127.0.0.1 {first.port}")
        self.servers.append(second)
        wait_until(lambda: second.client.info("replication")["master_link_status"] == "up")

    def _remember_promoted(self):
        self.servers[0].client.wait(1, 5000)
        self.servers[1].pause()

    def _lose_promoted(self):
        first, second = self.servers
        first.kill()
        # What was sent to it waits in its socket, and is not lost yet: so nothing may be.
        second.kill()
        second._options = {}
        second.start()
        self._point_at(second)

    # -- somebody empties it

    def _remember_emptied(self):
        pass

    def _lose_emptied(self):
        self.servers[0].client.flushall()

    # -- an old dump is restored

    def _remember_restored(self):
        client = self.servers[0].client
        client.save()
        self._dump = (self.servers[0].folder / "dump.rdb").read_bytes()

    def _lose_restored(self):
        self.servers[0].kill()
        for path in (self.servers[0].folder / "appendonlydir").iterdir():
            path.unlink()
        (self.servers[0].folder / "appendonlydir").rmdir()
        (self.servers[0].folder / "dump.rdb").write_bytes(self._dump)
        self.servers[0]._options = {"appendonly": "no"}
        self.servers[0].start()


WAYS = ("cut", "promoted", "restored", "emptied")


@contextmanager
def lossy_redis(folder, way):
    found = LossyRedis(folder / "lossy", way)
    try:
        yield found
    finally:
        found.close()
