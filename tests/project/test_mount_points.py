"""Mounts as template files spell them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyfc.model.mounts import Mount, mounts_of
from pyfc.project.interface import Project
from pyfc.project.load import load

FUNCTION = "{name: f, runtime: go1, handler: h, codeUri: ./}"


def project(folder: Path, nas: str) -> Project:
    service = f"{{name: shop, nasConfig: {nas}}}"
    (folder / "s.yaml").write_text(
        f"services: {{a: {{component: fc, props: {{service: {service}, function: {FUNCTION}}}}}}}"
    )
    return load(folder)


@pytest.mark.parametrize(
    ("nas", "mounts"),
    [
        ("auto", (Mount("auto%3A%2Fshop", "/mnt/auto"),)),
        ("Auto", (Mount("auto%3A%2Fshop", "/mnt/auto"),)),
        (
            "{userId: 1, groupId: 1, mountPoints: [{serverAddr: 'a:/b', mountDir: /mnt/x}]}",
            (Mount("a%3A%2Fb", "/mnt/x"),),
        ),
        (
            "{mountPoints: [{serverAddr: a, nasDir: /b, fcDir: /mnt/x}, {serverAddr: a, fcDir: /home/y}]}",
            (Mount("a%3A%2Fb", "/mnt/x"), Mount("a%3A%2F", "/home/y")),
        ),
    ],
)
def test_a_nas_is_mounted_however_a_file_spells_it(tmp_path: Path, nas: str, mounts: tuple[Mount, ...]) -> None:
    found = project(tmp_path, nas)

    assert mounts_of(found.services[0], found.functions[0].function) == mounts
    assert (found.unsupported, found.warnings) == ([], [])


@pytest.mark.parametrize("nas", ["{mountPoints: [{serverAddr: 'a:/b', mountDir: /usr/x}]}", "{mountPoints: []}"])
def test_what_cannot_be_mounted_is_named(tmp_path: Path, nas: str) -> None:
    found = project(tmp_path, nas)

    assert mounts_of(found.services[0], found.functions[0].function) == ()
    assert found.unsupported == ["nasConfig of service shop"]
