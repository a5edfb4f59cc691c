"""The SQL of queries, on logs: what it answers, and what it may not."""

from __future__ import annotations

from typing import Any

import pytest

from pyfc.cloud.sls.analysis import run
from pyfc.cloud.sls.faults import Fault

LOGS = [
    {"__time__": str(1795809053 + 30 * number), "__topic__": "t", "status": status, "ms": ms, "id": f"00{number}",
     "body": '{"user": {"name": "ada", "tags": ["x", 1]}, "ok": true}', "url": "https://a.b/c?d=e%20f&g=1"}
    for number, (status, ms) in enumerate([("200", "1.5"), ("500", "20"), ("200", "3"), ("404", "")])
]  # fmt: skip


def _rows(sql: str, indexed: dict[str, Any] | None = None) -> list[list[str]]:
    return [list(row.values()) for row in run(sql, LOGS, indexed)[0]]


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("select count(1) as pv", [["4"]]),
        ("SELECT count(*) pv, status GROUP BY status HAVING pv > 1 ORDER BY pv DESC LIMIT 1", [["2", "200"]]),
        ("select status, count(1) as pv from log where status >= 400 group by status order by status",
         [["404", "1"], ["500", "1"]]),
        ("select count_if(status >= 400), approx_distinct(status), arbitrary(__topic__)", [["2", "3", "t"]]),
        ("select approx_percentile(status, 0.5), approx_percentile(status, 0.99)", [["200.0", "500.0"]]),
        ("select max(status), min(status), sum(status), avg(status)", [["500", "200", "1304", "326.0"]]),
        ("select round(stddev(status), 1)", [["150.7"]]),
        ("select sum(pv) from (select count(1) as pv group by status)", [["4"]]),
        ("with s as (select status as code) select count(1) from s where code = 200", [["2"]]),
        ("select id where status = '200' order by __time__", [["000"], ["002"]]),
        ("select id where status = 200 order by 1 desc", [["002"], ["000"]]),
        ("select absent limit 1", [["null"]]),
        ("select date_format(from_unixtime(__time__), '%Y-%m-%d %H:%i:%s') limit 1", [["2026-11-28 03:50:53"]]),
        ("select date_format(__time__, '%H:%i') as t, count(1) group by t order by t",
         [["03:50", "1"], ["03:51", "2"], ["03:52", "1"]]),
        ("select date_trunc('minute', __time__) as t, count(1) as c group by t order by t limit 2",
         [["2026-11-28 03:50:00.000", "1"], ["2026-11-28 03:51:00.000", "2"]]),
        ("select time_series(__time__, '1h', '%H:%i', '0') as t, count(1) group by t", [["03:00", "4"]]),
        ("select to_unixtime(from_unixtime(__time__)) limit 1", [["1795809053.0"]]),
        ("select date_diff('second', '2026-11-28 00:00:00', '2026-11-28 00:01:00')", [["60"]] * 4),
        ("select json_extract_scalar(body, '$.user.name'), json_extract(body, '$.user.tags[1]') limit 1",
         [["ada", "1"]]),
        ("select json_extract_scalar(body, '$.ok'), json_extract_scalar(ms, '$.x') limit 1", [["true", "null"]]),
        ("select regexp_extract(url, 'c[?](\\w)', 1), regexp_like(url, '^https'), regexp_replace(id, '0') limit 1",
         [["d", "1", ""]]),
        ("select url_extract_host(url), url_extract_path(url), url_extract_parameter(url, 'd') limit 1",
         [["a.b", "/c", "e f"]]),
        ("select split_part(url, '/', 3), strpos(url, 'a'), concat(id, '-', status) limit 1",
         [["a.b", "9", "000-200"]]),
        ("select if(status > 300, 'bad', 'good') as s, count(1) group by s order by s", [["bad", "2"], ["good", "2"]]),
        ("select case when status > 300 then 'bad' else 'good' end as s, count(1) group by 1 order by 1",
         [["bad", "2"], ["good", "2"]]),
        ("select row_number() over (order by __time__ desc) as n, id order by n limit 1", [["1", "003"]]),
        ("select cast(status as double) / 3 limit 1", [["66.66666666666667"]]),
        ("select lower('A') || upper(\"__topic__\") limit 1", [["aT"]]),
        ("select 1 -- no from; here\nlimit 1", [["1"]]),
        ("select ' from ' limit 1", [[" from "]]),
        ("select status union select id order by 1 limit 2", [["200"], ["404"]]),
    ],
)  # fmt: skip
def test_sql_answers(sql: str, rows: list[list[str]]) -> None:
    assert _rows(sql) == rows


def test_all_fields_are_columns_for_a_star() -> None:
    rows, columns = run("select * limit 1", LOGS, None)

    assert set(columns) == set(LOGS[0])
    assert rows[0]["url"] == LOGS[0]["url"]


def test_an_index_says_what_is_a_number() -> None:
    indexed = {"keys": {"id": {"type": "long"}, "status": {"type": "text"}}}

    assert _rows("select id, typeof(status) limit 1", indexed) == [["0", "text"]]
    assert _rows("select id, typeof(status) limit 1") == [["000", "integer"]]


def test_an_answer_has_a_hundred_rows_unless_it_says_more() -> None:
    many = LOGS * 100

    assert len(run("select id", many, None)[0]) == 100
    assert len(run("select id limit 300", many, None)[0]) == 300


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("select foo(status)", "foo"),
        ("select readfile('/etc/passwd')", "readfile"),
        ("select load_extension('x')", "load_extension"),
        ("select fts3_tokenizer('x')", "fts3_tokenizer"),
        ("select zeroblob(1000000000)", "zeroblob"),
        ("select randomblob(5)", "randomblob"),
        ("delete from log", "SELECT"),
        ("attach 'x' as y", "SELECT"),
        ("select 1; drop table log", "one statement"),
        ("with x as (select 1) delete from log", "not authorized"),
        ("select * from sqlite_master, pragma_database_list", "not authorized|prohibited"),
        ("select from where", "syntax"),
        ("", "SELECT"),
        ("select (", "incomplete|syntax"),
        ("select 'x", "unrecognized|syntax"),
        ("select " + "(" * 2000 + "1" + ")" * 2000, "overflow|depth"),
    ],
)
def test_what_sql_may_not_is_told(sql: str, why: str) -> None:
    with pytest.raises(Fault, match=why) as caught:
        run(sql, LOGS, None)
    assert caught.value.code == "ParameterInvalid"
