"""FC's built-in modules are found in what code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyfc.boundary import Boundary
from pyfc.build.builtins import builtins_of
from pyfc.build.provided import NODE, PYTHON, words


def names(path: Path) -> list[tuple[str, tuple[str, ...]]]:
    return [(each.tool, each.names) for each in builtins_of(path, Boundary(path.parent))]


def of(folder: Path, files: dict[str, str]) -> list[tuple[str, tuple[str, ...]]]:
    """What a folder with these files needs."""
    for name, text in files.items():
        (folder / "code" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "code" / name).write_text(text)
    return names(folder / "code")


@pytest.mark.parametrize("text", [
    "import json, fc2", "import fc2 as fc, json", "import os.path , fc2.client", "from fc2 import Client",
    "def f():\n    import json,fc2\n", "import\tfc2", "import json; import fc2", "import json, \\\n    fc2\n",
    "from fc2 import (\n    Client,\n)", "try:\n    import fc2\nexcept ImportError:\n    fc2 = None\n",
    "class A:\n    async def f(self):\n        if self:\n            from fc2.client import Client\n",
    "print 'of Python 2'\nimport json, \\\n  fc2\n", "print 'of Python 2'\nfrom fc2 import Client\n",
])  # fmt: skip
def test_a_module_is_found_wherever_an_import_names_it(tmp_path: Path, text: str) -> None:
    assert of(tmp_path, {"index.py": text}) == [("pip", ("aliyun-fc2",))]


@pytest.mark.parametrize("text", [
    "'''\nimport fc2\n'''", "# import fc2", "from .fc2 import x", "from . import fc2", "from other import fc2",
    "fc2 = 'import fc2'", "import fc2x, my.fc2",
])  # fmt: skip
def test_what_only_looks_like_an_import_is_none(tmp_path: Path, text: str) -> None:
    assert of(tmp_path, {"index.py": text}) == []


@pytest.mark.parametrize(("module", "package"), [
    ("pkg_resources", "setuptools"), ("setuptools", "setuptools"), ("cbor", "cbor"), ("six", "six"),
    ("requests", "requests"), ("chardet", "chardet"), ("idna", "idna"), ("urllib3.util", "urllib3"), ("pytz", "pytz"),
    ("simplejson", "simplejson"), ("aliyun.log", "aliyun-log-python-sdk"), ("PIL.Image", "Pillow"),
    ("Crypto.Cipher", "pycryptodome"), ("yaml", "PyYAML"), ("pymysql", "PyMySQL"), ("OpenSSL", "pyOpenSSL"),
    ("aliyunsdkecs.request", "aliyun-python-sdk-ecs"), ("redis", "redis"), ("lxml.etree", "lxml"),
])  # fmt: skip
def test_what_fcs_images_bring_is_offered_when_it_is_imported(tmp_path: Path, module: str, package: str) -> None:
    assert of(tmp_path, {"index.py": f"import {module}\n"}) == [("pip", (package,))]


def test_a_folder_that_names_packages_gets_what_else_it_imports_and_its_own_version_wins(tmp_path: Path) -> None:
    files = {"requirements.txt": "-r more.txt\nRequests==2.20\n", "more.txt": "pillow\n"}
    code = {"index.py": "import requests, PIL, oss2, json\n", "Funfile": "RUN fun-install pip install cbor\n"}

    assert of(tmp_path, {**files, **code, "other.py": "import cbor"}) == [("pip", ("oss2",))]


@pytest.mark.parametrize("own", ["oss2.py", "oss2/__init__.py"])
def test_what_a_folder_has_itself_is_not_installed(tmp_path: Path, own: str) -> None:
    assert of(tmp_path, {"index.py": "import oss2", own: ""}) == []


def test_one_file_of_code_has_them_too(tmp_path: Path) -> None:
    python, node, other = tmp_path / "a.py", tmp_path / "a.js", tmp_path / "a.txt"
    python.write_text("import oss2, mns, chardet\n")
    node.write_text("const raw = require('raw-body'); import x from 'co'\n")
    other.write_text("import oss2\n")

    assert names(python) == [("pip", ("aliyun-mns", "chardet", "oss2"))]
    assert names(node) == [("npm", ("co", "raw-body"))]
    assert names(other) == []


def test_every_package_is_of_one_version_for_each_python() -> None:
    assert words("oss2") == ["oss2==2.19.1"]
    assert words("requests") == [
        "requests==2.27.1; python_version < '3.8'", "requests==2.32.3; python_version >= '3.8'",
    ]  # fmt: skip
    assert words("numpy")[1] == "numpy==1.24.4; python_version >= '3.8' and python_version < '3.9'"
    assert all(pin.version for pin in PYTHON)
    assert all(NODE.values())
