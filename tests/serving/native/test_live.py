"""What a running exchange tells, held to the document."""

import io

import orjson
import pyarrow as pa
import pytest
import requests

from tests.serving.native.described import check, check_answer, response_to
from tests.serving.serving import served
from tests.warmup.runners import MIDNIGHT_MS, make_row, running, serve, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
ARROW, MINUTE = "application/vnd.apache.arrow.stream", 60_000
PAIR = {"exchange": "sandbox", "symbol": "BTC-USD", "timeframe": "1m"}


def first_close(url):
    """Return the first close that comes: its id and its content."""
    params = {"exchange": "sandbox", "symbols": "BTC-USD", "timeframes": "1m"}
    with requests.get(f"{url}/v1/events", params=params, stream=True, timeout=30) as answer:
        block = {}
        for line in answer.iter_lines(decode_unicode=True):
            name, _, value = line.partition(": ")
            block[name] = value
            if not line:
                if block.get("event") == "close":
                    return block["id"], orjson.loads(block["data"])
                block = {}
    raise AssertionError("it ended without a close")


def test_what_a_running_exchange_tells_is_as_the_document_says(redis):
    with serve(speed=10, start_ms=MIDNIGHT_MS + 50_000) as sandbox:
        row = make_row(sandbox)
        with running(redis, row), served(redis) as url:
            entry_id, close = first_close(url)
            kinds = response_to("/v1/events", 200)["content"]["text/event-stream"]["x-events"]
            check(close, kinds["close"])
            check(entry_id, {"type": "string", "pattern": r"^\d+-\d+$"})

            def ask(path, accept="*/*", **params):
                answer = requests.get(
                    f"{url}{path}", params=params, headers={"Accept": accept}, timeout=20
                )
                assert answer.status_code == 200, answer.text
                check_answer(path, 200, answer.headers, answer.content)
                return answer

            content = ask("/v1/candles", **PAIR, limit=20, open=1).json()
            rows = {each[0]: each for each in content["candles"]}
            told = [close[name] for name in content["columns"]]
            assert told == rows[close["timestamp"]]
            assert None not in told
            body = ask("/v1/candles", ARROW, **PAIR, start=min(rows), end=max(rows) + 1).content
            table = pa.ipc.open_stream(io.BytesIO(body)).read_all()
            assert table["quoteVolume"].to_pylist() == [rows[each][6] for each in sorted(rows)]

            def is_current():
                found = ask("/v1/macd-v", exchange="sandbox", timeframes="1h").json()["values"]
                return {each["current"] for each in found} == {True}

            wait_until(is_current)
            status = ask("/v1/status", exchange="sandbox").json()
            assert (status["state"], status["streamed"]) == ("active", True)
            for path in ("/v1/exchanges", "/v1/symbols"):
                ask(path, **({"exchange": "sandbox"} if "exchanges" not in path else {}))
