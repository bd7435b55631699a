"""The page of a run: one HTML file that needs nothing else, for a screen, a phone and paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from pathlib import Path

import numpy as np

from .energy import energy_section
from .figures import best_epoch, curves, firing_rates, time_constants
from .html import document, section, write_page
from .impulses import impulse_responses
from .layers import SATURATED
from .record import Array, Passage, RunRecord, Section
from .spikes import raster

__all__ = ["write_report"]


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
    return write_page(_page(record), Path(path))


def _page(record: RunRecord) -> str:
    sections = [
        _passage(shown) if isinstance(shown, Passage) else section(shown)
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
    header = (
        f"<h1>{title}</h1>{recipe if record.recipe else ''}{summary if record.summary else ''}\n"
        f"{_tiles(record.facts)}{_notes(record.notes)}"
    )
    return document(record.title, header, sections)


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


def _environment(rows: Sequence[tuple[str, str]]) -> str:
    body = "".join(
        f'<tr><th scope="row">{escape(n)}</th><td>{escape(v)}</td></tr>\n' for n, v in rows
    )
    return (
        f"<section>\n<h2>Environment</h2>\n<table>\n<tbody>\n{body}</tbody>\n</table>\n</section>"
    )


def _passage(shown: Passage) -> str:
    return f"""<section>
<h2>{escape(shown.heading)}</h2>
<figure>
<pre class="passage"><span>{escape(shown.before)}</span>{escape(shown.text)}</pre>
<figcaption>{escape(shown.caption)}</figcaption>
</figure>
</section>"""


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
    "curves": """Each dot is one epoch, 0 the untrained network where that counts. The ring and the
dotted line mark the best epoch, which is kept: the {better} validation {watched}.
A validation curve that leaves the training curve is a sign
of overfitting.""",
    "rates": """Each dot is a channel; the band holds the middle half of the channels, and the
upright line is their mean. Lower rates need fewer operations. A silent channel never fires and a
saturated one fires in 99% of steps or more: neither carries information.""",
    "raster": """Time runs from left to right, the same for all panels. A dot is a spike of one
channel; where several fall on one dot it is stronger. The line under a layer is the share of its
channels that fire, averaged over a hundredth of the sequence.""",
    "impulses": """What is left of a small input after so many steps, each channel scaled to a
height of one: the stronger a line, the slower its channel; grey is the range of all. A line that
swings answers to a rhythm.""",
    "neurons": """Each blue dot is a channel, and a grey line leads to it from its start value. The
time constant says for how many steps a channel remembers, the frequency to which rhythm it answers.
Above the dotted line a channel remembers for longer than one of its own cycles, and so can tell
rhythms apart.""",
}
