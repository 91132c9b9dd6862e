"""May this model be promoted? Each gate is a case that passes or fails, and says why."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from data.codebook import Codebook
from data.records import Record
from eval import metrics
from eval.behavior import Behavior, run_suite
from eval.compare import Comparison, Difference, compare
from eval.gates import Gates
from eval.inputs import promoted_bundle, texts_and_truth
from eval.judgment import Scored
from eval.junit import Case
from eval.measures import Measures, measure
from eval.metrics import Bools
from eval.previous import Previous, score_previous
from eval.suite_items import FOLDER, load_suite
from models.classifier import Classifier

NAMED = 5
"""So many failing items of the suite are named."""


def check_bundle(
    folder: Path, records: Sequence[Record], gates: Gates, codebook: Codebook
) -> tuple[list[Case], str | None]:
    """Score a bundle and judge it; the cases, and the name of the model it was compared with.

    That is the promoted one; None where there is no other, and no regression is judged.
    """
    classifier = Classifier.load(folder)
    texts, truth = texts_and_truth(records, codebook)
    scored = Scored(classifier.score_passages(texts), classifier.thresholds)
    documents = [record.document_id for record in records]
    behavior = None
    if gates.need_suite:
        suite = load_suite(codebook)
        behavior = run_suite(classifier.score_passages, classifier.thresholds, codebook, suite)
    promoted = promoted_bundle(other_than=folder)
    previous = score_previous(promoted, texts, codebook) if promoted else None
    cases = [
        *judge_bounds(
            gates,
            codebook,
            measure(truth, *scored, documents, codebook.keys, codebook.frames),
            {
                key: metrics.expected_calibration_error(truth[:, i], scored.scores[:, i])
                for i, key in enumerate(codebook.keys)
            },
            behavior,
        ),
        *judge_regression(gates, codebook, truth, documents, scored, previous),
    ]
    return cases, previous.name if previous else None


def judge_bounds(
    gates: Gates,
    codebook: Codebook,
    measures: Measures,
    calibration_errors: Mapping[str, float],
    behavior: Behavior | None,
) -> Iterator[Case]:
    """All bounds but regression, from results by label.

    `behavior` may be None only where `gates.need_suite` is false.
    """
    yield from judge_labels(measures, gates, codebook)
    yield from judge_calibration(calibration_errors, gates, codebook)
    if gates.need_suite:
        if behavior is None:
            raise ValueError("these gates need the behavioral suite")
        yield from judge_behavior(behavior, gates)


def judge_regression(
    gates: Gates,
    codebook: Codebook,
    truth: Bools,
    documents: Sequence[str],
    new: Scored,
    previous: Previous | None,
) -> Iterator[Case]:
    """Whether the new scores, of shape (n, labels) like the truth, lose against the previous."""
    if previous is None or gates.regression_allowed:
        return
    if previous.scored is None:
        keys = ", ".join(previous.labels)
        message = f"cannot be judged: the promoted model has other labels ({keys})"
        yield Case("no regression", False, message)
        return
    comparison = compare(truth, *previous.scored, *new, documents, codebook)
    yield from judge_comparison(comparison, codebook)


def judge_labels(measures: Measures, gates: Gates, codebook: Codebook) -> Iterator[Case]:
    """The floors: macro-F1, which needs every frame's support, then F1 by label."""
    labels = measures.labels
    if gates.minimum_macro_f1 is not None:
        rarest = min(codebook.frames, key=lambda frame: labels[frame].support)
        yield _floor(
            "macro-F1",
            measures.macro.f1.value,
            gates.minimum_macro_f1,
            (rarest, labels[rarest].support, gates.minimum_support),
            "the lowest labels in the report",
        )
    for key, floor in gates.minimum_f1.items():
        yield _floor(
            f"F1 of {key}",
            labels[key].f1.value,
            floor,
            (key, labels[key].support, gates.minimum_support),
            f"the curve and the errors of {key} in the report",
        )


def judge_calibration(
    errors: Mapping[str, float], gates: Gates, codebook: Codebook
) -> Iterator[Case]:
    """The calibration error of every frame."""
    if gates.maximum_calibration_error is None:
        return
    for key in codebook.frames:
        where = f"the reliability diagram of {key} in the report"
        bound = gates.maximum_calibration_error
        yield _ceiling(f"calibration error of {key}", errors[key], bound, where)


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


def judge_comparison(comparison: Comparison, codebook: Codebook) -> Iterator[Case]:
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
