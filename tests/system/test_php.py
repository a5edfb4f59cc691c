"""PHP functions: what the conformance kit does not ask."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyfc.host.runtimes import Runtimes
from support import DEADLINE, OWN_MODE_FIRST, Response, Server, impossible, server_in_mode, template, wait_until

pytestmark = pytest.mark.skipif(Runtimes().interpreter("php") is None, reason="PHP is not installed")

CODE = r"""<?php
require_once __DIR__ . '/lib/helper.php';

$greeting = 'hello';
register_shutdown_function(function () { echo "ran at shutdown\n"; });

function greets($event, $context) { global $greeting; return "$greeting " . helped($event); }
function leaves($event, $context) { exit(3); }
function looks($event, $context) {
    return [
        'argv' => $_SERVER['argv'], 'env' => $_ENV['COLOR'], 'get' => getenv('COLOR'), 'path' => getenv('PHP_SELF'),
    ];
}
function slow($event, $context) { sleep(30); }
function warns($event, $context) { $list = []; return "got " . $list['nothing']; }
function raises($event, $context) { inner(); }
function inner() { throw new DomainException("ünlucky"); }
function fatal($event, $context) { require __DIR__ . '/twice.php'; }
function greedy($event, $context) { $held = []; while (true) { $held[] = str_repeat('x', 1000000); } }
function nothing($event, $context) { }
function cyclic($event, $context) { $a = []; $a['self'] = &$a; return $a; }
function logs($event, $context) {
    $logger = $GLOBALS['fcLogger'];
    foreach (['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'] as $level) {
        $logger->$level("a {kind} word", ['kind' => $level]);
    }
}
"""
WEB = r"""<?php
use Psr\Http\Message\ResponseInterface;
use Psr\Http\Message\ServerRequestInterface;

function tells(ServerRequestInterface $request, $context): ResponseInterface {
    $found = [
        'form' => $request->getParsedBody(), 'query' => $request->getQueryParams(),
        'cookies' => $request->getCookieParams(),
        'uri' => $request->getAttribute('requestURI'), 'client' => $request->getAttribute('clientIP'),
        'target' => $request->getRequestTarget(), 'host' => $request->getUri()->getHost(),
        'header' => $request->getHeader('X-ONE'), 'method' => $request->getMethod(),
    ];
    $body = fopen('data://text/plain,' . rawurlencode(json_encode($found)), 'r');
    return (new GuzzleHttp\Psr7\Response(200))->withHeader('Content-Type', 'application/json')
        ->withAddedHeader('X-Two', ['a', 'b'])->withBody(new GuzzleHttp\Psr7\Stream($body));
}
function plain($request, $context) { return 'a text'; }
function breaks($request, $context) {
    $pieces = (function () { yield 'begun'; throw new RuntimeException('in the middle'); })();
    return new RingCentral\Psr7\Response(200, [], $pieces);
}
function owned($request, $context) {
    require_once __DIR__ . '/vendor/autoload.php';
    return new RingCentral\Psr7\Response('of the function');
}
"""
VENDOR = r"""<?php
spl_autoload_register(function ($name) {
    if ($name === 'RingCentral\\Psr7\\Response') { require __DIR__ . '/Response.php'; }
}, true, true);
"""
RESPONSE = r"""<?php
namespace RingCentral\Psr7;
class Response {
    public function __construct(private $text) {}
    public function getStatusCode() { return 202; }
    public function getHeaders() { return ['X-Whose' => [$this->text]]; }
    public function getBody() { return new Stream($this->text); }
}
"""
SITE = r"""<?php
function handler($request, $context) {
    $proxy = $GLOBALS['fcPhpCgiProxy'];
    if ($request->getAttribute('path') === '/style.css') {
        return new RingCentral\Psr7\Response(200, ['Content-Type' => $proxy->getMimeType('style.css')], 'a {}');
    }
    $mine = ['SERVER_NAME' => 'shop.example'];
    return $proxy->requestPhpCgi($request, __DIR__ . '/site', 'index.php', $mine, ['readWriteTimeout' => 1000]);
}
"""
PAGE = r"""<?php
if (isset($_GET['sleep'])) { sleep(10); }
if (isset($_GET['end'])) { exec('kill -9 ' . getmypid()); }
http_response_code(207);
setcookie('a', '1');
header('Content-Type: application/json');
error_log('noted by the page');
echo json_encode([
    'method' => $_SERVER['REQUEST_METHOD'], 'uri' => $_SERVER['REQUEST_URI'], 'get' => $_GET, 'post' => $_POST,
    'cookies' => $_COOKIE, 'host' => $_SERVER['SERVER_NAME'], 'root' => basename($_SERVER['DOCUMENT_ROOT']),
    'file' => basename(__FILE__), 'info' => $_SERVER['PATH_INFO'] ?? null, 'large' => strlen($_POST['large'] ?? ''),
]);
"""
BROKEN = "<?php\n\nfunction handler($event) {\n    return 1 +;\n}\n"
EVENTS = (
    "greets", "leaves", "looks", "slow", "warns", "raises", "fatal", "greedy", "nothing", "cyclic", "logs",
)  # fmt: skip


@pytest.fixture(scope="module")
def php(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("php")
    files = {
        "index.php": CODE, "web.php": WEB, "broken.php": BROKEN,
        "lib/helper.php": "<?php\nfunction helped($x) { return $x; }\n",
        "twice.php": "<?php\nfunction helped($x) { return 2; }\n",
        "deep/er/code.php": "<?php\nfunction go($e) { return __DIR__; }\n",
        "vendor/autoload.php": VENDOR, "vendor/Response.php": RESPONSE,
    }  # fmt: skip
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    common = {"Runtime": "php7.2", "Timeout": 2, "MemorySize": 128, "EnvironmentVariables": {"COLOR": "blue"}}
    functions = {name: {**common, "Handler": f"index.{name}"} for name in EVENTS}
    functions |= {
        name: {**common, "Handler": f"web.{name}", "http": ["GET", "POST"]}
        for name in ("tells", "plain", "breaks", "owned")
    }
    functions["deep"] = {**common, "Handler": "deep/er/code.go"}
    functions["dotted"] = {**common, "Handler": "deep.er.code.go"}
    functions["broken"] = {**common, "Handler": "broken.handler"}
    functions["missing"] = {**common, "Handler": "index.nobody"}
    functions["absent"] = {**common, "Handler": "nowhere.handler"}
    (folder / "template.yml").write_text(template(functions))
    server = Server(folder, tmp_path_factory.mktemp("data"), PYFC_IDLE_TIMEOUT="1")
    yield server
    assert server.stop() == (0, "")


def log_of(answer: Response) -> str:
    return base64.b64decode(answer.headers["X-Fc-Log-Result"]).decode()


@pytest.mark.long
@pytest.mark.parametrize("mode", OWN_MODE_FIRST)
def test_it_runs_in_every_mode_of_the_sandbox(mode: str) -> None:
    if why := impossible(mode):
        pytest.skip(why)
    functions = {
        "greets": {"Runtime": "php"},
        "greedy": {"Runtime": "php", "MemorySize": 128, "Handler": "index.greedy"},
    }
    code = CODE.replace("require_once", "// ").replace("function greets", "function handler").replace("helped", "trim")
    with tempfile.TemporaryDirectory(prefix="pyfc-php-") as folder:
        server = server_in_mode(mode, Path(folder), {"index.php": code, "template.yml": template(functions)})
        assert server.invoke("demo/greets", b"ada").body == b"hello ada"
        assert "memory" in server.invoke("demo/greedy").json["errorMessage"]
        assert server.stop() == (0, "")


def test_variables_of_a_file_are_global_and_its_includes_are_found(php: Server) -> None:
    assert php.invoke("demo/greets", b"ada").body == b"hello ada"
    assert php.invoke("demo/deep").body.endswith(b"/deep/er")
    assert php.invoke("demo/dotted").body.endswith(b"/deep/er")


def test_what_a_function_does_at_shutdown_is_done(php: Server) -> None:
    answer = php.invoke("demo/leaves")

    assert answer.json["errorMessage"].startswith("Process exited unexpectedly")
    wait_until(lambda: "ran at shutdown" in php.logged(answer.headers["X-Fc-Request-Id"]), "the log of the call")


def test_nothing_of_pyfcs_stands_in_the_process(php: Server) -> None:
    assert php.invoke("demo/looks").json == {"argv": ["php"], "env": "blue", "get": "blue", "path": False}


def test_a_warning_is_in_the_log_and_the_call_goes_on(php: Server) -> None:
    answer = php.invoke("demo/warns", X_Fc_Log_Type="Tail")

    assert answer.body == b"got "
    assert "Undefined array key" in log_of(answer)


def test_the_stack_of_an_error_is_the_functions_own(php: Server) -> None:
    answer = php.invoke("demo/raises")

    found = answer.json
    assert (found["errorMessage"], found["errorType"]) == ("ünlucky", "DomainException")
    assert found["stackTrace"]["file"].endswith("index.php")
    assert found["stackTrace"]["line"] == CODE[: CODE.index("DomainException")].count("\n") + 1
    assert "inner()" in found["stackTrace"]["traceString"]
    assert "worker.php" not in found["stackTrace"]["traceString"]


def test_an_error_that_php_cannot_go_on_after_is_the_functions_error(php: Server) -> None:
    for _ in range(2):
        found = php.invoke("demo/fatal").json
        assert "Cannot redeclare" in found["errorMessage"], found
        assert found["errorType"] == "FatalError"
        assert found["stackTrace"]["file"].endswith("twice.php")


def test_a_function_that_takes_more_memory_than_it_may_is_told_so(php: Server) -> None:
    answer = php.invoke("demo/greedy")

    assert "memory" in answer.json["errorMessage"], answer.body
    assert php.invoke("demo/greets", b"you").body == b"hello you"


def test_where_a_function_was_when_its_time_was_over_is_in_the_log(php: Server) -> None:
    answer = php.invoke("demo/slow")

    assert "timed out" in answer.json["errorMessage"]
    wait_until(lambda: "index.php:" in php.logged(answer.headers["X-Fc-Request-Id"]), "the place")


def test_what_is_no_result_is_null_or_an_error(php: Server) -> None:
    assert php.invoke("demo/nothing").body == b"null"
    assert php.invoke("demo/cyclic").json["errorType"] == "JsonException"


def test_all_levels_of_the_logger_are_in_the_log(php: Server) -> None:
    answer = php.invoke("demo/logs", X_Fc_Log_Type="Tail")

    text = log_of(answer)
    for level in ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"):
        assert f"{answer.headers['X-Fc-Request-Id']} [{level.upper()}] a {level} word" in text


def test_mistakes_of_handlers_and_files_are_named(php: Server) -> None:
    broken = php.invoke("demo/broken").json
    assert broken["errorType"] == "ParseError"
    assert (broken["stackTrace"]["file"][-10:], broken["stackTrace"]["line"]) == ("broken.php", 4)
    assert "'nobody' is missing on file 'index.php'" in php.invoke("demo/missing").json["errorMessage"]
    assert "There is no file 'nowhere.php'" in php.invoke("demo/absent").json["errorMessage"]


def test_a_request_is_what_psr_7_says(php: Server) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": "k=v%20w; l=", "X-One": "1"}

    answer = php.request("POST", "/2016-08-15/proxy/demo/tells/p?a=1&b[]=2&b[]=3", b"x=1&y[z]=%26", headers)

    assert (answer.status, answer.headers.get_all("X-Two")) == (200, ["a", "b"])
    assert answer.json["form"] == {"x": "1", "y": {"z": "&"}}
    assert answer.json["query"] == {"a": "1", "b": ["2", "3"]}
    assert answer.json["cookies"] == {"k": "v w", "l": ""}
    assert answer.json["uri"].endswith("/demo/tells/p?a=1&b[]=2&b[]=3")
    assert (answer.json["client"], answer.json["header"], answer.json["method"]) == ("127.0.0.1", ["1"], "POST")


def test_an_answer_that_is_none_or_breaks_off_is_the_functions_error(php: Server) -> None:
    answer = php.request("GET", "/2016-08-15/proxy/demo/plain")
    assert "returns a PSR-7 response" in json.loads(answer.body)["errorMessage"]

    with php.connect() as connection:
        connection.sendall(b"GET /2016-08-15/proxy/demo/breaks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        seen = b""
        while piece := connection.recv(65536):
            seen += piece
    assert b"begun" in seen
    assert not seen.endswith(b"0\r\n\r\n"), "the client can see that it is not whole"


def test_classes_that_a_function_brings_come_before_those_of_pyfc(php: Server) -> None:
    answer = php.request("GET", "/2016-08-15/proxy/demo/owned")

    assert (answer.status, answer.headers["X-Whose"], answer.body) == (202, "of the function", b"of the function")


def test_a_saved_mistake_is_told_with_its_line_and_what_was_there_goes_on(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    files = {
        "template.yml": template({"hello": {"Runtime": "php7.2"}}),
        "index.php": "<?php\nfunction handler() { return 1; }\n",
    }
    server = serve(files, "--reload")
    assert server.invoke("demo/hello").body == b"1"

    (tmp_path / "project0/index.php").write_text(BROKEN)

    wait_until(lambda: [each for each in server.records if "notReloaded" in each], "the mistake")
    [told] = [each for each in server.records if "notReloaded" in each]
    assert told["where"] == f"{tmp_path}/project0/index.php:4"
    assert (told["line"], told["message"][:11]) == ("return 1 +;", "ParseError:")
    assert server.invoke("demo/hello").body == b"1"


def test_debugging_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index.php").write_text(CODE)
    (tmp_path / "template.yml").write_text(template({"hello": {"Runtime": "php7.2"}}))
    command = [sys.executable, "-m", "pyfc", "serve", ".", "--port", "0", "--data-dir", "data", "--debug", "demo/hello"]

    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE)

    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (2, "pyfc: --debug is not for functions of PHP")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    program = shutil.which("php-cgi8.2") or shutil.which("php-cgi")
    if program is None:
        pytest.skip("php-cgi is not installed")
    folder = tmp_path_factory.mktemp("site")
    for path, text in {"index.php": SITE, "site/index.php": PAGE, "site/admin/page.php": PAGE}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (folder / "bin").mkdir()
    shutil.copy(program, folder / "bin/php-cgi")
    settings = {"Runtime": "php7.2", "Timeout": 20, "EnvironmentVariables": {"PATH": "/code/bin:/usr/bin:/bin"}}
    (folder / "template.yml").write_text(template({"site": {**settings, "http": ["GET", "POST"]}}))
    server = Server(folder, tmp_path_factory.mktemp("data"))
    yield server
    assert server.stop() == (0, "")


def test_a_web_application_is_run_by_php_cgi(site: Server) -> None:
    proxy = "/2016-08-15/proxy/demo/site"
    form = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": "seen=yes"}

    first = site.request("POST", f"{proxy}/shop/cart?x=1", b"large=" + b"y" * 200_000, form)
    page = site.request("GET", f"{proxy}/admin/page.php/rest?z=2")
    style = site.request("GET", f"{proxy}/style.css")

    assert (first.status, first.headers["Set-Cookie"]) == (207, "a=1")
    assert (first.json["get"], first.json["large"], first.json["cookies"]) == ({"x": "1"}, 200_000, {"seen": "yes"})
    assert (first.json["host"], first.json["root"], first.json["file"]) == ("shop.example", "site", "index.php")
    assert (page.json["file"], page.json["info"]) == ("page.php", "/rest")
    assert (style.body, style.headers["Content-Type"]) == (b"a {}", "text/css")


def test_a_page_that_takes_too_long_or_ends_its_program_is_the_functions_error_and_the_next_one_is_right(
    site: Server,
) -> None:
    proxy = "/2016-08-15/proxy/demo/site"

    for query, message in (("sleep=1", "php-cgi has not answered in time"), ("end=1", "php-cgi has ended")):
        assert message in site.request("GET", f"{proxy}/?{query}").json["errorMessage"]
        assert site.request("GET", f"{proxy}/").status == 207
