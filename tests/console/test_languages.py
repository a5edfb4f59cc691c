"""The languages of the console say the same things, and pages say nothing else."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from pyfc.console.languages import LANGUAGES, Texts, chosen, table

CONSOLE = Path(__file__).parents[2] / "pyfc" / "console"
OTHERS = [code for code in LANGUAGES if code != "en"]
MADE = ("nav.", "theme.", "range.", "phase.")
"""Parts whose keys templates put together."""


def names(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("code", OTHERS)
def test_every_language_has_the_keys_of_english_and_names_the_same_values(code: str) -> None:
    english, other = table("en"), table(code)

    assert list(other) == list(english)
    assert {key: names(text) for key, text in other.items()} == {key: names(text) for key, text in english.items()}
    assert all(text.strip() for text in other.values())
    assert sum(other[key] != english[key] for key in english) > 0.9 * len(english)


def test_every_text_is_used_and_every_one_that_is_used_exists() -> None:
    sources = "".join(path.read_text() for path in (*CONSOLE.rglob("*.html"), *CONSOLE.rglob("*.py")))
    used = set(re.findall(r"\bt\('([a-z_]+\.[A-Za-z0-9_]+)'", sources))

    assert used <= set(table("en"))
    unused = {key for key in table("en") if key not in used and f'"{key}"' not in sources}
    assert {key for key in unused if not key.startswith(MADE)} == set()


def test_a_key_that_no_table_has_is_an_error_and_no_page() -> None:
    with pytest.raises(KeyError):
        Texts("en")("nav.absent")


@pytest.mark.parametrize(
    ("cookie", "accepted", "expected"),
    [
        ("", "", "en"),
        ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("", "de, en;q=0.7, zh;q=0.8", "zh-CN"),
        ("", "fr;q=nonsense,en", "en"),
        ("zh-CN", "en", "zh-CN"),
        ("../etc/passwd", "zh", "zh-CN"),
    ],
)
def test_the_language_is_that_of_the_cookie_else_the_one_the_browser_prefers(
    cookie: str, accepted: str, expected: str
) -> None:
    assert chosen(cookie, accepted) == expected
