"""Evaluate a model.

python -m eval report MODEL [--corpus PATH ... | --split test] [--documents FILE] [--baselines]

MODEL is a bundle folder, a registered version, or `promoted`.
"""

import argparse
import sys
from pathlib import Path

from transformers.utils.logging import disable_progress_bar

from data.corpus import DEFAULT_PATHS
from data.records import CorpusError, read_records
from data.splits import SPLITS
from eval.documents import read_documents, rebuild_documents
from eval.render import markdown, write_report
from eval.report import ReportError, make_report
from models import registry
from models.bundle import BundleError, read_framing


def main(argv: list[str] | None = None) -> int:
    """Run the command. 0: done; 2: could not, and why stands on standard error."""
    parser = argparse.ArgumentParser(prog="python -m eval", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    report = commands.add_parser("report", help="score a model on labeled passages")
    report.add_argument("model", help="a bundle folder, a registered version, or `promoted`")
    scored = report.add_mutually_exclusive_group()
    scored.add_argument("--corpus", nargs="+", type=Path, help="files to score whole")
    scored.add_argument("--split", choices=SPLITS, default="test", help="of the training corpus")
    report.add_argument("--documents", type=Path, help="whole documents to score as well")
    report.add_argument("--baselines", action="store_true", help="train and score them as well")
    report.add_argument(
        "--training", nargs="+", type=Path, default=DEFAULT_PATHS,
        help="the corpus of splits, baselines and leakage probes; the project's if not given",
    )  # fmt: skip
    report.add_argument("--out", type=Path, default=Path("reports/latest"), help="folder to write")
    args = parser.parse_args(argv)
    disable_progress_bar()  # of loading the weights of the baselines' encoder
    try:
        run_report(args)
    except (registry.RegistryError, BundleError, CorpusError, ReportError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def run_report(args: argparse.Namespace) -> None:
    """Score, write the report, and print its Markdown."""
    folder = bundle_folder(args.model)
    codebook = read_framing(folder).codebook
    training = read_records(args.training, codebook)
    if args.corpus:
        records, name = read_records(args.corpus, codebook), ", ".join(p.name for p in args.corpus)
    else:
        records = [record for record in training if record.effective_split == args.split]
        name = f"the {args.split} split"
    documents = {name: rebuild_documents(records, args.corpus or args.training, codebook)}
    if args.documents:
        documents[args.documents.name] = read_documents(args.documents, codebook)
    report = make_report(
        folder, records, name, documents, training, codebook, baselines=args.baselines
    )
    write_report(report, codebook, args.out)
    print(markdown(report, codebook))


def bundle_folder(model: str) -> Path:
    """The folder of a bundle given as a path, a version, or `promoted`."""
    if Path(model).is_dir():
        return Path(model)
    return registry.path(registry.promoted() if model == "promoted" else model)


if __name__ == "__main__":
    sys.exit(main())
