"""Loops whose items are not all done at the first attempt, and what lint says of those that may leave items out."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cli.main import run_command

PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: reload}
spec:
  watch: {apiVersion: v1, kind: ConfigMap, fields: [data]}
  targets:
    - {apiVersion: apps/v1, kind: Deployment, verbs: [get, list, watch, patch]}
  vars:
    digest: hash(toJson(object.data))
    seen: annotation(object, 'example.com/seen')
  rules:
"""
LOOP = """\
      lookup: &lookup {deployments: {apiVersion: apps/v1, kind: Deployment, labelSelector: {}}}
      loopKey: item.metadata.name
      oncePer: vars.digest
      existing: CatchUp
      actions:
        - annotate:
            target: {apiVersion: apps/v1, kind: Deployment, name: '${item.metadata.name}'}
            annotations: {example.com/seen: '${vars.digest}'}
"""
ITEM_WRITES = f"""\
    - name: restart
      when: vars.seen != vars.digest
      loop: lookup.deployments
{LOOP}\
        - annotate: {{annotations: {{example.com/seen: '${{vars.digest}}'}}}}
"""
FILTER = f"""\
    - name: restart
      loop: lookup.deployments.filter(d, annotation(d, 'example.com/seen') != vars.digest)
{LOOP}\
"""
RULE_OF_ITS_OWN = f"""\
    - name: restart
      when: vars.seen != vars.digest
      loop: lookup.deployments
{LOOP}\
    - name: note
      lookup: *lookup
      when: lookup.deployments.all(d, annotation(d, 'example.com/seen') == vars.digest)
      actions:
        - annotate: {{annotations: {{example.com/seen: '${{vars.digest}}'}}}}
"""
TESTS = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePackTest
metadata: {name: reload}
spec:
  packs: [pack.yaml]
  tests:
    - name: the second patch is put off once
      steps:
        - apply:
            - {apiVersion: apps/v1, kind: Deployment, metadata: {name: a}}
            - {apiVersion: apps/v1, kind: Deployment, metadata: {name: b}}
        - fault: {answer: 429, verb: patch, kind: Deployment, name: b, times: 1}
        - apply: {apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {level: debug}}
        - advance: 5m
        - expect:
            objects:
              - {apiVersion: apps/v1, kind: Deployment, metadata: {name: b, annotations: {example.com/seen: {$matches: .+}}}}
"""


@pytest.mark.parametrize(("rules", "lint", "test"), [(ITEM_WRITES, 1, 1), (FILTER, 0, 0), (RULE_OF_ITS_OWN, 0, 0)])
def test_lint_warns_of_the_loop_that_loses_an_item(
    rules: str, lint: int, test: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first item makes the condition false; what lint recommends instead does both, though one patch is put off."""
    (tmp_path / "pack.yaml").write_text(PACK + rules)
    (tmp_path / "tests.yaml").write_text(TESTS)

    warned = run_command(["lint", "--strict", str(tmp_path / "pack.yaml")])
    shown = capsys.readouterr().out
    assert ("[loop-ends-itself]" in shown, warned) == (bool(lint), lint)
    assert run_command(["test", str(tmp_path)]) == test, capsys.readouterr().out
