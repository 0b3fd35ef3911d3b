"""The project's own documents as web pages: rendered here, read by whoever may see the exchanges.

What can be asked for are the names of files that were found, so no address leads anywhere else.
Links between documents lead to their pages, images are served, nothing is loaded from elsewhere.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from django.conf import settings
from django.contrib import admin
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

from warmup.network.guard import view_required

AT_THE_TOP = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
FOLDER, IMAGES = "docs", "docs/images"
ELSEWHERE = re.compile(r"(?i)(https?|mailto):")
NOT_IN_ANCHOR = re.compile(r"[^\w\- ]")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a document: its level from 1, its text, and its anchor as GitHub names it."""

    level: int
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Document:
    """A rendered document."""

    title: str
    html: SafeString
    headings: tuple[Heading, ...]


def documents() -> dict[str, Path]:
    """Return the documents there are, by the names in their addresses."""
    root = settings.BASE_DIR
    paths = [root / name for name in AT_THE_TOP] + sorted((root / FOLDER).glob("*.md"))
    return {path.stem.lower(): path for path in paths if path.is_file()}


def read_document(path: Path) -> Document:
    """Return a document as it is now."""
    return _rendered(path, path.stat().st_mtime_ns)


@view_required
def contents(request: HttpRequest) -> HttpResponse:
    """List the documents."""
    return _page(request, "Documents", "", None)


@view_required
def document(request: HttpRequest, name: str) -> HttpResponse:
    """Show a document."""
    path = documents().get(name)
    if path is None:
        raise Http404("no such document")
    found = read_document(path)
    return _page(request, found.title, name, found)


@view_required
def image(request: HttpRequest, name: str) -> HttpResponse:
    """Send an image of the documents."""
    path = _images().get(name)
    if path is None:
        raise Http404("no such image")
    return FileResponse(path.open("rb"), content_type="image/png")


def _images() -> dict[str, Path]:
    return {path.name: path for path in (settings.BASE_DIR / IMAGES).glob("*.png")}


def _page(request: HttpRequest, title: str, name: str, found: Document | None) -> HttpResponse:
    listed = [(each, read_document(path)) for each, path in documents().items()]
    context = {
        **admin.site.each_context(request),
        "title": title,
        "name": name,
        "document": found,
        "parts": [each for each in found.headings if each.level == 2] if found else [],
        "documents": listed,
    }
    return render(request, "docs/page.html", context)


@lru_cache(maxsize=64)
def _rendered(path: Path, _written_ns: int) -> Document:
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(path.read_text(encoding="utf-8"))
    headings = tuple(_anchored(tokens))
    folder = path.parent.relative_to(settings.BASE_DIR).as_posix()
    addresses = _addresses()
    for token in tokens:
        for child in token.children or ():
            _lead(child, folder, addresses)
    _wrap_tables(tokens)
    html = markdown.renderer.render(tokens, markdown.options, {})
    title = headings[0].text if headings else path.name
    return Document(title, mark_safe(html), headings)  # noqa: S308  # html is off: all is escaped


def _anchored(tokens: list[Token]) -> Iterator[Heading]:
    """Give each heading the anchor that GitHub gives it; yield them."""
    seen: dict[str, int] = {}
    for token, inline in pairwise(tokens):
        if token.type != "heading_open":
            continue
        texts = (each.content for each in inline.children or () if each.type != "image")
        text = "".join(texts).strip()
        anchor = NOT_IN_ANCHOR.sub("", text.lower()).replace(" ", "-")
        count = seen[anchor] = seen.get(anchor, -1) + 1
        anchor = f"{anchor}-{count}" if count else anchor
        token.attrSet("id", anchor)
        yield Heading(int(token.tag[1:]), text, anchor)


def _lead(token: Token, folder: str, addresses: dict[str, str]) -> None:
    """Let a link or an image lead to where it is served."""
    if token.type == "link_open":
        target = str(token.attrGet("href") or "")
        if ELSEWHERE.match(target):
            token.attrSet("rel", "noreferrer noopener")
        elif not target.startswith("#"):
            path, _, anchor = target.partition("#")
            if address := addresses.get(posixpath.normpath(posixpath.join(folder, path))):
                token.attrSet("href", f"{address}#{anchor}" if anchor else address)
            else:  # a folder or a file of the source: it is not served
                token.attrs.pop("href", None)
                token.attrSet("title", f"{path} in the source")
    elif token.type == "image":
        target = posixpath.normpath(posixpath.join(folder, str(token.attrGet("src") or "")))
        token.attrSet("src", addresses.get(target, ""))


def _addresses() -> dict[str, str]:
    """Return where documents and images are served, by their paths below the project's folder."""
    found = {f"{IMAGES}/{name}": reverse("docs:image", args=[name]) for name in _images()}
    for name, path in documents().items():
        at = path.relative_to(settings.BASE_DIR).as_posix()
        found[at] = reverse("docs:document", args=[name])
    return found


def _wrap_tables(tokens: list[Token]) -> None:
    """Let wide tables scroll in themselves, also by keys; name how columns are aligned."""
    for at in range(len(tokens) - 1, -1, -1):
        if style := tokens[at].attrs.pop("style", ""):  # of a column; pages have no inline styles
            tokens[at].attrSet("class", str(style).replace(":", "-"))
        if tokens[at].type == "table_close":
            tokens.insert(at + 1, _raw("</div>"))
        elif tokens[at].type == "table_open":
            tokens.insert(at, _raw('<div class="scroll-x" tabindex="0">'))


def _raw(html: str) -> Token:
    return Token("html_block", "", 0, content=html)
