"""The dev loop: what is saved is served, and what can not be served changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from pyfc.dev.watched import look
from pyfc.project.load import load
from support import Server, template, time_passed, wait_until

NAMES = ("one", "two")
_OF_A_WORKER = 12
"""Most descriptors that the server has for one of them."""


def code(answer: str, more: str = "") -> str:
    return (
        f"import os, time, uuid\nID = uuid.uuid4().hex\n{more}\n"
        "def handler(event, context):\n    if event == b'slow':\n        time.sleep(1)\n"
        f"    return {{'answer': {answer!r}, 'id': ID, 'variable': os.environ.get('VARIABLE')}}\n"
    )


class Loop:
    """A server of two functions in folders of their own, and their folder."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder

    def save(self, name: str, text: str) -> None:
        (self.folder / name / "index.py").write_text(text)

    def call(self, name: str, event: bytes = b"") -> dict[str, Any]:
        answer = self.server.invoke(f"demo/{name}", event)
        assert answer.status == 200, answer.body
        found: dict[str, Any] = answer.json
        return found

    def is_answered(self, name: str, answer: str) -> None:
        wait_until(lambda: self.call(name).get("answer") == answer, f"{name} to answer {answer}")

    def told(self, key: str) -> list[dict[str, Any]]:
        return [record for record in self.server.records if key in record]

    def refused(self) -> list[dict[str, Any]]:
        """What was told of versions that can not be served; one that a newer one overtook is none of them."""
        return [told for told in self.told("notReloaded") if not told["message"].startswith("Superseded")]


def declared(**more: dict[str, Any]) -> str:
    functions: dict[str, dict[str, Any]] = {name: {"CodeUri": f"./{name}", "Timeout": 20} for name in NAMES}
    return template({**functions, **more})


@pytest.fixture
def loop(serve: Callable[..., Server], tmp_path: Path) -> Loop:
    files = {"template.yml": declared(), **{f"{name}/index.py": code("first") for name in NAMES}}
    server = serve(files, "--reload", PYFC_SWEEP_AFTER="0.2")
    loop = Loop(server, tmp_path / "project0")
    for name in NAMES:
        loop.call(name)
    return loop


def test_a_saved_file_swaps_the_function_it_belongs_to_and_no_other(loop: Loop) -> None:
    other = loop.call("two")["id"]

    loop.save("one", code("second"))

    loop.is_answered("one", "second")
    assert loop.call("two")["id"] == other
    assert {name for each in loop.told("reloaded") for name in each["reloaded"]} == {"demo/one"}


def test_a_copy_of_a_template_finds_the_files_that_were_saved_with_it(loop: Loop) -> None:
    reads = (
        "import os\n\ndef handler(event, context):\n"
        "    found = [open(place + 'data').read() for place in ('', '/code/')]\n"
        "    return {'answer': found, 'is_there': os.stat('.') == os.stat('/code')}\n"
    )
    wait_until(lambda: loop.server.functions()[0]["template"] != "none", "the template")
    for number in range(4):
        (loop.folder / "one" / "data").write_text(f"data {number}")
        loop.save("one", reads + f"# {number}\n")

        wanted = {"answer": [f"data {number}"] * 2, "is_there": True}
        wait_until(lambda wanted=wanted: loop.call("one") == wanted, f"data {number}")  # type: ignore[misc]


def test_a_call_in_flight_ends_on_the_old_code(loop: Loop) -> None:
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(loop.call, "one", b"slow")
        wait_until(lambda: ready(loop, "one"), "the call to run")
        loop.save("one", code("second"))
        loop.is_answered("one", "second")

        assert not call.done()
        assert call.result()["answer"] == "first"


def test_the_log_of_a_new_version_is_what_it_has_written_and_nothing_else(loop: Loop) -> None:
    wait_until(lambda: loop.server.functions()[0]["template"] != "none", "the template")
    loop.save("one", code("second", "print('loaded')") + "\ndef handler(event, context):\n    print('called')\n")
    wait_until(lambda: loop.server.invoke("demo/one").body == b"null", "the new version")

    answer = loop.server.invoke("demo/one")

    assert loop.server.record(answer.headers["X-Fc-Request-Id"])["log"] == "called\n"


def ready(loop: Loop, name: str) -> bool:
    functions = loop.server.functions()
    return any(each["function"] == name and each["instances"].get("ready") for each in functions)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("def handler(event, context):\n    retrun 1\n", "retrun 1", "SyntaxError: "),
        ("import os\nundefined_name\n" + code("never"), "undefined_name", "ImportModuleError: "),
    ],
    ids=["syntax error", "failing import"],
)
def test_what_does_not_start_is_shown_with_its_line_and_the_old_version_goes_on(
    loop: Loop, text: str, line: str, message: str
) -> None:
    loop.save("one", text)

    told = wait_until(lambda: loop.refused(), "the fault")[-1]
    assert told["notReloaded"] == "demo/one"
    assert told["line"] == line
    assert told["message"].startswith(message)
    assert told["where"].startswith(f"{loop.folder}/one/index.py:")
    assert loop.call("one")["answer"] == "first"
    loop.save("one", code("mended"))
    loop.is_answered("one", "mended")


def test_an_initializer_that_fails_keeps_the_old_version(loop: Loop) -> None:
    (loop.folder / "template.yml").write_text(declared(one={"CodeUri": "./one", "Initializer": "index.initializer"}))
    wait_until(lambda: loop.refused(), "the missing initializer")
    assert loop.call("one")["answer"] == "first"

    loop.save("one", code("second", "def initializer(context):\n    raise ValueError('no database')\n"))
    wait_until(lambda: loop.told("notReloaded")[-1]["message"] == "ValueError: no database", "the fault")
    assert loop.call("one")["answer"] == "first"

    loop.save("one", code("third", "def initializer(context):\n    pass\n"))
    loop.is_answered("one", "third")


def test_a_changed_template_adds_changes_and_removes_functions(loop: Loop) -> None:
    variables = {"CodeUri": "./one", "EnvironmentVariables": {"VARIABLE": "set"}}
    text = template({"one": variables, "three": {"CodeUri": "./two"}})
    (loop.folder / "template.yml").write_text(text)

    wait_until(lambda: loop.call("one")["variable"] == "set", "the variable")
    assert loop.call("three")["answer"] == "first"
    assert loop.server.invoke("demo/two").status == 404


def test_a_template_with_a_mistake_changes_nothing_and_says_where(loop: Loop) -> None:
    (loop.folder / "template.yml").write_text("Resources: [\n")

    told = wait_until(lambda: loop.refused(), "the mistake")[-1]
    assert told["where"].startswith(f"{loop.folder}/template.yml:")
    assert loop.call("one")["answer"] == "first"


def with_trigger(kind: str, **properties: Any) -> str:
    """The template, where `one` has a trigger."""
    document = json.loads(declared())
    event = {"Type": kind, "Properties": properties}
    document["Resources"]["demo"]["one"]["Events"] = {"mine": event}
    return json.dumps(document)


def test_a_trigger_that_becomes_mistaken_goes_on_as_it_was_until_the_file_is_right(loop: Loop) -> None:
    def save(expression: str) -> None:
        (loop.folder / "template.yml").write_text(with_trigger("Timer", CronExpression=expression, Enable=True))

    def triggers() -> list[str]:
        found = loop.server.manage("GET", "/2016-08-15/services/demo/functions/one/triggers")
        return [each["triggerConfig"]["cronExpression"] for each in found.json["triggers"]]

    save("0 0 4 * * *")
    wait_until(lambda: triggers() == ["0 0 4 * * *"], "the trigger")
    save("0 0 never")
    wait_until(lambda: loop.refused(), "the mistake")
    loop.save("two", code("second"))
    loop.is_answered("two", "second")
    assert triggers() == ["0 0 4 * * *"]
    save("0 0 5 * * *")
    wait_until(lambda: triggers() == ["0 0 5 * * *"], "the mended trigger")


def test_what_a_change_brings_and_is_not_supported_is_told(loop: Loop) -> None:
    (loop.folder / "template.yml").write_text(with_trigger("Api"))

    told = wait_until(lambda: loop.told("warning"), "the warning")
    assert [each["warning"] for each in told] == ["not supported yet: Api trigger mine of function demo/one"]


def test_variables_of_dot_env_reach_every_function(loop: Loop) -> None:
    (loop.folder / ".env").write_text("# a comment\nexport VARIABLE='from the file'\n")

    wait_until(lambda: loop.call("one")["variable"] == "from the file", "the variable")
    assert loop.call("two")["variable"] == "from the file"


def test_an_editor_that_writes_beside_and_renames_is_one_save(loop: Loop) -> None:
    target = loop.folder / "one" / "index.py"
    (target.parent / ".index.py.swp").write_text("swap")
    (target.parent / "index.py~").write_text("backup")
    (target.parent / "4913").write_text("")
    (target.parent / "4913").unlink()
    new = target.parent / "index.py.tmp"
    new.write_text(code("second"))
    os.replace(new, target)

    loop.is_answered("one", "second")
    assert not loop.told("notReloaded")


def test_a_checkout_of_hundreds_of_files_is_few_reloads(loop: Loop) -> None:
    for number in range(300):
        (loop.folder / "one" / f"module{number}.py").write_text(f"NUMBER = {number}\n")
    loop.save("one", code("second", "import module299\n"))

    loop.is_answered("one", "second")
    assert len(loop.told("reloaded")) < 30


def test_a_file_that_is_deleted_and_comes_back_is_followed(loop: Loop) -> None:
    (loop.folder / "one" / "index.py").unlink()
    wait_until(lambda: loop.refused(), "the missing module")
    assert loop.call("one")["answer"] == "first"

    loop.save("one", code("back"))
    loop.is_answered("one", "back")


def test_code_outside_of_the_folder_is_watched_through_a_link(serve: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "index.py").write_text(code("first"))
    server = serve({"template.yml": template({"one": {"CodeUri": "../shared"}})}, "--reload")
    loop = Loop(server, tmp_path / "project0")
    assert loop.call("one")["answer"] == "first"

    (shared / "index.py").write_text(code("second"))

    loop.is_answered("one", "second")


def test_installed_packages_are_imported_once_for_all_versions_of_the_function(loop: Loop) -> None:
    package = loop.folder / "one" / "heavy"
    package.mkdir()
    (package / "__init__.py").write_text("import uuid\nLOADED = uuid.uuid4().hex\n")
    record = loop.folder / "one" / "heavy-1.0.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_text("heavy/__init__.py,,\n")

    def version(number: int) -> str:
        loop.save("one", f"import heavy\ndef handler(event, context):\n    return [{number}, heavy.LOADED]\n")
        found: list[Any] = wait_until(lambda: is_version(number), f"version {number}")
        return str(found[1])

    def is_version(number: int) -> Any:
        found = loop.server.invoke("demo/one").json
        return found if isinstance(found, list) and found[0] == number else None

    version(1)
    functions = loop.server.functions()
    if "namespaces" in functions[0]["template"]:
        pytest.skip(functions[0]["template"])
    wait_until(lambda: "ready" in loop.server.functions()[0]["template"], "the template")
    loaded = {version(number) for number in range(2, 5)}
    (package / "__init__.py").write_text("LOADED = 'changed'\n")

    assert len(loaded) == 1
    wait_until(lambda: loop.server.invoke("demo/one").json[1] == "changed", "the changed package")


def test_a_package_that_changes_while_the_template_is_broken_is_not_forgotten(loop: Loop) -> None:
    package = loop.folder / "one" / "heavy"
    package.mkdir()
    (package / "__init__.py").write_text("TEXT = 'old'\n")
    record = loop.folder / "one" / "heavy-1.0.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_text("heavy/__init__.py,,\n")
    loop.save("one", "import heavy\ndef handler(event, context):\n    return {'answer': heavy.TEXT}\n")
    loop.is_answered("one", "old")

    (loop.folder / "template.yml").write_text("Resources: [\n")
    wait_until(lambda: loop.refused(), "the mistake")
    (package / "__init__.py").write_text("TEXT = 'new'\n")
    wait_until(lambda: len(loop.told("notReloaded")) > 1, "the change of the package")
    (loop.folder / "template.yml").write_text(declared())

    loop.is_answered("one", "new")


@pytest.mark.long
def test_saves_under_load_fail_no_call_and_leave_nothing(loop: Loop) -> None:
    failures: list[str] = []
    ended = threading.Event()

    def call() -> None:
        while not ended.is_set():
            answer = loop.server.invoke("demo/one")
            if answer.status != 200 or "errorMessage" in answer.json:
                failures.append(f"{answer.status} {answer.body[:200]!r}")

    own = psutil.Process(loop.server.process.pid)
    descriptors, workers = own.num_fds(), len(loop.server.workers())
    callers = [threading.Thread(target=call) for _ in range(2)]
    for caller in callers:
        caller.start()
    try:
        for number in range(40):
            loop.save("one", code(f"version {number}"))
            loop.is_answered("one", f"version {number}")
    finally:
        ended.set()
        for caller in callers:
            caller.join()

    assert not failures
    wait_until(lambda: len(loop.server.workers()) < 12, "the end of old instances")

    def left() -> int:
        return own.num_fds() - descriptors - _OF_A_WORKER * max(0, len(loop.server.workers()) - workers)

    wait_until(lambda: left() < 20, "descriptors to be closed")
    wait_until(lambda: len(list((loop.server.data_dir / "code").iterdir())) < 8, "old code to be removed")
    shutil.rmtree(loop.folder / "two")


def test_a_version_that_hangs_while_it_starts_holds_back_no_later_save(loop: Loop) -> None:
    loop.save("one", "import time\ntime.sleep(30)\n" + code("never"))
    wait_until(lambda: is_starting(loop), "the version that hangs")
    began = time.monotonic()

    loop.save("one", code("third"))

    loop.is_answered("one", "third")
    assert time.monotonic() - began < 15, "it did not wait for the import"
    assert loop.told("notReloaded")[0]["message"] == "Superseded: a newer version came before it had started"


def test_a_version_that_was_given_up_for_another_function_is_tried_again(loop: Loop) -> None:
    loop.save("one", "import time\ntime.sleep(3)\n" + code("slowly"))
    wait_until(lambda: is_starting(loop), "the version that takes its time")

    loop.save("two", code("quickly"))

    loop.is_answered("two", "quickly")
    loop.is_answered("one", "slowly")


def is_starting(loop: Loop) -> bool:
    """Whether a worker sleeps, as a module that is loaded here does."""
    found = [Path(f"/proc/{each.pid}/wchan") for each in loop.server.workers()]
    return any("nanosleep" in path.read_text() for path in found if path.exists())


@pytest.mark.parametrize("name", ["template.yml", "pyfc.yml", ".env"])
def test_a_file_that_is_away_for_a_while_changes_nothing_and_is_told_once(
    serve: Callable[..., Server], tmp_path: Path, name: str
) -> None:
    files = {
        "template.yml": declared(),
        "pyfc.yml": "services: {demo: {one: {maximumInstanceCount: 7}}}",
        ".env": "VARIABLE=set",
        **{f"{each}/index.py": code("first") for each in NAMES},
    }
    loop = Loop(serve(files, "--reload"), tmp_path / "project0")
    path = loop.folder / name
    assert loop.call("one")["variable"] == "set"

    path.rename(tmp_path / "aside")
    wait_until(lambda: loop.told("away"), "the file to be missed")
    (loop.folder / "one" / "data").touch()
    (loop.folder / "two" / "data").touch()
    loop.save("one", code("second"))

    time_passed(0.5)
    assert loop.call("one") | {"id": ""} == {"answer": "first", "id": "", "variable": "set"}
    assert loop.call("two")["answer"] == "first"
    assert loop.told("away") == [{"away": str(path)}]
    (tmp_path / "aside").rename(path)
    loop.is_answered("one", "second")
    assert loop.call("one")["variable"] == "set"


def test_a_template_that_is_given_another_name_is_served(loop: Loop) -> None:
    (loop.folder / "template.yml").rename(loop.folder / "template.yaml")
    loop.save("one", code("second"))

    loop.is_answered("one", "second")
    assert loop.told("away") in ([], [{"away": str(loop.folder / "template.yml")}])


def test_what_links_lead_to_is_watched_and_links_are_followed_where_they_are_pointed_to(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / ".git").mkdir()
    for number in range(1, 4):
        (tmp_path / f"shared{number}" / "deep").mkdir(parents=True)
        (tmp_path / f"shared{number}" / "deep" / "module.py").write_text(f"TEXT = 'shared {number}'\n")
    (tmp_path / "chain").symlink_to("shared1")
    (tmp_path / "common.py").write_text("TEXT = 'common 1'\n")
    (tmp_path / "project0" / "one").mkdir(parents=True)
    (tmp_path / "project0" / "one" / "shared").symlink_to("../../chain")
    (tmp_path / "project0" / "one" / "common.py").symlink_to("../../common.py")
    source = (
        "import common\nfrom shared.deep import module\n"
        "def handler(event, context):\n    return {'answer': common.TEXT + ', ' + module.TEXT}\n"
    )
    server = serve({"template.yml": template({"one": {"CodeUri": "./one"}}), "one/index.py": source}, "--reload")
    loop = Loop(server, tmp_path / "project0")
    assert loop.call("one")["answer"] == "common 1, shared 1"

    (tmp_path / "shared1" / "deep" / "module.py").write_text("TEXT = 'shared 1 again'\n")
    loop.is_answered("one", "common 1, shared 1 again")
    (tmp_path / "new").write_text("TEXT = 'common 2'\n")
    (tmp_path / "new").rename(tmp_path / "common.py")
    loop.is_answered("one", "common 2, shared 1 again")
    repoint(tmp_path / "chain", "shared2")
    loop.is_answered("one", "common 2, shared 2")
    repoint(tmp_path / "project0" / "one" / "shared", "../../shared3")
    loop.is_answered("one", "common 2, shared 3")
    (tmp_path / "shared3" / "deep" / "module.py").write_text("TEXT = 'shared 3 again'\n")
    loop.is_answered("one", "common 2, shared 3 again")


def repoint(link: Path, target: str) -> None:
    (link.parent / "aside").symlink_to(target)
    (link.parent / "aside").rename(link)


def test_a_folder_that_vanishes_and_comes_back_as_another_one_is_served_and_watched(loop: Loop, tmp_path: Path) -> None:
    loop.folder.rename(tmp_path / "old")
    wait_until(lambda: loop.told("away"), "the folder to be missed")
    assert loop.call("one")["answer"] == "first"

    shutil.copytree(tmp_path / "old", tmp_path / "next")
    (tmp_path / "next" / "one" / "index.py").write_text(code("second"))
    (tmp_path / "next").rename(loop.folder)
    loop.is_answered("one", "second")

    loop.save("one", code("third"))
    loop.is_answered("one", "third")
    assert loop.told("away") == [{"away": str(loop.folder)}]


def test_folders_that_come_with_what_is_in_them_are_watched(loop: Loop, tmp_path: Path) -> None:
    (tmp_path / "package" / "deep").mkdir(parents=True)
    (tmp_path / "package" / "deep" / "module.py").write_text("TEXT = 'first'\n")
    shutil.copytree(tmp_path / "package", loop.folder / "one" / "package")
    loop.save(
        "one", "from package.deep import module\ndef handler(event, context):\n    return {'answer': module.TEXT}\n"
    )
    wait_until(lambda: loop.call("one").get("id") is None, "the new code")

    (loop.folder / "one" / "package" / "deep" / "module.py").write_text("TEXT = 'second'\n")

    loop.is_answered("one", "second")


def test_a_link_out_of_the_project_is_refused_and_told_and_what_can_be_no_code_is_warned_of(loop: Loop) -> None:
    os.mkfifo(loop.folder / "one" / "pipe")
    loop.save("one", code("second"))
    loop.is_answered("one", "second")
    wait_until(lambda: loop.told("warning"), "the warning")

    (loop.folder / "one" / "keys").symlink_to("/etc")
    refusal = f"{loop.folder}/one/keys leads out of the project {loop.folder}"
    wait_until(lambda: any(refusal in told["message"] for told in loop.refused()), "the refusal")
    loop.save("two", code("never"))

    assert [each["warning"] for each in loop.told("warning")] == [
        f"{loop.folder}/one/pipe is a named pipe: it is left out"
    ]
    assert loop.call("one")["answer"] == "second"
    (loop.folder / "one" / "keys").unlink()
    loop.is_answered("two", "never")


def test_only_what_is_copied_is_watched_whatever_else_links_lead_to(tmp_path: Path) -> None:
    for name in ("one/lib", "docs/deep", ".git/objects", "one/node_modules/x", "one/venv"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "one" / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "docs" / "all").symlink_to("/")
    (tmp_path / "one" / "up").symlink_to("..")
    (tmp_path / "one" / "index.py").write_text(code("first"))
    (tmp_path / "template.yml").write_text(template({"one": {"CodeUri": "./one"}}))

    watched = look(load(tmp_path), tmp_path / "data", 1000)

    names = {str(path.relative_to(tmp_path)) for path in watched.folders}
    assert {".", "one", "one/lib", "one/node_modules", "one/node_modules/x"} <= names
    assert not {"one/venv", ".git", ".git/objects"} & names
    assert all(path.is_relative_to(tmp_path) for path in watched.folders)


def test_where_the_machine_tells_of_no_changes_they_are_looked_for(tmp_path: Path) -> None:
    takes_them_away = ("unshare", "-Ur", "sh", "-c", 'echo 0 > /proc/sys/user/max_inotify_instances && exec "$@"', "sh")
    if shutil.which("unshare") is None or subprocess.run([*takes_them_away, "true"], check=False).returncode:
        pytest.skip("inotify can not be limited here")
    (tmp_path / "project" / "one").mkdir(parents=True)
    (tmp_path / "project" / "one" / "index.py").write_text(code("first"))
    (tmp_path / "project" / "template.yml").write_text(template({"one": {"CodeUri": "./one"}}))
    server = Server(
        tmp_path / "project", tmp_path / "data", "--reload", "--sandbox", "off", prefix=takes_them_away
    )  # fmt: skip
    try:
        loop = Loop(server, tmp_path / "project")
        wait_until(lambda: loop.told("warning"), "the warning")
        loop.save("one", code("second"))
        loop.is_answered("one", "second")
        assert "does not tell of changes" in loop.told("warning")[0]["warning"]
    finally:
        assert server.stop()[0] == 0
