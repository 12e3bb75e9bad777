"""What RulePackTests can do and expect, and how failures are reported."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent, indent
from typing import get_args
from xml.etree import ElementTree

import pytest

from engine.cel import backend
from engine.cli.main import run_command
from engine.model.observe import ActResult
from engine.testing.coverage import Coverage
from engine.testing.report import failure_lines, verbose_lines
from engine.testing.run import Case, CaseResult, run
from engine.testing.schema import ActPattern
from engine.testing.suite import load_suites

PACK = """
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata:
  name: widgets
spec:
  params:
    label: {type: string, default: ready}
  watch: {apiVersion: example.com/v1, kind: Widget, labelSelector: {watched: 'yes'}}
  targets:
    - {apiVersion: v1, kind: ConfigMap, verbs: [get, patch]}
  metrics:
    ready_total: {type: counter, help: Ready widgets, labels: [size]}
    size_now: {type: gauge, help: Size}
  rules:
    - name: mark
      when: object.status.phase == 'Ready'
      oncePer: object.metadata.uid
      actions:
        - label: {labels: {state: '${params.label}'}}
        - patch:
            target: {apiVersion: v1, kind: ConfigMap, name: settings}
            patch: {data: {last: '${object.metadata.name}'}}
        - emitEvent: {type: Normal, reason: Ready, message: '${object.metadata.name} is ready'}
        - metric: {name: ready_total, labels: {size: big}, value: 2}
        - metric: {name: size_now, value: 7}
    - name: late
      when: get(object, 'status.phase', '') == 'Waiting'
      for: 10m
      oncePer: object.metadata.uid
      actions:
        - annotate: {annotations: {late: 'yes'}}
    - name: gone
      on: Delete
      actions:
        - emitEvent: {type: Normal, reason: Gone, message: '${object.metadata.name} is gone'}
"""
WIDGET = "apiVersion: example.com/v1, kind: Widget, metadata: {name: w, labels: {watched: 'yes'}}"
SETTINGS = "- apply: {apiVersion: v1, kind: ConfigMap, metadata: {name: settings}}\n"
READY = f"{SETTINGS}- apply: {{{WIDGET}, status: {{phase: Ready}}}}\n"


def written(folder: Path, *cases: str, extra: str = "") -> Path:
    """A folder with the pack, and a test for each list of steps."""
    (folder / "pack.yaml").write_text(PACK)
    text = "apiVersion: rules.mlops.dev/v1alpha1\nkind: RulePackTest\nmetadata: {name: suite}\nspec:\n" + indent(extra, "  ")
    text += "  tests:\n"
    for number, steps in enumerate(cases):
        text += f"    - name: test {number}\n      steps:\n{indent(dedent(steps), ' ' * 8)}"
    (folder / "tests.yaml").write_text(text)
    return folder


def played(folder: Path, *cases: str, extra: str = "", coverage: Coverage | None = None) -> list[CaseResult]:
    """How tests with these steps end."""
    suites, _, _, faults, *_ = load_suites([written(folder, *cases, extra=extra)], backend())
    assert faults == []
    return run([Case(suites[0], number) for number in range(len(cases))], coverage=coverage)


GOOD = {
    "everything that a rule does": READY + """\
- expect:
    objects:
      - {apiVersion: example.com/v1, kind: Widget, metadata: {name: w, labels: {state: ready}}, status: {phase: Ready}}
      - {apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {last: w}}
    events: [{type: Normal, reason: Ready, message: w is ready, regarding: {kind: Widget, name: w}}]
    metrics: [{name: ready_total, labels: {size: big}, value: 2}, {name: size_now, value: 7}]
    writes: [patch ConfigMap default/settings, {$matches: '^create Event'}, patch Widget default/w]
    rules: {mark: fired, widgets/late: held}
    acts:
      - {action: label, outcome: done, object: Widget default/w}
      - {action: patch, outcome: done, target: ConfigMap default/settings, diff: ['data: ∅ → {"last": "w"}']}
      - {action: emitEvent, outcome: done}
      - {action: metric, outcome: done}
      - {action: metric, outcome: done}
""",
    "each expect begins anew": READY + """\
- expect: {events: [{reason: Ready}]}
- advance: 1h
- expect: {events: [], nothing: true, acts: []}
""",
    "the label selector": f"""\
- apply: {{{WIDGET.replace('yes', 'no')}, status: {{phase: Ready}}}}
- expect: {{nothing: true, acts: []}}
""",
    "a clock": f"""\
- apply: {{{WIDGET}, status: {{phase: Waiting}}}}
- advance: 9m59s
- expect: {{acts: [], rules: {{late: skipped}}}}
- advance: 1s
- expect: {{objects: [{{apiVersion: example.com/v1, kind: Widget, metadata: {{name: w, annotations: {{late: 'yes'}}}}}}]}}
""",
    "a file of manifests": "- apply: objects.yaml\n- expect: {rules: {mark: fired}}\n",
    "a parameter": "- params: {widgets: {label: green}}\n" + READY
    + "- expect: {objects: [{apiVersion: example.com/v1, kind: Widget, metadata: {name: w, labels: {state: green}}}]}\n",
    "a flag": "- flags: {widgets: 'Off'}\n" + READY + """\
- expect: {nothing: true}
- flags: {widgets: Enforce}
- expect: {rules: {mark: fired}}
""",
    "a deletion": READY + """\
- expect: {}
- delete: {apiVersion: example.com/v1, kind: Widget, name: w}
- expect: {absent: [{apiVersion: example.com/v1, kind: Widget, name: w}], events: [{reason: Gone}]}
""",
    "a crash after each write": """\
- fault: {answer: CrashAfter, verb: patch, kind: ConfigMap}
- fault: {answer: CrashAfter, verb: create}
- fault: {answer: CrashAfter, verb: patch, kind: Widget}
""" + READY + "- expect: {events: [{reason: Ready}], rules: {mark: skipped}}\n",
    "a server that refuses": "- fault: {answer: 500, kind: ConfigMap, times: 3}\n" + READY
    + "- expect: {events: []}\n- advance: 1m\n- expect: {events: [{reason: Ready}]}\n",
    "a right that is missing": "- fault: {answer: 403, verb: patch, kind: ConfigMap, times: null}\n" + READY
    + "- advance: 90s\n- expect: {events: [{type: Warning, reason: RuleWaiting, message: {$matches: forbidden}}]}\n",
    "unknown": f"- apply: {{{WIDGET}}}\n- expect: {{rules: {{mark: unknown}}, nothing: true}}\n",
}  # fmt: skip


@pytest.mark.parametrize("steps", GOOD.values(), ids=GOOD.keys())
def test_what_holds_passes(steps: str, tmp_path: Path) -> None:
    """Steps do what they say, and what is expected is what is there."""
    (tmp_path / "objects.yaml").write_text(
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\n---\n{{{WIDGET}, status: {{phase: Ready}}}}\n"
    )
    (outcome,) = played(tmp_path, steps)
    assert outcome.failures == ()


BAD = {
    "- expect: {objects: [{apiVersion: example.com/v1, kind: Widget, metadata: {name: w, labels: {state: red}}}]}\n":
        ("Widget default/w is not as expected", ("metadata.labels.state:", '  - expected "red"', '  + found    "ready"')),
    "- expect: {objects: [{apiVersion: v1, kind: Secret, metadata: {name: x}}]}\n": ("Secret default/x is not there", ()),
    "- expect: {absent: [{apiVersion: example.com/v1, kind: Widget, name: w}]}\n":
        ("Widget default/w is there", ("expected it to be absent",)),
    "- expect: {events: [{reason: Unready}]}\n":
        ("the Event is not as expected", ("reason:", '  - expected "Unready"', '  + found    "Ready"')),
    "- expect: {writes: [patch Widget default/w]}\n": ("there is an unexpected write", None),
    "- expect: {metrics: [{name: ready_total, labels: {size: big}, value: 3}, {name: size_now, value: 7}]}\n":
        ("the metric is not as expected", ("value:", "  - expected 3", "  + found    2.0")),
    "- expect: {rules: {mark: skipped}}\n": ("rule mark has another result", ("  - expected skipped", "  + found    fired")),
    "- expect: {rules: {mask: skipped}}\n": ("there is no rule 'mask'; expected 'mark' (did you mean that?)", ()),
    "- expect: {acts: []}\n": ("there is an unexpected act", None),
    "- expect: {nothing: true}\n": ("the engine has written", None),
    "- expect: {http: [{method: GET, url: x}]}\n":
        ("no request is as expected", ('  - expected {"method": "GET", "url": "x"}', "  + found    none")),
    "- flags: {widgetz: Audit}\n": ("no pack has the feature flag 'widgetz'; expected 'widgets' (did you mean that?)", ()),
    "- params: {widgets: {lable: x}}\n": ("widgets has no param 'lable'; expected 'label' (did you mean that?)", ()),
    "- params: {widgets: {label: 3}}\n": ("the number 3 stands here; expected a text", ()),
    "- params: {widgetz: {label: x}}\n": ("there is no pack 'widgetz'; expected 'widgets' (did you mean that?)", ()),
    "- delete: {apiVersion: v1, kind: Pod, name: x}\n":
        ('the cluster refuses this step: 404 NotFound: pods "x" not found', ()),
    "- apply: {kind: Pod}\n": ("this is no object: apiVersion '' is not of the form v1 or group/v1", ()),
}  # fmt: skip


@pytest.mark.parametrize("step", BAD, ids=str.strip)
def test_what_does_not_hold_is_reported_with_its_difference(step: str, tmp_path: Path) -> None:
    """What is not as expected, and both sides of it."""
    (outcome,) = played(tmp_path, READY + step)
    message, lines = BAD[step]
    (failure,) = outcome.failures
    assert failure.message == message
    assert lines is None or failure.lines == lines


@pytest.mark.parametrize(
    ("once", "raised"),
    [("", ("  the Event Said is not new, its count was raised: the rule has no oncePer, so it fires at each evaluation",)),
     ("oncePer: object.data.a", ())],
)  # fmt: skip
def test_an_event_of_which_the_count_was_raised_is_reported_as_such(once: str, raised: tuple[str, ...], tmp_path: Path) -> None:
    """It is not a new one, and the rule is the cause; with `oncePer` another value makes another Event."""
    (tmp_path / "pack.yaml").write_text(f"""
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {{name: said}}
spec:
  watch: {{apiVersion: v1, kind: ConfigMap}}
  rules:
    - name: say
      when: object.data.a != ''
      {once}
      actions: [{{emitEvent: {{type: Normal, reason: Said, message: It is so}}}}]
""")
    applied = "apply: {apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {a: 'N'}}"
    (tmp_path / "tests.yaml").write_text(f"""
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePackTest
metadata: {{name: said}}
spec:
  tests:
    - name: twice
      steps:
        - {applied}
        - expect: {{events: [{{reason: Said}}]}}
        - advance: 2m
        - {applied.replace("N", "M")}
        - expect: {{events: []}}
""")
    suites, *_ = load_suites([tmp_path], backend())
    (outcome,) = run([Case(suites[0], 0)])
    (failure,) = outcome.failures
    assert failure.message == "there is an unexpected Event"
    assert failure.lines[1:] == raised


def test_a_failure_has_the_line_of_what_was_expected(tmp_path: Path) -> None:
    """Line and column of the very value in the test."""
    steps = f"""\
{READY}- expect:
    objects:
      - apiVersion: example.com/v1
        kind: Widget
        metadata: {{name: w}}
        status: {{phase: Gone}}
"""
    (outcome,) = played(tmp_path, steps)
    place = outcome.failures[0].place
    line = (tmp_path / "tests.yaml").read_text().splitlines()[place.line - 1]
    assert line[place.column - 1 :] == "Gone}"


def test_a_test_ends_at_its_first_failure(tmp_path: Path) -> None:
    """What comes after would only be a consequence."""
    (outcome,) = played(tmp_path, READY + "- expect: {nothing: true}\n- expect: {rules: {mark: unknown}}\n")
    assert (outcome.steps, len(outcome.failures)) == (3, 1)


def test_setup_comes_first_in_each_test(tmp_path: Path) -> None:
    """Every test has a cluster of its own, on which the setup is played."""
    outcomes = played(tmp_path, "- expect: {events: [{reason: Ready}]}\n", "- expect: {events: [{reason: Ready}]}\n",
                      extra="setup:\n" + indent(READY, "  "))  # fmt: skip
    assert [outcome.failures for outcome in outcomes] == [(), ()]


def test_coverage_counts_how_rules_and_conditions_ended(tmp_path: Path) -> None:
    """A rule is covered when it fired and was held back, a condition when it was true and false; Unknown is reported."""
    coverage = Coverage()
    played(tmp_path, READY, f"- apply: {{{WIDGET}}}\n", coverage=coverage)
    points = {(point.rule, point.clause): point for point in coverage.points()}
    assert points["mark", 1].missing == ("false",)
    assert points["mark", 1].counts["unknown"] == 1
    assert points["late", 0].missing == ("fired",)
    assert 0 < coverage.percent() < 100


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tests: [{name: x, steps: [{}]}]", "a step has exactly one of apply, delete"),
        ("tests: [{name: x, steps: [{advance: 1s, restart: true}]}]", "a step has exactly one of apply, delete"),
        ("tests: [{name: x, steps: [{advance: soon}]}]", "the text 'soon' is not a duration"),
        (
            "tests: [{name: x, steps: [{expect: {nothin: true}}]}]",
            "unknown key 'nothin'; expected 'nothing' (did you mean that?)",
        ),
        ("start: tomorrow\n  tests: [{name: x, steps: [{restart: true}]}]", "the text 'tomorrow' is not a time"),
        ("packs: [gone.yaml]\n  tests: [{name: x, steps: [{restart: true}]}]", "there is no such file or folder"),
    ],
)
def test_a_test_that_is_wrong_is_refused_with_its_place(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Faults of the test itself are reported as those of packs are, and fail the run."""
    (tmp_path / "pack.yaml").write_text(PACK)
    path = tmp_path / "tests.yaml"
    path.write_text(f"apiVersion: rules.mlops.dev/v1alpha1\nkind: RulePackTest\nmetadata: {{name: suite}}\nspec:\n  {text}\n")
    assert run_command(["test", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"{path}:")
    assert message in error


OBJECT = "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}"


@pytest.mark.parametrize(
    ("steps", "key"),
    [
        (f"- apply:\n- {OBJECT}\n- {OBJECT}\n- {OBJECT}\n- expect: {{}}\n", "apply"),
        ("- apply:\n  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: c}\n- expect: {}\n", "apply"),
        ("- apply:\n- objects.yaml\n", "apply"),
        ("- delete:\n  apiVersion: v1\n  kind: ConfigMap\n  name: c\n", "delete"),
        ("- expect:\n  acts: []\n  events: []\n", "expect"),
    ],
)
def test_a_step_that_is_indented_as_what_belongs_to_it_is_one_fault(
    steps: str, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """However many objects follow: each of them would be a fault of its own, and none the cause."""
    written(tmp_path, steps)
    assert run_command(["test", str(tmp_path)]) == 1
    message = f"error: '{key}' has nothing below it; expected what follows indented deeper: it belongs to '{key}'"
    assert capsys.readouterr().err == f"{tmp_path}/tests.yaml:8:11: {message}\n"


def test_a_step_without_a_value_stays_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where a step follows, nothing is indented wrongly."""
    written(tmp_path, "- apply:\n- expect: {}\n")
    assert run_command(["test", str(tmp_path)]) == 1
    assert "error: null stands here; expected a value" in capsys.readouterr().err


@pytest.mark.parametrize(("steps", "message"), [
    ("- start: true\n", "the engine runs; expected stop before start"),
    ("- stop: true\n- stop: true\n", "the engine is stopped; expected start first"),
    ("- stop: true\n- restart: true\n", "the engine is stopped; expected start first"),
])  # fmt: skip
def test_an_engine_stops_and_starts_in_turn(tmp_path: Path, steps: str, message: str) -> None:
    """A step that does neither is a mistake in the test."""
    (outcome,) = played(tmp_path, steps)
    assert [failure.message for failure in outcome.failures] == [message]


def test_while_the_engine_is_stopped_nothing_is_evaluated(tmp_path: Path) -> None:
    """A timer that runs out meanwhile, and a change, are made up for when it starts."""
    stopped = f"- apply: {{{WIDGET}, status: {{phase: Waiting}}}}\n- expect: {{}}\n- stop: true\n- advance: 1h\n{READY}"
    started = "- expect: {nothing: true, acts: []}\n- start: true\n- expect: {rules: {mark: fired}}\n"
    (outcome,) = played(tmp_path, stopped + started)
    assert outcome.failures == ()


def test_a_broken_pack_fails_its_tests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The faults of the pack are reported, with its file and line."""
    written(tmp_path, "- restart: true\n")
    (tmp_path / "pack.yaml").write_text(PACK.replace("oncePer", "oncPer"))
    assert run_command(["test", str(tmp_path)]) == 1
    assert f"{tmp_path}/pack.yaml:18:7: error: unknown key 'oncPer'" in capsys.readouterr().err


def test_some_tests_can_be_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """-k takes a part of the name; one that fits nothing is a usage error."""
    folder = str(written(tmp_path, "- restart: true\n", "- restart: true\n"))
    assert run_command(["test", folder, "-k", "test 1"]) == 0
    assert capsys.readouterr().out.startswith("1 passed")
    assert run_command(["test", folder, "-k", "nothing like it"]) == 2


def test_fail_fast_stops_at_the_first_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The tests after it are not run."""
    wrong = "- expect: {rules: {mark: fired}}\n"
    folder = str(written(tmp_path, wrong, wrong))
    assert run_command(["test", folder, "--fail-fast"]) == 1
    out = capsys.readouterr().out
    assert out.count("FAIL ") == 1
    assert "0 passed, 1 failed" in out


def test_too_little_coverage_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--min-coverage fails tests that pass; the table names what is missing."""
    folder = str(written(tmp_path, READY))
    assert run_command(["test", folder, "--coverage", "--min-coverage", "99"]) == 1
    captured = capsys.readouterr()
    assert "never fired" in captured.out
    assert "less than --min-coverage 99" in captured.err


def test_machines_get_junit_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both have each test with its file and line, and its failures."""
    folder = str(written(tmp_path, READY, "- expect: {rules: {mark: fired}}\n"))
    assert run_command(["test", folder, "--format", "junit"]) == 1
    suite = ElementTree.fromstring(capsys.readouterr().out).find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert run_command(["test", folder, "--format", "json", "--coverage"]) == 1
    body = json.loads(capsys.readouterr().out)
    assert [test["passed"] for test in body["tests"]] == [True, False]
    assert body["tests"][1]["failures"][0]["message"] == "rule mark was not evaluated"
    assert body["coverage"]["percent"] > 0


def test_a_rule_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A slip of the pen is no rule that was not evaluated, nor an act that was not carried out."""
    steps = "- expect: {rules: {mrak: fired, widgets/late: skipped, others/mark: fired}, acts: [{rule: layt}]}\n"
    (outcome,) = played(tmp_path, READY + steps)
    messages = [failure.message for failure in outcome.failures]
    assert messages == [
        "there is no rule 'layt'; expected 'late' (did you mean that?)", "no act is as expected",
        "there is no rule 'mrak'; expected 'mark' (did you mean that?)",
        "there is no rule 'others/mark'; expected 'widgets/mark' (did you mean that?)",
    ]  # fmt: skip


@pytest.mark.parametrize("expected", ["nothing: true", "writes: []"])
def test_a_write_of_the_engines_own_is_marked(expected: str, tmp_path: Path) -> None:
    """A timer on record is none of the writes that actions ask for; those are not marked."""
    waiting = f"- apply: {{{WIDGET}, status: {{phase: Waiting}}}}\n- advance: 9m\n- expect: {{{expected}}}\n"
    acting = f"{READY}- expect: {{{expected}}}\n"
    timer, act = played(tmp_path, waiting, acting)
    marks = [
        [line for failure in outcome.failures for line in failure.lines if "the firing record" in line]
        for outcome in (timer, act)
    ]
    own = (
        "  patch Widget default/w is the firing record or timer of widgets.late, which the engine keeps itself; acts: [] expects"
    )
    assert [line.startswith(own) for line in marks[0]] == [True]
    assert marks[1] == []


def test_what_was_before_is_shown_as_the_rule_read_it(tmp_path: Path) -> None:
    """`oldObject` is null at the first evaluation, which most often is why a comparison with it is false."""
    begun = f"- apply: {{{WIDGET}, status: {{phase: Begun}}}}\n"
    same = f"- apply: {{{WIDGET}, spec: {{a: 1}}}}\n"
    expected = "- expect: {rules: {mark: fired}}\n"
    condition = "oldObject != null && oldObject.status.phase != object.status.phase"
    folder = written(tmp_path, begun + expected, begun + same + expected, begun + same + "- restart: true\n" + expected)
    (folder / "pack.yaml").write_text(PACK.replace("object.status.phase == 'Ready'", condition, 1))
    suites, *_ = load_suites([folder], backend())
    shown = [
        [line.strip() for line in failure_lines(outcome) if line.strip().startswith("oldObject")]
        for outcome in run([Case(suites[0], number) for number in range(3)])
    ]
    assert shown == [["oldObject = null"], ['oldObject.status.phase = "Begun"'], ["oldObject = null"]]


def test_what_needs_no_change_is_named_as_the_target(tmp_path: Path) -> None:
    """An action that finds everything as it should be was about that object, and `-v` names it."""
    done = READY.replace("name: settings}", "name: settings}, data: {last: w}")
    acts = "- expect: {acts: [{action: patch, outcome: unchanged, target: ConfigMap default/settings}]}\n"
    folder = written(tmp_path, done + acts)
    (suite,), *_ = load_suites([folder], backend())
    (outcome,) = run([Case(suite, 0)], explain_all=True)
    unchanged = [line for line in verbose_lines(outcome) if "unchanged: patch" in line]
    assert set(unchanged) == {"    widgets/mark for Widget default/w: unchanged: patch: ConfigMap default/settings"}
    assert [failure.message for failure in outcome.failures] == [
        "there is an unexpected act"
    ]  # the label, the Event, the metrics


REASONS = {
    "a condition that is false, with what it read": (
        f"- apply: {{{WIDGET}, status: {{phase: Begun}}}}\n",
        "widgets/mark for Widget default/w: skipped: when[1] is false: object.status.phase == 'Ready'",
        '    object.status.phase = "Begun"',
    ),
    "a condition without an answer": (
        f"- apply: {{{WIDGET}}}\n",
        "widgets/mark for Widget default/w: unknown: when[1] has no answer: object has no field 'status'",
        "    object.status.phase = absent",
    ),
    "a timer": (
        f"- apply: {{{WIDGET}, status: {{phase: Waiting}}}}\n",
        "widgets/late for Widget default/w: skipped: has not held for 600 s yet",
    ),
    "what is on record": (
        READY + "- expect: {}\n- restart: true\n", "widgets/mark for Widget default/w: skipped: already fired for",
    ),
    "an object of another version": (
        f"- apply: {{{WIDGET.replace('/v1', '/v2')}}}\n",
        "widgets/mark: not evaluated: there is no Widget of example.com/v1; there is one of example.com/v2",
    ),
    "an object that is not there": ("- advance: 1s\n", "widgets/mark: not evaluated: there is no Widget"),
    "a label selector": (
        f"- apply: {{{WIDGET.replace('yes', 'no')}}}\n",
        "widgets/mark: not evaluated: the label selector watched=yes picks none of the Widget objects",
    ),
    "a flag": ("- flags: {widgets: 'Off'}\n" + READY, "widgets/mark: skipped: its mode is Disabled"),
    "nothing deleted": (READY, "widgets/gone: not evaluated: no Widget that the pack watches was deleted"),
    "an action that failed": (
        f"- apply: {{{WIDGET}, status: {{phase: Ready}}}}\n- advance: 10m\n",
        'widgets/mark for Widget default/w: failed: Rule widgets/mark failed: ConfigMap default/settings not found',
    ),
    "an action that is tried again": (
        "- fault: {answer: 403, verb: patch, kind: ConfigMap, times: null}\n" + READY,
        "widgets/mark for Widget default/w: retrying: patch:",
    ),
    "an action that waits": (
        f"- apply: {{{WIDGET}, status: {{phase: Ready}}}}\n",
        'widgets/mark for Widget default/w: waiting: patch: ConfigMap default/settings not found',
    ),
}  # fmt: skip


@pytest.mark.parametrize(("steps", "lines"), [(steps, lines) for steps, *lines in REASONS.values()], ids=REASONS.keys())
def test_a_failing_step_says_why_rules_have_done_nothing(steps: str, lines: list[str], tmp_path: Path) -> None:
    """Each rule that did not fire, has no answer, waits, failed or was never evaluated is there, with the reason."""
    (outcome,) = played(tmp_path, steps + "- expect: {events: [{reason: Other}]}\n")
    reported = failure_lines(outcome)
    at = next((number for number, line in enumerate(reported) if line.startswith(f"    {lines[0]}")), None)
    assert at is not None, "\n".join(reported)
    assert reported[at + 1 : at + len(lines)] == [f"    {line}" for line in lines[1:]]


TOTALS = """
    - name: totals
      aggregate:
        by: label(object, 'watched')
        target: {apiVersion: v1, kind: ConfigMap, namespace: default, name: 'totals-${groupKey}'}
        counts: {widgets: 'true'}
      actions:
        - annotate: {annotations: {widgets: '${string(group.widgets)}'}}
"""


def test_a_failing_step_says_that_the_target_of_a_group_is_missing(tmp_path: Path) -> None:
    """With its name, and no more of it once it is there."""
    written(tmp_path, f"- apply: {{{WIDGET}}}\n- expect: {{events: [{{reason: Other}}]}}\n")
    pack = tmp_path / "pack.yaml"
    pack.write_text(pack.read_text().replace("verbs: [get, patch]", "verbs: [get, list, patch]").rstrip() + TOTALS)
    suites, _, _, faults, *_ = load_suites([tmp_path], backend())
    assert faults == []
    (outcome,) = run([Case(suites[0], 0)])
    reported = "    widgets/totals: skipped: its target for the group 'yes', ConfigMap default/totals-yes, is not there"
    assert reported in failure_lines(outcome), "\n".join(failure_lines(outcome))


def test_a_step_that_is_an_alias_is_reported_from_where_its_anchor_is(tmp_path: Path) -> None:
    """What fails is written at the anchor, and which step it is of stands beside it."""
    steps = READY + "- expect: &one {events: [{reason: Ready}]}\n- advance: 1m\n- expect: *one\n"
    (outcome,) = played(tmp_path, steps)
    (failure,) = outcome.failures
    lines = (tmp_path / "tests.yaml").read_text().splitlines()
    assert "&one" in lines[failure.place.line - 1]
    assert failure.message == f"no Event is as expected (in the step in line {len(lines)})"


def test_a_rule_that_was_not_evaluated_again_says_that_nothing_has_changed(tmp_path: Path) -> None:
    """Its reason is an earlier one, and still holds."""
    steps = f"- apply: {{{WIDGET}, status: {{phase: Begun}}}}\n- expect: {{}}\n- advance: 1h\n- expect: {{events: [{{}}]}}\n"
    reported = "\n".join(failure_lines(*played(tmp_path, steps)))
    assert "when[1] is false: object.status.phase == 'Ready' (evaluated earlier; nothing has changed since)" in reported


def test_what_is_refused_and_what_fires_without_an_effect_are_distinguished(tmp_path: Path) -> None:
    """A rule that has fired is no reason for what is missing, unless `-v` asks for all; a refusal is."""
    (outcome,) = played(tmp_path, READY + "- expect: {nothing: true}\n")
    assert not [line for line in failure_lines(outcome) if "fired" in line and "already" not in line]
    assert "    widgets/late for Widget default/w: skipped: when[1] is false" in "\n".join(failure_lines(outcome))


def test_many_reasons_are_cut_and_verbose_shows_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Twenty stand under a failed step, and what shows the others; with -v each step has all of them."""
    widgets = "".join(f"- apply: {{{WIDGET.replace('name: w', f'name: w{number}')}}}\n" for number in range(30))
    folder = str(written(tmp_path, widgets + "- expect: {events: [{reason: Other}]}\n"))
    assert run_command(["test", folder]) == 1
    assert "    … and 41 more, which -v shows" in capsys.readouterr().out
    assert run_command(["test", folder, "-v"]) == 1
    out = capsys.readouterr().out
    assert out.count(": expect\n") == 1
    assert out.count("default/w29: ") == 4


def test_verbose_shows_what_fired_and_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each step of a test that passes has its rules, with what actions changed."""
    assert run_command(["test", str(written(tmp_path, READY)), "-v"]) == 0
    out = capsys.readouterr().out
    assert "PASS suite: test 0" in out
    assert "    widgets/mark for Widget default/w: done: patch: merge patch of ConfigMap default/settings\n        data: ∅" in out
    assert "    widgets/mark for Widget default/w: fired\n" in out


def test_null_removes_labels_and_annotations(tmp_path: Path) -> None:
    """An applied null takes a key away, as a merge patch does; of an object that is not there yet it says nothing."""
    steps = f"""\
- apply: {{{WIDGET.replace("'yes'}", "'yes', x: null}, annotations: {a: b}")}}}
- expect: {{objects: [{{{WIDGET.replace("'yes'}", "'yes', x: null}, annotations: {a: b}")}}}]}}
- apply: {{{WIDGET.replace("'yes'}", "'yes', x: 'y'}, annotations: {a: null, c: d}")}}}
- expect: {{objects: [{{{WIDGET.replace("'yes'}", "'yes', x: 'y'}, annotations: {a: null, c: d}")}}}]}}
- apply: {{{WIDGET.replace("{watched: 'yes'}", "null, annotations: null")}}}
- expect: {{objects: [{{{WIDGET.replace("{watched: 'yes'}", "{watched: null, x: null}, annotations: {c: null}")}}}]}}
"""
    (outcome,) = played(tmp_path, steps)
    assert outcome.failures == ()


UNCONDITIONAL = """
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: always}
spec:
  watch: {apiVersion: v1, kind: ConfigMap}
  rules:
    - name: plain
      actions: [{annotate: {annotations: {a: b}}}]
    - name: once
      oncePer: object.metadata.uid
      actions: [{annotate: {annotations: {c: d}}}]
    - name: loop
      loop: "['x', 'y']"
      actions: [{annotate: {annotations: {'example.com/${item}': d}}}]
    - name: late
      for: 1m
      oncePer: object.metadata.uid
      actions: [{annotate: {annotations: {e: f}}}]
"""


def test_rules_without_conditions_can_be_covered_in_full(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A rule that nothing holds back has to fire, and no more."""
    folder = written(tmp_path, "- apply: {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n- advance: 1m\n")
    (folder / "pack.yaml").write_text(UNCONDITIONAL)
    assert run_command(["test", str(folder), "--min-coverage", "100"]) == 0, capsys.readouterr().err


def test_a_suite_can_expect_each_result_of_an_action() -> None:
    """The words of suites for how an action ended are those that the engine counts and logs."""
    words = get_args(get_args(ActPattern.model_fields["outcome"].annotation)[0])
    assert sorted(words) == sorted(each.value for each in ActResult)
