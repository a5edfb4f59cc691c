"""alibabacloud_oss_v2 of PyPI, unmodified. Arguments: ENDPOINT KEY SECRET VERSION BUCKET PROXY ('' for none)
CALLBACK (who answers with what he is told).
"""

from __future__ import annotations

import base64
import datetime
import json
import sys

import alibabacloud_oss_v2 as oss
import requests

endpoint, key, secret, version, name, proxy, callback = sys.argv[1:]
proxies = {"http": proxy} if proxy else None
config = oss.config.load_default()
config.credentials_provider = oss.credentials.StaticCredentialsProvider(key, secret)
config.endpoint, config.region, config.signature_version = endpoint, "cn-hangzhou", version
config.proxy_host = proxies  # as text it means nothing to it: the names it makes of that are none of the library below
config.disable_ssl = True
client = oss.Client(config)
KEY = "a dir/ü b+c.txt"


def get(wanted: str, **more: object) -> bytes:
    return client.get_object(oss.GetObjectRequest(bucket=name, key=wanted, **more)).body.content


client.put_bucket(oss.PutBucketRequest(bucket=name))
assert client.is_bucket_exist(name)
assert name in [
    each.name for page in client.list_buckets_paginator().iter_page(oss.ListBucketsRequest()) for each in page.buckets
]
client.put_object(
    oss.PutObjectRequest(bucket=name, key=KEY, body=b"0123456789", metadata={"who": "ada"}, content_type="text/plain")
)
assert get(KEY) == b"0123456789"
assert get(KEY, range_header="bytes=2-4") == b"234"
head = client.head_object(oss.HeadObjectRequest(bucket=name, key=KEY))
assert (head.content_length, head.metadata["who"], head.content_type) == (10, "ada", "text/plain")
assert not client.is_object_exist(name, "none")
client.copy_object(oss.CopyObjectRequest(bucket=name, key="copy", source_bucket=name, source_key=KEY))
assert get("copy") == b"0123456789"
said = {"callbackUrl": callback, "callbackBodyType": "application/json",
        "callbackBody": '{"object":${object},"size":${size},"who":${x:who}}'}  # fmt: skip
packed, own = (base64.b64encode(json.dumps(each).encode()).decode() for each in (said, {"x:who": "ada"}))
told = client.put_object(
    oss.PutObjectRequest(bucket=name, key="ü told", body=b"hello", callback=packed, callback_var=own)
).callback_result
assert json.loads(told) == {"object": "ü told", "size": 5, "who": "ada"}  # it is text, whatever its type says
client.delete_object(oss.DeleteObjectRequest(bucket=name, key="ü told"))
first = client.append_object(oss.AppendObjectRequest(bucket=name, key="log", position=0, body=b"one,"))
client.append_object(oss.AppendObjectRequest(bucket=name, key="log", position=first.next_position, body=b"two"))
assert get("log") == b"one,two"
upload = client.initiate_multipart_upload(oss.InitiateMultipartUploadRequest(bucket=name, key="large")).upload_id
content = [b"x" * 102_400, b"y" * 5]
parts = []
for number, piece in enumerate(content, 1):
    request = oss.UploadPartRequest(bucket=name, key="large", upload_id=upload, part_number=number, body=piece)
    parts.append(oss.UploadPart(part_number=number, etag=client.upload_part(request).etag))
listed = client.list_parts(oss.ListPartsRequest(bucket=name, key="large", upload_id=upload)).parts
assert [each.part_number for each in listed] == [1, 2]
whole = oss.CompleteMultipartUpload(parts=parts)
client.complete_multipart_upload(
    oss.CompleteMultipartUploadRequest(bucket=name, key="large", upload_id=upload, complete_multipart_upload=whole)
)
assert get("large") == b"".join(content)
tagging = oss.Tagging(tag_set=oss.TagSet(tags=[oss.Tag(key="color", value="red")]))
client.put_object_tagging(oss.PutObjectTaggingRequest(bucket=name, key="copy", tagging=tagging))
[tag] = client.get_object_tagging(oss.GetObjectTaggingRequest(bucket=name, key="copy")).tag_set.tags
assert (tag.key, tag.value) == ("color", "red")
client.put_object_acl(oss.PutObjectAclRequest(bucket=name, key="copy", acl="public-read"))
assert client.get_object_acl(oss.GetObjectAclRequest(bucket=name, key="copy")).acl == "public-read"
client.put_bucket_acl(oss.PutBucketAclRequest(bucket=name, acl="private"))
assert client.get_bucket_acl(oss.GetBucketAclRequest(bucket=name)).acl == "private"
ALL = [KEY, "copy", "large", "log"]
pages = client.list_objects_paginator(limit=1).iter_page(oss.ListObjectsRequest(bucket=name))
assert [each.key for page in pages for each in page.contents or ()] == ALL
pages = client.list_objects_v2_paginator(limit=1).iter_page(oss.ListObjectsV2Request(bucket=name))
assert [each.key for page in pages for each in page.contents or ()] == ALL
hour = datetime.timedelta(hours=1)
signed = client.presign(oss.PutObjectRequest(bucket=name, key="signed"), expires=hour)
assert (
    requests.put(signed.url, b"by url", headers=signed.signed_headers, proxies=proxies, timeout=20).status_code == 200
)
signed = client.presign(oss.GetObjectRequest(bucket=name, key="signed"), expires=hour)
assert requests.get(signed.url, headers=signed.signed_headers, proxies=proxies, timeout=20).content == b"by url"
gone = [oss.DeleteObject(key=each) for each in (*ALL, "signed")]
deleted = client.delete_multiple_objects(oss.DeleteMultipleObjectsRequest(bucket=name, objects=gone)).deleted_objects
assert sorted(each.key for each in deleted) == sorted([*ALL, "signed"])
client.delete_bucket(oss.DeleteBucketRequest(bucket=name))
assert not client.is_bucket_exist(name)
