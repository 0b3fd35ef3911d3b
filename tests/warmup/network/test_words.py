"""Each ? of the page opens an explanation, and that leads to its place in the documents."""

import re

import pytest
from django.template import engines
from django.urls import reverse

from livermore.documents.views import documents, read_document
from tests.warmup.network.operators import held_by, listed_exchange, person
from warmup.network.words import WORDS

pytestmark = pytest.mark.django_db


@pytest.fixture
def pages(redis, client):
    row = listed_exchange()
    held_by(redis, row, state="active", phase="streaming")
    client.force_login(person("ada", "operate_exchange", "view_exchange"))
    pair = ["network:pair", [row.pk, "BTC-USD", "1h"]]
    of_row = [[f"network:{name}", [row.pk]] for name in ("choose-symbols", "past")]
    others = [["network:signals", []], *of_row]
    named = [["network:page", []], pair, *others]
    return [client.get(reverse(name, args=args)).content.decode() for name, args in named]


def test_every_question_mark_opens_an_explanation_of_its_page(pages):
    for text in pages:
        opened = set(re.findall(r'popovertarget="([^"]+)"', text))
        assert opened
        for name in opened:
            assert len(re.findall(rf'popover id="{name}"', text)) == 1, name
            assert f'id="{name}-text"' in text
        assert set(re.findall(r'popover id="([^"]+)"', text)) <= opened


def test_every_word_is_explained_somewhere_on_the_page(pages):
    text = "".join(pages)
    for name in WORDS:
        assert re.search(rf'popovertarget="what-{name}(-here)?"', text), name


@pytest.mark.parametrize("name", WORDS)
def test_every_explanation_leads_to_its_place_in_the_documents(name):
    word = WORDS[name]
    headings = read_document(documents()[word.document]).headings
    assert word.anchor in {heading.anchor for heading in headings}


def test_the_links_are_those_of_the_documents(pages):
    links = re.findall(r'<a href="(/docs/[^"#]+)#[^"]+">More in the documents', pages[0])
    assert {reverse("docs:document", args=["network"])} <= set(links)


def test_a_word_nobody_explained_is_no_word():
    with pytest.raises(KeyError):
        engines["django"].from_string('{% load network %}{% what "nonsense" %}').render()
