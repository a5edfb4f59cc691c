"""Installs by npm: first everything is fetched and nothing is run, then what packages run, if the user lets them."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyfc import nofollow
from pyfc.build.consent import Answer, Script
from pyfc.build.job import Hear
from pyfc.build.manifest import LOCKS, SCRIPTS, SKIPPED, Manifest
from pyfc.build.steps import Consent, Output, fault_of, text_in
from pyfc.build.workshop import Workshop
from pyfc.errors import InvalidArgument, NotInstalled, ProjectError

_NPM = (
    "--omit=dev", "--no-audit", "--no-fund", "--install-links", "--loglevel=http", "--fetch-retries=1",
    "--fetch-retry-mintimeout=1000",
)  # fmt: skip
_IGNORES = "npm_config_ignore_scripts"
_RUNS_NOTHING = {
    "npm_config_ignore_scripts": "true",
    "npm_config_git": "git",
    "npm_config_node_options": "--no-deprecation",
    "npm_config_update_notifier": "false",
}
"""Whatever an .npmrc of the project, or of a package that comes by git, says."""


class Npm:
    """Fills the result of a workshop with what a manifest names."""

    def __init__(self, manifest: Manifest, shop: Workshop, consent: Consent, progress: Hear) -> None:
        npm, node = shutil.which("npm"), shutil.which("node")
        if npm is None or node is None:
            raise InvalidArgument(message=f"{manifest.folder / manifest.source} needs npm, which is not on PATH")
        self._npm = npm
        self._programs = [npm, node, *([] if (git := shutil.which("git")) is None else [git])]
        self._manifest = manifest
        self._shop = shop
        self._consent = consent
        self._progress = progress
        self._place = shop.furnish(manifest)

    async def install(self) -> None:
        """Do it. Raises ProjectError."""
        await self._download()
        modules = self._place / "node_modules"
        if not modules.is_dir():
            return
        self._replace_links(modules)
        scripts = [] if self._wants_no_scripts() else list(self._scripts(modules))
        if scripts:
            answer = await self._consent.to(self._manifest, scripts, self._shop)
            await self._run_scripts(network=answer is Answer.NETWORK)
        nofollow.move(self._shop.tree, modules, self._shop.result / "node_modules")  # scripts may have moved folders

    async def _download(self) -> None:
        options = [*_NPM, "--ignore-scripts", *self._manifest.words]
        locks = [] if self._manifest.packages else [name for name in LOCKS if (self._place / name).is_file()]
        if locks and not await self._fetch_locked(options, locks):
            for name in locks:
                (self._place / name).unlink()
        if not (self._place / "node_modules").is_dir():
            await self._fetch(["install", *options])

    async def _fetch_locked(self, options: list[str], locks: list[str]) -> bool:
        """Whether what is locked could be had: from where the locks say, else from the registry of the user."""
        is_whole = locks != ["yarn.lock"] and not self._manifest.without
        for where in ("npmjs", "always"):
            try:
                await self._fetch(["ci" if is_whole else "install", *options, f"--replace-registry-host={where}"])
            except NotInstalled as error:  # a lock that does not fit its package.json, or an address that is gone
                self._progress(str(error))
                if not error.is_unreachable:
                    return False
            else:
                return True
        return False

    async def _fetch(self, words: list[str]) -> None:
        output = Output(self._progress)
        status = await self._shop.download(
            [self._npm, *words], self._place, "npm", output.hear,
            variables={**_RUNS_NOTHING, "npm_config_cache": str(self._shop.downloads("npm"))}, programs=self._programs,
        )  # fmt: skip
        if status:
            raise fault_of(self._manifest, output.lines, "npm")

    def _replace_links(self, modules: Path) -> None:
        """Packages beside the function's files, which stay behind, are copied to where links lead to them."""
        for path in [*modules.glob("*"), *modules.glob("@*/*")]:
            if path.is_symlink():
                target = Path(os.path.normpath(path.parent / os.readlink(path)))
                path.unlink()
                if not target.is_relative_to(self._shop.tree):
                    where = str(self._manifest.folder / self._manifest.source)
                    raise ProjectError(where=where, message=f"{path.name} is a link to a place outside of the project")
                path.mkdir()
                self._shop.cage.lend(path)
                nofollow.copy(target, path, SKIPPED, path.stat().st_uid)

    def _wants_no_scripts(self) -> bool:
        """Whether an .npmrc says so, of the project or of the user."""
        texts = [text_in(self._place, str(self._place), ".npmrc")]
        own = Path.home() / ".npmrc"
        texts += [own.read_text(encoding="utf-8", errors="replace")] if own.is_file() else []
        texts += [f"ignore-scripts={value}" for name, value in os.environ.items() if name.lower() == _IGNORES]
        return any(re.search(r"^\s*ignore-scripts\s*=\s*true\s*$", text, re.MULTILINE) for text in texts)

    def _scripts(self, modules: Path) -> Iterator[Script]:
        """What runs when these packages are installed; the function's own last."""
        for entry in nofollow.walk(modules):
            folder = modules / os.path.dirname(entry.path)
            if entry.name != "package.json" or not stat.S_ISREG(entry.status.st_mode) or not _is_package(folder):
                continue
            yield from _scripts_of(modules, folder)
        if not self._manifest.packages:
            yield from _scripts_of(self._place, self._place)

    async def _run_scripts(self, *, network: bool) -> None:
        nofollow.remove(self._place / "node_modules/.package-lock.json")  # npm would believe it, not the packages
        own = _document(text_in(self._place, str(self._place), "package.json")).get("scripts")
        steps = [["rebuild", "--foreground-scripts"]]
        steps += [["run", name] for name in SCRIPTS if isinstance(own, dict) and own.get(name)]
        for words in steps:
            output = Output(self._progress)
            status = await self._shop.script(
                [self._npm, *words], self._place, output.hear, variables=self._variables(), programs=self._programs,
                network=network, downloads="npm",
            )  # fmt: skip
            if status:
                raise fault_of(self._manifest, [*output.lines, *([] if network else [_NO_NETWORK])], f"npm {words[0]}")

    def _variables(self) -> dict[str, str]:
        prefix = Path(os.path.realpath(self._programs[1])).parents[1]
        headers = {"npm_config_nodedir": str(prefix)} if (prefix / "include/node/node.h").is_file() else {}
        return {
            **headers,
            "npm_config_cache": str(self._shop.cache),
            "npm_config_ignore_scripts": "false",
            "npm_config_update_notifier": "false",
        }


_NO_NETWORK = "scripts of packages have no network here; `pyfc build --yes --network` lets them use it"


def _is_package(folder: Path) -> bool:
    above = folder.parent
    return above.name == "node_modules" or (above.name.startswith("@") and above.parent.name == "node_modules")


def _document(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _scripts_of(root: Path, folder: Path) -> Iterator[Script]:
    document = _document(text_in(root, str(folder), "package.json"))
    name = f"{document.get('name') or folder.name} {document.get('version') or ''}".strip()
    scripts = document.get("scripts")
    scripts = scripts if isinstance(scripts, dict) else {}
    run = SCRIPTS if root == folder else SCRIPTS[:3]
    yield from (Script(name, f"{each}: {scripts[each]}") for each in run if scripts.get(each))
    if root != folder and _is_compiled(folder, document, scripts):
        yield Script(name, "install: node-gyp rebuild")


def _is_compiled(folder: Path, document: dict[str, Any], scripts: dict[str, Any]) -> bool:
    """Whether npm compiles a package although none of its scripts says so."""
    has_own = scripts.get("install") or scripts.get("preinstall") or document.get("gypfile") is False
    return not has_own and (folder / "binding.gyp").is_file()
