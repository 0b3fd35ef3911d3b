"""Every code with which the page's socket is closed gets through the web server's library."""

import os
import subprocess
import sys

import pytest
import websocket

from livermore.running.children import answers
from tests.fixtures.ports import free_port
from tests.warmup.runners import ROOT, wait_until
from warmup.network.permission import NO_PERMISSION, NOT_LOGGED_IN
from warmup.network.socket.lifetime import DAY_OLD, FLOOD, TOO_SLOW, TRY_LATER

CODES = (DAY_OLD, FLOOD, TOO_SLOW, TRY_LATER, NO_PERMISSION, NOT_LOGGED_IN)
SERVE = """
import sys
from daphne.server import Server
from livermore.web.limits.requests import limit_daphne

async def application(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})
        return
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": int(scope["path"].strip("/"))})

limit_daphne()
Server(application, [f"tcp:port={sys.argv[1]}:interface=127.0.0.1"]).run()
"""


@pytest.fixture(scope="module")
def port():
    found = free_port()
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(found)], cwd=ROOT, env=os.environ)
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{found}/"))
        yield found
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("code", CODES)
def test_a_browser_is_told_the_code_with_which_it_is_closed(port, code):
    socket = websocket.create_connection(f"ws://127.0.0.1:{port}/{code}/", timeout=20)
    frame = socket.recv_frame()  # without an answer, for which the server may be gone already
    assert (frame.opcode, int.from_bytes(frame.data[:2])) == (websocket.ABNF.OPCODE_CLOSE, code)
    socket.shutdown()
