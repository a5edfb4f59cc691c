"""`pyfc oss ls|cp|rm|mb|sync|events`: the buckets of a running server. An object is named oss://BUCKET/KEY."""

from __future__ import annotations

import argparse
import errno
import hashlib
import itertools
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path, PosixPath
from typing import Any, NamedTuple

from pyfc import nofollow
from pyfc.cli.shared import add_endpoint, client_of
from pyfc.client.buckets import Buckets, Listed
from pyfc.dev.output import one_line, say, tell
from pyfc.dev.table import table
from pyfc.errors import InvalidArgument

_SCHEME = "oss://"
_MULTIPART = "-"
"""In an ETag: it is no MD5."""


class Remote(NamedTuple):
    """oss://BUCKET/KEY; the key may be '' or a prefix."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.key}"


class Folder(PosixPath):
    """A path on this machine that was given with a slash at its end, whether it is there or not."""


def place(text: str) -> Remote | Path:
    """Something in a bucket, or on this machine."""
    if not text.startswith(_SCHEME):
        return Folder(text) if text.endswith("/") else Path(text)
    bucket, _, key = text.removeprefix(_SCHEME).partition("/")
    if not bucket:
        raise argparse.ArgumentTypeError(f"'{text}' must be like oss://photos/a.png")
    return Remote(bucket, key)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    actions = parser.add_subparsers(dest="oss", metavar="ACTION", required=True)
    ls = _add(actions, "ls", "list buckets, or the objects whose names begin with PLACE")
    ls.add_argument("place", nargs="?", type=place, metavar="PLACE", help="oss://BUCKET or oss://BUCKET/PREFIX")
    ls.add_argument("-d", "--directory", action="store_true", help="one level, as a folder has it")
    cp = _add(actions, "cp", "copy a file to a bucket, an object to a file, or an object to another")
    _add_two(cp)
    cp.add_argument("-r", "--recursive", action="store_true", help="everything below SOURCE")
    rm = _add(actions, "rm", "remove an object, or a bucket that is empty")
    rm.add_argument("place", type=place, metavar="PLACE", help="oss://BUCKET/KEY, oss://BUCKET")
    rm.add_argument("-r", "--recursive", action="store_true", help="everything below PLACE, and then the bucket")
    mb = _add(actions, "mb", "make a bucket")
    mb.add_argument("place", type=place, metavar="PLACE", help="oss://BUCKET")
    sync = _add(actions, "sync", "copy what differs between a folder and a bucket")
    _add_two(sync)
    sync.add_argument("--delete", action="store_true", help="remove from TARGET what SOURCE has not")
    events = _add(actions, "events", "show what has happened in a bucket lately")
    events.add_argument("place", type=place, metavar="PLACE", help="oss://BUCKET, or oss://BUCKET/PREFIX")
    for each in (ls, cp, rm, mb, sync, events):
        add_endpoint(each)


def _add(actions: Any, name: str, text: str) -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    return added


def _add_two(parser: argparse.ArgumentParser) -> None:
    for name in ("source", "target"):
        parser.add_argument(name, type=place, metavar=name.upper(), help="oss://BUCKET/KEY, or a path here")


def run(options: argparse.Namespace) -> int:
    """See module. 1 if something was left out."""
    try:
        return int(_ACTIONS[options.oss](Buckets(client_of(options)), options) or 0)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:  # it is a path that was given
        raise InvalidArgument(message=f"{error.filename}: {error.strerror}") from None


def _ls(buckets: Buckets, options: argparse.Namespace) -> None:
    if options.place is None:
        names = buckets.names()
        for name in names:
            say(f"{_SCHEME}{name}")
        if not names:
            tell("no buckets: `pyfc oss mb oss://NAME` makes one")
        return
    remote = _remote(options.place)
    found = list(buckets.list(remote.bucket, remote.key, "/" if options.directory else ""))
    rows = [(each.modified, str(each.size) if each.modified else "", one_line(str(Remote(remote.bucket, each.key))))
            for each in found]  # fmt: skip
    say(table(("MODIFIED", "SIZE", "OBJECT"), rows, right=(1,)) if rows else "none")


def _mb(buckets: Buckets, options: argparse.Namespace) -> None:
    remote = _remote(options.place)
    if remote.key:
        raise InvalidArgument(message=f"'{remote}' names an object; a bucket is oss://{remote.bucket}")
    buckets.make(remote.bucket)
    say(f"{_SCHEME}{remote.bucket} is made")


def _rm(buckets: Buckets, options: argparse.Namespace) -> None:
    remote = _remote(options.place)
    for key in _removed(buckets, remote, recursive=options.recursive):
        buckets.delete(remote.bucket, key)
        say(one_line(f"{Remote(remote.bucket, key)} is removed"))
    if not remote.key:
        buckets.remove(remote.bucket)
        say(f"{_SCHEME}{remote.bucket} is removed")


def _removed(buckets: Buckets, remote: Remote, *, recursive: bool) -> list[str]:
    """The keys that PLACE means. Raises InvalidArgument if there are none, and a bucket is not meant."""
    if not remote.key and not recursive:
        return []
    if recursive:
        keys = [each.key for each in buckets.list(*remote)]
    else:
        keys = [each.key for each in itertools.islice(buckets.list(*remote), 1) if each.key == remote.key]
    if not keys and remote.key:
        raise InvalidArgument(message=f"there is no object {'below ' if recursive else ''}{remote}")
    return keys


def _cp(buckets: Buckets, options: argparse.Namespace) -> bool:
    """Whether something was left out."""
    source, target = options.source, options.target
    if options.recursive:
        return _copy_all(buckets, source, target)
    if isinstance(source, Path):
        remote = _remote(target)
        _put(buckets, source, Remote(remote.bucket, _named(remote.key, source.name)))
    elif isinstance(target, Path):
        is_folder = isinstance(target, Folder) or target.is_dir()
        into = Path(target) / source.key.rpartition("/")[2] if is_folder else target
        _get(buckets, source, into)
    else:
        key = _named(target.key, source.key.rpartition("/")[2])
        buckets.copy(source, target.bucket, key)
        say(one_line(f"{source} -> {Remote(target.bucket, key)}"))
    return False


def _named(key: str, name: str) -> str:
    """A key that is none, or ends with a slash, is a folder that the name is put into."""
    return f"{key}{name}" if not key or key.endswith("/") else key


def _copy_all(buckets: Buckets, source: Remote | Path, target: Remote | Path) -> bool:
    left_out = False
    if isinstance(source, Path):
        remote = _folder(_remote(target))
        for path, name in _files(source):
            left_out |= not _put_below(buckets, path, remote, name)
        return left_out
    for each in buckets.list(source.bucket, source.key):
        name = each.key.removeprefix(source.key).lstrip("/")
        if isinstance(target, Remote):
            key = _folder(target).key + name
            buckets.copy((source.bucket, each.key), target.bucket, key)
            say(one_line(f"{Remote(source.bucket, each.key)} -> {Remote(target.bucket, key)}"))
        else:
            left_out |= not _get_below(buckets, Remote(source.bucket, each.key), target, name)
    return left_out


def _sync(buckets: Buckets, options: argparse.Namespace) -> bool:
    """Whether something was left out."""
    source, target = options.source, options.target
    if isinstance(source, Path) and isinstance(target, Remote):
        return _sync_up(buckets, source, _folder(target), deletes=options.delete)
    if isinstance(source, Remote) and isinstance(target, Path):
        return _sync_down(buckets, _folder(source), target, deletes=options.delete)
    raise InvalidArgument(message="sync makes a folder and a bucket alike: one of the two places is oss://BUCKET")


def _sync_up(buckets: Buckets, folder: Path, remote: Remote, *, deletes: bool) -> bool:
    left_out = False
    there = {each.key: each for each in buckets.list(*remote)}
    for path, name in _files(folder):
        known = there.pop(remote.key + name, None)
        if known is None or not _is_same(path, known):
            left_out |= not _put_below(buckets, path, remote, name)
    for key in there if deletes else ():
        buckets.delete(remote.bucket, key)
        say(one_line(f"{Remote(remote.bucket, key)} is removed"))
    return left_out


def _sync_down(buckets: Buckets, remote: Remote, folder: Path, *, deletes: bool) -> bool:
    left_out = False
    here = {name: file for file, name in _files(folder)} if folder.is_dir() else {}
    for each in buckets.list(*remote):
        name = each.key.removeprefix(remote.key)
        known = here.pop(name, None)
        if known is None or not _is_same(known, each):
            left_out |= not _get_below(buckets, Remote(remote.bucket, each.key), folder, name)
    for left in here.values() if deletes else ():
        left.unlink()
        say(one_line(f"{left} is removed"))
    return left_out


def _events(_: Buckets, options: argparse.Namespace) -> None:
    remote = _remote(options.place)
    rows = [
        (datetime.fromtimestamp(each["time"], UTC).strftime("%Y-%m-%d %H:%M:%SZ"), each["event"], str(each["size"]),
         one_line(str(Remote(remote.bucket, each["key"]))))
        for each in client_of(options).bucket_events(remote.bucket) if each["key"].startswith(remote.key)
    ]  # fmt: skip
    say(table(("TIME", "EVENT", "SIZE", "OBJECT"), rows, right=(2,)) if rows else "none since the server's start")


def _is_same(path: Path, known: Listed) -> bool:
    if path.stat().st_size != known.size or _MULTIPART in known.etag:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest().upper() == known.etag


def _put(buckets: Buckets, path: Path, remote: Remote) -> None:
    with path.open("rb") as file:
        buckets.put(*remote, file, os.fstat(file.fileno()).st_size)
    say(one_line(f"{path} -> {remote}"))


def _put_below(buckets: Buckets, path: Path, remote: Remote, name: str) -> bool:
    """Make an object of a file in a folder. False if its name can be no key, which is told."""
    try:
        name.encode()
    except UnicodeEncodeError:
        tell(one_line(f"{path}: left out, since its name is not UTF-8"))
        return False
    _put(buckets, path, Remote(remote.bucket, remote.key + name))
    return True


_NO_FILE = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.ENAMETOOLONG}


def _get_below(buckets: Buckets, remote: Remote, folder: Path, name: str) -> bool:
    """Write an object to its file below a folder. False if it can have none there, which is told."""
    path = _below(folder, name)
    if path is None:
        return False
    try:
        _get(buckets, remote, path)
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        tell(one_line(f"{name}: left out, since {path} can be no file: {error.strerror}"))
        return False
    return True


def _get(buckets: Buckets, remote: Remote, path: Path) -> None:
    """Write an object to a file, which is whole or as before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".pyfc-", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            buckets.get(*remote, file)
            os.fchmod(file.fileno(), 0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    say(one_line(f"{remote} -> {path}"))


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file below a folder and its key; links are not followed."""
    if not folder.is_dir():
        raise InvalidArgument(message=f"{folder} is no folder")
    for entry in nofollow.walk(folder.resolve()):
        if stat.S_ISREG(entry.status.st_mode):
            yield folder / entry.path, entry.path


_LONGEST = 255
"""Bytes of a name of a file."""


def _below(folder: Path, key: str) -> Path | None:
    """The file of a key, None for a key that is no path below the folder or leads through a link."""
    parts = key.split("/")
    path = folder.joinpath(*parts)
    is_path = not any(part in {"", ".", ".."} or "\0" in part or len(part.encode()) > _LONGEST for part in parts)
    if is_path and not any(above.is_symlink() for above in (path, *path.parents) if above.is_relative_to(folder)):
        return path
    tell(one_line(f"{key}: left out, since it is no path of a file below {folder}"))
    return None


def _folder(remote: Remote) -> Remote:
    return remote if not remote.key or remote.key.endswith("/") else Remote(remote.bucket, f"{remote.key}/")


def _remote(found: Remote | Path) -> Remote:
    if isinstance(found, Path):
        raise InvalidArgument(message=f"'{found}' must be in a bucket, like oss://photos/a.png")
    return found


_ACTIONS: Mapping[str, Callable[[Buckets, argparse.Namespace], bool | None]] = {
    "ls": _ls,
    "cp": _cp,
    "rm": _rm,
    "mb": _mb,
    "sync": _sync,
    "events": _events,
}
