"""One run of a program that was made by others, and what it may see: what the cage (sandbox/cage.py) is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A command and its surroundings. All paths are the same inside and outside of the cage."""

    command: Sequence[str]
    folder: Path
    """Where it starts."""
    environment: Mapping[str, str]
    """All of it."""
    writable: Sequence[Path]
    """Folders made for it (`Cage.lend`); nothing else can be written."""
    temporary: Path
    """Of those, the one that it sees as /tmp."""
    programs: Sequence[str] = ()
    """Interpreters and tools that it runs; each is shown with its installation."""
    readable: Sequence[Path] = ()
    layered: Mapping[Path, Path] = field(default_factory=dict)
    """Writable folders in which it finds what lies in another folder, without changing that: folder -> the other one.
    Where this machine cannot do it, they are empty.
    """
    private: Mapping[str, Path] = field(default_factory=dict)
    """Settings with registries' secrets: the name below HOME, or the path itself, where each is found."""
    network: bool = False
    is_trusted: bool = False
    """Whether it runs no code of packages, as far as anybody knows."""
    doors: Sequence[int] = ()
    """Descriptors that it inherits."""
    output: int | None = None
    """A descriptor that gets what it prints; None for `hear`."""


Hear = Callable[[str], None]
"""Takes a line that a command has printed."""


class Cage(Protocol):
    """The one door by which code of packages is run on this machine."""

    @property
    def weakness(self) -> str:
        """What does not hold here, in words for a person; '' if everything does."""

    async def run(self, job: Job, hear: Hear = lambda _: None) -> int:
        """Run it to its end, its time limit or the caller's cancellation; nothing of it is left then. Its exit status,
        negative for a signal. Raises NoCage if there is no cage to be had, Exhausted if it took too much.
        """

    def lend(self, folder: Path) -> None:
        """Give a new, empty folder to the user that commands run as."""
