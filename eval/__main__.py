"""Evaluate a model.

python -m eval report MODEL [--corpus PATH ... | --split test] [--documents FILE] [--out FOLDER]
python -m eval compare OLD NEW [--corpus PATH ... | --split test]
python -m eval gate MODEL [--gates FILE] [--corpus PATH ... | --split test] [--junit FILE]

MODEL is a bundle folder, a registered version, or `promoted`.
"""

import argparse
import importlib
import sys
from pathlib import Path

from data.records import CorpusError
from eval.inputs import InputError, add_corpus_arguments
from models import registry
from models.base_encoder import BaseEncoderError
from models.bundle import BundleError

MODEL = "a bundle folder, a registered version, or `promoted`"
COULD_NOT_RUN = (
    registry.RegistryError,
    BundleError,
    BaseEncoderError,
    CorpusError,
    InputError,
    OSError,
)


def main(argv: list[str] | None = None) -> int:
    """Run the command. 0: done; 1: a gate failed; 2: could not, and why is on standard error."""
    args = parser().parse_args(argv)
    # Only now, and only this one: the report's plots and baselines take seconds to load.
    command = importlib.import_module(f"eval.{args.command}_command")
    try:
        code: int = command.run(args)
    except COULD_NOT_RUN as error:
        print(error, file=sys.stderr)
        return 2
    return code


def parser() -> argparse.ArgumentParser:
    """The command line."""
    whole = argparse.ArgumentParser(prog="python -m eval", description=__doc__.splitlines()[0])
    commands = whole.add_subparsers(dest="command", required=True)

    report = commands.add_parser("report", help="say how good a model is and where it fails")
    report.add_argument("model", help=MODEL)
    add_corpus_arguments(report)
    report.add_argument("--documents", type=Path, help="whole documents to score as well")
    report.add_argument(
        "--second", nargs="+", type=Path, metavar="PATH",
        help="the same passages by other annotators; of the project's own corpus if not given",
    )  # fmt: skip
    report.add_argument(
        "--baselines", action=argparse.BooleanOptionalAction, default=True,
        help="train and score them as well",
    )  # fmt: skip
    report.add_argument("--gates", type=Path, help="TOML file of bounds")
    report.add_argument("--out", type=Path, default=Path("reports/latest"), help="folder to write")

    compare = commands.add_parser("compare", help="is the new model better than the old one?")
    compare.add_argument("old", help=MODEL)
    compare.add_argument("new", help=MODEL)
    add_corpus_arguments(compare)

    gate = commands.add_parser("gate", help="may this model be promoted?")
    gate.add_argument("model", help=MODEL)
    gate.add_argument("--gates", type=Path, help="TOML file of bounds; the project's if not given")
    add_corpus_arguments(gate)
    gate.add_argument("--junit", type=Path, help="file to write the gates into as JUnit XML")
    return whole


if __name__ == "__main__":
    sys.exit(main())
