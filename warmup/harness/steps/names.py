"""Where the hosts' names lead, and by which way an answer comes from there."""

from urllib.parse import urlsplit

from exchanges.adapters import route_to
from exchanges.errors import Misled, ProxyFailed
from exchanges.transport.addresses import addresses_of
from exchanges.transport.happy_eyeballs import family_of, silent_families
from exchanges.transport.proxies import read_proxy
from warmup.harness.facts import Facts, NoAnswer, within
from warmup.harness.report import Failed, Outcome

NAME_SECONDS = 10.0
PROXY_SECONDS = 10.0
FAMILY_SECONDS = 2.0  # more than a packet takes to anywhere and back, and once more
ADDRESSES_SHOWN = 3
PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}
REMEDY = "is this machine online? Check its name server, and the row's addresses"
Found = tuple[str, str | None]  # what, and a note


def check_names(facts: Facts) -> Outcome:
    """Resolve both hosts; no address may lead into a private network unasked.

    Where the row has a proxy that one resolves them, and is asked for a way to both.
    """
    look = _through_proxy if facts.exchange.proxy else _directly
    found: dict[tuple[str, int], Found] = {}
    faults: dict[str, Failed] = {}
    for need, url in (("rest", facts.exchange.rest_url), ("stream", facts.exchange.ws_url)):
        parts = urlsplit(url)
        place = parts.hostname or "", parts.port or PORTS[parts.scheme]
        try:
            if place not in found:
                found[place] = look(facts, *place)
        except Failed as failure:
            faults[need] = failure
    if faults:
        details = dict.fromkeys(fault.detail for fault in faults.values())
        remedies = dict.fromkeys(fault.remedy for fault in faults.values())
        raise Failed("; ".join(details), "; ".join(remedies), faults)
    details = dict.fromkeys(detail for detail, _ in found.values())
    notes = dict.fromkeys(note for _, note in found.values() if note)
    return Outcome("; ".join(details), "; ".join(notes) or None)


def _through_proxy(facts: Facts, host: str, port: int) -> Found:
    proxy = read_proxy(facts.exchange.proxy)
    if not facts.is_banned():
        try:
            route_to(facts.exchange).dial(host, port, PROXY_SECONDS).close()
        except ProxyFailed as error:
            raise Failed(error.fault, error.remedy) from error
        except Misled as error:
            raise Failed(error.fault, error.remedy) from error
    return f"{host}:{port} by the proxy {proxy}, which finds the address itself", None


def _directly(facts: Facts, host: str, port: int) -> Found:
    hosts = route_to(facts.exchange).hosts
    try:
        addresses = within(NAME_SECONDS, addresses_of, host, port, hosts)
    except Misled as error:
        raise Failed(error.fault, error.remedy) from error
    except (OSError, UnicodeError, NoAnswer) as error:
        reason = getattr(error, "strerror", None) or error
        raise Failed(f"{host} has no address: {reason}", REMEDY) from error
    text, note = _listed(host, addresses), None
    if len({*map(family_of, addresses)}) > 1 and not facts.is_banned():
        more, note = _families(facts, host, port, addresses)
        text += more
    return text, note


def _families(facts: Facts, host: str, port: int, addresses: list[str]) -> Found:
    """Return by which family of its addresses a host is reached, and which leads nowhere.

    Nothing is said where none leads anywhere: the steps that call it will.
    """
    try:
        with route_to(facts.exchange).dial(host, port, FAMILY_SECONDS) as wire:
            won = family_of(wire.getpeername()[0])
    except OSError:
        return "", None
    silent = silent_families(port, addresses, FAMILY_SECONDS)
    silent.pop(won, None)
    for family, reason in silent.items():
        return (
            f", {won} won, {family} is dead ({reason})",
            f"{family} leads nowhere from here: connections go by {won}, and each first one is a "
            "moment late; fix it on this machine or its router, or switch it off",
        )
    return f", {won} won, the other answers too", None


def _listed(host: str, addresses: list[str]) -> str:
    if addresses == [host]:
        return f"{host} is an address"
    more = len(addresses) - ADDRESSES_SHOWN
    shown = ", ".join(addresses[:ADDRESSES_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return f"{host} is {shown}"
