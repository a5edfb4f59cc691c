// aliyun-oss-go-sdk, unmodified. Arguments: ENDPOINT KEY SECRET VERSION BUCKET PROXY ("" for none)
// CALLBACK (who answers with what he is told).
package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"

	"github.com/aliyun/aliyun-oss-go-sdk/oss"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func same(found, wanted string) {
	if found != wanted {
		panic(fmt.Sprintf("%q is not %q", found, wanted))
	}
}

func main() {
	endpoint, key, secret, version, name, proxy := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5], os.Args[6]
	versions := map[string]oss.AuthVersionType{"v1": oss.AuthV1, "v2": oss.AuthV2, "v4": oss.AuthV4}
	options := []oss.ClientOption{oss.AuthVersion(versions[version]), oss.Region("cn-hangzhou")}
	if proxy != "" {
		options = append(options, oss.Proxy(proxy))
	}
	client, err := oss.New(endpoint, key, secret, options...)
	must(err)
	must(client.CreateBucket(name))
	exists, err := client.IsBucketExist(name)
	must(err)
	same(fmt.Sprint(exists), "true")
	bucket, err := client.Bucket(name)
	must(err)
	get := func(key string, options ...oss.Option) string {
		body, err := bucket.GetObject(key, options...)
		must(err)
		defer body.Close()
		data, err := io.ReadAll(body)
		must(err)
		return string(data)
	}
	const first = "a dir/ü b+c.txt"
	must(bucket.PutObject(first, strings.NewReader("0123456789"), oss.Meta("who", "ada"), oss.ContentType("text/plain")))
	same(get(first), "0123456789")
	same(get(first, oss.Range(2, 4)), "234")
	head, err := bucket.GetObjectDetailedMeta(first)
	must(err)
	same(head.Get("X-Oss-Meta-Who")+head.Get("Content-Length")+head.Get("Content-Type"), "ada10text/plain")
	missing, err := bucket.IsObjectExist("none")
	must(err)
	same(fmt.Sprint(missing), "false")
	said := fmt.Sprintf(`{"callbackUrl":%q,"callbackBodyType":"application/json",`+
		`"callbackBody":"{\"object\":${object},\"size\":${size},\"who\":${x:who}}"}`, os.Args[7])
	packed := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	var told []byte
	must(bucket.PutObject("ü told", strings.NewReader("hello"), oss.Callback(packed(said)),
		oss.CallbackVar(packed(`{"x:who":"ada"}`)), oss.CallbackResult(&told)))
	same(string(told), `{"object":"ü told","size":5,"who":"ada"}`)
	must(bucket.DeleteObject("ü told"))
	_, err = bucket.CopyObject(first, "copy")
	must(err)
	same(get("copy"), "0123456789")
	next, err := bucket.AppendObject("log", strings.NewReader("one,"), 0)
	must(err)
	_, err = bucket.AppendObject("log", strings.NewReader("two"), next)
	must(err)
	same(get("log"), "one,two")
	content := []string{strings.Repeat("x", 102400), "yyyyy"}
	upload, err := bucket.InitiateMultipartUpload("large")
	must(err)
	parts := []oss.UploadPart{}
	for number, piece := range content {
		part, err := bucket.UploadPart(upload, strings.NewReader(piece), int64(len(piece)), number+1)
		must(err)
		parts = append(parts, part)
	}
	listed, err := bucket.ListUploadedParts(upload)
	must(err)
	same(fmt.Sprint(len(listed.UploadedParts)), "2")
	_, err = bucket.CompleteMultipartUpload(upload, parts)
	must(err)
	same(get("large"), strings.Join(content, ""))
	must(bucket.PutObjectTagging("copy", oss.Tagging{Tags: []oss.Tag{{Key: "color", Value: "red"}}}))
	tags, err := bucket.GetObjectTagging("copy")
	must(err)
	same(tags.Tags[0].Key+tags.Tags[0].Value, "colorred")
	must(bucket.SetObjectACL("copy", oss.ACLPublicRead))
	acl, err := bucket.GetObjectACL("copy")
	must(err)
	same(acl.ACL, "public-read")
	must(client.SetBucketACL(name, oss.ACLPrivate))
	whose, err := client.GetBucketACL(name)
	must(err)
	same(whose.ACL, "private")
	all := []string{first, "copy", "large", "log"}
	older, err := bucket.ListObjects(oss.MaxKeys(100))
	must(err)
	newer, err := bucket.ListObjectsV2(oss.MaxKeys(100))
	must(err)
	for number, wanted := range all {
		same(older.Objects[number].Key, wanted)
		same(newer.Objects[number].Key, wanted)
	}
	url, err := bucket.SignURL("signed", oss.HTTPPut, 60)
	must(err)
	must(bucket.PutObjectWithURL(url, bytes.NewReader([]byte("by url"))))
	url, err = bucket.SignURL("signed", oss.HTTPGet, 60)
	must(err)
	body, err := bucket.GetObjectWithURL(url)
	must(err)
	data, err := io.ReadAll(body)
	must(err)
	same(string(data), "by url")
	deleted, err := bucket.DeleteObjects(append(all, "signed"))
	must(err)
	sort.Strings(deleted.DeletedObjects)
	same(fmt.Sprint(len(deleted.DeletedObjects)), "5")
	must(client.DeleteBucket(name))
	exists, err = client.IsBucketExist(name)
	must(err)
	same(fmt.Sprint(exists), "false")
}
