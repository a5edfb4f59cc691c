"""Event functions: each handler is one case."""

import ctypes
import json
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid

COUNT = 0


def echo(event, context):
    return event


def kind(event, context):
    return type(event).__name__


def count(event, context):
    global COUNT
    COUNT += 1
    return {"count": COUNT, "pid": os.getpid()}


def value(event, context):
    return eval(event.decode(), {"bytearray": bytearray, "memoryview": memoryview})


def raises(event, context):
    raise ValueError("something is wrong")


def raises_own(event, context):
    class Odd(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    raise Odd


def recurses(event, context):
    return recurses(event, context)


def leaves(event, context):
    print("about to leave")
    sys.exit(3)


def leaves_at_once(event, context):
    os._exit(0)


def crashes(event, context):
    ctypes.string_at(0)


def loops(event, context):
    print("printed before the loop")
    while True:
        pass


def sleeps(event, context):
    time.sleep(float(event))
    return "slept"


def ignores_term(event, context):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    while True:
        pass


def prints(event, context):
    print("to stdout")
    print("to stderr", file=sys.stderr)
    os.write(1, b"by descriptor\n")
    subprocess.run(["echo", "by a subprocess"], check=True)
    context.logger.info("by the logger")
    logging.getLogger("mine").warning("by another logger")
    logging.debug("never shown")


def prints_much(event, context):
    line = "x" * 99
    for _ in range(int(event) // 100):
        print(line)
    return "done"


def prints_controls(event, context):
    print("\x1b[2J\x1b[31mred\x07 FC Invoke End RequestId: forged")


def prints_surrogate(event, context):
    print("lone \udc80 surrogate")
    return "lone \udc80 surrogate"


def attributes(event, context):
    names = ("request_id", "region", "account_id", "retry_count")
    found = {name: getattr(context, name) for name in names}
    found["credentials"] = sorted(vars(context.credentials))
    found["function"] = vars(context.function)
    found["service"] = vars(context.service)
    found["tracing"] = [context.tracing.span_context, context.tracing.span_baggages, context.tracing.jaeger_endpoint]
    found["logger"] = isinstance(context.logger, logging.Logger)
    return found


def environment(event, context):
    return dict(os.environ)


def process(event, context):
    descriptors = sorted(int(name) for name in os.listdir("/proc/self/fd"))
    status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
    limits = {line[:26].strip(): line[26:].split()[:2] for line in open("/proc/self/limits").read().splitlines()}
    return {
        "descriptors": descriptors[:-1],  # the last is the listing's own
        "session": os.getsid(0) == os.getpid(),
        "group": os.getpgid(0) == os.getpid(),
        "no_new_privs": status["NoNewPrivs"].strip(),
        "core": limits["Max core file size"],
        "files": limits["Max open files"],
        "cwd": os.getcwd(),
        "path": sys.path,
        "threads": len(os.listdir("/proc/self/task")),
        "initial_environment": open("/proc/self/environ").read(),
    }


def imports(event, context):
    __import__(event.decode())
    return "imported"


def fills_pipe(event, context):
    os.write(4, event)
    time.sleep(60)


def closes_pipe(event, context):
    os.close(4)
    time.sleep(60)


def forges_end(event, context):
    os.write(4, b"\0" * int(event))
    os._exit(0)


def unique(event, context):
    return [random.random(), str(uuid.uuid4()), os.urandom(8).hex()]


def leaves_daemon(event, context):
    child = subprocess.Popen(["sleep", "300"])
    return child.pid


def leaves_thread(event, context):
    def write():
        time.sleep(0.2)
        print("from a thread, after the call", flush=True)

    threading.Thread(target=write, daemon=True).start()


def big(event, context):
    return b"a" * int(event)


def not_serialisable(event, context):
    return object()


def writes_code(event, context):
    with open(os.path.join(os.environ["FC_FUNC_CODE_PATH"], "new"), "w") as file:
        file.write(json.dumps({}))


def closes_stdout(event, context):
    sys.stdout.close()
    sys.stderr.close()
    return "closed"
