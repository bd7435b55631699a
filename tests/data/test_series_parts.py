"""Times in several columns, in units and out of pace."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from spikescan.data import DataError
from spikescan.data.series import Series
from spikescan.data.times import MONTH

START = datetime(2020, 1, 30)
ROWS = 60


def table(path: Path, head: str, times: Sequence[str]) -> Path:
    rows = (f"{t},{(7 * i) % 11 + 0.5},{(5 * i) % 13}" for i, t in enumerate(times))
    path.write_text("\n".join([f"{head},a,b", *rows, ""]))
    return path


def series(path: Path, **options: Any) -> Series:
    return Series(path=str(path), window=8, horizon=2, **options)


def hours(form: str) -> list[str]:
    return [(START + timedelta(hours=i)).strftime(form) for i in range(ROWS)]


@pytest.mark.parametrize(
    "form", ["%Y-%m-%d,{h}", "%Y%m%d,{h}", "%Y,%-m,%-d,{h}", "%Y-%m-%d {h:02d}:00", "%Y,%-j,{h}"]
)
def test_hours_may_run_to_24(tmp_path: Path, form: str) -> None:
    heads = ("date", "date,HOUR", "", "year,month,day,hour")
    head = "year,doy,hour" if "%-j" in form else heads[form.count(",")]
    ends = (START + timedelta(hours=i) for i in range(ROWS))
    times = [end.strftime(form).format(h=end.hour + 1) for end in ends]
    data = series(table(tmp_path / "a.csv", head, times))
    assert (data.survey().every, data.survey().gaps, data.facts.channels) == (3600, 0, ("a", "b"))
    clock = data._opened.clock
    assert clock is not None
    assert clock.times.moments is not None
    assert clock.times.moments[23] == datetime(2020, 1, 31)


def test_parts_may_be_written_with_a_point(tmp_path: Path) -> None:
    times = hours("%Y.0,%-m.0,%-d.0,%-H.0")
    data = series(table(tmp_path / "a.csv", "year,month,day,hour", times))
    assert (data.survey().every, data.facts.channels) == (3600, ("a", "b"))


def test_min_beside_max_is_no_minute(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = (f"{t},{(7 * i) % 11},{(5 * i) % 13 + 11}" for i, t in enumerate(hours("%Y,%m,%d,%H")))
    path.write_text("\n".join(["year,month,day,hour,min,max", *rows, ""]))
    assert (series(path).survey().every, series(path).facts.channels) == (3600, ("min", "max"))


@pytest.mark.parametrize("head", ["date,time", "Time,Day", "date,hour", "Day,Time"])
def test_day_and_time_in_two_columns_are_read_together(tmp_path: Path, head: str) -> None:
    form = {
        "date,time": "%m/%d/%Y,%H:%M",
        "Time,Day": "%H:%M:%S,%Y-%m-%d",
        "Day,Time": '"%b %-d, %Y",%H:%M',
    }
    path = table(tmp_path / "a.csv", head, hours(form.get(head, "%d.%m.%Y,%-H")))
    data = series(path)
    assert (data.survey().every, data.facts.channels) == (3600, ("a", "b"))
    data.read(path)
    assert len(data.ahead) == 1


@pytest.mark.parametrize(
    ("head", "form", "every", "next_"),
    [
        ("No,year,month,day,hour", "{i},%Y,%-m,%-d,%-H", 3600, "2020-02-01 12:00"),
        ("Year,Month,Day,Hour,Minute", "%Y,%m,%d,%H,%M", 3600, "2020-02-01 12:00"),
        ("year,doy,hour", "%Y,%-j,%-H", 3600, "2020-02-01 12:00"),
        ("year,yday", "%Y,{day}", 86400, "2020-03-01"),
        ("year,Quarter", "{year},{quarter}", 3 * MONTH, "2034-01-01"),
        ("month", "{m}", MONTH, "202401"),
    ],
)
def test_parts_of_a_time_are_no_measurements(
    tmp_path: Path, head: str, form: str, every: float, next_: str
) -> None:
    times = [
        cell.format(
            i=i,
            day=i + 1,
            m=f"{2019 + i // 12}{1 + i % 12:02d}",
            year=2019 + i // 4,
            quarter=1 + i % 4,
        )
        for i, cell in enumerate(hours(form))
    ]
    path = table(tmp_path / "a.csv", head, times)
    data = series(path)
    assert data.facts.channels == ("a", "b")
    assert (data.survey().every, data.survey().gaps) == (pytest.approx(every), 0)
    data.read(path)
    (ahead,) = data.ahead.values()
    assert ahead[0].removesuffix(":00" if len(next_) < len(ahead[0]) else "").startswith(next_)


@pytest.mark.parametrize(
    ("head", "times"),
    [
        ("year,doy", [f"2021,{i + 320}" for i in range(ROWS)]),
        ("year,doy", [f"0,{i + 1}" for i in range(ROWS)]),
        ("year,quarter", [f"{2019 + i // 5},{1 + i % 5}" for i in range(ROWS)]),
    ],
)
def test_parts_that_no_time_has_are_refused(tmp_path: Path, head: str, times: list[str]) -> None:
    with pytest.raises(DataError, match="must be a time"):
        series(table(tmp_path / "a.csv", head, times)).setup()


def test_rows_that_come_early_are_told(tmp_path: Path) -> None:
    times = [START + timedelta(hours=i) for i in range(40)]
    times += [times[-1] + timedelta(minutes=15 * i) for i in range(1, 21)]
    path = table(tmp_path / "a.csv", "date", [t.isoformat(" ") for t in times])
    data = series(path)
    said = "20 rows come early, and each is taken for one step"
    assert f"a.csv: {said}" in data.survey().notes
    kept = series(path, every=3600.0, columns=["a", "b"])
    with pytest.raises(DataError, match="a row every 900 s, the network learned from one every"):
        kept.read(path)
    mixed = table(tmp_path / "b.csv", "date", [t.isoformat(" ") for t in times[:42]])
    kept.read(mixed)
    assert f"{mixed}, the last 8 rows: 2 rows come early, and each is taken for one step" in (
        kept.notes
    )


def test_a_copied_row_is_no_clock_set_back(tmp_path: Path) -> None:
    times = hours("%Y-%m-%d %H:%M")
    path = table(tmp_path / "a.csv", "date", times)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:4], lines[3], *lines[4:], ""]))
    with pytest.raises(DataError, match="; a row stands there twice, take the copies out"):
        series(path).setup()


@pytest.mark.parametrize(
    ("head", "cells", "every"),
    [
        ("time (h)", [f"{i / 2}" for i in range(ROWS)], 1800),
        ("t_days", [f"{i}" for i in range(ROWS)], 86400),
        ("date", [f"{2023001 + i}" for i in range(ROWS)], 86400),
    ],
)
def test_hours_days_and_days_of_a_year(
    tmp_path: Path, head: str, cells: list[str], every: float
) -> None:
    path = table(tmp_path / "a.csv", head, cells)
    data = series(path)
    assert (data.survey().every, data.facts.channels) == (every, ("a", "b"))
