"""What an installer finds in its environment: a list of variables, and the settings files of its user.

The first step of a build, which downloads, gets all of it; code of packages, the second step, gets neither settings nor
anything a registry's secret may stand in.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pyfc import nofollow
from pyfc.errors import InvalidArgument

_ALWAYS = re.compile(r"PATH|LANG|TZ")
_NETWORK = re.compile(r"\w+_PROXY|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|NODE_EXTRA_CA_CERTS", re.IGNORECASE)
_TOOLS = re.compile(r"PIP_\w+|UV_\w+|NPM_CONFIG_.+|npm_config_.+|GOPROXY|GOFLAGS")
_SETTINGS = (".npmrc", ".config/pip/pip.conf", ".pip/pip.conf", ".config/uv/uv.toml", ".m2/settings.xml")
"""Below the user's home."""
_OF_THE_SYSTEM = ("/etc/pip.conf", "/etc/xdg/pip/pip.conf", "/etc/npmrc", "/etc/uv/uv.toml", "/etc/gitconfig")
_PATHS = re.compile(r"(?:file://)?(?P<path>~?/[^\s\"',;<>]+)")
_NAMES = re.compile(r"\$\{([^}?]+)\??\}")
_SECRET_NAME = re.compile("token|auth|password|secret", re.IGNORECASE)
_SECRET = re.compile(r"://[^/\s]+@")
"""Credentials in an address."""
_LARGEST = 256 * 1024


def for_scripts(environment: Mapping[str, str] = os.environ, *, network: bool) -> dict[str, str]:
    """The variables for code of packages."""
    return {
        name: value
        for name, value in environment.items()
        if _ALWAYS.fullmatch(name) or (network and _NETWORK.fullmatch(name))
    }


def for_downloads(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables for what only downloads."""
    kinds = (_ALWAYS, _NETWORK, _TOOLS)
    return {name: value for name, value in environment.items() if any(kind.fullmatch(name) for kind in kinds)}


def secrets_named_in(text: str, environment: Mapping[str, str] = os.environ) -> list[str]:
    """Variables for what downloads that hold a secret and that a manifest puts into a text of its own: pip and npm fill
    in `${NAME}`, so it could send them to whom it likes.
    """
    given = for_downloads(environment)
    named = dict.fromkeys(_NAMES.findall(text))
    return [
        name for name in named if (_SECRET_NAME.search(name) and name in given) or _SECRET.search(given.get(name, ""))
    ]


def settings(environment: Mapping[str, str] = os.environ) -> dict[str, Path]:
    """The settings files there are: name below HOME, or path of the system's own -> where it lies."""
    home = Path(os.path.expanduser("~"))
    found = {name: home / name for name in _SETTINGS}
    base = environment.get("XDG_CONFIG_HOME", "")
    if base.startswith("/"):
        found.update({f".config/{name}": Path(base, name) for name in ("pip/pip.conf", "uv/uv.toml")})
    named = (
        environment.get(name, "") for name in ("PIP_CONFIG_FILE", "NPM_CONFIG_USERCONFIG", "npm_config_userconfig")
    )
    found.update(
        {path: Path(path) for path in (*_OF_THE_SYSTEM, *named) if path.startswith("/") and path != os.devnull}
    )
    return {name: path for name, path in found.items() if path.is_file()}


def named_in(variables: Mapping[str, str], files: Iterable[Path]) -> list[Path]:
    """What variables and settings files name on this machine: certificates, folders of packages. Never a folder that
    holds the user's home, or all of it.
    """
    texts = [value for name, value in variables.items() if not _ALWAYS.fullmatch(name)]
    for file in files:
        with contextlib.suppress(OSError, InvalidArgument):  # nobody else can read it either
            texts.append(nofollow.read_plain(file.resolve(), _LARGEST).decode("utf-8", "replace"))
    home = os.path.realpath(os.path.expanduser("~"))
    found: dict[Path, None] = {}
    for text in texts:
        for match in _PATHS.finditer(text):
            path = Path(os.path.expanduser(match["path"]))
            if path.exists() and not f"{home}/".startswith(f"{os.path.realpath(path)}/"):
                found[path] = None
    return list(found)
