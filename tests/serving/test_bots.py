"""The programs of docs/bots.md, as they stand there, against the sandbox."""

import os
import re
import subprocess
import sys

import pytest

from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from tests.serving.serving import served
from tests.warmup.runners import ROOT, SYMBOLS, chosen, make_row, running

pytestmark = pytest.mark.django_db(transaction=True)
PROGRAMS = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/bots.md").read_text(), re.M | re.S)


def test_all_programs_run_with_nothing_changed_but_the_address(redis):
    assert len(PROGRAMS) == 4
    with SandboxServer(SandboxConfig(listings=chosen(SYMBOLS), speed=2)) as sandbox:
        row = make_row(sandbox)
        with running(redis, row), served(redis) as url:
            port = url.rpartition(":")[2]
            programs = [each.replace("127.0.0.1:8010", f"127.0.0.1:{port}") for each in PROGRAMS]
            started = [
                subprocess.Popen(
                    [sys.executable, "-c", program],
                    env=os.environ,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
                for program in programs
            ]
            for process in started:
                said, _ = process.communicate(timeout=100)
                assert process.returncode == 0, said
                assert re.search(r"17\d{11}", said), said
