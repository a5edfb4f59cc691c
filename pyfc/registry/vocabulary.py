"""The names of FC's JSON objects. They are matched without regard to case, since FC's server is Go and its clients rely
on it: Funcraft sends `CAPort` and `PreFreeze` where the SDKs send `caPort` and `preFreeze`.
"""

from __future__ import annotations

from typing import Any

SERVICE_EXTRAS = ("role", "logConfig", "vpcConfig", "nasConfig", "ossMountConfig", "tracingConfig", "vendorConfig")
FUNCTION_EXTRAS = (
    "instanceSoftConcurrency", "instanceType", "cpu", "gpuMemorySize", "gpuConfig", "customContainerConfig",
    "customDNS",
    "role", "logConfig", "vpcConfig", "nasConfig", "ossMountConfig", "tracingConfig", "idleTimeout", "resourceGroupId",
    "sessionAffinity", "sessionAffinityConfig", "instanceIsolationMode", "disableOndemand",
)  # fmt: skip
_FREE = {"environmentVariables", "tags", "additionalVersionWeight", "functionParameter", "params", "headers"}
"""Whose names are the user's own."""
_NAMES = (
    *SERVICE_EXTRAS, *FUNCTION_EXTRAS, "serviceName", "functionName", "description", "internetAccess", "runtime",
    "handler", "initializer", "timeout", "initializationTimeout", "memorySize", "instanceConcurrency", "diskSize",
    "caPort", "code", "zipFile", "ossBucketName", "ossObjectName", "environmentVariables", "customRuntimeConfig",
    "customHealthCheckConfig", "healthCheckConfig", "layers", "instanceLifecycleConfig", "preFreeze", "preStop",
    "command", "args", "port", "image", "entrypoint", "accelerationType", "instanceID", "webServerMode", "httpGetUrl",
    "initialDelaySeconds", "periodSeconds", "timeoutSeconds", "failureThreshold", "successThreshold", "nameServers",
    "searches", "dnsOptions", "project", "logstore", "enableRequestMetrics", "enableInstanceMetrics", "logBeginRule",
    "vpcId", "vSwitchIds", "securityGroupId", "userId", "groupId", "mountPoints", "serverAddr", "mountDir", "enableTLS",
    "bucketName", "bucketPath", "endpoint", "readOnly", "type", "params", "aliasName", "versionId", "resolvePolicy",
    "routePolicy", "condition", "policyItems", "key", "operator", "value", "additionalVersionWeight", "triggerName",
    "triggerType", "triggerConfig", "sourceArn", "invocationRole", "qualifier", "authType", "authConfig", "methods",
    "disableURLInternet", "payload", "cronExpression", "enable", "events", "filter", "prefix", "suffix", "sourceConfig",
    "jobConfig", "maxRetryTime", "triggerInterval", "functionParameter", "filterTag", "notifyContentFormat",
    "notifyStrategy", "eventName", "eventVersion", "notes", "domain", "domainName", "protocol", "routeConfig", "routes",
    "path", "rewriteConfig", "equalRules", "wildcardRules", "regexRules", "match", "replacement", "certConfig",
    "certName", "certificate", "privateKey", "tlsConfig", "minVersion", "maxVersion", "cipherSuites", "wafConfig",
    "enableWAF", "compatibleRuntime", "license", "target", "defaultTarget", "scheduledActions",
    "targetTrackingPolicies",
    "alwaysAllocateCPU", "alwaysAllocateGPU", "name", "startTime", "endTime", "scheduleExpression", "metricType",
    "metricTarget", "minCapacity", "maxCapacity", "maximumInstanceCount", "destinationConfig", "onSuccess", "onFailure",
    "destination", "maxAsyncEventAgeInSeconds", "maxAsyncRetryAttempts", "statefulInvocation", "asyncTask",
    "reservedConcurrency", "minInstances", "resourceArn", "tags", "tagKeys", "all", "resourceType", "resourceId", "tag",
    "tagKey", "reason", "triggerEnable", "asyncInvocationType", "subscriptionObjects", "retry", "concurrency",
    "eventFormat", "acrInstanceId", "gpuType", "timeZone", "arn", "size", "checksum",
)  # fmt: skip
_SPELLINGS = {name.lower(): name for name in _NAMES}


def canonical(value: Any) -> Any:
    """A JSON value with FC's own spelling of its names, and without nulls."""
    if isinstance(value, list):
        return [canonical(each) for each in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for name, each in value.items():
        spelling = _SPELLINGS.get(name.lower()) or name
        if each is not None:
            found[spelling] = dict(each) if spelling in _FREE and isinstance(each, dict) else canonical(each)
    return found
