"""The report's files: JSON for programs, Markdown for a pull request, HTML for an analyst."""

import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from data.codebook import Codebook
from eval.attribution import Mistake
from eval.behavior_cases import behavior_cases
from eval.estimates import Estimate
from eval.junit import junit_xml
from eval.plots import draw
from eval.report import Report
from eval.slices import Slice

TEMPLATES = Path(__file__).parent
MANY_SMALL = 8
"""So many small slices of a dimension are shown one by one."""


def write_report(report: Report, codebook: Codebook, folder: Path) -> None:
    """Write `report.json`, `report.md`, `report.html` and `junit.xml` into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report.as_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    files = {
        "report.json": text,
        "report.md": markdown(report, codebook),
        "report.html": html(report, codebook),
        "junit.xml": junit_xml(
            "framescope", [*(report.gates or ()), *behavior_cases(report.behavior)]
        ),
    }
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")


def markdown(report: Report, codebook: Codebook) -> str:
    """The report for people, short enough for a pull-request comment."""
    result, run = report.result, report.provenance
    keys = codebook.keys
    systems = "\n".join(
        f"| {name} | {e.macro.f1.value:.3f} | {span(e.macro.f1)} | {e.micro.f1.value:.3f} "
        f"| {e.macro.average_precision.value:.3f} | "
        + " | ".join(f"{e.labels[key].f1.value:.3f}" for key in keys)
        + " |"
        for name, e in report.passages.systems.items()
    )
    labels = "\n".join(
        f"| {key} | {r.precision.value:.3f} | {r.recall.value:.3f} | {r.f1.value:.3f} "
        f"| {span(r.f1)} | {r.average_precision.value:.3f} | {r.roc_auc.value:.3f} "
        f"| {report.passages.labels[key].after.expected_calibration_error.value:.3f} "
        f"| {r.threshold:.3f} | {r.support} |"
        for key, r in result.labels.items()
    )
    notes = "".join(f"\n> {note}\n" for note in report.notes)
    return f"""# {report.model} on {report.corpus.name}

{result.items} passages of {result.documents} documents, corpus `{report.corpus.sha256[:12]}`,
bundle `{report.bundle_sha256[:12]}`, codebook {report.codebook_version}. Macro and micro values are
over the frames ({", ".join(codebook.frames)}), each at its own threshold; intervals are 95 %, from
a bootstrap by document.
{notes}{_gates(report)}
| | macro-F1 | 95 % | micro-F1 | macro AP | {" | ".join(f"F1 {key}" for key in keys)} |
|---|---|---|---|---|{"---|" * len(keys)}
{systems}

| label | precision | recall | F1 | 95 % | AP | ROC AUC | ECE | threshold | support |
|---|---|---|---|---|---|---|---|---|---|
{labels}
{_documents(report)}{_agreement(report)}{_behavior(report)}
`{run.command}`, {run.created}, commit `{run.git_commit[:12]}`\
{" with uncommitted changes" if run.git_dirty else ""}, {run.cores} cores of {run.cpu}
"""


def _gates(report: Report) -> str:
    if report.gates is None:
        return ""
    failed = report.failed_gates
    lines = "".join(f"- {case.name}: {case.message}\n" for case in failed)
    if not failed:
        return f"\n**All {len(report.gates)} gates passed.**\n"
    return f"\n**{len(failed)} of {len(report.gates)} gates failed:**\n\n{lines}"


def _documents(report: Report) -> str:
    if not report.documents:
        return ""
    rows = []
    for result in report.documents:
        for number, (name, measures) in enumerate(result.judgment.systems.items()):
            macro, evidence = measures.macro, result.overall_evidence
            marked = (
                f"{evidence.precision.value:.3f} | {evidence.recall.value:.3f} "
                f"| {evidence.f1.value:.3f}"
                if evidence and not number
                else "| |"
            )
            rows.append(
                f"| {result.source} | {measures.items} | {name} | {macro.f1.value:.3f} "
                f"| {span(macro.f1)} | {macro.average_precision.value:.3f} | {marked} |"
            )
    table = "\n".join(rows)
    return f"""
| documents | number | | macro-F1 | 95 % | macro AP | evidence P | evidence R | evidence F1 |
|---|---|---|---|---|---|---|---|---|
{table}
"""


def _agreement(report: Report) -> str:
    if report.agreement is None:
        return ""
    agreement = report.agreement
    rows = "\n".join(
        f"| {key} | {'–' if of.alpha is None else f'{of.alpha:.3f}'} "
        f"| {of.annotators_f1.value:.3f} | {span(of.annotators_f1)} "
        f"| {of.model_f1.value:.3f} | {span(of.model_f1)} |"
        for key, of in agreement.labels.items()
    )
    return f"""
| {agreement.passages} passages by several annotators | alpha | F1 among them | 95 % \
| F1 of the model | 95 % |
|---|---|---|---|---|---|
{rows}
"""


def _behavior(report: Report) -> str:
    if report.behavior is None:
        return ""
    behavior = report.behavior
    measures = {
        "actor swap: decisions that flip": behavior.actor_swap.overall.flip_rate,
        "topic without frame: false positives": behavior.topic_without_frame.overall,
        "minimal pairs: both sides right": behavior.minimal_pairs.overall,
        **{
            f"{name.replace('_', ' ')}: decisions that flip": result.overall
            for name, result in behavior.robustness.items()
        },
    }
    rows = "\n".join(
        f"| {name} | {e.value:.3f} | {span(e)} | {e.count} |" for name, e in measures.items()
    )
    return f"""
| behavior | rate | 95 % | cases |
|---|---|---|---|
{rows}
"""


def span(estimate: Estimate) -> str:
    """The interval, as in tables."""
    return f"{estimate.low:.3f}–{estimate.high:.3f}"


def html(report: Report, codebook: Codebook) -> str:
    """One file that needs no other: style and plots stand in it."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"span": span, "pieces": pieces, "shown_slices": shown_slices}
    return environment.get_template("report.html.j2").render(
        report=report,
        codebook=codebook,
        names={label.key: label.name for label in codebook.labels},
        plots=draw(report, codebook),
    )


def shown_slices(slices: Sequence[Slice]) -> list[tuple[str, list[Slice], list[Slice]]]:
    """Each dimension with the slices to show, and small ones to sum up where they are many."""
    found = []
    for dimension, of_dimension in groupby(slices, key=lambda part: part.dimension):
        parts = list(of_dimension)
        small = [part for part in parts if part.small]
        if len(small) > MANY_SMALL:
            found.append((dimension, [part for part in parts if not part.small], small))
        else:
            found.append((dimension, parts, []))
    return found


def pieces(mistake: Mistake) -> list[tuple[str, float]]:
    """The text in pieces, each with its effect as a share of the largest: 0 where not a word."""
    largest = max((abs(word.effect) for word in mistake.words), default=0.0) or 1.0
    out, position = [], 0
    for word in sorted(mistake.words, key=lambda word: word.start):
        out.append((mistake.text[position : word.start], 0.0))
        out.append((word.word, word.effect / largest))
        position = word.end
    return [*out, (mistake.text[position:], 0.0)]
