#!/usr/bin/env bash
# aliyun-java-sdk-fc 1.8.25 sends a Content-MD5 that is not that of the body: it makes the digest, and then writes the headers
# of the request, the digest and the signature among them, into the document that it sends. RFC 1864 makes it the body's.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > pom.xml <<'P'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>x</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>com.aliyun</groupId><artifactId>aliyun-java-sdk-fc</artifactId><version>1.8.25</version>
  </dependency></dependencies>
</project>
P
mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies -DoutputDirectory=jars
cat > Seen.java <<'P'
import com.aliyuncs.fc.client.FunctionComputeClient;
import com.aliyuncs.fc.request.CreateServiceRequest;
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.security.MessageDigest;
import java.util.Base64;

public class Seen {
    public static void main(String[] words) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.createContext("/", exchange -> {
            byte[] body = exchange.getRequestBody().readAllBytes();
            String stated = exchange.getRequestHeaders().getFirst("Content-MD5");
            String made;
            try {
                made = Base64.getEncoder().encodeToString(MessageDigest.getInstance("MD5").digest(body));
            } catch (java.security.NoSuchAlgorithmException error) {
                throw new IllegalStateException(error);
            }
            String text = new String(body, "UTF-8");
            System.out.println("the digest is that of the body: " + made.equals(stated));
            System.out.println("the body has the digest in it: " + text.contains("\"Content-MD5\":\""));
            System.out.println("the body has the signature in it: " + text.contains("\"Authorization\":\"FC "));
            exchange.getResponseHeaders().set("Content-Type", "application/json");
            exchange.sendResponseHeaders(200, 2);
            exchange.getResponseBody().write("{}".getBytes());
            exchange.close();
        });
        server.start();
        FunctionComputeClient client = new FunctionComputeClient("cn-hangzhou", "1234567890123456", "id", "secret");
        client.setEndpoint("http://127.0.0.1:" + server.getAddress().getPort());
        CreateServiceRequest request = new CreateServiceRequest();
        request.setServiceName("demo");
        client.createService(request);
        server.stop(0);
        System.exit(0);
    }
}
P
java --add-opens java.base/java.lang=ALL-UNNAMED -cp 'jars/*' Seen.java 2> errors | tee seen || { cat errors; exit 1; }
echo "aliyun-java-sdk-fc 1.8.25, $(java -version 2>&1 | head -n 1)"
[ "$(cat seen)" = "the digest is that of the body: false
the body has the digest in it: true
the body has the signature in it: true" ]
