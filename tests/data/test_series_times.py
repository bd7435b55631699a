"""When the rows of a series were taken: read, or refused in one line; never passed over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import torch

from spikescan.data import DataError
from spikescan.data.clock import Clock
from spikescan.data.series import Series
from spikescan.data.times import read_times

START = datetime(2020, 1, 30)
ROWS = 60


def values(i: int) -> str:
    return f"{(7 * i) % 11 + 0.5},{(5 * i) % 13}"


def table(path: Path, times: Sequence[str], head: str = "date,a,b") -> Path:
    path.write_text("\n".join([head, *(f"{t},{values(i)}" for i, t in enumerate(times)), ""]))
    return path


def series(path: Path, **options: Any) -> Series:
    return Series(path=str(path), window=8, horizon=2, **options)


def clock(data: Series) -> Clock:
    found = data._opened.clock
    assert found is not None
    return found


def fault(path: Path, **options: Any) -> str:
    """The one line that is said of a file as it is looked at, learned from, and predicted from,
    where there are no options to give."""
    said = []
    for call in (lambda data: data.read(path), Series.survey, Series.setup):
        with pytest.raises(DataError) as error:
            call(series(path, columns=["a", "b"], **options))
        said.append(str(error.value).replace(str(path), "X"))
    assert said[1] == said[2]
    assert said[1].startswith(said[0])
    assert ("--data" in said[1]) is (said[0] != said[1])
    assert "\n" not in said[1]
    return said[1]


def days(form: str, count: int = ROWS) -> list[str]:
    return [(START + timedelta(days=i)).strftime(form) for i in range(count)]


def hours(form: str, count: int = ROWS) -> list[str]:
    return [(START + timedelta(hours=i)).strftime(form) for i in range(count)]


@pytest.mark.parametrize(
    ("times", "every"),
    [
        (days("%Y-%m-%d"), 86400),
        (days("%Y%m%d"), 86400),
        (days("%m/%d/%Y"), 86400),
        (days("%d/%m/%Y"), 86400),
        (days("%d.%m.%Y"), 86400),
        (days("%d.%m.%y"), 86400),
        (days('"%b %d, %Y"'), 86400),
        (days("%d %b %Y"), 86400),
        (days("%d-%b-%y"), 86400),
        (days("%Y/%m/%d"), 86400),
        (hours("%d.%m.%Y %H:%M"), 3600),
        (hours("%m/%d/%Y %I:%M:%S %p"), 3600),
        (hours("%Y-%m-%d %H:%M:%S UTC"), 3600),
        (hours("%Y-%m-%dT%H:%M:%SZ"), 3600),
        ([str(1577836800 + 3600 * i) for i in range(ROWS)], 3600),
        ([str(1577836800000 + 60000 * i) for i in range(ROWS)], 60),
        ([str(1577836800000000000 + 250000000 * i) for i in range(ROWS)], 0.25),
        ([f"{0.02 * i:.2f}" for i in range(ROWS)], 0.02),
        ([str(45000 + i) for i in range(ROWS)], 86400),
    ],
)
def test_times_are_read_however_they_are_written(
    tmp_path: Path, times: list[str], every: float
) -> None:
    data = series(table(tmp_path / "a.csv", times))
    assert data.survey().every == pytest.approx(every)
    assert data.facts.channels == ("a", "b")
    assert data.survey().gaps == 0


@pytest.mark.parametrize(
    ("times", "step"),
    [
        ([f"{2000 + i // 12}-{i % 12 + 1:02d}" for i in range(ROWS)], ("2005-01", "2005-02")),
        ([f"{1900 + i}" for i in range(ROWS)], ("1960", "1961")),
        ([f"{1 + i % 12:02d}/{2000 + i // 12}" for i in range(ROWS)], ("01/2005", "02/2005")),
        (hours("%d.%m.%Y %H:%M"), ("01.02.2020 12:00", "01.02.2020 13:00")),
        (hours("%Y-%m-%d %H:%M:%S"), ("2020-02-01 12:00:00", "2020-02-01 13:00:00")),
        (days("%Y-%m-%d"), ("2020-03-30", "2020-03-31")),
        ([str(1577836800000 + 60000 * i) for i in range(ROWS)], ("1577840400000", "1577840460000")),
        ([f"{0.5 * i}" for i in range(ROWS)], ("30.0", "30.5")),
        ([str(45000 + i) for i in range(ROWS)], ("45060", "45061")),
    ],
)
def test_the_times_of_a_forecast_are_written_as_those_before(
    tmp_path: Path, times: list[str], step: tuple[str, str]
) -> None:
    path = table(tmp_path / "a.csv", times)
    data = series(path)
    data.read(path)
    assert data.ahead == {"date": [*step]}


def test_ends_of_months_stay_such(tmp_path: Path) -> None:
    ends = [
        str((datetime(2000 + i // 12, i % 12 + 1, 28) + timedelta(days=4)).replace(day=1)
            - timedelta(days=1))[:10]
        for i in range(ROWS)
    ]  # fmt: skip
    path = table(tmp_path / "a.csv", ends)
    data = series(path)
    data.read(path)
    assert data.survey().gaps == 0
    assert data.ahead == {"date": ["2005-01-31", "2005-02-28"]}


def test_months_and_days_that_nothing_tells_apart_are_refused(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv", [f"01/02/2020 {i // 60:02d}:{i % 60:02d}" for i in range(ROWS)]
    )
    said = fault(path)
    assert said.startswith(
        "X: line 2, column 'date': '01/02/2020 00:00' may be %m/%d/%Y %H:%M or %d/%m/%Y %H:%M, and "
        "no other line tells which; write times as 2024-01-31 12:00, or name the format: "
        "--data.time_format"
    )
    data = series(path, time_format="%d/%m/%Y %H:%M")
    assert data.survey().notes[0] == "from 2020-02-01 00:00:00 to 2020-02-01 00:59:00"
    # What was learned from tells how to read what nothing else tells.
    assert data.known()["time_format"] == "%d/%m/%Y %H:%M"
    kept = series(
        tmp_path / "gone.csv", **series(table(tmp_path / "b.csv", days("%m/%d/%Y"))).known()
    )
    kept.read(table(tmp_path / "c.csv", days("%m/%d/%Y")[3:12]))
    assert kept.ahead == {"date": ["02/11/2020", "02/12/2020"]}
    # And rows that follow each other as they stand may be taken so.
    assert series(path, time_format="ignore").survey().every is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "Average,1,2",
            "X: line 62, column 'date' must be a time as '2020-01-30' is, got 'Average'",
        ),
        (
            "\n\nTotal,1,2",
            "X: line 64, column 'date' must be a time as '2020-01-30' is, got 'Total'",
        ),
        (",1,2", "X: line 62, column 'date' must be a time as '2020-01-30' is, got ''"),
        ("nan,1,2", "X: line 62, column 'date' must be a time as '2020-01-30' is, got 'nan'"),
    ],
)
def test_a_row_that_is_none_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = table(tmp_path / "a.csv", days("%Y-%m-%d"))
    path.write_text(path.read_text() + line + "\n")
    assert fault(path) == f"{said}; mend the line, or take it out"


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (["week one"] * ROWS, "X: line 2, column 'date' must be a time, got 'week one'; write"),
        (["2020-01-30", "2020-01-31T00:00Z"] * 9, "X: line 3, column 'date': '2020-01-31T00:00Z' "),
        (["0", "1", "nan"] * 9, "X: line 4, column 'date' must be a time as '0' is, got 'nan'"),
    ],
)
def test_a_column_of_the_time_that_cannot_be_read(
    tmp_path: Path, times: list[str], said: str
) -> None:
    assert fault(table(tmp_path / "a.csv", times)).startswith(said)


def test_dates_are_found_by_what_they_look_like(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "a,when,b\n" + "".join(f"{i % 7},{t},{i % 5}\n" for i, t in enumerate(days("%d.%m.%Y")))
    )
    data = series(path)
    assert data.facts.channels == ("a", "b")
    assert data.survey().every == 86400


def test_a_clock_without_a_day_does_not_pass_midnight(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", hours("%H:%M"))
    assert fault(path) == (
        "X: line 26, column 'date' goes back from 23:00 to 00:00; write the day beside the clock, "
        "in a column before it"
    )


def test_rows_that_come_newest_first_are_turned_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = table(tmp_path / "up.csv", days("%m/%d/%Y"))
    head, *rows = path.read_text().splitlines()
    turned = tmp_path / "down.csv"
    turned.write_text("\n".join([head, *rows[::-1]]))
    up, down = series(path), series(turned)
    assert torch.equal(up._values, down._values)
    assert torch.equal(up.read(path)[0][1].x, down.read(turned)[0][1].x)
    assert up.ahead == down.ahead
    said = "rows come newest first, and are read from the end, from 01/30/2020 to 03/29/2020"
    assert down.notes == [f"{turned}: {said}"]
    assert f"down.csv: {said}" in down.survey().notes
    down.setup()
    assert f"down.csv: {said}" in capsys.readouterr().out


def test_an_hour_that_comes_twice_in_autumn_is_told(tmp_path: Path) -> None:
    start = datetime(2024, 10, 26)
    quarters = [str(start + timedelta(minutes=15 * i)) for i in range(108)]
    again = [*quarters, *(str(start + timedelta(minutes=15 * i)) for i in range(104, 140))]
    data = series(table(tmp_path / "a.csv", again))
    assert data.survey().notes[1:] == [
        "a.csv: the time goes back in line 110 (2024-10-27 02:00:00), taken for a clock that was "
        "set back"
    ]
    data.setup()
    single = [str(start + timedelta(hours=i)) for i in range(27)]
    assert series(table(tmp_path / "b.csv", [*single, *single[-1:]])).survey().rows == 28


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda rows: rows[30:] + rows[:30],
            "X: line 32, column 'date' goes back from 2020-02-01 11:00:00 to 2020-01-30 00:00:00; "
            "sort the rows by time",
        ),
        (
            lambda rows: rows + rows[-20:],
            "X: line 62, column 'date' goes back from 2020-02-01 11:00:00 to 2020-01-31 16:00:00; "
            "20 rows stand there twice, take the copies out",
        ),
        (
            lambda rows: [row for row in rows for _ in range(2)],
            "X: line 3, column 'date' has the time of line 2 again, 2020-01-30 00:00:00; 60 rows "
            "stand there twice, take the copies out",
        ),
        (
            lambda rows: [rows[0], *rows[1:40], *rows[38:]],
            "X: line 42, column 'date' goes back from 2020-01-31 15:00:00 to 2020-01-31 14:00:00; "
            "2 rows stand there twice, take the copies out",
        ),
        (
            lambda rows: rows[:30] + [row + "5" * (i % 9) for i, row in enumerate(rows)],
            "X: line 32, column 'date' goes back from 2020-01-31 05:00:00 to 2020-01-30 00:00:00, "
            "and 30 times come again; several series must be a column, or a file, each; if these "
            "are one, as it stands, say --data.time_format ignore",
        ),
    ],
)
def test_rows_in_disorder_are_refused(
    tmp_path: Path, change: Callable[[list[str]], list[str]], said: str
) -> None:
    path = table(tmp_path / "a.csv", hours("%Y-%m-%d %H:%M:%S"))
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([head, *change(rows)]))
    assert fault(path) == said


def test_an_hour_is_not_set_back_where_it_has_not_passed(tmp_path: Path) -> None:
    """Two halves of an hour, the second one first, go back by as much as a clock in autumn."""
    minutes = [f"2020-10-25 02:{i:02d}" for i in range(60)]
    said = fault(table(tmp_path / "a.csv", minutes[30:] + minutes[:30]))
    assert said.endswith(
        "goes back from 2020-10-25 02:59 to 2020-10-25 02:00; sort the rows by time"
    )
    seconds = [str(i) for i in range(60)]
    assert "goes back from 59 to 0" in fault(table(tmp_path / "b.csv", seconds[30:] + seconds[:30]))


def test_several_series_in_one_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "panel.csv"
    rows = [f"{t},{k},{i % 7},{i % 5}" for i, t in enumerate(days("%Y-%m-%d")) for k in "01"]
    tells = "; column 'shelf' seems to tell several series apart: make each a column, or a file, of"
    path.write_text("\n".join(["date,shelf,a,b", *rows]))
    assert f"has the time of line 2 again, 2020-01-30{tells}" in fault(path)
    path.write_text("\n".join(["date,shelf,a,b", *rows[::2], *rows[1::2]]))
    assert f"line 62, column 'date' goes back from 2020-03-29 to 2020-01-30{tells}" in fault(path)


def test_weekends_are_no_gaps_where_there_are_none(tmp_path: Path) -> None:
    weekdays = [t for t in days("%Y-%m-%d", 84) if datetime.fromisoformat(t).weekday() < 5]
    path = table(tmp_path / "a.csv", weekdays)
    data = series(path, every=86400)
    assert (data.survey().gaps, data.survey().weekdays) == (0, True)
    data.read(path)
    assert (data.notes, data.ahead) == ([], {})
    data.read(table(tmp_path / "b.csv", weekdays[:-5] + weekdays[-4:]))
    assert data.notes == [
        f"{tmp_path / 'b.csv'}, the last 8 rows: a row comes late, weekends aside"
    ]


def test_a_file_without_times_says_so_where_the_run_knows_them(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "".join(f"{values(i)}\n" for i in range(ROWS)))
    data = series(path, every=3600)
    data.read(path)
    assert data.notes == [
        f"{path}: no column tells the time; its rows are taken to be 3600 s apart, the last one "
        "newest"
    ]


def test_an_ambiguous_column_names_the_first_line() -> None:
    with pytest.raises(
        DataError, match=r"row 0: '01/02/24' may be %m/%d/%y or %d/%m/%y or %y/%m/%d"
    ):
        read_times(["01/02/24", "01/03/24"], lambda row: f"row {row}")


@pytest.mark.parametrize("pace", [0.02, 1.0, 2.6])
def test_forecasts_of_a_fast_pace_go_on(tmp_path: Path, pace: float) -> None:
    times = [
        (START + timedelta(seconds=pace * i)).isoformat(" ", "milliseconds") for i in range(62)
    ]
    path = table(tmp_path / "fast.csv", times[:60])
    data = series(path)
    data.read(path)
    said = [datetime.fromisoformat(time) for time in data.ahead["date"]]
    assert said == [datetime.fromisoformat(time) for time in times[60:]]


def test_seconds_since_1970_go_on(tmp_path: Path) -> None:
    path = table(tmp_path / "since.csv", [f"{1_700_000_000 + i / 50:.2f}" for i in range(60)])
    data = series(path)
    data.read(path)
    assert data.ahead == {"date": ["1700000001.20", "1700000001.22"]}


@pytest.mark.parametrize(
    ("head", "times", "every", "ahead"),
    [
        ("MESS_DATUM", hours("%Y%m%d%H"), 3600, "2020020112"),
        ("stamp", days("%Y%m%d"), 86400, "20200330"),
        ("Time [ms]", [str(10 * i) for i in range(ROWS)], 0.01, "600"),
        ("t_us", [str(20 * i + 7) for i in range(ROWS)], 2e-5, "1207"),
        ("Timestamp", [f"{45000 + i / 24:.6f}" for i in range(ROWS)], 3600, "45002.500000"),
    ],
)
def test_times_are_known_by_what_they_are_called(
    tmp_path: Path, head: str, times: list[str], every: float, ahead: str
) -> None:
    path = table(tmp_path / "a.csv", times, f"{head},a,b")
    data = series(path)
    assert data.facts.channels == ("a", "b")
    assert data.survey().every == pytest.approx(every, rel=1e-9)
    data.read(path)
    assert data.ahead[head][0] == ahead


def test_months_with_two_digits_of_a_year_are_read(tmp_path: Path) -> None:
    months = [datetime(1990 + i // 12, i % 12 + 1, 1).strftime("%b-%y") for i in range(ROWS)]
    path = table(tmp_path / "a.csv", months, "Month,a,b")
    data = series(path)
    data.read(path)
    assert data.ahead == {"Month": ["Jan-95", "Feb-95"]}


def test_the_formats_that_fit_are_named(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv", [f"02/01/2023 {i // 60:02d}:{i % 60:02d}" for i in range(ROWS)]
    )
    assert "--data.time_format '%m/%d/%Y %H:%M' or '%d/%m/%Y %H:%M'; ignore" in fault(path)
