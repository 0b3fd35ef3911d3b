"""`alert`: a channel is tried, and what is open is listed."""

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from alerts.models import Alert, AlertChannel
from livermore.command import UsageError

pytestmark = pytest.mark.django_db


def test_a_channel_is_tried(channel, receiver, capsys):
    call_command("alert", "--test", "phone")
    assert capsys.readouterr().out == "phone: the message was taken\n"
    assert len(receiver.messages) == 1
    receiver.status = 500
    with pytest.raises(CommandError, match=r"^phone: the receiver answered HTTP 500$"):
        call_command("alert", "--test", "phone")


def test_what_is_wrong_is_said_in_a_line(monkeypatch):
    with pytest.raises(UsageError, match=r"^unknown channel: phone; there is none$"):
        call_command("alert", "--test", "phone")
    monkeypatch.delenv("LIVERMORE_NOTIFY_TEAM", raising=False)
    AlertChannel.objects.create(name="team", variable="LIVERMORE_NOTIFY_TEAM")
    with pytest.raises(UsageError, match=r"there are: team$"):
        call_command("alert", "--test", "phone")
    with pytest.raises(CommandError, match=r"^team: LIVERMORE_NOTIFY_TEAM is not set"):
        call_command("alert", "--test", "team")
    with pytest.raises(UsageError, match="--test CHANNEL, --list, or --replay"):
        call_command("alert")


def test_what_is_open_is_listed(capsys):
    call_command("alert", "--list")
    assert capsys.readouterr().out == "Nothing is open.\n"
    now = timezone.now()
    Alert.objects.create(what="ban", text="binance: banned", first_seen=now, last_seen=now)
    call_command("alert", "--list")
    assert capsys.readouterr().out == f"{now:%Y-%m-%d %H:%M} UTC  binance: banned\n"
