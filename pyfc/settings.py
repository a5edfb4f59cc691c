"""The one table of settings.

Each field has a default, a line that says what it means, and an environment variable `PYFC_<NAME>`; those a person
types often also have a flag of `pyfc serve`. Settings are frozen: loading is a function that returns them.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any

from pyfc.errors import InvalidArgument

MEBIBYTE = 1024 * 1024


_LAST_PORT = 65535
_OTLP = "OTEL_EXPORTER_OTLP"
Also = tuple[tuple[str, str], ...]


def _setting(
    default: Any, doc: str, *, flag: bool = False, choices: tuple[str, ...] = (), most: float = inf, also: Also = ()
) -> Any:
    """`also`: variables that others use for the same, each with what is appended to its text."""
    metadata = {"doc": doc, "flag": flag, "choices": choices, "most": most, "also": also}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one server does differently from another; immutable for its life."""

    host: str = _setting(
        "127.0.0.1", "Address to listen on; on another than loopback every request must be signed.", flag=True
    )
    port: int = _setting(8000, "Port to listen on; 0 takes a free one.", flag=True, most=_LAST_PORT)
    console_port: int = _setting(
        0, "Port of the console; 0 takes a free one, which `pyfc console` finds.", flag=True, most=_LAST_PORT
    )
    data_dir: str = _setting("", "Data folder; by default one per served folder in the user's state folder.", flag=True)
    strict: bool = _setting(False, "Refuse to start if anything in the template is wrong, or a warning.", flag=True)
    reload: bool = _setting(False, "Watch the folder: a change is served as soon as it has proved to start.", flag=True)
    debug: str = _setting(
        "", "Function whose one instance waits for a debugger (debugpy), with no time limits.", flag=True
    )
    debug_port: int = _setting(5678, "Port at which a debugger finds it.", flag=True, most=_LAST_PORT)
    debugger: str = _setting(
        "attach",
        "attach: a debugger attaches there; pycharm: PyCharm's debug server listens there.",
        flag=True,
        choices=("attach", "pycharm"),
    )
    quiet: bool = _setting(False, "Do not print a line per call.", flag=True)
    auth: str = _setting(
        "auto",
        "auto: managing takes a key, and so do calls from other machines; off: any signature will do, or none.",
        flag=True,
        choices=("auto", "off"),
    )
    tls_certificate: str = _setting("", "PEM file with the certificate (and its chain) to serve HTTPS with.", flag=True)
    tls_key: str = _setting("", "PEM file with its private key.", flag=True)
    allow_host: tuple[str, ...] = _setting((), "Also answer requests for this host name (repeatable).", flag=True)
    allow_outgoing: tuple[str, ...] = _setting(
        (),
        "Also ask this for others (callbacks of uploads), though of this machine or a private net: HOST, HOST:PORT, "
        "ADDRESS or NETWORK (repeatable).",
        flag=True,
    )
    site: str = _setting(
        "", "Custom domain, or one route of it (DOMAIN/PATH), that answers requests to this server itself.", flag=True
    )
    sandbox: str = _setting(
        "auto",
        "auto: what this host allows; required: refuse to start if a layer is missing; off: none.",
        flag=True,
        choices=("auto", "required", "off"),
    )
    build: bool = _setting(
        True, "Install what functions need and do not bring along (requirements.txt, package.json), once."
    )
    allow_outside: bool = _setting(
        False, "Let the project's links, CodeUri and named files lead out of it, for this start.", flag=True
    )
    env: str = _setting(
        "", "Environment of env.yaml with which a template of Serverless Devs is read, as with `s --env`.", flag=True
    )
    site_packages: bool = _setting(False, "Let functions import the packages of pyfc's interpreter.", flag=True)
    json: bool = _setting(False, "Print JSON lines for machines instead of tables.", flag=True)

    account_id: str = _setting("1234567890123456", "Account id that functions see.")
    region: str = _setting("cn-hangzhou", "Region that functions see.")

    maximum_instance_count: int = _setting(100, "Most instances of one function.")
    maximum_server_instances: int = _setting(300, "Most instances of all functions together.")
    maximum_waiting_calls: int = _setting(1000, "Most calls of one function that wait for a free instance.")
    maximum_wait: float = _setting(10.0, "Longest wait of a call for a free instance, in seconds.")
    build_wait: float = _setting(120.0, "Longest wait of a call for packages that are being installed, in seconds.")
    timer_misfire: float = _setting(
        60.0, "Seconds after which a timer's missed time (the server was down) is left out; 0 leaves all out."
    )
    idle_timeout: float = _setting(300.0, "Seconds of idleness after which an instance is released.")
    freeze_after: float = _setting(
        1.0, "Seconds of idleness after which an instance gets no processor until it is called; 0 as in FC: at once."
    )
    spare_workers: int = _setting(1, "Started workers that wait for a function, per runtime; they hide a fork.")
    templates: str = _setting(
        "auto",
        "auto: all instances but the first are copies of one that has imported the function; first: all; off: none.",
        choices=("auto", "first", "off"),
    )
    spare_copies: int = _setting(1, "Copies of a template that wait for a call, per function; two while it is busy.")
    load_timeout: float = _setting(60.0, "Seconds that starting the runtime and importing a module may take.")
    program_timeout: float = _setting(120.0, "Seconds in which the server of a custom runtime must listen.")
    drain_timeout: float = _setting(10.0, "Seconds that running calls get to end when the server stops.")

    async_retry_delay: float = _setting(
        1.0, "Seconds before a failed asynchronous call is tried again; then doubling, at most 60."
    )
    async_queue_events: int = _setting(1_000_000, "Most asynchronous calls of one function that wait; more get 429.")
    async_queue_bytes: int = _setting(1024 * MEBIBYTE, "Most bytes of them.")
    async_queue_total_events: int = _setting(4_000_000, "Most asynchronous calls of all functions that wait.")
    async_queue_total_bytes: int = _setting(4096 * MEBIBYTE, "Most bytes of them.")
    async_record_bytes: int = _setting(
        2048 * MEBIBYTE, "Most bytes of records of asynchronous calls; the oldest of who has most of them go first."
    )
    async_retention: float = _setting(604800.0, "Seconds for which records of asynchronous calls are kept (7 days).")
    destination_endpoint: str = _setting(
        "", "Where messages for MNS and EventBridge destinations are posted, by the path of their ARN."
    )
    rabbitmq: str = _setting(
        "", "RabbitMQ whose queues are pulled by triggers of that source: amqp://USER:PASSWORD@HOST:PORT."
    )
    kafka: str = _setting("", "Kafka whose topics are pulled by triggers of that source: HOST:PORT,HOST:PORT.")
    destination_retries: int = _setting(8, "How often such a message is sent again before it is kept as given up.")

    maximum_body: int = _setting(32 * MEBIBYTE, "Largest body of a call in bytes.")
    maximum_upload: int = _setting(512 * MEBIBYTE, "Largest package that can be uploaded, in bytes.")
    maximum_result: int = _setting(
        32 * MEBIBYTE, "Largest result of a function in bytes, unless it is of unknown size."
    )
    header_timeout: float = _setting(10.0, "Seconds in which a client must send the head of a request.")
    body_timeout: float = _setting(30.0, "Seconds in which at least 1 KiB of a request's body, or its end, must come.")
    keep_alive_timeout: float = _setting(
        75.0, "Seconds that a connection is kept that is idle or whose client reads no more."
    )
    content_disposition: bool = _setting(False, "Send HTTP triggers' answers as attachments, as FC's own domains do.")

    maximum_code_size: int = _setting(500 * MEBIBYTE, "Largest unpacked code of a function in bytes.")
    maximum_code_files: int = _setting(100_000, "Most files and folders in the code of a function.")
    sweep_after: float = _setting(10.0, "Seconds after which code that was replaced or deleted is removed from disk.")
    log_rate: int = _setting(MEBIBYTE, "Bytes a second that an instance may write to its log beyond its calls' own.")
    log_file_size: int = _setting(10 * MEBIBYTE, "Bytes after which a function's log file is rotated.")
    log_file_count: int = _setting(5, "Rotated log files kept per function.")
    log_service_bytes: int = _setting(1024 * MEBIBYTE, "Most bytes that the log service keeps; the oldest go first.")
    observe: str = _setting(
        "on",
        "on: metrics of all calls, and records of requests, are kept in the data folder; off: none.",
        flag=True,
        choices=("on", "off"),
    )
    record_rate: int = _setting(
        200, "Records a second of a function's plain calls (warm, quick and successful); others are all kept."
    )
    record_retention: float = _setting(604800.0, "Seconds for which records of requests are kept (7 days).")
    record_bytes: int = _setting(512 * MEBIBYTE, "Most bytes of them; the oldest go first.")
    profile_bytes: int = _setting(
        64 * MEBIBYTE, "Most bytes of profiles of slow calls, kept as long as records; the oldest go first."
    )
    otlp_endpoint: str = _setting(
        "",
        "Where spans of calls are posted (OTLP over HTTP), as http://127.0.0.1:4318/v1/traces; also by OTEL's "
        "own variables, as OTEL_EXPORTER_OTLP_ENDPOINT.",
        also=((f"{_OTLP}_TRACES_ENDPOINT", ""), (f"{_OTLP}_ENDPOINT", "/v1/traces")),
    )
    otlp_headers: tuple[str, ...] = _setting(
        (),
        "Headers of these requests, like api-key=VALUE; also OTEL_EXPORTER_OTLP_HEADERS.",
        also=((f"{_OTLP}_TRACES_HEADERS", ""), (f"{_OTLP}_HEADERS", "")),
    )
    trace_ratio: float = _setting(
        1.0,
        "Part of the calls without a caller's trace that begin one; also OTEL_TRACES_SAMPLER_ARG.",
        also=(("OTEL_TRACES_SAMPLER_ARG", ""),),
    )
    log_service_days: int = _setting(7, "Most days for which it keeps logs; a logstore may ask for fewer.")


def fields() -> list[dataclasses.Field[Any]]:
    """The rows of the table, in order."""
    return list(dataclasses.fields(Settings))


def load(environment: Mapping[str, str] = os.environ, **chosen: Any) -> Settings:
    """Defaults, overridden by `PYFC_*` variables, overridden by what the caller chose (None means not chosen).

    Raises InvalidArgument naming the variable or the flag whose text does not fit.
    """
    values: dict[str, Any] = {}
    for field in fields():
        variable = f"PYFC_{field.name.upper()}"
        if chosen.get(field.name) is not None:
            values[field.name] = chosen[field.name]
        elif variable in environment:
            values[field.name] = _parse(variable, environment[variable], field.default)
        else:
            values |= _by_others(field, environment)
        choices = field.metadata["choices"]
        if choices and values.get(field.name, choices[0]) not in choices:
            allowed = f"{', '.join(choices[:-1])} or {choices[-1]}"
            raise InvalidArgument(message=f"{field.name} is {values[field.name]!r}: it must be {allowed}")
        most = field.metadata["most"]
        if most < inf and not 0 <= values.get(field.name, 0) <= most:
            raise InvalidArgument(message=f"{field.name} is {values[field.name]}: it must be from 0 to {most}")
    return Settings(**values)


def _by_others(field: dataclasses.Field[Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """The value of a field by the first variable of others that says something."""
    for variable, ending in field.metadata["also"]:
        text = environment.get(variable, "")
        if text:
            return {field.name: _parse(variable, text.rstrip("/") + ending if ending else text, field.default)}
    return {}


def _parse(variable: str, text: str, default: Any) -> Any:
    if isinstance(default, bool):
        if text.lower() in {"1", "true", "yes", "on"}:
            return True
        if text.lower() in {"", "0", "false", "no", "off"}:
            return False
        raise InvalidArgument(message=f"{variable} is {text!r}: it must be true or false")
    if isinstance(default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    kind = type(default)
    try:
        value = kind(text)
    except ValueError:
        raise InvalidArgument(message=f"{variable} is {text!r}: it must be a number") from None
    if kind is not str and value < 0:
        raise InvalidArgument(message=f"{variable} is {text!r}: it must not be negative")
    return value


def state_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where data folders live: `$XDG_STATE_HOME/pyfc`, by default `~/.local/state/pyfc`."""
    base = environment.get("XDG_STATE_HOME", "")
    root = Path(base) if base.startswith("/") else Path.home() / ".local" / "state"
    return root / "pyfc"
