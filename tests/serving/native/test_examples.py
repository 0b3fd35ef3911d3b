"""The examples of docs/api.md, as they stand there, against a server."""

import os
import re
import shutil
import subprocess
import sys
import time

import orjson
import pytest

from livermore.market import keys
from tests.serving.conftest import Filled, FixedDirectory, say_streamed
from tests.serving.native.described import check, check_answer, operations
from tests.serving.native.test_events import tell
from tests.serving.serving import served
from tests.test_run import ROOT
from tests.warmup.runners import wait_until

TEXT = (ROOT / "docs/api.md").read_text()
CURLS = re.findall(r"^```sh\n(curl .*)\n```", TEXT, re.M)
PROGRAMS = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)
SHOWN = re.findall(r"^```json\n(.*?)^```", TEXT, re.M | re.S)
STARTS = r"start=[^&]*&end=[^&']*"


@pytest.fixture
def url(redis):
    """Serve a pair's past."""
    Filled(redis)
    say_streamed(redis)
    with served(redis, directory=FixedDirectory()) as address:
        yield address


def path_of(command):
    return re.search(r"8010(/v1/[a-z.-]+)", command)[1]


def test_each_path_has_its_example():
    assert {path_of(each) for each in CURLS} == set(operations())
    assert len(PROGRAMS) == 2


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl")
@pytest.mark.parametrize("command", [each for each in CURLS if "events" not in each])
def test_a_command_gets_what_the_document_says(url, command):
    start = int(time.time() * 1000) - 50 * 3_600_000
    run = re.sub(STARTS, f"start={start}&end={start + 12 * 3_600_000}", command)
    run = run.replace("http://127.0.0.1:8010", url).replace("curl ", "curl -sS --include ")
    said = subprocess.run(["sh", "-c", run], capture_output=True, timeout=30, check=True).stdout
    head, _, body = said.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(each.split(": ", 1) for each in lines)
    assert first.split()[1] == "200", said
    check_answer(path_of(command), 200, headers, body)
    if "limit=5" in command:
        assert orjson.loads(body)["next"]


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl")
def test_the_command_for_events_shows_closes(url, redis):
    (command,) = [each for each in CURLS if "events" in each]
    run = "exec " + command.replace("http://127.0.0.1:8010", url).replace("curl ", "curl -sS ")
    with subprocess.Popen(["sh", "-c", run], stdout=subprocess.PIPE, text=True) as process:
        try:
            lines = iter(process.stdout.readline, "")
            assert next(lines) == "retry: 3000\n"
            entry_id = tell(redis, 0)
            assert next(each for each in lines if each.startswith("event:")) == "event: close\n"
            assert entry_id
        finally:
            process.terminate()


def test_the_program_that_reads_arrow_prints_the_newest_close(url):
    (program,) = [each for each in PROGRAMS if "pyarrow" in each]
    assert re.fullmatch(r"101\.\d+ True", started(program, url).communicate(timeout=60)[0].strip())


def test_the_program_that_follows_closes_prints_one(url, redis):
    (program,) = [each for each in PROGRAMS if "Last-Event-ID" in each]
    process, number = started(program, url), iter(range(10_000))

    def is_told():
        close = {"symbol": "BTC-USD", "timeframe": "1m", "timestamp": next(number), "close": 1.5}
        redis.xadd(keys.events(4), {"event": orjson.dumps(close)})
        return process.poll() is not None

    wait_until(is_told)
    assert re.fullmatch(r"BTC-USD \d+ 1\.5", process.communicate(timeout=20)[0].strip())


def started(program, url):
    program = program.replace("http://127.0.0.1:8010", url)
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_what_is_shown_is_of_the_form_that_is_answered():
    candles, error = map(orjson.loads, SHOWN)
    check(candles, {"$ref": "#/components/schemas/Candles"})
    check(error, {"$ref": "#/components/schemas/Error"})
