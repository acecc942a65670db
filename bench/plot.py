#!/usr/bin/env python3
"""Draws what bench/run measured: plot.py RESULTS PLOTS makes an SVG and a PNG of each part's JSON file.

A panel is one thing that was measured, with a bar for each candidate: its median, from 0, with a thin line from the
least to the most. What only one candidate does stands together in one panel, with a bar for each thing. Latencies are
points on a logarithmic axis, one for each percentile; a log that was measured as it grew is a line.

The same results give the same SVG, byte for byte. All lengths are in inches; 9 are 864 pixels in a browser.
"""

import json
import math
import re
import sys
import textwrap
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

INK, FAINT = "#24292f", "#57606a"
OURS, OURS_TOO, UNKNOWN = "#1f5f8b", "#86b1d1", "#8c959f"
# What is ours without a name that says so; each of these has a lighter one beside it.
OUR_WORK = r"annals|with|live projection|a writer runs|a fold|none|\d+ (callback|cursor)"
LIGHTER = r"annals RocksDB|without|nobody writes"
PEERS = {
    "one plain file": "#8c959f", "plain Arc": "#8c959f", "Vec": "#8c959f", "Vec behind a mutex": "#8c959f",
    "SQLite": "#d08c3c", "boxcar": "#d08c3c",
    "fjall": "#57a15f", "append-only-vec": "#57a15f",
    "redb": "#bf5b57", "locked list": "#bf5b57", "first design": "#bf5b57",
    "UmaDB's engine": "#8a6fb0", "ring buffer": "#8a6fb0", "channel": "#8a6fb0",
    "SierraDB's engine": "#b5a02f", "array of Arc": "#b5a02f",
    "plain RocksDB": "#4f9fa3",
}  # fmt: skip
PERCENTILES = {"p50": "o", "p99": "^", "p99.9": "X"}
POINT = {"ms": 5.8, "mec": "white", "mew": 0.6}

WIDTH, MARGIN, GAP = 9.0, 0.15, 0.2
LINE, BAR = 0.135, 0.1
# Beside the axes, for half of the last number on them; and below, for all the numbers.
BESIDE, BELOW = 0.2, 0.52
CHARACTER = 0.068

plt.rcParams.update({
    # Verdana is as wide as the first; where neither is, the next are narrower.
    "font.size": 8, "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica"],
    "text.color": INK, "axes.labelcolor": FAINT, "axes.edgecolor": FAINT,
    "xtick.color": FAINT, "ytick.color": INK, "axes.labelsize": 8,
    "figure.facecolor": "white", "savefig.facecolor": "white", "axes.spines.top": False, "axes.spines.right": False,
    "svg.hashsalt": "annals", "svg.fonttype": "none",
})  # fmt: skip


@dataclass
class Bar:
    """A bar, or a point for each percentile. Without figures it is a heading of those below."""

    label: str
    colour: str = INK
    figures: list = field(default_factory=list)

    def lines(self):
        """The label in lines of at most 30 characters, broken where a new thought begins if that will do."""
        if len(self.label) <= 30:
            return [self.label]
        breaks = [self.label.rfind(mark, 0, 30) + at for mark, at in ((" (", 0), (", ", 1), (": ", 1))]
        first = next((at for at in breaks if at > 0), 0)
        return textwrap.wrap(self.label[:first], 30) + textwrap.wrap(self.label[first:], 30)


@dataclass
class Panel:
    title: str
    unit: str
    better: str
    bars: list
    draw: object

    def titles(self, width):
        return textwrap.wrap(self.title, int(width / CHARACTER))

    def height(self):
        """Of what is inside of the axes."""
        return 1.4 if self.draw is draw_line else sum(pitch(bar) for bar in self.bars) + BAR


def pitch(bar):
    return len(bar.lines()) * LINE + BAR


def colour(name):
    if name in PEERS:
        return PEERS[name]
    if re.match(LIGHTER, name):
        return OURS_TOO
    return OURS if re.match(OUR_WORK, name) else UNKNOWN


def number(value, _=None):
    # A number that is rounded up to the next unit is shown in that.
    if value >= 999_500:
        return f"{value / 1e6:.3g} M"
    if value >= 9_999.5:
        return f"{value / 1e3:.3g} k"
    return f"{value:,.0f}" if value >= 999.5 else f"{value:.3g}"


def duration(micros, _=None):
    for least, unit in ((1e6, "s"), (1e3, "ms"), (1, "µs")):
        if micros >= least * 0.999:
            return f"{micros / least:.3g} {unit}"
    return f"{micros * 1e3:.3g} ns"


def grouped(text):
    """With commas in its large numbers."""
    return re.sub(r"\b\d{4,}\b", lambda digits: f"{int(digits[0]):,}", text)


# --- from results to panels ---


def unit_of(what, title):
    """The unit, and what was measured without it. The unit stands in the name, or else in the table's title."""
    units = r"events/s|commits/s|refusals/s|refusals an append|bytes|ns|µs|ms|MB"
    found = re.findall(rf"(?:^|[ ,])({units})\b", what) or re.findall(rf"[ ,]({units})\b", title) or [""]
    return found[-1], re.sub(rf", ({units})\b", "", what)


def measured(figures):
    return figures is not None and figures["median"] is not None


def rows_of(table):
    """Each row's name, unit, what is better, and the bars of those who have figures."""
    names = table["candidates"]
    for row in table["rows"]:
        unit, what = unit_of(row["what"], table["title"])
        bars = [Bar(name, colour(name), [f]) for name, f in zip(names, row["figures"]) if measured(f)]
        if bars:
            yield grouped(what), unit, row["better"], bars


def apart(names, rows):
    """The rows; if all candidates are ours, those with the same unit are each candidate's own: they are compared with
    each other, not the candidates."""
    if len(names) == 1 or not all(name.startswith("annals") for name in names):
        return rows
    split = []
    for unit in dict.fromkeys(unit for _, unit, _, _ in rows):
        same = [row for row in rows if row[1] == unit]
        if len(same) > 1:
            same = [(*row, [bar]) for name in names for *row, bars in same for bar in bars if bar.label == name]
        split += same
    return split


def panels_of(table):
    """A panel for each row; one for all rows with the same unit that the same candidate has alone."""
    rows = list(rows_of(table))
    panels, alone = [], {}
    for what, unit, better, bars in apart(table["candidates"], rows):
        if len(bars) > 1:
            panels.append(Panel(what, unit, better, bars, draw_bars))
            continue
        if (key := (bars[0].label, unit, better)) not in alone:
            alone[key] = Panel(bars[0].label, unit, better, [], draw_bars)
            panels.append(alone[key])
        alone[key].bars.append(Bar(what, bars[0].colour, bars[0].figures))
    for panel in alone.values():
        if len(panel.bars) == 1:
            panel.title, panel.bars[0].label = panel.bars[0].label, panel.title
    return panels


def growth_of(table):
    """A line for each row, from the smallest log to the largest."""
    sizes = [int(name.split()[-1]) for name in table["candidates"]]
    for row in table["rows"]:
        unit, what = unit_of(row["what"], table["title"])
        points = [(size, f["median"]) for size, f in zip(sizes, row["figures"]) if measured(f)]
        if points:
            yield Panel(what, unit, row["better"], [Bar("", OURS, points)], draw_line)


def scale_of(tables):
    """The same measured at several sizes: below each other in one panel, under headings."""
    panels = {}
    for table in tables:
        heading = Bar(grouped(re.sub("At", "at", table["title"].split(",")[0])) + ":")
        for what, unit, better, bars in rows_of(table):
            panel = panels.setdefault(what, Panel(what, unit, better, [], draw_bars))
            panel.bars += [heading, *bars]
    return list(panels.values())


def latency_of(table):
    """A panel for each kind of call, with all its percentiles."""
    panels = {}
    for what, unit, better, bars in rows_of(table):
        kind, percentile = what.split(": ")
        panel = panels.setdefault(kind, Panel(kind, unit, better, [], draw_points))
        for bar in bars:
            known = [known for known in panel.bars if known.label == bar.label]
            panel.bars += [] if known else [Bar(bar.label, bar.colour)]
            (known or panel.bars[-1:])[0].figures.append((percentile, bar.figures[0]))
    return list(panels.values())


def sections(part):
    """Titles, each with its panels."""
    tables = part["tables"]
    at_sizes = [table for table in tables if re.match(r"At \d+ events", table["title"])]
    if at_sizes:
        yield "At several sizes of the log, one run", scale_of(at_sizes)
    for table in tables:
        if table in at_sizes:
            continue
        title = grouped(table["title"])
        if all(re.search(r": p[\d.]+, µs$", row["what"]) for row in table["rows"]):
            yield re.sub(r", µs| \(least–most\)", "", title), latency_of(table)
        elif all(re.fullmatch(r"at \d+", name) for name in table["candidates"]):
            yield title, list(growth_of(table))
        else:
            yield title, panels_of(table)


# --- from panels to pictures ---


def places(panel):
    """Where each bar stands, from the top down."""
    at = 0.0
    for bar in panel.bars:
        yield at + pitch(bar) / 2, bar
        at += pitch(bar)


def name_bars(axes, panel):
    placed = list(places(panel))
    axes.set_yticks([at for at, _ in placed], ["\n".join(bar.lines()) for _, bar in placed])
    axes.set_ylim(panel.height() - BAR / 2, -BAR / 2)
    axes.tick_params(axis="y", length=0)
    for (_, bar), label in zip(placed, axes.get_yticklabels()):
        label.set(style="normal" if bar.figures else "italic", color=INK if bar.figures else FAINT)


def note(axes, value, place, offset, **align):
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    axes.annotate(number(value), place, offset, textcoords="offset points", fontsize=7.5, bbox=paper, **align)


def draw_bars(axes, panel):
    for at, bar in places(panel):
        for f in bar.figures:
            axes.barh(at, f["median"], color=bar.colour, height=LINE)
            if f["least"] < f["most"]:
                line = axes.hlines(at, f["least"], f["most"], color=INK, lw=1)
                line.set_path_effects([withStroke(linewidth=2.2, foreground="white")])
            note(axes, f["median"], (max(f["median"], f["most"]), at), (3, 0), va="center")
    name_bars(axes, panel)
    most = max(f["most"] for bar in panel.bars for f in bar.figures)
    axes.set_xlim(0, (most or 1) * 1.22)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(number))
    axes.set_xlabel(f"{panel.unit} ({panel.better} is better)")


def draw_points(axes, panel):
    for at, bar in places(panel):
        values = [f["median"] for _, f in bar.figures]
        axes.plot(values, [at] * len(values), color=bar.colour, lw=1.2)
        # The least is drawn last: it is not to hide behind the others.
        for percentile, f in reversed(bar.figures):
            axes.plot(f["median"], at, PERCENTILES[percentile], color=bar.colour, **POINT)
    name_bars(axes, panel)
    axes.set_xscale("log")
    all_values = [f["median"] for bar in panel.bars for _, f in bar.figures]
    decades = math.floor(math.log10(min(all_values))), math.ceil(math.log10(max(all_values)))
    axes.set_xlim(0.8 * 10.0 ** decades[0], 1.25 * 10.0 ** max(decades[1], decades[0] + 1))
    axes.xaxis.set_major_locator(LogLocator(numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(duration))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="x", color="#d8dee4", lw=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel(f"time a call takes, log scale ({panel.better} is better)")


def draw_line(axes, panel):
    """The line's points with their values."""
    sizes, values = zip(*panel.bars[0].figures)
    axes.plot([size / 1e6 for size in sizes], values, "o-", color=OURS, lw=1.6, ms=4)
    for size, value in zip(sizes, values):
        note(axes, value, (size / 1e6, value), (0, 5), ha="center")
    axes.set_ylim(0, (max(values) or 1) * 1.3)
    axes.margins(x=0.08)
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(number))
    axes.set_ylabel(f"{panel.unit} ({panel.better} is better)")
    axes.set_xlabel("events in the log, millions")


def legend(figure, y):
    """What the points of the percentiles look like."""
    points = [plt.Line2D([], [], color=FAINT, marker=marker, ls="", **POINT, label=percentile)
              for percentile, marker in PERCENTILES.items()]  # fmt: skip
    figure.legend(handles=points, loc="upper right", ncols=len(points), frameon=False,
                  handletextpad=0, columnspacing=1.2, bbox_to_anchor=(1 - MARGIN / WIDTH, y))  # fmt: skip


class Sheet:
    """A figure that is filled from the top down: it is drawn once everything has its place and the height is known."""

    def __init__(self):
        self.at = MARGIN
        self.todo = []

    def later(self, draw, **what):
        self.todo.append((self.at, partial(draw, **what)))

    def text(self, text, size, colour, weight="normal"):
        # Larger and bolder letters are wider.
        wide = CHARACTER * size / 8 * (1.12 if weight == "bold" else 1)
        for line in textwrap.wrap(text, int((WIDTH - 2 * MARGIN) / wide)):
            self.later(draw_text, text=line, fontsize=size, color=colour, weight=weight)
            self.at += LINE * size / 8 * 1.15

    def section(self, title, panels):
        self.at += 0.14
        self.text(title, 9, INK, "bold")
        if any(panel.draw is draw_points for panel in panels):
            self.later(legend)
            self.at += 0.2
        self.at += 0.08
        # One panel alone has the whole width if it has enough in it.
        columns = 1 if len(panels) == 1 and len(panels[0].bars) > 2 else 2
        gutter = gutter_of(panels)
        for first in range(0, len(panels), columns):
            self.row(panels[first : first + columns], columns, gutter)

    def row(self, panels, columns, gutter):
        width = (WIDTH - 2 * MARGIN - GAP * (columns - 1)) / columns
        self.at += max(len(panel.titles(width)) for panel in panels) * LINE + 0.08
        for column, panel in enumerate(panels):
            left = MARGIN + column * (width + GAP)
            self.later(self.panel, panel=panel, left=left, width=width, gutter=gutter)
        self.at += max(panel.height() for panel in panels) + BELOW

    def panel(self, figure, y, panel, left, width, gutter):
        high = panel.height() / self.at
        axes = figure.add_axes([(left + gutter) / WIDTH, y - high, (width - gutter - BESIDE) / WIDTH, high])
        panel.draw(axes, panel)
        title = "\n".join(panel.titles(width))
        figure.text(left / WIDTH, y + 0.06 / self.at, title, va="bottom", fontsize=8.5)

    def save(self, path):
        self.at += MARGIN / 2
        figure = plt.figure(figsize=(WIDTH, self.at))
        for at, draw in self.todo:
            draw(figure, 1 - at / self.at)
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None, "Creator": None})
        figure.savefig(path.with_suffix(".png"), dpi=200, metadata={"Software": None})
        plt.close(figure)


def draw_text(figure, y, text, **style):
    figure.text(MARGIN / WIDTH, y, text, va="top", **style)


def gutter_of(panels):
    """Room for the longest of the names beside the bars."""
    lines = [line for panel in panels for bar in panel.bars for line in bar.lines()]
    return max(0.55, max(map(len, lines), default=0) * CHARACTER * 0.94 + 0.1)


def draw(path, out):
    part = json.loads(path.read_text())
    filled = [(title, panels) for title, panels in sections(part) if panels]
    if not filled:
        return
    sheet = Sheet()
    sheet.text(part["part"], 12, INK, "bold")
    sheet.text(part["machine"], 8, FAINT)
    for title, panels in filled:
        sheet.section(title, panels)
    out.mkdir(parents=True, exist_ok=True)
    sheet.save(out / part["part"])


if __name__ == "__main__":
    results, plots = map(Path, sys.argv[1:3])
    for file in sorted(results.glob("*.json")):
        draw(file, plots)
