"""Scores as a table on the screen, as CSV, as a block of a Markdown page, and as a picture."""

from __future__ import annotations

import csv
import io
import math
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich import box
from rich.markup import escape
from rich.table import Table

from diffvs.evaluation.grid import Setting
from diffvs.evaluation.metrics import Interval, Scores

ALL = "all"
BEGIN, END = "<!-- begin evaluation -->", "<!-- end evaluation -->"
HEADINGS = (
    "method",
    "evaluations",
    "latency (ms)",
    "SDR",
    "cSDR",
    "SI-SDR",
    "MR-STFT",
    "logWMSE",
    "bleed",
    "MERT",
)
SDR = HEADINGS.index("SDR")
# Of lines, as matplotlib names them, or an offset and lengths of dashes and gaps in points.
BASELINE_STYLES = (":", "--", "-.", (0, (8, 3)), (0, (3, 1, 1, 1, 1, 1)))
DIGITS = (2, 2, 2, 3, 1, 1)  # after the point, of each of Scores


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one method did to one target, in one song or (song == ALL) over all of them."""

    method: str
    song: str
    raised_db: float
    target: str
    scores: Scores
    interval: Interval
    embedding: float = math.nan  # MSE, where an embedding was asked for
    setting: Setting | None = None  # None for a baseline

    @property
    def part(self) -> tuple[str, float, str]:
        """Rows of one part stand in one table, to be compared."""
        return self.song, self.raised_db, self.target

    def cells(self) -> list[str]:
        """Under HEADINGS."""
        latency = self.setting.latency_ms if self.setting else None
        scores = [
            f"{number(value, digits)} [{number(low, digits)}, {number(high, digits)}]"
            if math.isfinite(value)
            else number(value, digits)
            for value, low, high, digits in zip(self.scores, *self.interval, DIGITS, strict=True)
        ]
        return [
            self.method,
            str(self.setting.evaluations) if self.setting else "",
            "" if latency is None else f"{latency:.0f}",
            *scores,
            number(self.embedding, 4),
        ]


def number(value: float, digits: int) -> str:
    # + 0.0 makes -0.0 a plain 0
    return "–" if math.isnan(value) else f"{round(value, digits) + 0.0:.{digits}f}"


def title(part: tuple[str, float, str]) -> str:
    """Of the table of one part."""
    song, raised_db, target = part
    level = f"vocals {raised_db:+g} dB" if raised_db else "native level"
    return f"{target}, {level}" if song == ALL else f"{song}: {target}, {level}"


def parts(rows: Sequence[Row]) -> list[tuple[str, list[list[str]]]]:
    """(title, cells) of every table; a column that says nothing in any of them is left out by `columns`."""
    grouped: dict[tuple[str, float, str], list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row.part].append(row)
    return [(title(part), [row.cells() for row in group]) for part, group in grouped.items()]


def columns(tables: Sequence[tuple[str, list[list[str]]]]) -> list[int]:
    """Those of HEADINGS in which any cell says something."""
    cells = [line for _, lines in tables for line in lines]
    return [index for index in range(len(HEADINGS)) if any(line[index] not in ("", "–") for line in cells)]


def screen(rows: Sequence[Row]) -> list[Table]:
    """One table per part, for 80 columns: the CSV and the page have every score and interval."""
    tables, shown = parts(rows), columns(parts(rows))
    shown = [index for index in shown if HEADINGS[index] not in ("SI-SDR", "logWMSE")]
    short = {"evaluations": "NFE", "latency (ms)": "ms"}
    result = []
    for heading, lines in tables:
        table = Table(title=heading, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for index in shown:
            name = HEADINGS[index]
            table.add_column(short.get(name, name), justify="right" if index else "left", no_wrap=index > 0)
        for line in lines:
            cells = [cell if index == SDR else cell.partition(" [")[0] for index, cell in enumerate(line)]
            table.add_row(*(escape(cells[index]) for index in shown))
        result.append(table)
    return result


def markdown(rows: Sequence[Row], facts: Sequence[str], image: str | None) -> str:
    """The block between the markers: facts, one table per part, the picture."""
    tables, shown = parts(rows), columns(parts(rows))
    blocks = ["\n".join(f"* {fact}" for fact in facts)]
    for heading, lines in tables:
        rule = ["---"] + ["---:"] * (len(shown) - 1)
        body = [[line[index] for index in shown] for line in lines]
        table = [[HEADINGS[index] for index in shown], rule, *body]
        blocks.append(f"**{heading}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in table))
    if image:
        blocks.append(f"![Quality against network evaluations]({image})")
    return "\n\n".join(blocks)


def replace_block(text: str, block: str, begin: str = BEGIN, end: str = END) -> str:
    """The text with another block between its markers. Raises ValueError when it lacks them."""
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"the lines {begin} and {end} are missing: put them where the tables are to stand")
    return f"{before}{begin}\n\n{block}\n\n{end}{after}"


def comma_separated(rows: Sequence[Row]) -> str:
    """Every row with all its figures; an empty cell is a score that is not defined."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    scores = [f"{name}{end}" for name in Scores._fields for end in ("", "_low", "_high")]
    schedule = ("model", "steps", "sigma_max", "sigma_min", "rho", "temperature", "evaluations", "latency_ms")
    writer.writerow(["method", *schedule, "song", "raised_db", "target", *scores, "embedding_mse"])
    for row in rows:
        setting: list[object] = [""] * len(schedule)
        if one := row.setting:
            latency = "" if one.latency_ms is None else f"{one.latency_ms:.3f}"
            levels = [one.sigma_max, one.sigma_min, one.rho, one.temperature]
            setting = [one.model, one.steps, *levels, one.evaluations, latency]
        figures = [figure for triple in zip(row.scores, *row.interval, strict=True) for figure in triple]
        figures.append(row.embedding)
        cells = ["" if math.isnan(figure) else f"{figure:.6g}" for figure in figures]
        writer.writerow([row.method, *setting, row.song, f"{row.raised_db:g}", row.target, *cells])
    return file.getvalue()


def picture(rows: Sequence[Row]) -> Figure:
    """Vocals over all songs against network evaluations: SDR and MR-STFT loss, a row for each level."""
    rows = [row for row in rows if row.song == ALL and row.target == "vocals"]
    levels = sorted({row.raised_db for row in rows})
    figure = Figure(figsize=(12, 4.2 * max(len(levels), 1)), layout="constrained")
    grid = figure.subplots(max(len(levels), 1), 2, squeeze=False)
    for line, level in zip(grid, levels, strict=True):
        here = [row for row in rows if row.raised_db == level]
        for axes, score, label in zip(
            line,
            ("sdr", "mr_stft"),
            ("SDR (dB), higher is better", "MR-STFT loss, lower is better"),
            strict=True,
        ):
            _curves(axes, here, Scores._fields.index(score))
            axes.set(xlabel="network evaluations", ylabel=label, title=title((ALL, level, "vocals")))
            axes.grid(alpha=0.3)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize="small")
    return figure


def _curves(axes: Axes, rows: Sequence[Row], score: int) -> None:
    """Baselines as lines across; a curve for each model and schedule, from its one step on."""
    for number_, row in enumerate(row for row in rows if row.setting is None):
        if math.isfinite(row.scores[score]):
            style = BASELINE_STYLES[number_ % len(BASELINE_STYLES)]
            axes.axhline(row.scores[score], color="grey", linestyle=style, label=row.method)
    curves: dict[tuple[str, float, float, float, float], dict[int, Row]] = defaultdict(dict)
    own = [(row, row.setting) for row in rows if row.setting is not None]
    for row, one in own:
        curves[one.model, one.sigma_max, one.temperature, one.sigma_min, one.rho][one.evaluations] = row
    for key, points in curves.items():
        for row, one in own:  # one step has no schedule: it begins every curve of its start
            if one.steps == 1 and (one.model, one.sigma_max, one.temperature) == key[:3]:
                points.setdefault(1, row)
        _curve(axes, [points[evaluations] for evaluations in sorted(points)], score)
    if own:
        axes.set_xticks(sorted({one.evaluations for _, one in own}))


def _curve(axes: Axes, points: Sequence[Row], score: int) -> None:
    longest = points[-1].setting
    assert longest is not None
    values = [row.scores[score] for row in points]
    low = [row.scores[score] - row.interval.low[score] for row in points]
    high = [row.interval.high[score] - row.scores[score] for row in points]
    axes.errorbar(
        [row.setting.evaluations for row in points if row.setting],
        values,
        yerr=[[max(x, 0.0) for x in low], [max(x, 0.0) for x in high]],
        marker="o",
        capsize=3,
        label=f"{longest.model}, {longest.schedule}",
    )


def write(path: Path, content: str | Figure) -> None:
    """Write a text or a picture; it appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"part.{path.name}")
    if isinstance(content, Figure):
        content.savefig(part, dpi=90)
    else:
        part.write_text(content, encoding="utf-8")
    os.replace(part, path)
