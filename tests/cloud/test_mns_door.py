"""The message service over HTTP: the answers that MNS's clients depend on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate

import pytest

from cloud.mns_client import SPACE, Client, many, xml
from pyfc.auth.keys import Key
from support import Server, time_passed

RECEIVED = {
    "MessageId", "ReceiptHandle", "MessageBody", "MessageBodyMD5", "EnqueueTime", "NextVisibleTime",
    "FirstDequeueTime", "DequeueCount", "Priority",
}  # fmt: skip
"""What a client for Python misses if it is not there."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("data") / "data")
    yield found
    found.stop()


@pytest.fixture
def ask(server: Server) -> Client:
    return Client(server)


@pytest.fixture
def queue(ask: Client, request: pytest.FixtureRequest) -> Iterator[str]:
    """A queue of a test's own."""
    name = f"q{abs(hash(request.node.name))}"
    assert ask.create(f"queues/{name}", VisibilityTimeout=30).status == 201
    yield name
    ask("DELETE", f"/queues/{name}")


def test_a_queue_is_made_once_and_says_where_it_is(ask: Client) -> None:
    made = ask.create("queues/made", DelaySeconds=5)
    again = ask.create("queues/made", DelaySeconds=5)
    other = ask.create("queues/made", DelaySeconds=6)
    found = ask("GET", "/queues/made")
    gone = [ask("DELETE", "/queues/made").status for _ in range(2)]

    assert (made.status, again.status, gone) == (201, 204, [204, 204])
    assert made.headers["location"] == "http://1234567890123456.mns.cn-hangzhou.aliyuncs.com/queues/made"
    assert (other.status, other.code) == (409, "QueueAlreadyExist")
    assert found.root.tag == f"{{{SPACE}}}Queue"
    assert found.fields | {"CreateTime": "", "LastModifyTime": ""} == {
        "QueueName": "made", "ActiveMessages": "0", "InactiveMessages": "0", "DelayMessages": "0",
        "DelaySeconds": "5", "MaximumMessageSize": "65536", "MessageRetentionPeriod": "345600",
        "VisibilityTimeout": "30", "PollingWaitSeconds": "0", "LoggingEnabled": "False", "CreateTime": "",
        "LastModifyTime": "",
    }  # fmt: skip
    assert ask("GET", "/queues/made").code == "QueueNotExist"


def test_a_message_is_sent_received_and_deleted(ask: Client, queue: str) -> None:
    sent = ask.send(queue, "a <b> & ü")
    got = ask.receive(queue)
    deleted = ask.delete(queue, got.fields["ReceiptHandle"])

    assert (sent.status, got.status, deleted.status) == (201, 200, 204)
    assert set(got.fields) == RECEIVED
    assert got.fields["MessageId"] == sent.fields["MessageId"]
    assert got.fields["MessageBody"] == "a <b> & ü"
    assert got.fields["MessageBodyMD5"] == sent.fields["MessageBodyMD5"]
    assert abs(int(got.fields["NextVisibleTime"]) / 1000 - time.time() - 30) < 5
    assert got.headers["x-mns-request-id"] != sent.headers["x-mns-request-id"]
    assert ask.delete(queue, got.fields["ReceiptHandle"]).code == "MessageNotExist"


@pytest.mark.parametrize("path", ["/queues", "/queues/q/messages", "/topics/t"])
def test_who_signs_nothing_gets_the_message_services_own_error(server: Server, path: str) -> None:
    answer = server.request("GET", path)

    assert answer.status == 400
    assert b"<Code>MissingAuthorizationHeader</Code>" in answer.body


def test_an_empty_queue_is_answered_after_the_wait(ask: Client, queue: str) -> None:
    begin = time.monotonic()
    found = ask.receive(queue, wait=1)

    assert time.monotonic() - begin > 0.9
    assert (found.status, found.code) == (404, "MessageNotExist")
    assert set(found.fields) == {"Code", "Message", "RequestId", "HostId"}


def test_who_waits_hears_of_a_message_at_once(server: Server, ask: Client, queue: str) -> None:
    other = Client(server)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(other.receive, queue, 20)
        time_passed(0.3)
        begin = time.monotonic()
        ask.send(queue, "now")
        found = waiting.result(20)

    assert found.fields["MessageBody"] == "now"
    assert time.monotonic() - begin < 5


def test_a_message_that_nobody_deletes_comes_again_also_to_who_waits_for_it(ask: Client) -> None:
    ask.create("queues/short", VisibilityTimeout=1)
    ask.send("short", "again")
    first = ask.receive("short").fields
    second = ask.receive("short", wait=20).fields
    ask("DELETE", "/queues/short")

    assert (first["MessageId"], second["DequeueCount"]) == (second["MessageId"], "2")
    assert int(second["NextVisibleTime"]) - int(first["NextVisibleTime"]) >= 1000
    assert first["FirstDequeueTime"] == second["FirstDequeueTime"]


def test_who_goes_away_while_waiting_takes_no_message_along(server: Server, ask: Client, queue: str) -> None:
    gone = Client(server)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(gone.receive, queue, 30)
        time_passed(0.3)
        assert gone.connection is not None
        gone.connection.sock.shutdown(2)
        assert waiting.exception(10) is not None
    time_passed(0.3)
    ask.send(queue, "for who is there")

    assert ask.receive(queue).fields["MessageBody"] == "for who is there"


def test_waiting_receivers_do_not_keep_a_server_from_stopping(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = Server(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("data") / "data")
    ask = Client(server)
    ask.create("queues/q")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask.receive, "q", 30)
        time_passed(0.3)
        begin = time.monotonic()
        assert server.stop()[0] == 0
        assert waiting.result(10).code == "MessageNotExist"

    assert time.monotonic() - begin < 10


def test_higher_priorities_come_first_and_older_messages_of_one_before_newer(ask: Client, queue: str) -> None:
    for text, priority in (("c", 8), ("a", 1), ("d", 8), ("e", 16), ("b", 2)):
        ask.send(queue, text, Priority=priority)

    assert ask.bodies(queue) == ["a", "b", "c", "d", "e"]


def test_a_delayed_message_has_a_handle_by_which_it_can_be_deleted(ask: Client, queue: str) -> None:
    sent = ask.send(queue, "later", DelaySeconds=60)
    counts = ask("GET", f"/queues/{queue}").fields
    deleted = ask.delete(queue, sent.fields["ReceiptHandle"])

    assert (counts["DelayMessages"], counts["ActiveMessages"]) == ("1", "0")
    assert deleted.status == 204
    assert ask("GET", f"/queues/{queue}").fields["DelayMessages"] == "0"


def test_visibility_is_changed_under_a_new_handle(ask: Client, queue: str) -> None:
    ask.send(queue, "m")
    handle = ask.receive(queue).fields["ReceiptHandle"]
    changed = ask("PUT", f"/queues/{queue}/messages?receiptHandle={handle}&visibilityTimeout=100")

    assert changed.status == 200
    assert abs(int(changed.fields["NextVisibleTime"]) / 1000 - time.time() - 100) < 5
    assert ask.delete(queue, handle).code == "MessageNotExist"
    assert ask.delete(queue, changed.fields["ReceiptHandle"]).status == 204


def test_a_batch_says_which_of_its_messages_were_not_deleted(ask: Client, queue: str) -> None:
    inner = "".join(f"<Message><MessageBody>{number}</MessageBody></Message>" for number in range(3))
    sent = ask("POST", f"/queues/{queue}/messages", many("Messages", inner))
    got = ask("GET", f"/queues/{queue}/messages?numOfMessages=16")
    handles = [each["ReceiptHandle"] for each in got.each]
    ask.delete(queue, handles[0])
    inner = "".join(f"<ReceiptHandle>{each}</ReceiptHandle>" for each in [*handles, "junk"])
    deleted = ask("DELETE", f"/queues/{queue}/messages", many("ReceiptHandles", inner))

    assert sent.status == 201
    assert [each["MessageId"] for each in sent.each] == [each["MessageId"] for each in got.each]
    assert deleted.status == 404
    assert [(each["ErrorCode"], each["ReceiptHandle"]) for each in deleted.each] == [
        ("MessageNotExist", handles[0]), ("ReceiptHandleError", "junk"),
    ]  # fmt: skip


def test_properties_of_messages_come_with_them(ask: Client, queue: str) -> None:
    value = "<PropertyValue><Name>n</Name><Value>1</Value><Type>NUMBER</Type></PropertyValue>"
    ask.send(queue, "m", MessageGroupId="g", UserProperties=value)
    got = ask.receive(queue)
    found = got.root.find(f"{{{SPACE}}}UserProperties/{{{SPACE}}}PropertyValue")

    assert found is not None
    assert [each.text for each in found] == ["n", "1", "NUMBER"]
    assert got.fields["MessageGroupId"] == "g"


def test_queues_are_listed_page_by_page_with_their_attributes(ask: Client) -> None:
    for number in range(3):
        ask.create(f"queues/listed-{number}")
    first = ask("GET", "/queues", x_mns_prefix="listed-", x_mns_ret_number="2", x_mns_with_meta="true")
    marker = first.fields["NextMarker"]
    rest = ask("GET", "/queues", x_mns_prefix="listed-", x_mns_ret_number="2", x_mns_marker=marker)

    assert [each.get("QueueName") for each in first.each[:2]] == ["listed-0", "listed-1"]
    assert [each["QueueURL"].rpartition("/")[2] for each in rest.each] == ["listed-2"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("<Message>", "MalformedXML"),
        ("<Wrong/>", "MalformedXML"),
        ('<!DOCTYPE m [<!ENTITY a "b">]><Message><MessageBody>&a;</MessageBody></Message>', "MalformedXML"),
        (xml("Message", MessageBody=""), "InvalidArgument"),
        (xml("Message", MessageBody="x" * 65537), "InvalidArgument"),
        (xml("Message", MessageBody="m", Priority=17), "InvalidArgument"),
        (xml("Message", MessageBody="m", DelaySeconds=-1), "InvalidArgument"),
        (many("Messages", ""), "InvalidArgument"),
        (many("Messages", "<Message><MessageBody>m</MessageBody></Message>" * 17), "InvalidArgument"),
    ],
)
def test_a_message_that_cannot_be_sent_is_refused(ask: Client, queue: str, body: str, code: str) -> None:
    found = ask("POST", f"/queues/{queue}/messages", body)

    assert (found.status, found.code) == (400, code)
    assert ask("GET", f"/queues/{queue}").fields["ActiveMessages"] == "0"


@pytest.mark.parametrize("path", ["queues/-a", "queues/a.b", f"queues/{'a' * 257}", "queues/%00"])
def test_what_can_be_no_name_is_refused(ask: Client, path: str) -> None:
    assert ask("PUT", f"/{path}", xml("Queue")).status == 400


def test_what_mns_does_not_have_is_said(ask: Client, queue: str) -> None:
    assert ask("POST", "/queues").code == "InvalidRequestURL"
    assert ask("PUT", f"/queues/{queue}/messages?receiptHandle=1").code == "MissingVisibilityTimeout"


def test_who_has_not_signed_rightly_is_refused(server: Server, ask: Client) -> None:
    key = ask.key
    assert key is not None
    late = formatdate(time.time() - 3600, usegmt=True)
    found = {"late": ask("GET", "/queues", date=late).code, "wrong": ask("GET", "/queues", authorization="MNS x").code}
    found["digest"] = ask("PUT", "/queues/never", xml("Queue"), content_md5="bm90aGluZw==").code
    ask.key = Key(id=key.id, secret="another secret")
    found["secret"] = ask("GET", "/queues").code
    ask.key = Key(id="nobody", secret="secret")
    found["key"] = ask("GET", "/queues").code
    ask.key = None
    found["unsigned"] = ask("GET", "/queues").code

    assert found == {
        "late": "TimeExpired", "wrong": "InvalidAuthorizationHeader", "digest": "InvalidDegist",
        "secret": "SignatureDoesNotMatch", "key": "InvalidAccessKeyId", "unsigned": "MissingAuthorizationHeader",
    }  # fmt: skip


def test_a_message_that_is_published_reaches_a_queue(ask: Client, queue: str) -> None:
    assert ask.create("topics/t").status == 201
    endpoint = f"acs:mns:cn-hangzhou:1:queues/{queue}"
    body = xml("Subscription", Endpoint=endpoint, NotifyContentFormat="SIMPLIFIED", FilterTag="a")
    made = [ask("PUT", "/topics/t/subscriptions/s", body).status for _ in range(2)]
    other = ask("PUT", "/topics/t/subscriptions/s", xml("Subscription", Endpoint=endpoint))
    sent = ask("POST", "/topics/t/messages", xml("Message", MessageBody="hello", MessageTag="a"))
    found = ask("GET", "/topics/t/subscriptions/s").fields
    topic = ask("GET", "/topics/t").fields

    assert made == [201, 204]
    assert (other.status, other.code) == (409, "SubscriptionAlreadyExist")
    assert (sent.status, set(sent.fields)) == (201, {"MessageId", "MessageBodyMD5"})
    assert ask.bodies(queue) == ["hello"]
    assert found | {"CreateTime": "", "LastModifyTime": ""} == {
        "SubscriptionName": "s", "Subscriber": "1234567890123456", "TopicOwner": "1234567890123456", "TopicName": "t",
        "Endpoint": endpoint, "FilterTag": "a", "NotifyStrategy": "BACKOFF_RETRY",
        "NotifyContentFormat": "SIMPLIFIED", "CreateTime": "", "LastModifyTime": "",
    }  # fmt: skip
    assert (topic["MessageCount"], topic["MessageRetentionPeriod"]) == ("0", "86400")
    assert ask("DELETE", "/topics/t").status == 204
    assert ask("POST", "/topics/t/messages", xml("Message", MessageBody="hello")).code == "TopicNotExist"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"Endpoint": "ftp://host/"}, "EndpointInvalid"),
        ({"Endpoint": "http://user@host/"}, "EndpointInvalid"),
        ({"Endpoint": ""}, "EndpointInvalid"),
        ({"Endpoint": "http://127.0.0.1:9/"}, "EndpointInvalid"),
        ({"Endpoint": "http://hooks.localhost/"}, "EndpointInvalid"),
        ({"Endpoint": "https://[::ffff:10.0.0.1]/"}, "EndpointInvalid"),
        ({"Endpoint": "http://100.100.100.200/latest"}, "EndpointInvalid"),
        ({"Endpoint": "http://host/", "NotifyStrategy": "NEVER"}, "InvalidArgument"),
        ({"Endpoint": "http://host/", "NotifyContentFormat": "YAML"}, "InvalidArgument"),
        ({"Endpoint": "http://host/", "FilterTag": "x" * 17}, "InvalidArgument"),
    ],
)
def test_a_subscription_that_cannot_be_is_refused(ask: Client, fields: dict[str, str], code: str) -> None:
    ask.create("topics/refusing")
    found = ask("PUT", "/topics/refusing/subscriptions/s", xml("Subscription", **fields))

    assert (found.status, found.code) == (400, code)


def test_who_subscribes_an_address_that_is_not_asked_hears_how_it_is_allowed(ask: Client) -> None:
    ask.create("topics/refusing")
    found = ask("PUT", "/topics/refusing/subscriptions/s", xml("Subscription", Endpoint="http://127.0.0.1:9/x"))

    assert "127.0.0.1 is not asked for others unless PYFC_ALLOW_OUTGOING has 127.0.0.1:9" in found.fields["Message"]


def test_a_function_may_use_the_queues_that_it_names_and_no_others(tmp_path_factory: pytest.TempPathFactory) -> None:
    code = """
import base64, hashlib, hmac, http.client, os
from email.utils import formatdate

def handler(event, context):
    path, date, keys = event.decode(), formatdate(usegmt=True), context.credentials
    text = f"GET\\n\\n\\n{date}\\nx-mns-version:2015-06-06\\n{path}"
    digest = hmac.new(keys.access_key_secret.encode(), text.encode(), hashlib.sha1).digest()
    signed = f"MNS {keys.access_key_id}:{base64.b64encode(digest).decode()}"
    connection = http.client.HTTPConnection(*os.environ["ADDRESS"].split(":"))
    headers = {"date": date, "x-mns-version": "2015-06-06", "authorization": signed}
    headers["security-token"] = keys.security_token
    connection.request("GET", path, headers=headers)
    return connection.getresponse().read()
"""
    folder = tmp_path_factory.mktemp("project")
    (folder / "index.py").write_text(code)
    server = Server(folder, tmp_path_factory.mktemp("data") / "data")
    try:
        (name,) = (each["function"] for each in server.functions())
        service = server.functions()[0]["service"]
        path = f"/2016-08-15/services/{service}/functions/{name}"
        variables = {"ADDRESS": f"127.0.0.1:{server.port}", "QUEUE": "mine"}
        assert server.manage("PUT", path, {"environmentVariables": variables}).status == 200
        ask = Client(server)
        for queue in ("mine", "others"):
            ask.create(f"queues/{queue}")
        mine = server.invoke(f"{service}/{name}", b"/queues/mine").body
        others = server.invoke(f"{service}/{name}", b"/queues/others").body
    finally:
        server.stop()

    assert b"<QueueName>mine<" in mine
    assert b"<Code>AccessDenied<" in others
    assert b"mns:GetQueueAttributes" in others
