"""JUnit's XML, which every CI service shows as a list of passed and failed cases."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to write."""


@dataclass(frozen=True)
class Case:
    """One thing that was checked. The message gives the value and the bound either way."""

    name: str
    passed: bool
    message: str


def junit_xml(suite_name: str, cases: Sequence[Case]) -> str:
    """The cases as one test suite; a failed one says its message. No case gives an empty suite."""
    failures = sum(not case.passed for case in cases)
    suite = ElementTree.Element(
        "testsuite", name=_legal(suite_name), tests=str(len(cases)), failures=str(failures)
    )
    for case in cases:
        element = ElementTree.SubElement(
            suite, "testcase", classname=_legal(suite_name), name=_legal(case.name)
        )
        tag = "system-out" if case.passed else "failure"
        child = ElementTree.SubElement(element, tag)
        child.text = _legal(case.message)
        if not case.passed:
            child.set("message", _legal(case.message))
    ElementTree.indent(suite)
    body = ElementTree.tostring(suite, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _legal(text: str) -> str:
    return ILLEGAL.sub("\ufffd", text)
