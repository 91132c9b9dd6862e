"""What a run of `bench.serving` measured, and the ratios that follow from it."""

import statistics
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from bench.limits import Limits
from bench.loads import BATCHES, SINGLE
from bench.servers import OURS, PIPELINE

EACH_TEXT, POOL = "one text a call", "all texts in one call"
"""How the engine alone is called: as by one client, and as it is fastest."""


@dataclass(frozen=True)
class Cell:
    """One server under one load from so many clients, in one repeat."""

    server: str
    load: str
    clients: int
    repeat: int
    documents_per_s: float
    p50_ms: float | None
    """None, as is `p99_ms`, where not even one answer a client came: the median of the few that
    did would be too good."""
    p99_ms: float | None
    failed: int
    """Requests refused or never answered."""


@dataclass(frozen=True)
class Start:
    """One start of a server, and its memory until it was stopped, in one repeat of one load."""

    server: str
    load: str
    repeat: int
    seconds: float
    """To the first answer."""
    peak_mib: float
    """Of its largest process."""
    total_mib: float
    """Of all its processes together."""


@dataclass(frozen=True)
class Results:
    """All that was measured; `limits` has one entry a repeat."""

    machine: dict[str, str]
    servers: tuple[str, ...]
    failures: dict[str, str]
    """Server -> why it was left out."""
    cells: tuple[Cell, ...]
    starts: tuple[Start, ...]
    limits: tuple[Limits, ...]
    bulk_texts_per_s: tuple[float, ...]
    """Of bulk scoring, one entry a repeat."""
    tokens_per_text: float
    flops_per_token: float
    dtype: str
    """The type of number that the ceiling is taken for."""


@dataclass(frozen=True)
class Spread:
    """Median, smallest and largest of the repeats."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Bar:
    """A ratio with what it is to reach; None where something that it needs was left out."""

    name: str
    bar: float
    aim: float
    value: Spread | None
    smaller_is_better: bool = False

    @property
    def held(self) -> bool:
        """Whether the median reaches the bar."""
        if self.value is None:
            return False
        median = self.value.median
        return median <= self.bar if self.smaller_is_better else median >= self.bar


def spread(values: Sequence[float]) -> Spread | None:
    """None for no values."""
    return Spread(statistics.median(values), min(values), max(values)) if values else None


def rates(
    results: Results, servers: Collection[str], load: str, clients: Collection[int]
) -> dict[int, float]:
    """Documents a second by repeat: the most that any of the servers reached in it."""
    best: dict[int, float] = {}
    for cell in results.cells:
        if cell.server in servers and cell.load == load and cell.clients in clients:
            best[cell.repeat] = max(cell.documents_per_s, best.get(cell.repeat, 0.0))
    return best


def ratios(ours: dict[int, float], theirs: dict[int, float]) -> list[float]:
    """Ours over theirs within each repeat that theirs answered anything in."""
    return [ours[repeat] / rate for repeat, rate in theirs.items() if rate and repeat in ours]


def of_starts(results: Results, server: str, what: Callable[[Start], float]) -> dict[int, float]:
    """A figure of a server's starts with single texts, by repeat."""
    return {
        start.repeat: what(start)
        for start in results.starts
        if (start.server, start.load) == (server, SINGLE)
    }


def bars(results: Results, clients: Sequence[int]) -> list[Bar]:
    """The ratios that serving is held to, each taken within a repeat."""
    alone = {i: limits.engine[POOL].texts_per_s for i, limits in enumerate(results.limits)}
    ceiling = {
        i: limits.tflops[results.dtype] * 1e12 / results.flops_per_token / results.tokens_per_text
        for i, limits in enumerate(results.limits)
    }
    waits = [
        cell.p50_ms - results.limits[cell.repeat].engine[EACH_TEXT].p50_ms
        for cell in results.cells
        if (cell.server, cell.load, cell.clients) == (OURS, SINGLE, 1) and cell.p50_ms is not None
    ]
    peers = [server for server in results.servers if server != OURS]
    most = max(clients)
    single = rates(results, [OURS], SINGLE, [most])
    batched = rates(results, [OURS], BATCHES, clients)

    def over_pipeline(what: Callable[[Start], float]) -> Spread | None:
        ours, theirs = (of_starts(results, server, what) for server in (OURS, PIPELINE))
        return spread(ratios(ours, theirs))

    return [
        Bar(
            f"texts/s at {most} clients, over the best peer",
            *(5, 10),
            spread(ratios(single, rates(results, peers, SINGLE, [most]))),
        ),
        Bar(
            "texts/s in batches of 32, over the best peer",
            *(3, 6),
            spread(ratios(batched, rates(results, peers, BATCHES, clients))),
        ),
        Bar(
            f"through HTTP at {most} clients, share of the engine alone",
            *(0.75, 0.90),
            spread(ratios(single, alone)),
        ),
        Bar(
            f"engine alone, share of the {results.dtype} matrix-product ceiling",
            *(0.40, 0.65),
            spread(ratios(alone, ceiling)),
        ),
        Bar("p50 at 1 client, ms over the engine alone", 2, 1, spread(waits), True),
        Bar(
            "start to first answer, over the pipeline's",
            *(1 / 4, 1 / 8),
            over_pipeline(lambda start: start.seconds),
            True,
        ),
        Bar(
            "memory of the serving process, over the pipeline's",
            *(1 / 3, 1 / 5),
            over_pipeline(lambda start: start.peak_mib),
            True,
        ),
        Bar(
            "bulk, share of the engine alone",
            *(0.90, 0.97),
            spread(ratios(dict(enumerate(results.bulk_texts_per_s)), alone)),
        ),
    ]
