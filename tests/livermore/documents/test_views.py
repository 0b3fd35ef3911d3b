"""The documents as the web server shows them: complete, safe, and every link leads somewhere."""

import re
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin

import pytest
from django.urls import reverse

from livermore.documents.views import documents, read_document
from tests.warmup.network.operators import person

pytestmark = pytest.mark.django_db

NAMES = sorted(documents())


class Page(HTMLParser):
    """A page's text, what it leads to, what its document loads, and its anchors."""

    def __init__(self, text):
        super().__init__()
        self.text, self.links, self.loaded, self.anchors = text, [], [], set()
        self._is_document = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors.add(found.get("id"))
        self._is_document |= found.get("class") == "documents"
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag in ("img", "script", "iframe") and self._is_document:
            self.loaded.append(found.get("src"))

    def handle_endtag(self, tag):
        self._is_document &= tag != "article"


@pytest.fixture
def reader(client):
    client.force_login(person("reader", "view_exchange"))
    return client


@pytest.fixture(scope="module")
def seen():
    """Keep the pages that one test after the other looks at, by their addresses."""
    return {}


@pytest.fixture
def look(reader, seen):
    """Return a page as it was shown first."""

    def look(address):
        if address not in seen:
            seen[address] = Page(text_of(reader, address))
        return seen[address]

    return look


def text_of(reader, address):
    response = reader.get(address)
    assert response.status_code == 200, address
    return response.content.decode()


def address_of(name):
    return reverse("docs:document", args=[name])


def test_every_document_of_the_project_is_there():
    assert {"readme", "architecture", "changelog", "operations", "settings"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_link_and_every_image_of_a_document_leads_somewhere(reader, look, name):
    page = look(address_of(name))
    assert page.links
    for link in page.links:
        path, anchor = urldefrag(urljoin(address_of(name), link))
        if not path.startswith("/docs/"):
            assert path.startswith(("https://", "http://127.0.0.1:", "/")), link
            continue
        led = look(path)
        if anchor:
            assert anchor in led.anchors, link
    for source in page.loaded:
        response = reader.get(source)
        assert (response.status_code, response["Content-Type"]) == (200, "image/png"), source


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_loaded_from_elsewhere(look, name):
    text = look(address_of(name)).text
    assert not re.search(r'(?:src|srcset)="(?:https?:)?//', text)
    assert not re.search(r'<link[^>]+href="(?:https?:)?//', text)


def test_the_contents_lead_to_every_document_and_its_parts(look):
    page = look(reverse("docs:contents"))
    assert {address_of(name) for name in NAMES} <= set(page.links)
    assert f"{address_of('operations')}#symbols-that-end" in page.links


def test_tables_and_code_are_drawn(reader):
    text = text_of(reader, address_of("architecture"))
    assert "<table>" in text
    assert "<pre><code" in text
    assert "candles:{exchange_id}:{symbol}:{timeframe}" in text


@pytest.mark.parametrize(
    "name",
    ["..", "../manage", "manage", "docs", "README.md", "/etc/passwd", "x/../readme", "%2e%2e", "ﬀ"],
)
def test_nothing_else_can_be_read(reader, name):
    for address in (f"/docs/{name}/", f"/docs/images/{name}", f"/docs/{name}"):
        assert reader.get(address).status_code in (301, 404), address
        if reader.get(address).status_code == 301:
            assert reader.get(address, follow=True).status_code == 404


@pytest.mark.parametrize("name", ["contents", "document", "image"])
def test_who_has_no_login_is_sent_to_it(client, name):
    arguments = {"document": ["readme"], "image": ["network-pair.png"]}.get(name, [])
    address = reverse(f"docs:{name}", args=arguments)
    response = client.get(address)
    assert (response.status_code, response.url) == (302, f"/admin/login/?next={address}")
    client.force_login(person("other"))
    assert client.get(address).status_code == 403


def test_anchors_are_those_of_github(tmp_path, settings):
    settings.BASE_DIR = tmp_path
    (tmp_path / "docs").mkdir()
    path = tmp_path / "docs" / "a.md"
    path.write_text(
        "# A `code` — and *more*: 50 %!\n\n## Same\n\n## Same\n\n## What is what in `var/`\n"
    )
    anchors = [heading.anchor for heading in read_document(path).headings]
    assert anchors == ["a-code--and-more-50-", "same", "same-1", "what-is-what-in-var"]


def test_html_in_a_document_is_written_as_text(tmp_path, settings):
    settings.BASE_DIR = tmp_path
    (tmp_path / "docs").mkdir()
    path = tmp_path / "docs" / "a.md"
    path.write_text(
        "# A\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1)) "
        "![y](https://example.org/y.png) ![z](../../etc/z.png) [b](b.md)\n"
    )
    html = read_document(path).html
    assert "<script>" not in html
    assert 'href="javascript' not in html
    assert "example.org/y.png" not in html
    assert "etc/z.png" not in html


def test_a_column_is_aligned_without_an_inline_style(tmp_path, settings):
    settings.BASE_DIR = tmp_path
    (tmp_path / "docs").mkdir()
    path = tmp_path / "docs" / "a.md"
    path.write_text("# A\n\n| a | b |\n|---|---:|\n| 1 | 2 |\n")
    html = read_document(path).html
    assert '<td class="text-align-right">2</td>' in html
    assert "style=" not in html


def test_a_document_that_was_written_anew_is_shown_anew(tmp_path, settings):
    settings.BASE_DIR = tmp_path
    (tmp_path / "docs").mkdir()
    path = tmp_path / "docs" / "a.md"
    path.write_text("# One\n")
    assert read_document(path).title == "One"
    path.write_text("# Two, longer\n")
    assert read_document(path).title == "Two, longer"
