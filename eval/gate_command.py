"""Say whether a model may be promoted.

python -m eval gate MODEL [--gates FILE] [--corpus PATH ... | --split test] [--junit FILE]
"""

import argparse

from eval.gate import check_bundle
from eval.gates import DEFAULT_PATH, load_gates
from eval.inputs import bundle_folder, chosen_records
from eval.junit import junit_xml
from models.bundle import read_framing


def run(args: argparse.Namespace) -> int:
    """Print a line for each gate. 0: all passed; 1: some failed."""
    folder = bundle_folder(args.model)
    codebook = read_framing(folder).codebook
    gates = load_gates(args.gates or DEFAULT_PATH, codebook)
    records, name = chosen_records(args, codebook)
    cases, previous = check_bundle(folder, records, gates, codebook)
    if args.junit:
        args.junit.parent.mkdir(parents=True, exist_ok=True)
        args.junit.write_text(junit_xml("gates", cases), encoding="utf-8")
    for case in cases:
        print(f"{'passed' if case.passed else 'FAILED'}  {case.name}: {case.message}")
    if previous is None:
        print("not compared: no other model is promoted")
    failed = sum(not case.passed for case in cases)
    print(f"{folder.name} on {name}: {failed or 'none'} of {len(cases)} gates failed")
    return 1 if failed else 0
