"""Leakage probes: what can be told of a passage's frames without reading it.

Each passage gets, as its score for a frame, the share of training passages from the same group
that carry it. Where the average precision is far above the base rate, a model can look good on
this corpus by recognizing the group, and where a model is hardly better than the probe it may
have done just that.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from data.codebook import Codebook
from data.records import Record
from eval import metrics
from eval.metrics import Bools, Floats
from eval.slices import source_family

PROBES: dict[str, Callable[[Record], str]] = {
    "source": source_family,
    "genre": lambda record: record.genre,
    "language": lambda record: record.lang,
}


@dataclass(frozen=True)
class Leak:
    """How well a group alone orders the passages for one frame.

    The base rate is the average precision of scores that order nothing.
    """

    average_precision: float
    base_rate: float


@dataclass(frozen=True)
class Probe:
    """One probe: how many groups the scored passages fall into, and each frame's leak."""

    groups: int
    unseen: int  # passages whose group has none in training
    frames: dict[str, Leak]


def probe_leakage(
    training: Sequence[Record], records: Sequence[Record], truth: Bools, codebook: Codebook
) -> dict[str, Probe]:
    """Each probe by name; truth of shape (n, labels) belongs to the records.

    A group without training passages gets the frame's share among all of them, 0.0 for none.
    """
    probes = {}
    labels = np.array([r.multi_hot(codebook) for r in training]).reshape(-1, len(codebook.keys))
    for name, group in PROBES.items():
        known = {group(record) for record in training}
        groups = [group(record) for record in records]
        scores = group_rates(labels, [group(r) for r in training], groups)
        probes[name] = Probe(
            groups=len(set(groups)),
            unseen=sum(other not in known for other in groups),
            frames={
                frame: Leak(
                    metrics.average_precision(truth[:, i], scores[:, i]),
                    float(truth[:, i].mean()) if len(truth) else 0.0,
                )
                for frame in codebook.frames
                for i in [codebook.keys.index(frame)]
            },
        )
    return probes


def group_rates(labels: Floats, groups: Sequence[str], queries: Sequence[str]) -> Floats:
    """Each query's group's mean labels, shape (queries, labels), from labels (n, labels)."""
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, group in enumerate(groups):
        rows[group].append(row)
    overall = labels.mean(axis=0) if len(labels) else np.zeros(labels.shape[1])
    rates = {group: labels[of].mean(axis=0) for group, of in rows.items()}
    out = [rates.get(query, overall) for query in queries]
    return np.array(out).reshape(-1, labels.shape[1])
