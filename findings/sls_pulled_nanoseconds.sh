#!/usr/bin/env bash
# aliyun-log-python-sdk 0.9.52: of a log that was pulled with nanoseconds, `get_flatten_logs_json` has them as a tuple of one
# number, and as a tuple of one text where times are asked for as text, while `__time__` beside them is a plain number or
# text. The client itself puts nanoseconds into every log that it sends, so all logs of this client come back so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q aliyun-log-python-sdk==0.9.52 2> errors || { cat errors; exit 1; }
cat > seen.py <<'P'
from aliyun.log.proto import LogGroupList
from aliyun.log.pulllog_response import PullLogResponse

groups = LogGroupList()
group = groups.LogGroups.add()
group.Topic, group.Source = "topic", "10.0.0.1"
log = group.Logs.add()
log.Time, log.Time_ns = 1795809053, 5
content = log.Contents.add()
content.Key, content.Value = "message", "hello"
headers = {"x-log-count": "1", "x-log-bodyrawsize": "1", "x-log-cursor": "MQ=="}
for as_text in (False, True):
    (found,) = PullLogResponse(groups.SerializeToString(), headers).get_flatten_logs_json(time_as_str=as_text)
    print(repr(found["__time__"]), repr(found["__time_ns_part__"]))
P
env/bin/python seen.py 2> errors | tee seen || { cat errors; exit 1; }
env/bin/pip list 2> errors | grep -i '^aliyun-log-python-sdk'
[ "$(cat seen)" = "1795809053 (5,)
'1795809053' ('5',)" ]
