"""One package that cannot be had keeps no other away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from pyfc.build.leaving import install_what_can_be_had, reduced
from pyfc.errors import NotInstalled


class Registry:
    """What can be had; it blames what it is told to blame for the others."""

    def __init__(self, gone: Iterable[str], blames: dict[str, str], *, is_away: bool) -> None:
        self.gone = set(gone)
        self.blames = blames
        self.is_away = is_away
        self.asked: list[str] = []

    async def install(self, names: set[str], *, keeps: bool) -> NotInstalled | None:
        self.asked.append(f"{'' if keeps else '?'}{' '.join(sorted(names))}")
        for name in sorted(names & self.gone):
            blamed = self.blames.get(name, name)
            message = f"no {name}"
            return NotInstalled(where="x", message=message, names=[blamed], is_unreachable=self.is_away)
        return None


def left_out(
    names: str, gone: str, blames: dict[str, str] | None = None, *, is_away: bool = False
) -> tuple[dict[str, str], list[str]]:
    """What is left out of these, and what was asked for."""
    registry = Registry(gone.split(), blames or {}, is_away=is_away)
    wanted = names.split()

    async def attempt(without: frozenset[str], keeps: bool) -> NotInstalled | None:
        return await registry.install(set(wanted) - without, keeps=keeps)

    return asyncio.run(install_what_can_be_had(wanted, attempt)), registry.asked


def test_what_the_installer_names_is_left_out_and_the_rest_tried_again() -> None:
    assert left_out("a B-b c", "B-b") == ({"B-b": "x: no B-b"}, ["B-b a c", "a c"])
    assert left_out("a b_b", "b_b", {"b_b": "B.B"})[0] == {"b_b": "x: no b_b"}, "names are written in many ways"
    assert left_out("a b c", "a c")[0] == {"a": "x: no a", "c": "x: no c"}
    assert left_out("a", "") == ({}, ["a"])


def test_what_the_installer_does_not_name_is_found_by_trying_each_by_itself() -> None:
    assert left_out("a b", "b", {"b": "of-b"}) == ({"b": "x: no b"}, ["a b", "?a", "?b", "a"])


def test_an_address_that_is_gone_is_its_packages_alone() -> None:
    assert left_out("a b c d", "c", is_away=True)[0] == {"c": "x: no c"}


def test_a_network_that_is_gone_is_the_failure_of_all_and_is_not_asked_for_long() -> None:
    with pytest.raises(NotInstalled, match="no a"):
        left_out("a b c d e f", "a b c d e f", is_away=True)

    registry = Registry("abcdef", {}, is_away=True)

    async def attempt(without: frozenset[str], keeps: bool) -> NotInstalled | None:
        return await registry.install(set("abcdef") - without, keeps=keeps)

    with pytest.raises(NotInstalled):
        asyncio.run(install_what_can_be_had("abcdef", attempt))
    assert registry.asked == ["a b c d e f", "?a", "?b", "?c"]


@pytest.mark.parametrize(("names", "gone"), [("a", "a"), ("a b", "a b")])
def test_where_nothing_can_be_had_the_first_failure_is_told(names: str, gone: str) -> None:
    with pytest.raises(NotInstalled, match="no a"):
        left_out(names, gone)


def test_packages_that_do_not_go_together_are_left_to_their_author() -> None:
    async def attempt(without: frozenset[str], keeps: bool) -> NotInstalled | None:
        return NotInstalled(where="x", message="no a with b") if not without else None

    with pytest.raises(NotInstalled, match="no a with b"):
        asyncio.run(install_what_can_be_had(["a", "b"], attempt))


def test_a_file_loses_the_lines_of_what_is_left_out_and_nothing_else() -> None:
    text = "# of mine\nfirst==1 \\\n    --hash=sha256:00\nSecond.one>=2 ; python_version > '3'\n-r other.txt\nthird"

    assert reduced("requirements.txt", text, ["first"]) == text.replace("first==1 \\\n    --hash=sha256:00\n", "")
    assert reduced("requirements.txt", text, ["second-one", "third"]).endswith("=sha256:00\n-r other.txt\n")
    package = '{"name": "f", "dependencies": {"a": "1", "@s/b": "2"}, "devDependencies": {"a": "1"}}'
    assert '"dependencies": {\n    "a": "1"\n  }' in reduced("package.json", package, ["@s/b"])
