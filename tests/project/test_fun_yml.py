"""fun.yml: its packages are installed, and what else it asks for is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyfc.build.fun_yml import Task, tasks
from pyfc.build.manifest import manifests
from pyfc.errors import ProjectError
from pyfc.project.load import load

TEXT = """\
runtime: python3
tasks:
  - pip: Flask requests==2
  - apt: libblas3
  - name: compile
    shell: make
  - npm: express
  - unknown: x
"""


def test_packages_are_installed_and_all_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "fun.yml").write_text(TEXT)
    (tmp_path / "index.py").write_text("def handler(event, context): pass")

    assert [(each.tool, each.source, each.packages) for each in manifests(tmp_path)] == [
        ("pip", "fun.yml:3", ("Flask", "requests==2")),
        ("npm", "fun.yml:7", ("express",)),
    ]
    assert load(tmp_path).warnings == [
        f"{tmp_path}/fun.yml:4: packages of the system are not the function's to install (apt: 'libblas3')",
        f"{tmp_path}/fun.yml:5: commands are not run (shell: 'make')",
    ]


def test_a_task_knows_its_line() -> None:
    assert tasks("tasks: [{pip: a}]", "f") == [Task("pip", ("a",), "f:1")]


@pytest.mark.parametrize(
    "text", ["[", "x", "tasks: {}", "tasks: [x]", "a: &a [*a]\ntasks: *a", "tasks: [{pip: &x a}, *x]", "\0", "[" * 5000]
)
def test_what_is_no_list_of_tasks_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(ProjectError, match=r"^f:\d+: "):
        tasks(text, "f")


def test_a_file_that_multiplies_itself_costs_nothing() -> None:
    lines = "a0: &a0 x\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))

    with pytest.raises(ProjectError, match="has no list of tasks"):
        tasks(f"{lines}tasks: *a29", "f")
