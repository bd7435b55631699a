"""The frame of a page: one HTML file that needs nothing else, its sections, its look."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path

from .record import Section
from .spikes import RASTER_DPI
from .style import NARROW, WIDE, to_png, to_svg

__all__ = ["document", "section", "table", "write_page"]

SVG_LIMIT = 150_000
"""Bytes above which a picture is inlined as PNG: so many marks are no longer read one by one."""


def write_page(html: str, path: Path) -> Path:
    """Write a page; an existing file is replaced only when the new one is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, for a rename to be atomic it must not cross file systems.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(html, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def document(title: str, header: str, sections: Sequence[str]) -> str:
    """A whole page of a title, and of HTML for its header and its sections."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>{_CSS}</style>
</head>
<body>
<header>
{header}</header>
<main>
{chr(10).join(sections)}
</main>
<footer><p>Written by spikescan.</p></footer>
</body>
</html>
"""


def section(picture: Section) -> str:
    """A section with its picture, in one size for a screen and one for a phone, and its table."""
    wide, narrow = (_inline(picture, width) for width in (WIDE, NARROW))
    return f"""<section>
<h2>{escape(picture.heading)}</h2>
<figure>
<picture>
<source media="(max-width: 640px)" {narrow.replace("src=", "srcset=")}>
<img {wide} alt="{escape(picture.alt)}">
</picture>
<figcaption>{escape(picture.caption)}</figcaption>
</figure>{table(picture.table)}
</section>"""


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells, the first of them the heading; nothing of none."""
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
