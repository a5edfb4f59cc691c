"""A life cycle by PyPI's alibabacloud-fc20230330, unmodified. Arguments: endpoint, key id, secret, zip file."""

from __future__ import annotations

import base64
import json

import requests
from alibabacloud_fc20230330 import models
from alibabacloud_fc20230330.client import Client
from alibabacloud_tea_util.models import RuntimeOptions
from lifecycle import CONFIG, ZIPPED, failure

client = Client(CONFIG)


code = models.InputCodeLocation(zip_file=ZIPPED)
hooks = models.InstanceLifecycleConfig(initializer=models.LifecycleHook(handler="index.start", timeout=10))
made = client.create_function(
    models.CreateFunctionRequest(
        models.CreateFunctionInput(
            function_name="f3",
            runtime="python3.10",
            handler="index.handler",
            code=code,
            memory_size=512,
            timeout=30,
            environment_variables={"GREETING": "hello"},
            instance_lifecycle_config=hooks,
            tags=[models.Tag(key="team", value="a")],
        )
    )
).body
assert made.state == "Active", made
assert made.function_arn.endswith(":functions/f3")
assert made.instance_lifecycle_config.initializer.handler == "index.start"
again = models.CreateFunctionRequest(
    models.CreateFunctionInput(function_name="f3", runtime="python3.10", handler="index.handler", code=code)
)
assert failure(client.create_function, again) == "FunctionAlreadyExists"
assert failure(client.get_function, "nope", models.GetFunctionRequest()) == "FunctionNotFound"


def invoke(payload: bytes, qualifier: str | None = None) -> bytes:
    answer = client.invoke_function_with_options(
        "f3",
        models.InvokeFunctionRequest(body=payload, qualifier=qualifier),
        models.InvokeFunctionHeaders(x_fc_log_type="Tail"),
        RuntimeOptions(),
    )
    assert answer.status_code == 200
    assert answer.headers["x-fc-request-id"]
    return bytes(answer.body.read())


assert invoke(b"ada") == b"hello ada"
version = client.publish_function_version(
    "f3", models.PublishFunctionVersionRequest(models.PublishVersionInput(description="first"))
).body.version_id
assert version == "1", version
client.create_alias(
    "f3", models.CreateAliasRequest(models.CreateAliasInput(alias_name="prod", version_id="1", description="live"))
)
client.update_function(
    "f3", models.UpdateFunctionRequest(models.UpdateFunctionInput(environment_variables={"GREETING": "bye"}))
)
assert invoke(b"x") == b"bye x"
assert invoke(b"x", "prod") == invoke(b"x", "1") == b"hello x"
assert client.get_alias("f3", "prod").body.version_id == "1"
assert [
    each.version_id for each in client.list_function_versions("f3", models.ListFunctionVersionsRequest()).body.versions
] == ["1"]

trigger = client.create_trigger(
    "f3",
    models.CreateTriggerRequest(
        models.CreateTriggerInput(
            trigger_name="http",
            trigger_type="http",
            qualifier="LATEST",
            trigger_config=json.dumps({"authType": "anonymous", "methods": ["GET"], "disableURLInternet": False}),
        )
    ),
).body
url = trigger.http_trigger.url_internet
assert requests.get(f"{url}/some/path?a=1", timeout=30).json()["rawPath"] == "/some/path"
assert json.loads(client.get_trigger("f3", "http").body.trigger_config)["methods"] == ["GET"]
assert [each.trigger_name for each in client.list_triggers("f3", models.ListTriggersRequest()).body.triggers] == [
    "http"
]
assert failure(client.get_trigger, "f3", "nope") == "TriggerNotFound"

download = client.get_function_code("f3", models.GetFunctionCodeRequest()).body
assert base64.b64encode(requests.get(download.url, timeout=30).content).decode() == ZIPPED

assert failure(client.get_async_invoke_config, "f3", models.GetAsyncInvokeConfigRequest()) == "AsyncConfigNotExists"
client.put_async_invoke_config(
    "f3",
    models.PutAsyncInvokeConfigRequest(
        models.PutAsyncInvokeConfigInput(max_async_retry_attempts=1, max_async_event_age_in_seconds=300)
    ),
)
assert client.get_async_invoke_config("f3", models.GetAsyncInvokeConfigRequest()).body.max_async_retry_attempts == 1
assert failure(client.get_concurrency_config, "f3") == "ConcurrencyConfigNotFound"
client.put_concurrency_config(
    "f3", models.PutConcurrencyConfigRequest(models.PutConcurrencyInput(reserved_concurrency=5))
)
assert client.get_concurrency_config("f3").body.reserved_concurrency == 5
reserve = models.PutProvisionConfigRequest(models.PutProvisionConfigInput(default_target=1))
client.put_provision_config("f3", reserve)
assert client.get_provision_config("f3", models.GetProvisionConfigRequest()).body.default_target == 1
client.delete_provision_config("f3", models.DeleteProvisionConfigRequest())
client.disable_function_invocation("f3", models.DisableFunctionInvocationRequest(reason="x"))
assert failure(client.invoke_function, "f3", models.InvokeFunctionRequest(body=b"x")) == "FunctionDisabled"
client.enable_function_invocation("f3")
assert invoke(b"x") == b"bye x"

layer = client.create_layer_version(
    "common",
    models.CreateLayerVersionRequest(models.CreateLayerVersionInput(code=code, compatible_runtime=["python3.10"])),
).body
assert layer.version == 1, layer
assert client.get_layer_version("common", "1").body.layer_version_arn == layer.layer_version_arn
assert client.get_layer_version_by_arn(layer.layer_version_arn).body.layer_name == "common"
client.update_function("f3", models.UpdateFunctionRequest(models.UpdateFunctionInput(layers=[layer.layer_version_arn])))
assert invoke(b"layer") == b"/opt has index.py", invoke(b"layer")
client.delete_layer_version("common", "1")

routes = models.RouteConfig(routes=[models.PathConfig(path="/*", function_name="f3", qualifier="LATEST")])
client.create_custom_domain(
    models.CreateCustomDomainRequest(
        models.CreateCustomDomainInput(domain_name="three.example.com", protocol="HTTP", route_config=routes)
    )
)
assert client.get_custom_domain("three.example.com").body.route_config.routes[0].function_name == "f3"
client.delete_custom_domain("three.example.com")

client.delete_trigger("f3", "http")
client.delete_alias("f3", "prod")
client.delete_function_version("f3", "1")
assert failure(client.delete_function_version, "f3", "1") == "VersionNotFound"
assert [each.function_name for each in client.list_functions(models.ListFunctionsRequest()).body.functions] == ["f3"]
client.delete_function("f3")
assert failure(client.get_function, "f3", models.GetFunctionRequest()) == "FunctionNotFound"
