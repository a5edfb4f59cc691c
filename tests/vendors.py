"""Vendors' own clients, as people install them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def need(*programs: str) -> None:
    """Skip the test if one of these is not on this machine; where everything is tested it fails."""
    missing = [each for each in programs if shutil.which(each) is None]
    if missing and os.environ.get("CI"):
        pytest.fail(f"the tests of vendors' clients need {', '.join(missing)}")
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


def done(*command: str, cwd: Path | None = None, **more: str) -> None:
    """Run a program that must succeed. `more`: of its environment."""
    ran = subprocess.run(
        command, cwd=cwd, env={**os.environ, **more}, capture_output=True, text=True, timeout=600, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def python_with(folder: Path, *packages: str) -> str:
    """An interpreter that has these packages, in an empty folder."""
    done(sys.executable, "-m", "venv", str(folder))
    done(str(folder / "bin" / "pip"), "install", "-q", *packages)
    return str(folder / "bin" / "python")


def node_modules(folder: Path, *packages: str) -> str:
    """A folder for NODE_PATH that has these packages."""
    need("node", "npm")
    done("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), *packages)
    return str(folder / "node_modules")


def java_classes(folder: Path, artifact: tuple[str, str, str], source: Path) -> None:
    """Compile a program there, with a client (group, name, version) and what that needs in `lib`."""
    need("javac")
    java_libraries(folder, artifact)
    done("javac", "-nowarn", "-cp", "lib/*", "-d", ".", str(source), cwd=folder)


def java_libraries(folder: Path, artifact: tuple[str, str, str]) -> None:
    """What Maven has (group, name, version), with what that needs, in `lib`."""
    need("java", "mvn")
    group, name, version = artifact
    wanted = f"<groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version>"
    (folder / "pom.xml").write_text(
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>life</groupId>'
        f"<artifactId>life</artifactId><version>1</version><dependencies><dependency>{wanted}</dependency></dependencies>"
        "</project>"
    )
    done("mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib", cwd=folder)
