"""Say how good a model is, where it fails, and with what certainty.

python -m eval report MODEL [--corpus PATH ... | --split test] [--documents FILE] [--baselines]
"""

import argparse
from pathlib import Path

from data.records import read_records
from eval.documents import read_documents, rebuild_documents
from eval.inputs import add_corpus_arguments, bundle_folder, chosen_records
from eval.render import markdown, write_report
from eval.report import make_report
from models.bundle import read_framing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("model", help="a bundle folder, a registered version, or `promoted`")
    add_corpus_arguments(parser)
    parser.add_argument("--documents", type=Path, help="whole documents to score as well")
    parser.add_argument("--baselines", action="store_true", help="train and score them as well")
    parser.add_argument("--out", type=Path, default=Path("reports/latest"), help="folder to write")


def run(args: argparse.Namespace) -> int:
    """Score, write the report, and print its Markdown."""
    folder = bundle_folder(args.model)
    codebook = read_framing(folder).codebook
    records, name = chosen_records(args, codebook)
    documents = {name: rebuild_documents(records, args.corpus or args.training, codebook)}
    if args.documents:
        documents[args.documents.name] = read_documents(args.documents, codebook)
    training = read_records(args.training, codebook)
    report = make_report(
        folder, records, name, documents, training, codebook, baselines=args.baselines
    )
    write_report(report, codebook, args.out)
    print(markdown(report, codebook))
    return 0
