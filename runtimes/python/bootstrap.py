"""The life of one Python worker: Hello, Init, the user's module, its initializer, its calls. How the bodies of a call
travel is in calls.py, several calls at once are in threads.py, HTTP functions in wsgi.py.

The worker never tells times or sizes: the supervisor measures. Whatever user code raises becomes FC's error JSON;
`sys.exit` and deadly signals end the process, as they do in FC.
"""

from __future__ import annotations

import atexit
import ctypes
import importlib
import json
import logging
import os
import shlex
import signal
import site
import sys
import threading
import time
import types
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

import calls
import context
import debugging
import faults
import forks
import imports
import output
import births
import threads
import wire
import wsgi
from faults import HandlerError

NAME = "python"
_UNHURRIED = 5
"""Milliseconds without an order after which a copy is a spare."""


def main(incoming: int, outgoing: int, settle: Callable[[dict[str, Any]], None], copies: births.Births | None) -> None:
    """Serve calls until told to stop. Descriptors: frames in, frames out. `settle` closes the sandbox for good;
    `copies` makes a template of this process.
    """
    channel = wire.Channel(incoming, outgoing)
    init = _greet(channel)
    if init is None:
        return
    settle(init.sandbox)
    if copies is not None:
        worker = _Worker(channel, init)
        if worker.prepare(init.template):
            copies.wait(worker.renew)
            if worker.born():
                worker.serve()
            worker.end()
        return
    if not init.handler:
        _compile_all(init.code, init.cache)
        channel.write(wire.READY, 0, (None,))
        return
    worker = _Worker(channel, init)
    if init.debug_port:
        debugging.BEGIN[init.debugger](init.debug_port)
        worker.is_debugged = True
    worker.load(traces=init.traces)
    worker.serve()
    worker.end()


def _greet(channel: wire.Channel, meanwhile: Callable[[], None] = lambda: None) -> wire.Init | None:
    """Say Hello, and hear what to be; None if nothing. `meanwhile`: what is done until the answer comes."""
    channel.write(wire.HELLO, 0, (wire.VERSION, NAME))
    meanwhile()
    frame = channel.read()
    return wire.Init.of(frame[2]) if frame is not None and frame[0] == wire.INIT else None


def _compile_all(code: str, cache: str) -> None:
    """Fill the cache of compiled modules, and run none of them: the handler's name was empty."""
    import compileall

    os.nice(19)
    sys.pycache_prefix = cache
    compileall.compile_dir(code, maxlevels=100, quiet=2)


class _Worker:
    def __init__(self, channel: wire.Channel, init: wire.Init) -> None:
        self._channel = channel
        self._code = init.code
        self._concurrency = init.concurrency
        self._handler: Callable[..., Any] = _echo
        self._hooks: dict[str, Callable[..., Any]] = {}
        self._take(init)
        self._output = output.Output(init.mark)
        self._logger = logging.getLogger()
        self._is_loaded = self.is_debugged = False
        _enter_environment(init.environment)
        _enter_path(init.code, init.packages, init.cache)
        signal.signal(signal.SIGTERM, self._on_timeout)
        forks.leave_behind(self._on_timeout)

    def _take(self, init: wire.Init) -> None:
        """What may be another in a copy than in its template."""
        self._handler_name = init.handler
        self._hook_names = {"initializer": init.initializer, **init.hooks}
        self._fixed = context.Fixed(init.context)
        self._source = init.source

    def prepare(self, wanted: dict[str, Any]) -> bool:
        """In a template: import what its copies need; the answer is Ready. False if it is of no use."""
        for name in wanted["preload"]:
            try:
                importlib.import_module(name)
            except Exception:
                continue  # the function imports it as well, and then its author hears of it
        if not wanted["load"]:
            self._answer(wire.READY, 0, (None,))
            return True
        self._is_loaded = self.load()
        if self._is_loaded and wanted["snapshot"]:
            frame = self._channel.read()
            self._is_loaded = frame is not None and self._run_hook(*frame[1:])
        return self._is_loaded

    def renew(self) -> None:
        """This process is a copy of the one that made this object."""
        self._output.renew()

    def born(self) -> bool:
        """In a copy of a template: say Hello, load what the template has not. False if there is nothing to be."""
        init = _greet(self._channel, self._rehearse)
        if init is None:
            return False
        os.environ.update(init.environment)
        self._output.mark_with(init.mark)
        if self._is_loaded:
            self._answer(wire.READY, 0, (None,))
        else:
            self._take(init)
            os.chdir(self._code)  # the template's was another folder of the same name
            for folder in [each for each in sys.path_importer_cache if (each + "/").startswith(self._code + "/")]:
                del sys.path_importer_cache[folder]  # it has looked into the other one
            _make_way(self._code)
            self.load()
        return True

    def _rehearse(self) -> None:
        """In a copy that nobody waits for yet: do what comes next for nobody. A page that is written for the first time
        in a copy of a process is copied then.
        """
        if self._channel.ready(_UNHURRIED):
            return
        channel, handler, incoming = self._channel, self._handler, os.pipe()
        try:
            self._channel = wire.Channel(*incoming)
            self._channel.write(wire.INVOKE, 0, (False, 1, "0" * 36, 0, 0, 1 << 40, None, None), b"x")
            call = self._channel.read()
            assert call is not None
            self._handler = _echo
            self._invoke(*call[1:])
            wire.unpack(wire.pack([{}, {"A": "b"}]))
            output.current["request_id"] = ""
        finally:
            self._channel, self._handler = channel, handler
            for descriptor in incoming:
                os.close(descriptor)

    def load(self, *, traces: bool = False) -> bool:
        """Import the user's module; the answer is Ready, with the times of imports if it `traces`. Whether it went
        well.
        """
        trace = imports.Trace() if traces else None
        if trace is not None:
            trace.start()
        try:
            self._handler = self._find(self._handler_name)
            self._hooks = {name: self._find(handler) for name, handler in self._hook_names.items() if handler}
        except Exception as error:
            self._answer(wire.READY, 0, (faults.fault(error),), faults.document(error))
            return False
        self._answer(wire.READY, 0, (None,), json.dumps(trace.stop()).encode() if trace is not None else b"")
        return True

    def _find(self, name: str) -> Callable[..., Any]:
        """The function that a handler string `module.function` or `folder/module.function` names."""
        module_name, _, function = name.rpartition(".")
        if not module_name or not function:
            raise HandlerError("Invalid handler '%s': it must be <module>.<function>" % name, "InvalidHandlerName")
        try:
            module = importlib.import_module(os.path.normpath(module_name).strip("/").replace("/", "."))
        except Exception as error:
            raise self._import_error(module_name, error) from error
        found: Any = getattr(module, function, None)
        if callable(found):
            return found  # type: ignore[no-any-return]
        raise HandlerError("Handler '%s' is missing on module '%s'" % (function, module_name), "HandlerNotFound")

    def _import_error(self, module_name: str, error: Exception) -> HandlerError:
        """The error of a failed import, with the command that would install what is missing."""
        message = "Unable to import module '%s': %s" % (module_name, faults.text(error))
        if hint := faults.hint(error):
            message += hint
        elif isinstance(error, ModuleNotFoundError) and os.path.isfile(os.path.join(self._code, "requirements.txt")):
            folder = self._source or "."
            requirements = shlex.quote(os.path.join(folder, "requirements.txt"))
            message += "; its folder has a requirements.txt, so install what it names: pip install -r %s -t %s" % (
                requirements,
                shlex.quote(folder),
            )
        keeps_type = isinstance(error, (SyntaxError, MemoryError))
        return HandlerError(message, type(error).__name__ if keeps_type else "ImportModuleError")

    def serve(self) -> None:
        """Take frames until Stop or the end of the pipe."""
        actions: dict[int, Callable[[int, list[Any], bytes], Any]] = {wire.INVOKE: self._invoke, wire.HOOK: self._hook}
        if self._concurrency > 1:
            actions = {wire.HOOK: self._hook, **threads.Threads(self._channel, self._run).actions}
        while True:
            frame = self._channel.read()
            if frame is None or frame[0] == wire.STOP:
                return
            action = actions.get(frame[0])
            try:
                if action is not None and action(*frame[1:]):
                    return
            except SystemExit:
                raise
            except BaseException as error:
                faults.tell(error)
                self.end(1)

    def end(self, status: int = 0) -> NoReturn:
        """End the process as Python does, but for taking itself apart, which takes longer than a birth."""
        wait_for_threads: Callable[[], None] = getattr(threading, "_shutdown", lambda: None)
        try:
            wait_for_threads()
            atexit._run_exitfuncs()
            self._output.flush()
        finally:
            ctypes.PyDLL(None).exit(status)  # so that libraries in C end as well, while no thread runs Python
        os._exit(status)

    def _hook(self, call: int, header: list[Any], payload: bytes) -> None:
        self._run_hook(call, header, payload)

    def _run_hook(self, call: int, header: list[Any], _payload: bytes) -> bool:
        """Run the hook that the frame names. Whether it went well."""
        output.current["request_id"] = header[1]
        fault, payload = None, b""
        try:
            self._hooks[header[0]](context.FCContext(self._fixed, header[1], self._logger))
        except Exception as error:
            faults.log(error)
            fault, payload = faults.fault(error), faults.document(error)
        self._answer(wire.HOOK_DONE, call, (fault,), payload)
        output.current["request_id"] = ""
        return fault is None

    def _invoke(self, number: int, header: list[Any], payload: bytes) -> None:
        """Run one call. The usual one, a small event with a small result, is not worth an object."""
        size, request_id, kind = header[1:4]
        output.current["request_id"] = request_id
        if kind != 0 or size != len(payload):
            self._run(calls.Call(self._channel, number, size, payload), header)
            return
        try:
            body = _to_bytes(self._handler(payload, self._context(header)))
        except Exception as error:
            self._fail(calls.Call(self._channel, number, 0, b""), error)
            return
        if len(body) > wire.MAXIMUM_UNARY:
            call = calls.Call(self._channel, number, 0, b"")
            call.answer(None, 200, None, body, self._finisher(call))
            return
        self._channel.send(wire.plain_reply(number, body, self._output.finish(number)))

    def _run(self, call: calls.Call, header: list[Any]) -> None:
        """Run one call of any kind."""
        try:
            if header[3] == 0:
                answer = wsgi.Answer(200, None, _to_bytes(self._handler(call.body(), self._context(header))))
            else:
                multithread = self._concurrency > 1
                environ = wsgi.environment(header[6], call, self._context(header), self._handler_name, multithread)
                answer = wsgi.respond(self._handler, environ)
        except Exception as error:
            self._fail(call, error)
            return
        if answer.pieces is None:
            call.answer(None, answer.status, answer.headers, answer.body, self._finisher(call))
        else:
            finish = self._finisher(call)
            call.stream(None, answer.status, answer.headers, answer.size, answer.pieces, finish, faults.fault)

    def _context(self, header: list[Any]) -> context.FCContext:
        alias = header[8] if len(header) > 8 else ""
        return context.FCContext(self._fixed, header[2], self._logger, header[4], header[7], alias)

    def _finisher(self, call: calls.Call) -> Callable[[], bool]:
        return lambda: self._output.finish(call.number)

    def _fail(self, call: calls.Call, error: Exception) -> None:
        if self.is_debugged:
            debugging.stop_where_raised(error)
        faults.log(error)
        call.answer(faults.fault(error), 200, None, faults.document(error), self._finisher(call))

    def _answer(self, kind: int, call: int, header: tuple[Any, ...], payload: bytes = b"") -> None:
        self._output.flush()
        self._channel.write(kind, call, header, payload)

    def _on_timeout(self, _signal: int, _frame: FrameType | None) -> None:
        """The supervisor ends a call that ran too long: say where it was, as FC's runtime does."""
        try:
            print(output.stacks(sys._current_frames()), end="", file=sys.stderr)
            self._output.flush()
        finally:
            os._exit(143)


def _echo(event: bytes, _context: Any) -> bytes:
    return event


def _enter_environment(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()


def _enter_path(code: str, packages: list[str], cache: str) -> None:
    """The user's code comes first, and its modules also win over those this process has loaded for itself."""
    os.chdir(code)
    _make_way(code)
    declared = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    layers = ["/opt/python/lib/python%d.%d/site-packages" % sys.version_info[:2], "/opt/python"]
    sys.path[:0] = [code, *declared, *layers]
    for folder in packages:
        site.addsitedir(folder)
    sys.argv[:] = [""]
    if cache:
        sys.pycache_prefix = cache
    else:
        sys.dont_write_bytecode = True


def _make_way(code: str) -> None:
    """Forget what this process has loaded for itself and the user's code has a module of the same name for."""
    names = {name.partition(".")[0] for name in os.listdir(code)} - KEPT
    own = {name for name in names & sys.modules.keys() if not _lies_in(sys.modules[name], code)}
    own -= _back_ports(code, own)
    for name in [each for each in sys.modules if each.partition(".")[0] in own] if own else ():
        if not _lies_in(sys.modules[name], code):
            del sys.modules[name]


def _back_ports(code: str, names: set[str]) -> set[str]:
    """Those that installed packages have in place of modules of the standard library, for the sake of an older Python
    (enum34 and its like). FC's runtime has loaded these modules before it looks at packages.
    """
    standard = os.path.dirname(os.__file__)
    loaded = {name for name in names if _lies_in(sys.modules[name], standard)}
    loaded = {name for name in loaded if "-packages" not in str(getattr(sys.modules[name], "__file__", ""))}
    return loaded and loaded & _brought(code)


def _brought(code: str) -> set[str]:
    """The top names of what is installed in a folder."""
    found: set[str] = set()
    for folder in [each for each in os.listdir(code) if each.endswith(".dist-info")]:
        try:
            with open(os.path.join(code, folder, "RECORD"), encoding="utf-8") as file:
                found.update(line.partition(",")[0].partition("/")[0].partition(".")[0] for line in file)
        except (OSError, UnicodeDecodeError):
            pass  # installed in another way: then it is the function's own
    return found


def _lies_in(module: Any, folder: str) -> bool:
    found = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), "")
    return str(found).startswith(folder + "/")


KEPT: frozenset[str] = frozenset()
"""Modules that a bare interpreter has loaded; set by `zygote.py`. Python itself never looks for them on the path."""


def _to_bytes(value: Any) -> bytes:
    """What FC makes of a handler's return value: bytes as they are, text as UTF-8, the rest as JSON."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    try:
        return json.dumps(value).encode()
    except TypeError as error:
        if not isinstance(value, types.CoroutineType):
            raise
        value.close()
        hint = "; the handler is a coroutine function, and FC does not await it: call asyncio.run(...) in a plain one"
        raise TypeError("%s%s" % (error, hint)) from None
