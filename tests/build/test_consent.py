"""What is allowed is remembered, until somebody says something else."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pyfc.build.consent import Always, Answer, Ask, Consents, Question, Script, refuse
from pyfc.build.manifest import Manifest


def test_an_answer_that_is_given_with_the_command_holds_over_the_one_before(tmp_path: Path) -> None:
    consents = Consents(tmp_path / "consents.json")
    manifest = Manifest(tool="npm", folder=tmp_path, source="package.json")
    asked: list[Question] = []

    def answer(ask: Ask) -> Answer:
        return asyncio.run(consents.answer(manifest, [Script("sharp@1.0", "node install.js")], "", ask))

    async def says_yes(question: Question) -> Answer:
        asked.append(question)
        return Answer.YES

    assert answer(refuse) is Answer.NO
    assert [answer(says_yes), answer(says_yes), answer(refuse)] == [Answer.YES] * 3
    assert len(asked) == 1
    for said in (Answer.NETWORK, Answer.YES):
        assert answer(Always(said)) is said
        assert answer(refuse) is said, "and is remembered"
