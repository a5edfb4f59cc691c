"""A project becomes desired state: the one path of `serve` and of hot reload, later of the management API.

Everything that can fail (reading code, unpacking archives) comes first; the writes come last, so that a project with
a mistake changes nothing.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from pyfc.boundary import Boundary
from pyfc.build.official import name_of
from pyfc.bundles.bundle import Bundles
from pyfc.errors import InvalidArgument, LayerVersionNotFound, ProjectError
from pyfc.host.runtimes import Runtimes
from pyfc.model.function import Code, Function, Service
from pyfc.model.resources import Config, Domain, Layer
from pyfc.model.trigger import Trigger
from pyfc.project.interface import Declaration, Project
from pyfc.registry.layers import layer_of_arn
from pyfc.registry.registry import Declared, Record, Registry, key, key_of, number

_KINDS = (Service, Function, Trigger, Domain, Config)
"""What a folder declares."""


class Report(NamedTuple):
    """What a deployment did."""

    revision: int
    """The registry's revision that contains it."""
    functions: list[Function]
    refused: list[str]
    """Functions that are declared and cannot be run, each with the reason."""
    changed: list[str]
    """SERVICE/FUNCTION of those that are new, different or gone."""
    warnings: list[str] = []  # noqa: RUF012  never changed
    """What could not be installed, in words."""


class Inputs(NamedTuple):
    """What a deployment is given beside the project."""

    built: Mapping[Path, Sequence[Path]] = MappingProxyType({})
    """What was installed for a folder of code."""
    official: Mapping[str, Path] = MappingProxyType({})
    """The folders of official layers, by ARN."""
    changed: frozenset[Path] | None = None
    """What has changed on disk since the last deployment; None if that is not known."""


def is_declared(value: Declared) -> bool:
    """Whether it comes from the folder that is served."""
    return not isinstance(value, Service) and getattr(value, "is_declared", False)


def _owner(value: Declared) -> tuple[str, str] | None:
    """Service and name of the function that it is, or belongs to; None for what belongs to none."""
    if isinstance(value, Function):
        return value.service, value.name
    return (value.service, value.function) if isinstance(value, Trigger | Config) else None


def _belongs(value: Declared, functions: Collection[str]) -> bool:
    """Whether it is a trigger of one of these functions, given by their keys."""
    return isinstance(value, Trigger) and key(Function, value.service, value.function) in functions


async def opt_of(
    registry: Registry,
    bundles: Bundles,
    arns: Sequence[str],
    official: Mapping[str, Code] = MappingProxyType({}),
    below: Code | None = None,
) -> Code | None:
    """The folder of these layers, None without any; what they do not have is as in `below`. Of FC's official layers
    those in `official`, by ARN. Raises LayerVersionNotFound, InvalidArgument.
    """
    codes = []
    for arn in arns:
        if name_of(arn):
            codes += [official[arn]] if arn in official else []
            continue
        name, version = layer_of_arn(arn)
        layer = await registry.get(Layer, name, number(version))
        if layer is None:
            raise LayerVersionNotFound(layer=name, version=version)
        codes.append(layer.value.code)
    codes += [below] if below is not None else []
    return await bundles.merged(codes)


def _gone(
    known: Mapping[str, Record[Any]], after: Mapping[str, Declared], kept: Collection[tuple[str, str]]
) -> list[str]:
    """Keys of what was declared and is no longer, with the triggers of functions among it. `kept`: whose stay."""
    gone = [
        name
        for name, record in known.items()
        if is_declared(record.value) and name not in after and _owner(record.value) not in kept
    ]
    lost = {name for name in gone if name.startswith("functions/")}
    return gone + [name for name, record in known.items() if _belongs(record.value, lost) and name not in gone]


def _changed(known: Mapping[str, Record[Any]], after: Mapping[str, Declared], gone: Sequence[str]) -> list[str]:
    changed = {name for name, value in after.items() if name not in known or known[name].value != value}
    return sorted({"/".join(name.split("/")[1:]) for name in (*gone, *changed) if name.startswith("functions/")})


class Deployer:
    """Writes projects into the registry."""

    def __init__(self, registry: Registry, bundles: Bundles, runtimes: Runtimes) -> None:
        self._registry = registry
        self._bundles = bundles
        self._runtimes = runtimes
        self._has_deployed = False
        """Whether what is served is this folder's: then what has become mistaken goes on as it was."""

    async def deploy(self, project: Project, inputs: Inputs) -> Report:
        """Make `project` the desired state. Raises ProjectError with file and line; then nothing has changed."""
        with self._bundles.busy():
            functions, refused = await self._bundled(project, inputs)
            known = await self._known()
            after = self._wanted(project, functions, known)
            gone = self._gone(project, known, after)
            revision = await self._registry.write(after.values(), deleted=gone, known=known)
            self._has_deployed = True
        return Report(revision, functions, refused, _changed(known, after, gone))

    def _gone(self, project: Project, known: Mapping[str, Record[Any]], after: Mapping[str, Declared]) -> Sequence[str]:
        """Keys of what is to go. What is mistaken goes on as it was: where it is not known whose a mistake is, all."""
        if not self._has_deployed:
            return _gone(known, after, set())
        return [] if project.has_stray_mistakes else _gone(known, after, project.mistaken)

    async def _bundled(self, project: Project, inputs: Inputs) -> tuple[list[Function], list[str]]:
        """The project's functions with their code; and those that are refused, with the reason."""
        refused: list[str] = []
        kept: dict[Path, Code] = {}
        functions: list[Function] = []
        for declaration in project.functions:
            if self._runtimes.get(declaration.function.runtime) is None:
                refused.append(self._refusal(declaration.function))
                functions.append(declaration.function)
                continue
            with project.tolerating((declaration.function.service, declaration.function.name)):
                function = await self._bundle(declaration, kept, inputs, project.boundary)
                opt, missing = await self._layers(function, declaration.layers, inputs, project.boundary)
                refused += missing
                functions.append(dataclasses.replace(function, opt=opt))
        project.check()
        return functions, refused

    async def _known(self) -> dict[str, Record[Any]]:
        """What there is of the kinds that a folder declares, by key."""
        kinds: tuple[type[Service | Function | Trigger | Domain | Config], ...] = _KINDS
        found = await asyncio.gather(*(self._registry.all(kind) for kind in kinds))
        return {key_of(record.value): record for records in found for record in records}

    def _wanted(
        self, project: Project, functions: list[Function], known: Mapping[str, Record[Any]]
    ) -> dict[str, Declared]:
        """What the project declares, by key; what only the management API sets stays as it is."""
        wanted: dict[str, Declared] = {}
        values: list[Declared] = [
            *project.services,
            *functions,
            *project.all_triggers,
            *project.domains,
            *project.configs,
        ]
        for value in values:
            if _owner(value) in project.mistaken:
                continue
            declared: Any = value
            name = key_of(value)
            changes: dict[str, Any] = {} if isinstance(value, Service) else {"is_declared": True}
            if name in known and isinstance(value, Service | Function):
                changes["tags"] = known[name].value.tags
            if name in known and isinstance(value, Function):
                old = known[name].value
                changes |= {"is_disabled": old.is_disabled, "why_disabled": old.why_disabled}
            wanted[name] = dataclasses.replace(declared, **changes)
        return wanted

    def _refusal(self, function: Function) -> str:
        reason = self._runtimes.why_not(function.runtime)
        return f"runtime {function.runtime} of {function.service}/{function.name} ({reason})"

    async def _bundle(
        self, declaration: Declaration, kept: dict[Path, Code], inputs: Inputs, boundary: Boundary
    ) -> Function:
        path = declaration.code
        if path is None:
            return declaration.function
        if path not in kept:
            try:
                kept[path] = await self._bundles.put(path, inputs.built.get(path, ()), boundary, inputs.changed)
            except ProjectError:
                raise
            except InvalidArgument as error:
                raise ProjectError(where=declaration.where, message=str(error)) from error
        return dataclasses.replace(declaration.function, code=kept[path])

    async def _layers(
        self, function: Function, at_hand: Path | None, inputs: Inputs, boundary: Boundary
    ) -> tuple[Code | None, list[str]]:
        """The layers of a function that are here as one folder, and those that are not, with what to do."""
        if at_hand is not None:
            return await self._bundles.put(at_hand, (), boundary, inputs.changed), []
        found, missing = [], []
        for arn in function.layers:
            try:
                found.append(await self._layer(arn, inputs.official))
            except (InvalidArgument, LayerVersionNotFound):
                what = f"layer {arn} of function {function.service}/{function.name}"
                missing.append(f"{what} (publish it with `pyfc layers NAME --publish DIR`)")
        return await self._bundles.merged([code for code in found if code is not None]), missing

    async def _layer(self, arn: str, official: Mapping[str, Path]) -> Code | None:
        """The files of a layer; None for an official one that is told elsewhere. Raises LayerVersionNotFound,
        InvalidArgument.
        """
        if arn in official:
            return await self._bundles.put(official[arn], (), Boundary(None))
        return await opt_of(self._registry, self._bundles, [arn])
