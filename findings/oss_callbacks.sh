#!/usr/bin/env bash
# Upload callbacks in two of OSS's clients. alibabacloud_oss_v2 1.4.1 declares the receiver's answer, callback_result, as a
# dict and gives the JSON text of it, so `callback_result["Status"]` fails. aliyun-sdk-oss 3.18.4 makes the JSON of a
# Callback by joining texts and escapes nothing: a callbackBody that is JSON itself, which CalbackBodyType.JSON asks for,
# makes a header that is no JSON unless each of its quotes comes with a backslash of the caller's. The other clients escape it
# or leave the whole to the caller.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install -q alibabacloud_oss_v2==1.4.1
cat > seen.py <<'P'
import base64, http.server, json, subprocess, threading, typing

import alibabacloud_oss_v2 as oss
from alibabacloud_oss_v2.models import PutObjectResult

class Store(http.server.BaseHTTPRequestHandler):
    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        said.append(base64.b64decode(self.headers["x-oss-callback"]).decode())
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "15")
        self.end_headers()
        self.wfile.write(b'{"Status":"OK"}')

    def log_message(self, *_):
        pass

said = []
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store)
threading.Thread(target=server.serve_forever, daemon=True).start()
endpoint = f"http://127.0.0.1:{server.server_address[1]}"
config = oss.config.load_default()
config.credentials_provider = oss.credentials.StaticCredentialsProvider("id", "secret")
config.endpoint, config.region, config.disable_upload_crc64_check = endpoint, "cn-hangzhou", True
callback = base64.b64encode(b'{"callbackUrl":"http://a.example/"}').decode()
answer = oss.Client(config).put_object(oss.PutObjectRequest(bucket="photos", key="k", body=b"x", callback=callback))
print("declared:", typing.get_type_hints(PutObjectResult.__init__)["callback_result"])
print("given:", type(answer.callback_result).__name__, answer.callback_result)
subprocess.run(["java", "-cp", "lib/*:.", "Seen", endpoint], check=True)
for text in said[1:]:
    try:
        found = json.loads(text)["callbackBody"]
    except ValueError:
        found = "no JSON"
    print(f"java: {text}: {found}")
P
cat > Seen.java <<'P'
import com.aliyun.oss.*;
import com.aliyun.oss.model.*;
import java.io.ByteArrayInputStream;

public class Seen {
    public static void main(String[] arguments) {
        OSS client = new OSSClientBuilder().build(arguments[0], "id", "secret");
        for (String body : new String[] {"{\"size\":${size}}", "{\\\"size\\\":${size}}"}) {
            Callback callback = new Callback();
            callback.setCallbackUrl("http://a.example/");
            callback.setCallbackBody(body);
            callback.setCalbackBodyType(Callback.CalbackBodyType.JSON);
            PutObjectRequest put = new PutObjectRequest("photos", "k", new ByteArrayInputStream("x".getBytes()));
            ObjectMetadata known = new ObjectMetadata();
            known.setContentLength(1);
            put.setMetadata(known);
            put.setCallback(callback);
            client.putObject(put);
        }
        client.shutdown();
    }
}
P
cat > pom.xml <<'P'
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>seen</groupId>
<artifactId>seen</artifactId><version>1</version><dependencies><dependency><groupId>com.aliyun.oss</groupId>
<artifactId>aliyun-sdk-oss</artifactId><version>3.18.4</version></dependency></dependencies></project>
P
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib
javac -cp "lib/*" -d . Seen.java
python/bin/python seen.py | tee seen
echo "alibabacloud_oss_v2 1.4.1, aliyun-sdk-oss 3.18.4, $(python3 --version)"
grep -q 'declared: .*Dict' seen
grep -qx 'given: str {"Status":"OK"}' seen
[ "$(grep -c '^java: .*: no JSON$' seen)" = 1 ]
[ "$(grep -c '^java: .*: {"size":${size}}$' seen)" = 1 ]
