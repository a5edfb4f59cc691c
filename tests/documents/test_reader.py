"""FC's objects, as requests and template files have them: the same is accepted, with the same words."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from declared import documents, last, mistaken, placed, properties
from pyfc.documents import shapes, triggers
from pyfc.documents.reader import JsonReader, Reader, WrongProperty, names, typed
from pyfc.documents.shapes import Shape
from pyfc.errors import ProjectError
from pyfc.gateway.application import APIS
from pyfc.project.document import Field
from pyfc.project.interface import Project
from pyfc.project.properties import FileReader, located

BODIES = {each.body for endpoints in APIS.values() for each in endpoints if each.body is not None}
SHAPES = sorted({*BODIES, *triggers.TRIGGERS.values()}, key=lambda shape: shape.__name__)


def field(document: Any, name: str = "Properties") -> Field:
    """A document as it stands in a file."""
    node = yaml.compose(json.dumps(document), Loader=yaml.SafeLoader)
    return Field(Path("template.yml"), name, node)


def from_file(document: Any, shape: type[Shape]) -> dict[str, Any]:
    with located(where := field(document)):
        return FileReader(Project(root=Path())).read(where, shape, partial=True)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
@settings(max_examples=max(8, settings().max_examples // 4))
@given(data=st.data())
def test_what_fits_is_read_and_read_again_in_any_case(shape: type[Shape], data: st.DataObject) -> None:
    document = data.draw(documents(shape))

    read, said = typed(document, shape)

    assert typed(read, shape) == (read, said)
    assert typed({name.upper(): value for name, value in document.items()}, shape)[1] == said


def told(read: Callable[[], dict[str, Any]]) -> Any:
    """What is read, or what is wrong, without file, line and what stands above."""
    try:
        return read()
    except ProjectError as error:
        return error.fields["message"].removeprefix("Properties.")  # type: ignore[attr-defined]
    except WrongProperty as error:
        return str(error)


def as_text(value: Any) -> Any:
    """A value as files have it, in which every scalar is text."""
    if isinstance(value, dict):
        return {name: as_text(each) for name, each in value.items()}
    if isinstance(value, list):
        return [as_text(each) for each in value]
    return value if isinstance(value, str) else json.dumps(value)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_every_mistake_names_its_property_and_files_are_told_the_same(shape: type[Shape]) -> None:
    for where, kind in properties(shape):
        for value in mistaken(kind):
            with pytest.raises(WrongProperty, match=last(where)):
                Reader().read(placed(where, value), shape, partial=True)

            document = placed(where, as_text(value))
            if where[0] not in names(shapes.Kept):  # a tool may make these of text
                assert told(lambda: from_file(document, shape)) == told(  # noqa: B023  called at once
                    lambda: Reader().read(document, shape, partial=True)  # noqa: B023
                ), (where, value)


def test_what_is_null_or_empty_is_as_good_as_nothing() -> None:
    document = {"timeout": None, "diskSize": "", "logConfig": "", "layers": None, "description": ""}

    assert Reader().read(document, shapes.Function, partial=True) == {"description": ""}


def test_numbers_and_booleans_may_come_as_text() -> None:
    document = {"timeout": "5", "internetAccess": "False", "diskSize": "512", "cpu": "0.5"}
    expected = {"timeout": 5, "internetAccess": False, "diskSize": 512, "cpu": 0.5}

    assert Reader().read(document, shapes.Function, partial=True) == expected == from_file(document, shapes.Function)


def test_only_files_may_say_yes_and_no_as_yaml_has_them() -> None:
    document = {"internetAccess": "NO"}

    assert from_file(document, shapes.Function) == {"internetAccess": False}
    with pytest.raises(WrongProperty, match=r"internetAccess is 'NO'; it must be true or false"):
        Reader().read(document, shapes.Function, partial=True)


def test_the_user_s_own_names_stay_as_they_are() -> None:
    variables = {"Timeout": "mine", "PATH": "/x", "N": None, "ONE": 1}

    read = Reader().read({"EnvironmentVariables": variables}, shapes.Function, partial=True)

    assert read == {"environmentVariables": variables}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "the body has no functionName; it is required"),
        ({"functionName": "f", "runtime": "python3", "customHealthCheckConfig": {}},
         "customHealthCheckConfig has no httpGetUrl; it is required"),
        ({"functionName": "f", "runtime": "python3", "layers": "x"}, "layers is 'x'; it must be a list"),
    ],
)  # fmt: skip
def test_what_is_missing_is_told_after_what_is_wrong(document: dict[str, Any], message: str) -> None:
    with pytest.raises(WrongProperty) as caught:
        typed(document, shapes.Function)

    assert str(caught.value) == message


def test_names_that_are_not_known_are_left_out_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    reader = JsonReader()
    caplog.set_level(logging.WARNING)

    for _ in range(2):
        assert reader.read({"serviceName": "s", "newest\n": 1}, shapes.Service) == {"serviceName": "s"}
    for number in range(2000):
        reader.read({"serviceName": "s", f"new{number}": 1}, shapes.Service)

    first, *others = [each.getMessage() for each in caplog.records]
    assert first == 'requests have properties of Service that are not known and ignored: ["newest\\n"]'
    assert len(others) == 999  # a client that makes them up does not fill the log


def test_what_a_file_does_not_know_is_a_warning_at_any_depth() -> None:
    project = Project(root=Path())
    document = {"InstanceLifecycleConfig": {"PreStop": {"Handlr": "x"}}, "Timout": 5}

    read = FileReader(project).read(field(document), shapes.Function, partial=True)

    assert read == {"instanceLifecycleConfig": {"preStop": {}}}
    assert {text.partition(": ")[2] for text in project.warnings} == {
        "Properties.InstanceLifecycleConfig.PreStop.Handlr is not a property that pyfc knows, it is ignored; did you "
        "mean Handler?",
        "Properties.Timout is not a property that pyfc knows, it is ignored; did you mean Timeout?",
    }


RANGES: list[tuple[str, list[Any], list[Any]]] = [
    ("memorySize", [128, 192, 3072, 32768], [0, 64, 127, 129, 200, 32832, 65536, -128]),
    ("timeout", [1, 600, 86400], [0, -1, 86401]),
    ("instanceConcurrency", [1, 100, 200], [0, 201]),
    ("diskSize", [512, 10240], [0, 511, 1024, 20480]),
    ("instanceLifecycleConfig.preStop.timeout", [1, 3, 90], [0, 91, 300]),
    ("instanceLifecycleConfig.preFreeze.timeout", [1, 3, 90], [0, 91, 300]),
    ("instanceLifecycleConfig.initializer.timeout", [0, 1, 300], [-1, 301]),
    ("customHealthCheckConfig.failureThreshold", [1, 3, 120], [0, -1, 121]),
    ("customHealthCheckConfig.successThreshold", [1, 120], [0, 121]),
    ("customHealthCheckConfig.periodSeconds", [1, 120], [0, 121]),
    ("customHealthCheckConfig.timeoutSeconds", [1, 3], [0, 4]),
    ("customHealthCheckConfig.initialDelaySeconds", [0, 120], [-1, 121]),
]
"""Property, values that FC takes, values that it refuses."""


def nested(path: str, value: Any) -> dict[str, Any]:
    """A document with a value at a path, and what has to stand beside it."""
    first, _, rest = path.partition(".")
    required = {"httpGetUrl": "/"} if first == "customHealthCheckConfig" else {}
    return {first: {**required, **nested(rest, value)} if rest else value}


@pytest.mark.parametrize(("path", "taken", "refused"), RANGES, ids=[path for path, *_ in RANGES])
@pytest.mark.parametrize("shape", [shapes.Function, shapes.NewerFunction], ids=["older", "newer"])
def test_numbers_have_fcs_ranges_in_requests_and_in_files(
    shape: type[Shape], path: str, taken: list[Any], refused: list[Any]
) -> None:
    for value in taken:
        document = nested(path, value)
        assert Reader().read(document, shape, partial=True) == document == from_file(document, shape)
    for value in refused:
        document = nested(path, value)
        mistakes = [
            told(lambda document=document: Reader().read(document, shape, partial=True)),  # type: ignore[misc]
            told(lambda document=document: from_file(document, shape)),  # type: ignore[misc]
        ]
        assert all(f"{path} is {value}; it must be " in str(each) for each in mistakes), (value, mistakes)
