"""The life of a logstore with SLS's client for Python, unmodified: ADDRESS PROJECT KEY SECRET VERSION. Raises for what
is not as it should be.
"""

from __future__ import annotations

import sys
import time

from aliyun.log import (  # type: ignore[import-not-found]
    GetHistogramsRequest,
    IndexConfig,
    IndexKeyConfig,
    IndexLineConfig,
    LogClient,
    LogException,
    LogItem,
    PutLogsRequest,
)

STORE = "access"


def code_of(work: object, *arguments: object, **named: object) -> str:
    """What error is answered."""
    try:
        work(*arguments, **named)  # type: ignore[operator]
    except LogException as error:
        return str(error.get_error_code())
    return ""


def main(address: str, project: str, key: str, secret: str, version: str) -> None:
    """Does all of it."""
    client = LogClient(address, key, secret, auth_version=version, region="cn-hangzhou")
    client.create_project(project, "d")
    assert client.get_project(project).get_projectname() == project
    client.create_logstore(project, STORE, ttl=3)
    assert client.get_logstore(project, STORE).ttl == 3
    client.update_logstore(project, STORE, ttl=5)
    assert client.list_logstore(project).get_logstores() == [STORE]
    assert code_of(client.create_logstore, project, STORE) == "LogStoreAlreadyExist"
    logs(client, project)
    searches(client, project)
    consumers(client, project)
    indexes(client, project)
    client.delete_logstore(project, STORE)
    client.delete_project(project)
    assert code_of(client.get_logstore, project, STORE) == "ProjectNotExist"


def logs(client: LogClient, project: str) -> None:
    """Put, and pulled by cursors."""
    items = [LogItem(int(time.time()), contents=[("message", f"line {n} ü"), ("n", str(n))]) for n in range(500)]
    for more in ({}, {"compress": False}, {"compress_type": "zstd"}, {"hashKey": "0" * 32}):
        client.put_logs(PutLogsRequest(project, STORE, "topic", "10.0.0.1", items, logtags=[("a", "b")], **more))
    assert [each["shardID"] for each in client.list_shards(project, STORE).get_shards_info()] == [0]
    begin = client.get_begin_cursor(project, STORE, 0).get_cursor()
    end = client.get_end_cursor(project, STORE, 0).get_cursor()
    pulled = client.pull_logs(project, STORE, 0, begin, count=100, end_cursor=end)
    assert (pulled.get_loggroup_count(), pulled.get_log_count(), pulled.next_cursor) == (4, 2000, end)
    first = pulled.get_flatten_logs_json()[0]
    assert (first["__topic__"], first["__source__"], first["__tag__:a"], first["message"]) == (
        "topic", "10.0.0.1", "b", "line 0 ü",
    )  # fmt: skip
    assert client.pull_logs(project, STORE, 0, begin, compress=False).get_log_count() == 2000
    assert client.pull_logs(project, STORE, 0, end).get_loggroup_count() == 0
    assert abs(client.get_cursor_time(project, STORE, 0, begin).get_cursor_time() - time.time()) < 60
    assert abs(client.get_previous_cursor_time(project, STORE, 0, end).get_cursor_time() - time.time()) < 60
    assert code_of(client.pull_logs, project, STORE, 0, "xx") == "InvalidCursor"
    assert code_of(client.put_logs, PutLogsRequest(project, "nope", "t", "s", items)) == "LogStoreNotExist"


def searches(client: LogClient, project: str) -> None:
    """In both dialects."""
    now = int(time.time())
    for is_newer in (True, False):
        client._get_logs_v2_enabled = is_newer
        found = client.get_log(project, STORE, now - 100, now + 100, query='"line 7" and n:7', size=10)
        assert (found.get_count(), found.is_completed()) == (4, True)
        assert dict(found.get_logs()[0].get_contents())["message"] == "line 7 ü"
    counted = "n < 2 | select n, count(1) as c group by n order by n"
    rows = client.get_log(project, STORE, now - 100, now + 100, query=counted)
    assert [dict(each.get_contents()) for each in rows.get_logs()] == [{"n": "0", "c": "4"}, {"n": "1", "c": "4"}]
    assert client.get_log(project, STORE, now - 100, now + 100, query="line", size=-1).get_count() == 2000
    histogram = client.get_histograms(GetHistogramsRequest(project, STORE, now - 100, now + 100, "", "line"))
    assert histogram.get_total_count() == 2000
    assert code_of(client.get_log, project, STORE, now - 100, now, query="(") == "ParameterInvalid"


def consumers(client: LogClient, project: str) -> None:
    """A group with its heartbeats and its checkpoint."""
    client.create_consumer_group(project, STORE, "readers", 20, in_order=True)
    assert code_of(client.create_consumer_group, project, STORE, "readers", 20) == "ConsumerGroupAlreadyExist"
    client.update_consumer_group(project, STORE, "readers", timeout=30)
    (group,) = client.list_consumer_group(project, STORE).get_consumer_groups()
    assert (group.get_consumer_group_name(), group.get_timeout(), group.is_in_order()) == ("readers", 30, True)
    assert client.heart_beat(project, STORE, "readers", "a").get_shards() == [0]
    assert client.heart_beat(project, STORE, "readers", "b", []).get_shards() == []
    cursor = client.get_end_cursor(project, STORE, 0).get_cursor()
    client.update_check_point(project, STORE, "readers", 0, cursor, "a")
    (point,) = client.get_check_point(project, STORE, "readers").get_consumer_group_check_points()
    assert (point["shard"], point["checkpoint"], point["consumer"]) == (0, cursor, "a")
    client.delete_consumer_group(project, STORE, "readers")


def indexes(client: LogClient, project: str) -> None:
    """Written and read."""
    keys = {"n": IndexKeyConfig(index_type="long", doc_value=True)}
    client.create_index(project, STORE, IndexConfig(7, IndexLineConfig([",", " "]), keys))
    assert client.get_index_config(project, STORE).get_index_config().to_json()["keys"]["n"]["type"] == "long"
    client.delete_index(project, STORE)
    assert code_of(client.get_index_config, project, STORE) == "IndexConfigNotExist"


if __name__ == "__main__":
    main(*sys.argv[1:])
