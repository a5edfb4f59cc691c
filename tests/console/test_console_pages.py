"""The console of a real server: its pages, and who is let in."""

from __future__ import annotations

import contextlib
import gzip
import html
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import psutil
import pytest

from console_visitor import OWN, Visitor
from pyfc.auth.keys import Key, Keys
from pyfc.auth.sessions import Logins
from pyfc.client import Client
from pyfc.client.transport import ApiError
from pyfc.errors import NotUnderstood
from support import Server, wait_until

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"
CODE = {
    "template.yml": """
ROSTemplateFormatVersion: '2015-09-01'
Transform: 'Aliyun::Serverless-2018-04-03'
Resources:
  shop:
    Type: 'Aliyun::Serverless::Service'
    pay:
      Type: 'Aliyun::Serverless::Function'
      Properties: {Handler: index.pay, Runtime: python3, CodeUri: ./, EnvironmentVariables: {TOKEN: hidden-value},
        AsyncConfiguration: {MaxAsyncRetryAttempts: 0}}
    web:
      Type: 'Aliyun::Serverless::Function'
      Properties: {Handler: index.web, Runtime: python3, CodeUri: ./}
      Events:
        http: {Type: HTTP, Properties: {AuthType: ANONYMOUS, Methods: [GET, POST]}}
""",
    "index.py": """
import json

def pay(event, context):
    print("paying <b>" + event.decode() + "</b>")
    if b"fail" in event:
        raise ValueError("refused: " + event.decode())
    return event

def web(environ, start):
    start("201 Created", [("Content-Type", "text/plain")])
    length = int(environ.get("CONTENT_LENGTH") or 0)
    return [environ["REQUEST_METHOD"].encode(), b" ", environ["wsgi.input"].read(length)]
""",
}


@pytest.fixture(scope="module")
def server(serve_all: Callable[..., Server]) -> Server:
    return serve_all(CODE)


@pytest.fixture(scope="module")
def user(server: Server) -> Visitor:
    return Visitor(server).log_in()


@pytest.fixture
def fresh(server: Server) -> Visitor:
    """A session of the test's own."""
    return Visitor(server).log_in()


def test_a_link_logs_in_once_and_leads_to_the_overview(server: Server) -> None:
    visitor = Visitor(server)
    link = visitor.link()

    visitor.log_in(link)

    assert "Overview" in visitor.get("").words
    again = visitor.ask("GET", link)
    assert (again.status, again.headers["set-cookie"]) == (403, None)
    assert "has been used, or is too old" in again.words


def test_the_command_prints_a_link_that_logs_in(server: Server) -> None:
    words = [sys.executable, "-m", "pyfc", "console", "--url", "--endpoint", server.endpoint]
    environment = {**os.environ, **_key(server)}

    link = subprocess.run(words, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout.strip()

    assert link.startswith(server.ready["console"])
    assert "Overview" in Visitor(server).log_in(link[link.index("/console/") :]).get("").words


def _key(server: Server) -> dict[str, str]:
    key = Keys(server.data_dir).first()[0]
    return {"PYFC_ACCESS_KEY_ID": key.id, "PYFC_ACCESS_KEY_SECRET": key.secret}


def test_the_cookie_is_good_for_the_address_of_its_session_only(server: Server, fresh: Visitor) -> None:
    other = Visitor(server).log_in()

    stolen = other.get("", Cookie=fresh.cookie)  # a function on another port was sent it, and knows no address
    guessed = fresh.ask("GET", "/console/s/guessed/", None, {**OWN, "Cookie": fresh.cookie})
    without = fresh.ask("GET", fresh.base, None, OWN)

    assert [stolen.status, guessed.status, without.status] == [401, 401, 401]
    assert "Log in" in stolen.words


def test_the_cookie_is_hidden_from_scripts_and_sent_to_its_own_path_alone(server: Server) -> None:
    visitor = Visitor(server)

    cookie = visitor.ask("GET", visitor.link()).headers["set-cookie"]

    assert {"HttpOnly", "SameSite=strict"} < set(cookie.split("; "))
    assert re.search(r"Path=/console/s/[\w-]{22}/", cookie)
    assert "Max-Age" not in cookie  # it ends with the browser, and after hours of nothing here


def test_a_logout_ends_the_session_and_no_other(fresh: Visitor, user: Visitor) -> None:
    assert "logged out" in fresh.post("logout", {}).words

    assert fresh.get("").status == 401
    assert user.get("").status == 200


def test_revoking_ends_all_sessions_and_links(serve: Callable[..., Server]) -> None:
    visitor = Visitor(serve({})).log_in()
    link = visitor.link()

    assert visitor.server.manage("DELETE", "/pyfc/console").json == {"revoked": 1}

    assert visitor.get("").status == 401
    assert visitor.ask("GET", link).status == 403


def test_an_access_key_logs_in_and_a_wrong_secret_does_not(server: Server) -> None:
    visitor = Visitor(server)
    key = Keys(server.data_dir).first()[0]

    def tried(secret: str) -> tuple[int, bool]:
        body = urlencode({"id": key.id, "secret": secret})
        seen = visitor.ask("POST", "/console/login", body, OWN)
        return seen.status, seen.headers["set-cookie"] is not None

    assert tried("wrong") == (403, False)
    assert tried("") == (403, False)
    assert tried(key.secret) == (200, True)


def test_what_may_not_manage_gets_no_link(server: Server) -> None:
    assert server.request("POST", "/pyfc/console").status in {400, 403}
    page = {"Origin": "http://127.0.0.1:9", **server.signed_headers("POST", "/pyfc/console", {})}
    assert server.request("POST", "/pyfc/console", None, page).status == 403


def test_an_unknown_role_is_refused_by_name(server: Server) -> None:
    answer = server.manage("POST", "/pyfc/console?role=owner")

    assert (answer.status, b"it must be reader" in answer.body) == (400, True)


REFUSED = {
    "a name that was pointed at this machine": {"Host": "evil.example"},
    "a page of another site": {"Sec-Fetch-Site": "cross-site"},
    "a page of another port of this host": {"Sec-Fetch-Site": "same-site"},
    "an origin that is not ours": {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:1"},
    "an older browser's page of elsewhere": {"Origin": "http://evil.example"},
    "a sandboxed frame": {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
}


@pytest.mark.parametrize("sender", REFUSED)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_others_make_the_browser_send_is_refused(user: Visitor, sender: str, method: str) -> None:
    headers = {"Cookie": user.cookie, **REFUSED[sender]}
    body = urlencode({"csrf": user.csrf, "event": "{}"}) if method == "POST" else None

    for path in ("functions/shop/pay", "requests", "functions/shop/pay/logs/stream?offset=0"):
        assert user.ask(method, user.base + path, body, headers).status == 403


def test_a_form_without_the_token_of_its_session_does_nothing(fresh: Visitor, user: Visitor) -> None:
    for token in ("", "0" * 64, fresh.csrf):
        assert user.post("functions/shop/pay", {"csrf": token, "event": "{}"}).status == 403
    headers = {"Cookie": user.cookie, "Content-Type": "application/x-www-form-urlencoded"}
    nobody = user.ask("POST", user.base + "functions/shop/pay", urlencode({"csrf": user.csrf}), headers)
    assert nobody.status == 403  # no browser sends a form without saying whose page has it


def test_every_answer_tells_the_browser_what_it_may_do(user: Visitor) -> None:
    for seen in (user.get(""), user.ask("GET", "/console/"), user.get("nothing"), user.ask("GET", "/other")):
        policy = seen.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert seen.headers["x-frame-options"] == "DENY"
        assert seen.headers["referrer-policy"] == "no-referrer"
        assert seen.headers["cache-control"] == "no-store"


def test_pages_have_no_script_or_style_of_their_own_and_lead_nowhere_else(user: Visitor) -> None:
    user.post("functions/shop/pay", {"event": "fail " + HOSTILE})

    for path in ("", "functions", "functions/shop/pay", "functions/shop/pay/logs", "requests"):
        text = user.get(path).text
        assert not re.search(r"<script(?! src=\"/console/static/)|<style| style=| on\w+=\"|javascript:", text)
        assert not re.search(r"(?:href|src|action)=\"(?!/console/|[?#])", text)


def test_what_functions_print_answer_and_raise_never_becomes_markup(user: Visitor) -> None:
    called = user.post("functions/shop/pay", {"event": "fail " + HOSTILE, "mode": "sync"})
    fragment = user.post("functions/shop/pay", {"event": HOSTILE}, HX_Request="true")
    logs = wait_until(lambda: _with(user, "functions/shop/pay/logs", "alert(1)"), "the log")
    requests = wait_until(lambda: _with(user, "requests?failed=1", "alert(1)"), "the record")
    overview = user.get("").text
    searched = user.get(f"functions?{urlencode({'q': HOSTILE})}").text
    unknown = user.get("functions/shop/%3Cscript%3Ealert(1)%3C%2Fscript%3E").text

    for text in (called.text, fragment.text, logs, requests, overview, searched, unknown):
        assert "alert(1)" in text
        assert "<script>" not in text
        assert "<img src=x" not in text
        assert "paying <b>" not in text


def _with(user: Visitor, path: str, text: str) -> str | None:
    found = user.get(path).text
    return found if text in found else None


def test_a_call_shows_its_result_its_status_and_the_end_of_its_log(user: Visitor) -> None:
    seen = user.post("functions/shop/pay", {"event": '{"amount":3}', "mode": "sync"})

    assert seen.status == 200
    assert "succeeded 200" in seen.words
    assert '"amount": 3' in seen.words
    assert 'paying <b>{"amount":3}</b>' in seen.words
    assert "pyfc invoke shop/pay -e '{\"amount\":3}'" in seen.words


def test_the_same_call_can_be_copied_for_a_shell(user: Visitor, server: Server) -> None:
    text = user.post("functions/shop/pay", {"event": "it's"}).text
    copied = re.findall(r'<pre id="copy-\d" tabindex="0">(.*?)</pre>', text, re.DOTALL)
    curl = html.unescape(copied[1])

    done = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout == "it's"


def test_htmx_is_sent_the_result_alone(user: Visitor) -> None:
    seen = user.post("functions/shop/pay", {"event": "{}"}, HX_Request="true")

    assert "succeeded" in seen.words
    assert "<html" not in seen.text


def test_an_http_function_is_called_by_method_path_and_body(user: Visitor) -> None:
    form = {"method": "POST", "target": "/a?b=c", "headers": "X-Test: 1", "body": "hello"}

    assert "201" in (seen := user.post("functions/shop/web", form)).words
    assert "POST hello" in seen.words
    assert "is no header" in user.post("functions/shop/web", {**form, "headers": "nonsense"}).words


def test_why_a_call_failed_is_two_pages_from_the_overview(user: Visitor) -> None:
    user.post("functions/shop/pay", {"event": "fail here"})
    overview = wait_until(lambda: _with(user, "", "refused: fail here"), "the failure")
    row = next(each for each in overview.split("<tr>") if "refused: fail here" in each)
    link = re.search(r'href="[^"]*/(requests/[\w-]+)"', row)
    assert link is not None

    words = user.get(link[1]).words

    assert "FunctionUnhandledError refused: fail here" in words
    assert "Traceback (most recent call last)" in words
    assert "Invoke" in words


def test_an_asynchronous_call_that_failed_is_replayed_with_another_event(user: Visitor, server: Server) -> None:
    request = server.invoke("shop/pay", b"fail first", X_Fc_Invocation_Type="Async").headers["X-Fc-Request-Id"]
    wait_until(lambda: "Replay" in user.get(f"requests/{request}").words, "the record of the call")

    moved = user.post(f"requests/{request}", {"event": "again"})

    assert moved.status == 303
    again = moved.headers["location"].removeprefix(user.base)
    assert again != f"requests/{request}"
    wait_until(lambda: "paying <b>again</b>" in user.get(again).words, "the log of the new call")


def test_a_log_is_searched_and_a_mistake_in_the_search_is_told(user: Visitor) -> None:
    user.post("functions/shop/pay", {"event": "needle"})
    wait_until(lambda: _with(user, "functions/shop/pay/logs?q=needle", "needle&lt;/b&gt;"), "what is searched")

    assert "Nothing to show" in user.get("functions/shop/pay/logs?q=absent1234").words
    assert user.get(f"functions/shop/pay/logs?{urlencode({'q': 'a and ('})}").status == 200
    assert "count" in user.get(f"functions/shop/pay/logs?{urlencode({'q': '* | select count(*) as count'})}").words


def test_what_is_logged_meanwhile_comes_by_itself(user: Visitor, server: Server) -> None:
    page = user.get("functions/shop/pay/logs?follow=1").text
    found = re.search(r'hx-sse:connect="([^"]+)"', page)
    assert found is not None
    connection = http.client.HTTPConnection("127.0.0.1", user.address.port or 0, timeout=30)
    connection.request("GET", found[1].replace("&amp;", "&"), None, {**OWN, "Cookie": user.cookie})
    answer = connection.getresponse()
    assert answer.headers["content-type"].startswith("text/event-stream")

    server.invoke("shop/pay", b"<i>live</i>")

    lines = iter(answer.readline, b"")
    got = _until(lines)
    connection.close()
    assert b"id: " in got
    assert b"<i>" not in got


def _until(lines: Iterator[bytes]) -> bytes:
    """Up to the line of the log."""
    got = b""
    for line in lines:
        got += line
        if b"live" in line:
            return got
    raise AssertionError(got)


def test_a_reader_sees_no_secrets_and_changes_nothing(server: Server, user: Visitor) -> None:
    reader = Visitor(server)
    reader.log_in(reader.link("?role=reader"))

    seen = reader.get("functions/shop/pay/configuration").words
    refused = reader.post("functions/shop/pay", {"event": "{}"})

    assert "TOKEN" in seen
    assert "hidden-value" not in seen
    assert "hidden-value" in user.get("functions/shop/pay/configuration").words
    assert (refused.status, "may look only" in refused.words) == (403, True)
    assert "may look only" in reader.get("functions/shop/pay").words
    assert reader.post("logout", {}).status == 200


def test_a_language_is_chosen_by_the_browser_or_by_hand(user: Visitor) -> None:
    assert "概览" in user.get("", Accept_Language="zh-TW,en;q=0.5").words
    chosen = user.get("requests?language=zh-CN&failed=1")
    assert (chosen.status, chosen.headers["location"]) == (303, f"{user.base}requests?failed=1")
    cookie = chosen.headers["set-cookie"].partition(";")[0]
    assert "请求" in user.get("requests", Cookie=f"{user.cookie}; {cookie}").words
    assert 'data-theme="dark"' in user.get("", Cookie=f"{user.cookie}; pyfc_theme=dark").text
    assert 'data-theme="auto"' in user.get("", Cookie=f"{user.cookie}; pyfc_theme=%22evil").text


def test_assets_are_kept_for_good_and_nothing_else_is_served_there(user: Visitor) -> None:
    paths = re.findall(r'"(/console/static/[^"]+)"', user.get("").text)
    assert len(paths) >= 5

    for path in paths:
        seen = user.ask("GET", path, None, OWN)
        assert (seen.status, "immutable" in seen.headers["cache-control"]) == (200, True)
    assert user.ask("GET", paths[0].rpartition("/")[0] + "/..%2Fapplication.py", None, OWN).status == 404


def test_an_empty_server_says_what_to_do(serve: Callable[..., Server]) -> None:
    words = Visitor(serve({})).log_in().get("").words

    assert "There are no functions yet" in words
    assert "pyfc init" in words


def test_a_page_that_is_not_there_leads_back(user: Visitor) -> None:
    for path in ("functions/shop/absent", "requests/absent", "absent"):
        seen = user.get(path)
        assert seen.status == 404
        assert "Overview" in seen.words


def test_a_server_that_is_gone_is_told_on_the_page(serve: Callable[..., Server]) -> None:
    without = Visitor(serve({}, PYFC_OBSERVE="off")).log_in()

    assert "No records are kept" in without.get("requests").words
    assert without.get("").status == 200


def test_an_event_too_large_is_refused_before_it_is_kept(user: Visitor) -> None:
    headers = {**OWN, "Cookie": user.cookie, "Content-Length": str(40 * 1024 * 1024)}
    connection = socket.create_connection(("127.0.0.1", user.address.port or 0), timeout=60)
    with connection:
        head = f"POST {user.base}functions/shop/pay HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        connection.sendall((head + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n").encode())
        sent = 0
        try:
            while sent < 40 * 1024 * 1024:
                sent += connection.send(b"a" * 1024 * 1024)
        except OSError:
            pass  # it is not read to its end
        assert b" 400 " in connection.recv(4096).split(b"\r\n")[0]


def test_nothing_runs_until_somebody_looks_and_a_taken_port_names_the_setting(
    serve: Callable[..., Server],
) -> None:
    server = serve({})
    assert not _consoles(server)

    Visitor(server).log_in()

    assert len(_consoles(server)) == 1
    port = urlsplit(server.ready["console"]).port
    with pytest.raises(AssertionError, match="console_port, is taken by another program"):
        Server(server.folder, server.data_dir.parent / "other", "--console-port", str(port))


def _consoles(server: Server) -> list[psutil.Process]:
    return [each for each in server.processes() if "pyfc.console" in each.cmdline()]


@contextlib.contextmanager
def _process(server: Server, listening: socket.socket, **more: object) -> Iterator[subprocess.Popen[bytes]]:
    """The process of a console at a socket of the test's own."""
    order = {
        "endpoint": server.endpoint, "data_folder": str(server.data_dir), "sockets": [listening.fileno()],
        "names": [], "takes_links": True, "certificate": "", "key": "", "account_id": "", "region": "", **more,
    }  # fmt: skip
    words = [sys.executable, "-m", "pyfc.console"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, pass_fds=[listening.fileno()]) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
        connection = http.client.HTTPConnection("127.0.0.1", listening.getsockname()[1], timeout=30)
        connection.request("GET", "/console/")
        assert connection.getresponse().status == 200
        connection.close()
        yield process


def test_the_process_ends_when_nobody_has_looked_and_the_next_takes_its_socket(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        for _ in range(2):
            with _process(server, listening, idle_seconds=0.3) as process:
                assert process.wait(30) == 0


def test_the_process_ends_with_its_server(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, _process(server, listening) as process:
        assert process.poll() is None
        assert process.stdin is not None

        process.stdin.close()

        assert process.wait(30) == 0


def test_an_address_that_no_browser_should_open_is_refused(shared: Server) -> None:
    client = Client(shared.endpoint, key=Keys(shared.data_dir).first()[0])
    assert client.console_link()["url"].startswith(shared.ready["console"])

    for url in ("file:///etc/passwd", "javascript:alert(1)", "http://a/\x1b[2J", "--help"):
        client.api = lambda *_, url=url: {"url": url, "seconds": 1}  # type: ignore[method-assign]
        with pytest.raises(NotUnderstood, match="no address of a web page"):
            client.console_link()


def test_a_thousand_functions_are_shown_on_pages_of_less_than_60_kilobytes(serve: Callable[..., Server]) -> None:
    code = {f"function_{number}.py": "def handler(event, context):\n    return event\n" for number in range(300)}
    many = Visitor(serve(code)).log_in()

    for path in ("", "functions", "functions/default/function_299"):
        seen = many.get(path)
        assert seen.status == 200
    rows = many.get("functions").text
    assert rows.count("<tr>") == 301
    assert len(gzip.compress(rows.encode(), 6)) * 1000 / 300 < 60_000
    assert many.get("functions?q=function_29").text.count("<tr>") == 12


def certificate_of(folder: Path) -> tuple[str, str]:
    """A certificate for a name that is not the server's address, and its key."""
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=pyfc.example"]
    subprocess.run([*words, "-keyout", str(private), "-out", str(certificate)], capture_output=True, check=True)
    return str(certificate), str(private)


def test_where_other_machines_come_the_console_takes_tls_and_keys_and_no_links(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    certificate, private = certificate_of(tmp_path)
    options = ("--host", "0.0.0.0", "--tls-certificate", certificate, "--tls-key", private)
    server = serve({"echo.py": "def handler(event, context):\n    return event\n"}, *options)
    port = urlsplit(server.ready["console"]).port
    key = Keys(server.data_dir).first()[0]

    link = Client(server.endpoint.replace("0.0.0.0", "127.0.0.1"), key=key, certificate=certificate).console_link()
    assert (link["seconds"], "token" in link["url"]) == (0, False)
    trusting = ssl.create_default_context(cafile=certificate)
    trusting.check_hostname = False
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=trusting, timeout=60)
    own = {**OWN, "Origin": f"https://127.0.0.1:{port}"}
    token = Logins(server.data_dir).link()
    connection.request("GET", f"/console/login?token={token}", headers=own)
    refused = connection.getresponse()
    assert (refused.status, b"Log in" in refused.read()) == (403, True)
    connection.request("POST", "/console/login", urlencode({"id": key.id, "secret": key.secret}), own)
    answer = connection.getresponse()
    answer.read()
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert "Secure" in attributes
    [base] = [each.removeprefix("Path=") for each in attributes if each.startswith("Path=")]
    connection.request("GET", base + "functions", headers={**OWN, "Cookie": cookie})
    assert b"echo" in connection.getresponse().read()
    connection.close()


def test_without_tls_the_console_stays_on_this_machine(serve: Callable[..., Server]) -> None:
    server = serve({}, "--host", "0.0.0.0")

    assert urlsplit(server.ready["console"]).hostname == "127.0.0.1"
    assert any("other machines need --tls-certificate" in note for note in server.ready["notes"])
    assert "Overview" in Visitor(server).log_in().get("").words


def test_a_function_gets_no_link_by_its_own_credentials(serve: Callable[..., Server]) -> None:
    code = "import json\n\ndef handler(event, context):\n    return json.dumps(vars(context.credentials))\n"
    server = serve({"own.py": code, "pyfc.yml": "permissions: all\n"})
    found = json.loads(server.invoke("default/own").body)
    key = Key(id=found["access_key_id"], secret=found["access_key_secret"], token=found["security_token"])
    client = Client(server.endpoint, key=key)

    with pytest.raises(ApiError, match=r".+") as link:
        client.console_link()
    with pytest.raises(ApiError, match=r".+") as end:
        client.revoke_console()

    assert (link.value.status, end.value.status) == (403, 403)
