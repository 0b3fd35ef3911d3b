"""A Redis behind one address that loses the last of what was written to it, as real ones do."""

import os
import shutil

import redis as redis_client

from tests.fixtures.redis_server import Servers, wait_for


class LossyRedis(Servers):
    """A server at `url`; `remember` is the moment to which `lose` goes back, by one of `WAYS`."""

    def __init__(self, folder, way):
        super().__init__(folder, appendonly="yes", enable_debug_command="yes")
        self._path = folder / "current"
        self._way = way
        self.url = f"unix://{self._path}"

    def start(self):
        self._first = self._add_server("first")
        self._point_at(self._first)
        if self._way == "promoted":
            self._add_replica()

    def client(self):
        return redis_client.Redis(unix_socket_path=str(self._path))

    def remember(self):
        getattr(self, f"_remember_{self._way}")()

    def lose(self):
        getattr(self, f"_lose_{self._way}")()

    def _add_server(self, name, **options):
        path = self.folder / name / "socket"
        return self.add(name, unixsocket=path, **self.options, **options)

    def _point_at(self, server):
        draft = self.folder / "draft"
        draft.symlink_to(server.options["unixsocket"])
        draft.replace(self._path)

    # -- the append file of a crash ends earlier

    def _append_file(self):
        [found] = self._first.folder.glob("appendonlydir/*.incr.aof")
        return found

    def _remember_cut(self):
        self._first.ask("PING")  # whatever came before it was written to the file
        self._size = self._append_file().stat().st_size

    def _lose_cut(self):
        self._first.kill()
        os.truncate(self._append_file(), self._size)
        self._first.start()

    # -- a replica that lagged is promoted

    def _add_replica(self):
        second = self._second = self._add_server("second")
        second.ask("REPLICAOF", "127.0.0.1", self._first.port)
        follows = {"master_link_status": "up"}.items()
        wait_for(lambda: second.ask("INFO", "replication").items() >= follows, "a replica")

    def _remember_promoted(self):
        self._first.ask("WAIT", 1, 5000)
        self._second.halt()

    def _lose_promoted(self):
        self._first.kill()
        # What was sent to it waits in its socket, and is not lost yet: so nothing may be.
        self._second.kill()
        self._second.start()
        self._point_at(self._second)

    # -- somebody empties it

    def _remember_emptied(self):
        pass

    def _lose_emptied(self):
        self._first.ask("FLUSHALL")

    # -- an old dump is restored

    def _remember_restored(self):
        self._first.ask("SAVE")
        self._dump = (self._first.folder / "dump.rdb").read_bytes()

    def _lose_restored(self):
        first = self._first
        first.kill()
        shutil.rmtree(first.folder / "appendonlydir")
        (first.folder / "dump.rdb").write_bytes(self._dump)
        first.options = first.options | {"appendonly": "no"}
        first.start()


WAYS = ("cut", "promoted", "restored", "emptied")
