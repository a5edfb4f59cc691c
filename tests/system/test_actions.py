"""Actions of a template of Serverless Devs: `pyfc build` runs them, in the cage and with consent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyfc.project.load import load
from support import pyfc

TEMPLATE = """
actions:
  post-deploy: [{{component: fc versions publish}}]
resources:
  a:
    component: fc3
    actions:
      pre-deploy:
        - run: {run}
          path: ./src
        - run: s build --use-docker
        - plugin: myplugin
    props: {{functionName: a, runtime: python3, handler: index.handler, code: ./src/made}}
"""
RUN = "mkdir made && cp index.txt made/index.py && id -u > made/user && cat $HOME/../../../key > made/key 2>&1 || true"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "key").write_text("a secret")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "index.txt").write_text("def handler(event, context): return 1\n")
    write(folder, RUN)
    return folder


def write(folder: Path, run: str) -> None:
    (folder / "s.yaml").write_text(TEMPLATE.format(run=f"'{run}'"))


def test_actions_before_a_deployment_run_in_the_cage_once_the_user_allows_it(folder: Path) -> None:
    status, _, complaint = pyfc("build", str(folder))
    assert status != 0
    assert "pre-deploy runs code" in complaint
    assert not (folder / "src" / "made").exists()

    status, said, complaint = pyfc("build", str(folder), "--yes")

    assert status == 0, complaint
    assert "s.yaml: 1 actions have run; files that are new or different: 3" in said
    made = folder / "src" / "made"
    assert (made / "index.py").read_text() == (folder / "src" / "index.txt").read_text()
    assert "a secret" not in (made / "key").read_text()
    assert (made / "index.py").stat().st_uid == os.geteuid()
    status, said, _ = pyfc("build", str(folder))  # what was allowed is remembered
    assert status == 0, said


def test_what_actions_may_not_touch_stays_as_it_was(folder: Path) -> None:
    for name in (".git/hooks", "src/kept"):
        (folder / name).mkdir(parents=True)
    (folder / "src" / "out").symlink_to(folder.parent / "home")
    write(folder, "echo x > ../.git/hooks/y; echo x > ../.profile; rm -rf kept; mkdir -p made out/z; touch made/x")

    status, _, complaint = pyfc("build", str(folder), "--yes")

    assert status == 0, complaint
    assert (folder / "src" / "kept").is_dir()
    assert not (folder / ".git" / "hooks" / "y").exists()
    assert not (folder / ".profile").exists()
    assert not (folder.parent / "home" / "z").exists()
    write(folder, "ln -s /etc made/link")
    status, _, complaint = pyfc("build", str(folder), "--yes")
    assert (status, "made/link" in complaint) == (2, True), complaint
    assert not (folder / "src" / "made" / "link").is_symlink()


def test_an_action_that_fails_is_shown_with_its_line(folder: Path) -> None:
    write(folder, "echo no such luck >&2; exit 3")

    status, _, complaint = pyfc("build", str(folder), "--yes")

    assert status == 2
    assert f"{folder}/s.yaml:9: the action failed with status 3" in complaint
    assert "no such luck" in complaint


def test_all_other_actions_are_named(folder: Path) -> None:
    (folder / "src" / "made").mkdir()

    project = load(folder)

    assert [(each.line, each.folder) for each in project.actions] == [(RUN, folder / "src")]
    assert project.unsupported == [
        "action post-deploy of project (component fc versions publish)",
        "action pre-deploy of a (s build --use-docker)",
        "action pre-deploy of a (plugin myplugin)",
    ]
