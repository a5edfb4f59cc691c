"""The expressions of Serverless Devs: what they stand for, and what becomes of those that stand for nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pyfc.errors import ProjectError
from pyfc.project.interface import Project
from pyfc.project.load import load
from pyfc.settings import Settings

FILE = """\
edition: 3.0.0
env: stages.yaml
vars:
  a: {{b: deep, 'cdn-role': r, list: [x, y]}}
  number: 7
  again: ${{vars.a.b}}-${{env('WHO', 'nobody')}}
resources:
  pay:
    component: fc3
    props:
      region: cn-hangzhou
      functionName: payments
      runtime: python3
      handler: index.handler
      code: ./
      environmentVariables:
        V: {value}
  other:
    component: fc3
    props: {{functionName: other, runtime: python3, handler: i.h, code: ./, description: "by ${{this.name}}"}}
"""


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WHO", raising=False)
    (tmp_path / "x.json").write_text('{"color": "red", "sizes": [1, 2]}')
    (tmp_path / "a.txt").write_text("told")
    (tmp_path / "stages.yaml").write_text("environments: [{name: test, outputs: {vpcId: v}}]")
    (tmp_path / ".env").write_text("WHO=ada\n")


def value(folder: Path, text: str) -> str:
    (folder / "s.yaml").write_text(FILE.format(value=text))
    found = load(folder, settings=Settings(account_id="42", region="cn-hangzhou"))
    assert found.warnings == []
    return found.functions[0].function.environment_variables["V"]


@pytest.mark.parametrize(
    ("text", "stands_for"),
    [
        ("${vars.a.b}", "deep"),
        ("${vars.a.cdn-role}", "r"),
        ("x-${ vars.number }-${vars['a'].list[1]}", "x-7-y"),
        ("${vars.again}", "deep-ada"),
        ("${this.name}", "pay"),
        ("${this.props.functionName}", "payments"),
        ("${resources.other.props.description}", "by other"),
        ("${other.props.functionName}", "other"),
        ("${config.AccountID}", "42"),
        ("${config('AccountID')}", "42"),
        ("${config(AccountID)}-${config('region')}", "42-cn-hangzhou"),
        ("${environment.name}${environment.outputs.vpcId}", "testv"),
        ("${json(file('x.json')).color}", "red"),
        ("${json(file('./x.json')).sizes[1]}", "2"),
        ("""'${json(''{"a": true}'').a}'""", "true"),
        ("${file(a.txt)}", "told"),
        ("${env.WHO}", "ada"),
        ("${env(WHO)}", "ada"),
        ("${env('NOT_SET', 'd, e')}", "d, e"),
        ("${env(NOT_SET, d)}", "d"),
        ("${env('NOT_SET', env('WHO'))}", "ada"),
        ('\'${env("NOT_SET", vars.number) == 7 ? "same" : "different"}\'', "same"),
        ("${vars.missing || 'instead'}", "instead"),
        ("${vars.number * 2 + 1}", "15"),
        ("${vars.a.b + '-' + vars.number}", "deep-7"),
        ("'${!vars.missing && vars.number >= 7}'", "true"),
        ("'${HOME:-x} $${} ${ ${'", "${HOME:-x} $${} ${ ${"),
    ],
)
def test_an_expression_is_evaluated_from_the_file_and_the_settings(tmp_path: Path, text: str, stands_for: str) -> None:
    assert value(tmp_path, text) == stands_for


def test_a_path_is_one_beside_the_template(tmp_path: Path) -> None:
    assert value(tmp_path, "${path(./x.json)}") == str(tmp_path / "x.json")
    assert value(tmp_path, "${env('NOT_SET', path('x.json'))}") == str(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("${vars.missing}", "a name that stands under vars"),
        ("${env(NOBODY)}", "an environment variable that is set (NOBODY is not)"),
        ("${config('AccessKeySecret')}", "AccountID or region"),
        ("${resources.other.output.url}", "known without a deployment"),
        ("${functionName}", "declared (functionName is not)"),
        ("${shout('x')}", "one of the functions env, path, file, json, config"),
        ("${vars.a.b * 2}", "a number where it is counted with"),
        ("${1 / 0}", "a number (division by zero)"),
        ("${1 * 9999999999999999}", "a number of at most 1e+15"),
        ("${99999999 * 99999999 * 9}", "a number of at most 1e+15"),
        ("${vars.number.more.members}", "a value that the file has (vars.number has no more)"),
    ],
)
def test_what_is_unknown_stays_as_it_is_with_a_warning_and_is_a_mistake_in_a_name(
    tmp_path: Path, text: str, reason: str
) -> None:
    (tmp_path / "s.yaml").write_text(FILE.format(value=f'"{text}"'))

    found = load(tmp_path)

    assert found.functions[0].function.environment_variables == {"V": text}
    [warning] = found.warnings
    assert warning.startswith(f"{tmp_path}/s.yaml:17: '{text}' stays as it is: it must be {reason}")

    (tmp_path / "s.yaml").write_text(FILE.format(value="x").replace("payments", text))
    with pytest.raises(ProjectError) as caught:
        load(tmp_path)
    assert f"s.yaml:12: resources.pay.props.functionName is the function name '{text}'; it must be {reason}" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ("  c: ${vars.d}\n  d: ${vars.c}", "${vars.c}"),
        ("  c: 1", "${this.props.environmentVariables.V}"),
        ("".join(f"  a{n}: ${{vars.a{n + 1}}}\n" for n in range(100)), "${vars.a0}"),
    ],
)
def test_values_that_refer_to_themselves_are_a_mistake_with_its_line(tmp_path: Path, variables: str, text: str) -> None:
    (tmp_path / "s.yaml").write_text(FILE.format(value=text).replace("  number: 7", variables))

    with pytest.raises(ProjectError, match=r"s\.yaml:\d+: .* must be nothing that refers to itself"):
        load(tmp_path)


def test_values_that_refer_to_many_cost_nothing(tmp_path: Path) -> None:
    lines = "  a0: ''\n" + "".join(f"  a{n}: {f'${{vars.a{n - 1}}}' * 9}\n" for n in range(1, 39))

    (tmp_path / "s.yaml").write_text(FILE.format(value="${vars.a38}").replace("  number: 7", lines))

    assert load(tmp_path).functions[0].function.environment_variables == {"V": ""}


def test_a_deep_or_long_expression_is_left_as_it_is(tmp_path: Path) -> None:
    for text in ("${" + "(" * 100 + "1" + ")" * 100 + "}", "${" + "!" * 100 + "1}", "${'" + "x" * 5000 + "'}"):
        (tmp_path / "s.yaml").write_text(FILE.format(value="y").replace("by ${this.name}", text))
        assert load(tmp_path).functions[1].function.description == text


def test_text_that_is_put_together_again_and_again_has_an_end(tmp_path: Path) -> None:
    text = "${" + " + ".join(["vars.long"] * 300) + "}"
    (tmp_path / "s.yaml").write_text(FILE.format(value=text).replace("  number: 7", f"  long: {'x' * 100_000}"))
    began = time.monotonic()

    assert load(tmp_path).functions[0].function.environment_variables == {"V": text}
    assert time.monotonic() - began < 5


STAGED = """
edition: 3.0.0
name: shop
vars: {who: ada}
resources:
  pay:
    component: fc3
    props:
      region: cn-hangzhou
      functionName: pay
      runtime: python3
      handler: i.h
      code: ./
      timeout: 5
      environmentVariables: {STAGE: "${environment.name}", KEPT: "${vars.who}"}
  ship:
    component: fc3
    props: {functionName: ship, runtime: python3, handler: i.h, code: ./, timeout: 5}
"""
ENVIRONMENTS = """
environments:
  - name: dev
  - name: live
    infraStack: {region: cn-beijing}
    overlays:
      components:
        fc3:
          functionName: ${source.functionName}-${project}-${this.name}
          timeout: 7
        fc: {timeout: 8}
      resources:
        pay:
          timeout: 9
          environmentVariables: {WAS: "${source.timeout}", WHO: "${vars.who}"}
"""


def staged(folder: Path, chosen: str, environments: str = ENVIRONMENTS) -> Project:
    (folder / "s.yaml").write_text(STAGED)
    (folder / "env.yaml").write_text(environments)
    return load(folder, settings=Settings(env=chosen))


def test_a_chosen_environment_is_laid_over_what_a_template_declares(tmp_path: Path) -> None:
    pay, ship = [each.function for each in staged(tmp_path, "live").functions]

    assert (pay.name, ship.name) == ("pay-shop-live", "ship-shop-live")
    assert (pay.limits.timeout, ship.limits.timeout) == (9, 7)
    assert pay.environment_variables == {"STAGE": "live", "KEPT": "ada", "WAS": "5", "WHO": "ada"}
    assert [each.region for each in staged(tmp_path, "live").functions] == ["cn-beijing", "cn-beijing"]


@pytest.mark.parametrize("chosen", ["dev", ""])
def test_an_environment_without_overlays_and_one_that_nobody_chose_change_nothing(tmp_path: Path, chosen: str) -> None:
    pay, ship = [each.function for each in staged(tmp_path, chosen).functions]

    assert (pay.name, ship.name, pay.limits.timeout) == ("pay", "ship", 5)
    assert pay.environment_variables == {"STAGE": "dev", "KEPT": "ada"}


def test_an_environment_that_the_file_does_not_have_is_refused_and_without_a_file_it_has_its_name(
    tmp_path: Path,
) -> None:
    with pytest.raises(ProjectError, match=r"env.yaml:1: has no environment 'test'; there is dev, live"):
        staged(tmp_path, "test")

    (tmp_path / "env.yaml").unlink()
    found = load(tmp_path, settings=Settings(env="test"))
    assert found.functions[0].function.environment_variables["STAGE"] == "test"


def test_an_overlay_that_is_none_is_a_mistake_of_its_resource(tmp_path: Path) -> None:
    wrong = "environments: [{name: x, overlays: {resources: {pay: [1]}}}]"
    (tmp_path / "s.yaml").write_text(STAGED)
    (tmp_path / "env.yaml").write_text(wrong)

    found = load(tmp_path, settings=Settings(env="x"), tolerates=True)

    assert [each.function.name for each in found.functions] == ["ship"]
    assert str(found.mistakes[0].error).startswith(f"{tmp_path / 'env.yaml'}:1: ")
