"""On the way to the exchange: encryption, and what time it is there."""

import time

from exchanges.errors import LivermoreError, Misconfigured, ProxyFailed, Unreachable
from exchanges.stream.connection import Connection
from exchanges.transport.certificates import trusted
from warmup.harness.facts import Facts, NoAnswer
from warmup.harness.report import Failed, Outcome, Result

UNENCRYPTED = (
    "a firewall or a proxy that looks into encrypted traffic, a certificate that is not this "
    "host's, or this machine's date: compare with `curl -v` of the address; a CA that the system "
    "doesn't know goes into LIVERMORE_CA_FILE"
)
CONNECT_SECONDS = 12.0  # a little longer than a connection takes to give up by itself
# Signed calls are refused from here on: some exchanges take none from a second ahead.
LONGEST_SKEW_MS = 1000
CLOCK_CALLS, GOOD_CALL_MS = 3, 200
# How a WebSocket's handshake fails that got as far as an answer, so through TLS.
ANSWERED = ("Handshake status", "answered HTTP")


def check_encryption(facts: Facts) -> Outcome:
    """Shake hands where the address is encrypted, as every call and connection does."""
    told, faults = [], {}
    trust = _trust(facts)
    if facts.exchange.rest_url.startswith("https:"):
        told.append("REST")
        if fault := _rest_fault(facts):
            faults["rest"] = f"REST: {fault}"
    if facts.exchange.ws_url.startswith("wss:") and not facts.is_banned():
        told.append("WebSocket")
        if fault := _stream_fault(facts):
            faults["stream"] = f"WebSocket: {fault}"
    if faults:
        raise Failed(
            "; ".join(faults.values()),
            f"{UNENCRYPTED} (believed now: {trust})",
            faults,
        )
    if not told:
        text = "both addresses are plain, as those in LIVERMORE_PRIVATE_EXCHANGE_HOSTS may be"
        return Outcome(text, result=Result.SKIP)
    return Outcome(
        f"{' and '.join(told)}: encrypted, and the certificate is the host's; believed: {trust}"
    )


def _trust(facts: Facts) -> str:
    """Return whose certificates are believed. Raises Failed where that can't be had."""
    urls = {"rest": facts.exchange.rest_url, "stream": facts.exchange.ws_url}
    encrypted = [need for need, url in urls.items() if url.startswith(("https:", "wss:"))]
    try:
        return trusted() if encrypted else ""
    except Misconfigured as error:
        raise Failed(error.fault, error.remedy, encrypted) from error


def _rest_fault(facts: Facts) -> str | None:
    rest = facts.rest
    try:
        facts.ask(rest.server_time_ms)
    except LivermoreError as error:
        if not rest.client.calls:
            raise  # a ban or a pause: nothing was sent, so nothing is known
        # Whatever else it says, it was said through an encrypted connection.
        cause = error.__cause__
        # One of ours as the cause says that something was answered.
        is_cut_off = isinstance(cause, NoAnswer) or not isinstance(cause, LivermoreError)
        is_unreachable = isinstance(error, Unreachable) and cause is not None and is_cut_off
        return str(error) if is_unreachable or isinstance(error, ProxyFailed) else None
    return None


def _stream_fault(facts: Facts) -> str | None:
    stream = facts.stream()
    connection = Connection(stream, ())
    connection.start()
    deadline = time.monotonic() + CONNECT_SECONDS
    try:
        while time.monotonic() < deadline:
            if connection.accepted.is_set():
                return None
            if connection.ended.wait(0.05):
                reason = connection.reason
                return None if any(text in reason for text in ANSWERED) else reason
        return f"nothing came within {CONNECT_SECONDS:g} s"
    finally:
        connection.close()
        connection.join(1.0)


def check_clock(facts: Facts) -> Outcome:
    """Compare this machine's clock with the exchange's, by the quickest of a few calls."""
    calls = []
    for _ in range(CLOCK_CALLS):
        calls.append(_ask_time(facts))
        if calls[-1][0] < GOOD_CALL_MS:
            break
    took_ms, ahead_ms = min(calls)
    half_ms = took_ms / 2 + _half_step_ms(facts)
    facts.ahead_ms = ahead_ms
    way = "behind" if ahead_ms > 0 else "ahead of"
    text = (
        f"this machine's clock is {abs(ahead_ms) / 1000:.2f} s {way} the exchange's, "
        f"± {half_ms / 1000:.2f} s"
    )
    if abs(ahead_ms) - half_ms > LONGEST_SKEW_MS:
        raise Failed(
            text,
            "let this machine take the time from the network (`timedatectl set-ntp true`): signed "
            "calls are refused; candles are safe, as the exchange's clock decides what is closed",
        )
    return Outcome(text)


def _ask_time(facts: Facts) -> tuple[float, float]:
    """Return how long a call took, and how far the exchange is ahead of us, in ms."""
    sent_ms, sent = time.time() * 1000, time.monotonic()
    theirs_ms = facts.ask(facts.rest.server_time_ms)
    took_ms = 1000 * (time.monotonic() - sent)
    return took_ms, theirs_ms + _half_step_ms(facts) - sent_ms - took_ms / 2


def _half_step_ms(facts: Facts) -> float:
    """Return how exact the time is that the exchange tells."""
    return (facts.rest.time_step_ms - 1) / 2
