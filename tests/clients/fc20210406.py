"""A life cycle by PyPI's alibabacloud-fc-open20210406, unmodified. Arguments: endpoint, key id, secret, zip file."""

from __future__ import annotations

import json

from alibabacloud_fc_open20210406 import models
from alibabacloud_fc_open20210406.client import Client
from lifecycle import CONFIG, ZIPPED, failure

client = Client(CONFIG)
SERVICE = "acs:fc:cn-hangzhou:1234567890123456:services/s"


code = models.Code(zip_file=ZIPPED)
assert client.create_service(models.CreateServiceRequest(service_name="s", description="d")).body.service_name == "s"
assert failure(client.create_service, models.CreateServiceRequest(service_name="s")) == "ServiceAlreadyExists"
assert failure(client.get_service, "nope", models.GetServiceRequest()) == "ServiceNotFound"
made = models.CreateFunctionRequest(
    function_name="f",
    runtime="python3",
    handler="index.handler",
    code=code,
    environment_variables={"GREETING": "hello"},
)
assert client.create_function("s", made).body.code_size
assert client.invoke_function("s", "f", models.InvokeFunctionRequest(body=b"ada")).body == b"hello ada"
assert client.publish_service_version("s", models.PublishServiceVersionRequest(description="v")).body.version_id == "1"
alias = client.create_alias("s", models.CreateAliasRequest(alias_name="a", version_id="1")).body
assert (alias.version_id, alias.additional_version_weight) == ("1", None)
of_alias = models.InvokeFunctionRequest(body=b"bob", qualifier="a")
assert client.invoke_function("s", "f", of_alias).body == b"hello bob"

config = {"cronExpression": "0 0 8 * * *", "enable": True, "payload": ""}
trigger = models.CreateTriggerRequest(trigger_name="t", trigger_type="timer", trigger_config=json.dumps(config))
assert json.loads(client.create_trigger("s", "f", trigger).body.trigger_config) == config
changed = models.UpdateTriggerRequest(trigger_config=json.dumps({**config, "enable": False}))
assert json.loads(client.update_trigger("s", "f", "t", changed).body.trigger_config)["enable"] is False
[listed] = client.list_triggers("s", "f", models.ListTriggersRequest()).body.triggers
assert json.loads(listed.trigger_config)["enable"] is False

tags = models.TagResourceRequest(resource_arn=SERVICE, tags={"k": "v"})
client.tag_resource(tags)
[resource] = client.list_tagged_resources(models.ListTaggedResourcesRequest()).body.resources
assert (resource.resource_arn, resource.tags) == (SERVICE, {"k": "v"})
client.untag_resource(models.UntagResourceRequest(resource_arn=SERVICE, all=True))
assert client.get_resource_tags(models.GetResourceTagsRequest(resource_arn=SERVICE)).body.tags == {}
assert client.list_reserved_capacities(models.ListReservedCapacitiesRequest()).body.reserved_capacities == []

source = "acs:oss:cn-hangzhou:1:bucket/x"
client.register_event_source("s", "f", models.RegisterEventSourceRequest(source_arn=source))
[kept] = client.list_event_sources("s", "f", models.ListEventSourcesRequest()).body.event_sources
assert kept.source_arn == source
client.deregister_event_source("s", "f", source, models.DeregisterEventSourceRequest())
assert client.list_event_sources("s", "f", models.ListEventSourcesRequest()).body.event_sources == []

limit = models.PutFunctionOnDemandConfigRequest(maximum_instance_count=3, qualifier="a")
assert client.put_function_on_demand_config("s", "f", limit).body.maximum_instance_count == 3
retries = models.PutFunctionAsyncInvokeConfigRequest(max_async_retry_attempts=1)
assert client.put_function_async_invoke_config("s", "f", retries).body.max_async_retry_attempts == 1
reserve = models.PutProvisionConfigRequest(target=0, qualifier="a")
assert client.put_provision_config("s", "f", reserve).body.target == 0
assert client.list_instances("s", "f", models.ListInstancesRequest()).body.instances
assert client.create_layer_version("l", models.CreateLayerVersionRequest(code=code)).body.version == 1
client.delete_layer_version("l", "1")
client.delete_trigger("s", "f", "t")
client.delete_alias("s", "a")
client.delete_service_version("s", "1")
client.delete_function("s", "f")
client.delete_service("s")
assert failure(client.get_service, "s", models.GetServiceRequest()) == "ServiceNotFound"
