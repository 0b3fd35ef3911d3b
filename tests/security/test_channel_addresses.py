"""The address of a channel, and of who watches, is left nowhere; it holds a secret throughout."""

import base64
import logging
import os
from contextlib import closing

import pytest
from django.utils import timezone

from alerts.models import Alert, AlertChannel, Delivery
from tests.alerts.receiver import Receiver
from tests.security.canaries import CHANNEL, channel_address, fetch, start

pytestmark = pytest.mark.django_db(transaction=True)


TELL = """
import sys
import traceback
import django
from django.core.management import execute_from_command_line
django.setup()
from django.conf import settings
from alerts.delivery.dead_man import fetch
from alerts.delivery.senders import ChannelSender
from alerts.models import AlertChannel
for channel in AlertChannel.objects.all():
    try:
        execute_from_command_line(["manage.py", "alert", "--test", channel.name, "--traceback"])
    except Exception:
        traceback.print_exc()
    sender = ChannelSender(channel.pk)
    sender.stop()
    sender.step()
fetch(settings.LIVERMORE_DEAD_MAN_URL)
fetch(settings.LIVERMORE_DEAD_MAN_URL.replace(":1/", f":{sys.argv[1]}/"))
execute_from_command_line(["manage.py", "alert", "--list"])
"""
SAID = (
    "takes: the message was taken",
    "gone: Connection refused",
    f"unknown: {CHANNEL}_UNKNOWN: apprise knows no such address",
    "private: 127.0.0.2 is not called",
)


@pytest.fixture
def receiver():
    with closing(Receiver()) as receiver:
        yield receiver


@pytest.fixture
def channels(row, canaries, receiver, settings, monkeypatch):
    """Return the variables of channels that each go wrong in a way, a message waiting in each."""
    monkeypatch.setenv("LIVERMORE_PRIVATE_EXCHANGE_HOSTS", "127.0.0.1")
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["127.0.0.1"]
    gone, secret = os.environ[CHANNEL], canaries["channel"]
    addresses = {
        "takes": channel_address(canaries, receiver.port),
        "gone": gone,
        "unknown": f"nothing://ada:{secret}@127.0.0.1/{secret}",
        "private": gone.replace("127.0.0.1:1", "127.0.0.2"),
    }
    now = timezone.now()
    times = {"next_try_at": now, "created_at": now, "changed_at": now}
    alert = Alert.objects.create(what="ban", text="it is banned", first_seen=now, last_seen=now)
    for name, address in addresses.items():
        variable = f"{CHANNEL}_{name.upper()}"
        monkeypatch.setenv(variable, address)
        channel = AlertChannel.objects.create(name=name, variable=variable)
        Delivery.objects.create(alert=alert, channel=channel, text="it is banned", **times)
    return {channel.name: channel for channel in AlertChannel.objects.all()}


def test_a_channels_address_is_left_nowhere(
    channels, canaries, receiver, redis, browser, everywhere
):
    redis.set("something", 1)
    told = start(canaries, ["-c", TELL, str(receiver.port)], {}).communicate(timeout=120)[0]
    assert [text for text in SAID if text not in told] == [], told
    assert canaries["dead_man"] in receiver.paths[-1]
    assert receiver.messages[-1] == "it is banned"
    logging.getLogger("tests").info("the pages follow")
    pages = {
        address: fetch(browser, address)[1]
        for address in (
            *(f"/admin/alerts/{name}/" for name in ("alertchannel", "alert", "delivery")),
            *(f"/admin/alerts/alertchannel/{each.pk}/change/" for each in channels.values()),
            "/admin/network/alerts/",
        )
    }
    assert "Connection refused" in pages["/admin/alerts/delivery/"]
    for name, channel in channels.items():
        form = {"name": name, "variable": channel.variable, "is_active": "on", "_test": "on"}
        if name != "takes":  # urllib3 says at DEBUG, which is off, which path it called
            pages[f"tried {name}"] = change(browser, channel, form)
    form = {"name": "pasted", "variable": os.environ[CHANNEL], "is_active": "on"}
    pages["pasted"] = change(browser, channels["takes"], form)
    assert "was not stored" in pages["pasted"]
    assert everywhere(commands=told, **pages) == {}
    login = base64.b64encode(f"ada:{canaries['channel']}".encode()).decode()
    assert not [name for name, text in (pages | {"told": told}).items() if login in text]


def change(browser, channel, form):
    address = f"/admin/alerts/alertchannel/{channel.pk}/change/"
    return browser.post(address, form, follow=True).content.decode()
