"""The page on energy says what the code says."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

from spikescan.energy import TABLES
from spikescan.energy.papers import markdown

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "energy.md").read_text(encoding="utf-8")


def test_cost_tables_are_the_codes() -> None:
    rows = dict(re.findall(r"^\| `([\w-]+)` \| ([\d. |]+) \|$", PAGE, re.MULTILINE))
    assert rows.keys() == TABLES.keys()
    for name, row in rows.items():
        held = [
            value for key, value in asdict(TABLES[name]).items() if key not in ("name", "memory")
        ]
        assert [float(cell) for cell in row.split(" | ")] == [float(f"{v:.4g}") for v in held]


def test_table_3_is_computed() -> None:
    told = PAGE.partition("<!-- table 3 -->\n")[2].partition("\n<!-- end of table 3 -->")[0]
    assert told == markdown()


def test_examples_run() -> None:
    for example in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        exec(compile(example, "energy.md", "exec"), {})
