"""Alerts and the Grafana dashboard: what they name exists, and Prometheus' own tool finds nothing wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.daemon.metric_families import Families
from bot.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "config" / "prometheus"
GRAFANA = ROOT / "config" / "grafana"
RULES: dict[str, Any] = yaml.safe_load((PROMETHEUS / "rules" / "bot.yml").read_text())
CASES: dict[str, Any] = yaml.safe_load((PROMETHEUS / "tests" / "bot.yml").read_text())
ALERTS: list[dict[str, Any]] = [rule for group in RULES["groups"] for rule in group["rules"]]
BOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "bot.json").read_text())
PANELS: list[dict[str, Any]] = BOARD["panels"]
FIGURE = re.compile(r"\b(?:bot|process)_[a-z0-9_]+")
MATCHER = re.compile(r"\b((?:bot|process)_[a-z0-9_]+)\{([^}]*)\}")
METRICS_PAGE = (ROOT / "docs" / "metrics.md").read_text()


def known_figures() -> dict[str, set[str]]:
    """Every series that the daemon's page can have, with its labels; those that Prometheus adds are everybody's."""
    families = Families()
    known: dict[str, set[str]] = {}
    for family in families.registry.collect():
        made = families.registry._names_to_collectors.get(family.name)
        labels = {*getattr(made, "_labelnames", ()), "job", "instance"}
        name = f"{family.name}_total" if family.type == "counter" else family.name
        known[name] = labels
        if family.type == "histogram":
            known |= {f"{name}_bucket": labels | {"le"}, f"{name}_count": labels, f"{name}_sum": labels}
    return known


def faults_of(expression: str) -> list[str]:
    """Figures of an expression that do not exist, and labels that they do not have."""
    known = known_figures()
    faults = [name for name in FIGURE.findall(expression) if name not in known]
    for name, inner in MATCHER.findall(expression):
        asked = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", inner))
        faults += [f"{name}{{{label}}}" for label in asked - known.get(name, asked)]
    return faults


def expressions_of_board() -> Iterator[str]:
    """Every expression of the dashboard."""
    for panel in PANELS:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (one["expr"] for one in BOARD["annotations"]["list"])


def promtool() -> str:
    """Prometheus' tool: the one that PROMTOOL names, or the one on the PATH; skips where there is none."""
    found = os.environ.get("PROMTOOL") or shutil.which("promtool")
    if not found:
        pytest.skip("promtool is not installed (Debian's package prometheus has it; PROMTOOL names another)")
    return found


def ask(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool."""
    return subprocess.run([promtool(), *words], capture_output=True, text=True, timeout=120, check=False)


# --- alerts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_names_figures_that_exist_and_says_what_to_do(alert: dict[str, Any]) -> None:
    """Figures and labels are the daemon's; severity, summary and description are there."""
    assert faults_of(alert["expr"]) == []
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert set(alert["annotations"]) == {"summary", "description"}


def test_a_wrong_figure_and_a_wrong_label_are_found() -> None:
    """The finder of faults knows one when it sees one."""
    assert faults_of("bot_candle_age_secs > 1") == ["bot_candle_age_secs"]
    assert faults_of('bot_orders_total{state="x"} > 1') == ["bot_orders_total{state}"]
    assert faults_of('rate(bot_inference_seconds_bucket{le="1",job="bot"}[5m])') == []


def test_every_alert_is_tried_both_ways_and_told_once() -> None:
    """Promtool's cases see each fire, and a case in which a healthy bot fires none; no name comes twice."""
    names = [alert["alert"] for alert in ALERTS]
    assert len(set(names)) == len(names)
    fired = set()
    quiet = False
    for case in CASES["tests"]:
        for check in case.get("promql_expr_test", ()):
            quiet = quiet or (case["name"].startswith("a healthy bot") and check["exp_samples"] == [])
            fired |= {re.findall(r'alertname="(\w+)"', one["labels"])[0] for one in check["exp_samples"]}
    assert fired == set(names)
    assert quiet


def test_the_cases_play_figures_that_exist() -> None:
    """A case on a figure that nobody writes would prove nothing; `up` is Prometheus' own."""
    for case in CASES["tests"]:
        for series in case["input_series"]:
            if not series["series"].startswith("up{"):
                assert faults_of(series["series"]) == []


def test_the_page_lists_every_alert() -> None:
    """docs/metrics.md has a row for each alert, with its severity, and none that there is not."""
    rows = re.findall(r"^\| `([A-Z]\w+)` \| (\w+) \|", METRICS_PAGE, re.MULTILINE)
    assert dict(rows) == {alert["alert"]: alert["labels"]["severity"] for alert in ALERTS}
    assert len(rows) == len(ALERTS)


def test_limits_in_alerts_are_below_those_that_act() -> None:
    """A drawdown and a day's loss are told before the shipped limits stop trading."""
    risk = Settings().risk
    by_name = {alert["alert"]: alert["expr"] for alert in ALERTS}
    drawdown = float(by_name["DrawdownDeep"].partition(">")[2])
    loss = -float(by_name["DayLossLarge"].partition("<")[2])
    assert 0 < drawdown < risk.max_drawdown_fraction
    assert 0 < loss < risk.max_daily_loss_fraction


def test_promtool_finds_rules_and_configuration_right() -> None:
    """`promtool check rules` and `check config` are content."""
    rules = ask("check", "rules", PROMETHEUS / "rules" / "bot.yml")
    assert rules.returncode == 0, rules.stderr
    assert f"{len(ALERTS)} rules found" in rules.stdout
    config = ask("check", "config", "--syntax-only", PROMETHEUS / "prometheus.yml")
    assert config.returncode == 0, config.stderr


def test_promtool_plays_the_cases() -> None:
    """`promtool test rules`: every alert fires when it should, and not when it should not."""
    played = ask("test", "rules", PROMETHEUS / "tests" / "bot.yml")
    assert played.returncode == 0, played.stdout + played.stderr


def test_prometheus_asks_the_bot_with_its_token() -> None:
    """The job is called as the rules call it, and finds bot and token where compose.yaml has them."""
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    (job,) = [one for one in config["scrape_configs"] if one["job_name"] == "bot"]
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    name, _, port = job["static_configs"][0]["targets"][0].partition(":")
    assert services[name]["environment"]["BOT__CONTROL__PORT"] == port
    assert job["authorization"]["credentials_file"] == "/var/lib/bot/control.token"
    assert [(PROMETHEUS / one).is_file() for one in config["rule_files"]] == [True]


# --- Grafana ----------------------------------------------------------------------------------------------


def test_every_expression_of_the_dashboard_names_figures_that_exist() -> None:
    """No panel is empty for a name that nobody writes."""
    expressions = list(expressions_of_board())
    assert len(expressions) > 40
    assert {expression: faults for expression in expressions if (faults := faults_of(expression))} == {}


def test_every_expression_of_the_dashboard_is_promql(tmp_path: Path) -> None:
    """Promtool reads each of them, with Grafana's variables filled in."""
    rules = [
        {
            "record": f"panel:number:{number}",
            "expr": expression.replace("$instance", ".+").replace("$__range", "1h"),
        }
        for number, expression in enumerate(expressions_of_board())
    ]
    file = tmp_path / "board.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": rules}]}))
    checked = ask("check", "rules", file)
    assert checked.returncode == 0, checked.stderr
    assert f"{len(rules)} rules found" in checked.stdout


def test_every_figure_is_on_the_dashboard() -> None:
    """What the daemon measures can be seen: each family is in some panel."""
    shown = " ".join(expressions_of_board())
    families = [family.name for family in Families().registry.collect()]
    assert [
        name for name in families if not re.search(rf"\b{name}(_total|_bucket|_sum|_count)?\b", shown)
    ] == []


def test_panels_have_their_own_place_and_number() -> None:
    """Ids differ, nothing overlaps or leaves the 24 columns, and each panel says what it shows."""
    taken: set[tuple[int, int]] = set()
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        at = panel["gridPos"]
        assert at["x"] >= 0
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["title"]
            assert panel["description"]
            assert panel["targets"]


def test_the_data_source_is_provisioned_and_the_dashboard_uses_it() -> None:
    """Every panel asks the variable, whose default is the provisioned Prometheus of compose.yaml."""
    (source,) = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    variables = {one["name"]: one for one in BOARD["templating"]["list"]}
    assert variables["datasource"]["current"]["value"] == source["uid"]
    assert variables["datasource"]["query"] == source["type"] == "prometheus"
    for panel in PANELS:
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    host, _, port = source["url"].removeprefix("http://").partition(":")
    assert host in services
    assert services[host]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_dashboards_are_found_where_compose_mounts_them() -> None:
    """The provider's folder is the mounted one, and Grafana can't change what is in version control."""
    (provider,) = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "bot.yml").read_text())[
        "providers"
    ]
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert f"./config/grafana/dashboards:{provider['options']['path']}:ro" in services["grafana"]["volumes"]
    assert provider["allowUiUpdates"] is False
