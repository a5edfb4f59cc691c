"""Every operation and every field of the newest SDK is known here, or stands below with the reason why not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from msgspec.structs import FieldInfo
from newest import Operation, Seen, fields, inner, operations, reachable, walk

from pyfc.calls.paths import NEWER
from pyfc.documents.reader import properties
from pyfc.documents.shapes import Shape
from pyfc.gateway.application import APIS
from support import Server, wait_until, zipped

OPERATIONS = {each.name: each for each in operations()}
ENDPOINTS = {(each.method, re.sub(r"\{[^}]*\}", "{}", each.path)): each for each in APIS[NEWER]}
CALL = "InvokeFunction"
"""It is no operation of the management API."""


def endpoint_of(operation: Operation) -> Any:
    return ENDPOINTS.get((operation.method, operation.path))


@pytest.mark.parametrize("name", [each for each in OPERATIONS if each != CALL])
def test_an_operation_has_an_endpoint_that_knows_its_parameters(name: str) -> None:
    endpoint = endpoint_of(OPERATIONS[name])

    assert endpoint is not None
    assert endpoint.operation in {name, f"{name}ByPost"}
    assert OPERATIONS[name].query <= {*endpoint.query}


def unread(model: type[Any], shape: type[Shape]) -> Iterator[str]:
    """What a model may say that a shape does not know, also in what both hold."""
    known = properties(shape)
    for name, kind in fields(model).items():
        field = known.get(name.lower())
        if field is None:
            yield f"{model.__name__}.{name}"
            continue
        part, under = inner(kind), _shape(field)
        if part is not None and under is not None:
            yield from unread(part, under)


def _shape(field: FieldInfo) -> type[Shape] | None:
    """The shape that a property is, or has a list of."""
    kinds = [field.type]
    for kind in kinds:
        kinds += get_args(kind)
    shapes = [kind for kind in kinds if get_origin(kind) is None and isinstance(kind, type) and issubclass(kind, Shape)]
    return shapes[0] if shapes else None


def test_what_the_sdk_can_send_is_kept() -> None:
    found = {
        each
        for operation in OPERATIONS.values()
        if operation.name != CALL and operation.sent is not None
        for each in unread(operation.sent, endpoint_of(operation).body)
    }

    assert found == set()


CODE = {"zipFile": zipped({"index.py": "def handler(*_):\n    return 'x'\n"})}
BASE = {"functionName": "f", "runtime": "python3.10", "handler": "index.handler", "code": CODE}
NAS = {"userId": 1, "groupId": 1, "mountPoints": [{"serverAddr": "x:/y", "mountDir": "/mnt/a", "enableTLS": True}]}
OSS_MOUNT = {"bucketName": "b", "bucketPath": "/", "endpoint": "e", "mountDir": "/mnt/b", "readOnly": True}
HEALTH = {
    "httpGetUrl": "/", "initialDelaySeconds": 1, "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 1,
    "successThreshold": 1,
}  # fmt: skip
CORS = {
    "allowOrigins": ["https://a.example"], "allowMethods": ["GET"], "allowHeaders": ["x-a"], "exposeHeaders": ["x-b"],
    "allowCredentials": True, "maxAge": 5,
}  # fmt: skip
AFFINITY = {"affinityHeaderFieldName": "My-Session", "sessionConcurrencyPerInstance": 1}
FULL = {
    **BASE, "description": "all of it", "cpu": 0.5, "diskSize": 512, "memorySize": 512, "timeout": 9,
    "role": "acs:ram::1:r",
    "environmentVariables": {"A": "b"}, "idleTimeout": 60, "instanceConcurrency": 1, "instanceIsolationMode": "SHARE",
    "customDNS": {"nameServers": ["1.1.1.1"], "searches": ["a"], "dnsOptions": [{"name": "n", "value": "1"}]},
    "gpuConfig": {"gpuMemorySize": 1024, "gpuType": "fc.gpu.ada.1"}, "disableOndemand": False, "enableLongLiving": True,
    "logConfig": {
        "project": "p", "logstore": "l", "enableInstanceMetrics": True, "enableRequestMetrics": True,
        "enableLlmMetrics": True, "logBeginRule": "DefaultRegex",
    },
    "instanceLifecycleConfig": {
        "initializer": {"handler": "index.handler", "timeout": 9},
        "preStop": {"handler": "index.handler", "timeout": 9},
    },
    "sessionAffinity": "HEADER_FIELD", "sessionAffinityConfig": json.dumps(AFFINITY),
    "disableInjectCredentials": "None",
    "nasConfig": NAS, "ossMountConfig": {"mountPoints": [OSS_MOUNT]}, "tags": [{"Key": "k", "Value": "v"}],
    "tracingConfig": {"type": "Jaeger", "params": {"endpoint": "e"}}, "resourceGroupId": "rg",
    "vpcConfig": {"vpcId": "v", "vSwitchIds": ["s"], "securityGroupId": "g", "role": "r"},
    "juiceFsConfig": {"envs": {"A": "b"}, "mountPoints": [
        {"args": ["a"], "mountDir": "/m", "remoteDir": "/", "token": "t", "volumeName": "v"},
    ]},
    "polarFsConfig": {"userId": 1, "groupId": 1, "mountPoints": [
        {"extraOptions": "o", "instanceId": "i", "mountDir": "/m", "readOnly": True, "remoteDir": "/"},
    ]},
    "microSandboxConfig": {
        "acrInstanceId": "a", "image": "i", "osType": "linux", "readyCommand": "r", "startCommand": "s",
        "registryConfig": {},
    },
}  # fmt: skip
CUSTOM = {
    **BASE, "functionName": "custom", "runtime": "custom.debian10", "handler": "h",
    "customRuntimeConfig": {"command": ["/bin/sh"], "args": ["-c", "x"], "port": 9000, "healthCheckConfig": HEALTH},
    "instanceLifecycleConfig": {"initializer": {"command": ["true"], "timeout": 5}},
}  # fmt: skip
REGISTRY = {
    "authConfig": {"userName": "u", "password": "p"}, "certConfig": {"insecure": True, "rootCaCertBase64": "x"},
    "networkConfig": {"vpcId": "v", "vSwitchId": "s", "securityGroupId": "g"},
}  # fmt: skip
CONTAINER = {
    "functionName": "image", "runtime": "custom-container", "handler": "h",
    "customContainerConfig": {
        "image": "i", "command": ["c"], "entrypoint": ["e"], "port": 9000, "accelerationType": "Default",
        "acrInstanceId": "a", "healthCheckConfig": HEALTH, "registryConfig": REGISTRY,
        "accelerationInfo": {"status": "Ready"}, "resolvedImageUri": "i@sha256:0",
    },
}  # fmt: skip
DESTINATIONS = {
    "onSuccess": {"destination": "acs:fc:r:1:functions/f"},
    "onFailure": {"destination": "acs:fc:r:1:functions/f"},
}
TIMED = {"startTime": "2020-01-01T00:00:00Z", "endTime": "2020-01-02T00:00:00Z", "timeZone": "Asia/Shanghai"}
ACTION = {"name": "a", "target": 0, "scheduleExpression": "cron(0 0 20 * * *)", **TIMED}
TRACKING = {
    "name": "t", "metricType": "ProvisionedConcurrencyUtilization", "metricTarget": 0.5, "minCapacity": 0,
    "maxCapacity": 1, **TIMED,
}  # fmt: skip
SCALING = {
    "name": "s", "metricType": "m", "metricTarget": 0.5, "minInstances": 0, "maxInstances": 1, **TIMED,
}  # fmt: skip
REWRITING = {kind: [{"match": "/a", "replacement": "/b"}] for kind in ("equalRules", "wildcardRules", "regexRules")}
DOMAIN = {
    "domainName": "d.example.com", "protocol": "HTTP", "corsConfig": CORS, "isE2B": True,
    "authConfig": {"authType": "anonymous", "authInfo": "{}"}, "wafConfig": {"enableWAF": True},
    "certConfig": {"certName": "c", "certificate": "x", "privateKey": "y"},
    "tlsConfig": {"minVersion": "TLSv1.2", "maxVersion": "TLSv1.3", "cipherSuites": ["x"]},
    "routeConfig": {"routes": [
        {"path": "/*", "functionName": "f", "qualifier": "LATEST", "methods": ["GET"], "rewriteConfig": REWRITING},
    ]},
}  # fmt: skip
SESSION = {
    "sessionId": "s", "nasConfig": NAS, "ossMountConfig": {"mountPoints": [OSS_MOUNT]}, "enableAutoPause": True,
    "enableAutoResume": True, "allowInternetAccess": True, "juiceFsConfig": FULL["juiceFsConfig"],
    "polarFsConfig": FULL["polarFsConfig"],
    "network": {
        "allowOut": ["a"], "denyOut": ["b"], "allowPublicTraffic": True, "maskRequestHost": "h",
        "rules": {"r": [{"transform": {"headers": {"a": "b"}, "headerValueReplacements": [
            {"placeholder": "p", "value": "v"},
        ]}}]},
    },
}  # fmt: skip
HTTP = json.dumps({"authType": "anonymous", "methods": ["GET"], "disableURLInternet": False})
F = "/functions/f"
SCENARIO: list[tuple[str, str, Any]] = [
    ("CreateFunction", "/functions", FULL), ("CreateFunction", "/functions", CUSTOM),
    ("CreateFunction", "/functions", CONTAINER), ("CreateFunction", "/functions", {**BASE, "functionName": "gone"}),
    ("UpdateFunction", F, {"description": "changed"}),
    ("DisableFunctionInvocation", f"{F}/invoke/disable", {"reason": "r"}), ("GetFunction", F, None),
    ("EnableFunctionInvocation", f"{F}/invoke/enable", {}), ("GetFunctionCode", f"{F}/code", None),
    ("ListFunctions", "/functions?limit=1", None), ("ListFunctions", "/functions", None),
    ("PublishFunctionVersion", f"{F}/versions", {"description": "d"}),
    ("PublishFunctionVersion", "/functions/custom/versions", {"description": "d"}),
    ("UpdateFunction", F, {"timeout": 8}), ("PublishFunctionVersion", f"{F}/versions", {}),
    ("ListFunctionVersions", f"{F}/versions?limit=1", None),
    ("CreateAlias", f"{F}/aliases", {
        "aliasName": "a", "versionId": "1", "description": "d", "additionalVersionWeight": {"2": 0.5},
    }),
    ("CreateAlias", f"{F}/aliases", {"aliasName": "b", "versionId": "1"}),
    ("GetAlias", f"{F}/aliases/a", None), ("UpdateAlias", f"{F}/aliases/a", {"description": "x"}),
    ("ListAliases", f"{F}/aliases?limit=1", None), ("DeleteAlias", f"{F}/aliases/a", None),
    ("CreateTrigger", f"{F}/triggers", {
        "triggerName": "h", "triggerType": "http", "triggerConfig": HTTP, "description": "d", "qualifier": "LATEST",
        "sourceArn": "acs:x", "invocationRole": "acs:ram::1:r",
    }),
    ("CreateTrigger", f"{F}/triggers", {"triggerName": "t", "triggerType": "oss", "triggerConfig": "{}"}),
    ("CreateTrigger", f"{F}/triggers", {"triggerName": "e", "triggerType": "eventbridge", "triggerConfig": "{}"}),
    ("GetTrigger", f"{F}/triggers/h", None), ("UpdateTrigger", f"{F}/triggers/h", {"description": "x"}),
    ("ListTriggers", f"{F}/triggers?limit=1", None), ("DeleteTrigger", f"{F}/triggers/t", None),
    ("PutAsyncInvokeConfig", f"{F}/async-invoke-config", {
        "maxAsyncRetryAttempts": 1, "maxAsyncEventAgeInSeconds": 60, "asyncTask": True,
        "destinationConfig": DESTINATIONS,
    }),
    ("PutAsyncInvokeConfig", "/functions/custom/async-invoke-config", {"maxAsyncRetryAttempts": 1}),
    ("GetAsyncInvokeConfig", f"{F}/async-invoke-config", None),
    ("ListAsyncInvokeConfigs", "/async-invoke-configs?limit=1", None),
    ("ListAsyncTasks", f"{F}/async-tasks?limit=1&includePayload=true", None),
    ("GetAsyncTask", f"{F}/async-tasks/one", None), ("StopAsyncTask", f"{F}/async-tasks/one/stop", {}),
    ("PutConcurrencyConfig", f"{F}/concurrency", {"reservedConcurrency": 5}),
    ("PutConcurrencyConfig", "/functions/custom/concurrency", {"reservedConcurrency": 5}),
    ("GetConcurrencyConfig", f"{F}/concurrency", None),
    ("ListConcurrencyConfigs", "/concurrency-configs?limit=1", None),
    ("DeleteConcurrencyConfig", f"{F}/concurrency", None),
    ("PutProvisionConfig", f"{F}/provision-config", {
        "defaultTarget": 0, "scheduledActions": [ACTION], "targetTrackingPolicies": [TRACKING],
        "alwaysAllocateCPU": True, "alwaysAllocateGPU": True,
    }),
    ("PutProvisionConfig", "/functions/custom/provision-config", {"defaultTarget": 0}),
    ("GetProvisionConfig", f"{F}/provision-config", None), ("ListProvisionConfigs", "/provision-configs?limit=1", None),
    ("DeleteProvisionConfig", f"{F}/provision-config", None),
    ("PutScalingConfig", f"{F}/scaling-config", {
        "minInstances": 0, "horizontalScalingPolicies": [SCALING], "scheduledPolicies": [ACTION],
        "enableOnDemandScaling": True, "enableMixMode": True, "requestDispatchPolicy": "p", "residentPoolId": "r",
    }),
    ("PutScalingConfig", "/functions/custom/scaling-config", {"minInstances": 0}),
    ("GetScalingConfig", f"{F}/scaling-config", None), ("ListScalingConfigs", "/scaling-configs?limit=1", None),
    ("DeleteScalingConfig", f"{F}/scaling-config", None),
    ("CreateVpcBinding", f"{F}/vpc-bindings", {"vpcId": "v"}), ("ListVpcBindings", f"{F}/vpc-bindings", None),
    ("DeleteVpcBinding", f"{F}/vpc-bindings/v", None),
    ("CreateSession", f"{F}/sessions", SESSION), ("CreateSession", f"{F}/sessions", {}),
    ("GetSession", f"{F}/sessions/s", None), ("UpdateSession", f"{F}/sessions/s", {"sessionTTLInSeconds": 60}),
    ("ListSessions", f"{F}/sessions?limit=1", None), ("PauseSession", f"{F}/sessions/s/pause", {}),
    ("ResumeSession", f"{F}/sessions/s/resume", {}), ("ListInstances", f"{F}/instances", None),
    ("CreateSnapshot", f"{F}/snapshots", {"sessionId": "s"}), ("GetSnapshot", f"{F}/snapshots/x", None),
    ("DeleteSnapshot", f"{F}/snapshots/x", None), ("ListSnapshots", "/snapshots", None),
    ("DeleteSession", f"{F}/sessions/s", None),
    ("CreateLayerVersion", "/layers/l/versions", {
        "code": CODE, "description": "d", "compatibleRuntime": ["python3"], "license": "MIT",
    }),
    ("CreateLayerVersion", "/layers/l/versions", {"code": CODE}),
    ("CreateLayerVersion", "/layers/m/versions", {"code": CODE}),
    ("UpdateFunction", F, {"layers": ["acs:fc:cn-hangzhou:1234567890123456:layers/l/versions/1"]}),
    ("GetLayerVersion", "/layers/l/versions/1", None),
    ("GetLayerVersionByArn", "/layerarn/acs:fc:cn-hangzhou:1234567890123456:layers%2Fl%2Fversions%2F1", None),
    ("ListLayers", "/layers?limit=1", None), ("ListLayerVersions", "/layers/l/versions?limit=1", None),
    ("DeleteLayerVersion", "/layers/l/versions/2", None),
    ("CreateCustomDomain", "/custom-domains", DOMAIN),
    ("CreateCustomDomain", "/custom-domains", {"domainName": "e.example.com"}),
    ("GetCustomDomain", "/custom-domains/d.example.com", None),
    ("UpdateCustomDomain", "/custom-domains/d.example.com", {"protocol": "HTTP"}),
    ("ListCustomDomains", "/custom-domains?limit=1", None),
    ("DeleteCustomDomain", "/custom-domains/d.example.com", None),
    ("TagResources", "/tags-v2", {
        "ResourceType": "function", "ResourceId": ["custom"], "Tag": [{"Key": "k", "Value": "v"}],
    }),
    ("ListTagResources", "/tags-v2?ResourceType=function&Limit=1", None),
    ("UntagResources", "/tags-v2?ResourceType=function&ResourceId=%5B%22custom%22%5D&TagKey=%5B%22k%22%5D", None),
    ("ChangeResourceGroup", "/resource-groups", {
        "ResourceId": "f", "NewResourceGroupId": "g", "ResourceType": "function",
    }),
    ("DescribeRegions", "/regions", None), ("DeleteFunctionVersion", f"{F}/versions/1", None),
    ("DeleteAsyncInvokeConfig", f"{F}/async-invoke-config", None), ("DeleteFunction", "/functions/gone", None),
]  # fmt: skip
"""What is done in which order: an operation, its path and its body."""
REFUSED = {
    "PauseSession": "InvalidArgument", "ResumeSession": "InvalidArgument", "CreateSnapshot": "InvalidArgument",
    "GetSnapshot": "SnapshotNotFound", "DeleteSnapshot": "SnapshotNotFound", "StopAsyncTask": "InvalidArgument",
}  # fmt: skip
"""Operations that have no other answer here than FC's error. The task has ended when it is to be stopped."""
UNFILLED = {
    "CertConfig.privateKey": "it is told to nobody",
    "CustomDomain.subdomainCount": "the cloud counts what its console has made below a domain",
    "Function.lastUpdateStatusReason": "a change is served when it is answered",
    "Function.lastUpdateStatusReasonCode": "the same",
    "Function.stateReason": "a function is active as soon as it is made",
    "Function.stateReasonCode": "the same",
    "Function.lockInfo": "nothing locks functions here",
    "ListSnapshotsOutput.nextToken": "there are no snapshots, which are of runtimes that are not served here",
    "Trigger.targetArn": "FC's tools compare triggers with templates, which do not have it",
    "Session.trafficAccessToken": "it is for micro-sandboxes that are reached from outside",
}
"""Fields of the SDK's models that are never filled, and why."""
NEVER = {"Snapshot", "FunctionLockInfo"}
"""Models of what there never is, for the same reasons."""
MORE = {
    "Alias.resolvePolicy": "an alias may choose by headers here, as in the older APIs",
}
"""Fields that are told and that the SDK does not know, and why."""


def test_every_field_of_the_models_is_filled_or_has_a_reason(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    server = Server(tmp_path / "project", tmp_path / "data")
    seen: set[Seen] = set()
    for name, path, document in SCENARIO:
        if name == "ListAsyncTasks":
            _run_tasks(server)
        answer = server.manage(OPERATIONS[name].method, NEWER + path, document)
        if name in REFUSED:
            assert (answer.status // 100, answer.json["Code"]) == (4, REFUSED[name]), (name, answer.body)
            continue
        assert answer.status in {200, 204}, (name, path, answer.body)
        model = OPERATIONS[name].told
        if model is not None and answer.body:
            seen.update(walk(model, answer.json))

    assert {name for name, _, _ in SCENARIO} == {*OPERATIONS} - {CALL}
    told = [operation.told for operation in OPERATIONS.values() if operation.told is not None]
    unfilled = reachable(told) - {each.name for each in seen if each.says}
    assert sorted(name for name in unfilled if name.partition(".")[0] not in NEVER) == sorted(UNFILLED)
    assert sorted(each.name for each in seen if not each.is_known) == sorted(MORE)
    assert sorted(each.name for each in seen if not each.fits) == []
    assert server.stop()[0] == 0


def _run_tasks(server: Server) -> None:
    """Two asynchronous calls have run."""
    for name in ("one", "two"):
        path = f"{NEWER}/functions/f/invocations"
        headers = {"X-Fc-Invocation-Type": "Async", "X-Fc-Async-Task-Id": name}
        assert server.request("POST", path, b"x", headers).status == 202
        task = f"{NEWER}/functions/f/async-tasks/{name}"
        wait_until(partial(_has_run, server, task), "its run")


def _has_run(server: Server, task: str) -> bool:
    return bool(server.manage("GET", task).json["status"] == "Succeeded")
