"""The report's files: JSON for programs, Markdown for a pull request, HTML for an analyst."""

import json
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from data.codebook import Codebook
from eval.attribution import Mistake
from eval.behavior_cases import behavior_cases
from eval.estimates import Estimate
from eval.junit import Case, junit_xml
from eval.plots import draw
from eval.report import Report

TEMPLATES = Path(__file__).parent
LARGEST_RULES = 8


def write_report(
    report: Report, codebook: Codebook, folder: Path, gates: Sequence[Case] = ()
) -> None:
    """Write `report.json`, `report.md`, `report.html` and `junit.xml` into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report.as_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    files = {
        "report.json": text,
        "report.md": markdown(report, codebook),
        "report.html": html(report, codebook),
        "junit.xml": junit_xml("framescope", [*gates, *behavior_cases(report.behavior)]),
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
        for name, e in report.systems.items()
    )
    labels = "\n".join(
        f"| {key} | {r.precision.value:.3f} | {r.recall.value:.3f} | {r.f1.value:.3f} "
        f"| {span(r.f1)} | {r.average_precision.value:.3f} | {r.roc_auc.value:.3f} "
        f"| {report.labels[key].after.expected_calibration_error.value:.3f} "
        f"| {r.threshold:.3f} | {r.support} |"
        for key, r in result.labels.items()
    )
    notes = "".join(f"\n> {note}\n" for note in report.notes)
    return f"""# {report.model} on {report.corpus.name}

{result.items} passages of {result.documents} documents, corpus `{report.corpus.sha256[:12]}`,
bundle `{report.bundle_sha256[:12]}`, codebook {report.codebook_version}. Macro and micro values are
over the frames ({", ".join(codebook.frames)}), each at its own threshold; intervals are 95 %, from
a bootstrap by document.
{notes}
| | macro-F1 | 95 % | micro-F1 | macro AP | {" | ".join(f"F1 {key}" for key in keys)} |
|---|---|---|---|---|{"---|" * len(keys)}
{systems}

| label | precision | recall | F1 | 95 % | AP | ROC AUC | ECE | threshold | support |
|---|---|---|---|---|---|---|---|---|---|
{labels}
{_documents(report)}{_behavior(report)}
`{run.command}`, {run.created}, commit `{run.git_commit[:12]}`\
{" with uncommitted changes" if run.git_dirty else ""}, {run.cores} cores of {run.cpu}
"""


def _documents(report: Report) -> str:
    if not report.documents:
        return ""
    rows = []
    for result in report.documents:
        macro, evidence = result.measures.macro, result.overall_evidence
        marked = (
            f"{evidence.precision.value:.3f} | {evidence.recall.value:.3f} "
            f"| {evidence.f1.value:.3f}"
            if evidence
            else "| |"
        )
        rows.append(
            f"| {result.source} | {result.measures.items} | {macro.f1.value:.3f} "
            f"| {span(macro.f1)} | {macro.average_precision.value:.3f} | {marked} |"
        )
    table = "\n".join(rows)
    return f"""
| documents | number | macro-F1 | 95 % | macro AP | evidence P | evidence R | evidence F1 |
|---|---|---|---|---|---|---|---|
{table}
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
    environment.globals |= {"span": span, "pieces": pieces}
    return environment.get_template("report.html.j2").render(
        report=report,
        codebook=codebook,
        names={label.key: label.name for label in codebook.labels},
        plots=draw(report, codebook),
    )


def pieces(mistake: Mistake) -> list[tuple[str, float]]:
    """The text in pieces, each with its effect as a share of the largest: 0 where not a word."""
    largest = max((abs(word.effect) for word in mistake.words), default=0.0) or 1.0
    out, position = [], 0
    for word in sorted(mistake.words, key=lambda word: word.start):
        out.append((mistake.text[position : word.start], 0.0))
        out.append((word.word, word.effect / largest))
        position = word.end
    return [*out, (mistake.text[position:], 0.0)]
