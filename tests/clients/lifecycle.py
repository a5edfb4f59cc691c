"""What the life cycles by PyPI's clients of the newer APIs share. Arguments: endpoint, key id, secret, zip file."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any

from alibabacloud_tea_openapi.models import Config
from Tea.exceptions import TeaException

endpoint, key, secret, package = sys.argv[1:]
CONFIG = Config(
    access_key_id=key,
    access_key_secret=secret,
    endpoint=endpoint.removeprefix("http://"),
    protocol="http",
    region_id="cn-hangzhou",
)
ZIPPED = base64.b64encode(Path(package).read_bytes()).decode()


def failure(call: Any, *arguments: Any) -> str:
    """The code that a call fails with."""
    try:
        call(*arguments)
    except TeaException as error:
        return str(error.code)
    raise AssertionError("it has not failed")
