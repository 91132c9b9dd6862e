"""The evaluation report: one result in memory, rendered as JSON and as Markdown."""

import json
import platform
import shlex
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data.codebook import Codebook
from eval.evaluation import Evaluation

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Report:
    """Everything a report says. `systems` holds the model first, then the baselines."""

    model: str
    bundle_sha256: str
    corpus: str
    corpus_sha256: str
    codebook_version: str
    systems: dict[str, Evaluation]
    notes: tuple[str, ...]
    command: str
    created: str
    machine: str

    def as_json(self) -> dict[str, Any]:
        """The layout of `report.json`."""
        return {"schema": SCHEMA_VERSION, **asdict(self)}


def describe_run() -> dict[str, str]:
    """The command line, the time, and the machine of this process."""
    return {
        "command": shlex.join(["python", "-m", "eval", *sys.argv[1:]]),
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }


def write_report(report: Report, codebook: Codebook, folder: Path) -> None:
    """Write `report.json` and `report.md` into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n"
    (folder / "report.json").write_text(text, encoding="utf-8")
    (folder / "report.md").write_text(markdown(report, codebook), encoding="utf-8")


def markdown(report: Report, codebook: Codebook) -> str:
    """The report for people, short enough for a pull-request comment."""
    model, result = next(iter(report.systems.items()))
    systems = "\n".join(
        f"| {name} | {e.macro_f1:.3f} | {e.micro_f1:.3f} | {e.macro_average_precision:.3f} | "
        + " | ".join(f"{e.labels[key].f1:.3f}" for key in codebook.keys)
        + " |"
        for name, e in report.systems.items()
    )
    labels = "\n".join(
        f"| {key} | {r.precision:.3f} | {r.recall:.3f} | {r.f1:.3f} | {r.average_precision:.3f} "
        f"| {r.threshold:.3f} | {r.support} |"
        for key, r in result.labels.items()
    )
    notes = "".join(f"\n> {note}\n" for note in report.notes)
    return f"""# {model} on {report.corpus}

{result.passages} passages, corpus `{report.corpus_sha256[:12]}`, bundle
`{report.bundle_sha256[:12]}`, codebook {report.codebook_version}. Macro and micro values are over
the frames ({", ".join(codebook.frames)}), each at its own threshold.
{notes}
| | macro-F1 | micro-F1 | macro AP | {" | ".join(f"F1 {key}" for key in codebook.keys)} |
|---|---|---|---|{"---|" * len(codebook.keys)}
{systems}

| label | precision | recall | F1 | average precision | threshold | support |
|---|---|---|---|---|---|---|
{labels}

`{report.command}`, {report.created}, {report.machine}
"""
