#!/usr/bin/env bash
# SQLite 3.54.1 (as apsw 3.54.1.0 has it): a full-text search in FTS5 that is joined with a table that has an index for the other
# conditions and the order is asked again for each row of the table, until ANALYZE has run. Words that one of a hundred of 100,000
# rows has take a thousand times as long so. CROSS JOIN has the words looked up once.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q apsw==3.54.1.0 2> errors || { cat errors; exit 1; }
cat > seen.py <<'P'
import sys
import time

import apsw

connection = apsw.Connection(":memory:")
connection.execute("CREATE TABLE lines (id INTEGER PRIMARY KEY, store INTEGER, time INTEGER)")
connection.execute("CREATE INDEX times ON lines (store, time, id)")
connection.execute("CREATE VIRTUAL TABLE words USING fts5(text, content='', detail=none)")
with connection:
    for number in range(100_000):
        connection.execute("INSERT INTO lines VALUES (?, 1, ?)", (number, number))
        text = "common rare" if number % 100 == 0 else "common"
        connection.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (number, text))
for join in ("JOIN", "CROSS JOIN"):
    query = f"""SELECT lines.id FROM words {join} lines ON lines.id = words.rowid
                WHERE words MATCH 'rare AND common' AND store = 1 AND time >= 0 ORDER BY time DESC"""
    begun = time.process_time()
    count = sum(1 for _ in connection.execute(query))
    print(f"{join}: {time.process_time() - begun:.3f} s of a processor", file=sys.stderr)
    first = next(iter(connection.execute(f"EXPLAIN QUERY PLAN {query}")))[3]
    print(f"{join}: {count} rows, first {' '.join(first.split()[:2])}")
P
env/bin/python seen.py | tee seen
env/bin/python -c "import apsw; print('SQLite', apsw.sqlite_lib_version())"
[ "$(cat seen)" = "JOIN: 1000 rows, first SEARCH lines
CROSS JOIN: 1000 rows, first SCAN words" ]
