"""compose.yaml and Dockerfile, as far as they can be held to something without containers."""

import fnmatch
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import yaml
from django.core.management import get_commands

from livermore.web.limits.requests import CONNECTIONS, SPARE_DESCRIPTORS
from tests.handoff.units import read_unit
from tests.test_run import LEFT_OUT, ROOT, environment

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service.get("build")]
VARIABLE = re.compile(r"\$\{([A-Z_]+)")


def test_there_is_all_that_it_takes():
    assert SERVICES.keys() == {
        *("postgres", "valkey", "migrate", "web", "serve", "agent", "alerts", "history"),
        *("prometheus", "grafana"),
    }
    assert OURS == ["migrate", "web", "serve", "agent", "alerts", "history"]
    profiles = {name: each["profiles"] for name, each in SERVICES.items() if "profiles" in each}
    assert profiles == {
        "history": ["history"], "prometheus": ["observe"], "grafana": ["observe"],
    }  # fmt: skip


@pytest.mark.parametrize("name", OURS)
def test_our_commands_exist(name):
    program, *words = SERVICES[name]["command"]
    assert (program, words[0]) == ("python", "manage.py")
    assert words[1] in get_commands()


@pytest.mark.parametrize("name", ["web", "serve", "alerts", "history"])
def test_a_server_is_told_what_the_unit_tells_it(name):
    start = read_unit(ROOT / f"deploy/livermore-{name}.service")["Service"]["ExecStart"].split()
    of_containers = ("--bind", "--host", "0.0.0.0")
    words = [each for each in SERVICES[name]["command"] if each not in of_containers]
    assert words[1:] == start[1:]


def test_every_variable_is_documented():
    documented = re.findall(r"^\| `([A-Z_]+)` ", (ROOT / "docs/settings.md").read_text(), re.M)
    for name in OURS:
        assert SERVICES[name]["environment"].keys() <= set(documented)
    taken = set(VARIABLE.findall((ROOT / "compose.yaml").read_text()))
    assert taken == {"POSTGRES_PASSWORD", "LIVERMORE_REQUIREMENTS"}
    example = (ROOT / "deploy/livermore.env.example").read_text()
    assert "\n#POSTGRES_PASSWORD=\n" in example
    assert "\n#LIVERMORE_REQUIREMENTS=requirements-history.txt\n" in example


def test_secrets_come_from_a_file_and_only_ours_get_it():
    for name, service in SERVICES.items():
        assert service.get("env_file") == ("var/livermore.env" if name in OURS else None)
    assert "var" not in (ROOT / ".dockerignore").read_text()
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"


def test_each_waits_for_what_it_needs_and_only_this_machine_gets_in():
    for name in ("web", "serve", "agent", "alerts", "history"):
        needs = {needed: how["condition"] for needed, how in SERVICES[name]["depends_on"].items()}
        assert needs == {
            "postgres": "service_healthy",
            "valkey": "service_healthy",
            "migrate": "service_completed_successfully",
        }
    for name in ("postgres", "valkey", "web", "serve"):
        assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    published = {port for service in SERVICES.values() for port in service.get("ports", ())}
    assert published == {f"127.0.0.1:{port}:{port}" for port in (8000, 8010, 9090, 3000)}


def test_what_is_to_be_kept_is_in_a_volume_and_redis_evicts_nothing():
    kept = {volume.partition(":")[0] for s in SERVICES.values() for volume in s.get("volumes", ())}
    kept = {name for name in kept if not name.startswith("./")}
    assert kept == set(COMPOSE["volumes"])
    assert kept == {"postgres", "valkey", "history", "prometheus", "grafana"}
    options = SERVICES["valkey"]["command"]
    assert options[options.index("--maxmemory-policy") + 1] == "noeviction"
    assert options[options.index("--appendonly") + 1] == "yes"


def test_each_may_take_so_much_and_no_more():
    for service in SERVICES.values():
        assert {"mem_limit", "pids_limit"} <= service.keys()
    for name in OURS:
        assert SERVICES[name]["tmpfs"] == ["/tmp:size=64m"]
        assert SERVICES[name]["ulimits"]["nofile"] >= CONNECTIONS + SPARE_DESCRIPTORS


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
@pytest.mark.parametrize(("name", "path"), [("web", "/health/ready/"), ("serve", "/health/")])
def test_a_server_is_healthy_exactly_if_it_is_ready(name, path, status, healthy):
    class Ready(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path == path else 404)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Ready) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        _, *command = SERVICES[name]["healthcheck"]["test"]
        command = [re.sub(r":80[01]0/", f":{server.server_port}/", word) for word in command]
        done = subprocess.run([sys.executable, *command[1:]], capture_output=True)
        server.shutdown()
        thread.join()
    assert (done.returncode == 0) is healthy


LOOK = """
from django.contrib.staticfiles.finders import find
from django.core.management import call_command
from django.template.loader import get_template
call_command("check", fail_level="WARNING")
get_template("network/page.html")
print(find("network/page.js"), find("lightweight-charts/lightweight-charts.js"))
"""


def test_the_image_holds_all_that_the_project_needs(tmp_path):
    """What .dockerignore lets in is code, templates and static files."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    for name in [line[1:] for line in lines if line.startswith("!")]:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=LEFT_OUT)
        else:
            shutil.copy(ROOT / name, tmp_path)
    look = [sys.executable, "manage.py", "shell", "--no-imports", "--command", LOOK]
    env = environment() | {"REDIS_URL": "redis://valkey:6379/0"}
    done = subprocess.run(look, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith(f"{tmp_path}/static/network/page.js /")


def test_the_image_is_made_of_files_that_are_there():
    text = (ROOT / "Dockerfile").read_text()
    sources = re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE)
    assert sources == ["requirements.txt requirements-history.txt", "."]
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines()]
    for name in sources[0].split():
        assert any(fnmatch.fnmatch(name, each) for each in allowed)
    for name in OURS:
        chosen = "${LIVERMORE_REQUIREMENTS:-requirements.txt}"
        assert SERVICES[name]["build"]["args"] == {"REQUIREMENTS": chosen}
        assert SERVICES[name]["volumes"] == ["history:/srv/livermore/var/history"]
    assert "\nARG REQUIREMENTS=requirements.txt\n" in text
    assert "\nUSER livermore\n" in text
