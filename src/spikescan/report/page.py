"""The page of a run: one HTML file that needs nothing else, for a screen, a phone and paper."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from pathlib import Path

import numpy as np

from .energy import energy_section
from .figures import best_epoch, curves, firing_rates, time_constants
from .impulses import impulse_responses
from .layers import SATURATED
from .record import Array, Passage, RunRecord, Section
from .spikes import RASTER_DPI, raster
from .style import NARROW, WIDE, to_png, to_svg

__all__ = ["write_report"]

SVG_LIMIT = 150_000
"""Bytes above which a picture is inlined as PNG: so many marks are no longer read one by one."""


def write_report(record: RunRecord, path: Path) -> Path:
    """Write the page of a run as one self-contained HTML file.

    Pictures are inlined, in one size for a screen and one for a phone; nothing is loaded from
    elsewhere and no script runs. Missing folders are made, and an existing file is replaced only
    when the new one is complete.

    Args:
        record: what the run left; pieces that are None or empty are left out.
        path: the file to write, usually ``report.html``.

    Returns:
        path.

    Raises:
        ValueError: a piece of the record has the wrong shape or values; nothing is written.
    """
    path = Path(path)
    html = _page(record)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, for a rename to be atomic it must not cross file systems.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(html, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _page(record: RunRecord) -> str:
    sections = [
        _passage(shown) if isinstance(shown, Passage) else _section(shown)
        for shown in _pictures(record)
    ]
    if record.commands:
        sections.append(_commands(record.commands))
    if record.environment:
        sections.append(_environment(record.environment))
    if record.config:
        sections.append(
            "<section>\n<h2>Configuration</h2>\n<details>\n<summary>The resolved configuration of"
            f" this run</summary>\n<pre><code>{escape(record.config)}</code></pre>\n</details>\n"
            "</section>"
        )
    title = escape(record.title)
    recipe = f'\n<p class="recipe">Recipe <code>{escape(record.recipe)}</code></p>'
    summary = f'\n<p class="summary">{escape(record.summary)}</p>'
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{_CSS}</style>
</head>
<body>
<header>
<h1>{title}</h1>{recipe if record.recipe else ""}{summary if record.summary else ""}
{_tiles(record.facts)}{_notes(record.notes)}</header>
<main>
{chr(10).join(sections)}
</main>
<footer><p>Written by spikescan.</p></footer>
</body>
</html>
"""


def _tiles(facts: Sequence[tuple[str, str]]) -> str:
    tiles = "".join(f"<div><dt>{escape(n)}</dt><dd>{escape(v)}</dd></div>\n" for n, v in facts)
    return f'<dl class="tiles">\n{tiles}</dl>\n' if facts else ""


def _notes(notes: Sequence[str]) -> str:
    return "".join(f'<p class="note">{escape(note)}</p>\n' for note in notes)


def _commands(commands: Sequence[tuple[str, str]]) -> str:
    body = "".join(
        f"<p>{escape(what[:1].upper() + what[1:])}:</p>\n"
        f"<pre><code>{escape(command)}</code></pre>\n"
        for what, command in commands
    )
    return f'<section class="commands">\n<h2>Make this run again</h2>\n{body}</section>'


def _table(rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in rows[0])
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        + "</tr>\n"
        for first, *rest in rows[1:]
    )
    return (
        f'\n<table class="figures">\n<thead>\n<tr>{head}</tr>\n</thead>\n'
        f"<tbody>\n{body}</tbody>\n</table>"
    )


def _environment(rows: Sequence[tuple[str, str]]) -> str:
    body = "".join(
        f'<tr><th scope="row">{escape(n)}</th><td>{escape(v)}</td></tr>\n' for n, v in rows
    )
    return (
        f"<section>\n<h2>Environment</h2>\n<table>\n<tbody>\n{body}</tbody>\n</table>\n</section>"
    )


def _section(picture: Section) -> str:
    wide, narrow = (_inline(picture, width) for width in (WIDE, NARROW))
    return f"""<section>
<h2>{escape(picture.heading)}</h2>
<figure>
<picture>
<source media="(max-width: 640px)" {narrow.replace("src=", "srcset=")}>
<img {wide} alt="{escape(picture.alt)}">
</picture>
<figcaption>{escape(picture.caption)}</figcaption>
</figure>{_table(picture.table)}
</section>"""


def _passage(shown: Passage) -> str:
    return f"""<section>
<h2>{escape(shown.heading)}</h2>
<figure>
<pre class="passage"><span>{escape(shown.before)}</span>{escape(shown.text)}</pre>
<figcaption>{escape(shown.caption)}</figcaption>
</figure>
</section>"""


def _inline(picture: Section, width: float) -> str:
    """Draw at a width and return the attributes that show it, with its size in CSS pixels."""
    figure = picture.draw(width=width)
    data, kind = b"", "png"
    if not picture.is_image:
        data, kind = to_svg(figure), "svg+xml"
    if not data or len(data) > SVG_LIMIT:
        data, kind = to_png(figure, RASTER_DPI), "png"
    inches = figure.get_size_inches()
    size = f'width="{96 * inches[0]:.0f}" height="{96 * inches[1]:.0f}"'
    return f'src="data:image/{kind};base64,{base64.b64encode(data).decode()}" {size}'


def _pictures(record: RunRecord) -> list[Section | Passage]:
    pictures: list[Section | Passage] = []
    if any(record.history.values()):
        alt = "Line charts over the epochs of training: "
        alt += ", ".join(metric.replace("_", " ") for metric in record.history) + "."
        best = best_epoch(record.history, record.watched)
        alt += "" if best is None else f" The best epoch is {best}."
        caption = _CAPTIONS["curves"].format(
            better="lowest" if record.watched.better == "lower" else "highest",
            watched=record.watched.words,
        )
        draw = partial(curves, record.history, quantities=record.quantities, watched=record.watched)
        pictures.append(Section(heading="Learning curves", draw=draw, alt=alt, caption=caption))
    pictures += record.sections
    if record.rates:
        means = [f"{name} {np.mean(rates):.1%}" for name, rates in record.rates.items()]
        alt = "Firing rates of the channels of each layer. Means: " + ", ".join(means) + "."
        draw = partial(firing_rates, record.rates)
        pictures.append(
            Section(
                heading="Firing rates",
                draw=draw,
                alt=alt,
                caption=_CAPTIONS["rates"],
                table=_rate_rows(record.rates),
            )
        )
    if record.raster is not None:
        shown = record.raster
        alt = f"Input of {len(shown.input)} steps and the spikes it causes in {len(shown.spikes)}"
        alt += f" layers: {shown.words}."
        draw, heading = partial(raster, shown), "One sequence on its way through the network"
        pictures.append(
            Section(heading=heading, draw=draw, alt=alt, caption=_CAPTIONS["raster"], is_image=True)
        )
    if any(record.neurons.values()):
        alt = "Learned frequencies and time constants, beside their start values, of the channels"
        alt += f" of {', '.join(record.neurons)}."
        draw = partial(time_constants, record.neurons)
        pictures.append(
            Section(
                heading="What the neurons learned", draw=draw, alt=alt, caption=_CAPTIONS["neurons"]
            )
        )
    if record.impulses:
        alt = "Answers to an impulse, step by step, of five neurons from the quickest to the"
        alt += f" slowest, of {', '.join(record.impulses)}."
        draw, heading = partial(impulse_responses, record.impulses), "What the neurons remember"
        pictures.append(Section(heading=heading, draw=draw, alt=alt, caption=_CAPTIONS["impulses"]))
    if record.energy is not None:
        pictures.append(energy_section(record.energy))
    return pictures


def _rate_rows(rates: Mapping[str, float | Array]) -> list[tuple[str, ...]]:
    """Mean rate, silent and saturated channels of each layer, in words."""
    rows: list[tuple[str, ...]] = [("layer", "mean", "silent", "saturated")]
    for name, given in rates.items():
        values = np.atleast_1d(np.asarray(given, dtype=float))
        counts = ((values == 0).sum(), (values >= SATURATED).sum())
        one = np.ndim(given) == 0
        cells = ["?" if one else f"{count} of {values.size}" for count in counts]
        rows.append((name, f"{values.mean():.1%}", *cells))
    return rows


_CAPTIONS = {
    "curves": """Each dot is one epoch. The ring and the dotted line mark the best epoch, which is
kept: the {better} validation {watched}. A validation curve that leaves the training curve is a sign
of overfitting.""",
    "rates": """Each dot is a channel; the band holds the middle half of the channels, and the
upright line is their mean. Lower rates need fewer operations. A silent channel never fires and a
saturated one fires in 99% of steps or more: neither carries information.""",
    "raster": """Time runs from left to right, the same for all panels. A dark dot is a spike of one
channel; where several fall on one dot it is darker. The line under a layer is the share of its
channels that fire, averaged over a hundredth of the sequence.""",
    "impulses": """What is left of a small input after so many steps, each channel scaled to a
height of one: the stronger a line, the slower its channel; grey is the range of all. A line that
swings answers to a rhythm.""",
    "neurons": """Each blue dot is a channel, and a grey line leads to it from its start value. The
time constant says for how many steps a channel remembers, the frequency to which rhythm it answers.
Above the dotted line a channel remembers for longer than one of its own cycles, and so can tell
rhythms apart.""",
}

_CSS = """
:root { --page: #f4f6f8; --card: #fff; --ink: #1f2933; --muted: #5b6673; --line: #dde2e8;
  --accent: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --page: #14181d; --card: #1e242b; --ink: #e6eaee;
  --muted: #a3adb8; --line: #343c46; --accent: #6bb8e6; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 2.5rem 1.25rem 1rem; background: var(--page);
  color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { margin: 0; font-size: clamp(1.5rem, 4vw, 2.1rem); line-height: 1.2; letter-spacing: -.01em;
  overflow-wrap: anywhere; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.2rem; line-height: 1.3; }
.recipe { margin: .4rem 0 0; color: var(--muted); }
.summary { margin: .7rem 0 0; font-size: 1.05rem; line-height: 1.45; }
.note { margin: 1rem 0 0; padding-left: .75rem; border-left: .2rem solid var(--accent); }
code, pre { font: .875em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem;
  margin: 1.5rem 0 0; }
.tiles div { display: flex; flex-direction: column; justify-content: space-between;
  padding: .75rem .9rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .5rem; }
dt { color: var(--muted); font-size: .8125rem; line-height: 1.35; }
dd { margin: .2rem 0 0; font-size: 1.15rem; font-weight: 650; line-height: 1.25;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
figure { margin: 0; overflow: hidden; background: #fff; border: 1px solid var(--line);
  border-radius: .5rem; }
picture { display: block; padding: 1rem; }
img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figcaption { padding: .75rem 1rem .85rem; background: var(--card); color: var(--muted);
  border-top: 1px solid var(--line); font-size: .9rem; }
table { width: 100%; border-collapse: collapse; background: var(--card); font-size: .9rem;
  border: 1px solid var(--line); }
th, td { padding: .45rem .9rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { width: 11rem; color: var(--muted); font-weight: 500; }
.figures { margin-top: .75rem; font-variant-numeric: tabular-nums; }
.figures th { width: auto; }
.figures thead th { color: var(--muted); font-size: .8125rem; }
.figures tbody th { color: var(--ink); }
.figures td, .figures thead th + th { text-align: right; white-space: nowrap; }
.commands p { margin: .75rem 0 .3rem; color: var(--muted); font-size: .9rem; }
.commands pre { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  white-space: pre-wrap; overflow-wrap: anywhere; }
details { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; }
summary { padding: .7rem 1rem; cursor: pointer; }
summary:focus-visible { outline: 2px solid var(--accent); }
pre { margin: 0; padding: .9rem 1rem; overflow-x: auto; border-top: 1px solid var(--line); }
.passage { border-top: 0; background: var(--card); white-space: pre-wrap; overflow-wrap: anywhere; }
.passage span { color: var(--muted); }
footer { margin-top: 2.5rem; color: var(--muted); font-size: .85rem; }
/* Pictures are drawn on white: in the dark their lightness is turned round, hues are kept. */
@media screen and (prefers-color-scheme: dark) { figure { background: #1d1d1d; }
  img { filter: invert(.885) hue-rotate(180deg); } }
@media (max-width: 640px) { body { padding: 1.5rem .8rem .5rem; } picture { padding: .5rem; }
  th { width: 7rem; } th, td { padding: .4rem .6rem; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; }
  .figures { font-size: .8125rem; } .figures th, .figures td { padding: .35rem .4rem; }
  .tiles { grid-template-columns: repeat(2, 1fr); gap: .5rem; } }
@media print { :root { --page: #fff; --card: #fff; --ink: #000; --muted: #444; --line: #ccc; }
  body { max-width: none; padding: 0; font-size: 11pt; } section { break-inside: avoid; }
  section:has(details) { break-inside: auto; }
  details::details-content { display: block; content-visibility: visible; }
  pre { white-space: pre-wrap; } }
"""
