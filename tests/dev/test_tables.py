"""Tables for people: in any script, and on terminals of any width."""

from __future__ import annotations

from typing import Any

from pyfc.dev.cells import width_of
from pyfc.dev.stats import stats_table
from pyfc.dev.table import table


def test_columns_stand_below_each_other_in_any_script() -> None:
    lines = table(("NAME", "COUNT", "X"), [("支付函数", "1", "a"), ("pay", "一百", "b")], right=(1,)).splitlines()
    assert lines == ["NAME      COUNT  X", "支付函数      1  a", "pay        一百  b"]


def test_a_table_of_metrics_leaves_columns_out_where_a_terminal_is_too_narrow() -> None:
    metrics = {"FunctionTotalInvocations": 12, "FunctionAvgDuration": 1.0, "FunctionP99Duration": 2.0}
    found: dict[str, Any] = {"functions": {"shop/pay": {"metrics": metrics, "coldStarts": 1, "calls": [1] * 24}}}
    whole = stats_table(found)
    assert "CALLS OVER THE TIME" in whole
    assert stats_table(found, 200) == whole
    for columns in (80, 60, 40):
        made = stats_table(found, columns)
        assert max(map(width_of, made.splitlines())) <= columns
        assert "CALLS OVER THE TIME" not in made
    for heading in ("FUNCTION", "CALLS", "FAILED", "P99"):
        assert heading in stats_table(found, 10)
