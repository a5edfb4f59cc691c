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
        ("select extract(hour from __time__), EXTRACT ( dow FROM from_unixtime(__time__) ) as d limit 1", [["3", "6"]]),
        ("select a.h from (select extract(year from now()) > 0 as h) a limit 1", [["1"]]),
        ("select from_unixtime(__time__) - interval '1' day as t, date('2026-01-31') + interval '1' month as m limit 1",
         [["2026-11-27 03:50:53.000", "2026-02-28 00:00:00.000"]]),
        ("select count(1) as c where from_unixtime(__time__) < from_unixtime(1795809053) + INTERVAL '31' seconds",
         [["2"]]),
        ("select count(1) as extract", [["4"]]),
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
        ("select max_by(id, __time__), min_by(id, __time__), max_by(id, __time__, 2)",
         [["003", "000", '["003", "002"]']]),
        ("select histogram(status), numeric_histogram(2, status)",
         [['{"200": 2, "404": 1, "500": 1}', '{"200.0": 2.0, "452.0": 2.0}']]),
        ("select array_agg(id), set_agg(status), map_agg(id, status)",
         [['["000", "001", "002", "003"]', "[200, 500, 404]", '{"000": 200, "001": 500, "002": 200, "003": 404}']]),
        ("select bool_and(status > 100), bool_or(status > 600), every(status > 200)", [["1", "0", "0"]]),
        ("select round(stddev_pop(status), 1), var_pop(status), variance(status)", [["130.5", "17028.0", "22704.0"]]),
        ("select round(geometric_mean(status), 1), corr(status, status)", [["299.8", "1.0"]]),
        ("select split(url, '/')[3], split(url, '/', 2)[2], cardinality(split(url, '/')) limit 1",
         [["a.b", "/a.b/c?d=e%20f&g=1", "4"]]),
        ("select element_at(split('a,b', ','), -1), split_to_map('a=1;b=2', ';', '=')['b'] limit 1", [["b", "2"]]),
        ("select regexp_extract_all(url, '[a-c]')[2], regexp_split('a1b', '[0-9]'), regexp_count(id, '0') limit 1",
         [["b", '["a", "b"]', "3"]]),
        ("select array_join(array_sort(split('b,a', ',')), '-'), contains(split('b,a', ','), 'a') limit 1",
         [["a-b", "1"]]),
        ("select json_array_length('[1,2]'), json_array_get('[1,2]', 1), json_size(body, '$.user') limit 1",
         [["2", "2", "2"]]),
        ("select map_keys(body)[2], is_json_scalar('1'), json_format('{\"a\":1}') limit 1", [["ok", "1", '{"a": 1}']]),
        ("select array_sum(sequence(1, 4)), array_max('[1,3]'), array_distinct('[1,1]') limit 1",
         [["10.0", "3", "[1]"]]),
        ("select date_add('hour', 1, __time__), date_add('month', 3, '2026-11-30') limit 1",
         [["2026-11-28 04:50:53.000", "2027-02-28 00:00:00.000"]]),
        ("select date_diff('month', '2026-01-31', '2026-03-01'), date_diff('day', '2026-01-02', '2026-01-01') limit 1",
         [["1", "-1"]]),
        ("select year(__time__), month(__time__), day(__time__), hour(__time__), minute(__time__) limit 1",
         [["2026", "11", "28", "3", "50"]]),
        ("select second(__time__), quarter(__time__), week(__time__), day_of_week(__time__), doy(__time__) limit 1",
         [["53", "4", "48", "6", "332"]]),
        ("select date(__time__), format_datetime(__time__, 'yyyy/MM/dd HH:mm:ss'), to_iso8601(__time__) limit 1",
         [["2026-11-28", "2026/11/28 03:50:53", "2026-11-28T03:50:53.000+08:00"]]),
        ("select from_unixtime(0), date_parse('28/11/2026', '%d/%m/%Y') limit 1",
         [["1970-01-01 08:00:00.000", "2026-11-28 00:00:00.000"]]),
        ("select current_date = date(now()), current_timestamp <= now() limit 1", [["1", "1"]]),
        ("select ip_prefix('192.168.1.9', 24), is_subnet_of('10.0.0.0/8', '10.1.2.3'), ip_to_domain('8.8.8.8') limit 1",
         [["192.168.1.0/24", "1", "internet"]]),
        ("select is_prefix_subnet_of('10.0.0.0/8', '10.1.0.0/16'), is_subnet_of('10.0.0.0/8', '::1') limit 1",
         [["1", "0"]]),
        ("select ip_subnet_min('10.1.2.3/30'), ip_subnet_max('10.1.2.3/30'), ip_to_domain('10.0.0.1') limit 1",
         [["10.1.2.0", "10.1.2.3", "intranet"]]),
        ("select lpad(id, 5, '*'), rpad('ab', 1), concat_ws('-', id, null, 'x'), reverse('ab') limit 1",
         [["**000", "a", "000-x", "ba"]]),
        ("select to_hex(md5(to_utf8('a'))), to_base64('a'), from_utf8(from_base64('YQ==')) as t limit 1",
         [["0CC175B9C0F1B6A831C399E269772661", "YQ==", "a"]]),
        ("select regexp_replace('a-b', '(\\w)-(\\w)', '$2-$1'), url_encode('a b'), starts_with(id, '00') limit 1",
         [["b-a", "a%20b", "1"]]),
        ("select greatest(1, 3), least(2, 1), try(1), width_bucket(5, 0, 10, 2), to_base(255, 16) limit 1",
         [["3", "1", "1", "2", "ff"]]),
        ("select levenshtein_distance('ab', 'b'), cbrt(27), truncate(1.9), from_base('ff', 16), random(1) limit 1",
         [["1", "3.0", "1.0", "255", "0"]]),
        ("select count(distinct status), approx_percentile(status, 1, 0.5)", [["3", "200.0"]]),
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
        ("select interval '1' day", "behind a time and"),
        ("select compare(1, 86400)", "compare"),
        ("select ip_to_country('8.8.8.8')", "ip_to_country needs a database"),
        ("select status[", "syntax"),
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


TODAY = [("200", "4"), ("200", "4"), ("500", "4"), ("404", "4")]
YESTERDAY = [("200", "2"), ("500", "2")]


def _minutes(rows: list[tuple[str, str]], seconds: int) -> list[dict[str, str]]:
    times = (str(1795809053 + 60 * number - seconds) for number in range(len(rows)))
    return [{"__time__": time, "status": status, "ms": ms} for time, (status, ms) in zip(times, rows, strict=False)]


def _compared(sql: str) -> list[list[str]]:
    found, _ = run(sql, _minutes(TODAY, 0), None, lambda n: _minutes(YESTERDAY if n == 86400 else [], n))
    return [list(row.values()) for row in found]


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("select compare(pv, 86400) from (select count(1) as pv from log)", [["[4.0, 2.0, 2.0]"]]),
        ("select compare(count(1), 86400, 3600)", [["[4.0, 2.0, 0.0, 2.0, null]"]]),
        ("select diff[1], diff[3] from (select compare(pv, 86400) as diff from (select count(1) as pv))",
         [["4.0", "2.0"]]),
        ("select status, COMPARE(count(1), 86400) as d group by status order by status",
         [["200", "[2.0, 1.0, 2.0]"], ["404", "[1.0, null, null]"], ["500", "[1.0, 1.0, 1.0]"]]),
        ("select date_format(__time__, '%Y-%m-%d %H:%i') t, compare(sum(ms), 86400) a, compare(max(ms), 86400) b"
         " group by 1 order by 1 limit 2",
         [[f"2026-11-28 03:{minute}", "[4.0, 2.0, 2.0]", "[4.0, 2.0, 2.0]"] for minute in ("50", "51")]),
        ("select t, diff[2] as d from (select t, compare(pv, 86400) as diff from (select count(1) as pv,"
         " date_format(__time__, '%H:%i') as t from log group by t) group by t order by t) s",
         [["03:50", "1.0"], ["03:51", "1.0"], ["03:52", "null"], ["03:53", "null"]]),
        ("select compare(absent, 86400) limit 1", [["[null, null, null]"]]),
    ],
)  # fmt: skip
def test_what_is_found_is_compared_with_the_same_of_an_earlier_time(sql: str, rows: list[list[str]]) -> None:
    assert _compared(sql) == rows


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("select compare(count(1))", "compare takes a value and up to 8 numbers of seconds"),
        ("select compare(count(1), 0)", "compare takes a value"),
        ("select compare(count(1), ms)", "compare takes a value"),
        (f"select compare(count(1){', 60' * 9})", "compare takes a value"),
        ("select *, compare(count(1), 60)", "beside columns that are named"),
        ("select compare(compare(1, 60), 60)", "in no other compare"),
        ("select compare(count(1), 60", "a bracket is not closed"),
    ],
)
def test_a_comparison_that_cannot_be_is_told(sql: str, why: str) -> None:
    with pytest.raises(Fault, match=why):
        _compared(sql)


def test_where_there_is_no_earlier_time_a_comparison_is_refused() -> None:
    with pytest.raises(Fault, match="compare is for searches of a logstore"):
        run("select compare(count(1), 60)", LOGS, None)
