// alibabacloud-oss-go-sdk-v2, unmodified. Arguments: ENDPOINT KEY SECRET VERSION BUCKET PROXY ("" for none)
// CALLBACK (who answers with what he is told).
package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/credentials"
)

func must[T any](found T, err error) T {
	if err != nil {
		panic(err)
	}
	return found
}

func same(found, wanted string) {
	if found != wanted {
		panic(fmt.Sprintf("%q is not %q", found, wanted))
	}
}

func main() {
	endpoint, key, secret, version, name, proxy := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5], os.Args[6]
	versions := map[string]oss.SignatureVersionType{"v1": oss.SignatureVersionV1, "v4": oss.SignatureVersionV4}
	config := oss.LoadDefaultConfig().WithCredentialsProvider(credentials.NewStaticCredentialsProvider(key, secret)).
		WithRegion("cn-hangzhou").WithEndpoint(endpoint).WithSignatureVersion(versions[version]).WithDisableSSL(true)
	through := http.DefaultTransport.(*http.Transport).Clone()
	if proxy != "" {
		config = config.WithProxyHost(proxy)
		through.Proxy = http.ProxyURL(must(url.Parse(proxy)))
	}
	web := &http.Client{Transport: through}
	client, ctx := oss.NewClient(config), context.Background()
	must(client.PutBucket(ctx, &oss.PutBucketRequest{Bucket: &name}))
	same(fmt.Sprint(must(client.IsBucketExist(ctx, name))), "true")
	get := func(key string, asked string) string {
		request := &oss.GetObjectRequest{Bucket: &name, Key: &key}
		if asked != "" {
			request.Range = &asked
		}
		found := must(client.GetObject(ctx, request))
		defer found.Body.Close()
		return string(must(io.ReadAll(found.Body)))
	}
	first, large, log, copied, signed := "a dir/ü b+c.txt", "large", "log", "copy", "signed"
	must(client.PutObject(ctx, &oss.PutObjectRequest{Bucket: &name, Key: &first, Body: strings.NewReader("0123456789"),
		Metadata: map[string]string{"who": "ada"}, ContentType: oss.Ptr("text/plain")}))
	same(get(first, ""), "0123456789")
	same(get(first, "bytes=2-4"), "234")
	head := must(client.HeadObject(ctx, &oss.HeadObjectRequest{Bucket: &name, Key: &first}))
	same(fmt.Sprint(head.Metadata["who"], head.ContentLength, *head.ContentType), "ada10text/plain")
	same(fmt.Sprint(must(client.IsObjectExist(ctx, name, "none"))), "false")
	must(client.CopyObject(ctx, &oss.CopyObjectRequest{Bucket: &name, Key: &copied, SourceKey: &first}))
	same(get(copied, ""), "0123456789")
	said := fmt.Sprintf(`{"callbackUrl":%q,"callbackBodyType":"application/json",`+
		`"callbackBody":"{\"object\":${object},\"size\":${size},\"who\":${x:who}}"}`, os.Args[7])
	packed := func(text string) *string { return oss.Ptr(base64.StdEncoding.EncodeToString([]byte(text))) }
	called := must(client.PutObject(ctx, &oss.PutObjectRequest{Bucket: &name, Key: oss.Ptr("ü told"),
		Body: strings.NewReader("hello"), Callback: packed(said), CallbackVar: packed(`{"x:who":"ada"}`)}))
	same(fmt.Sprint(called.CallbackResult), "map[object:ü told size:5 who:ada]")
	must(client.DeleteObject(ctx, &oss.DeleteObjectRequest{Bucket: &name, Key: oss.Ptr("ü told")}))
	var place int64
	for _, piece := range []string{"one,", "two"} {
		made := must(client.AppendObject(ctx, &oss.AppendObjectRequest{Bucket: &name, Key: &log, Position: &place,
			Body: strings.NewReader(piece)}))
		place = made.NextPosition
	}
	same(get(log, ""), "one,two")
	content := []string{strings.Repeat("x", 102400), "yyyyy"}
	upload := must(client.InitiateMultipartUpload(ctx, &oss.InitiateMultipartUploadRequest{Bucket: &name, Key: &large})).UploadId
	parts := []oss.UploadPart{}
	for number, piece := range content {
		part := must(client.UploadPart(ctx, &oss.UploadPartRequest{Bucket: &name, Key: &large, UploadId: upload,
			PartNumber: int32(number + 1), Body: strings.NewReader(piece)}))
		parts = append(parts, oss.UploadPart{PartNumber: int32(number + 1), ETag: part.ETag})
	}
	listed := must(client.ListParts(ctx, &oss.ListPartsRequest{Bucket: &name, Key: &large, UploadId: upload}))
	same(fmt.Sprint(len(listed.Parts)), "2")
	must(client.CompleteMultipartUpload(ctx, &oss.CompleteMultipartUploadRequest{Bucket: &name, Key: &large,
		UploadId: upload, CompleteMultipartUpload: &oss.CompleteMultipartUpload{Parts: parts}}))
	same(get(large, ""), strings.Join(content, ""))
	tag := oss.Tag{Key: oss.Ptr("color"), Value: oss.Ptr("red")}
	must(client.PutObjectTagging(ctx, &oss.PutObjectTaggingRequest{Bucket: &name, Key: &copied,
		Tagging: &oss.Tagging{TagSet: &oss.TagSet{Tags: []oss.Tag{tag}}}}))
	tags := must(client.GetObjectTagging(ctx, &oss.GetObjectTaggingRequest{Bucket: &name, Key: &copied}))
	same(*tags.Tags[0].Key+*tags.Tags[0].Value, "colorred")
	must(client.PutObjectAcl(ctx, &oss.PutObjectAclRequest{Bucket: &name, Key: &copied, Acl: oss.ObjectACLPublicRead}))
	same(*must(client.GetObjectAcl(ctx, &oss.GetObjectAclRequest{Bucket: &name, Key: &copied})).ACL, "public-read")
	must(client.PutBucketAcl(ctx, &oss.PutBucketAclRequest{Bucket: &name, Acl: oss.BucketACLPrivate}))
	same(*must(client.GetBucketAcl(ctx, &oss.GetBucketAclRequest{Bucket: &name})).ACL, "private")
	all := []string{first, copied, large, log}
	older := must(client.ListObjects(ctx, &oss.ListObjectsRequest{Bucket: &name}))
	newer := must(client.ListObjectsV2(ctx, &oss.ListObjectsV2Request{Bucket: &name}))
	for number, wanted := range all {
		same(*older.Contents[number].Key, wanted)
		same(*newer.Contents[number].Key, wanted)
	}
	put := must(client.Presign(ctx, &oss.PutObjectRequest{Bucket: &name, Key: &signed}, oss.PresignExpires(time.Hour)))
	send := func(signed *oss.PresignResult, body string) string {
		request := must(http.NewRequest(signed.Method, signed.URL, strings.NewReader(body)))
		for name, value := range signed.SignedHeaders {
			request.Header.Set(name, value)
		}
		answer := must(web.Do(request))
		defer answer.Body.Close()
		return fmt.Sprint(answer.StatusCode) + string(must(io.ReadAll(answer.Body)))
	}
	same(send(put, "by url"), "200")
	same(send(must(client.Presign(ctx, &oss.GetObjectRequest{Bucket: &name, Key: &signed})), ""), "200by url")
	gone := []oss.DeleteObject{}
	for _, key := range append(all, signed) {
		gone = append(gone, oss.DeleteObject{Key: oss.Ptr(key)})
	}
	deleted := must(client.DeleteMultipleObjects(ctx, &oss.DeleteMultipleObjectsRequest{Bucket: &name, Objects: gone}))
	same(fmt.Sprint(len(deleted.DeletedObjects)), "5")
	must(client.DeleteBucket(ctx, &oss.DeleteBucketRequest{Bucket: &name}))
	same(fmt.Sprint(must(client.IsBucketExist(ctx, name))), "false")
}
