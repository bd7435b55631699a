"""Show docstrings as people read them: equations as MathML, doctests as code, names as names.

A griffe extension, named in mkdocs.yml. Browsers draw MathML themselves: pages need no script.
"""

from __future__ import annotations

import re
from typing import Any

import griffe
from latex2mathml.converter import convert

_EQUATION = re.compile(r"^\.\. math::(?P<same>.*)\n(?P<body>(?:\n|[ ]+.*(?:\n|$))*)", re.MULTILINE)
_INLINE = re.compile(r":math:`(?P<tex>[^`]+)`")
_NAME = re.compile(r":(?:class|func|meth|data|attr|mod):`~?(?P<name>[^`]+)`")
_DOCTEST = re.compile(r"^>>> .*(?:\n(?!\n).+)*", re.MULTILINE)


class Readable(griffe.Extension):
    """Rewrites every docstring before it is parsed into sections."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = readable(obj.docstring.value)


def readable(text: str) -> str:
    text = _EQUATION.sub(_equation, text)
    # In a span, since Markdown takes a line that begins with <math> for a paragraph of its own.
    text = _INLINE.sub(lambda m: f"<span>{convert(' '.join(m['tex'].split()))}</span>", text)
    text = _NAME.sub(lambda m: f"`{m['name'].rpartition('.')[2]}`", text)
    return _DOCTEST.sub(lambda m: f"```pycon\n{m[0]}\n```", text)


def _equation(match: re.Match[str]) -> str:
    tex = " ".join(f"{match['same']} {match['body']}".split())
    # Lines of an equation that no environment holds stand below each other.
    if "&" in tex and not re.search(r"\\begin\{(?:align|cases)\}", tex):
        tex = rf"\begin{{align*}} {tex} \end{{align*}}"
    return f'<div class="equation">{convert(tex, display="block")}</div>\n\n'
