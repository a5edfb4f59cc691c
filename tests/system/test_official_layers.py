"""FC's official layers: packages that are installed, programs that this machine has, and what cannot be had."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from test_build import offline, wheel

from pyfc.build.official import name_of, packages_of, stand_in
from support import Server

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


def test_the_packages_of_an_official_layer_are_installed_and_what_cannot_be_had_is_named(
    offline: Path, serve: Callable[..., Server], tmp_path: Path
) -> None:
    for name, version in (("Flask", "2.3"), ("Werkzeug", "2.3"), ("Flask_SQLAlchemy", "3.0"), ("requests", "2.31")):
        wheel(offline, name, version, f"{name} of the layer")
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


def test_a_layer_whose_packages_cannot_be_had_is_named_and_the_function_is_served(
    offline: Path, serve: Callable[..., Server]
) -> None:
    text = "props: {functionName: a, runtime: python3, handler: index.handler, code: ./, layers: [Python39-Pandas1x]}"
    files = {"s.yaml": f"resources: {{a: {{component: fc3, {text}}}}}", "index.py": "def handler(e, c): return 'up'\n"}

    server = serve(files)

    assert server.invoke("default/a").body == b"up"
    assert any("official layer Python39-Pandas1x: pip" in note for note in server.ready["notes"])
