"""The life of metrics, as CloudMonitor's own clients see it: ENDPOINT KEY SECRET CALLS, and which client."""

import json
import sys
import time

endpoint, key, secret, calls, which = sys.argv[1:]
host = endpoint.partition("://")[2]
dimensions = json.dumps([{"serviceName": "default", "functionName": "index"}])
since, until = str(int((time.time() - 600) * 1000)), str(int((time.time() + 60) * 1000))


def newer():
    from alibabacloud_cms20190101 import models
    from alibabacloud_cms20190101.client import Client
    from alibabacloud_tea_openapi.models import Config
    from Tea.exceptions import TeaException

    client = Client(Config(access_key_id=key, access_key_secret=secret, endpoint=host, protocol="http"))
    asked = {"namespace": "acs_fc", "dimensions": dimensions, "start_time": since, "end_time": until, "period": "60"}
    for name in ("FunctionTotalInvocations", "FunctionMaxDuration"):
        answer = client.describe_metric_list(models.DescribeMetricListRequest(metric_name=name, **asked)).body
        assert (answer.code, answer.success, answer.period) == ("200", True, "60"), answer
        yield name, json.loads(answer.datapoints)
    code = ""
    try:
        client.describe_metric_list(models.DescribeMetricListRequest(metric_name="FunctionNothing", **asked))
    except TeaException as error:
        code = error.code
    assert code == "ResourceNotFound", code


def older():
    from aliyunsdkcms.request.v20180308.QueryMetricListRequest import QueryMetricListRequest
    from aliyunsdkcore.client import AcsClient

    client = AcsClient(key, secret, "cn-hangzhou")
    client.add_endpoint("cn-hangzhou", "Cms", host)
    for name in ("FunctionTotalInvocations", "FunctionMaxDuration"):
        request = QueryMetricListRequest()
        request.set_endpoint(host)
        request.set_Project("acs_fc")
        request.set_Metric(name)
        request.set_Dimensions(dimensions)
        request.set_StartTime(since)
        request.set_EndTime(until)
        answer = json.loads(client.do_action_with_exception(request))
        assert (answer["Code"], answer["Success"]) == ("200", True), answer
        yield name, json.loads(answer["Datapoints"])


found = dict({"newer": newer, "older": older}[which]())
assert sum(each["Value"] for each in found["FunctionTotalInvocations"]) == int(calls), found
assert all(each["functionName"] == "index" and each["timestamp"] % 60_000 == 0 for each in found["FunctionMaxDuration"])
assert 0 < max(each["Maximum"] for each in found["FunctionMaxDuration"]) < 5000
