"""Tables of one's own, and what is told of those that are none."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from spikescan.energy import TABLES, CostTable, find_table
from spikescan.errors import UsageError


def test_a_table_from_a_file_is_that_table(tmp_path: Path) -> None:
    told = {**asdict(TABLES["int8"]), "mac": 7.0}
    told["memory"] = [list(pair) for pair in told["memory"]]
    del told["name"]
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(told))
    mine = find_table(str(path))
    assert (mine.name, mine.mac, mine.memory) == ("mine", 7.0, TABLES["int8"].memory)


def test_what_is_no_table_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^unknown cost table '7nm'; the tables are 45nm, .*yaml"):
        find_table("7nm")
    with pytest.raises(UsageError, match=r"^no cost table there\.yaml$"):
        find_table("there.yaml")
    path = tmp_path / "bad.yaml"
    for text in ("- 1", "mac: 1", "a: [", "{memory: [[1, 1]], mac: -1}"):
        path.write_text(text)
        with pytest.raises(UsageError, match=r"bad\.yaml is not a cost table"):
            find_table(str(path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mac": -1.0}, "mac must be finite and not negative, got -1"),
        ({"random": math.nan}, "random must be finite and not negative, got nan"),
        ({"memory": ((2, 1.0), (1, 1.0))}, "memory must list positive sizes that rise"),
        ({"memory": ((2, math.inf),)}, "memory must cost a finite energy"),
    ],
)
def test_bad_values_are_told(change, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        CostTable(**{**asdict(TABLES["45nm"]), **change})


def test_a_network_too_large_for_a_table_is_told() -> None:
    table = CostTable(**{**asdict(TABLES["45nm"]), "memory": ((1024, 1.0),)})
    with pytest.raises(ValueError, match="table 45nm has no memory that holds 2,000 bytes"):
        table.per_byte(2000)
