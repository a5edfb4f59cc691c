"""The values that FC's objects are made of: what a name, a time or a number of instances may be."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

Scalar = str | int | float | bool
_END = r"$(?!\n)"
"""`$` also stands before a line feed at the end."""
_NAME = r"[A-Za-z_][A-Za-z0-9_-]{0,127}"
NAME = "a letter or _, then letters, digits, _ and -, at most 128"
Name = Annotated[str, Meta(pattern=f"^{_NAME}{_END}", description=NAME)]
NameOrNone = Annotated[str, Meta(pattern=f"^({_NAME})?{_END}", description=NAME)]
AliasName = Annotated[str, Meta(pattern=f"^(?!LATEST$){_NAME}{_END}", description=f"{NAME}, and not LATEST")]
VariableName = Annotated[
    str,
    Meta(
        pattern=r"^(?!FC_(?!EXTENSIONS?_)|(accessKey(ID|Secret)|securityToken|topic)$)[A-Za-z][A-Za-z0-9_]*" + _END,
        description="a letter, then letters, digits and _, and not FC_*",
    ),
]
DomainName = Annotated[
    str,
    Meta(
        pattern=r"^(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+" + _END,
        max_length=253,
        description="like www.example.com, at most 253 characters",
    ),
]
RoutePath = Annotated[
    str,
    Meta(pattern=r"^/[^*\x00]*\*?" + _END, description="a path that begins with / and has * only as its end: /api/*"),
]
HeaderPart = Annotated[str, Meta(pattern=r"^[!-~]+" + _END, description="one word, as headers have it")]
DestinationArn = Annotated[str, Meta(pattern=r"^(acs:.*)?$", description="an ARN like acs:fc:...")]
TIME = "a time with its zone, like 2026-10-10T10:10:10Z"
Time = Annotated[str, Meta(description=TIME, extra_json_schema={"format": "date-time"})]
SCHEDULE = "like cron(0 0 20 * * *) or at(2026-10-10T10:10:10Z), in UTC"
TIMER = "six fields like 0 30 8 * * *, in UTC or after CRON_TZ=ZONE, or @every 5m"
Weight = Annotated[float, Meta(ge=0, le=1)]
Part = Annotated[float, Meta(gt=0, le=1, description="a number above 0 and at most 1")]
Instances = Annotated[int, Meta(ge=0, le=10_000)]
SessionTime = Annotated[int, Meta(ge=1, le=21600)]
SessionIdleTime = Annotated[int, Meta(ge=0, le=21600)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Count = Annotated[int, Meta(ge=1, le=120)]
Size = Annotated[int, Meta(ge=0)]
Method = Literal["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"]
Protocol = Literal["HTTP", "HTTPS", "HTTP,HTTPS"]
