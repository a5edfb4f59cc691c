"""Node.js functions: what FC's contract says of them beyond the conformance kit."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pyfc.host.runtimes import Runtimes
from support import OWN_MODE_FIRST, UID, Response, Server, impossible, server_in_mode, template, wait_until

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")

SOURCE = """
const { Readable } = require('stream');
let calls = 0;
exports.text = (event, context, callback) => callback(null, 'caf\\u00e9');
exports.object = (event, context, callback) => callback(null, { a: [1, null, true] });
exports.nothing = (event, context, callback) => callback();
exports.number = (event, context, callback) => callback(null, 7);
exports.twice = (event, context, callback) => { callback(null, 'first'); callback(null, 'second'); };
exports.returns = (event) => 'returned';
exports.kind = async (event) => Buffer.isBuffer(event) ? 'Buffer' : typeof event;
exports.handled = (event, context, callback) => callback(new RangeError('too far'));
exports.plain = (event, context, callback) => callback('no error object');
exports.thrown = () => { throw new TypeError('thrown'); };
exports.circular = async () => { const found = {}; found.self = found; return found; };
exports.later = () => { setTimeout(() => { throw new Error('thrown later'); }, 5); };
exports.rejected = () => { Promise.reject(new Error('rejected later')); };
exports.listens = (event, context, callback) => {
  process.once('uncaughtException', (error, origin) => callback(null, `mine: ${error.message}, ${origin}`));
  if (String(event) === 'thrown') setTimeout(() => { throw new Error('later'); }, 5);
  else Promise.reject(new Error('later'));
};
exports.listensToRejections = (event, context, callback) => {
  process.once('unhandledRejection', (error) => callback(null, `mine: ${error.message}`));
  Promise.reject(new Error('later'));
};
exports.captures = (event, context, callback) => {
  process.setUncaughtExceptionCaptureCallback((error) => {
    process.setUncaughtExceptionCaptureCallback(null);
    callback(null, `captured: ${error.message}`);
  });
  if (String(event) === 'thrown') setTimeout(() => { throw new Error('later'); }, 5);
  else Promise.reject(new Error('later'));
};
exports.looks = async () => JSON.stringify({
  stack: new Error('here').stack, argv: process.argv, main: require.main.filename, isMain: require.main === module,
  cache: Object.keys(require.cache), parent: module.parent && module.parent.filename, id: module.id,
  viaMain: typeof require.main.require('fs').readFileSync, children: require.main.children.map((each) => each.id),
  env: process.env,
});
exports.exits = () => process.exit(3);
exports.forgets = () => {};
exports.hangs = () => { for (;;); };
exports.heap = () => { const kept = []; for (;;) kept.push(new Array(1e5).fill(kept.length)); };
exports.buffers = () => { const kept = []; for (;;) kept.push(Buffer.alloc(1e6, 1)); };
exports.levels = async (event, context) => {
  console.debug('d'); console.log('l %s', 'ogged'); console.info('i'); console.warn('w'); console.error('e');
  console.log('two\\nlines');
  context.logger.info('by the context');
  console.setLogLevel('error'); console.warn('unheard'); console.setLogLevel('debug');
  process.stdout.write('raw\\n');
};
exports.seen = async () => JSON.stringify({
  cwd: process.cwd(), argv: process.argv.slice(1), path: process.env.NODE_PATH, own: process.env.OWN,
  names: Object.keys(process.env), root: require('fs').readdirSync('/code'), count: ++calls,
});
exports.together = async (event) => {
  console.log(`began ${event}`);
  await new Promise((resolve) => setTimeout(resolve, 200));
  console.log(`ended ${event}`);
  return event;
};
exports.web = (req, resp, context) => {
  const http = require('http');
  resp.setStatusCode(202);
  resp.setHeader('X-Kind', String(req instanceof http.IncomingMessage));
  resp.setHeader('X-Gone', '1'); resp.deleteHeader('X-Gone');
  const answer = {
    queries: req.queries, ip: req.clientIP, body: String(req.body), header: req.getHeader('X-Own'), url: req.url,
    host: req.headers.host, has: resp.hasHeader('x-kind'), request: context.requestId,
  };
  resp.send(JSON.stringify(answer));
  try { resp.send('again'); } catch (error) { console.log(error.message); }
};
exports.wrong = (req, resp) => { resp.setStatusCode('200'); };
exports.upload = (req, resp) => {
  let size = 0;
  req.on('data', (piece) => { size += piece.length; });
  req.on('end', () => resp.send(String(size)));
};
exports.download = (req, resp) => resp.send(Readable.from((function* () {
  for (let index = 0; index < 50; index++) yield Buffer.alloc(100000, 'x');
})()));
exports.breaks = (req, resp) => resp.send(Readable.from((async function* () {
  yield 'some'; await new Promise((resolve) => setTimeout(resolve, 50)); throw new Error('broken');
})()));
"""
EVENTS = [
    "text", "object", "nothing", "number", "twice", "returns", "kind", "handled", "plain", "thrown", "circular",
    "later", "rejected", "exits", "forgets", "hangs", "heap", "buffers", "levels", "seen", "together",
    "listens", "listensToRejections", "captures", "looks",
]  # fmt: skip
WEB = ["web", "wrong", "upload", "download", "breaks"]
MODULES = {
    "esm.mjs": "export const handler = async (event) => `module ${event}`;\n",
    "typed/package.json": '{"type": "module"}',
    "typed/index.js": "import fs from 'fs';\nexport const handler = async () => typeof fs.readFileSync;\n",
    "typed/default.js": "export default { handler: async () => 'of default' };\n",
    "broken.js": "exports.handler = () => {{\n",
    "needs.js": "require('left-pad-that-is-nowhere');\n",
    "package.json": "{}",
}
HANDLERS = {
    "esm": "esm.handler", "typed": "typed/index.handler", "default": "typed/default.handler",
    "broken": "broken.handler", "needs": "needs.handler", "missing": "nowhere.handler", "absent": "index.absent",
    "unnamed": "index",
}  # fmt: skip


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("node")
    for name, text in {"index.js": SOURCE, **MODULES}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    common = {"Runtime": "nodejs12", "Timeout": 10}
    functions: dict[str, dict[str, Any]] = {name: {**common, "Handler": f"index.{name}"} for name in EVENTS}
    functions |= {name: {**common, "Handler": handler} for name, handler in HANDLERS.items()}
    functions |= {name: {**common, "Handler": f"index.{name}", "http": ["GET", "POST"]} for name in WEB}
    for name in ("forgets", "hangs"):
        functions[name]["Timeout"] = 1
    functions["seen"]["EnvironmentVariables"] = {"OWN": "value"}
    functions["together"]["InstanceConcurrency"] = 3
    (folder / "template.yml").write_text(template(functions, "node"))
    server = Server(folder, tmp_path_factory.mktemp("data"))
    yield server
    assert server.stop()[0] == 0


def invoke(server: Server, name: str, event: bytes = b"") -> Response:
    return server.invoke(f"node/{name}", event, X_Fc_Log_Type="Tail")


def log_of(response: Response) -> str:
    return base64.b64decode(response.headers["X-Fc-Log-Result"]).decode()


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("text", "café"), ("object", '{"a":[1,null,true]}'), ("nothing", ""), ("number", "7"), ("twice", "first"),
        ("returns", "returned"), ("kind", "Buffer"), ("esm", "module hi"), ("typed", "function"),
        ("default", "of default"),
    ],
)  # fmt: skip
def test_a_result_becomes_bytes_by_the_rules_of_fc(node: Server, name: str, body: str) -> None:
    answer = invoke(node, name, b"hi")

    assert (answer.body.decode(), answer.headers["X-Fc-Error-Type"]) == (body, None)


@pytest.mark.parametrize(
    ("name", "kind", "error", "message"),
    [
        ("handled", "Handled", "RangeError", "too far"),
        ("plain", "Handled", None, "no error object"),
        ("thrown", "Unhandled", "TypeError", "thrown"),
        ("circular", "Unhandled", "TypeError", "Converting circular structure"),
        ("later", "Unhandled", "Error", "thrown later"),
        ("rejected", "Unhandled", "Error", "rejected later"),
        ("broken", "Unhandled", "SyntaxError", "Unexpected end of input"),
        ("needs", "Unhandled", "ImportModuleError", "Cannot find module 'left-pad-that-is-nowhere'"),
        ("missing", "Unhandled", "ImportModuleError", "Module '/code/nowhere.js' is missing."),
        ("absent", "Unhandled", "HandlerNotFound", "Handler 'absent' is missing on module 'index'"),
        ("unnamed", "Unhandled", "InvalidHandlerName", "Invalid handler 'index'"),
        ("exits", "Unhandled", None, "Process exited unexpectedly before completing request"),
    ],
)
def test_each_way_to_fail_has_its_error(node: Server, name: str, kind: str, error: str | None, message: str) -> None:
    answer = invoke(node, name)

    assert answer.headers["X-Fc-Error-Type"] == f"{kind}InvocationError"
    assert answer.json["errorMessage"].startswith(message)
    assert answer.json.get("errorType") == error


@pytest.mark.parametrize(
    ("name", "event", "answer"),
    [
        ("listens", "thrown", "mine: later, uncaughtException"),
        ("listens", "rejected", "mine: later, unhandledRejection"),
        ("listensToRejections", "", "mine: later"),
        ("captures", "thrown", "captured: later"),
        ("captures", "rejected", "captured: later"),
    ],
)
def test_what_nobody_catches_goes_to_the_functions_own_listener(
    node: Server, name: str, event: str, answer: str
) -> None:
    for _ in range(2):
        assert node.invoke(f"node/{name}", event.encode()).body.decode() == answer


def test_nothing_of_pyfcs_stands_in_the_process(node: Server) -> None:
    seen = node.invoke("node/looks").json

    assert len(seen["argv"]) == 1
    assert (seen["main"], seen["isMain"], seen["viaMain"]) == ("/code/index.js", False, "function")
    assert seen["cache"] == ["/code/index.js"]
    assert "/var/fc/runtime/nodejs/worker.js" in seen["stack"]
    root = str(Path(__file__).resolve().parents[2])
    assert not [text for text in (f"{root}/runtimes", f"{root}/pyfc", "bootstrap.js") if text in json.dumps(seen)]


def test_the_stack_is_the_users_alone(node: Server) -> None:
    stack = invoke(node, "thrown").json["stackTrace"]

    assert stack[0] == "TypeError: thrown"
    assert "/code/index.js" in stack[1]
    assert not [line for line in stack if "/var/fc" in line]


def test_a_missing_package_comes_with_the_command_that_installs_it(node: Server) -> None:
    assert "pyfc build" in invoke(node, "needs").json["errorMessage"]


def test_a_call_without_an_answer_says_what_it_waits_for(node: Server) -> None:
    answer = invoke(node, "forgets")

    assert answer.json["errorMessage"].startswith("Function timed out after 1 seconds")
    assert "it was still waiting for: its callback" in log_of(answer)


def test_a_loop_without_end_is_ended(node: Server) -> None:
    assert invoke(node, "hangs").json["errorMessage"].startswith("Function timed out after 1 seconds")


@pytest.mark.parametrize("name", ["heap", "buffers"])
def test_too_much_memory_is_fcs_error(node: Server, name: str) -> None:
    assert invoke(node, name).json["errorType"] == "FunctionOOMError"


def test_console_lines_have_fcs_form_and_levels(node: Server) -> None:
    answer = invoke(node, "levels")
    request = answer.headers["X-Fc-Request-Id"]
    lines = log_of(answer).split("\n")

    assert "load code for handler:index.levels" in lines
    told = [line.split(f"Z {request} ", 1)[1] for line in lines if f"Z {request} " in line]
    assert told == [
        "[debug] d", "[verbose] l ogged", "[info] i", "[warn] w", "[error] e", "[verbose] two\rlines",
        "[info] by the context",
    ]  # fmt: skip
    assert "raw" in lines


def test_a_function_sees_its_own_surroundings(node: Server) -> None:
    seen = [invoke(node, "seen").json for _ in range(2)]

    assert seen[0]["cwd"] == "/code"
    assert seen[0]["argv"] == []
    assert "/usr/local/lib/node_modules" in seen[0]["path"].split(":")
    assert "index.js" in seen[0]["root"]
    assert seen[0]["own"] == "value"
    assert not [name for name in seen[0]["names"] if name.startswith("PYFC")]
    assert [each["count"] for each in seen] == [1, 2], "the instance is used again"


def test_what_calls_print_at_once_stays_apart(node: Server) -> None:
    invoke(node, "together")
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda name: invoke(node, "together", name), (b"a", b"b", b"c")))

    for answer in answers:
        own = answer.body.decode()
        others = {"a", "b", "c"} - {own}
        log = log_of(answer)
        assert f"began {own}" in log
        assert f"ended {own}" in log
        assert not [other for other in others if f"began {other}" in log]


def test_the_request_and_the_response_are_fcs(node: Server) -> None:
    headers = {"X-Own": "mine", "Content-Type": "text/plain"}
    answer = node.request("POST", "/2016-08-15/proxy/node/web/p?a=1&a=2&b=3", b"body", headers)

    assert (answer.status, answer.headers["X-Kind"], answer.headers["X-Gone"]) == (202, "true", None)
    assert answer.json["queries"] == {"a": ["1", "2"], "b": "3"}
    assert (answer.json["body"], answer.json["header"], answer.json["has"]) == ("body", "mine", True)
    assert answer.json["url"] == "/2016-08-15/proxy/node/web/p?a=1&a=2&b=3"
    assert answer.json["request"] == answer.headers["X-Fc-Request-Id"]


def test_a_wrong_use_of_the_response_is_the_functions_error(node: Server) -> None:
    answer = node.request("GET", "/2016-08-15/proxy/node/wrong/")

    assert (answer.status, answer.json["errorMessage"]) == (502, "statusCode should be a `integer`")


def test_bodies_stream_both_ways(node: Server) -> None:
    assert node.request("POST", "/2016-08-15/proxy/node/upload/", b"x" * 5_000_000).body == b"5000000"
    assert len(node.request("GET", "/2016-08-15/proxy/node/download/").body) == 5_000_000


def test_a_stream_that_breaks_is_not_taken_for_a_whole_one(node: Server) -> None:
    import http.client

    with pytest.raises(http.client.IncompleteRead):
        node.request("GET", "/2016-08-15/proxy/node/breaks/")


def test_fc3s_functions_get_an_http_request_as_a_json_event(serve: Callable[..., Server]) -> None:
    source = "exports.handler = async (event) => ({ statusCode: 201, body: JSON.parse(event).rawPath });\n"
    document = """edition: 3.0.0
resources:
  f:
    component: fc3
    props:
      functionName: f
      runtime: nodejs20
      handler: index.handler
      code: ./
      triggers:
        - triggerName: http
          triggerType: http
          triggerConfig: {authType: anonymous, methods: [GET]}
"""
    server = serve({"index.js": source, "s.yaml": document})

    answer = server.request("GET", "/2016-08-15/proxy/default/f/some/path")

    assert (answer.status, answer.body) == (201, b"/some/path")


def test_the_line_says_which_node_runs_an_old_name(node: Server) -> None:
    interpreter = Runtimes().interpreter("nodejs12")
    assert interpreter is not None

    [line] = [note for note in node.ready["notes"] if note.startswith("nodejs12")]
    assert line == f"nodejs12 is Node.js {interpreter.version} ({interpreter.path}, the nearest here)"


@pytest.mark.parametrize("mode", OWN_MODE_FIRST)
def test_it_runs_however_it_is_locked_in(mode: str, tmp_path: Path) -> None:
    if why := impossible(mode):
        pytest.skip(why)
    source = "exports.handler = async (event) => JSON.stringify({ event: String(event), pid: process.pid });\n"
    functions = {name: {"Runtime": "nodejs20", "Timeout": 20} for name in ("one", "two")}
    functions["two"]["EnvironmentVariables"] = {"NODE_OPTIONS": "--no-warnings"}
    files = {"index.js": source, "template.yml": template(functions)}  # type: ignore[arg-type]
    server = server_in_mode(mode, tmp_path, files)
    try:
        answers = [server.invoke(f"demo/{name}", b"hi").json for name in ("one", "two", "one")]
    finally:
        status, errors = server.stop()
    assert [answer["event"] for answer in answers] == ["hi"] * 3
    assert (status, errors) == (0, "")


def test_a_function_without_network_has_none_and_runs(serve: Callable[..., Server]) -> None:
    source = """exports.handler = (event, context, callback) => {
  require('net').connect(Number(event), '127.0.0.1').on('error', (error) => callback(null, error.code))
    .on('connect', () => callback(null, 'connected'));
};
"""
    document = json.loads(template({"f": {"Runtime": "nodejs20", "Timeout": 10}}))
    document["Resources"]["demo"]["Properties"] = {"InternetAccess": False}
    server = serve({"index.js": source, "template.yml": json.dumps(document)})

    assert server.invoke("demo/f", str(server.port).encode()).body in {b"ECONNREFUSED", b"ENETUNREACH", b"EPERM"}


def test_spares_of_programs_are_kept_and_replaced(serve: Callable[..., Server]) -> None:
    files = {"index.js": "exports.handler = async () => 'x';\n", "template.yml": template({"f": {"Runtime": "nodejs"}})}
    server = serve(files)

    def programs() -> int:
        return sum(1 for each in server.processes() if each.name() in {"node", "MainThread"})

    wait_until(lambda: programs() == 1, "a spare")
    assert server.invoke("demo/f").body == b"x"
    wait_until(lambda: programs() == 2, "the instance and the next spare")


def test_a_debugger_is_waited_for(serve: Callable[..., Server]) -> None:
    files = {"index.js": "exports.handler = async () => 'x';\n", "template.yml": template({"f": {"Runtime": "nodejs"}})}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = serve(files, "--debug", "f", "--debug-port", str(port))

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(server.invoke, "demo/f")
        target = wait_until(lambda: debugger_at(port), "the inspector")
        assert not answer.done()
        path = target.split(str(port), 1)[1]
        with socket.create_connection(("127.0.0.1", port)) as debugger:
            key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw=="
            handshake = f"Upgrade: websocket\r\nConnection: Upgrade\r\n{key}\r\n"
            debugger.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{handshake}\r\n".encode())
            debugger.recv(4096)
            message = b'{"id":1,"method":"Runtime.runIfWaitingForDebugger"}'
            debugger.sendall(bytes([0x81, 0x80 | len(message), 0, 0, 0, 0]) + message)
            assert answer.result(20).body == b"x"


def debugger_at(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=5) as answer:
            return str(json.load(answer)[0]["webSocketDebuggerUrl"])
    except OSError:
        return ""


def test_a_program_that_was_started_ahead_knows_nothing_of_other_functions(serve: Callable[..., Server]) -> None:
    source = "exports.handler = async () => require('fs').readFileSync('/proc/self/environ', 'latin1');\n"
    functions: dict[str, dict[str, Any]] = {"first": {"Runtime": "nodejs"}, "second": {"Runtime": "nodejs"}}
    functions["first"]["EnvironmentVariables"] = {"TOKEN": "secret-of-first", "PATH": "/secret-of-first"}
    server = serve({"index.js": source, "template.yml": template(functions)})  # type: ignore[arg-type]

    for _ in range(3):
        assert b"secret-of-first" not in server.invoke("demo/second").body


def compiles() -> bool:
    interpreter = Runtimes().interpreter("nodejs22")
    return interpreter is not None and tuple(map(int, interpreter.version.split(".")[:2])) >= (22, 1)


@pytest.mark.skipif(not compiles(), reason="there is no Node.js from 22.1 on, which keeps what V8 has compiled")
@pytest.mark.parametrize("mode", OWN_MODE_FIRST)
def test_what_v8_has_compiled_is_kept_and_used(mode: str, tmp_path: Path) -> None:
    if why := impossible(mode):
        pytest.skip(why)
    body = "".join(f"exports.f{index} = (a) => [a, {index}].map((x) => x * {index});\n" for index in range(2000))
    source = f"{body}exports.handler = async () => JSON.stringify(require('module').getCompileCacheDir() || '');\n"
    functions = {name: {"Runtime": "nodejs22", "Timeout": 20} for name in ("one", "two")}
    server = server_in_mode(mode, tmp_path, {"index.js": source, "template.yml": template(functions)})  # type: ignore[arg-type]
    try:
        cache = server.data_dir / "cache"
        wait_until(lambda: list(cache.glob("*/.compiled")), "the compiled code")
        assert list(cache.glob("*/v*/*"))
        assert server.invoke("demo/one").json
    finally:
        assert server.stop() == (0, "")


PLANTS = """
const fs = require('fs'), path = require('path'), { getCompileCacheDir } = require('module');
const cache = getCompileCacheDir();
try { if (cache) fs.symlinkSync('SECRET', path.join(cache, 'planted')); } catch (error) {}
try { if (cache) fs.symlinkSync('/', path.join(path.dirname(cache), 'root')); } catch (error) {}
exports.handler = async () => 'fine';
"""


@pytest.mark.skipif(not compiles(), reason="there is no Node.js from 22.1 on, which keeps what V8 has compiled")
@pytest.mark.parametrize("mode", OWN_MODE_FIRST)
def test_links_that_a_module_leaves_where_compiled_code_is_kept_are_not_followed(mode: str, tmp_path: Path) -> None:
    if why := impossible(mode):
        pytest.skip(why)
    secret = tmp_path / "home" / "secret"
    secret.parent.mkdir()
    secret.write_text("of the user")
    secret.chmod(0o600)
    if mode != "root" and os.geteuid() == 0:
        os.chown(secret, UID, UID)
    source = PLANTS.replace("SECRET", str(secret)) + "//" + "x" * 100_000
    functions: dict[str, dict[str, Any]] = {"one": {"Runtime": "nodejs22"}}
    server = server_in_mode(mode, tmp_path, {"index.js": source, "template.yml": template(functions)})
    try:
        cache = server.data_dir / "cache"
        wait_until(lambda: list(cache.glob("*.work/v*/*")), "what the worker has compiled")
        wait_until(lambda: not list(cache.glob("*.*")), "the end of it")

        assert server.invoke("demo/one").body == b"fine"
        assert secret.stat().st_mode & 0o777 == 0o600
        assert [path for path in cache.rglob("*") if path.parent != cache] == []
    finally:
        status, errors = server.stop()
    assert status == 0
    assert "what was compiled of one is thrown away" in errors
