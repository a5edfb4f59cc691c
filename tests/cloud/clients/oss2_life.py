"""oss2 of PyPI, unmodified. Arguments: ENDPOINT KEY SECRET VERSION BUCKET PROXY ('' for none)
CALLBACK (who answers with what he is told).
"""

from __future__ import annotations

import base64
import json
import sys

import oss2
import requests

endpoint, key, secret, version, name, proxy, callback = sys.argv[1:]
proxies = {"http": proxy} if proxy else None
auth = {"v1": oss2.Auth, "v2": oss2.AuthV2, "v4": oss2.AuthV4}[version](key, secret)
bucket = oss2.Bucket(auth, endpoint, name, region="cn-hangzhou", proxies=proxies)
KEY = "a dir/ü b+c.txt"

bucket.create_bucket()
service = oss2.Service(auth, endpoint, region="cn-hangzhou", proxies=proxies)
assert name in [each.name for each in oss2.BucketIterator(service)]
bucket.put_object(KEY, b"0123456789", headers={"x-oss-meta-who": "ada", "Content-Type": "text/plain"})
assert bucket.get_object(KEY).read() == b"0123456789"
assert bucket.get_object(KEY, byte_range=(2, 4)).read() == b"234"
head = bucket.head_object(KEY)
assert (head.content_length, head.headers["x-oss-meta-who"], head.content_type) == (10, "ada", "text/plain")
assert bucket.object_exists(KEY)
assert not bucket.object_exists("none")
bucket.copy_object(name, KEY, "copy")
assert bucket.get_object("copy").read() == b"0123456789"
first = bucket.append_object("log", 0, b"one,")
bucket.append_object("log", first.next_position, b"two")
assert bucket.get_object("log").read() == b"one,two"
upload = bucket.init_multipart_upload("large").upload_id
content = [b"x" * 102_400, b"y" * 5]
parts = []
for number, piece in enumerate(content, 1):
    sent = bucket.upload_part("large", upload, number, piece)
    parts.append(oss2.models.PartInfo(number, sent.etag, size=len(piece), part_crc=sent.crc))
assert [each.part_number for each in bucket.list_parts("large", upload).parts] == [1, 2]
bucket.complete_multipart_upload("large", upload, parts)
assert bucket.get_object("large").read() == b"".join(content)
said = {"callbackUrl": callback, "callbackBodyType": "application/json",
        "callbackBody": '{"object":${object},"size":${size},"who":${x:who}}'}  # fmt: skip
headers = {
    f"x-oss-callback{ending}": base64.b64encode(json.dumps(each).encode()).decode()
    for ending, each in (("", said), ("-var", {"x:who": "ada"}))
}
told = json.loads(bucket.put_object("ü told", b"hello", headers=headers).resp.read())
assert told == {"object": "ü told", "size": 5, "who": "ada"}
bucket.delete_object("ü told")
bucket.abort_multipart_upload("large", bucket.init_multipart_upload("large").upload_id)
tags = oss2.models.TaggingRule()
tags.add("color", "red")
bucket.put_object_tagging("copy", oss2.models.Tagging(tags))
assert bucket.get_object_tagging("copy").tag_set.tagging_rule == {"color": "red"}
bucket.delete_object_tagging("copy")
bucket.put_object_acl("copy", oss2.OBJECT_ACL_PUBLIC_READ)
assert bucket.get_object_acl("copy").acl == "public-read"
bucket.put_bucket_acl(oss2.BUCKET_ACL_PRIVATE)
assert bucket.get_bucket_acl().acl == "private"
assert bucket.get_bucket_info().name == name
assert [each.key for each in oss2.ObjectIterator(bucket, max_keys=1)] == [KEY, "copy", "large", "log"]
assert [each.key for each in oss2.ObjectIteratorV2(bucket, prefix="l", max_keys=1)] == ["large", "log"]
assert bucket.list_objects(delimiter="/").prefix_list == ["a dir/"]
url = bucket.sign_url("PUT", "signed", 60)
assert requests.put(url, b"by url", proxies=proxies, timeout=20).status_code == 200
assert requests.get(bucket.sign_url("GET", "signed", 60), proxies=proxies, timeout=20).content == b"by url"
try:
    bucket.delete_bucket()
except oss2.exceptions.BucketNotEmpty:
    pass
else:
    raise AssertionError("it was deleted with all that was in it")
deleted = bucket.batch_delete_objects([KEY, "copy", "large", "log"]).deleted_keys
assert sorted(deleted) == sorted([KEY, "copy", "large", "log"])
bucket.delete_object("signed")
bucket.delete_bucket()
try:
    bucket.get_object("copy")
except oss2.exceptions.NoSuchBucket:
    pass
else:
    raise AssertionError("it is still there")
