"""Plots as SVG that takes its colors from the page, so that it is right in light and dark.

Text stays text, and colors are placeholders that become the page's CSS variables.
"""

import io
import re
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from data.codebook import Codebook
from eval.behavior import Behavior
from eval.estimates import Estimate
from eval.judgment import Judgment
from eval.report import Report

# Placeholders, none of which matplotlib uses by itself.
TEXT, LINE, MAIN, SECOND, THIRD = "#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04", "#0a0b05"
VARIABLES = {
    TEXT: "var(--muted)",
    LINE: "var(--line)",
    MAIN: "var(--main)",
    SECOND: "var(--second)",
    THIRD: "var(--third)",
}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "framescope",
    "font.size": 9,
    "axes.edgecolor": LINE,
    "axes.labelcolor": TEXT,
    "axes.titlecolor": TEXT,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": TEXT,
    "ytick.labelcolor": TEXT,
    "text.color": TEXT,
    "legend.frameon": False,
}
COLUMNS = {1: 1, 2: 2, 4: 4}
"""Plots in a row, by number of plots; three otherwise."""
SHARE = (-0.02, 1.02)


def draw(report: Report, codebook: Codebook) -> dict[str, str]:
    """All plots of a report as SVG elements, by name; those of documents end in their number."""
    with mpl.rc_context(STYLE):
        plots = _of_judgment(report.passages, codebook, "")
        for number, result in enumerate(report.documents, 1):
            plots |= _of_judgment(result.judgment, codebook, f"-{number}")
        if report.behavior is not None:
            plots["swap"] = swap(report.behavior, codebook)
        return {name: svg(figure, name) for name, figure in plots.items()}


def _of_judgment(judgment: Judgment, codebook: Codebook, suffix: str) -> dict[str, Figure]:
    return {
        f"systems{suffix}": systems(judgment),
        f"curves{suffix}": _per_label(judgment, codebook, precision_recall),
        f"thresholds{suffix}": _per_label(judgment, codebook, threshold_sweep),
        f"reliability{suffix}": _per_label(judgment, codebook, reliability),
    }


def systems(judgment: Judgment) -> Figure:
    """Macro-F1 and macro average precision of all systems, with intervals."""
    names = list(judgment.systems)
    figure = Figure(figsize=(9.5, 0.9 + 0.42 * len(names)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, title in ((left, "Macro-F1"), (right, "Macro average precision")):
        for row, name in enumerate(names):
            macro = judgment.systems[name].macro
            value = macro.f1 if axes is left else macro.average_precision
            _interval(axes, value, row, MAIN if row == 0 else SECOND)
        axes.set(title=title, xlim=SHARE, ylim=(len(names) - 0.5, -0.5))
        axes.set_yticks(range(len(names)), names)
        axes.grid(visible=False, axis="y")
    return figure


def precision_recall(axes: Axes, judgment: Judgment, key: str) -> None:
    """The curve, the point of the threshold in use, and the base rate."""
    curve, result = judgment.labels[key].curve, judgment.model.labels[key]
    axes.step(curve.recall, curve.precision, where="post", color=MAIN, linewidth=1.6)
    base = result.support / max(judgment.model.items, 1)
    axes.axhline(base, color=THIRD, linewidth=1, linestyle=":", label="base rate")
    axes.plot(
        [result.recall.value], [result.precision.value], "o", color=SECOND, label="at threshold"
    )
    axes.set(xlabel="recall", ylabel="precision", xlim=SHARE, ylim=SHARE)
    axes.annotate(
        f"AP {result.average_precision.value:.2f}", (0.97, 0.92), xycoords="axes fraction",
        ha="right",
    )  # fmt: skip


def threshold_sweep(axes: Axes, judgment: Judgment, key: str) -> None:
    """Precision, recall and F1 over the threshold, and the one in use."""
    curve = judgment.labels[key].curve
    for values, color, name in (
        (curve.precision, SECOND, "precision"),
        (curve.recall, THIRD, "recall"),
        (curve.f1, MAIN, "F1"),
    ):
        axes.plot(curve.thresholds, values, color=color, linewidth=1.6, label=name)
    axes.axvline(
        judgment.model.labels[key].threshold,
        color=TEXT,
        linewidth=1,
        linestyle="--",
        label="in use",
    )
    axes.set(xlabel="threshold", xlim=SHARE, ylim=SHARE)


def reliability(axes: Axes, judgment: Judgment, key: str) -> None:
    """Mean score and share true of bins of equal numbers, before and after calibration."""
    axes.plot([0, 1], [0, 1], color=TEXT, linewidth=1, linestyle=":")
    detail = judgment.labels[key]
    for result, color, marker, name in (
        (detail.before, SECOND, "s", "before"),
        (detail.after, MAIN, "o", "after"),
    ):
        points = [(b.mean_score, b.share_true) for b in result.bins]
        axes.plot(
            *zip(*points, strict=True), marker=marker, color=color, linewidth=1.2, markersize=4,
            label=name,
        )  # fmt: skip
    before, after = (
        detail.before.expected_calibration_error,
        detail.after.expected_calibration_error,
    )
    axes.annotate(
        f"ECE {before.value:.3f} → {after.value:.3f}", (0.97, 0.05), xycoords="axes fraction",
        ha="right",
    )  # fmt: skip
    axes.set(xlabel="mean score", ylabel="share true", xlim=SHARE, ylim=SHARE)


def swap(behavior: Behavior, codebook: Codebook) -> Figure:
    """How often other actors flip a decision, per label."""
    labels = behavior.actor_swap.labels
    names = {label.key: label.name for label in codebook.labels}
    figure = Figure(figsize=(9.5, 0.8 + 0.36 * len(labels)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, title in ((left, "Decisions that flip"), (right, "Mean shift of the score")):
        for row, effect in enumerate(labels.values()):
            _interval(axes, effect.flip_rate if axes is left else effect.shift, row, MAIN)
        axes.set(title=title, ylim=(len(labels) - 0.5, -0.5))
        axes.set_xlim(left=0)
        axes.set_yticks(range(len(labels)), [names[key] for key in labels])
        axes.grid(visible=False, axis="y")
    return figure


def _interval(axes: Axes, value: Estimate, row: int, color: str) -> None:
    axes.plot([value.low, value.high], [row, row], color=color, linewidth=2, alpha=0.55)
    axes.plot([value.value], [row], "o", color=color, markersize=6)


def _per_label(
    judgment: Judgment, codebook: Codebook, plot: Callable[[Axes, Judgment, str], None]
) -> Figure:
    """A small plot for each label, with one legend for all."""
    labels = [label for label in codebook.labels if label.key in judgment.labels]
    columns = COLUMNS.get(len(labels), 3)
    rows = -(-len(labels) // columns)
    figure = Figure(figsize=(9.5, 2.9 * rows + 0.3), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(labels) :]:
        axes.remove()
    for axes, label in zip(grid.flat, labels, strict=False):
        plot(axes, judgment, label.key)
        axes.set_title(label.name)
    handles, names = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper right", ncols=len(names))
    return figure


def svg(figure: Figure, name: str) -> str:
    """An element for use within a page: no header, no address, names unique to this plot."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", text)
    text = text.replace("xlink:href", "href")
    text = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--font)", text)
    for placeholder, variable in VARIABLES.items():
        text = text.replace(placeholder, variable)
    # The page sets the width; the view box keeps the proportions.
    box = re.search(r'viewBox="[^"]*"', text)
    assert box is not None
    return re.sub(r"<svg[^>]*>", f'<svg {box[0]} aria-hidden="true">', text, count=1)
