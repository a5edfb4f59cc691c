// aliyun-sdk-oss, unmodified. Arguments: ENDPOINT KEY SECRET VERSION BUCKET PROXY ("" for none).
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

    static String text(OSSObject found) throws Exception {
        try (InputStream content = found.getObjectContent()) {
            return new String(content.readAllBytes());
        }
    }
}
