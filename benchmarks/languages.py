"""Node.js, PHP and custom runtimes beside what people would use instead, in turns, in one run.

    python benchmarks/languages.py [--seconds 3] [--rounds 3] [--json FILE]

1. Warm event calls of Node.js (100 bytes, echoed) beside @google-cloud/functions-framework and workerd.
2. Cold starts of Node.js, by a program that was started ahead, beside starting `node` with the same module.
3. The same of PHP, beside `php -S` with the same code and `php` that loads it.
4. What a custom runtime costs over calling its own server directly.

npm installs the peers into a folder of the user's cache.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import load

from servers import Server, free_port

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pyfc-benchmarks" / "node-peers"
PEERS = ["@google-cloud/functions-framework", "workerd"]
EVENT = "exports.handler = (event, context, callback) => callback(null, event);\n"
FRAMEWORK = "exports.echo = (req, res) => res.send(req.rawBody);\n"
PHP = "<?php\nfunction handler($event, $context) { return $event; }\n"
ROUTER = "<?php\nrequire __DIR__ . '/index.php';\necho handler(file_get_contents('php://input'), []);\n"
WORKER = "export default { async fetch(request) { return new Response(await request.arrayBuffer()); } };\n"
CONFIG = """using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .echo)],
  sockets = [(name = "http", address = "127.0.0.1:%d", http = (), service = "main")],
);
const echo :Workerd.Worker = (
  modules = [(name = "main", esModule = embed "main.js")], compatibilityDate = "2025-01-01",
);
"""
CUSTOM = """const http = require('http');
http.createServer((request, response) => {
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => {
    const body = Buffer.concat(pieces);
    response.setHeader('Content-Length', body.length);
    response.end(body);
  });
}).listen(Number(process.env.FC_SERVER_PORT || process.argv[2]), '127.0.0.1');
"""
EVERYWHERE = os.sched_getaffinity(0)


def peers() -> Path:
    """The folder with the peers' packages."""
    if not (CACHE / "node_modules" / "workerd").exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", *PEERS], cwd=CACHE, check=True)
    return CACHE / "node_modules"


def pyfc(scratch: Path, runtime: str, files: dict[str, str], properties: dict[str, Any] | None = None) -> Server:
    """pyfc with the event function `fn`, which has been called, and `other`, the same and not."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    for name, text in files.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    given = {"Handler": "index.handler", "Runtime": runtime, "CodeUri": "./", "Timeout": 60, **(properties or {})}
    function = {"Type": "Aliyun::Serverless::Function", "Properties": given}
    resources = {"Type": "Aliyun::Serverless::Service", "fn": function, "other": function}
    document = {"Transform": "Aliyun::Serverless-2018-04-03", "Resources": {"demo": resources}}
    (folder / "template.yml").write_text(json.dumps(document))
    port = free_port()
    command = [sys.executable, "-m", "pyfc", "serve", str(folder), "--port", str(port), "--quiet"]
    path = "/2016-08-15/services/demo/functions/fn/invocations"
    return Server([*command, "--data-dir", str(folder / "data")], path, port, EVERYWHERE, scratch)


def framework(scratch: Path) -> Server:
    """functions-framework as installed."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    (folder / "index.js").write_text(FRAMEWORK)
    port = free_port()
    program = peers() / ".bin" / "functions-framework"
    command = [str(program), f"--source={folder}", "--target=echo", f"--port={port}"]
    return Server(command, "/", port, EVERYWHERE, scratch)


def workerd(scratch: Path) -> Server:
    """workerd with a worker that does the same."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    port = free_port()
    (folder / "main.js").write_text(WORKER)
    (folder / "config.capnp").write_text(CONFIG % port)
    [program] = peers().glob("@cloudflare/workerd-*/bin/workerd")
    return Server([str(program), "serve", str(folder / "config.capnp")], "/", port, EVERYWHERE, scratch)


def php_server(scratch: Path) -> Server:
    """PHP's own server with the same handler."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    (folder / "index.php").write_text(PHP)
    (folder / "router.php").write_text(ROUTER)
    port = free_port()
    return Server(["php", "-S", f"127.0.0.1:{port}", str(folder / "router.php")], "/", port, EVERYWHERE, scratch)


def nodejs_peers(scratch: Path) -> dict[str, Server]:
    """Who serves an event function of Node.js."""
    return {
        "pyfc": pyfc(scratch, "nodejs", {"index.js": EVENT}),
        "pyfc, instanceConcurrency 10": pyfc(scratch, "nodejs", {"index.js": EVENT}, {"InstanceConcurrency": 10}),
        "functions-framework": framework(scratch),
        "workerd": workerd(scratch),
    }


def php_peers(scratch: Path) -> dict[str, Server]:
    """Who serves one of PHP."""
    return {"pyfc": pyfc(scratch, "php", {"index.php": PHP}), "php -S": php_server(scratch)}


def warm(servers: dict[str, Server], seconds: float, rounds: int) -> dict[str, Any]:
    """Calls a second and p50 in microseconds, by peer and connections."""
    found: dict[str, dict[str, list[load.Load]]] = {name: {} for name in servers}
    try:
        for _ in range(rounds):
            for connections in (1, 16):
                for name, server in servers.items():
                    measured = load.run(server.port, server.path, 100, connections, seconds, EVERYWHERE)
                    found[name].setdefault(str(connections), []).append(measured)
    finally:
        for server in servers.values():
            server.stop()
    return {
        name: {
            connections: {
                "per second": round(statistics.median(each.per_second for each in loads)),
                "p50 us": round(statistics.median(each.p50 for each in loads) * 1e6),
                "errors": sum(each.errors for each in loads),
            }
            for connections, loads in by_connections.items()
        }
        for name, by_connections in found.items()
    }


def cold(scratch: Path, runtime: str, program: str, file: str, code: str, count: int = 15) -> dict[str, float]:
    """Milliseconds of a call that needs a new instance, and of the interpreter with the same file."""
    path = scratch / file
    path.write_text(code)
    fresh: list[float] = []
    for _ in range(count):
        began = time.perf_counter()
        subprocess.run([program, str(path)], check=True)
        fresh.append((time.perf_counter() - began) * 1000)
    times = [one_cold(scratch, runtime, {file: code}) for _ in range(count)]
    return {"spare": statistics.median(times), program: statistics.median(fresh)}


def one_cold(scratch: Path, runtime: str, files: dict[str, str]) -> float:
    """A first call, to a function nobody has called, when a program has been started ahead."""
    server = pyfc(scratch, runtime, files)
    try:
        time.sleep(0.3)  # the next program is ready by then: nothing tells of it from outside
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.connect()
        began = time.perf_counter()
        connection.request("POST", "/2016-08-15/services/demo/functions/other/invocations", b"x")
        connection.getresponse().read()
        took = (time.perf_counter() - began) * 1000
        connection.close()
        return took
    finally:
        server.stop()


def custom(scratch: Path, seconds: float, rounds: int) -> dict[str, float]:
    """p50 in microseconds of an event through a custom runtime, and of the same request to its server."""
    files = {"server.js": CUSTOM, "bootstrap": "#!/bin/sh\nexec node server.js\n"}
    port = free_port()
    own = scratch / "server.js"
    own.write_text(CUSTOM)
    direct = Server(["node", str(own), str(port)], "/invoke", port, EVERYWHERE, scratch)
    through = pyfc(scratch, "custom", files)
    times: dict[str, list[float]] = {"direct": [], "through pyfc": []}
    try:
        for _ in range(rounds):
            for name, server in (("direct", direct), ("through pyfc", through)):
                times[name].append(load.run(server.port, server.path, 100, 1, seconds, EVERYWHERE).p50 * 1e6)
    finally:
        direct.stop()
        through.stop()
    return {name: statistics.median(each) for name, each in times.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        figures = {
            "warm": warm(nodejs_peers(scratch), options.seconds, options.rounds),
            "cold": cold(scratch, "nodejs", "node", "index.js", EVENT),
            "warm PHP": warm(php_peers(scratch), options.seconds, options.rounds),
            "cold PHP": cold(scratch, "php", "php", "index.php", PHP),
            "custom": custom(scratch, options.seconds, options.rounds),
        }
    print(json.dumps(figures, indent=1))
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
