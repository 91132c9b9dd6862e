"""May this model be promoted? Each gate is a case that passes or fails, and says why."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from data.codebook import Codebook
from data.records import Record
from eval import metrics
from eval.behavior import Behavior, run_suite
from eval.compare import Comparison, Difference, compare
from eval.evaluation import Evaluation, evaluate
from eval.gates import Gates
from eval.inputs import promoted_bundle, texts_and_truth
from eval.junit import Case
from eval.metrics import Bools, Floats
from eval.suite_items import FOLDER, Suite, load_suite
from models.classifier import Classifier

NAMED = 5
"""So many failing items of the suite are named."""


def check(
    classifier: Classifier,
    records: Sequence[Record],
    gates: Gates,
    codebook: Codebook,
    previous: Classifier | None,
    suite: Suite | None,
) -> list[Case]:
    """Score the records, and the suite where the gates need it, and judge.

    Without a previous model regression is not judged. `suite` may be None only where
    `gates.need_suite` is false.
    """
    texts, truth = texts_and_truth(records, codebook)
    scores = classifier.score_passages(texts)
    thresholds = classifier.thresholds
    cases = [
        *judge_labels(evaluate(truth, scores, thresholds, codebook), gates, codebook),
        *judge_calibration(truth, scores, gates, codebook),
    ]
    if gates.need_suite:
        if suite is None:
            raise ValueError("these gates need the behavioral suite")
        behavior = run_suite(classifier.score_passages, thresholds, codebook, suite)
        cases += judge_behavior(behavior, gates)
    if previous is None or gates.regression_allowed:
        return cases
    if previous.framing.codebook.keys != codebook.keys:
        keys = ", ".join(previous.framing.codebook.keys)
        message = f"cannot be judged: the promoted model has other labels ({keys})"
        return [*cases, Case("no regression", False, message)]
    comparison = compare(
        truth,
        previous.score_passages(texts),
        previous.thresholds,
        scores,
        thresholds,
        [record.document_id for record in records],
        codebook,
    )
    return [*cases, *judge_regression(comparison, codebook)]


def check_bundle(
    folder: Path, records: Sequence[Record], gates: Gates, codebook: Codebook
) -> tuple[list[Case], Path | None]:
    """The cases of a bundle, and the promoted bundle that it was compared with, if there is one."""
    promoted = promoted_bundle(other_than=folder)
    cases = check(
        Classifier.load(folder),
        records,
        gates,
        codebook,
        Classifier.load(promoted) if promoted else None,
        load_suite(codebook) if gates.need_suite else None,
    )
    return cases, promoted


def judge_labels(evaluation: Evaluation, gates: Gates, codebook: Codebook) -> Iterator[Case]:
    """The floors: macro-F1, which needs every frame's support, then F1 by label."""
    labels = evaluation.labels
    if gates.minimum_macro_f1 is not None:
        rarest = min(codebook.frames, key=lambda frame: labels[frame].support)
        yield _floor(
            "macro-F1",
            evaluation.macro_f1,
            gates.minimum_macro_f1,
            (rarest, labels[rarest].support, gates.minimum_support),
            "the lowest labels in the report",
        )
    for key, floor in gates.minimum_f1.items():
        yield _floor(
            f"F1 of {key}",
            labels[key].f1,
            floor,
            (key, labels[key].support, gates.minimum_support),
            f"the curve and the errors of {key} in the report",
        )


def judge_calibration(
    truth: Bools, scores: Floats, gates: Gates, codebook: Codebook
) -> Iterator[Case]:
    """The calibration error of every frame."""
    if gates.maximum_calibration_error is None:
        return
    for key in codebook.frames:
        column = codebook.keys.index(key)
        error = metrics.expected_calibration_error(truth[:, column], scores[:, column])
        where = f"the reliability diagram of {key} in the report"
        yield _ceiling(f"calibration error of {key}", error, gates.maximum_calibration_error, where)


def judge_behavior(behavior: Behavior, gates: Gates) -> Iterator[Case]:
    """The suite's measures; a failed one names some of the items that went wrong."""
    if gates.maximum_flip_rate is not None:
        worst = [" and ".join(pair.actors) for pair in behavior.actor_swap.pairs]
        yield _ceiling(
            "actor-swap flip rate",
            behavior.actor_swap.overall.flip_rate.value,
            gates.maximum_flip_rate,
            _items("actor_swap", worst[:NAMED]),
        )
    if gates.maximum_topic_false_positives is not None:
        topics = behavior.topic_without_frame
        yield _ceiling(
            "topic false-positive rate",
            topics.overall.value,
            gates.maximum_topic_false_positives,
            _items("topic_without_frame", list(topics.failing)),
        )
    if gates.minimum_pairs_right is not None:
        pairs = behavior.minimal_pairs
        right, floor = pairs.overall.value, gates.minimum_pairs_right
        where = _items("minimal_pairs", list(pairs.failing))
        yield _case(
            "minimal pairs right",
            right >= floor,
            f"{right:.3f}, at least {floor:.3f} wanted",
            where,
        )


def judge_regression(comparison: Comparison, codebook: Codebook) -> Iterator[Case]:
    """No significant loss against the promoted model, in macro-F1 and on every frame."""
    yield _no_regression("macro-F1", comparison.macro_f1)
    for key in codebook.frames:
        yield _no_regression(f"F1 of {key}", comparison.labels[key])


def _no_regression(name: str, found: Difference) -> Case:
    message = (
        f"{found.new:.3f} after {found.old:.3f}, a difference of {found.difference:+.3f} "
        f"({found.low:+.3f} to {found.high:+.3f}), which must not show it worse"
    )
    return _case(
        f"{name} against the promoted model",
        found.verdict != "worse",
        message,
        "`python -m eval compare promoted MODEL`",
    )


def _floor(
    name: str, value: float, floor: float, carried: tuple[str, int, int], where: str
) -> Case:
    """`carried` is the label that the value hangs on, its support, and the least support."""
    key, support, least = carried
    if support < least:
        message = (
            f"cannot be judged: {support} passages carry {key}, at least {least} wanted; label "
            "more, or lower minimum_support in the gates file"
        )
        return Case(name, False, message)
    return _case(name, value >= floor, f"{value:.3f}, at least {floor:.3f} wanted", where)


def _ceiling(name: str, value: float, ceiling: float, where: str) -> Case:
    return _case(name, value <= ceiling, f"{value:.3f}, at most {ceiling:.3f} wanted", where)


def _case(name: str, passed: bool, message: str, where: str) -> Case:
    return Case(name, passed, message if passed else f"{message}; look at {where}")


def _items(kind: str, items: Sequence[str]) -> str:
    file = Path(FOLDER.parent.name) / FOLDER.name / f"{kind}.jsonl"
    more = ", ..." if len(items) > NAMED else ""
    return f"{', '.join(items[:NAMED])}{more} in {file}"
