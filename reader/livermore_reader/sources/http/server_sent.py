"""Server-sent events taken out of the body of an answer (html.spec.whatwg.org). Pure."""

from collections.abc import Iterator
from typing import NamedTuple

LONGEST_LINE = 1_000_000


class Block(NamedTuple):
    """An event: `id` is None where it has none, `kind` is "" where there is nothing to act on."""

    id: "str | None"
    kind: str
    data: str


class Chunks:
    """The content of a body that is sent in chunks (RFC 9112, section 7.1), as it comes."""

    def __init__(self) -> None:
        self._buffer = b""
        self._left = 0  # of this chunk, with the line end behind it
        self.is_over = False

    def feed(self, data: bytes) -> bytes:
        """Return the content of what came. Raises ValueError where it is no chunk."""
        self._buffer += data
        found = []
        while not self.is_over:
            if not self._left:
                head, end, rest = self._buffer.partition(b"\n")
                if not end:
                    if len(head) > LONGEST_LINE:
                        raise ValueError("no chunk")
                    break
                size = int(head.partition(b";")[0].strip(), 16)
                self._buffer, self._left, self.is_over = rest, size + 2, not size
                continue
            part, self._buffer = self._buffer[: self._left], self._buffer[self._left :]
            if not part:
                break
            content = max(0, self._left - 2)  # but for the line end
            found.append(part[:content])
            self._left -= len(part)
        return b"".join(found)


class Blocks:
    """Events of what comes, however it is cut."""

    def __init__(self) -> None:
        self._buffer = b""
        self._lines: list[str] = []

    def feed(self, data: bytes) -> Iterator[Block]:
        """Yield the events that are whole by now. Raises ValueError for a line without an end."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        if len(self._buffer) > LONGEST_LINE:
            raise ValueError("a line has no end")
        for line in lines:
            text = line.rstrip(b"\r").decode("utf-8", "replace")
            if text:
                self._lines.append(text)
            elif self._lines:
                yield _block(self._lines)
                self._lines = []


def _block(lines: list[str]) -> Block:
    event_id, kind, data = None, "", []
    for line in lines:
        name, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if name == "id":
            event_id = value
        elif name == "event":
            kind = value
        elif name == "data":
            data.append(value)
    return Block(event_id, kind if data else "", "\n".join(data))
