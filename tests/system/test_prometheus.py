"""Prometheus and its own tool read what a server tells."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import Server, pyfc, wait_until

SOURCE = """
def handler(event, context):
    if event == b"fail":
        raise ValueError("wanted")
    return event
"""
OPEN = {"Accept": "application/openmetrics-text; version=1.0.0"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "index.py").write_text(SOURCE)
    return folder


@pytest.fixture(scope="module")
def server(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(project, tmp_path_factory.mktemp("data"))
    for event in (b"", b"", b"fail"):
        server.invoke("default/index", event)
    yield server
    server.stop()


def token(server: Server) -> dict[str, str]:
    status, text, errors = pyfc("keys", "create", "--scope", "metrics", "--data-dir", str(server.data_dir))
    assert status == 0, errors
    return {"Authorization": f"Bearer {text.strip()}"}


def test_calls_are_told_and_the_tool_of_prometheus_finds_nothing_wrong(server: Server) -> None:
    answer = server.request("GET", "/metrics")

    text = answer.body.decode()
    assert server.request("GET", "/pyfc/prometheus").status == 200  # where a site has the other
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    names = 'service="default",function="index",qualifier="LATEST"'
    assert f'pyfc_invocations_total{{{names},outcome="success"}} 2\n' in text
    assert f'pyfc_invocations_total{{{names},outcome="function_error"}} 1\n' in text
    assert f"pyfc_invocation_duration_seconds_count{{{names}}} 3\n" in text
    assert f"pyfc_instances{{{names}" in text
    if shutil.which("promtool"):
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True)
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_request_ids_are_told_to_holders_of_a_key_alone(server: Server) -> None:
    without, owner = (
        server.request("GET", "/metrics", None, OPEN),
        server.request("GET", "/metrics", None, {**OPEN, **token(server)}),
    )

    assert without.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert b"request_id" not in without.body
    (told,) = set(re.findall(r'outcome="function_error"\} 1 # \{request_id="([0-9a-f-]+)"\}', owner.body.decode()))
    assert server.record(told)["fault"]["kind"] == "UNHANDLED"
    assert b"request_id" not in server.request("GET", "/metrics", None, token(server)).body  # the text has no place


def test_a_key_for_metrics_is_good_for_nothing_else_and_goes_when_it_is_revoked(server: Server) -> None:
    status, text, _ = pyfc("keys", "create", "--scope", "metrics", "--json", "--data-dir", str(server.data_dir))
    key = json.loads(text)
    bearer = {"Authorization": f"Bearer {key['secret']}"}
    signed = server.signed_headers("GET", "/pyfc/functions", {}, (key["id"], key["secret"]))

    assert status == 0
    assert server.request("GET", "/metrics", None, bearer).status == 200
    assert server.request("GET", "/pyfc/functions", None, signed).status == 403
    assert server.request("GET", "/pyfc/functions", None, bearer).status == 403
    pyfc("keys", "revoke", key["id"], "--data-dir", str(server.data_dir))
    assert server.request("GET", "/metrics", None, bearer).status == 403
    assert server.request("GET", "/metrics", None, {"Authorization": "Bearer \xff"}).status == 403


def test_on_an_address_that_others_reach_nothing_is_told_without_a_key(project: Path, tmp_path: Path) -> None:
    server = Server(project, tmp_path / "data", "--host", "0.0.0.0")
    try:
        refused = server.request("GET", "/metrics")
        assert (refused.status, b"pyfc keys create --scope metrics" in refused.body) == (403, True)
        assert server.request("GET", "/metrics", None, token(server)).status == 200
    finally:
        server.stop()


def test_pages_of_other_sites_are_told_nothing(server: Server) -> None:
    assert server.request("GET", "/metrics", None, {"Origin": "http://evil.example"}).status == 403
    assert server.request("GET", "/metrics", None, {"Host": "evil.example"}).status == 403


def test_nothing_is_told_where_nothing_is_kept(project: Path, tmp_path: Path) -> None:
    server = Server(project, tmp_path / "data", "--observe", "off")
    assert server.request("GET", "/metrics").status == 404
    server.stop()


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("prometheus"), reason="needs Debian's package prometheus")
def test_a_real_prometheus_scrapes_without_a_warning(server: Server, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(token(server)["Authorization"].removeprefix("Bearer "))
    (tmp_path / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 1s}}
scrape_configs:
- job_name: pyfc
  authorization: {{credentials_file: {tmp_path}/token}}
  static_configs: [{{targets: ["127.0.0.1:{server.port}"]}}]
""")
    log = tmp_path / "log"
    with log.open("w") as output:
        words = ["--web.listen-address=127.0.0.1:0", "--enable-feature=exemplar-storage", "--log.level=debug"]
        started = subprocess.Popen(
            ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/db", *words],
            stderr=output,
        )
    try:
        wait_until(lambda: "ready to receive web requests" in log.read_text(), "Prometheus")
        found = re.search(r'msg="Listening on" address=(\S+)', log.read_text())
        assert found

        def asked(path: str) -> Any:
            with urllib.request.urlopen(f"http://{found[1]}/api/v1/{path}") as answer:
                return json.load(answer)["data"]

        def total() -> Any:
            return asked("query?query=sum(pyfc_invocations_total)")["result"]

        assert float(wait_until(total, "a scrape", 30)[0]["value"][1]) == 3
        assert asked("query?query=up")["result"][0]["value"][1] == "1"
        exemplars = asked("query_exemplars?query=pyfc_invocations_total&start=0&end=9999999999")
        assert exemplars[0]["exemplars"][0]["labels"]["request_id"]
        wrong = [line for line in log.read_text().splitlines() if "level=warn" in line or "level=error" in line]
        assert wrong == []
    finally:
        started.terminate()
        started.wait()
