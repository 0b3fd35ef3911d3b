"""Names as an installation with other settings has them."""

import pytest

from livermore.market.naming import Naming, name_as


@pytest.fixture
def tagged(monkeypatch):
    """Name all with tags and a prefix, here and in processes that are started."""
    monkeypatch.setenv("LIVERMORE_KEY_TAGS", "1")
    monkeypatch.setenv("LIVERMORE_KEY_PREFIX", "lm:")
    before = name_as(Naming("lm:", True, "lm:"))
    yield
    name_as(before)
