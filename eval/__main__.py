"""Evaluate a model.

python -m eval report MODEL [--corpus PATH ... | --split test] [--baselines] [--out FOLDER]
python -m eval compare OLD NEW [--corpus PATH ... | --split test]
python -m eval gate MODEL [--gates FILE] [--corpus PATH ... | --split test] [--junit FILE]

MODEL is a bundle folder, a registered version, or `promoted`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from data.codebook import Codebook
from data.corpus import DEFAULT_PATHS, corpus_fingerprint
from data.records import CorpusError, Record, read_records
from data.splits import SPLITS
from eval import compare_command, gate_command
from eval.baselines import Baseline, linear_probe, tfidf
from eval.evaluation import Evaluation, evaluate
from eval.inputs import InputError, bundle_folder, texts_and_truth
from eval.metrics import Bools
from eval.report import Report, describe_run, markdown, write_report
from models import registry
from models.bundle import BundleError, bundle_sha256
from models.calibration import best_threshold
from models.classifier import Classifier

COULD_NOT_RUN = (
    registry.RegistryError,
    BundleError,
    CorpusError,
    InputError,
    FileNotFoundError,
)


def main(argv: list[str] | None = None) -> int:
    """Run the command. 0: done; 1: a gate failed; 2: could not, and why is on standard error."""
    parser = argparse.ArgumentParser(prog="python -m eval", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    report = commands.add_parser("report", help="score a model on labeled passages")
    report.add_argument("model", help="a bundle folder, a registered version, or `promoted`")
    report.add_argument("--corpus", nargs="+", type=Path, help="files to score whole")
    report.add_argument("--split", choices=SPLITS, default="test", help="of the project's corpus")
    report.add_argument("--baselines", action="store_true", help="train and score them as well")
    report.add_argument("--out", type=Path, default=Path("reports/latest"), help="folder to write")
    compare = commands.add_parser("compare", help="is the new model better than the old one?")
    compare_command.add_arguments(compare)
    gate = commands.add_parser("gate", help="may this model be promoted?")
    gate_command.add_arguments(gate)
    args = parser.parse_args(argv)
    try:
        match args.command:
            case "compare":
                return compare_command.run(args)
            case "gate":
                return gate_command.run(args)
        run_report(args)
    except COULD_NOT_RUN as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def run_report(args: argparse.Namespace) -> None:
    """Score, write the report, and print its Markdown."""
    folder = bundle_folder(args.model)
    classifier = Classifier.load(folder)
    codebook = classifier.framing.codebook
    if args.corpus:
        records, name = read_records(args.corpus, codebook), ", ".join(p.name for p in args.corpus)
    else:
        records = [
            r for r in read_records(DEFAULT_PATHS, codebook) if r.effective_split == args.split
        ]
        name = f"the {args.split} split"
    texts, truth = texts_and_truth(records, codebook)
    model = f"framescope {folder.name}"
    systems = {
        model: evaluate(truth, classifier.score_passages(texts), classifier.thresholds, codebook)
    }
    notes = []
    if args.baselines:
        training = read_records(DEFAULT_PATHS, codebook)
        if corpus_fingerprint(training) != classifier.framing.provenance.corpus_sha256:
            notes.append("The baselines learned from another state of the corpus than the model.")
        baselines: dict[str, Baseline] = {
            "TF-IDF + logistic regression": tfidf,
            "linear probe": linear_probe(classifier.framing.provenance.base_encoder.name),
        }
        for title, baseline in baselines.items():
            systems[title] = evaluate_baseline(baseline, training, texts, truth, codebook)
    report = Report(
        model=model,
        bundle_sha256=bundle_sha256(folder),
        corpus=name,
        corpus_sha256=corpus_fingerprint(records),
        codebook_version=codebook.version,
        systems=systems,
        notes=tuple(notes),
        **describe_run(),
    )
    write_report(report, codebook, args.out)
    print(markdown(report, codebook))


def evaluate_baseline(
    baseline: Baseline,
    corpus: Sequence[Record],
    texts: Sequence[str],
    truth: Bools,
    codebook: Codebook,
) -> Evaluation:
    """Train on the corpus's training split, choose thresholds on validation, score the texts."""

    def of_split(split: str) -> tuple[list[str], Bools]:
        return texts_and_truth([r for r in corpus if r.effective_split == split], codebook)

    (train, train_truth), (validation, validation_truth) = of_split("train"), of_split("validation")
    scored = baseline(train, train_truth, [*validation, *texts])
    thresholds = [
        best_threshold(scores, present)
        for scores, present in zip(scored[: len(validation)].T, validation_truth.T, strict=True)
    ]
    return evaluate(truth, scored[len(validation) :], thresholds, codebook)


if __name__ == "__main__":
    sys.exit(main())
