"""Which functions a file of Serverless Devs declares: its components, what it extends, and what is left out of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyfc.errors import ProjectError
from pyfc.model.resources import Route
from pyfc.project.interface import Project
from pyfc.project.load import load
from pyfc.settings import Settings

FC3 = "props: {functionName: pay, runtime: python3, handler: index.handler, code: ./}"
FC = "props: {service: {name: shop}, function: {name: pay, runtime: python3, handler: i.h, codeUri: ./}}"


def project(folder: Path, text: str, *, tolerates: bool = False) -> Project:
    (folder / "s.yaml").write_text(text)
    return load(folder, tolerates=tolerates, settings=Settings(region="cn-hangzhou"))


def names(found: Project) -> list[tuple[str, str]]:
    return [(each.function.service, each.function.name) for each in found.functions]


@pytest.mark.parametrize(
    "component",
    [
        "fc", "fc3", "fc-deploy", "devsapp/fc@dev", "devsapp/fc3", "../../..", "/abs", "${path(..)}",
        "${path('../../')}", "${env('NOT_SET', path('..'))}", "./mine",
    ],
)  # fmt: skip
def test_what_a_component_is_follows_from_its_properties(tmp_path: Path, component: str) -> None:
    for text, service in ((FC3, "default"), (FC, "shop")):
        found = project(tmp_path, f"resources:\n  a:\n    component: {component}\n    {text}\n")
        assert names(found) == [(service, "pay")]
        assert (found.unsupported, found.warnings) == ([], [])


def test_a_component_by_path_is_one_too_where_the_project_is_named_by_a_relative_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "examples").mkdir()
    monkeypatch.chdir(tmp_path)

    found = project(Path("examples"), f"resources:\n  a:\n    component: ${{path(..)}}\n    {FC3}\n")

    assert (names(found), found.unsupported) == ([("default", "pay")], [])


def test_what_the_properties_do_not_tell_the_publish_file_does_inside_the_project_only(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "publish.yaml").write_text("Name: fc3\n")
    text = "resources:\n  a:\n    component: ./mine\n    props: {runtime: python3}\n"

    with pytest.raises(ProjectError, match=r"s\.yaml:4: resources\.a\.props has no functionName"):
        project(tmp_path, text)

    (tmp_path / "mine" / "publish.yaml").write_text("Name: website\n")
    assert project(tmp_path, text).unsupported == ["component ./mine of a"]
    with pytest.raises(
        ProjectError, match=r"s\.yaml:3: resources\.a\.component is '\./gone'; it must be fc, fc3, a path"
    ):
        project(tmp_path, text.replace("./mine", "./gone"))
    (tmp_path / "inside").mkdir()
    with pytest.raises(ProjectError, match=r"s\.yaml:3: .*leads out of the project"):
        project(tmp_path / "inside", text.replace("./mine", "../mine"))


def test_a_domain_without_a_function_is_the_declarations_own(tmp_path: Path) -> None:
    domains = (
        "customDomains: [{domainName: auto, protocol: HTTP, routeConfigs: [{path: /*}]}, "
        "{domainName: A.b, routeConfigs: [{path: /x, methods: [GET]}]}]"
    )
    text = f"services:\n  a:\n    component: fc\n    {FC[:-1]}, {domains}}}\n"

    first, second = project(tmp_path, text).domains

    assert (first.name, first.routes) == (
        "pay.shop.localhost",
        (Route(path="/*", service="shop", function="pay"),),
    )
    assert (second.name, second.routes) == (
        "a.b",
        (Route(path="/x", service="shop", function="pay", methods=("GET",)),),
    )


def test_the_component_fc3_domain_leads_to_functions(tmp_path: Path) -> None:
    text = f"""resources:
  a:
    component: fc3
    {FC3}
  d:
    component: fc3-domain
    props:
      region: cn-hangzhou
      domainName: shop.example.com
      protocol: HTTP
      routeConfig:
        routes: [{{path: /*, functionName: "${{resources.a.props.functionName}}", qualifier: LATEST}}]
"""
    found = project(tmp_path, text)

    [domain] = found.domains
    assert (domain.name, [(each.path, each.service, each.function) for each in domain.routes]) == (
        "shop.example.com",
        [("/*", "default", "pay")],
    )
    assert [each.name for each in project(tmp_path, text.replace("shop.example.com", "auto")).domains] == [
        "pay.default.localhost"
    ]


TEMPLATE = """
template:
  common:
    runtime: python3
    handler: index.handler
    code: ./
    timeout: 9
    environmentVariables: {A: "${this.name}", B: b}
    layers: [x]
resources:
  pay:
    component: fc3
    extend: {name: common, ignore: [layers, environmentVariables.B]}
    props:
      functionName: pay
      timeout: 5
      environmentVariables: {C: "${this.props.timeout}"}
"""


def test_a_resource_has_what_its_template_has_and_it_does_not_ignore(tmp_path: Path) -> None:
    [declaration] = project(tmp_path, TEMPLATE).functions

    function = declaration.function
    assert (function.runtime, function.limits.timeout, function.layers) == ("python3", 5, ())
    assert function.environment_variables == {"A": "pay", "C": "5"}
    with pytest.raises(
        ProjectError, match=r"s\.yaml:13: .*name is 'nope'; it must be a name that stands under template"
    ):
        project(tmp_path, TEMPLATE.replace("name: common", "name: nope"))


def test_a_resource_is_laid_over_what_an_expression_of_the_base_stands_for(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        "vars: {common: {component: fc3, props: {runtime: python3, handler: i.h, code: ./, timeout: '${vars.long}'}}}\n"
        "resources: {pay: '${vars.common}', ship: '${vars.common}'}\n"
    )
    text = "extend: base.yaml\nvars: {long: 9}\nresources:\n"
    text += "  pay: {props: {functionName: pay}}\n  ship: {props: {functionName: ship, timeout: 5}}\n"

    pay, ship = [each.function for each in project(tmp_path, text).functions]

    assert (pay.name, pay.limits.timeout, ship.name, ship.limits.timeout) == ("pay", 9, "ship", 5)


def test_what_a_resource_ignores_may_be_one_name(tmp_path: Path) -> None:
    [declaration] = project(tmp_path, TEMPLATE.replace("[layers, environmentVariables.B]", "layers")).functions

    assert declaration.function.layers == ()
    assert declaration.function.environment_variables == {"A": "pay", "B": "b", "C": "5"}


def test_a_file_is_laid_over_the_one_that_it_extends(tmp_path: Path) -> None:
    (tmp_path / "s.base.yaml").write_text(f"vars: {{n: 1}}\nservices:\n  a:\n    component: fc\n    {FC}\n")
    props = "{function: {timeout: 7}, service: {description: '${vars.n}'}}"
    over = f"extend: s.base.yaml\nservices:\n  a:\n    props: {props}\n"

    found = project(tmp_path, over)

    assert names(found) == [("shop", "pay")]
    assert found.functions[0].function.limits.timeout == 7
    assert found.services[0].description == "1"
    assert found.files == [tmp_path / "s.yaml", tmp_path / "s.base.yaml"]
    (tmp_path / "s.base.yaml").write_text((tmp_path / "s.base.yaml").read_text().replace("i.h", "i"))
    with pytest.raises(ProjectError, match=r"s\.base\.yaml:5: services\.a\.props\.function\.handler is 'i'"):
        load(tmp_path)
    (tmp_path / "s.base.yaml").write_text("extend: s.yaml\n")
    with pytest.raises(ProjectError, match="a file that does not extend this one in turn"):
        load(tmp_path)


def test_values_that_multiply_are_not_laid_over_each_other(tmp_path: Path) -> None:
    lines = "m0: &m0 {a: 1}\n" + "".join(
        f"m{n}: &m{n} {{{', '.join(f'k{k}: *m{n - 1}' for k in range(9))}}}\n" for n in range(1, 20)
    )
    (tmp_path / "s.base.yaml").write_text(f"{lines}vars: *m19\nresources: {{}}\n")

    with pytest.raises(ProjectError, match="is too large; it must be at most 20000 values, 50 deep"):
        project(tmp_path, f"extend: s.base.yaml\n{lines}vars: *m19\n")


MANY = """\
resources:
  good:
    component: fc3
    props: {functionName: good, runtime: python3, handler: index.handler, code: ./}
  extension:
    component: fc3
    props: {functionName: extension, runtime: go1, handler: i, code: ./, environmentVariables: {FC_EXTENSION_X: y}}
  extensions:
    component: fc3
    props: {functionName: extensions, runtime: go1, handler: i, code: ./, environmentVariables: {FC_EXTENSIONS_X: y}}
  handler:
    component: fc3
    props: {functionName: handler, runtime: python3, handler: index, code: ./}
  code:
    component: fc3
    props: {functionName: code, runtime: python3, handler: index.handler, code: ./gone}
  mapping:
    component: fc3
    props: {functionName: mapping, runtime: python3, handler: i.h, code: ./, environmentVariables: {A: {B: c}}}
  trigger:
    component: fc3
    props:
      functionName: trigger
      runtime: python3
      handler: i.h
      code: ./
      triggers:
        - {triggerName: {Name}, triggerType: http, triggerConfig: {authType: anonymous}}
        - {triggerName: second, triggerType: http, triggerConfig: {authType: anonymous}}
  placeholder:
    component: fc3
    props: {functionName: "{{ name }}", runtime: python3, handler: i.h, code: ./}
"""


def test_a_mistake_takes_no_other_function_down_and_all_are_shown(tmp_path: Path) -> None:
    found = project(tmp_path, MANY, tolerates=True)

    assert [name for _, name in names(found)] == ["good", "extension", "extensions", "trigger"]
    assert [(each.function, each.name) for each in found.triggers] == [("trigger", "second")]
    shown = [str(each.error).removeprefix(f"{tmp_path}/") for each in found.mistakes]
    assert [text.split(";")[0] for text in shown] == [
        "s.yaml:13: resources.handler.props.handler is 'index'",
        "s.yaml:16: resources.code.props.code is './gone'",
        "s.yaml:19: resources.mapping.props.environmentVariables.A is a mapping",
        "s.yaml:28: resources.trigger.props.triggers[0].triggerName is a mapping",
        "s.yaml:32: resources.placeholder.props.functionName is the function name '{{ name }}'",
    ]
    assert "this is a project template with {{ placeholders }}" in shown[-1]
    assert found.mistaken == {("default", "handler"), ("default", "code"), ("default", "mapping")}
    with pytest.raises(ProjectError) as caught:
        load(tmp_path)
    assert [line.split(":")[1] for line in str(caught.value).splitlines()] == ["13", "16", "19", "28", "32"]


def test_a_file_whose_functions_all_fall_away_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"s\.yaml:4: .*handler is 'index'"):
        project(tmp_path, MANY[: MANY.index("  extension")].replace("index.handler", "index"), tolerates=True)


def test_of_one_function_in_two_regions_the_servers_is_served_and_the_other_named(tmp_path: Path) -> None:
    def resource(name: str, region: str, timeout: int) -> str:
        trigger = "triggers: [{triggerName: web, triggerType: http, triggerConfig: {authType: anonymous}}]"
        return f"  {name}:\n    component: fc3\n    {FC3[:-1]}, region: {region}, timeout: {timeout}, {trigger}}}\n"

    for text in (
        resource("a", "cn-beijing", 1) + resource("b", "cn-hangzhou", 2),
        resource("b", "cn-hangzhou", 2) + resource("a", "cn-beijing", 1),
        resource("b", "us-west-1", 2) + resource("a", "cn-beijing", 1),
    ):
        found = project(tmp_path, f"resources:\n{text}")

        assert [each.function.limits.timeout for each in found.functions] == [2]
        assert len(found.triggers) == 1
        [warning] = found.warnings
        assert "function default/pay is left out: the one for " in warning
    with pytest.raises(
        ProjectError, match=r"s\.yaml:7: function default/pay is declared a second time \(first at .*:4\)"
    ):
        project(tmp_path, f"resources:\n{resource('a', 'x', 1)}{resource('b', 'x', 1)}")


def test_a_template_of_a_template_says_so(tmp_path: Path) -> None:
    for text in (
        "resources:\n  a:\n    component: fc3\n    props: {functionName: {{ name }}}\n",
        "resources:\n  {{ name }}:\n    component: fc3\n",
        "resources:\n  a: {{ name }} more\n",
    ):
        with pytest.raises(ProjectError, match=r"this is a project template with \{\{"):
            project(tmp_path, text)


def test_a_second_function_of_a_name_is_a_mistake_and_the_first_is_served(tmp_path: Path) -> None:
    text = "".join(f"  {name}:\n    component: fc3\n    {FC3}\n" for name in ("a", "b"))

    found = project(tmp_path, f"resources:\n{text}", tolerates=True)

    assert names(found) == [("default", "pay")]
    assert (len(found.mistakes), found.mistaken) == (1, set())


def test_what_pyfc_yml_says_of_a_function_that_is_left_out_is_no_further_mistake(tmp_path: Path) -> None:
    (tmp_path / "pyfc.yml").write_text("services: {default: {code: {maximumInstanceCount: 1}}}")

    assert len(project(tmp_path, MANY, tolerates=True).mistakes) == 5
