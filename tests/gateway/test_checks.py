"""Whose signature a call has."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyfc.auth.keys import Keys
from pyfc.gateway.checks import is_of_function
from pyfc.model.names import Target


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("FC {own}:signature", True), ("ACS3-HMAC-SHA256 Credential={own},SignedHeaders=a,Signature=b", True),
        ("FC {operator}:signature", False), ("FC STS.somebodyelses:signature", False), ("Bearer {own}", False),
        ("Basic xyz", False), ("", False), ("FC {uploads}:signature", False),
    ],
)  # fmt: skip
def test_a_header_is_a_functions_if_its_key_is_one_of_this_server(tmp_path: Path, given: str, wanted: bool) -> None:
    keys = Keys(tmp_path)
    own, operator = keys.of(Target("shop", "pay")).id, keys.create().id
    header = given.format(own=own, operator=operator, uploads=keys.uploads.id)

    assert is_of_function(keys, header.encode()) is wanted
