"""What the database has of exchanges, read again and again, and by whom that is waited for."""

import asyncio
import threading

import pytest

from exchanges.models import Exchange, Symbol
from serving.directory import Directory, Rows
from serving.rows import RowReader


@pytest.mark.django_db
def test_only_what_has_changed_is_made_anew():
    row = Exchange.objects.get(name="sandbox")
    names = {"symbol": "A-USD", "native_symbol": "AUSD", "base": "A", "quote": "USD"}
    symbol = Symbol.objects.create(exchange=row, **names)
    directory = Directory()
    directory.load()
    before = directory.exchanges
    directory.load()
    assert all(directory.exchanges[name] is each for name, each in before.items())
    symbol.status = Symbol.Status.HALTED
    symbol.save()
    directory.load()
    assert not directory.exchanges["sandbox"].symbols["A-USD"].is_trading
    assert directory.exchanges["binance"] is before["binance"]
    Exchange.objects.filter(pk=row.pk).update(rest_url="http://127.0.0.1:7")
    directory.load()
    assert directory.exchanges["sandbox"].host == "127.0.0.1:7"
    Symbol.objects.all().delete()
    directory.load()
    assert not directory.exchanges["sandbox"].symbols


class SlowRows(Rows):
    """Rows that were read once, and take long the second time."""

    def __init__(self):
        super().__init__()
        self.may_end, self.begun = threading.Event(), threading.Event()
        self.times = 0

    def knows(self, name):
        return name == "known"

    def load(self):
        self.times += 1
        if self.times > 1:
            self.begun.set()
            assert self.may_end.wait(20)


@pytest.mark.django_db(transaction=True)
def test_rows_that_are_soon_too_old_are_read_while_nobody_waits(monkeypatch):
    monkeypatch.setattr("serving.directory.SECONDS_BETWEEN_READS", 60.0)
    monkeypatch.setattr("serving.directory.SECONDS_AHEAD", 60.0)
    rows, reader = SlowRows(), RowReader()
    rows.read()

    async def read():
        for _ in range(3):
            await reader.read(rows, "known")
        assert await asyncio.to_thread(rows.begun.wait, 20)
        await reader.read(rows, "known")  # which goes on without it
        rows.may_end.set()
        await reader.read_now(rows)

    asyncio.run(read())
    reader.close()
    assert rows.times == 2
