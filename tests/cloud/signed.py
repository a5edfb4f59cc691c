"""Requests as OSS's clients sign them, read off the wire: of oss2 2.19.1 and alibabacloud_oss_v2 1.4.1 for Python, with
access key `LTAIid`, secret `secret` and, where there is one, token `token`.
"""

from __future__ import annotations

NOW = 1795809053.0
"""When they were signed."""
KEY = "d/a b+ü.txt"
_PATH = "/bkt/d%2Fa%20b%2B%C3%BC.txt"
_NEWER_PATH = "/bkt/d/a%20b%2B%C3%BC.txt"
_DATE = {"date": "Fri, 27 Nov 2026 19:50:53 GMT"}
_STAMP = {"x-oss-date": "20261127T195053Z", "x-oss-content-sha256": "UNSIGNED-PAYLOAD"}
_PUT = {"x-oss-meta-who": "ada", "content-type": "text/plain", "content-md5": "XUFAKrxLKna5cZ2REBfFkg=="}
_NEWER_PUT = {"x-oss-meta-who": "ada", "content-type": "text/plain"}
_LIST = "prefix=a+b%2F&delimiter=%2F&marker=&max-keys=100&encoding-type=url"
_TOKEN = {"x-oss-security-token": "token"}
_V4 = "OSS4-HMAC-SHA256 Credential=LTAIid/20261127/cn-hangzhou/oss/aliyun_v4_request"

HEADERS = {
    "V1 put": ("PUT", _PATH, "", {**_PUT, **_DATE, "authorization": "OSS LTAIid:ocv8ruzXDnoAmB/dCpDf/Q8+TE0="}),
    "V1 list": ("GET", "/bkt/", _LIST, {**_DATE, "authorization": "OSS LTAIid:wDDTSLOE22nhZsIQaucpBltwc1E="}),
    "V1 get": (
        "GET", "/bkt/k", "response-content-type=a%2Fb",
        {**_DATE, "range": "bytes=1-3", "authorization": "OSS LTAIid:AcgcIlezqTKB6Yv5tjX2VFqOUnw="},
    ),
    "V1 put with a token": (
        "PUT", _PATH, "", {**_PUT, **_DATE, **_TOKEN, "authorization": "OSS LTAIid:Ft1HOFsCFGFgwsyS9114flxlWlI="},
    ),
    "V1 put, alibabacloud_oss_v2": (
        "PUT", _NEWER_PATH, "", {**_NEWER_PUT, **_DATE, "authorization": "OSS LTAIid:85tqQE37wLfdH84b9GS3Xuo2Gus="},
    ),
    "V2 put": (
        "PUT", _PATH, "",
        {**_PUT, **_DATE,
         "authorization": "OSS2 AccessKeyId:LTAIid,Signature:QRK01SdWiu+EwPX7jhLn4V9SA9Sk08zzEOzyluTbMjU="},
    ),
    "V2 get": (
        "GET", "/bkt/k", "response-content-type=a%2Fb",
        {**_DATE, "range": "bytes=1-3",
         "authorization":
         "OSS2 AccessKeyId:LTAIid,AdditionalHeaders:range,Signature:Lacs4dinBX2SugLx61Dk02Q8tclAoGxRnyVCNt4Ds6s="},
    ),
    "V4 put": (
        "PUT", _PATH, "",
        {**_PUT, **_STAMP, "authorization":
         f"{_V4}, Signature=f7178fdd2411532d2d969609189b98f4cdd74a12aa79788ca718461241510b79"},
    ),
    "V4 list": (
        "GET", "/bkt/", _LIST,
        {**_STAMP, "authorization":
         f"{_V4}, Signature=767506493306524926e8284720a0ffb9f688428f6c27b50261d51e0041ad21cd"},
    ),
    "V4 put, alibabacloud_oss_v2": (
        "PUT", _NEWER_PATH, "",
        {**_NEWER_PUT, **_STAMP, **_DATE, "authorization":
         f"{_V4},Signature=e5f1d9c0e1c119b5a35a8920661a3fe751fb44b32a5c819316bc9f47722244b7"},
    ),
}  # fmt: skip
"""Method, path, query, headers."""

URLS = {
    "V1": (_PATH, "response-content-type=a%2Fb&OSSAccessKeyId=LTAIid&Expires=1795809653"
           "&Signature=PrdUw%2BWfPHOwQXl5gGjPLX77BFw%3D"),
    "V1 with a token": (_PATH, "response-content-type=a%2Fb&security-token=token&OSSAccessKeyId=LTAIid"
                        "&Expires=1795809653&Signature=p5wgjFZROEhAYcYevEw3v4D8Oyg%3D"),
    "V2": (_PATH, "response-content-type=a%2Fb&x-oss-signature-version=OSS2&x-oss-expires=1795809653"
           "&x-oss-access-key-id=LTAIid&x-oss-signature=zJnljW4OTPvKmqIwXaY2a%2FXOBWF372ypHXcP3PzJWMo%3D"),
    "V4": (_PATH, "response-content-type=a%2Fb&x-oss-date=20261127T195053Z&x-oss-expires=600"
           "&x-oss-signature-version=OSS4-HMAC-SHA256"
           "&x-oss-credential=LTAIid%2F20261127%2Fcn-hangzhou%2Foss%2Faliyun_v4_request"
           "&x-oss-signature=d296daf6f11279380e059e339e566577223d8ebdf8a90eedd0413297528e974f"),
    "V4, alibabacloud_oss_v2": (
        _NEWER_PATH, "x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-date=20261127T195053Z&x-oss-expires=900"
        "&x-oss-credential=LTAIid%2F20261127%2Fcn-hangzhou%2Foss%2Faliyun_v4_request"
        "&x-oss-signature=0dd4c551d0ffdd62b3cda64dc91b6b425c97624f557f88316e53cfb6fd44e92b"),
}  # fmt: skip
"""Path and query of URLs for GET; all are good for ten minutes at least."""
