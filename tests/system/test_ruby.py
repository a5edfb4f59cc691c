"""Ruby functions: what the conformance kit does not ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pyfc.host.runtimes import Runtimes
from support import Server, template, wait_until

pytestmark = pytest.mark.skipif(Runtimes().interpreter("ruby") is None, reason="Ruby is not installed")

ROOT = str(Path(__file__).resolve().parents[2])
CODE = """
at_exit { puts 'ran at exit' }

def echo(event, _context)
  event
end

def leaves(_event, _context)
  exit 3
end

def looks(_event, _context)
  "#{$PROGRAM_NAME} #{ARGV} #{__FILE__ == $PROGRAM_NAME}"
end

def slow(_event, _context)
  sleep 30
end
"""


@pytest.fixture(scope="module")
def ruby(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("ruby")
    (folder / "index.rb").write_text(CODE)
    common = {"Runtime": "ruby", "Timeout": 2}
    functions = {name: {**common, "Handler": f"index.{name}"} for name in ("echo", "leaves", "looks", "slow")}
    (folder / "template.yml").write_text(template(functions))
    server = Server(folder, tmp_path_factory.mktemp("data"), PYFC_IDLE_TIMEOUT="1")
    yield server
    assert server.stop() == (0, "")


def test_what_a_function_does_at_exit_is_done(ruby: Server) -> None:
    assert ruby.invoke("demo/echo", b"hi").body == b"hi"
    wait_until(lambda: "ran at exit" in ruby.logged(""), "the end of an idle instance")

    answer = ruby.invoke("demo/leaves")
    assert answer.json["errorMessage"].startswith("Process exited unexpectedly")
    wait_until(lambda: "ran at exit" in ruby.logged(answer.headers["X-Fc-Request-Id"]), "the log of the call")


def test_nothing_of_pyfcs_stands_in_the_process_or_in_its_last_words(ruby: Server) -> None:
    assert ruby.invoke("demo/looks").body == b"ruby [] false"

    answer = ruby.invoke("demo/slow")
    log = wait_until(lambda: ruby.logged(answer.headers["X-Fc-Request-Id"]), "where it was")
    assert "it was here" in log
    assert "slow" in log
    assert f"{ROOT}/runtimes" not in log
