"""Forecasting: windows of a CSV file, the naive answers, and a network that beats them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.plugins import Precision

from spikescan.cli import main
from spikescan.data import Classes, DataError, Facts, Horizon, SequenceBatch
from spikescan.data.series import Series
from spikescan.models import SDTCM, Backbone
from spikescan.tasks.forecasting import Forecasting
from spikescan.train.record import raster

HEAD = "date,load,heat\n"


def hour(i: int) -> str:
    """The i-th hour, as it stands in a file."""
    return str(np.datetime64("2020-01-01T00:00") + np.timedelta64(i, "h"))


def write(folder: Path, rows: int = 200, name: str = "daily.csv") -> Path:
    """Two sines of 12 steps with noise, the second ten times as large and far from zero."""
    rng = np.random.default_rng(0)
    wave = np.sin(2 * np.pi * np.arange(rows)[:, None] / 12 + [0, 1])
    values = (wave + 0.1 * rng.standard_normal(wave.shape)) * [1, 10] + [0, 500]
    lines = [f"{hour(i)},{a:.5f},{b:.5f}\n" for i, (a, b) in enumerate(values)]
    path = folder / name
    path.write_text(HEAD + "".join(lines))
    return path


def tiny(folder: Path) -> list[str]:
    return [
        "--data=spikescan.data.Series",
        f"--data.path={write(folder)}",
        "--data.window=24",
        "--data.horizon=6",
        "--data.train=0.6",
        "--data.val=0.2",
        "--data.test=0.2",
        "--task.season=12",
    ]


def task(horizon: int = 3, apart: bool = True, scaled: bool = False, **options: Any) -> Forecasting:
    torch.manual_seed(0)
    facts = Facts(Horizon(horizon, ("a", "b"), apart), length=8, inputs=2, scaled=scaled)
    body = Backbone(SDTCM, inputs=facts.network_inputs, features=4, depth=1)
    return Forecasting(body, facts, **options)


# Data


def test_windows_follow_each_other_and_parts_do_not_overlap(tmp_path: Path) -> None:
    data = Series(path=str(write(tmp_path)), window=24, horizon=6, train=100, val=0.2, test=60)
    names = ("load", "heat")
    assert data.facts == Facts(
        Horizon(6, names, apart=True), length=24, inputs=2, channels=names, scaled=True
    )
    assert data.facts.network_inputs == 1
    # A first window needs 24 rows of training; later parts reach back for theirs.
    assert [len(part) for part in data.splits] == [100 - 24 - 6 + 1, 40 - 6 + 1, 60 - 6 + 1]
    raw = np.loadtxt(tmp_path / "daily.csv", delimiter=",", skiprows=1, usecols=(1, 2))
    expected = torch.from_numpy(raw).float()
    mean, std = data.statistics()  # of the training rows alone
    np.testing.assert_allclose(mean, raw[:100].mean(0), rtol=1e-5)
    np.testing.assert_allclose(std, raw[:100].std(0), rtol=1e-5)
    for part, begin, item in ((0, 0, 7), (1, 100 - 24, 0), (2, 140 - 24, 54)):
        batch = data.splits[part][item]
        first = begin + item
        torch.testing.assert_close(batch.x[0], expected[first : first + 24], rtol=0, atol=0)
        torch.testing.assert_close(batch.y[0], expected[first + 24 : first + 30], rtol=0, atol=0)


def test_columns_time_and_packed_files(tmp_path: Path) -> None:
    path = write(tmp_path)
    packed = tmp_path / "daily.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    data = Series(path="daily.csv.gz", root=str(tmp_path), columns=["heat"])
    assert data.facts.target == Horizon(96, ("heat",), apart=True)
    (tmp_path / "numbers.csv").write_text("t,v\n" + "".join(f"{i},{i}\n" for i in range(9)))
    numbers = str(tmp_path / "numbers.csv")
    short: dict[str, Any] = {"path": numbers, "window": 2, "horizon": 2}
    assert Series(**short).facts.inputs == 2
    assert Series(**short, time="t").facts.target == Horizon(2, ("v",), apart=True)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "2020-01-02,1,\n",
            "line 3, column 'heat' has no value (''); mend it, or say missing='hold' or",
        ),
        ("2020-01-02,nan,1\n", "line 3, column 'load' has no value ('nan')"),
        ("2020-01-02,1,warm\n", "line 3, column 'heat' must be a number, got 'warm'"),
        ("2020-01-02,1\n", "line 3 has 2 cells, expected 3"),
    ],
)
def test_bad_cells_are_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(HEAD + "2020-01-01,1,2\n" + line)
    with pytest.raises(DataError) as error:
        Series(path=str(path), columns=["load", "heat"]).setup()
    assert f"{path}: {words}" in str(error.value)


def test_another_pace_and_rows_that_are_missing_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hours = [f"2020-01-{1 + t // 24:02d} {t % 24:02d}:00,{t},{t}\n" for t in range(200)]
    files = {"all": hours, "two": hours[::2], "late": hours[:-9] + hours[-6:]}
    for name, rows in files.items():
        (tmp_path / f"{name}.csv").write_text(HEAD + "".join(rows))
    data = Series(path=str(tmp_path / "all.csv"), window=8, horizon=2)
    assert data.known() == {"columns": ["load", "heat"], "every": 3600}
    data.setup()
    assert not capsys.readouterr().out
    kept = Series(path=str(tmp_path / "gone.csv"), window=8, horizon=2, **data.known())
    assert len(kept.read(tmp_path / "all.csv")) == 1
    with pytest.raises(DataError, match="a row every 7200 s, the network learned from one every"):
        kept.read(tmp_path / "two.csv")
    with pytest.raises(DataError) as error:
        kept.read(tmp_path / "late.csv")
    assert str(error.value) == (
        f"{tmp_path / 'late.csv'}, the last 8 rows: a row comes late, first line 193, where "
        "2020-01-08 22:00 is followed by 2020-01-09 02:00; put in the rows that are missing, 3 "
        "there"
    )
    Series(path=str(tmp_path / "late.csv"), window=8, horizon=2).setup()
    assert "late.csv: a row comes late; windows run over such gaps" in capsys.readouterr().out


def test_a_clock_that_is_put_forward_is_no_gap(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Local time has no half past two on a Sunday in spring; on a Saturday a row is missing."""
    for day, said in ((31, ""), (30, "the last 8 rows: a row comes late")):
        start = np.datetime64(f"2024-03-{day:02d}T02:00")
        times = [start + np.timedelta64(t + (t >= 0), "h") for t in range(-90, 4)]
        path = tmp_path / f"{day}.csv"
        path.write_text(HEAD + "".join(f"{t},{i % 7},{i % 5}\n" for i, t in enumerate(times)))
        data = Series(path=str(path), window=8, horizon=2, every=3600)
        if said:
            with pytest.raises(DataError, match=said):
                data.read(path)
            continue
        data.setup()
        assert not capsys.readouterr().out
        assert len(data.read(path)) == 1
        assert data.notes == [
            f"{path}: an hour is skipped before 2024-03-31T03:00, taken for a clock that was put "
            "forward; if rows are missing there, put them in"
        ]


def test_numbers_beyond_float32_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    path.write_text(HEAD + "".join(f"2020-01-{day:02d},{day},1e39\n" for day in range(1, 31)))
    with pytest.raises(DataError, match=r"column .heat. holds numbers beyond float32's, 3.4e38"):
        Series(path=str(path), window=2, horizon=2).setup()


def test_missing_values_are_filled_in_as_told(tmp_path: Path) -> None:
    path = tmp_path / "gap.csv"
    rows = (f"{hour(i)},{'' if i % 2 else i},{i % 4}\n" for i in range(40))
    path.write_text(HEAD + "".join(rows))
    held = Series(path=str(path), window=2, horizon=2, missing="hold").splits.train.batch(
        torch.tensor([0]), 0
    )
    assert held.x[0, :, 0].tolist() == [0, 0]


def test_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, rows=50)
    with pytest.raises(DataError, match="has 50 rows, fewer than the 60 of the"):
        Series(path=str(path), train=20, val=20, test=20).setup()
    with pytest.raises(
        DataError, match="the training part has 35 rows to read, windows of 96 with a"
    ):
        Series(path=str(path)).setup()
    with pytest.raises(DataError, match=r"has no column 'cold', only date, load, heat"):
        Series(path=str(path), columns=["cold"]).setup()
    with pytest.raises(
        DataError, match=f"no file away.csv: looked for away.csv and {tmp_path}/away"
    ):
        _ = Series(path="away.csv", root=str(tmp_path)).facts
    for options in ({"window": 0}, {"horizon": 0}, {"train": 0.0}, {"val": 1.5}, {"test": -3}):
        with pytest.raises(ValueError, match=next(iter(options))):
            Series(path=str(path), **options)  # type: ignore[arg-type]


# Task


def test_naive_answers() -> None:
    x = torch.arange(16.0).view(1, 8, 2)
    answers = task(horizon=5, season=3).naive(x)
    assert answers["last_value"].tolist() == [[[14, 15]] * 5]
    assert answers["last_season"][0, :, 0].tolist() == [10, 12, 14, 10, 12]
    assert list(task().naive(x)) == ["last_value"]


@pytest.mark.parametrize(
    ("options", "base"),
    [
        ({}, "last_value"),
        ({"apart": False, "readout": "last", "scaled": True}, "last_value"),
        ({"relative_to": "season", "season": 2}, "last_season"),
        ({"relative_to": "mean"}, None),
    ],
)
def test_a_silent_head_gives_the_naive_answer(options: dict[str, Any], base: str | None) -> None:
    model = task(**options)
    torch.nn.init.zeros_(model.model.head.linear.weight)
    torch.nn.init.zeros_(model.model.head.linear.bias)
    x = torch.randn(2, 8, 2) * 5 + 100
    expected = x.mean(1, keepdim=True).expand(-1, 3, -1) if base is None else model.naive(x)[base]
    torch.testing.assert_close(model(x), expected)


def test_the_forecast_follows_shift_and_scale_of_its_window() -> None:
    model = task().eval()
    x = torch.randn(4, 8, 2)
    moved = model(x * 8 + 64)
    torch.testing.assert_close(moved, model(x) * 8 + 64, rtol=0, atol=1e-3)
    still = model(torch.ones(1, 8, 2))
    assert (still - 1).abs().max() < 0.01


def test_errors_agree_with_their_definitions() -> None:
    model = task()
    out, y = torch.randn(6, 3, 2), torch.randn(6, 3, 2)
    values = {}
    for name, metric in model.metrics["on_test"].items():  # type: ignore[union-attr, operator]
        metric.update(out[:2], y[:2])
        metric.update(out[2:], y[2:])
        values[name] = float(metric.compute())
    squares = (out - y) ** 2
    each = 1 - squares.sum(0) / ((y - y.mean(0)) ** 2).sum(0)
    assert values == pytest.approx(
        {
            "mse": float(squares.mean()),
            "mae": float((out - y).abs().mean()),
            "r2": float(each.mean()),
            "rse": float((squares.sum() / ((y - y.mean()) ** 2).sum()).sqrt()),
        },
        rel=1e-4,
    )


def test_channels_go_apart() -> None:
    model = task().eval()
    x = torch.randn(3, 8, 2)
    both = model(x)
    torch.testing.assert_close(model(x.flip(-1)), both.flip(-1))
    x[..., 1] = 7  # and what the other one does is nothing to it
    torch.testing.assert_close(model(x)[..., 0], both[..., 0])
    with pytest.raises(ValueError, match="apart needs all of the 3 inputs to be predicted"):
        Facts(Horizon(3, ("a", "b"), apart=True), length=8, inputs=3)


def test_forecasts_are_in_the_unit_of_the_data_and_errors_in_that_of_the_field() -> None:
    plain, own = task().eval(), task(scaled=True).eval()
    mean, std = torch.tensor([50.0, -3.0]), torch.tensor([20.0, 0.5])
    assert own.unit is not None
    own.unit.set(mean, std)
    x, y = torch.randn(4, 8, 2), torch.randn(4, 3, 2)
    out = own(x * std + mean)
    torch.testing.assert_close(out, plain(x) * std + mean)
    batch, raw = SequenceBatch(x, y), SequenceBatch(x * std + mean, y * std + mean)
    torch.testing.assert_close(own.loss(out, raw), plain.loss(plain(x), batch))
    assert own.verdicts(out, raw) == plain.verdicts(plain(x), batch)
    assert float(own.state_dict()["unit.std"][0]) == 20


def test_words() -> None:
    model = task()
    out = torch.tensor([[[1.0, 2.0], [0.0, 0.0], [3.0, 4.0]]])
    assert model.predictions(out) == ["a 1 next and 3 after 3 steps, b 2 next and 4 after 3 steps"]
    batch = SequenceBatch(torch.zeros(1, 8, 2), torch.zeros(1, 3, 2))
    assert model.verdicts(out, batch) == ["mse 5 over the next 3 steps, 0 with the last value"]


def test_words_and_figures_have_the_digits_of_float32() -> None:
    out = torch.tensor([[[929.6712, 1005.689], [0.1, 1e6], [929.6713, 1054.707]]])
    (answer,) = task().answers(out)
    assert answer["prediction"].startswith("a 929.671 next and 929.671 after 3 steps, b 1005.69 n")
    assert answer["forecast"] == {"a": [929.6712, 0.1, 929.6713], "b": [1005.689, 1e6, 1054.707]}


def test_a_head_that_is_too_large_is_refused() -> None:
    facts = Facts(Horizon(96, ("a",), apart=True), length=10_000_000, inputs=1)
    body = Backbone(SDTCM, inputs=1, features=4, depth=1)
    with pytest.raises(ValueError, match=r"the weights of the head, got 10,000,000 x 4 x 96"):
        Forecasting(body, facts)


def test_the_caption_tells_units_and_what_is_not_shown() -> None:
    facts = Facts(Horizon(3, tuple("abcdef"), apart=True), length=8, inputs=6, scaled=True)
    body = Backbone(SDTCM, inputs=facts.network_inputs, features=4, depth=1)
    model = Forecasting(body, facts)
    for many, wanted in ((model, True), (task(apart=False), False)):
        many.log_dict = lambda _: None  # type: ignore[method-assign,assignment]
        channels = len(many.channels)
        many.on_test_epoch_start()
        batch = SequenceBatch(torch.randn(2, 8, channels), torch.randn(2, 3, channels))
        many.collect(batch.y, batch)
        many.on_test_epoch_end()
        caption = many.sections()[0].caption
        for words in (", 4 of its 6 columns.", "goes through the network alone", "deviations of"):
            assert (words in caption) is wanted


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"season must be within 0 \.\. 8, the window, got 9"):
        task(season=9)
    with pytest.raises(ValueError, match=r"season must be within 1 \.\. 8, the window, got 0"):
        task(relative_to="season")
    with pytest.raises(
        ValueError, match="Forecasting needs data whose target is a Horizon, got Cl"
    ):
        Forecasting(Backbone(SDTCM, features=4), Facts(Classes(("a", "b")), length=8))


def test_a_short_training_beats_the_last_value(tmp_path: Path, no_pictures: list[Any]) -> None:
    options = ["--model.features=16", "--trainer.max_epochs=6", "--data.batch_size=16"]
    arguments = ["train", "etth1", f"--runs={tmp_path}", "--name=run", *tiny(tmp_path), *options]
    lines = (tmp_path / "daily.csv").read_text().splitlines(keepends=True)
    (tmp_path / "daily.csv").write_text("".join(lines[:70] + lines[71:]))
    assert main([*arguments, "--task.optimizer.lr=0.01", "--data.horizon=4"]) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert set(results) >= {"test_mse", "test_mae", "test_r2", "test_rse", "firing_rate"}
    assert results["test_mse"] < 0.5 * results["test_last_value_mse"]
    assert results["test_last_season_mse"] < results["test_last_value_mse"]
    (record,) = no_pictures
    assert record.notes[0] == "daily.csv: a row comes late; windows run over such gaps"
    assert [section.heading for section in record.sections] == ["A forecast", "Error by step ahead"]
    for section in record.sections:
        assert section.draw(width=6).axes
    assert set(record.history) >= {"loss", "mse", "mae", "r2", "rse"}
    assert record.rates
    assert main(["energy", str(tmp_path / "run"), "--json", str(tmp_path / "told.json")]) == 0
    told = json.loads((tmp_path / "told.json").read_text())
    of_run = results["energy"]["estimates"]["full"]["computing"]
    assert told["estimates"]["full"]["computing"] == pytest.approx(of_run, rel=1e-6)


def test_predict_says_what_forward_gives_in_the_unit_of_its_window() -> None:
    model = task().eval()
    x = torch.randn(2, 8, 2) + 100
    assert model.predict(x) == model.predictions(model(x))
    assert (model(x) - 100).abs().max() < 10  # and not that of the network, around zero
    assert model.predict(x.double()) == model.predict(x)
    with pytest.raises(ValueError, match="x must have the 8 steps of a window, the latest last"):
        model.predict(x[:, :5])
    for wrong, words in (
        (x[0], r"x must have shape \(B, T, 2\), got \(8, 2\)"),
        (x[:, :, :1], r"x must have shape \(B, T, 2\), got \(2, 8, 1\)"),
        (x[:, :0], r"x must hold at least one step, got shape \(2, 0, 2\)"),
        (x / (x != x[1, 3, 1]), "x must be finite, got a number that is NaN or infinite"),
    ):
        with pytest.raises(ValueError, match=words):
            model.predict(wrong)
    with pytest.raises(TypeError, match="x must be a tensor, got a ndarray"):
        model.predict(x.numpy())  # type: ignore[arg-type]


def test_the_picture_of_the_input_shows_channels_of_any_unit(tmp_path: Path) -> None:
    data = Series(path=str(write(tmp_path)), window=24, horizon=6, train=0.6, val=0.2, test=0.2)
    torch.manual_seed(0)
    model = Forecasting(Backbone(SDTCM, features=4, depth=1), data.facts)
    model.trainer = SimpleNamespace(datamodule=data)  # type: ignore[assignment]
    model.setup("fit")
    shown = raster(model, data, Precision()).input
    assert shown.shape == (24, 2)
    assert np.abs(shown).max() < 3  # and not 500, as the second channel is


def test_files_without_names_lose_no_row(tmp_path: Path) -> None:
    """The exchange, electricity, solar and traffic files of the field."""
    lines = "".join(f"{i / 10},{100 - i}\n" for i in range(60))
    path = tmp_path / "exchange_rate.txt.gz"
    path.write_bytes(gzip.compress(lines.encode()))
    data = Series(path=str(path), window=4, horizon=2, header=False)
    assert data.facts.channels == ("0", "1")
    assert data.splits.train[0].x[0, 0].tolist() == [0, 100]
    with pytest.raises(DataError, match=r"the first line is .*, which are no numbers"):
        _ = Series(path=str(write(tmp_path)), header=False).facts


@pytest.mark.usefixtures("no_pictures")
def test_a_run_does_not_go_on_with_another_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--model.features=4", "--trainer.max_epochs=1", "--trainer.limit_train_batches=1"]
    assert main(["train", "etth1", f"--runs={tmp_path}", "--name=run", *few, *tiny(tmp_path)]) == 0
    with (tmp_path / "daily.csv").open("a") as file:
        file.write(f"{hour(999)},1,2\n")
    assert main(["train", f"--resume={tmp_path / 'run'}", "--trainer.max_epochs=2"]) == 2
    said = capsys.readouterr().err
    assert "the data are not those that" in said
    assert "daily.csv is sha256" in said
