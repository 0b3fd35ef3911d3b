"""A proxy as people have them: CONNECT or SOCKS5, with or without TLS and passwords.

It shares no code with the client under test, and finds names by itself: `leads` says where.
"""

import base64
import contextlib
import socket
import struct
import threading
import time

from tests.warmup.harness.tls import TlsFront

PARTS = 65_536


class Proxy:
    """A proxy on this machine; a context manager.

    `kind` is "http" or "socks". `login` is what it wants, as (user, password). `leads` maps the
    names that it knows to addresses of this machine, and a name it doesn't know can't be reached.
    `does` is what it does instead of its work: "refuse" (by `code`), "hang", "close", "garbage",
    "trickle", or "hang late", which is after it was asked. `asked` are the targets that it was
    asked for, `logins` what it was told.
    """

    def __init__(self, kind, *, login=None, leads=None, does=None, code=403, tls=None, host=None):
        self.kind, self.login, self.does, self.code = kind, login, does, code
        self.leads = {} if leads is None else leads
        self.asked, self.logins, self.tunnels = [], [], []
        host = host or "127.0.0.1"
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listening = socket.create_server((host, 0), family=family, backlog=64)
        self.port = self._listening.getsockname()[1]
        self._front = None
        if tls:
            self._front = TlsFront(f"//{host}:{self.port}", context=tls).__enter__()
            self.port = self._front.port
        scheme = {"http": "https" if tls else "http", "socks": "socks5h"}[kind]
        self.place = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.url = f"{scheme}://{self.place}"
        self._open = []

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.leave()
        self.cut()
        if self._front:
            self._front.__exit__()

    def leave(self):
        """Take no more connections; who waits for one wakes."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        if self._front:
            self._front.leave()

    def cut(self):
        """End all connections; who serves one closes it, as nobody else can tell when it may."""
        for each in self._open:
            end(each)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self._open.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with contextlib.suppress(OSError, EOFError, IndexError), client:
            if self.does in ("hang", "close", "garbage", "trickle"):
                self._misbehave(client)
            else:
                {"http": self._http, "socks": self._socks}[self.kind](client)

    def _misbehave(self, client):
        if self.does == "close":
            return
        if self.does == "garbage":
            client.sendall(b"-ERR unknown command\r\n" * 3)
        elif self.does == "trickle":
            while True:
                client.sendall(b"H")
                time.sleep(0.05)
        while client.recv(PARTS):
            pass

    def _http(self, client):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += octets(client, 1)
        request, *lines = head.decode().splitlines()
        method, target, version = request.split(" ")
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        names = dict(line.split(": ", 1) for line in lines if line)
        assert (method, version) == ("CONNECT", "HTTP/1.1")
        assert headers["host"] == target.lower()
        host, _, port = target.rpartition(":")
        self.asked.append((host.strip("[]"), int(port)))
        told = names.get("Proxy-Authorization")
        if told:
            self.logins.append(tuple(base64.b64decode(told.split(" ")[1]).decode().split(":", 1)))
        if self.login and (not told or self.logins[-1] != self.login):
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return
        if self.does == "refuse":
            client.sendall(b"HTTP/1.1 %d No\r\nContent-Length: 4\r\n\r\nno!\n" % self.code)
            return
        if self.does == "hang late":
            client.recv(PARTS)
            return
        server = self._reach(*self.asked[-1])
        if server is None:
            client.sendall(b"HTTP/1.0 502 Bad Gateway\r\n\r\n")
            return
        client.sendall(b"HTTP/1.1 200 Connection established\r\nVia: a proxy\r\n\r\n")
        self._join(client, server)

    def _socks(self, client):
        version, count = octets(client, 2)
        if version != 5:
            return
        methods = octets(client, count)
        wanted = 2 if self.login else 0
        if wanted not in methods:
            client.sendall(b"\x05\xff")
            return
        client.sendall(bytes([5, wanted]))
        if self.login:
            assert octets(client, 1) == b"\x01"
            told = [octets(client, octets(client, 1)[0]).decode() for _ in range(2)]
            self.logins.append(tuple(told))
            client.sendall(bytes([1, self.logins[-1] != self.login]))
            if self.logins[-1] != self.login:
                return
        version, command, _, kind = octets(client, 4)
        assert (version, command) == (5, 1)
        if kind == 3:
            host = octets(client, octets(client, 1)[0]).decode()
        else:
            family, size = {1: (socket.AF_INET, 4), 4: (socket.AF_INET6, 16)}[kind]
            host = socket.inet_ntop(family, octets(client, size))
        (port,) = struct.unpack(">H", octets(client, 2))
        self.asked.append((host, port))
        if self.does == "hang late":
            client.recv(PARTS)
            return
        server = None if self.does == "refuse" else self._reach(host, port)
        if server is None:
            reply = self.code if self.does == "refuse" else 4
            client.sendall(bytes([5, reply, 0, 1]) + bytes(6))
            return
        client.sendall(b"\x05\x00\x00\x03\x04here\x00\x50")  # its own address, as a name
        self._join(client, server)

    def _reach(self, host, port):
        if host not in self.leads:
            return None
        try:
            server = socket.create_connection((self.leads[host], port), 5)
        except OSError:
            return None
        self._open.append(server)
        return server

    def _join(self, client, server):
        self.tunnels.append(self.asked[-1])
        back = threading.Thread(target=hand_on, args=(server, client), daemon=True)
        with server:
            back.start()
            hand_on(client, server)
            back.join()


def octets(client, count):
    found = b""
    while len(found) < count:
        part = client.recv(count - len(found))
        if not part:
            raise EOFError
        found += part
    return found


def hand_on(one, other):
    with contextlib.suppress(OSError):
        while part := one.recv(PARTS):
            other.sendall(part)
    for each in (one, other):
        end(each)


def end(wire):
    with contextlib.suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)
