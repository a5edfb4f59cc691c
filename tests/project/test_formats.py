"""Templates as people write them, and with the mistakes they make."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pyfc.errors import ProjectError
from pyfc.model.bucket import Rule, events_of
from pyfc.model.function import Limits
from pyfc.model.resources import Route
from pyfc.project.interface import NO_FOLDERS, Project
from pyfc.project.load import load
from pyfc.project.overrides import read_folders
from pyfc.triggers.oss import rule_of


def project(tmp_path: Path, **files: str) -> Project:
    for name, text in files.items():
        path = tmp_path / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return load(tmp_path)


FUNCRAFT = """\
ROSTemplateFormatVersion: '2015-09-01'
Transform: 'Aliyun::Serverless-2018-04-03'
Resources:
  shop:
    Type: 'Aliyun::Serverless::Service'
    Properties:
      Description: the shop
      Role: acs:ram::1:role/x
      LogConfig: {Project: p, Logstore: s}
      NasConfig: Auto
      InternetAccess: false
    pay:
      Type: 'Aliyun::Serverless::Function'
      Properties:
        Handler: pay/index.handler
        Initializer: pay/index.init
        Runtime: python3
        CodeUri: ./
        Description: takes money
        MemorySize: 256
        Timeout: 20
        InitializationTimeout: 10
        InstanceConcurrency: 3
        EnvironmentVariables: {A: 1, B: true, C: ~}
        Layers: [x]
      Events:
        web: {Type: HTTP, Properties: {AuthType: Function, Methods: [get, POST]}}
    node:
      Type: 'Aliyun::Serverless::Function'
      Properties: {Handler: index.handler, Runtime: java11, CodeUri: nowhere/}
      Events:
        daily: {Type: Timer, Properties: {CronExpression: '0 0 8 * * *'}}
  shop.example:
    Type: 'Aliyun::Serverless::CustomDomain'
    Properties: {Protocol: HTTP, RouteConfig: {}}
"""


def test_a_funcraft_template_gives_services_functions_and_triggers(tmp_path: Path) -> None:
    found = project(tmp_path, template_yml=FUNCRAFT)

    [service] = found.services
    assert (service.name, service.description, service.log_project, service.log_store) == ("shop", "the shop", "p", "s")
    assert not service.internet_access
    pay, node = (declaration.function for declaration in found.functions)
    assert (pay.handler, pay.initializer, pay.description) == ("pay/index.handler", "pay/index.init", "takes money")
    assert pay.limits == Limits(memory_size=256, timeout=20, initialization_timeout=10, instance_concurrency=3)
    assert pay.environment_variables == {"A": "1", "B": "true", "C": ""}
    assert node.limits == Limits(memory_size=128, timeout=3, initialization_timeout=3, instance_concurrency=1)
    [trigger], [daily] = found.triggers, found.event_triggers
    assert (daily.name, daily.type) == ("daily", "timer")
    assert trigger.config == {"authType": "function", "methods": ["GET", "POST"], "convention": "handler"}
    assert found.functions[0].code == tmp_path
    assert found.functions[0].where == f"{tmp_path}/template.yml:14"
    assert found.warnings == []
    assert found.unsupported == ["Role of service shop"]
    assert pay.layers == ("x",)
    assert [domain.name for domain in found.domains] == ["shop.example"]


S_FC = """\
edition: 1.0.0
name: app
vars:
  service: {name: shop, description: from vars}
  timeout: 7
  folder: code
services:
  pay:
    component: devsapp/fc
    props:
      region: cn-hangzhou
      service: ${vars.service}
      function:
        name: ${env('PAY_NAME', 'pay')}
        runtime: python3.9
        handler: index.handler
        codeUri: ./${vars.folder}
        timeout: ${vars.timeout}
        environmentVariables: {HOME_OF: "${env.HOME}-x"}
      triggers:
        - {name: web, type: http, config: {authType: anonymous, methods: [GET]}}
        - {name: t, type: timer, config: {cronExpression: '@every 1m', enable: true}}
      customDomains: [{domainName: auto, protocol: HTTP}]
  pay2:
    component: fc
    props:
      service: {name: shop}
      function: {name: pay2, runtime: python3, handler: index.handler, codeUri: code}
  other: {component: website, props: {}}
"""


def test_an_s_yaml_of_fc_2_is_read_with_its_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    (tmp_path / "code").mkdir()

    found = project(tmp_path, s_yaml=S_FC)

    [service] = found.services
    assert (service.name, service.description) == ("shop", "from vars")
    pay, pay2 = (declaration.function for declaration in found.functions)
    assert (pay.name, pay.runtime, pay.limits.timeout) == ("pay", "python3.9", 7)
    assert pay.environment_variables == {"HOME_OF": "/home/ada-x"}
    assert pay2.name == "pay2"
    assert found.functions[0].code == tmp_path / "code"
    assert [trigger.config["convention"] for trigger in found.triggers] == ["handler"]
    assert [trigger.type for trigger in found.event_triggers] == ["timer"]
    [domain] = found.domains
    assert (domain.name, domain.routes) == (
        "pay.shop.localhost",
        (Route(path="/*", service="shop", function="pay"),),
    )
    assert found.unsupported == ["component website of other"]


S_FC3 = """\
edition: 3.0.0
name: app
resources:
  pay:
    component: fc3
    props:
      region: cn-hangzhou
      functionName: pay
      runtime: python3.10
      handler: index.handler
      code: ./
      diskSize: 512
      internetAccess: true
      instanceLifecycleConfig: {initializer: {handler: index.init, timeout: 3}}
      triggers:
        - {triggerName: web, triggerType: http, triggerConfig: {authType: anonymous, methods: [GET, PATCH]}}
"""


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("type: timer, config: {cronExpression: '@every 1m', enable: true}",
         "type: oss, config: {bucketName: photos, events: ['oss:ObjectCreated:*'], "
         "filter: {Key: {Prefix: in/, Suffix: .png}}}",
         S_FC),
        ("type: timer, config: {cronExpression: '@every 1m', enable: true}",
         "type: oss, role: r, sourceArn: 'acs:oss:cn-hangzhou:1:photos', "
         "config: {events: ['oss:ObjectCreated:*'], filter: {key: {prefix: in/, suffix: .png}}}", S_FC),
        ("{triggerName: web, triggerType: http, triggerConfig: {authType: anonymous, methods: [GET, PATCH]}}",
         "{triggerName: t, triggerType: oss, sourceArn: 'acs:oss:*:*:photos', invocationRole: r, "
         "triggerConfig: {events: ['oss:ObjectCreated:*'], filter: {key: {prefix: in/, suffix: .png}}}}", S_FC3),
    ],
)  # fmt: skip
def test_a_trigger_of_a_bucket_means_the_same_in_every_version_of_s_yaml(
    tmp_path: Path, old: str, new: str, text: str
) -> None:
    (tmp_path / "code").mkdir()
    assert old in text

    (trigger,) = project(tmp_path, s_yaml=text.replace(old, new)).event_triggers

    assert rule_of(trigger) == Rule("photos", events_of(["oss:ObjectCreated:*"]), "in/", ".png")


def test_an_s_yaml_takes_values_and_text_from_files_beside_it_and_has_domains(tmp_path: Path) -> None:
    text = """
edition: 1.0.0
services:
  pay:
    component: fc
    props:
      service: ${file(./service.yml)}
      function: {name: pay, runtime: python3, handler: index.handler, description: "${file(about.txt)}"}
      customDomains:
        - domainName: Pay.example.com
          protocol: HTTP
          routeConfigs:
            - {path: /api/*, serviceName: shop, functionName: pay, methods: [GET],
               rewriteConfig: {wildcardRules: [{match: /api/*, replacement: /$1}]}}
"""
    (tmp_path / "service.yml").write_text("{name: shop, description: from a file}")
    (tmp_path / "about.txt").write_text("told")

    found = project(tmp_path, s_yaml=text)

    assert [(each.name, each.description) for each in found.services] == [("shop", "from a file")]
    assert found.functions[0].function.description == "told"
    [domain] = found.domains
    [route] = domain.routes
    assert (domain.name, route.path, route.function, route.methods) == ("pay.example.com", "/api/*", "pay", ("GET",))
    assert route.rewrite == {"wildcardRules": [{"match": "/api/*", "replacement": "/$1"}]}
    (tmp_path / "about.txt").unlink()
    with pytest.raises(ProjectError, match=r"about\.txt"):
        load(tmp_path)


def test_an_asynchronous_configuration_is_read_in_every_format(tmp_path: Path) -> None:
    funcraft = """
Transform: 'Aliyun::Serverless-2018-04-03'
Resources:
  shop:
    Type: 'Aliyun::Serverless::Service'
    pay:
      Type: 'Aliyun::Serverless::Function'
      Properties:
        Handler: index.handler
        Runtime: python3
        AsyncConfiguration:
          Destination: {OnSuccess: 'acs:fc:::services/shop/functions/next'}
          MaxAsyncRetryAttempts: 1
          MaxAsyncEventAgeInSeconds: 60
          StatefulInvocation: true
"""
    [config] = project(tmp_path, template_yml=funcraft).configs
    assert (config.kind, config.service, config.function, config.qualifier) == (
        "async-invoke-config", "shop", "pay", "LATEST",
    )  # fmt: skip
    assert config.document == {
        "destinationConfig": {"onSuccess": {"destination": "acs:fc:::services/shop/functions/next"}},
        "maxAsyncRetryAttempts": 1,
        "maxAsyncEventAgeInSeconds": 60,
        "statefulInvocation": True,
    }


def test_a_function_of_fc_3_stands_in_service_default_and_gets_events(tmp_path: Path) -> None:
    found = project(tmp_path, s_yaml=S_FC3)

    [declaration] = found.functions
    assert (declaration.function.service, declaration.function.name) == ("default", "pay")
    assert declaration.function.initializer == "index.init"
    assert found.triggers[0].config["convention"] == "event"
    assert found.warnings == []


def test_a_second_template_is_named_and_only_the_folder_itself_is_searched(tmp_path: Path) -> None:
    found = project(tmp_path, template_yml=FUNCRAFT, s_yaml=S_FC3, deeper__faas_yml="not read")

    assert found.source == tmp_path / "template.yml"
    assert found.warnings == ["template.yml is served; s.yaml beside it is ignored"]


def test_a_template_yaml_that_only_an_s_yaml_extends_is_not_taken_for_funcrafts(tmp_path: Path) -> None:
    (tmp_path / "index.py").write_text("")
    (tmp_path / "template.yaml").write_text("edition: 3.0.0\nvars: {name: pay}\n")
    props = "{functionName: '${vars.name}', runtime: python3, handler: index.handler, code: ./}"
    (tmp_path / "s.yaml").write_text(f"extend: template.yaml\nresources: {{a: {{component: fc3, props: {props}}}}}\n")

    found = load(tmp_path)

    assert [each.function.name for each in found.functions] == ["pay"]
    assert found.warnings == []


def test_pyfc_yml_overrides_what_the_template_can_not_say(tmp_path: Path) -> None:
    found = project(
        tmp_path, template_yml=FUNCRAFT, pyfc_yml="services: {shop: {pay: {maximumInstanceCount: 2}}}"
    )  # fmt: skip

    assert [each.function.maximum_instance_count for each in found.functions] == [2, None]


def test_pyfc_yml_adds_triggers_to_a_function(tmp_path: Path) -> None:
    config = "{bucketName: photos, events: ['oss:ObjectCreated:*'], filter: {key: {prefix: a/}}}"
    own = f"{{name: new, type: OSS, config: {config}}}"
    found = project(
        tmp_path, template_yml=FUNCRAFT, pyfc_yml=f"services: {{shop: {{pay: {{triggers: [{own}]}}}}}}"
    )  # fmt: skip

    (trigger,) = [each for each in found.event_triggers if each.name == "new"]
    assert (trigger.service, trigger.function, trigger.type) == ("shop", "pay", "oss")
    assert trigger.config == {
        "bucketName": "photos", "events": ["oss:ObjectCreated:*"], "filter": {"key": {"prefix": "a/"}},
    }  # fmt: skip


def test_of_triggers_of_a_bucket_that_overlap_the_later_one_is_told_not_to_fire(tmp_path: Path) -> None:
    own = "[{name: t, type: oss, config: {bucketName: photos, events: ['oss:ObjectCreated:*']}}]"
    found = project(
        tmp_path, a_py="def handler(event, context): ...", b_py="def handler(event, context): ...",
        pyfc_yml=f"services: {{default: {{a: {{triggers: {own}}}, b: {{triggers: {own}}}}}}}",
    )  # fmt: skip

    assert found.warnings == [
        f"{tmp_path}/pyfc.yml:1: trigger default/b:t does not fire: event source 'oss' returned error: Cannot specify "
        "overlapping prefix and suffix with same event type. The other trigger of bucket photos is default/a:t"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "services:\n  shop:\n    pay:\n      triggers:\n        - {name: new, type: ftp}",
            "pyfc.yml:5: services.shop.pay.triggers[0].type is 'ftp'; it must be",
        ),
        (
            "services:\n  shop:\n    pay:\n      triggers: [{name: n, type: cdn_events}, {name: n, type: timer}]",
            "pyfc.yml:4: services.shop.pay.triggers[1] is 'n'; it must be a name that no other trigger",
        ),
    ],
)
def test_a_wrong_trigger_of_pyfc_yml_is_shown_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ProjectError) as caught:
        project(tmp_path, template_yml=FUNCRAFT, pyfc_yml=text)

    assert str(caught.value).startswith(f"{tmp_path}/{message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services: {shop: {nope: {}}}", "pyfc.yml:1: there is no function shop/nope. Found: shop/pay, shop/node"),
        (
            "services:\n  shop:\n    pay: {maximumInstanceCount: 0}",
            "pyfc.yml:3: services.shop.pay.maximumInstanceCount is 0; it must be a whole number from 1 to 10000",
        ),
    ],
)
def test_a_wrong_override_is_shown_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ProjectError) as caught:
        project(tmp_path, template_yml=FUNCRAFT, pyfc_yml=text)

    assert str(caught.value) == f"{tmp_path}/{message}"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Timeout: 20", "Timeout: soon",
         "21: Resources.shop.pay.Properties.Timeout is 'soon'; it must be a whole number from 1 to 86400"),
        ("Timeout: 20", "Timeout: 0", "21: Resources.shop.pay.Properties.Timeout is 0; it must be a whole number"),
        ("MemorySize: 256", "MemorySize: 200", "20: Resources.shop.pay.Properties.MemorySize is 200; it must be a "
         "whole number from 128 to 32768 in steps of 64"),
        ("pay/index.handler", "handler", "15: Resources.shop.pay.Properties.Handler is 'handler'; it must be <module>"),
        ("Runtime: python3\n", "Nothing: python3\n", "14: Resources.shop.pay.Properties has no Runtime; it is req"),
        ("CodeUri: ./", "CodeUri: ./gone", "18: Resources.shop.pay.Properties.CodeUri is './gone'; it must be an "
         "existing file, folder or zip"),
        ("{A: 1,", "{FC_A: 1,", "24: Resources.shop.pay.Properties.EnvironmentVariables.FC_A is a name that FC does"),
        ("A: 1,", "A: " + "x" * 5000 + ",", "24: Resources.shop.pay.Properties.EnvironmentVariables is 5"),
        ("[get, POST]", "[FETCH]", "27: Resources.shop.pay.Events.web.Properties.Methods[0] is 'FETCH'; it must be one "
         "of GET, POST"),
        ("AuthType: Function", "AuthType: maybe", "27: Resources.shop.pay.Events.web.Properties.AuthType is 'maybe'"),
        ("    pay:\n", "    pa y:\n", "12: Resources.shop.pa y is the function name 'pa y'; it must be a letter or _"),
        ("  shop:\n    Type", "  9shop:\n    Type", "4: Resources.9shop is the service name '9shop'"),
        ("Transform: 'Aliyun::Serverless-2018-04-03'", "Transform: AWS::Serverless-2016-10-31",
         "2: Transform is 'AWS::Serverless-2016-10-31'; it must be one of Aliyun::Serverless-2018-04-03"),
        ("MemorySize: 256", "Timeout: 21\n        MemorySize: 256", "Timeout is given twice; it must be given once"),
        ("InternetAccess: false", "InternetAccess: perhaps", "InternetAccess is 'perhaps'; it must be true or false"),
        ("Handler: pay/index.handler", "Handler: !Sub x", "Handler is computed by !Sub; it must be plain text"),
        ("[get, POST]", "GET", "Methods is 'GET'; it must be a list"),
        ("LogConfig: {Project: p, Logstore: s}", "LogConfig: [1]", "LogConfig is a list; it must be text"),
    ],
)  # fmt: skip
def test_a_mistake_is_shown_with_file_line_property_what_was_found_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in FUNCRAFT

    with pytest.raises(ProjectError) as caught:
        project(tmp_path, template_yml=FUNCRAFT.replace(old, new))

    assert str(caught.value).startswith(f"{tmp_path}/template.yml:")
    assert message in str(caught.value)


def test_an_unknown_property_is_a_warning_with_a_guess(tmp_path: Path) -> None:
    found = project(tmp_path, template_yml=FUNCRAFT.replace("Timeout: 20", "Timout: 20"))

    assert found.warnings == [
        f"{tmp_path}/template.yml:21: Resources.shop.pay.Properties.Timout is not a property that pyfc knows, "
        "it is ignored; did you mean Timeout?"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vars: {}\nservices:\n  a: {component: fc, props: {service: {name: '${vars.x}'}}}",
         "s.yaml:3: services.a.props.service.name is the service name '${vars.x}'; it must be a name that "
         "stands under vars"),
        ("services:\n  a: {component: fc, props: {service: {name: '${env.NOT_SET_AT_ALL}'}}}",
         "s.yaml:2: services.a.props.service.name is the service name '${env.NOT_SET_AT_ALL}'; it must be an "
         "environment variable that is set"),
        ("services:\n  a:\n    component: fc\n    props: {service: {name: {{ name }}}}", "s.yaml:4: "),
        ("services:\n  a: {props: {}}", "s.yaml:2: services.a has no component; it is required"),
        ("- 1", "s.yaml:1: the file must hold a mapping of names to values"),
        ("a: b: c", "s.yaml:1: this is not YAML: mapping values are not allowed here"),
        ("a: " + "[" * 5000, "this is not YAML"),
        ("a: \x00", "this is not YAML"),
    ],
)  # fmt: skip
def test_a_mistake_in_an_s_yaml_is_shown_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ProjectError) as caught:
        project(tmp_path, s_yaml=text)

    assert message in str(caught.value)


def test_a_file_of_aliases_that_multiply_costs_nothing(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]" for n in range(1, 40)]

    found = project(tmp_path, s_yaml="\n".join(lines))

    assert found.functions == []
    assert len(found.warnings) == 21


def test_merged_mappings_give_what_is_not_given_itself(tmp_path: Path) -> None:
    text = S_FC3.replace("      runtime: python3.10\n", "      <<: *common\n      timeout: 9\n")
    text = "vars:\n  common: &common {runtime: python3.10, timeout: 5, memorySize: 256}\n" + text

    [declaration] = project(tmp_path, s_yaml=text).functions

    assert (declaration.function.runtime, declaration.function.limits.timeout) == ("python3.10", 9)
    assert declaration.function.limits.memory_size == 256


def test_a_bare_folder_serves_what_has_a_handler(tmp_path: Path) -> None:
    found = project(
        tmp_path,
        alone_py="def initializer(context): pass\ndef handler(event, context): pass\n",
        web_py="def handler(environ, start_response): pass\n",
        helper_py="x = 1\n",
        imported_py="from helper import x as handler\n",
        folder__index_py="try:\n    handler = print\nexcept ImportError:\n    pass\n",
        data__file_txt="",
        node__modules__index_py="",
    )

    functions = {declaration.function.name: declaration for declaration in found.functions}
    assert set(functions) == {"alone", "web", "imported", "folder"}
    alone = functions["alone"].function
    assert (alone.service, alone.handler, alone.initializer) == ("default", "alone.handler", "alone.initializer")
    assert (alone.limits.timeout, alone.limits.memory_size) == (60, 512)
    assert functions["alone"].code == tmp_path
    assert functions["folder"].code == tmp_path / "folder"
    assert functions["folder"].function.handler == "index.handler"
    [trigger] = found.triggers
    assert (trigger.function, trigger.config["authType"]) == ("web", "anonymous")
    assert set(trigger.config["methods"]) == {"GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"}


def test_names_that_begin_with_a_dot_or_underscore_and_environments_are_skipped(tmp_path: Path) -> None:
    for folder in (".hidden", "_private", "node_modules", "venv"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "index.py").write_text("def handler(e, c): pass")
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "_file.py").write_text("def handler(e, c): pass")

    assert load(tmp_path).functions == []


def test_an_empty_folder_is_valid_and_a_missing_one_is_not(tmp_path: Path) -> None:
    assert load(tmp_path).functions == []
    with pytest.raises(ProjectError, match="is not a folder"):
        load(tmp_path / "gone")


def test_a_file_and_a_folder_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="a file and a folder called 'a'"):
        project(tmp_path, a_py="def handler(e, c): pass", a__index_py="def handler(e, c): pass")


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("template.yml", FUNCRAFT.replace("CodeUri: ./", "CodeUri: ../secret"), 18),
        ("s.yaml", "resources:\n  d:\n    component: fc3\n    props:\n      functionName: f\n      runtime: python3\n"
         "      handler: i.h\n      code: ../secret\n", 8),
        ("s.yaml", "resources:\n  d:\n    component: fc3\n    props:\n      functionName: f\n      runtime: python3\n"
         "      handler: ${file(../secret/key)}\n", 7),
        ("s.yaml", "resources:\n  d:\n    component: fc3\n    props:\n      functionName: f\n      runtime: python3\n"
         "      handler: i.h\n      code: ${path(../secret)}\n", 8),
        ("s.yaml", "resources: ${file(link.yml)}\n", 1),
    ],
)  # fmt: skip
def test_what_a_template_names_outside_of_the_project_is_refused_with_its_line(
    tmp_path: Path, name: str, text: str, line: int
) -> None:
    (tmp_path / "secret").mkdir()
    for key in ("key", "key.yml"):
        (tmp_path / "secret" / key).write_text("i.h: {component: x}")
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "link.yml").symlink_to("../secret/key.yml")
    (folder / name).write_text(text)

    with pytest.raises(ProjectError) as caught:
        load(folder)

    assert str(caught.value).startswith(f"{folder / name}:{line}: ")
    assert f"leads out of the project {folder}" in str(caught.value)
    load(folder, allows_outside=True)
    (tmp_path / ".git").mkdir()
    load(folder)


@pytest.mark.parametrize("name", ["template.yml", "s.yaml", "pyfc.yml", ".env", "index.py"])
def test_files_that_are_read_lie_in_the_project(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("resources: {}\n")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / name).symlink_to("../secret")

    with pytest.raises(ProjectError) as caught:
        load(tmp_path / "project", reads_variables=True)

    assert caught.value.fields["where"] == str(tmp_path / "project" / name)
    assert "leads out of the project" in str(caught.value)


@pytest.mark.parametrize("name", ["template.yml", "s.yaml", "pyfc.yml", ".env"])
@pytest.mark.parametrize(
    ("make", "why"),
    [
        (os.mkfifo, "is a named pipe"),
        (Path.mkdir, "is a folder"),
        (lambda path: path.symlink_to("nowhere"), "No such file"),
        (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links"),
        (lambda path: path.write_bytes(b"x" * 1_100_000), "has more than"),
    ],
)
def test_a_file_that_can_not_be_read_is_named(
    tmp_path: Path, name: str, make: Callable[[Path], object], why: str
) -> None:
    make(tmp_path / name)
    if name == ".env" and why == "is a folder":  # it is the name of many a virtual environment
        assert load(tmp_path, reads_variables=True).functions == []
        return

    with pytest.raises(ProjectError) as caught:
        load(tmp_path, reads_variables=True)

    assert caught.value.fields["where"] == str(tmp_path / name)
    assert why in str(caught.value)


_REWRITE = """
resources:
  d:
    component: fc
    props:
      service: {name: s}
      customDomains:
        - {domainName: a.b, routeConfigs: [{path: /a, functionName: f, rewriteConfig: *last}]}
"""


@pytest.mark.parametrize(
    "text",
    [
        "vars:\n  r0: &r0 [x]\n"
        + "".join(f"  r{n}: &r{n} [{', '.join([f'*r{n - 1}'] * 9)}]\n" for n in range(1, 20))
        + "  last: &last [*r19]"
        + _REWRITE,
        "vars: &last {again: *last}" + _REWRITE,
        "vars: &last [*last]" + _REWRITE,
    ],
)
def test_values_that_hold_themselves_or_multiply_are_refused_with_their_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(ProjectError, match=r"s\.yaml:\d+: .* is too large; it must be at most 20000 values, 50 deep"):
        project(tmp_path, s_yaml=text)


def test_merges_that_multiply_cost_nothing_and_the_first_of_several_counts(tmp_path: Path) -> None:
    merges = "".join(f"  m{n}: &m{n}\n    <<: [{', '.join([f'*m{n - 1}'] * 9)}]\n" for n in range(1, 40))
    text = f"""vars:
  m0: &m0 {{timeout: 9, memorySize: 256}}
{merges}
  other: &other {{timeout: 8, diskSize: 512}}
  self: &self
    <<: *self
resources:
  d:
    component: fc3
    props:
      <<: [*m39, *other, *self]
      memorySize: 512
      functionName: f
      runtime: go1
      handler: h
"""

    limits = project(tmp_path, s_yaml=text).functions[0].function.limits

    assert (limits.timeout, limits.memory_size) == (9, 512)


def test_variables_that_multiply_are_refused(tmp_path: Path) -> None:
    text = f"vars: {{v: '{'x' * 10_000}'}}\nresources: {{d: {{component: '{'${vars.v}' * 1000}'}}}}\n"
    with pytest.raises(ProjectError, match=r"s\.yaml:2: .* too long with what it stands for"):
        project(tmp_path, s_yaml=text)

    lines = "A0=xxxxxxxxxx\n" + "".join(f"A{n}=${{A{n - 1}}}${{A{n - 1}}}\n" for n in range(1, 60))
    (tmp_path / "s.yaml").write_text("resources: {}")
    (tmp_path / ".env").write_text(lines)
    with pytest.raises(ProjectError, match=r"\.env: 'A9' has more than 4096 characters"):
        load(tmp_path, reads_variables=True)


@pytest.mark.parametrize("value", ['"\\0"', '"\\ud800"'])
def test_text_that_no_program_can_be_given_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(ProjectError, match=r"template\.yml:19: .*Description is no text"):
        project(tmp_path, template_yml=FUNCRAFT.replace("takes money", value))


def test_a_template_of_thousands_of_functions_and_names_is_read_in_one_go(tmp_path: Path) -> None:
    properties = "{Handler: i.h, Runtime: go1, CodeUri: ./}"
    functions = "".join(
        f"    f{n}: {{Type: 'Aliyun::Serverless::Function', Properties: {properties}}}\n" for n in range(1000)
    )
    unknown = "".join(f"Handlr{n}: x\n" for n in range(1000))
    head = FUNCRAFT.partition("Resources:")[0]

    found = project(
        tmp_path, template_yml=f"{head}{unknown}Resources:\n  s:\n    Type: Aliyun::Serverless::Service\n{functions}"
    )

    assert len(found.functions) == 1000
    assert len(found.warnings) == 21
    assert found.warnings[-1].endswith("and 980 more are ignored")


def test_a_file_of_a_bare_folder_that_can_not_be_read_is_named_and_the_rest_is_served(tmp_path: Path) -> None:
    with (tmp_path / "large.js").open("wb") as file:
        file.truncate(33 * 1024 * 1024)

    found = project(tmp_path, good_py="def handler(event, context): pass\n")

    assert [each.function.name for each in found.functions] == ["good"]
    assert found.warnings == [f"{tmp_path}/large.js has more than 33554432 bytes: it is left out"]


def test_a_mistake_in_pyfc_yml_leaves_the_rest_of_it_and_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "a.py").write_text("def handler(event, context): ...")
    (tmp_path / "b.py").write_text("def handler(event, context): ...")
    (tmp_path / "pyfc.yml").write_text(
        "buckets:\n  photos: ./photos\n  gone: ./gone\n"
        "permissions: [{Statement: [{Effect: Allow, NotAction: x, Resource: y}]}]\nservices:\n  default:\n"
        "    a: {maximumInstanceCount: 0}\n    b: {maximumInstanceCount: 3}\n"
    )

    found = load(tmp_path, tolerates=True)

    assert [str(each.error).split(": ", 1)[0] for each in found.mistakes] == [
        f"{tmp_path}/pyfc.yml:{line}" for line in (3, 4, 7)
    ]
    assert [each.function.maximum_instance_count for each in found.functions] == [None, 3]
    assert read_folders(tmp_path, tolerates=True).buckets == {"photos": tmp_path / "photos"}
    with pytest.raises(ProjectError, match=r"pyfc\.yml:3: "):
        load(tmp_path)
    (tmp_path / "pyfc.yml").write_text("buckets: [")
    assert len(load(tmp_path, tolerates=True).functions) == 2
    assert read_folders(tmp_path, tolerates=True) == NO_FOLDERS


def test_component_fc_has_a_handler_and_a_runtime_of_its_own_for_functions_that_say_none(tmp_path: Path) -> None:
    function = "{name: f, codeUri: ./}"
    text = f"services: {{a: {{component: fc, props: {{service: {{name: shop}}, function: {function}}}}}}}"
    [declared] = project(tmp_path, s_yaml=text, index_js="").functions

    assert (declared.function.runtime, declared.function.handler) == ("nodejs10", "index.handler")
    with pytest.raises(ProjectError, match="runtime"):
        project(tmp_path, s_yaml="resources: {a: {component: fc3, props: {functionName: f, code: ./}}}")
