"""A real Prometheus asks a real address, and answers what each panel asks with data."""

import json
import os
import shutil
import subprocess
import threading
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.fixtures.ports import free_port
from tests.observe import dashboard
from tests.observe.promtool import REQUIRED
from tests.observe.table import read_table
from tests.warmup.runners import wait_until

TABLE = read_table()
CONFIG = """\
scrape_configs:
  - job_name: livermore
    scrape_interval: 1s
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
VARIABLES = {"$exchange": "sandbox", "$__rate_interval": "1m"}
VALUES = {"exchange": "sandbox", "exchanges": "sandbox", "state": "active", "severity": "critical"}


def exposition():
    """Return a sample of each metric of the table, in Prometheus's text format."""
    lines = []
    for row in TABLE.values():
        lines.append(f"# TYPE {row.name} {row.kind}")
        labels = ",".join(f'{label}="{VALUES.get(label, "a")}"' for label in row.labels)
        if row.kind == "histogram":
            for bound, count in (("0.1", 9), ("+Inf", 10)):
                lines.append(f'{row.name}_bucket{{{labels},le="{bound}"}} {count}')
            lines += [f"{row.name}_sum{{{labels}}} 1", f"{row.name}_count{{{labels}}} 10"]
        else:
            lines.append(f"{row.name}{{{labels}}} 1")
    return "\n".join(lines) + "\n"


class Scraped(BaseHTTPRequestHandler):
    count = 0

    def do_GET(self):
        type(self).count += 1
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(exposition().encode())

    def log_message(self, *arguments):
        pass


@pytest.fixture
def ask(tmp_path):
    """A Prometheus that has scraped twice, which `rate` needs: ask it something."""
    program = shutil.which("prometheus")
    if program is None:
        refuse = pytest.fail if os.environ.get(REQUIRED) == "required" else pytest.skip
        refuse("no prometheus on the PATH: apt-get install prometheus")
    with ThreadingHTTPServer(("127.0.0.1", 0), Scraped) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (tmp_path / "prometheus.yml").write_text(CONFIG.format(port=server.server_port))
        address = f"127.0.0.1:{free_port()}"
        process = subprocess.Popen(
            [
                program,
                f"--config.file={tmp_path}/prometheus.yml",
                f"--storage.tsdb.path={tmp_path}/data",
                f"--web.listen-address={address}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

        def ask(expression):
            url = f"http://{address}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]["result"]

        try:
            wait_until(lambda: Scraped.count >= 3, 30)
            yield ask
        finally:
            process.kill()
            process.wait()
            server.shutdown()


def test_each_panel_has_data_where_there_is_some(ask):
    empty = []
    for panel in dashboard.dashboard(TABLE)["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"]
            for variable, value in VARIABLES.items():
                expression = expression.replace(variable, value)
            if "ALERTS{" not in expression and not ask(expression):
                empty.append((panel["title"], expression))
    assert empty == []
