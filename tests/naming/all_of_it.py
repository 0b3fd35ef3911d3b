"""All that Livermore does with Redis, once: its commands, a runner, an agent, the web server."""

import contextlib
import socket

from django.contrib.auth import get_user_model
from websocket import create_connection

from exchanges.lock.status import State, read_status
from livermore.market import keys
from tests.handoff.page_client import PageClient
from tests.livermore.web_server import WebServer
from tests.warmup.runners import end, make_row, serve, wait_until

PASSWORD = "a-long-password"
TOKEN = "a-token-of-thirty-two-characters"
COMMANDS = (
    ("check",),
    ("warmup", "sandbox"),
    ("warmup", "sandbox", "--plan", "--repair"),
    ("repair", "sandbox"),
    ("symbols", "sandbox", "--top", "2", "--quote", "USD"),
    ("indicators", "sandbox"),
    ("check_exchange", "sandbox"),
)

# In one process: to start each takes longer than what it does.
IN_TURN = f"""
import os
from livermore.command_line import CommandLine
os.environ["DJANGO_SETTINGS_MODULE"] = "livermore.settings"
ended = []
for command in {COMMANDS}:
    try:
        CommandLine(["manage.py", *command]).execute()
        ended.append((command, 0))
    except SystemExit as error:
        ended.append((command, error.code))
print(ended)
"""


def use_all(manage, client, folder):
    """Run everything as `manage` starts it, whose Redis `client` reads.

    A bar closes meanwhile, somebody fails to log in, and somebody else presses buttons.
    """
    get_user_model().objects.create_superuser("ada", password=PASSWORD)
    with serve(speed=4) as sandbox:  # a minute takes a quarter of one
        row = make_row(sandbox)
        process = manage(code=IN_TURN)
        out, err = process.communicate(timeout=120)
        # A check finds that the sandbox's clock is days off.
        expected = [(command, int(command[0] == "check_exchange")) for command in COMMANDS]
        assert out.splitlines()[-1] == repr(expected), (out, err)
        assert client.zcard(keys.candles(row.pk, "BTC-USD", "1h")) >= 60
        runner = manage("start", "sandbox")
        wait_until(lambda: read_status(client, row.pk).state is State.ACTIVE, 60)
        agent = manage("agent")
        wait_until(lambda: client.hlen(keys.agents()))
        web = WebServer(folder, LIVERMORE_METRICS_TOKEN=TOKEN)
        web.start()
        try:
            _look(web.port)
            wait_until(lambda: client.xlen(keys.events(row.pk)), 90)
        finally:
            web.end()
        assert end(agent, seconds=30)[0] in (0, 143)
        assert end(runner, seconds=30)[0] in (0, 143)
    return row


def _look(port):
    """Log in, see the page, receive from its socket, press a button, read the metrics."""
    page = f"http://127.0.0.1:{port}"
    page_client = PageClient(page, "ada", PASSWORD)
    card = page_client.cards()["Sandbox"]
    assert card["state"] == "active", card
    cookie = "; ".join(f"{each.name}={each.value}" for each in page_client._cookies)
    client = create_connection(f"ws://127.0.0.1:{port}/ws/network/", origin=page, cookie=cookie)
    with contextlib.closing(client):
        assert client.recv()
    page_client.press("Sandbox", "Repair")
    with socket.create_connection(("127.0.0.1", port)) as scrape:
        scrape.sendall(
            b"GET /metrics HTTP/1.0\r\nHost: 127.0.0.1\r\n"
            b"Authorization: Bearer " + TOKEN.encode() + b"\r\n\r\n"
        )
        text = b"".join(iter(lambda: scrape.recv(65536), b"")).decode()
    assert "livermore_redis_memory_used_bytes " in text
    assert "livermore_redis_writable 1.0" in text
