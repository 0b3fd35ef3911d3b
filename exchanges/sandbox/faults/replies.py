"""What faults do to the answer of one REST call."""

from collections.abc import Iterable
from contextlib import suppress

import orjson

from exchanges.sandbox.faults.fault import Fault
from exchanges.sandbox.faults.listings import spoil_listing
from exchanges.sandbox.faults.rows import CandleRows, leave_out, spoil
from exchanges.sandbox.protocol import Endpoint, Protocol, Rest
from exchanges.sandbox.server.calls import Call, Reply, as_page
from exchanges.sandbox.server.request_log import CandleRequest
from livermore.market.timeframe import Timeframe


def at_its_time(endpoint: Endpoint, call: Call, faults: Iterable[Fault]) -> Call:
    """Return a call as one made when the answer's time is, which may be off or late."""
    off_ms = sum(fault.ms for fault in faults if fault.kind == "time")
    if endpoint.candles:
        off_ms -= sum(int(fault.seconds * 1000) for fault in faults if fault.kind == "late")
    return call._replace(now_ms=call.now_ms + off_ms)


def spoilt(
    protocol: Protocol, rest: Rest, endpoint: Endpoint, fault: Fault, reply: Reply, call: Call
) -> Reply:
    """Return what is answered in place of a reply, or the reply, changed."""
    if fault.kind == "status" and fault.text is not None:
        return as_page(fault.text, fault.status)
    if fault.kind == "status":
        return rest.failure(fault.status, fault.retry_after, call.now_ms)
    if fault.kind == "refused_key":
        return rest.failure(401, None, call.now_ms)
    if fault.kind == "html200":
        return as_page("Just a moment...", 200)
    if fault.kind == "truncated" and fault.cut == "json":
        reply.body = reply.body[: len(reply.body) // 2]
    if reply.status == 200:
        with suppress(orjson.JSONDecodeError):  # another fault has broken it already
            _spoil_content(protocol, endpoint, fault, reply, call)
    return reply


def _spoil_content(
    protocol: Protocol, endpoint: Endpoint, fault: Fault, reply: Reply, call: Call
) -> None:
    if fault.kind in _OF_ROWS and endpoint.candles:
        content = orjson.loads(reply.body)
        form = protocol.candle_rows
        _OF_ROWS[fault.kind](form.rows_in(content), fault, form, endpoint.candles(call))
    elif fault.kind == "listing" and endpoint.listing:
        content = orjson.loads(reply.body)
        spoil_listing(content, endpoint.listing, fault.way, fault.chance, fault.listed)
    elif fault.kind == "limits" and fault.way in endpoint.odd_limits:
        content = orjson.loads(reply.body)
        endpoint.odd_limits[fault.way](content)
    else:
        return
    reply.body = orjson.dumps(content)


def _leave_out(rows: list, fault: Fault, form: CandleRows, asked: CandleRequest) -> None:
    rows[:] = leave_out(rows, fault.open_times, form, fault.chance)


def _spoil(rows: list, fault: Fault, form: CandleRows, asked: CandleRequest) -> None:
    at = fault.row
    if fault.open_time is not None:
        times = [form.time_ms(row) for row in rows]
        if fault.open_time not in times:
            return
        at = times.index(fault.open_time)
    spoil(rows, fault.way, at, form)


def _empty(rows: list, fault: Fault, form: CandleRows, asked: CandleRequest) -> None:
    rows.clear()


def _leave_out_late(rows: list, fault: Fault, form: CandleRows, asked: CandleRequest) -> None:
    """Leave out what had not ended when the answer's time was; it may stay as it was then."""
    ended_ms = asked.arrived_ms - int(fault.seconds * 1000) - Timeframe(str(asked.timeframe)).ms
    if fault.way == "missing":
        rows[:] = [row for row in rows if form.time_ms(row) <= ended_ms]


_OF_ROWS = {"holes": _leave_out, "bad_rows": _spoil, "empty": _empty, "late": _leave_out_late}
