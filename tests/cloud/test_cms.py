"""CloudMonitor: the points of one metric, in pages, for a range that is open at its beginning."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from pyfc.auth import rpc
from pyfc.auth.keys import Keys
from pyfc.cloud.cms.metric_list import Place, metric_list
from pyfc.data.version import METRICS
from pyfc.errors import InvalidArgument, NotFound, PyfcError
from pyfc.model.function import Function
from pyfc.model.invocation import Invocation, Kind, Result, Usage
from pyfc.model.names import LATEST, Target
from pyfc.observe.journal import CallRecord
from pyfc.observe.metrics import names as names_module
from pyfc.observe.metrics.metrics import Metrics
from pyfc.observe.metrics.point import Point, Series
from pyfc.observe.metrics.store import Counted, Store
from support import Server

NOON = 1_700_006_400
PLACE = Place("1234567890123456", "cn-hangzhou")


def record(moment: float, name: str = "f", service: str = "s", qualifier: str = LATEST) -> CallRecord:
    function = Function(service=service, name=name, runtime="python3", handler="h")
    result = Result(None, b"", Usage(0.25, 10.0, False, "i"))
    return CallRecord(
        moment, function, Invocation("id", Target(service, name, qualifier), Kind.EVENT, b""), 200, result, ""
    )


def asked(folder: Path, records: list[CallRecord], *, is_older: bool = False, **parameters: str) -> dict[str, Any]:
    """The answer, with its datapoints read."""
    given = {"Namespace": "acs_fc", "MetricName": "FunctionTotalInvocations", "EndTime": str(NOON * 1000)}

    async def scenario() -> dict[str, Any]:
        metrics = Metrics(folder)
        try:
            for each in records:
                metrics.listen([each])
            return await metric_list(metrics, PLACE, {**given, **parameters}, NOON, is_older=is_older)
        finally:
            await metrics.close()

    found = asyncio.run(scenario())
    return {**found, "Datapoints": json.loads(found["Datapoints"])}


def times(found: dict[str, Any]) -> list[int]:
    return [each["timestamp"] // 1000 - NOON for each in found["Datapoints"]]


def test_a_range_has_what_is_after_its_beginning_and_not_after_its_end(tmp_path: Path) -> None:
    records = [record(NOON + seconds) for seconds in (-120, -60, -1, 0, 60)]

    found = asked(tmp_path, records, StartTime=str((NOON - 120) * 1000))

    assert times(found) == [-60, 0]
    assert [each["Value"] for each in found["Datapoints"]] == [2, 1]
    assert (found["Code"], found["Success"], found["Period"]) == ("200", True, "60")


def test_a_point_says_whose_it_is_and_its_number_by_the_statistic_too(tmp_path: Path) -> None:
    (point,) = asked(tmp_path, [record(NOON)])["Datapoints"]

    assert point == {
        "timestamp": NOON * 1000, "userId": PLACE.account, "region": PLACE.region, "serviceName": "s",
        "functionName": "f", "Value": 1, "Sum": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "names", "values"),
    [
        ("FunctionTotalInvocations", ("serviceName", "functionName"), [2, 1, 1]),
        ("FunctionQualifierTotalInvocations", ("serviceName", "functionName", "qualifier"), [1, 1, 1, 1]),
        ("ServiceTotalInvocations", ("serviceName",), [3, 1]),
        ("RegionTotalInvocations", (), [4]),
        ("RegionMaxDuration", (), [250.0]),
    ],
)
def test_each_level_is_the_whole_of_those_below(
    tmp_path: Path, metric: str, names: tuple[str, ...], values: list[float]
) -> None:
    records = [record(NOON), record(NOON, qualifier="1"), record(NOON, "g"), record(NOON, service="t")]

    found = asked(tmp_path, records, MetricName=metric)["Datapoints"]

    assert [each["Value"] for each in found] == values
    assert all(set(names) == {"serviceName", "functionName", "qualifier"} & set(each) for each in found)


def test_dimensions_choose_and_of_other_regions_there_is_nothing(tmp_path: Path) -> None:
    records = [record(NOON), record(NOON, "g"), record(NOON, "h")]

    def chosen(*dimensions: dict[str, str]) -> list[str]:
        found = asked(tmp_path, [], Dimensions=json.dumps(dimensions[0] if len(dimensions) == 1 else dimensions))
        return [each["functionName"] for each in found["Datapoints"]]

    asked(tmp_path, records)
    assert chosen({"functionName": "g"}) == ["g"]
    assert chosen({"functionName": "g"}, {"functionName": "h", "region": PLACE.region}) == ["g", "h"]
    assert chosen({"functionName": "g"}, {"serviceName": "s"}) == ["f", "g", "h"]  # each of them once
    assert chosen({"region": "cn-beijing"}) == []


def test_an_instance_is_told_of_by_its_id_and_nobody_else_is_told_of_it(tmp_path: Path) -> None:
    async def write() -> None:
        store, point = Store(tmp_path / METRICS), Point()
        for name in ("samples", "requests_max"):
            point.values[name] = 3
        await store.write(Counted(NOON, {Series("s", "f", LATEST, each): point for each in ("", "i", "j")}))
        await store.close()

    asyncio.run(write())

    def told(period: int, **dimensions: str) -> list[tuple[str, float]]:
        wanted = {"MetricName": "FunctionMaxConcurrentRequests", "Period": str(period)}
        found = asked(tmp_path, [], Dimensions=json.dumps(dimensions), **wanted)["Datapoints"]
        return [(each.get("instanceId", ""), each["Value"]) for each in found]

    assert told(60) == told(3600) == [("", 3)]
    assert told(60, functionName="f", instanceId="i") == told(3600, instanceId="i") == [("i", 3)]
    assert told(60, instanceId="none") == []


def test_pages_follow_each_other_and_the_last_has_no_mark(tmp_path: Path) -> None:
    records = [record(NOON - 60 * minute) for minute in reversed(range(5))]
    whole = times(asked(tmp_path, records))

    for is_older, mark in ((False, "NextToken"), (True, "Cursor")):
        found: list[int] = []
        token = "0"
        while token:
            own = {"Project": "acs_fc", "Metric": "FunctionTotalInvocations", "Length": "2", mark: token}
            page = asked(tmp_path, [], is_older=is_older, **own)
            found += times(page)
            token = page.get(mark, "")
        assert found == whole == [-240, -180, -120, -60, 0]


def test_longer_periods_have_the_whole_of_their_minutes(tmp_path: Path) -> None:
    records = [record(NOON + seconds) for seconds in (-3000, -30, 0, 61, 200)]

    found = asked(tmp_path, records, Period="300", StartTime=str((NOON - 301) * 1000))
    by_hour = asked(tmp_path, [], Period="3600", MetricName="FunctionMaxDuration", StartTime=str((NOON - 7200) * 1000))

    assert [(each["timestamp"] // 1000 - NOON, each["Sum"]) for each in found["Datapoints"]] == [(-300, 1), (0, 3)]
    assert times(by_hour) == [-3600, 0]


def test_times_are_milliseconds_or_text(tmp_path: Path) -> None:
    records = [record(NOON - 60), record(NOON)]

    for text in (
        "2023-11-14 23:59:30",
        "2023-11-14T23:59:30Z",
        "2023-11-15T07:59:30+08:00",
        "1700006370000",
        "1700006370",
    ):
        assert times(asked(tmp_path, records, StartTime=text)) == [0], text
        records = []


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"Namespace": "acs_ecs"}, NotFound),
        ({"MetricName": "FunctionNothing"}, NotFound),
        ({"MetricName": "x" * 5000}, NotFound),
        ({"Period": "15"}, InvalidArgument),
        ({"Period": "7"}, InvalidArgument),
        ({"Period": "-60"}, InvalidArgument),
        ({"StartTime": "yesterday"}, InvalidArgument),
        ({"StartTime": "9" * 400}, InvalidArgument),
        ({"StartTime": str((NOON + 60) * 1000)}, InvalidArgument),
        ({"StartTime": str((NOON - 32 * 86400) * 1000)}, InvalidArgument),
        ({"Length": "many"}, InvalidArgument),
        ({"NextToken": "x"}, InvalidArgument),
        ({"Dimensions": "{"}, InvalidArgument),
        ({"Dimensions": "[1]"}, InvalidArgument),
        ({"Dimensions": '{"functionName": 1}'}, InvalidArgument),
        ({"Dimensions": json.dumps([{}] * 51)}, InvalidArgument),
        ({"Dimensions": "[" * 100_000}, InvalidArgument),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, parameters: dict[str, str], error: type[PyfcError]) -> None:
    with pytest.raises(error):
        asked(tmp_path, [], **parameters)


def test_a_name_that_one_machine_cannot_know_has_no_points_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(names_module.ABSENT, "Moonshine", "it is not measured")

    found = asked(tmp_path, [record(NOON)], MetricName="FunctionMoonshine")

    assert (found["Datapoints"], found["Message"]) == ([], "it is not measured")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    project = tmp_path_factory.mktemp("project")
    (project / "index.py").write_text("def handler(event, context):\n    return event\n")
    server = Server(project, tmp_path_factory.mktemp("data"))
    server.invoke("default/index")
    yield server
    server.stop()


def parameters(server: Server, *, method: str = "GET", secret: str = "", **more: str) -> dict[str, str]:
    """A signed request of RPC's older clients."""
    key = Keys(server.data_dir).first()[0]
    given = {
        "Action": "QueryMetricList", "Version": "2018-03-08", "Project": "acs_fc", "Metric": "RegionTotalInvocations",
        "AccessKeyId": key.id, "SignatureMethod": "HMAC-SHA1", "SignatureVersion": "1.0", "SignatureNonce": "one",
        "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **more,
    }  # fmt: skip
    return {**given, "Signature": rpc.sign(secret or key.secret, method, given)}


def test_signed_requests_are_answered_in_a_query_or_a_form(server: Server) -> None:
    form = urlencode(parameters(server, method="POST"))
    answers = [
        server.request("GET", f"/?{urlencode(parameters(server))}"),
        server.request("POST", "/?Action=QueryMetricList", form, {"Content-Type": "application/x-www-form-urlencoded"}),
        server.manage(
            "POST", "/?Namespace=acs_fc&MetricName=RegionTotalInvocations",
            headers={"x-acs-action": "DescribeMetricList"},
        ),
    ]  # fmt: skip

    for answer in answers:
        assert answer.status == 200, answer.body
        assert [each["Value"] for each in json.loads(answer.json["Datapoints"])] == [1]
        assert answer.json["RequestId"]


def test_who_is_not_known_or_asks_for_something_else_is_refused_in_the_words_of_rpc(server: Server) -> None:
    key = Keys(server.data_dir).first()[0]
    old = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600))
    refused = {
        "SignatureNotMatch": parameters(server, secret="another"),
        "InvalidAccessKeyID": parameters(server, AccessKeyId="LTAInobody"),
        "RequestTimeTooSkewed": parameters(server, Timestamp=old),
        "MissingRequiredHeader": {"Action": "QueryMetricList", "AccessKeyId": key.id},
        "ResourceNotFound": parameters(server, Metric="RegionNothing"),
        "InvalidArgument": parameters(server, Period="1"),
    }

    for code, given in refused.items():
        answer = server.request("GET", f"/?{urlencode(given)}")
        assert (answer.json["Code"], answer.status >= 400) == (code, True), answer.body
        assert set(answer.json) == {"RequestId", "HostId", "Code", "Message"}
    elsewhere = server.manage(
        "POST", "/", headers={"Host": "metrics.cn-hangzhou.aliyuncs.com", "x-acs-action": "Nothing"}
    )
    assert (elsewhere.status, elsewhere.json["Code"]) == (404, "ResourceNotFound")
