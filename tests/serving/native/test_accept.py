"""Which form an Accept header asks for."""

import pytest

from serving.native.accept import preferred
from serving.native.errors import NotAcceptable

JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        ("Application/JSON; charset=utf-8", JSON),
        (ARROW, ARROW),
        (f"{ARROW}, */*", ARROW),
        (f"{ARROW}, {JSON}", JSON),
        (f"{ARROW};q=0.5, {JSON};q=0.4", ARROW),
        (f"{ARROW};q=0.5,{JSON};q=0.50", JSON),
        (f"{ARROW};q=0.5, */*", JSON),
        (f"{JSON};q=0, */*", ARROW),
        (f"{JSON}; q=0.001", JSON),
        (f"text/html, {ARROW};q=0.1", ARROW),
        (f"{ARROW};q=nonsense, {JSON};q=0.1", JSON),
        (f"{ARROW};q=2, {JSON};q=0.1", JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON),
        (f"*/*;q=0.1, {ARROW};q=0", JSON),
    ],
)
def test_what_is_wanted_most_is_sent(accept, form):
    assert preferred(accept, [JSON, ARROW]) == form


@pytest.mark.parametrize(
    "accept",
    ["image/png", "text/*", f"{JSON};q=0", "*/*;q=0", "nonsense", f"{ARROW};q=0, image/png", ";,"],
)
def test_what_can_not_be_sent_is_said(accept):
    with pytest.raises(NotAcceptable, match=f"It can be told as {JSON} or "):
        preferred(accept, [JSON, ARROW])
