"""What a first contact found, as it can be sent to others: of the exchange, and nobody's else.

Addresses of machines are left out wherever they stand, of what a check found only how it ended,
and hosts of a row that are not those of its preset.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

from exchanges.contact.fact import Answer, UnsureFact
from exchanges.errors import Misconfigured
from exchanges.models import Exchange
from exchanges.presets import presets
from exchanges.transport.dialing import hosts_in
from exchanges.transport.proxies import read_proxy
from exchanges.venue import Venue
from warmup.harness.report import CheckReport

FORM = 1  # of the report, for who reads many
MAYBE_ADDRESS = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}(?!\w)|[0-9a-fA-F:.]{2,45}(?![\w:]))"
)
AN_ADDRESS, A_HOST = "[address]", "[host]"
VERDICTS = {True: "as assumed", False: "NOT as assumed", None: "undecided"}


@dataclass(frozen=True, slots=True)
class Finding:
    """A question, and its answer, or why there is none."""

    fact: UnsureFact
    answer: Answer | None = None
    failure: str = ""
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """Return in words whether it is as the code takes it."""
        return VERDICTS[self.answer.as_assumed] if self.answer else "no answer"

    @property
    def text(self) -> str:
        return self.answer.text if self.answer else self.failure

    def as_json(self) -> dict[str, Any]:
        """Return what programs read."""
        return {
            "name": self.fact.name,
            "question": self.fact.question,
            "assumed": self.fact.assumed,
            "verdict": self.verdict,
            "text": self.text,
            "seen": dict(self.answer.seen) if self.answer else {},
            "seconds": round(self.seconds, 1),
        }


@dataclass(slots=True)
class ContactReport:
    """All that was asked of an exchange, and what came of it; `questions` are to be asked."""

    exchange: Exchange
    venue: Venue
    minutes: float
    check: CheckReport
    questions: int = 0
    findings: list[Finding] = field(default_factory=list)
    version: str = ""

    @property
    def surprises(self) -> list[Finding]:
        """Return what is not as the code takes it."""
        return [each for each in self.findings if each.verdict == VERDICTS[False]]

    def as_json(self) -> dict[str, Any]:
        """Return what programs read, without an address of anybody."""
        content = {
            "form": FORM,
            "livermore": self.version,
            "venue": self.venue.name,
            "preset": self._preset,
            "day": f"{datetime.now(UTC):%Y-%m-%d}",
            "minutes": self.minutes,
            "symbol": self.check.symbol,
            "check": {step.name: step.result for step in self.check.steps},
            "questions": self.questions,
            "findings": [each.as_json() for each in self.findings],
        }
        return self._without_addresses(content)

    def as_text(self) -> str:
        """Return the same for people."""
        told = self.as_json()
        lines = [
            f"First contact with {self.venue.label}, {told['day']}, Livermore {told['livermore']}",
            f"row of the preset {told['preset'] or '(none: another address)'}, "
            f"{told['symbol']}, {told['minutes']:g} minutes of the stream",
            "check: " + ", ".join(f"{name} {result}" for name, result in told["check"].items()),
        ]
        if (asked := len(told["findings"])) < self.questions:
            lines.append(f"only {asked} of {self.questions} questions were asked before it ended")
        for each in told["findings"]:
            lines += [
                "",
                f"{each['name']}: {each['verdict']}",
                f"  {each['question']}",
                f"  assumed: {each['assumed']}",
                f"  seen: {each['text']}",
            ]
            lines += [f"    {name}: {value}" for name, value in each["seen"].items()]
        return "\n".join(lines) + "\n"

    @property
    def _preset(self) -> str | None:
        """Return the preset whose addresses the row has, None where they are others."""
        row = self.exchange
        for preset in presets().values():
            ours = (preset.rest_url, preset.ws_url) == (row.rest_url, row.ws_url)
            if ours and preset.name in {each.name for each in self.venue.presets}:
                return preset.name
        return None

    def _without_addresses(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._without_addresses(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._without_addresses(each) for each in value]
        if not isinstance(value, str):
            return value
        for host in self._private_hosts():
            value = value.replace(host, A_HOST)
        return MAYBE_ADDRESS.sub(_without_address, value)

    def _private_hosts(self) -> Iterator[str]:
        """Yield the hosts that tell where somebody is: of a proxy, and of a row of one's own."""
        row = self.exchange
        if row.proxy:
            with suppress(Misconfigured):  # then nothing was sent through it
                yield read_proxy(row.proxy).host
        if self._preset is None:
            yield from hosts_in(row.rest_url, row.ws_url)


def _without_address(found: re.Match[str]) -> str:
    """Return what was found, or what stands for it where it is an address; a time is none."""
    text = found[0].rstrip(".:") if found[0] != "::" else found[0]
    try:
        ip_address(text)
    except ValueError:
        return found[0]
    return AN_ADDRESS + found[0][len(text) :]
