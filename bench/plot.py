#!/usr/bin/env python3
"""Draws what bench/run measured: plot.py RESULTS PLOTS makes an SVG and a PNG of each part's JSON file.

Each measurement is a panel with a bar for each candidate, relative to the best one; its median stands beside it, and a
thin line spans its least and most. Latencies are drawn on a logarithmic scale.
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OURS, OTHERS = "#1f5f8b", "#b4bcc4"
plt.rcParams.update({"font.size": 8, "svg.hashsalt": "annals", "svg.fonttype": "none"})


def number(value):
    for least, unit in ((1e6, "M"), (1e4, "k")):
        if abs(value) >= least:
            return f"{value / (1e6 if unit == 'M' else 1e3):.3g} {unit}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2g}"


def panel(axes, row, candidates, log):
    bars = [(name, f) for name, f in zip(candidates, row["figures"]) if f and f["median"]]
    if not bars:
        axes.set_visible(False)
        return
    best = (max if row["better"] == "more" else min)(f["median"] for _, f in bars)
    scale = 1 if log else best
    for at, (name, figures) in enumerate(reversed(bars)):
        value = figures["median"] / scale
        colour = OURS if name.startswith("annals") or len(candidates) == 1 else OTHERS
        axes.barh(at, value, color=colour, height=0.7)
        axes.hlines(at, figures["least"] / scale, figures["most"] / scale, color="#444444", lw=0.8)
        axes.annotate(" " + number(figures["median"]), (max(value, figures["most"] / scale), at), va="center", fontsize=7)
    axes.set_yticks(range(len(bars)), [name for name, _ in reversed(bars)])
    if log or max(f["median"] for _, f in bars) / min(f["median"] for _, f in bars) > 30:
        axes.set_xscale("log")
    axes.margins(x=0.2)
    axes.set_title(f"{row['what']} ({row['better']} is better)", loc="left", fontsize=8)
    axes.set_xlabel("" if log else "of the best", fontsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def draw(path, out):
    part = json.loads(path.read_text())
    rows = [(row, table["candidates"]) for table in part["tables"] for row in table["rows"]]
    if not rows:
        return
    columns = 4 if part["part"] == "latency" else min(3, len(rows))
    lines = -(-len(rows) // columns)
    bars = max(len(candidates) for _, candidates in rows)
    size = (4.6 * columns, lines * (0.9 + 0.2 * bars))
    figure, grid = plt.subplots(lines, columns, figsize=size, squeeze=False, layout="constrained")
    for axes in grid.flat[len(rows):]:
        axes.set_visible(False)
    for axes, (row, candidates) in zip(grid.flat, rows):
        panel(axes, row, candidates, part["part"] == "latency")
    figure.suptitle(f"{part['part']} — {part['machine']}", fontsize=9)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / f"{part['part']}.svg", metadata={"Date": None})
    figure.savefig(out / f"{part['part']}.png", dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    results, plots = map(Path, sys.argv[1:3])
    for file in sorted(results.glob("*.json")):
        draw(file, plots)
