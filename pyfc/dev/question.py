"""Asks the user, at a terminal, whether packages may run code while they are installed."""

from __future__ import annotations

from pyfc.build.consent import Answer, Ask, Question, refuse
from pyfc.dev.output import can_type, end_progress, is_terminal, one_line, tell, typed_line

_SHOWN = 20
_LINE = 200
_WORDS = {"y": Answer.YES, "yes": Answer.YES, "network": Answer.NETWORK}


def asking() -> Ask:
    """Whom to ask here: the user, if a person reads and types, else nobody, and the answer is no."""
    return _ask if is_terminal() and can_type() else refuse


async def _ask(question: Question) -> Answer:
    end_progress()
    tell("\n".join(_lines(question)))
    word = (await typed_line()).strip().lower()
    return _WORDS.get(word, Answer.NO)


def _lines(question: Question) -> list[str]:
    """What is asked. Names and command lines are text of strangers."""
    scripts = [f"  {one_line(script.package)[:_LINE]}  {one_line(script.line)[:_LINE]}" for script in question.scripts]
    if len(scripts) > _SHOWN:
        scripts[_SHOWN:] = [f"  and {len(scripts) - _SHOWN} more"]
    held = (
        one_line(question.weakness) or "They see the system's programs and what is being installed, nothing of yours."
    )
    return [
        f"{one_line(question.where)}: these packages run code while they are installed:",
        *scripts,
        held,
        "Let them? y: yes, without a network; network: yes, with it; anything else: no",
    ]
