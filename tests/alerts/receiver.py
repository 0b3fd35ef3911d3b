"""A webhook on this machine: what it was told, in order, and how it is told to behave."""

import json
import threading
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver:
    """Takes what apprise's `json://` sends. `status` is what it answers; None: nothing at all."""

    def __init__(self):
        self.told = []  # (key, message)
        self.pictures = []  # of each message, what was attached: (name, bytes)
        self.status = 200
        self.location = ""
        self.refuses = None  # a message
        self.calls = 0
        self.paths = []
        self.agents = set()  # as what those who call introduce themselves
        self.hold = threading.Event()
        self.hold.set()  # cleared, it lets wait
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                receiver._take(self, body)

            def do_GET(self):
                receiver._take(self, b"")

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    def _take(self, handler, body):
        self.calls += 1
        self.paths.append(handler.path)
        self.agents.add(handler.headers.get("User-Agent"))
        self.hold.wait(10)
        status = self.status
        if self.refuses and body and json.loads(body)["message"] == self.refuses:
            status = 400
        if status < 300 and body:
            found = json.loads(body)
            self.told.append((handler.headers.get("Idempotency-Key"), found["message"]))
            self.pictures.append(
                [(each["filename"], b64decode(each["base64"])) for each in found["attachments"]]
            )
        handler.send_response(status)
        handler.send_header("Content-Length", "0")
        if self.location:
            handler.send_header("Location", self.location)
        handler.end_headers()

    @property
    def port(self):
        return self._server.server_address[1]

    @property
    def url(self):
        """Return it as apprise writes it."""
        return f"json://127.0.0.1:{self.port}/hook/"

    @property
    def messages(self):
        return [message for _, message in self.told]

    def close(self):
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()
