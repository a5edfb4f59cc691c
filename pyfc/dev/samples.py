"""Sample events of the triggers, as FC's documentation has them; where it has none (CloudMonitor, RDS as JSON), the
envelope and the names of fields that it tells.
"""

from __future__ import annotations

from typing import Any

ACCOUNT, REGION = "1234567890123456", "cn-hangzhou"
"""Whose the samples are where nothing else is known."""
_API_GATEWAY = {
    "path": "/api/x",
    "httpMethod": "GET",
    "headers": {},
    "queryParameters": {},
    "pathParameters": {},
    "body": "",
    "isBase64Encoded": "false",
}
_CDN = {
    "events": [
        {
            "eventName": "LogFileCreated",
            "eventSource": "cdn",
            "region": "cn-hangzhou",
            "eventVersion": "1.0.0",
            "eventTime": "2018-06-14T15:31:49+08:00",
            "traceId": "c6459282-6a4d-4413-894c-e4ea39686738",
            "userIdentity": {"aliUid": "1234567890123456"},
            "resource": {"domain": "example.com"},
            "eventParameter": {
                "domain": "example.com",
                "endTime": 1528959900,
                "fileSize": 1788115,
                "filePath": "http://cdnlog.example.com/example.com/2018_06_14/log.gz",
                "startTime": 1528959600,
            },
        }
    ]
}
_EVENTBRIDGE = {
    "id": "c2g71017-6f65-fhcf-a814-a396fc8d****",
    "source": "MNS-Function-mnstrigger",
    "specversion": "1.0",
    "type": "mns:Queue:SendMessage",
    "datacontenttype": "application/json; charset=utf-8",
    "subject": "acs:mns:cn-hangzhou:1234567890123456:queues/zeus",
    "time": "2021-04-08T06:28:17.093Z",
    "aliyunaccountid": "1234567890123456",
    "aliyunpublishtime": "2021-10-15T07:06:34.028Z",
    "aliyunoriginalaccountid": "1234567890123456",
    "aliyuneventbusname": "MNS-Function-mnstrigger",
    "aliyunregionid": "cn-hangzhou",
    "aliyunpublishaddr": "127.0.0.1",
    "data": {
        "requestId": "606EA3074344430D4C81****",
        "messageId": "C6DB60D1574661357FA227277445****",
        "messageBody": "TEST",
    },
}
_KAFKA = {
    "specversion": "1.0",
    "id": "8e215af8-ca18-4249-8645-f96c1026****",
    "source": "acs:alikafka",
    "type": "alikafka:Topic:Message",
    "subject": "acs:alikafka:alikafka_pre-cn-i7m2t7t1****:topic:orders",
    "datacontenttype": "application/json; charset=utf-8",
    "time": "2022-06-23T02:49:51.589Z",
    "aliyunaccountid": ACCOUNT,
    "data": {
        "topic": "orders",
        "partition": 7,
        "offset": 25,
        "timestamp": 1655952591589,
        "headers": {"headers": [], "isReadOnly": False},
        "key": "1",
        "value": "TEST",
    },
}
_ROCKETMQ = {
    **_EVENTBRIDGE,
    "id": "94ebc15f-f0db-4bbe-acce-56fb72fb****",
    "source": "RocketMQ-Function-rocketmq-trigger",
    "type": "mq:Topic:SendMessage",
    "subject": f"acs:mq:{REGION}:{ACCOUNT}:MQ_INST_{ACCOUNT}_BXhFHryi%orders",
    "aliyuneventbusname": "RocketMQ-Function-rocketmq-trigger",
    "data": {
        "topic": "orders",
        "systemProperties": {
            "MIN_OFFSET": "0",
            "TRACE_ON": "true",
            "MAX_OFFSET": "8",
            "MSG_REGION": REGION,
            "KEYS": "systemProperties.KEYS",
            "CONSUME_START_TIME": 1628577790396,
            "UNIQ_KEY": "AC14C305069E1B28CDFA3181CDA2****",
            "TAGS": "systemProperties.TAGS",
            "INSTANCE_ID": f"MQ_INST_{ACCOUNT}_BXhFHryi",
        },
        "userProperties": {},
        "body": "TEST",
    },
}
_RABBITMQ = {
    **_EVENTBRIDGE,
    "id": "bj694332-4cj1-389e-9d8c-b137h30b****",
    "source": "RabbitMQ-Function-rabbitmq-trigger",
    "type": "amqp:Queue:SendMessage",
    "datacontenttype": "application/json;charset=utf-8",
    "subject": f"acs:amqp:{REGION}:{ACCOUNT}:/instances/amqp-cn-tl32e756****/vhosts/shop/queues/orders",
    "aliyuneventbusname": "RabbitMQ-Function-rabbitmq-trigger",
    "data": {
        "envelope": {"deliveryTag": 98, "exchange": "", "redeliver": False, "routingKey": "orders"},
        "body": "Hello RabbitMQ",
        "props": {"contentEncoding": "UTF-8", "messageId": "f7622d51-e198-41de-a072-77c1ead7****"},
    },
}
_DATAHUB = {
    "eventSource": "acs:datahub",
    "eventName": "acs:datahub:putRecord",
    "eventSourceARN": "/projects/test_project_name/topics/test_topic_name",
    "region": REGION,
    "records": [
        {"eventId": "0:12345", "systemTime": 1463000123000, "data": '["c1","c2"]'},
    ],
}
_IOT = {"deviceName": "sensor", "items": {"temperature": {"value": 21.5, "time": 1510799670074}}}
_CLOUDMONITOR = {
    **_EVENTBRIDGE,
    "source": "acs.cms",
    "type": "cms:CloudMonitor:AlertWebHook",
    "subject": f"acs:cms:{REGION}:{ACCOUNT}:alert/cpu",
    "aliyuneventbusname": "default",
    "data": {
        "userId": ACCOUNT,
        "alertName": "cpu",
        "alertState": "ALERT",
        "metricName": "CPUUtilization",
        "curValue": "97.39",
        "expression": "$Average>=95",
        "dimensions": "{instanceId=i-12345}",
        "timestamp": "1508136760000",
    },
}
_HTTP = {
    "version": "v1",
    "rawPath": "/x",
    "body": "haha",
    "isBase64Encoded": False,
    "headers": {"Content-Type": "application/octet-stream"},
    "queryParameters": {},
    "requestContext": {
        "accountId": "1234567890123456",
        "triggerId": "1e875ca5-a1fc-4ec2-8aa8-0c8a4d2c6f5e",
        "domainName": "1234567890123456.cn-hangzhou.fc.aliyuncs.com",
        "domainPrefix": "1234567890123456",
        "requestId": "",
        "time": "2023-08-17T14:08:11Z",
        "timeEpoch": "1692281291805",
        "http": {
            "method": "POST",
            "path": "/x",
            "protocol": "HTTP/1.1",
            "sourceIp": "127.0.0.1",
            "userAgent": "curl",
        },
    },
}
_LOG = {
    "parameter": {},
    "source": {
        "endpoint": "http://cn-shanghai-intranet.log.aliyuncs.com",
        "projectName": "log-com",
        "logstoreName": "log-en",
        "shardId": 0,
        "beginCursor": "MTUyOTQ4MDIwOTY1NTk3ODQ2Mw==",
        "endCursor": "MTUyOTQ4MDIwOTY1NTk3ODQ2NA==",
    },
    "jobName": "1f7043ced683de1a4e3d8d70b5a412843d817a39",
    "taskId": "c2691505-38da-4d1b-998a-f1d4bb8c9994",
    "cursorTime": 1529486425,
}
_MNS = {
    "TopicOwner": "1234567890123456",
    "Message": "hello topic",
    "Subscriber": "1234567890123456",
    "PublishTime": 1550216480040,
    "SubscriptionName": "test-fc-subscribe",
    "MessageMD5": "BA4BA9B48AC81F0F9C66F6C909C3****",
    "TopicName": "test-topic",
    "MessageId": "2F5B3C082B923D4EAC694B76D928****",
}
_OSS = {
    "events": [
        {
            "eventName": "ObjectCreated:PutObject",
            "eventSource": "acs:oss",
            "eventTime": "2017-04-21T12:46:37.000Z",
            "eventVersion": "1.0",
            "oss": {
                "bucket": {
                    "arn": "acs:oss:cn-shanghai:123456789:bucketname",
                    "name": "testbucket",
                    "ownerIdentity": "123456789",
                    "virtualBucket": "",
                },
                "object": {
                    "deltaSize": 122539,
                    "eTag": "688A7BF4F233DC9C88A80BF985AB7329",
                    "key": "image/a.jpg",
                    "size": 122539,
                    "objectMeta": {"mimeType": "image/jpeg"},
                },
                "ossSchemaVersion": "1.0",
                "ruleId": "9adac8e253828f4f7c0466d941fa3db81161****",
            },
            "region": "cn-shanghai",
            "requestParameters": {"sourceIPAddress": "140.205.0.1"},
            "responseElements": {"requestId": "58F9FF2D3DF792092E12044C"},
            "userIdentity": {"principalId": "123456789"},
        }
    ]
}
_RDS = {
    "version": 1,
    "db_type": "MySQL",
    "entries": [
        {
            "operation": "INSERT",
            "timestamp": 1550216480,
            "id": 1,
            "sequence": 1,
            "db_name": "db",
            "table_name": "table",
            "row": {"id": 1, "name": "ada"},
            "before_row": {},
            "query": "",
        }
    ],
}
_TABLESTORE = {
    "Version": "Sync-v1",
    "Records": [
        {
            "Type": "PutRow",
            "Info": {"Timestamp": 1506416585740836},
            "PrimaryKey": [{"ColumnName": "pk_0", "Value": 1506416585881590900}],
            "Columns": [{"Type": "Put", "ColumnName": "attr_0", "Value": "hello", "Timestamp": 1506416585741}],
        }
    ],
}
_TIMER = {"triggerTime": "2018-02-09T05:49:00Z", "triggerName": "timer-trigger", "payload": "awesome-fc"}

SAMPLES: dict[str, Any] = {
    "api_gateway": _API_GATEWAY,
    "cdn": _CDN,
    "cloudmonitor": _CLOUDMONITOR,
    "datahub": _DATAHUB,
    "eventbridge": _EVENTBRIDGE,
    "http": _HTTP,
    "iot": _IOT,
    "kafka": _KAFKA,
    "log": _LOG,
    "mns": _MNS,
    "oss": _OSS,
    "rabbitmq": _RABBITMQ,
    "rds": _RDS,
    "rocketmq": _ROCKETMQ,
    "tablestore": _TABLESTORE,
    "timer": _TIMER,
}
"""Event by the name of its trigger."""
