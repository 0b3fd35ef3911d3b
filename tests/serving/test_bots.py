"""The programs of docs/bots.md, as they stand there, against the sandbox."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from tests.serving.serving import served
from tests.warmup.harness.tls import TlsFront
from tests.warmup.runners import ROOT, SYMBOLS, chosen, make_row, running

pytestmark = pytest.mark.django_db(transaction=True)
PROGRAMS = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/bots.md").read_text(), re.M | re.S)


# cryptofeed needs Python 3.13; `.ci/run` names one that has it, where these tests run on an older.
CRYPTOFEED_PYTHON = os.environ.get("LIVERMORE_CRYPTOFEED_PYTHON", "")
NEWEST_PYTHON_ALONE = "" if CRYPTOFEED_PYTHON or sys.version_info >= (3, 13) else "cryptofeed"


def python_of(program):
    return CRYPTOFEED_PYTHON if CRYPTOFEED_PYTHON and "cryptofeed" in program else sys.executable


def test_all_programs_run_with_nothing_changed_but_the_address(redis, tmp_path):
    assert len(PROGRAMS) == 10
    left_out = [each for each in PROGRAMS if NEWEST_PYTHON_ALONE and "cryptofeed" in each]
    assert len(left_out) == (find_spec("cryptofeed") is None and not CRYPTOFEED_PYTHON)
    with SandboxServer(SandboxConfig(listings=chosen(SYMBOLS), speed=2)) as sandbox:
        row = make_row(sandbox)
        make_row(sandbox, name="coinbase")
        with (
            running(redis, row),
            served(redis) as url,
            TlsFront(url, tmp_path) as front,
        ):
            port = url.rpartition(":")[2]
            believed = {"SSL_CERT_FILE": front.certificate, "XDG_CACHE_HOME": str(tmp_path)}
            started = [
                subprocess.Popen(
                    [
                        python_of(program),
                        "-c",
                        program.replace("127.0.0.1:8010", f"127.0.0.1:{port}").replace(
                            "127.0.0.1:8443", f"127.0.0.1:{front.port}"
                        ),
                    ],
                    cwd=tmp_path,  # where some of them leave a log
                    env=os.environ | (believed if "wss://" in program else {}),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
                for program in PROGRAMS
                if program not in left_out
            ]
            for process in started:
                said, _ = process.communicate(timeout=100)
                assert process.returncode == 0, said
                assert re.search(r"17\d{11}", said), said
