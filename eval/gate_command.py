"""Say whether a model may be promoted.

python -m eval gate MODEL [--gates FILE] [--corpus PATH ... | --split test] [--junit FILE]
"""

import argparse
from pathlib import Path

from eval.gate import check_bundle
from eval.gates import DEFAULT_PATH, load_gates
from eval.inputs import add_corpus_arguments, bundle_folder, chosen_records
from eval.junit import junit_xml
from models.bundle import read_framing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("model", help="a bundle folder, a registered version, or `promoted`")
    parser.add_argument("--gates", type=Path, default=DEFAULT_PATH, help="TOML file of bounds")
    add_corpus_arguments(parser)
    parser.add_argument("--junit", type=Path, help="file to write the gates into as JUnit XML")


def run(args: argparse.Namespace) -> int:
    """Print a line for each gate. 0: all passed; 1: some failed."""
    folder = bundle_folder(args.model)
    codebook = read_framing(folder).codebook
    gates = load_gates(args.gates, codebook)
    records, name = chosen_records(args, codebook)
    cases, promoted = check_bundle(folder, records, gates, codebook)
    if args.junit:
        args.junit.parent.mkdir(parents=True, exist_ok=True)
        args.junit.write_text(junit_xml("gates", cases), encoding="utf-8")
    for case in cases:
        print(f"{'passed' if case.passed else 'FAILED'}  {case.name}: {case.message}")
    if promoted is None:
        print("not compared: no other model is promoted")
    failed = sum(not case.passed for case in cases)
    print(f"{folder.name} on {name}: {failed or 'none'} of {len(cases)} gates failed")
    return 1 if failed else 0
