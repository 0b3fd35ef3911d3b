"""What speaks to an exchange is kept between calls, for as long as its row is the same."""

import pytest

from exchanges.errors import UnknownSymbol
from exchanges.models import Exchange
from serving.fetching import clients
from serving.fetching.clients import RestClients

pytestmark = pytest.mark.django_db


class Rest:
    def __init__(self, row):
        self.url = row.rest_url


@pytest.fixture
def made(monkeypatch):
    """Return all that were made."""
    found = []
    monkeypatch.setattr(clients, "close_old_connections", lambda: None)  # of the test's own thread
    monkeypatch.setattr(clients, "open_rest", lambda row: found.append(Rest(row)) or found[-1])
    return found


@pytest.fixture
def number():
    return Exchange.objects.get(name="sandbox").pk


def url_of(rest):
    return rest.url


def test_one_is_kept_until_its_row_is_another(made, number):
    known = RestClients()
    first = {known.call(number, url_of) for _ in range(3)}
    Exchange.objects.filter(pk=number).update(rest_url="http://127.0.0.1:1")
    assert {known.call(number, url_of) for _ in range(3)} == {"http://127.0.0.1:1"} != first
    assert len(made) == 2


def test_one_is_not_kept_for_long(made, number, monkeypatch):
    monkeypatch.setattr(clients, "KEPT_SECONDS", 0.0)
    known = RestClients()
    assert known.call(number, id) != known.call(number, id)


def test_a_symbol_that_was_listed_since_is_known_to_a_new_one(made, number):
    known = RestClients()
    known.call(number, url_of)

    def only_new(rest):
        if rest is made[0]:
            raise UnknownSymbol("it is new")
        return "found"

    assert known.call(number, only_new) == "found"


def test_a_symbol_that_there_is_not_is_asked_for_twice_at_the_most(made, number):
    known = RestClients()

    def never(rest):
        raise UnknownSymbol("there is none")

    for _ in range(2):
        with pytest.raises(UnknownSymbol):
            known.call(number, never)
    assert len(made) == 2
