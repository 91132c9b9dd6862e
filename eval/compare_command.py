"""Compare two models on the same passages.

python -m eval compare OLD NEW [--corpus PATH ... | --split test]
"""

import argparse
from collections.abc import Sequence

from data.records import Record
from eval.compare import Comparison, compare, markdown
from eval.inputs import (
    InputError,
    bundle_folder,
    chosen_records,
    texts_and_truth,
)
from models.classifier import Classifier


def run(args: argparse.Namespace) -> int:
    """Print the comparison as Markdown. 0: done, whatever the verdict."""
    folders = bundle_folder(args.old), bundle_folder(args.new)
    old, new = map(Classifier.load, folders)
    records, name = chosen_records(args, new.framing.codebook)
    comparison = compare_classifiers(old, new, records)
    print(f"# {folders[1].name} (new) against {folders[0].name} (old) on {name}\n")
    print(markdown(comparison))
    return 0


def compare_classifiers(old: Classifier, new: Classifier, records: Sequence[Record]) -> Comparison:
    """Score the passages with both. Raises `InputError` where their labels are not the same."""
    codebook = new.framing.codebook
    if old.framing.codebook.keys != codebook.keys:
        raise InputError(
            f"The old model's labels are {', '.join(old.framing.codebook.keys)}, the new one's "
            f"{', '.join(codebook.keys)}: only models with the same labels can be compared."
        )
    texts, truth = texts_and_truth(records, codebook)
    return compare(
        truth,
        old.score_passages(texts),
        old.thresholds,
        new.score_passages(texts),
        new.thresholds,
        [record.document_id for record in records],
        codebook,
    )
