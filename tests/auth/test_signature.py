"""Signatures are those that FC's clients make, and nothing else is taken for one."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest

from pyfc.auth.digest import BodyDigest, check_document
from pyfc.auth.keys import Key, Keys
from pyfc.auth.once import Once
from pyfc.auth.signature import Signed, authorization, sign, sign_url, string_to_sign, verify
from pyfc.errors import (
    AccessDenied,
    InvalidAccessKeyID,
    InvalidArgument,
    KeyNotFound,
    MissingRequiredHeader,
    RequestTimeTooSkewed,
    SignatureNotMatch,
    SignatureUsed,
)
from pyfc.model.names import Target

KEY = Key(id="AKID", secret="SECRET")
DATE = "Mon, 23 Nov 2026 14:08:42 GMT"
NOW = parsedate_to_datetime(DATE).timestamp()
JSON = {"content-type": "application/json", "date": DATE}
VECTORS = [
    ("yCSvnUOLo4iGyvsHluLozi/2+lZuNLaR5I8abBNgk70=", Signed("POST", "/2016-08-15/services", JSON)),
    (
        "UdQJ59q6nlOxbX2+OGNhNWtJrnMMsuOn9WX3q1u24zY=",
        Signed(
            "POST",
            "/2016-08-15/services/svc/functions/f/invocations",
            {**JSON, "x-fc-invocation-type": "Sync", "x-fc-log-type": "Tail"},
        ),
    ),
    (
        "hHeZYQdm66hczavjPtYx22ldmKPCuoRhJWY/6GSK/gY=",
        Signed("GET", "/2016-08-15/proxy/svc/f/a%20b/c?q=1&z=a&z=b", {**JSON, "x-fc-foo": "Bar"}, is_trigger=True),
    ),
    (
        "P+9aY60kTlaw379rTaIIYqaKDe2ypobyqLZTPH13L6E=",
        Signed(
            "GET",
            "/2016-08-15/proxy/svcn/f/path%20with?a=1",
            {"date": DATE, "x-fc-account-id": "1234567890"},
            is_trigger=True,
        ),
    ),
    (
        "2upTZZqtDEDzM0CBgAfEWYvoOd4LX4aVKXiYMvVhETs=",
        Signed(
            "POST",
            "/2016-08-15/services/svcn/functions/f/invocations",
            {
                "content-md5": "ZTU5MTM4ZjM1MTkyZTMyMDA4OGI4M2QyODM4OGQ2YmI=",
                "content-type": "application/octet-stream",
                "date": DATE,
                "x-fc-account-id": "1234567890",
                "x-fc-log-type": "Tail",
            },
        ),
    ),
]


def find(name: str) -> Key | None:
    return KEY if name == KEY.id else None


def signed(request: Signed, signature: str) -> Signed:
    return request._replace(fields={**request.fields, "authorization": f"FC AKID:{signature}"})


@pytest.mark.parametrize(("signature", "request_"), VECTORS)
def test_the_signatures_of_fcs_clients_are_accepted(signature: str, request_: Signed) -> None:
    assert verify(find, signed(request_, signature), NOW) is KEY


@pytest.mark.parametrize(("signature", "request_"), VECTORS)
def test_a_changed_request_is_refused(signature: str, request_: Signed) -> None:
    whole = signed(request_, signature)
    for changed in (
        whole._replace(method="DELETE"),
        whole._replace(target=whole.target.replace("svc", "sVc").replace("services", "service")),
        whole._replace(fields={**whole.fields, "x-fc-trace-id": "1"}),
        whole._replace(fields={**whole.fields, "content-type": "text/plain"}),
    ):
        with pytest.raises(SignatureNotMatch):
            verify(find, changed, NOW)


def test_the_query_is_signed_for_http_triggers_only() -> None:
    signature, api = VECTORS[0]
    verify(find, signed(api._replace(target=api.target + "?limit=1"), signature), NOW)
    signature, trigger = VECTORS[2]
    with pytest.raises(SignatureNotMatch):
        verify(find, signed(trigger._replace(target=trigger.target + "&y=1"), signature), NOW)


def test_what_is_missing_or_wrong_is_told() -> None:
    signature, request = VECTORS[0]
    whole = signed(request, signature)
    with pytest.raises(MissingRequiredHeader, match="Authorization"):
        verify(find, request, NOW)
    with pytest.raises(MissingRequiredHeader, match="Date"):
        verify(find, whole._replace(fields={"authorization": "FC AKID:x"}), NOW)
    with pytest.raises(InvalidAccessKeyID, match="OTHER"):
        verify(find, whole._replace(fields={**JSON, "authorization": "FC OTHER:x"}), NOW)
    with pytest.raises(SignatureNotMatch):
        verify(find, whole._replace(fields={**JSON, "authorization": "Basic AKID:x"}), NOW)
    with pytest.raises(InvalidArgument, match="no time"):
        verify(find, whole._replace(fields={**whole.fields, "date": "yesterday"}), NOW)


@pytest.mark.parametrize("seconds", [-901, 901])
def test_a_request_more_than_15_minutes_off_is_refused(seconds: int) -> None:
    signature, request = VECTORS[0]
    with pytest.raises(RequestTimeTooSkewed):
        verify(find, signed(request, signature), NOW + seconds)
    verify(find, signed(request, signature), NOW + seconds - (1 if seconds > 0 else -1) * 2)


def test_a_signed_url_is_good_until_it_expires_and_for_its_path_alone() -> None:
    url = sign_url(KEY, "/2016-08-15/proxy/svc/f/a b", int(NOW) + 60)
    request = Signed("GET", url.replace(" ", "%20"), {}, is_trigger=True)

    assert verify(find, request, NOW) is KEY
    with pytest.raises(RequestTimeTooSkewed):
        verify(find, request, NOW + 61)
    with pytest.raises(SignatureNotMatch):
        verify(find, request._replace(target=request.target.replace("svc", "other")), NOW)
    with pytest.raises(SignatureNotMatch):
        verify(find, request._replace(target=request.target + "&more=1"), NOW)


def test_blank_values_are_accepted_in_either_form() -> None:
    for query in (["a", "b=1"], ["a=", "b=1"]):
        request = Signed("GET", "/2016-08-15/proxy/s/f/?a=&b=1", {"date": DATE}, is_trigger=True)
        verify(find, signed(request, sign("SECRET", string_to_sign(request, DATE, query))), NOW)


def test_keys_are_kept_in_a_file_of_their_owner_and_seen_without_a_restart(tmp_path: Path) -> None:
    server, command = Keys(tmp_path), Keys(tmp_path)
    key, is_new = server.first()
    assert is_new
    assert server.first() == (key, False)
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600

    other = command.create("ci")
    assert server.find(other.id) == other
    command.revoke(key.id)
    assert server.find(key.id) is None
    with pytest.raises(KeyNotFound):
        command.revoke(key.id)


def test_the_credentials_of_a_function_need_its_token_and_may_not_manage(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    own = keys.of(Target("s", "f"))
    date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    request = Signed("POST", "/2016-08-15/services/s/functions/f/invocations", {"date": date})
    with_token = request._replace(fields={**request.fields, "x-fc-security-token": own.token})

    def whole(each: Signed) -> Signed:
        return each._replace(fields={**each.fields, "authorization": authorization(own, each, date)})

    found = verify(keys.find, whole(with_token))
    assert (found.may_manage, found.function) == (False, Target("s", "f"))
    assert keys.of(Target("s", "f")) == own
    assert keys.of(Target("s", "g")).secret != own.secret
    with pytest.raises(AccessDenied, match="security token"):
        verify(keys.find, whole(request))


@pytest.mark.parametrize("date", [f"Mon, 23 Nov {'9' * 40} 14:08:42 GMT", "²²²²-01-01T00:00Z", "T"])
def test_a_time_that_can_not_be_is_a_400(date: str) -> None:
    with pytest.raises(InvalidArgument, match="no time"):
        verify(find, Signed("POST", "/", {"authorization": "FC AKID:x", "date": date}), NOW)


def test_a_signature_of_any_characters_is_a_403() -> None:
    body = {"x-acs-date": DATE, "x-acs-content-sha256": "é"}
    acs3 = "ACS3-HMAC-SHA256 Credential=AKID,SignedHeaders=x-acs-date;x-acs-content-sha256,Signature=é"
    url = "/x?x-fc-access-key-id=AKID&x-fc-expires=²&x-fc-signature=é"
    for wrong in (
        Signed("POST", "/", {"authorization": "FC AKID:é", "date": DATE}),
        Signed("POST", "/", {"authorization": acs3, **body}, body=b""),
        Signed("GET", url, {}, is_trigger=True),
    ):
        with pytest.raises(SignatureNotMatch):
            verify(find, wrong, NOW)


def test_the_end_of_a_signed_url_is_a_number() -> None:
    for expires in ("²", "9" * 5000):
        text = string_to_sign(Signed("GET", "/x", {}), expires, ["x-fc-access-key-id=AKID", f"x-fc-expires={expires}"])
        query = {"x-fc-access-key-id": "AKID", "x-fc-expires": expires, "x-fc-signature": sign("SECRET", text)}
        with pytest.raises(RequestTimeTooSkewed):
            verify(find, Signed("GET", f"/x?{urlencode(query)}", {}, is_trigger=True), NOW)


def acs3(nonce: str, names: str = "x-acs-content-sha256;x-acs-date;x-acs-signature-nonce") -> Signed:
    fields = {
        "x-acs-date": "2026-11-23T14:08:42Z",
        "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
        "x-acs-signature-nonce": nonce,
    }
    headers = "".join(f"{name}:{fields[name]}\n" for name in names.split(";"))
    canonical = f"POST\n/2023-03-30/functions\n\n{headers}\n{names}\n{fields['x-acs-content-sha256']}"
    text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    made = hmac.new(b"SECRET", text.encode(), hashlib.sha256).hexdigest()
    given = f"ACS3-HMAC-SHA256 Credential=AKID,SignedHeaders={names},Signature={made}"
    return Signed("POST", "/2023-03-30/functions", {**fields, "authorization": given}, body=b"")


def test_a_signature_with_a_nonce_is_good_once() -> None:
    once = Once()
    for nonce in ("a", "b"):
        assert verify(find, acs3(nonce), NOW, once) is KEY
        for later in (0, 1, 800):
            with pytest.raises(SignatureUsed):
                verify(find, acs3(nonce), NOW + later, once)


@pytest.mark.parametrize(
    "request_", [signed(VECTORS[0][1], VECTORS[0][0]), acs3("", "x-acs-content-sha256;x-acs-date")], ids=["FC", "ACS3"]
)
def test_a_signature_without_a_nonce_is_good_for_a_minute(request_: Signed) -> None:
    once = Once()

    for later in (0, 0, 1, 59):  # equal calls of one second, and what an HTTP library sends again
        verify(find, request_, NOW + later, once)
    with pytest.raises(SignatureUsed):
        verify(find, request_, NOW + 61, once)
    with pytest.raises(SignatureUsed):
        verify(find, request_, NOW + 800, once)


def test_a_wrong_signature_uses_up_nothing() -> None:
    once = Once()
    with pytest.raises(SignatureNotMatch):
        verify(find, acs3("a")._replace(body=b"another"), NOW, once)

    verify(find, acs3("a"), NOW, once)


def test_what_was_used_is_forgotten_when_its_time_is_over_or_too_much_came_since() -> None:
    once = Once(most=10)
    for number in range(1000):
        once.check(str(number), NOW, has_nonce=True)

    assert len(once._seen) == 10
    with pytest.raises(SignatureUsed):
        once.check("999", NOW, has_nonce=True)
    once.check("x", NOW + 1801, has_nonce=True)
    assert len(once._seen) == 1


@pytest.mark.parametrize(
    "stated",
    [
        base64.b64encode(hashlib.md5(b"body").digest()),
        base64.b64encode(hashlib.md5(b"body").hexdigest().encode()),
        hashlib.md5(b"body").hexdigest().encode(),
        hashlib.md5(b"body").hexdigest().upper().encode(),
    ],
)
def test_a_body_is_compared_with_its_digest_in_each_form_that_clients_write(stated: bytes) -> None:
    BodyDigest(stated).add(b"bo").add(b"dy").check()
    with pytest.raises(InvalidArgument, match="Content-MD5"):
        BodyDigest(stated).add(b"bodY").check()


@pytest.mark.parametrize("stated", [b"", b"opaque", b"\xff", base64.b64encode(b"short")])
def test_a_digest_of_no_known_form_tells_nothing(stated: bytes) -> None:
    BodyDigest(stated).add(b"body").check()


def test_a_document_of_javas_client_has_its_own_digest_in_it_and_is_not_compared() -> None:
    document = b'{"serviceName":"s","headers":{"Accept":"application/json","Content-MD5":"x\\u003d\\u003d","Date":"x"}}'
    stated = base64.b64encode(hashlib.md5(b"what it was before").digest())

    check_document(stated, document)
    for other in (b'{"serviceName":"s"}', document.replace(b"Content-MD5", b"Content-Type")):
        check_document(hashlib.md5(other).hexdigest().encode(), other)
        with pytest.raises(InvalidArgument, match="Content-MD5"):
            check_document(stated, other)
