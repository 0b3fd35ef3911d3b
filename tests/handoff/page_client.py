"""Somebody who is logged in and looks at the Network page, without its scripts."""

import json
import re
import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import urlencode

SNAPSHOT = re.compile(r'<script id="snapshot" type="application/json">(.*?)</script>', re.DOTALL)


class PageClient:
    """Logs in to the server at `address`."""

    def __init__(self, address: str, name: str, password: str):
        self._address = address
        self._cookies = CookieJar()
        handler = urllib.request.HTTPCookieProcessor(self._cookies)
        self._open = urllib.request.build_opener(handler).open
        self._open(f"{address}/admin/login/").close()
        form = {"username": name, "password": password, "next": "/admin/network/"}
        self._send("/admin/login/", form)

    def cards(self) -> dict[str, dict[str, Any]]:
        """Return the cards as they are painted first, by the names that people see."""
        with self._open(f"{self._address}/admin/network/") as answer:
            found = json.loads(SNAPSHOT.search(answer.read().decode())[1])
        return {card["displayName"]: card for card in found["cards"]}

    def press(self, name: str, button: str) -> None:
        """Press a button of a card that can be pressed."""
        card = self.cards()[name]
        assert button.lower() in card["buttons"], f"no {button} on {name}: {card['stateText']}"
        self._send(f"/admin/network/{card['exchangeId']}/{button.lower()}/", {})

    def _send(self, path: str, form: dict[str, str]) -> None:
        token = next(cookie.value for cookie in self._cookies if cookie.name == "csrftoken")
        data = urlencode({**form, "csrfmiddlewaretoken": token}).encode()
        self._open(f"{self._address}{path}", data).close()


def answers(address: str) -> bool:
    """Tell whether a web server is there."""
    try:
        urllib.request.urlopen(f"{address}/health/live/", timeout=2).close()
    except OSError:
        return False
    return True
