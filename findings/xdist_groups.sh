#!/usr/bin/env bash
# pytest-xdist 3.8.0 ignores `xdist_group` under pytest 9.2.0 without a word: `--dist loadgroup` promises that the tests of a
# group run in one worker; under pytest 8.4.2 they do. It writes the group to an attribute that pytest has no more.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
mkdir "$folder/tests"
cat > "$folder/tests/test_group.py" <<'P'
import os
import time

import pytest


@pytest.mark.xdist_group("together")
@pytest.mark.parametrize("number", range(8))
def test_one(number: int) -> None:
    time.sleep(0.2)
    with open(os.environ["WORKERS"], "a") as file:
        file.write(os.environ["PYTEST_XDIST_WORKER"] + "\n")
P
workers_with() {
    "$folder/venv/bin/pip" install -q "pytest==$1" pytest-xdist==3.8.0
    rm -f "$folder/workers"
    (cd "$folder/tests" && WORKERS="$folder/workers" "$folder/venv/bin/python" -m pytest -q -n 2 --dist loadgroup > /dev/null)
    sort -u "$folder/workers" | wc -l
}
for version in 8.4.2 9.2.0; do
    count=$(workers_with "$version")
    echo "pytest $version, pytest-xdist 3.8.0: one group ran in $count worker(s)"
    [ "$version:$count" = 8.4.2:1 ] || [ "$version:$count" = 9.2.0:2 ] || exit 1
done
