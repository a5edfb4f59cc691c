"""`nasConfig` and `ossMountConfig`: folders of the data folder that functions share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import pyfc
from pyfc.errors import ProjectError
from pyfc.model.function import Function, Service
from pyfc.model.mounts import TOPS, Mount, can_mount, mounts_of
from pyfc.project.load import load
from pyfc.project.overrides import read_folders
from support import Server, impossible, server_in_mode

CODE = """
import json, os
def handler(event, context):
    order = json.loads(event)
    path = order['path']
    if 'link' in order:
        os.symlink(order['link'], path)
        return 'linked'
    if 'write' in order:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'a') as file:
            file.write(order['write'])
    with open(path) as file:
        return file.read()
"""
NAS = {"mountPoints": [{"serverAddr": "nas-1.example:/share", "mountDir": "/mnt/auto"}]}
BUCKETS = {
    "mountPoints": [
        {"bucketName": "pictures", "bucketPath": "/a", "mountDir": "/home/pictures", "readOnly": True},
        {"bucketName": "pictures", "bucketPath": "/a", "mountDir": "/mnt/pictures", "readOnly": False},
    ]
}
FOLDER = "nas-1%2Eexample%3A%2Fshare"


def resource(name: str, runtime: str = "python3", code: str = "./") -> str:
    props = {
        "functionName": name, "runtime": runtime, "handler": "index.handler", "code": code, "nasConfig": NAS,
        "ossMountConfig": BUCKETS,
    }  # fmt: skip
    return f"  {name}: {json.dumps({'component': 'fc3', 'props': props})}\n"


def call(server: Server, name: str, **order: str) -> str:
    return server.invoke(f"default/{name}", json.dumps(order).encode()).body.decode()


@pytest.mark.parametrize("mode", ["root", "user"])
def test_what_one_function_writes_another_reads_and_changes(tmp_path: Path, mode: str) -> None:
    if reason := impossible(mode):
        pytest.skip(reason)
    files = {"s.yaml": f"resources:\n{resource('one')}{resource('two')}", "index.py": CODE}
    server = server_in_mode(mode, tmp_path, files)
    try:
        shares(server, tmp_path)
    finally:
        server.stop()


def shares(server: Server, tmp_path: Path) -> None:
    assert call(server, "one", path="/mnt/auto/deep/file", write="one") == "one"
    assert call(server, "two", path="/mnt/auto/deep/file", write=" and two") == "one and two"
    assert call(server, "one", path="/mnt/pictures/x", write="p") == "p"
    assert call(server, "two", path="/home/pictures/x") == "p"
    assert "Read-only file system" in call(server, "two", path="/home/pictures/y", write="p")
    assert not [note for note in server.ready["notes"] if "nasConfig" in note or "ossMountConfig" in note]
    [kept] = tmp_path.glob(f"**/mounts/{FOLDER}/deep/file")
    assert kept.read_text() == "one and two"
    assert f"mounted at /mnt/auto: {kept.parents[1]}" in server.ready["notes"]


def test_no_link_in_a_mount_leads_out_of_what_the_function_sees(serve: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    server = serve({"s.yaml": f"resources:\n{resource('one')}{resource('two')}", "index.py": CODE})

    assert call(server, "one", path="/mnt/auto/link", link=str(tmp_path / "secret")) == "linked"
    assert call(server, "one", path="/mnt/auto/up", link="../../..") == "linked"

    assert "No such file" in call(server, "two", path="/mnt/auto/link")
    assert "No such file" in call(server, "two", path="/mnt/auto/up/mounts")
    assert "No such file" in call(server, "two", path="/.pyfc/mounts/x")


def test_mounts_are_those_of_the_service_and_of_the_function_where_something_can_be_mounted() -> None:
    service = Service(name="s", extras={"nasConfig": NAS, "ossMountConfig": None})
    other = {
        "mountPoints": [{"serverAddr": "b:/", "mountDir": "/mnt/auto"}, {"serverAddr": "c:/", "mountDir": "/usr/x"}]
    }
    function = Function(service="s", name="f", runtime="python3", handler="i.h", extras={"nasConfig": other})

    assert mounts_of(service, function) == (Mount("b%3A%2F", "/mnt/auto"),)
    assert mounts_of(service, Function(service="s", name="f", runtime="go1", handler="i")) == (
        Mount(FOLDER, "/mnt/auto"),
    )
    for at in ("", "/", "/mnt", "mnt/x", "/mnt/../etc", "/mnt//x", "/code/x", "/etc/x", "/mnt/x/"):
        assert not can_mount(at)
    long = [{"serverAddr": "x" * 500, "mountDir": "/mnt/a"}, {"serverAddr": "..", "mountDir": "/mnt/b"}]
    found = mounts_of(
        service, Function(service="s", name="f", runtime="x", handler="i", extras={"nasConfig": {"mountPoints": long}})
    )
    assert all(
        len(mount.folder) < 250 and mount.folder not in {".", ".."} and "/" not in mount.folder for mount in found
    )


def test_the_folders_below_which_something_can_be_mounted_are_the_same_on_both_sides() -> None:
    source = (Path(pyfc.__file__).parent / "sandbox" / "inside" / "root.py").read_text()

    assert f"TOPS = {TOPS!r}".replace("'", '"') in source


@pytest.mark.parametrize("mode", ["root", "user"])
def test_a_folder_of_the_project_stands_for_what_would_be_mounted(tmp_path: Path, mode: str) -> None:
    if reason := impossible(mode):
        pytest.skip(reason)
    files = {
        "s.yaml": f"resources:\n{resource('one')}", "index.py": CODE, "pyfc.yml": "mounts: {/mnt/auto: ./shared}",
        "shared/file": "of the project", "shared/writable/x": "",
    }  # fmt: skip
    (tmp_path / "project" / "shared" / "writable").mkdir(parents=True)
    (tmp_path / "project" / "shared" / "writable").chmod(0o777)
    server = server_in_mode(mode, tmp_path, files)
    try:
        assert call(server, "one", path="/mnt/auto/file") == "of the project"
        assert call(server, "one", path="/mnt/auto/writable/y", write="new") == "new"
        assert f"mounted at /mnt/auto: {tmp_path}/project/shared" in server.ready["notes"]
    finally:
        server.stop()
    assert (tmp_path / "project" / "shared" / "writable" / "y").read_text() == "new"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mounts: {/mnt/a: ../secret}", "leads out of the project"),
        ("mounts: {/mnt/a: link}", "leads out of the project"),
        ("mounts: {/etc/a: ./}", "is at '/etc/a'; it must be below one of /mnt, /home"),
        ("mounts: {/mnt/a: ./gone}", "is './gone'; it must be a folder that is there"),
        ("buckets: {photos: ./gone}", "is './gone'; it must be a folder that is there"),
        ("buckets: {photos: link}", "leads out of the project"),
        ("buckets: {photos: ./}", "a folder below the project's"),
        ("buckets: {one: ./inside, two: ./inside}", "is './inside'; it must be a folder of its own"),
        ("buckets: {one: ./inside/deep, two: ./inside}", "that of the bucket 'one' is"),
        ("buckets: {one: ./inside, two: ./inside/deep}", "is './inside/deep'; it must be a folder of its own"),
        ("buckets: {one: ./inside, two: ./same}", "is './same'; it must be a folder of its own"),
        ("buckets: {one: ./same, two: ./inside/deep}", "is './inside/deep'; it must be a folder of its own"),
        ("buckets: {Photos: ./inside}", "buckets.Photos: 'Photos' cannot be the name of a bucket"),
        ("buckets: {pyfc: ./inside}", "buckets.pyfc: the server itself uses the name 'pyfc'"),
        ("buckets: {fc-temp: ./inside}", "the server itself uses the name 'fc-temp'"),
    ],
)
def test_what_cannot_stand_for_a_mount_or_a_bucket_is_shown_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "project" / "inside" / "deep").mkdir(parents=True)
    (tmp_path / "project" / "same").symlink_to("inside")
    (tmp_path / "project" / "link").symlink_to("../secret")
    (tmp_path / "project" / "pyfc.yml").write_text(text)

    with pytest.raises(ProjectError) as caught:
        read_folders(tmp_path / "project")

    assert str(caught.value).startswith(f"{tmp_path}/project/pyfc.yml:1: ")
    assert message in str(caught.value)


def test_a_bucket_that_code_lies_in_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "functions" / "one").mkdir(parents=True)
    (tmp_path / "photos").mkdir()
    (tmp_path / "functions" / "one" / "index.py").write_text(CODE)
    (tmp_path / "s.yaml").write_text(f"resources:\n{resource('one', code='functions/one')}")
    (tmp_path / "pyfc.yml").write_text("buckets:\n  photos: ./photos\n  all: ./functions\n")

    with pytest.raises(ProjectError, match=r"pyfc.yml:3: .*'./functions'; it must be a folder without code: that of"):
        load(tmp_path)
