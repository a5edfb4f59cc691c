#!/usr/bin/env bash
# alibabacloud_oss_v2 1.4.1: a proxy that is given as text, as its documentation of proxy_host says, is not used, and nobody is
# told: it becomes a mapping of "http://" and "https://", which requests does not know. As {"http": ...} it works.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install -q alibabacloud_oss_v2==1.4.1
cat > "$folder/seen.py" <<'P'
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import alibabacloud_oss_v2 as oss

asked = []


class Proxy(BaseHTTPRequestHandler):
    def do_PUT(self):
        asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Proxy)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"
for proxy in (address, {"http": address}):
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider("id", "secret")
    config.endpoint, config.region, config.retry_max_attempts = "http://oss.invalid", "cn-hangzhou", 1
    config.proxy_host = proxy
    asked.clear()
    try:
        oss.Client(config).put_bucket(oss.PutBucketRequest(bucket="photos"))
    except Exception as error:
        print(type(proxy).__name__, "fails:", "resolve" in str(error).lower(), "requests at the proxy:", len(asked))
    else:
        print(type(proxy).__name__, "works, requests at the proxy:", asked)
P
"$folder/v/bin/python" "$folder/seen.py" | tee "$folder/seen"
[ "$(cat "$folder/seen")" = "str fails: True requests at the proxy: 0
dict works, requests at the proxy: ['http://photos.oss.invalid/']" ]
echo "alibabacloud_oss_v2 1.4.1"
