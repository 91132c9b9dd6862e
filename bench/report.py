"""The results as Markdown."""

from collections.abc import Callable, Iterable, Sequence

from bench.loads import SINGLE, WHOLE
from bench.results import (
    EACH_TEXT,
    POOL,
    Bar,
    Cell,
    Results,
    Spread,
    bars,
    of_starts,
    rates,
    ratios,
    spread,
)
from bench.servers import OURS


def markdown(results: Results) -> str:
    """All tables: the bars, each load, starts and memory, and the limits."""
    loads = list(dict.fromkeys(cell.load for cell in results.cells))
    clients = sorted({cell.clients for cell in results.cells})
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    parts = [
        "# Serving, compared",
        f"{machine}. Median (smallest-largest) of {len(results.limits)} repeats.",
        "## Bars",
        bar_table(bars(results, clients)),
        *(f"## {load[0].upper()}{load[1:]}\n\n{load_table(results, load)}" for load in loads),
        "## Start and memory",
        start_table(results),
        "## How far from the limit",
        limit_table(results, clients),
    ]
    if results.failures:
        parts += ["## Left out", "\n".join(f"- {k}: {v}" for k, v in results.failures.items())]
    return "\n\n".join(parts) + "\n"


def bar_table(all_bars: Iterable[Bar]) -> str:
    """The bars, and whether each holds."""
    rows = []
    for bar in all_bars:
        sign = "<=" if bar.smaller_is_better else ">="
        verdict = "not measured" if bar.value is None else "held" if bar.held else "missed"
        limits = (f"{sign} {bar.bar:.3g}", f"{sign} {bar.aim:.3g}")
        rows.append((bar.name, *limits, show(bar.value, "{:.2f}"), verdict))
    return table(("measure", "bar", "aim", "measured", ""), rows)


def load_table(results: Results, load: str) -> str:
    """Every server under one load, with Framescope's rate over its."""
    unit = "documents/s" if load == WHOLE else "texts/s"
    rows = []
    for clients in sorted({cell.clients for cell in results.cells}):
        ours = rates(results, [OURS], load, [clients])
        for server in results.servers:
            cells = [
                cell
                for cell in results.cells
                if (cell.server, cell.load, cell.clients) == (server, load, clients)
            ]
            theirs = rates(results, [server], load, [clients])
            rows.append(
                (
                    str(clients),
                    server,
                    show(spread(list(theirs.values())), "{:.1f}"),
                    show(spread(ratios(ours, theirs)), "{:.2f}"),
                    show(_known(cells, lambda cell: cell.p50_ms), "{:.1f}"),
                    show(_known(cells, lambda cell: cell.p99_ms), "{:.1f}"),
                    str(sum(cell.failed for cell in cells)),
                )
            )
    header = ("clients", "server", unit, "Framescope over it", "p50 ms", "p99 ms", "failed")
    return table(header, rows)


def start_table(results: Results) -> str:
    """Seconds to the first answer and the largest memory under any load."""
    rows = []
    for server in results.servers:
        seconds = of_starts(results, server, lambda start: start.seconds)
        memory = of_starts(results, server, lambda start: start.peak_mib)
        most = [start.peak_mib for start in results.starts if start.server == server]
        total = [start.total_mib for start in results.starts if start.server == server]
        rows.append(
            (
                server,
                show(spread(list(seconds.values())), "{:.1f}"),
                show(spread(list(memory.values())), "{:.0f}"),
                f"{max(most, default=0):.0f}",
                f"{max(total, default=0):.0f}",
            )
        )
    header = ("server", "start to first answer, s", "serving process, single texts, MiB")
    return table((*header, "under any load", "all processes"), rows)


def limit_table(results: Results, clients: Sequence[int]) -> str:
    """Tokens a second of everybody with single texts, as a share of the matrix-product ceiling."""
    ceiling = {
        i: limits.tflops[results.dtype] * 1e12 / results.flops_per_token
        for i, limits in enumerate(results.limits)
    }

    def row(name: str, texts_per_s: dict[int, float]) -> tuple[str, ...]:
        tokens = {i: rate * results.tokens_per_text for i, rate in texts_per_s.items()}
        share = ratios(tokens, ceiling)
        texts, every = spread(list(texts_per_s.values())), spread(list(tokens.values()))
        return (name, show(texts, "{:.0f}"), show(every, "{:.0f}"), show(spread(share), "{:.1%}"))

    rows = []
    for dtype in results.limits[0].tflops:
        teraflops = [limits.tflops[dtype] for limits in results.limits]
        name = f"matrix products, {dtype}, {show(spread(teraflops), '{:.2f}')} TFLOP/s"
        per_text = results.flops_per_token * results.tokens_per_text / 1e12
        rows.append(row(name, {i: rate / per_text for i, rate in enumerate(teraflops)}))
    for calls in (POOL, EACH_TEXT):
        alone = {i: limits.engine[calls].texts_per_s for i, limits in enumerate(results.limits)}
        rows.append(row(f"engine alone, {calls}", alone))
    rows.append(row("bulk scoring", dict(enumerate(results.bulk_texts_per_s))))
    most = max(clients)
    for server in results.servers:
        rows.append(row(f"{server}, {most} clients", rates(results, [server], SINGLE, [most])))
    note = (
        f"{results.flops_per_token / 1e6:.1f} MFLOP a token, "
        f"{results.tokens_per_text:.1f} tokens a text; shares are of the {results.dtype} ceiling."
    )
    return table(("", "texts/s", "tokens/s", "share of the ceiling"), rows) + "\n\n" + note


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def show(value: Spread | None, form: str) -> str:
    """Median (smallest-largest); a dash for nothing."""
    if value is None:
        return "-"
    numbers = [form.format(number) for number in (value.median, value.low, value.high)]
    return "{} ({}-{})".format(*numbers)


def _known(cells: Iterable[Cell], what: Callable[[Cell], float | None]) -> Spread | None:
    return spread([value for cell in cells if (value := what(cell)) is not None])
