"""FC's official layers: packages that are installed, programs that this machine has, and what cannot be had."""

from __future__ import annotations

import asyncio
import json
import shutil
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from test_build import offline, wheel, write

from pyfc.app import App
from pyfc.build.official import name_of, packages_of, programs_of, stand_in
from pyfc.settings import Settings
from support import Server, pyfc, zipped

__all__ = ["offline"]
ARN = "acs:fc:cn-hangzhou:official:layers/{}/versions/2"
NAMES = ("Python3-Flask2x", "Nginx", "Nodejs-Puppeteer17x")


def test_official_layers_have_an_arn_or_a_name_and_no_other_layer_has() -> None:
    for name in ("Python3-Flask2x", "Nodejs20", "Nginx", "Unheard-Of"):
        assert name_of(ARN.format(name)) == name
    assert name_of("Python3-Flask2x") == "Python3-Flask2x"
    for other in ("acs:fc:r:1:layers/Nginx/versions/1", "hash#Nginx#1", "mine", "Unheard-Of"):
        assert name_of(other) == ""
    assert packages_of(ARN.format("Nginx")) is None


def test_what_stands_in_for_a_layer_of_a_program_is_this_machines() -> None:
    layer = ARN.format("Java17")

    assert stand_in(layer, lambda name: f"/usr/bin/{name}").endswith("/usr/bin/java of this machine stands in for it")
    assert stand_in(layer, lambda _: None).endswith("java, installed on this machine, would stand in for it")
    assert "pyfc does not know what it holds" in stand_in(ARN.format("ArmsAgent271x"))


def test_a_program_lies_where_the_layer_of_fc_has_it() -> None:
    def find(name: str) -> str | None:
        return None if name == "npx" else f"/usr/own bin/{name}"

    node = programs_of(ARN.format("Nodejs20"), find)
    assert node["nodejs20/bin/node"] == b"#!/bin/sh\nexec '/usr/own bin/node' \"$@\"\n"
    assert set(node) == {"nodejs20/bin/node", "nodejs20/bin/npm"}
    assert set(programs_of(ARN.format("PHP81-Debian10"), find)) == {"php8.1/bin/php", "php8.1/bin/php-cgi"}
    assert b"mkdir -p /var/lib/nginx" in programs_of(ARN.format("Nginx"), find)["bin/nginx"]
    for name in ("Python39", "Unheard-Of", "Python3-Flask2x"):
        assert programs_of(ARN.format(name), find) == {}
    assert programs_of(ARN.format("Java17"), lambda _: None) == {}


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_a_function_starts_the_program_of_an_official_layer_by_its_path(serve: Callable[..., Server]) -> None:
    text = "props: {functionName: a, runtime: python3, handler: index.handler, code: ./, layers: [Nodejs20]}"
    code = (
        "import subprocess\n"
        "def handler(event, context):\n"
        "    return subprocess.check_output(['/opt/nodejs20/bin/node', '-p', '6*7', 'two words'])\n"
    )

    server = serve({"s.yaml": f"resources: {{a: {{component: fc3, {text}}}}}", "index.py": code})

    assert server.invoke("default/a").body == b"42\n"
    made = {"functionName": "b", "runtime": "python3", "handler": "index.handler", "layers": [ARN.format("Nodejs20")]}
    answer = server.manage("POST", NEWER, {**made, "code": {"zipFile": zipped({"index.py": code})}})
    assert answer.status == 200, answer.body
    assert server.invoke("default/b").body == b"42\n"


def test_a_program_that_does_not_look_into_a_layer_of_packages_is_told_by_what_it_finds_it(
    offline: Path, serve: Callable[..., Server]
) -> None:
    flask(offline)
    files = {"bootstrap": "#!/bin/sh\n", "index.py": "def handler(event, context): pass\n"}
    told = {"code": "./", "handler": "index.handler", "layers": ["Python3-Flask2x"]}
    functions: dict[str, dict[str, Any]] = {
        "blind": {**told, "runtime": "custom"},
        "looks": {**told, "runtime": "custom", "environmentVariables": {"PYTHONPATH": "/code:/opt/python"}},
        "python": {**told, "runtime": "python3"},
    }
    resources = {name: {"component": "fc3", "props": {"functionName": name, **one}} for name, one in functions.items()}

    server = serve({**files, "s.yaml": json.dumps({"resources": resources})})
    notes = [note for note in server.ready["notes"] if "Flask2x" in note]

    assert [note.partition(" has official layer")[0] for note in notes] == ["warning: function default/blind"]
    assert notes[0].endswith("does not set PYTHONPATH=/opt/python, by which it finds it")


def test_the_packages_of_an_official_layer_are_installed_and_what_cannot_be_had_is_named(
    offline: Path, serve: Callable[..., Server], tmp_path: Path
) -> None:
    flask(offline)
    layers = "".join(f"\n      - {ARN.format(name)}" for name in NAMES)
    text = (
        "resources:\n  a:\n    component: fc3\n    props:\n"
        "      functionName: a\n      runtime: python3\n      handler: index.handler\n"
        f"      code: ./\n      layers:{layers}\n"
    )
    code = "import Flask\ndef handler(event, context):\n    return Flask.text() + ' ' + Flask.__file__\n"

    server = serve({"s.yaml": text, "index.py": code})

    assert server.invoke("default/a").body == b"Flask of the layer /opt/python/Flask/__init__.py"
    notes = "\n".join(server.ready["notes"])
    assert "official layer Nginx" in notes
    assert "official layer Nodejs-Puppeteer17x is missing: pyfc does not know what it holds" in notes
    assert "official layer Python3-Flask2x" not in notes


@pytest.mark.long
def test_a_layer_whose_packages_cannot_be_had_is_named_and_the_function_is_served(
    offline: Path, serve: Callable[..., Server]
) -> None:
    text = "props: {functionName: a, runtime: python3, handler: index.handler, code: ./, layers: [Python39-Pandas1x]}"
    files = {"s.yaml": f"resources: {{a: {{component: fc3, {text}}}}}", "index.py": "def handler(e, c): return 'up'\n"}

    server = serve(files)

    assert server.invoke("default/a").body == b"up"
    assert any("official layer Python39-Pandas1x: pip" in note for note in server.ready["notes"])


OLDER, NEWER = "/2016-08-15/services/s/functions", "/2023-03-30/functions"
USES = {"zipFile": zipped({"index.py": "import Flask\ndef handler(event, context):\n    return Flask.text()\n"})}
PLAIN = {"zipFile": zipped({"index.py": "def handler(event, context):\n    return __import__('Flask').__file__\n"})}
BASE = {"functionName": "f", "runtime": "python3.10", "handler": "index.handler", "code": USES}


def flask(wheels: Path) -> None:
    for name, version in (("Flask", "2.3"), ("Werkzeug", "2.3"), ("Flask_SQLAlchemy", "3.0"), ("requests", "2.31")):
        wheel(wheels, name, version, f"{name} of the layer")


@pytest.mark.long
def test_functions_of_clients_have_official_layers_too(offline: Path, serve: Callable[..., Server]) -> None:
    flask(offline)
    server = serve({})
    layers = [ARN.format("Python3-Flask2x"), ARN.format("Nodejs-Puppeteer17x")]
    assert server.manage("POST", "/2016-08-15/services", {"serviceName": "s"}).status == 200

    for place, name in ((OLDER, "s/f"), (NEWER, "default/f")):
        made = server.manage("POST", place, {**BASE, "layers": layers})
        assert made.status == 200, made.body
        assert server.invoke(name).body == b"Flask of the layer"
        later = server.manage("POST", place, {**BASE, "functionName": "later", "code": PLAIN})
        assert later.status == 200, later.body
        assert server.manage("PUT", f"{place}/later", {"layers": layers[:1]}).status == 200
        assert server.invoke(name.replace("/f", "/later")).body == b"/opt/python/Flask/__init__.py"
    assert server.manage("GET", f"{NEWER}/f").json["layers"] == [{"arn": arn, "size": 0} for arn in layers]
    unknown = server.manage("PUT", f"{NEWER}/f", {"layers": ["acs:fc:cn-hangzhou:1:layers/Python3-Flask2x/versions/1"]})
    assert (unknown.status, unknown.json["Code"]) == (404, "LayerVersionNotFound")
    assert "official layer Nodejs-Puppeteer17x is missing: pyfc does not know what it holds" in server.stop()[1]


def test_the_apis_tell_official_layers_as_far_as_they_are_known(serve: Callable[..., Server]) -> None:
    server = serve({})
    own = {"code": {"zipFile": zipped({"python/a.py": ""})}, "compatibleRuntime": ["python3"]}
    assert server.manage("POST", "/2016-08-15/layers/Nginx/versions", own).status == 200

    for api, acl in (("/2016-08-15", 1), ("/2023-03-30", "1")):
        for name, told in (("Python3-Flask2x", "pip: Flask>=2,<3, "), ("Nginx", "nginx of this machine")):
            found = server.manage("GET", f"{api}/layerarn/{quote(ARN.format(name), safe='')}").json
            assert (found["layerName"], found["version"], found["acl"]) == (name, 2, acl)
            assert found["description"].startswith(told)
            assert found["layerVersionArn"] == ARN.format(name)
        unknown = quote(ARN.format("Nodejs-Puppeteer17x"), safe="")
        assert server.manage("GET", f"{api}/layerarn/{unknown}").status == 404
        listed = server.manage("GET", f"{api}/layers?official=true&public=true&limit=2").json
        more = server.manage("GET", f"{api}/layers?official=true&nextToken={listed['nextToken']}").json["layers"]
        names = [each["layerName"] for each in [*listed["layers"], *more]]
        assert names == sorted({*names, "Python3-Flask2x", "Nodejs-Express4x"})
        assert "Nginx" not in names


@pytest.mark.long
def test_what_could_not_be_had_for_a_function_of_a_client_is_told_and_stays_so(offline: Path, tmp_path: Path) -> None:
    """`offline` has no wheels of these."""
    (tmp_path / "project").mkdir()
    server = Server(tmp_path / "project", tmp_path / "data")
    layers = [ARN.format("Python3-Flask2x"), ARN.format("Nodejs-Puppeteer17x")]
    code = {"zipFile": zipped({"index.py": "import oss2\ndef handler(event, context):\n    return 'x'\n"})}
    assert server.manage("POST", NEWER, {**BASE, "code": code, "layers": layers}).status == 200

    missing = ["official layer Nodejs-Puppeteer17x", "official layer Python3-Flask2x", "oss2"]
    [found] = server.functions()
    assert sorted(found["leftOut"]) == missing
    assert "pyfc does not know what it holds" in found["leftOut"][missing[0]]
    assert "pip" in found["leftOut"]["oss2"]
    assert server.manage("PUT", f"{NEWER}/f", {"description": "changed"}).status == 200
    told = pyfc("list", "--endpoint", server.endpoint, PYFC_DATA_DIR=str(server.data_dir))[1]
    assert "default/f: it has to do without oss2: " in told
    assert server.stop()[0] == 0

    server = Server(tmp_path / "project", tmp_path / "data")
    [found] = server.functions()
    assert sorted(found["leftOut"]) == missing, "it is kept with the function"
    assert server.manage("PUT", f"{NEWER}/f", {"layers": layers[1:], "code": PLAIN}).status == 200
    [found] = server.functions()
    assert sorted(found["leftOut"]) == missing[:1]
    assert server.stop()[0] == 0


@pytest.mark.long
def test_a_deployment_to_a_server_tells_what_that_could_not_install(
    offline: Path, serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve({})
    props = "{functionName: a, runtime: python3, handler: index.handler, code: ./code, layers: [Python39-Pandas1x]}"
    write(tmp_path / "app", {
        "s.yaml": f"resources: {{a: {{component: fc3, props: {props}}}}}",
        "code/index.py": "def handler(e, c): return 'up'\n",
    })  # fmt: skip

    status, said, warned = pyfc(
        "deploy", str(tmp_path / "app"), "--endpoint", server.endpoint, PYFC_DATA_DIR=str(server.data_dir)
    )

    assert status == 0, warned
    assert "deployed to" in said
    assert "warning: function default/a has to do without official layer Python39-Pandas1x: " in warned


def test_what_is_installed_after_the_client_was_answered_is_laid_under_its_function(
    offline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flask(offline)
    monkeypatch.setattr("pyfc.registry.built_in._PATIENCE", 0.0)
    made = {**BASE, "layers": [ARN.format("Python3-Flask2x")]}

    async def whole() -> None:
        async with App(Settings(port=0, spare_workers=0, auth="off"), tmp_path / "data") as app:
            app.server.bind()
            serving = asyncio.get_running_loop().create_task(app.serve())
            try:
                place = f"http://127.0.0.1:{app.server.port}{NEWER}"
                assert json.loads(await asyncio.to_thread(posted, place, made))["functionName"] == "f"
                async with asyncio.timeout(60):
                    while (told := await asyncio.to_thread(posted, f"{place}/f/invocations", {})) == b"":
                        await asyncio.sleep(0.05)
                assert told == b"Flask of the layer"
            finally:
                app.server.stop()
                await serving

    asyncio.run(whole())


def posted(place: str, document: Any) -> bytes:
    """The answer; nothing for that of a function that fails."""
    with urllib.request.urlopen(urllib.request.Request(place, json.dumps(document).encode())) as answer:
        return b"" if answer.headers.get("X-Fc-Error-Type") else bytes(answer.read())
