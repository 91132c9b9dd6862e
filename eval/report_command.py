"""Say how good a model is, where it fails, and with what certainty.

python -m eval report MODEL [--corpus PATH ... | --split test] [--documents FILE] [--out FOLDER]
"""

import argparse
from pathlib import Path

from data.codebook import Codebook
from data.corpus import DEFAULT_PATHS
from data.records import read_records
from eval.documents import read_documents, rebuild_documents
from eval.gates import DEFAULT_PATH, Gates, load_gates
from eval.inputs import InputError, bundle_folder, chosen_records
from eval.render import markdown, write_report
from eval.report import Inputs, make_report
from models.bundle import read_framing

SECOND_LABELS = Path(__file__).parents[1] / "data/second_labels"
"""Of the project's own corpus."""


def run(args: argparse.Namespace) -> int:
    """Score, write the report, and print its Markdown. 0, whether or not the gates are passed."""
    folder = bundle_folder(args.model)
    codebook = read_framing(folder).codebook
    gates, gates_note = chosen_gates(args.gates, codebook)
    records, name = chosen_records(args, codebook)
    documents = {name: rebuild_documents(records, args.corpus or args.training, codebook)}
    if args.documents:
        documents[args.documents.name] = read_documents(args.documents, codebook)
    second = args.second or ([SECOND_LABELS] if args.training == DEFAULT_PATHS else [])
    inputs = Inputs(
        name=name,
        records=records,
        second=read_records(second, codebook),
        documents={source: found for source, found in documents.items() if found},
        training=read_records(args.training, codebook),
    )
    report = make_report(folder, inputs, codebook, gates, baselines=args.baselines)
    if gates_note:
        report = report.with_note(gates_note)
    write_report(report, codebook, args.out)
    print(markdown(report, codebook))
    return 0


def chosen_gates(path: Path | None, codebook: Codebook) -> tuple[Gates | None, str]:
    """The gates asked for; or the project's, or a sentence why these are for another codebook."""
    try:
        return load_gates(path or DEFAULT_PATH, codebook), ""
    except InputError as error:
        if path:
            raise
        return None, f"The project's gates do not fit this codebook and were left out: {error}"
