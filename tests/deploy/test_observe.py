"""compose.yaml's profile `observe`: Prometheus and Grafana find what they are given."""

import json
import re

import pytest
import yaml

from tests.deploy.test_compose import COMPOSE, SERVICES
from tests.test_run import ROOT

DEPLOY = ROOT / "deploy"
GRAFANA = SERVICES["grafana"]


def mounted(service):
    """Return what a service has of the checkout, by where it finds it."""
    found = (volume.split(":") for volume in SERVICES[service]["volumes"])
    return {each[1]: ROOT / each[0] for each in found if each[0].startswith("./")}


def read(path):
    return yaml.safe_load((DEPLOY / path).read_text())


@pytest.mark.parametrize("service", ["prometheus", "grafana"])
def test_what_it_is_given_is_there_and_stays_as_it_is(service):
    assert all(path.exists() for path in mounted(service).values())
    for volume in SERVICES[service]["volumes"]:
        assert volume.endswith(":ro") or not volume.startswith("./")


def test_prometheus_asks_both_servers_with_the_token():
    found = read("prometheus/prometheus.yml")
    asked = {}
    for job in found["scrape_configs"]:
        [target] = job["static_configs"][0]["targets"]
        service, port = target.split(":")
        command = SERVICES[service]["command"]
        assert command[command.index("--port") + 1] == port
        asked[service] = job["authorization"]["credentials_file"].removeprefix("/run/secrets/")
    assert asked == dict.fromkeys(("web", "serve"), "livermore-metrics-token")
    assert SERVICES["prometheus"]["secrets"] == ["livermore-metrics-token"]
    [rules] = found["rule_files"]
    assert (mounted("prometheus")["/etc/prometheus"] / rules).is_file()


def test_secrets_are_variables_of_the_settings_file_and_are_nowhere_else():
    example = (DEPLOY / "livermore.env.example").read_text()
    for secret in COMPOSE["secrets"].values():
        assert f"\n#{secret['environment']}=\n" in example
    text = (ROOT / "compose.yaml").read_text()
    assert not re.search(r"\$\{(GRAFANA_PASSWORD|LIVERMORE_METRICS_TOKEN)", text)
    password = GRAFANA["environment"]["GF_SECURITY_ADMIN_PASSWORD__FILE"]
    assert password.removeprefix("/run/secrets/") in GRAFANA["secrets"]


def test_grafana_finds_prometheus_and_the_dashboard():
    [source] = read("grafana/provisioning/datasources/livermore.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert source["type"] == "prometheus" and source["isDefault"]
    [provider] = read("grafana/provisioning/dashboards/livermore.yml")["providers"]
    [(found, path)] = [
        (place, path) for place, path in mounted("grafana").items() if place.endswith(".json")
    ]
    assert found.startswith(provider["options"]["path"] + "/")
    assert GRAFANA["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == found
    assert json.loads(path.read_text())["uid"] == "livermore"
    assert mounted("grafana")["/etc/grafana/provisioning"] == DEPLOY / "grafana/provisioning"
