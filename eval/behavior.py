"""The behavioral suite: what a model must do whatever corpus it learned from.

Actor swap, topics without their frame, minimal pairs, and changes that must not matter. Every
measure takes a scoring function such as `Classifier.score_passages`, the thresholds and the
codebook, and scores what it needs in one call; `run_suite` does all of it in one.
"""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np

from data.codebook import Codebook
from eval.actor_swap import ActorSwap, Scorer, measure_actor_swap
from eval.casts import fill, original_cast, swap_variants
from eval.estimates import SEED, Estimate, wilson
from eval.metrics import Bools, Floats
from eval.perturbations import PERTURBATIONS
from eval.suite_items import Pair, Suite, Topic
from models.calibration import Scores

TEXTS_PER_PERTURBATION = 100


@dataclass(frozen=True)
class TopicWithoutFrame:
    """How often a frame is found that the passage does not carry: overall and by exclude rule.

    `failing` gives the frames wrongly found by the passage's id.
    """

    overall: Estimate
    rules: dict[str, Estimate]
    failing: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class MinimalPairs:
    """How often both sides are right on the pair's own label: overall and by label.

    `failing` gives the sides that are wrong (`with`, `without`) by the pair's id.
    """

    overall: Estimate
    labels: dict[str, Estimate]
    failing: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Robustness:
    """How often a perturbation flips a decision, per label; overall: any frame's decision."""

    overall: Estimate
    labels: dict[str, Estimate]


@dataclass(frozen=True)
class Behavior:
    """All measures of the suite with this hash; `robustness` is by perturbation."""

    suite_sha256: str
    texts: int
    actor_swap: ActorSwap
    topic_without_frame: TopicWithoutFrame
    minimal_pairs: MinimalPairs
    robustness: dict[str, Robustness]


def run_suite(
    score: Scorer, thresholds: Sequence[float] | Floats, codebook: Codebook, suite: Suite
) -> Behavior:
    """Score every text of the suite once, all in one call, and measure."""
    variants = swap_variants(suite)
    perturbed = perturbed_texts(suite)
    needed = [
        *(variant.text for variant in variants),
        *(topic.text for topic in suite.topics),
        *(side.text for pair in suite.pairs for side in (pair.with_, pair.without)),
        *(text for pairs in perturbed.values() for both in pairs for text in both),
    ]
    row_of = {text: row for row, text in enumerate(dict.fromkeys(needed))}
    scores = score(list(row_of))

    def known(texts: Sequence[str]) -> Scores:
        return scores[[row_of[text] for text in texts]]

    return Behavior(
        suite_sha256=suite.sha256,
        texts=len(row_of),
        actor_swap=measure_actor_swap(known, thresholds, codebook, variants),
        topic_without_frame=measure_topics(known, thresholds, codebook, suite.topics),
        minimal_pairs=measure_pairs(known, thresholds, codebook, suite.pairs),
        robustness=measure_robustness(known, thresholds, codebook, perturbed),
    )


def measure_topics(
    score: Scorer,
    thresholds: Sequence[float] | Floats,
    codebook: Codebook,
    topics: Sequence[Topic],
) -> TopicWithoutFrame:
    """Score the topics and look for frames that are not there."""
    found = score([topic.text for topic in topics]) >= np.asarray(thresholds)
    wrong = {
        topic.id: tuple(
            frame
            for frame in codebook.frames
            if row[codebook.keys.index(frame)] and not topic.carries(frame)
        )
        for topic, row in zip(topics, found, strict=True)
    }
    failing = {name: frames for name, frames in wrong.items() if frames}
    rule_of = {topic.id: topic.rule for topic in topics}
    return TopicWithoutFrame(*_shares(rule_of, failing.keys()), failing)


def measure_pairs(
    score: Scorer,
    thresholds: Sequence[float] | Floats,
    codebook: Codebook,
    pairs: Sequence[Pair],
) -> MinimalPairs:
    """Score both sides of the pairs and judge each on the pair's own label."""
    texts = [pair.with_.text for pair in pairs] + [pair.without.text for pair in pairs]
    found_with, found_without = np.split(score(texts) >= np.asarray(thresholds), 2)
    failing = {}
    for row, pair in enumerate(pairs):
        label = codebook.keys.index(pair.frame)
        missed, invented = not found_with[row, label], bool(found_without[row, label])
        if missed or invented:
            failing[pair.id] = ("with",) * missed + ("without",) * invented
    label_of = {pair.id: pair.frame for pair in pairs}
    return MinimalPairs(*_shares(label_of, label_of.keys() - failing.keys()), failing)


def _shares(group_of: dict[str, str], hits: Set[str]) -> tuple[Estimate, dict[str, Estimate]]:
    """The share of hits among all items and among each group's, from each item's group."""
    groups: defaultdict[str, list[bool]] = defaultdict(list)
    for item, group in group_of.items():
        groups[group].append(item in hits)
    overall = wilson(np.array([item in hits for item in group_of], np.bool_))
    return overall, {group: wilson(np.array(hit)) for group, hit in groups.items()}


def measure_robustness(
    score: Scorer,
    thresholds: Sequence[float] | Floats,
    codebook: Codebook,
    perturbed: Mapping[str, Sequence[tuple[str, str]]],
) -> dict[str, Robustness]:
    """Score texts before and after each perturbation, and compare the decisions."""
    both = [pair for pairs in perturbed.values() for pair in pairs]
    texts = [before for before, _ in both] + [after for _, after in both]
    before, after = np.split(score(texts) >= np.asarray(thresholds), 2)
    ends = np.cumsum([len(pairs) for pairs in perturbed.values()])
    return {
        name: _robustness(flips, codebook)
        for name, flips in zip(perturbed, np.split(before != after, ends[:-1]), strict=True)
    }


def _robustness(flips: Bools, codebook: Codebook) -> Robustness:
    frames = [codebook.keys.index(frame) for frame in codebook.frames]
    any_flip: Bools = np.logical_or.reduce(flips[:, frames], axis=1)
    labels = {key: wilson(flips[:, column]) for column, key in enumerate(codebook.keys)}
    return Robustness(wilson(any_flip), labels)


def perturbed_texts(suite: Suite) -> dict[str, list[tuple[str, str]]]:
    """For each perturbation up to `TEXTS_PER_PERTURBATION` texts that it changes: before, after.

    One text of each item, drawn by lot.
    """
    texts = [
        *(fill(passage, original_cast(passage), suite.actors) for passage in suite.swaps),
        *(topic.text for topic in suite.topics),
        *(pair.with_.text for pair in suite.pairs),
    ]
    lot = random.Random(SEED)
    drawn = {}
    for name, perturb in PERTURBATIONS.items():
        pairs = [(text, perturb(text, SEED)) for text in texts]
        changed = [(before, after) for before, after in pairs if before != after]
        drawn[name] = lot.sample(changed, min(len(changed), TEXTS_PER_PERTURBATION))
    return drawn
