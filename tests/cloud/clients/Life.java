// aliyun-sdk-oss, unmodified. Arguments: ENDPOINT KEY SECRET VERSION BUCKET PROXY ("" for none)
// CALLBACK (who answers with what he is told).
import com.aliyun.oss.ClientBuilderConfiguration;
import com.aliyun.oss.HttpMethod;
import com.aliyun.oss.OSS;
import com.aliyun.oss.OSSClientBuilder;
import com.aliyun.oss.OSSException;
import com.aliyun.oss.common.auth.DefaultCredentialProvider;
import com.aliyun.oss.common.comm.SignVersion;
import com.aliyun.oss.model.*;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.URI;
import java.net.URL;
import java.util.*;

public class Life {
    static InputStream stream(String text) {
        return new ByteArrayInputStream(text.getBytes());
    }

    static void same(Object found, Object wanted) {
        if (!Objects.equals(found, wanted)) throw new AssertionError(found + " is not " + wanted);
    }

    public static void main(String[] arguments) throws Exception {
        String name = arguments[4], proxy = arguments[5];
        ClientBuilderConfiguration settings = new ClientBuilderConfiguration();
        settings.setSignatureVersion(SignVersion.valueOf(arguments[3].toUpperCase()));
        settings.setSupportCname(false);
        if (!proxy.isEmpty()) {
            settings.setProxyHost(URI.create(proxy).getHost());
            settings.setProxyPort(URI.create(proxy).getPort());
        }
        OSS client = OSSClientBuilder.create().endpoint(arguments[0]).region("cn-hangzhou").clientConfiguration(settings)
            .credentialsProvider(new DefaultCredentialProvider(arguments[1], arguments[2])).build();
        String first = "a dir/\u00fc b+c.txt";
        client.createBucket(name);
        same(client.doesBucketExist(name), true);
        same(client.listBuckets().stream().anyMatch(each -> each.getName().equals(name)), true);
        ObjectMetadata said = new ObjectMetadata();
        said.addUserMetadata("who", "ada");
        said.setContentType("text/plain");
        client.putObject(name, first, stream("0123456789"), said);
        same(text(client.getObject(name, first)), "0123456789");
        GetObjectRequest part = new GetObjectRequest(name, first);
        part.setRange(2, 4);
        same(text(client.getObject(part)), "234");
        ObjectMetadata head = client.getObjectMetadata(name, first);
        same(head.getUserMetadata().get("who") + head.getContentLength() + head.getContentType(), "ada10text/plain");
        same(client.doesObjectExist(name, "none"), false);
        called(client, name, arguments[6]);
        form(client, arguments[0], arguments[1], name, proxy);
        client.copyObject(name, first, name, "copy");
        same(text(client.getObject(name, "copy")), "0123456789");
        long place = 0;
        for (String piece : List.of("one,", "two")) {
            AppendObjectRequest append = new AppendObjectRequest(name, "log", stream(piece));
            append.setPosition(place);
            place = client.appendObject(append).getNextPosition();
        }
        same(text(client.getObject(name, "log")), "one,two");
        String upload = client.initiateMultipartUpload(new InitiateMultipartUploadRequest(name, "large")).getUploadId();
        List<String> content = List.of("x".repeat(102400), "yyyyy");
        List<PartETag> parts = new ArrayList<>();
        for (String piece : content) {
            UploadPartRequest sent = new UploadPartRequest(name, "large", upload, parts.size() + 1, stream(piece), piece.length());
            parts.add(client.uploadPart(sent).getPartETag());
        }
        same(client.listParts(new ListPartsRequest(name, "large", upload)).getParts().size(), 2);
        client.completeMultipartUpload(new CompleteMultipartUploadRequest(name, "large", upload, parts));
        same(text(client.getObject(name, "large")), String.join("", content));
        client.setObjectTagging(name, "copy", Map.of("color", "red"));
        same(client.getObjectTagging(name, "copy").getAllTags(), Map.of("color", "red"));
        client.setObjectAcl(name, "copy", CannedAccessControlList.PublicRead);
        same(client.getObjectAcl(name, "copy").getPermission(), ObjectPermission.PublicRead);
        client.setBucketAcl(name, CannedAccessControlList.Private);
        same(client.getBucketAcl(name).getCannedACL(), CannedAccessControlList.Private);
        List<String> all = List.of(first, "copy", "large", "log");
        same(client.listObjects(name).getObjectSummaries().stream().map(OSSObjectSummary::getKey).toList(), all);
        same(client.listObjectsV2(name).getObjectSummaries().stream().map(OSSObjectSummary::getKey).toList(), all);
        Date end = new Date(System.currentTimeMillis() + 60_000);
        URL url = client.generatePresignedUrl(name, "signed", end, HttpMethod.PUT);
        client.putObject(url, stream("by url"), 6, new HashMap<>());
        url = client.generatePresignedUrl(name, "signed", end, HttpMethod.GET);
        same(text(client.getObject(url, new HashMap<>())), "by url");
        List<String> keys = new ArrayList<>(all);
        keys.add("signed");
        same(client.deleteObjects(new DeleteObjectsRequest(name).withKeys(keys)).getDeletedObjects().size(), 5);
        client.deleteBucket(name);
        try {
            client.getObject(name, "copy");
            throw new AssertionError("the bucket is still there");
        } catch (OSSException error) {
            same(error.getErrorCode(), "NoSuchBucket");
        }
        client.shutdown();
    }

    static void called(OSS client, String name, String url) throws Exception {
        Callback callback = new Callback();
        callback.setCallbackUrl(url);
        callback.setCallbackBody("{\\\"object\\\":${object},\\\"size\\\":${size},\\\"who\\\":${x:who}}");  // it escapes nothing
        callback.setCalbackBodyType(Callback.CalbackBodyType.JSON);
        callback.addCallbackVar("x:who", "ada");
        PutObjectRequest put = new PutObjectRequest(name, "told", stream("hello"));
        put.setCallback(callback);
        try (InputStream told = client.putObject(put).getResponse().getContent()) {
            same(new String(told.readAllBytes()), "{\"object\":\"told\",\"size\":5,\"who\":\"ada\"}");
        }
        client.deleteObject(name, "told");
    }

    static void form(OSS client, String endpoint, String id, String name, String proxy) throws Exception {
        PolicyConditions conditions = new PolicyConditions();
        conditions.addConditionItem(PolicyConditions.COND_CONTENT_LENGTH_RANGE, 1, 20);
        conditions.addConditionItem(MatchMode.StartWith, PolicyConditions.COND_KEY, "form/");
        String policy = client.generatePostPolicy(new Date(System.currentTimeMillis() + 60_000), conditions);
        Map<String, String> fields = new LinkedHashMap<>();
        fields.put("key", "form/${filename}");
        fields.put("OSSAccessKeyId", id);
        fields.put("policy", Base64.getEncoder().encodeToString(policy.getBytes()));
        fields.put("Signature", client.calculatePostSignature(policy));
        StringBuilder body = new StringBuilder();
        String head = "--bound\r\nContent-Disposition: form-data; name=\"";
        fields.forEach((field, value) -> body.append(head + field + "\"\r\n\r\n" + value + "\r\n"));
        body.append(head + "file\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nby a form\r\n--bound--\r\n");
        URI to = URI.create(endpoint), over = URI.create(proxy);
        URL url = new URL(proxy.isEmpty() ? endpoint + "/" + name : "http://" + name + "." + to.getHost() + "/");
        Proxy through = proxy.isEmpty() ? Proxy.NO_PROXY
            : new Proxy(Proxy.Type.HTTP, new InetSocketAddress(over.getHost(), over.getPort()));
        HttpURLConnection connection = (HttpURLConnection) url.openConnection(through);
        connection.setDoOutput(true);
        connection.setRequestProperty("Content-Type", "multipart/form-data; boundary=bound");
        connection.getOutputStream().write(body.toString().getBytes());
        same(connection.getResponseCode(), 204);
        same(text(client.getObject(name, "form/a.txt")), "by a form");
        client.deleteObject(name, "form/a.txt");
    }

    static String text(OSSObject found) throws Exception {
        try (InputStream content = found.getObjectContent()) {
            return new String(content.readAllBytes());
        }
    }
}
