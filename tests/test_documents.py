"""Documents are true: what they name exists."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

from pyfc import settings
from pyfc.cli import COMMANDS
from pyfc.project.load import load

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in DOCUMENTS}
HISTORY = {"CHANGELOG.md"}
"""What names things that are gone."""
NAMES = {field.name for field in settings.fields()}
OUTSIDE_SETTINGS = {
    "PYFC_ACCESS_KEY_ID", "PYFC_ACCESS_KEY_SECRET", "PYFC_ENDPOINT", "PYFC_NAME", "PYFC_PROFILE", "PYFC_TRACEBACK",
    "PYFC_CONSENTS",
}  # fmt: skip
"""Variables that are no settings of a server."""
TOP = {path.name for path in ROOT.iterdir() if path.is_dir()} - {".venv", ".git", "site", "build", "dist"}


def named_in(text: str) -> set[str]:
    """What stands between backquotes."""
    return set(re.findall(r"`([^`\n]+)`", text))


@pytest.mark.parametrize("name", sorted(set(TEXTS) - HISTORY))
def test_each_file_that_a_document_names_exists(name: str) -> None:
    paths = {each for each in named_in(TEXTS[name]) if re.fullmatch(r"[\w.-]+(/[\w.*-]+)+/?", each)}
    ours = {each for each in paths if each.split("/")[0] in TOP}

    assert [each for each in sorted(ours) if not list(ROOT.glob(each.rstrip("/")))] == []


@pytest.mark.parametrize("name", sorted(each for each in TEXTS if each.startswith("docs/internals/")))
def test_each_module_that_the_internals_name_exists(name: str) -> None:
    packages = {path.name for path in (ROOT / "pyfc").iterdir() if (path / "__init__.py").exists()}
    paths = {each for each in named_in(TEXTS[name]) if re.fullmatch(r"[a-z_]+(/[a-z_]+)+(\.py)?", each)}
    ours = {f"pyfc/{each.removesuffix('.py')}.py" for each in paths if each.split("/")[0] in packages}

    assert [each for each in sorted(ours) if not (ROOT / each).exists()] == []


def test_each_decision_is_in_the_list_of_decisions() -> None:
    folder = ROOT / "docs" / "internals" / "decisions"
    listed = re.findall(r"\((\S+\.md)\)$", (folder / "index.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(listed) == sorted(path.name for path in folder.glob("*.md") if path.name != "index.md")


@pytest.mark.parametrize("name", sorted(set(TEXTS) - HISTORY))
def test_each_command_that_a_document_names_exists(name: str) -> None:
    text = TEXTS[name]
    said = {each for code in named_in(text) for each in re.findall(r"^pyfc ([a-z]+)", code)}
    said |= {each for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
             for each in re.findall(r"(?:^|/|&& |\| )pyfc ([a-z]+)", block, re.MULTILINE)}  # fmt: skip

    assert said - set(COMMANDS) == set()


@pytest.mark.parametrize("name", sorted(set(TEXTS) - HISTORY))
def test_each_setting_that_a_document_names_exists(name: str) -> None:
    said = set(re.findall(r"\bPYFC_[A-Z_]+[A-Z]\b", TEXTS[name])) - OUTSIDE_SETTINGS

    assert {each for each in said if each.removeprefix("PYFC_").lower() not in NAMES} == set()


@pytest.mark.parametrize("name", sorted(set(TEXTS) - HISTORY))
def test_each_option_that_a_document_gives_a_command_exists(name: str) -> None:
    options = set(re.findall(r"--[a-z][a-z-]+", TEXTS["docs/reference/commands.md"]))
    said = {option for code in named_in(TEXTS[name]) for option in re.findall(r"^pyfc [^|]*?(--[a-z][a-z-]+)", code)}

    assert said - options - {"--help", "--version"} == set()


@pytest.mark.parametrize(("name", "begins"), [("template.yml", "ROSTemplateFormatVersion"), ("s.yaml", "edition")])
def test_the_whole_templates_of_the_guide_are_served_without_a_warning(tmp_path: Path, name: str, begins: str) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", TEXTS["docs/guides/templates.md"], re.DOTALL)
    [text] = [each for each in blocks if each.startswith(begins)]
    (tmp_path / name).write_text(text, encoding="utf-8")
    for folder in ("orders", "lost"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "index.py").write_text("def handler(event, context): ...\ndef initialize(context): ...\n")

    project = load(tmp_path, strict=True)

    assert {each.function.name for each in project.functions} >= {"orders"}
    assert [each.type for each in project.all_triggers] == ["http", "timer"]
    assert [*project.unsupported, *project.notes] == []


def test_the_guide_tells_each_attribute_of_the_context() -> None:
    [table] = re.findall(r"## The context\n.*?(\|.*?)\n\n", TEXTS["docs/guides/languages.md"], re.DOTALL)
    code = (ROOT / "runtimes" / "python" / "context.py").read_text(encoding="utf-8")
    [body] = re.findall(r"class FCContext:.*?(?=\nclass )", code, re.DOTALL)
    first = {name for row in table.splitlines() for name in named_in(row.split("|")[1])}

    assert first == set(re.findall(r"self\.(\w+)(?:, self\.\w+)? =", body)) | {"service"}


def test_each_finding_has_one_row() -> None:
    rows = re.findall(
        r"^\| `(\S+\.sh)` \|", (ROOT / "findings" / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )

    assert sorted(rows) == sorted(path.name for path in (ROOT / "findings").glob("*.sh"))


@pytest.mark.parametrize("name", sorted(set(TEXTS) - HISTORY))
def test_a_document_writes_cannot_in_one_word(name: str) -> None:
    assert not re.search(r"\bcan not\b", TEXTS[name])


def test_the_chinese_readme_has_the_commands_of_the_english_one() -> None:
    english, chinese = (
        re.findall(r"```sh\n(.*?)```", TEXTS[name], re.DOTALL) for name in ("README.md", "README.zh-CN.md")
    )

    assert [each for each in english if "-m pytest" not in each] == chinese


def test_ci_pins_each_package_that_pyfc_or_its_tests_need() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = config["options.extras_require"]
    wanted = [config["options"]["install_requires"], *(extras[each] for each in ("test", "lint", "clients", "docs"))]
    names = {re.split(r"[ \[<>=!;]", line)[0] for text in wanted for line in text.splitlines() if line} - {"pyfc"}
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)

    assert {_plain(each) for each in names} - {_plain(each) for each in pinned} == set()


def _plain(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
