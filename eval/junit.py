"""Results as JUnit XML, which CI systems show as tests."""

from collections.abc import Iterable
from typing import NamedTuple
from xml.etree import ElementTree

from eval.behavior import Behavior
from eval.estimates import Estimate


class Case(NamedTuple):
    """One thing that holds or does not; the message says value, bound, and where to look."""

    name: str
    passed: bool
    message: str


def junit(cases: Iterable[Case], suite: str) -> str:
    """The XML of one test suite. `a.b: c` is case c of class a.b."""
    cases = list(cases)
    failures = sum(not case.passed for case in cases)
    counts = {"tests": str(len(cases)), "failures": str(failures), "errors": "0"}
    root = ElementTree.Element("testsuites", counts)
    parent = ElementTree.SubElement(root, "testsuite", {"name": suite, **counts})
    for case in cases:
        group, _, name = case.name.rpartition(": ")
        node = ElementTree.SubElement(
            parent, "testcase", {"classname": group or suite, "name": name, "time": "0"}
        )
        if case.passed:
            ElementTree.SubElement(node, "system-out").text = case.message
        else:
            ElementTree.SubElement(node, "failure", {"message": case.message})
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def behavior_cases(behavior: Behavior | None) -> list[Case]:
    """Each measure of the suite as a case that only tells its value; bounds are the gate's."""
    if behavior is None:
        return []
    swap, topics, pairs = (
        behavior.actor_swap,
        behavior.topic_without_frame,
        behavior.minimal_pairs,
    )
    return [
        _case("actor swap: flip rate", swap.overall.flip_rate),
        *(_case(f"actor swap: flip rate, {key}", e.flip_rate) for key, e in swap.labels.items()),
        _case("topic without frame: false positives", topics.overall),
        *(_case(f"topic without frame: {rule}", e) for rule, e in topics.rules.items()),
        _case("minimal pairs: both sides right", pairs.overall),
        *(_case(f"minimal pairs: both sides right, {k}", e) for k, e in pairs.labels.items()),
        *(
            _case(f"robustness: flip rate, {name}", result.overall)
            for name, result in behavior.robustness.items()
        ),
    ]


def _case(name: str, value: Estimate) -> Case:
    text = f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f}, n = {value.count}); no bound"
    return Case(name, True, text)
