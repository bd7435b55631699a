"""The pictures hold the data they are given, and bad data is refused by name."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from spikescan.report import (
    Quantity,
    RasterRecord,
    confusion_matrix,
    curves,
    firing_rates,
    raster,
    time_constants,
)
from spikescan.report.figures import best_epoch
from spikescan.report.style import shorten, to_png, to_svg

EPOCHS = np.arange(4)
ACCURACY = Quantity("accuracy", "higher", percent=True)
HISTORY = {
    "accuracy": {"val": (EPOCHS, np.array([0.1, 0.6, 0.8, 0.8]))},
    "loss": {
        "train": (EPOCHS, np.array([2.0, 1.0, 0.5, 0.25])),
        "val": (EPOCHS, np.array([2.0, 1.5, 1.0, 1.25])),
        "test": (np.array([3]), np.array([1.1])),
    },
}


def texts(figure: Figure) -> str:
    found = [t.get_text() for axes in figure.axes for t in axes.texts]
    for axes in figure.axes:
        found += [axes.get_title(loc) for loc in ("left", "center", "right")]
    return "\n".join(found)


def line(figure: Figure, axes: int, label: str) -> np.ndarray:
    (found,) = (a for a in figure.axes[axes].lines if a.get_label() == label)
    return np.asarray(found.get_xydata())


def record(**changes: object) -> RasterRecord:
    values = {"input": np.zeros((64, 1)), "spikes": {}, "words": "true class 1, taken for 2"}
    return RasterRecord(**(values | changes))  # type: ignore[arg-type]


# Learning curves


def test_curves_hold_series_loss_first_and_best_epoch() -> None:
    figure = curves(HISTORY, quantities=[ACCURACY])
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy"]
    for phase, label in (("train", "training"), ("val", "validation")):
        expected = np.column_stack(HISTORY["loss"][phase])
        np.testing.assert_array_equal(line(figure, 0, label), expected)
    assert set(line(figure, 0, "test")[:, 1]) == {1.1}
    # The loss decides, though accuracy is the same an epoch later.
    assert best_epoch(HISTORY) == 2
    assert "Loss: 1 at the best epoch, 2" in texts(figure)
    assert "Accuracy: 80.0% at the best epoch, 2" in texts(figure)
    # A quantity that nobody described is drawn as a plain number.
    assert "Accuracy: 0.8 at the best epoch, 2" in texts(curves(HISTORY))


def test_the_watched_quantity_decides_which_epoch_is_best() -> None:
    rising = {"val": (EPOCHS, np.array([0.1, 0.6, 0.9, 0.8]))}
    history = {"rate": rising, "loss": {"val": (EPOCHS, np.array([1.0, 2.0, 3.0, 4.0]))}}
    assert best_epoch(history) == 0
    assert best_epoch(history, Quantity("rate", "higher")) == 2
    assert best_epoch(history, Quantity("rate", "lower")) == 0
    assert best_epoch(history, Quantity("missing", "lower")) is None
    figure = curves(history, watched=Quantity("rate", "higher"))
    assert "Rate: 0.9 at the best epoch, 2" in texts(figure)
    assert "Loss: 3 at the best epoch, 2" in texts(figure)


def test_best_epoch_without_accuracy_and_with_nan() -> None:
    values = np.array([np.nan, 3.0, 1.0, np.inf])
    assert best_epoch({"loss": {"val": (EPOCHS, values)}}) == 2
    assert best_epoch({"loss": {"val": (EPOCHS, np.full(4, np.nan))}}) is None
    assert best_epoch({"loss": {"train": (EPOCHS, values)}}) is None


def test_curves_of_one_epoch_and_of_nan_only() -> None:
    one = {"loss": {"train": (EPOCHS[:1], np.array([0.5]))}}
    (marked,) = curves(one).axes[0].lines
    assert marked.get_marker() == "o"
    nan = np.full(4, np.nan)
    figure = curves({"loss": {"train": (EPOCHS, nan), "val": (EPOCHS, nan)}})
    assert "no finite value" in texts(figure)
    part = curves({"loss": {"train": (EPOCHS, np.ones(4)), "val": (EPOCHS, nan)}})
    assert line(part, 0, "validation (no finite value)").shape == (4, 2)


def test_narrow_curves_stand_in_one_column() -> None:
    wide, narrow = curves(HISTORY), curves(HISTORY, width=4.4)
    assert wide.axes[0].get_position().y0 == pytest.approx(wide.axes[1].get_position().y0, abs=0.02)
    assert narrow.axes[0].get_position().y0 > narrow.axes[1].get_position().y1


def test_curves_refuse() -> None:
    with pytest.raises(ValueError, match="history: got no series"):
        curves({})
    bad = {"loss": {"val": (EPOCHS, np.zeros(3))}}
    with pytest.raises(ValueError, match=r"history\['loss'\]\['val'\]: got epochs \(4,\).*\(3,\)"):
        curves(bad)


# Confusion matrix


def test_confusion_image_is_row_normalised() -> None:
    counts = np.array([[8, 2, 0], [1, 3, 0], [0, 0, 0]])
    figure = confusion_matrix(counts, ["a", "b", "c"])
    image = figure.axes[0].images[0].get_array()
    assert isinstance(image, np.ma.MaskedArray)
    np.testing.assert_allclose(image[:2].filled(-1), [[0.8, 0.2, 0], [0.25, 0.75, 0]])
    assert np.all(np.ma.getmaskarray(image)[2])  # no examples: no shares, rather than shares of 0
    assert {t.get_text() for t in figure.axes[0].texts} >= {"8", "2", "1", "3"}
    assert "11 of 14 right (78.6%)" in texts(figure)
    assert "a taken for b (2 times)" in texts(figure)
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["a", "b", "c"]


def test_confusion_of_one_class_none_and_many() -> None:
    assert "7 of 7 right (100.0%)" in texts(confusion_matrix(np.array([[7]])))
    assert "No examples" in texts(confusion_matrix(np.zeros((2, 2), dtype=int)))
    figure = confusion_matrix(np.eye(40, dtype=int) * 5)
    assert "5" not in {t.get_text() for t in figure.axes[0].texts}  # too many to print
    assert len(figure.axes[0].get_xticklabels()) == 40


def test_confusion_refuses() -> None:
    with pytest.raises(ValueError, match=r"counts: got shape \(2, 3\), expected \(C, C\)"):
        confusion_matrix(np.zeros((2, 3), dtype=int))
    with pytest.raises(ValueError, match=r"counts: got shape \(0, 0\)"):
        confusion_matrix(np.zeros((0, 0), dtype=int))
    with pytest.raises(ValueError, match=r"counts: got float64.*expected integer"):
        confusion_matrix(np.eye(2))
    with pytest.raises(ValueError, match=r"counts: got int64 from -1"):
        confusion_matrix(-np.eye(2, dtype=np.int64))
    with pytest.raises(ValueError, match="names: got 3, expected 2"):
        confusion_matrix(np.eye(2, dtype=int), ["a", "b", "c"])


# Firing rates


def test_rates_draw_each_channel_once_and_name_the_stuck_ones() -> None:
    rates = np.array([0.0, 0.1, 0.2, 0.3, 1.0])
    figure = firing_rates({"a": rates})
    drawn = [np.asarray(a.get_xdata()) for a in figure.axes[0].lines if a.get_linestyle() == "None"]
    np.testing.assert_allclose(np.sort(np.concatenate(drawn)), rates)
    assert "mean 32.0%  ·  silent 20.0%  ·  saturated 20.0%" in texts(figure)
    mean = [np.asarray(a.get_xdata()) for a in figure.axes[0].lines if a.get_linestyle() == "-"]
    np.testing.assert_allclose(mean, [[0.32, 0.32]])


def test_rates_of_silent_layers_and_scalars() -> None:
    text = texts(firing_rates({"a": np.zeros(3), "b": 0.25}))
    assert "mean 0.0%  ·  silent 100.0%" in text
    assert "mean 25.0%" in text.splitlines()  # nothing is known about its channels


def test_rates_refuse() -> None:
    with pytest.raises(ValueError, match="rates: got no layers"):
        firing_rates({})
    with pytest.raises(ValueError, match=r"rates\['a'\]: got shape \(2, 2\), expected \(D,\)"):
        firing_rates({"a": np.zeros((2, 2))})
    for bad in ([0.5, 1.5], [-0.1], [np.nan]):
        with pytest.raises(ValueError, match=r"rates\['a'\]: got .*expected rates in \[0, 1\]"):
            firing_rates({"a": np.array(bad)})


# Raster


def test_raster_shows_every_spike_when_steps_fit() -> None:
    spikes = np.random.default_rng(0).integers(0, 4, (64, 16))
    figure = raster(record(spikes={"a": spikes}))
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), spikes.T)
    rate = np.asarray(figure.axes[2].lines[0].get_ydata())
    np.testing.assert_allclose(rate, (spikes > 0).mean(axis=1))
    assert figure.axes[1].get_xlim() == figure.axes[0].get_xlim() == (0, 64)
    assert "up to 3 a step" in texts(figure)
    assert "true class 1, taken for 2" in texts(figure)


@pytest.mark.parametrize("steps", [4096, 16384, 16385])
def test_raster_of_a_long_sequence_loses_no_spike(steps: int) -> None:
    spikes = np.random.default_rng(0).random((steps, 256)) < 0.001
    figure = raster(record(input=np.zeros((steps, 1)), spikes={"a": spikes}), width=4.4)
    image = np.asarray(figure.axes[1].images[0].get_array())
    assert image.sum() == spikes.sum()
    assert image.shape[1] < 4.4 * 180
    left, right, _, _ = figure.axes[1].images[0].get_extent()
    assert left == 0
    assert right >= steps  # the last column may reach past the last step, and is cut there
    assert figure.axes[1].get_xlim()[1] == steps


def test_raster_of_channels_signs_and_silence() -> None:
    signed = np.random.default_rng(0).normal(size=(64, 5))
    figure = raster(record(input=signed, spikes={"a": np.zeros((64, 3), dtype=bool)}))
    image = figure.axes[0].images[0]
    np.testing.assert_allclose(np.asarray(image.get_array()), signed.T)
    low, high = image.get_clim()
    assert low == -high  # zero is the neutral colour
    assert "no spikes" in texts(figure)
    assert len(raster(record(input=np.zeros((1, 3)))).axes) == 1


# Learned neurons


def test_time_constants_hold_learned_and_start_values() -> None:
    values = {
        "frequency": np.array([0.01, 0.1, 0.4]),
        "time constant": np.array([5.0, 50.0, 500.0]),
        "initial frequency": np.array([0.02, 0.1, 0.3]),
        "initial time constant": np.array([10.0, 10.0, 10.0]),
    }
    axes = time_constants({"a": values, "no parameters": {}}).axes
    assert len(axes) == 1
    assert (axes[0].get_xscale(), axes[0].get_yscale()) == ("log", "log")
    drawn = [np.asarray(a.get_xydata()) for a in axes[0].lines if a.get_marker() == "o"]
    for found, prefix in zip(drawn, ("initial ", ""), strict=True):
        expected = [values[prefix + "frequency"], values[prefix + "time constant"]]
        np.testing.assert_array_equal(found.T, expected)


def test_time_constants_alone_are_sorted_and_infinite_ones_counted() -> None:
    figure = time_constants({"lif": {"time constant": np.array([3.0, np.inf, 1.0])}})
    (drawn,) = (a for a in figure.axes[0].lines if a.get_color() == "#0072b2")
    assert np.asarray(drawn.get_xydata()).tolist() == [[1, 1.0], [2, 3.0]]
    assert "1 of 3 channels not finite" in texts(figure)


def test_time_constants_refuse() -> None:
    with pytest.raises(ValueError, match=r"neurons: got layers \['a'\] without 'frequency'"):
        time_constants({"a": {"threshold": np.ones(3)}})
    bad = {"frequency": np.ones(3), "time constant": np.ones(4)}
    with pytest.raises(ValueError, match=r"neurons\['a'\]: got shapes .*\(3,\).*\(4,\)"):
        time_constants({"a": bad})
    with pytest.raises(ValueError, match=r"neurons\['a'\]: got shapes .*\(2, 2\)"):
        time_constants({"a": {"frequency": np.ones((2, 2))}})


# Style


def test_settings_of_the_caller_neither_change_nor_show() -> None:
    expected = to_svg(curves(HISTORY))
    with matplotlib.rc_context({"axes.facecolor": "black", "xtick.labelcolor": "red"}):
        assert to_svg(curves(HISTORY)) == expected
        assert matplotlib.rcParams["axes.facecolor"] == "black"


def test_svg_names_nothing_outside() -> None:
    svg = to_svg(curves(HISTORY)).decode()
    assert svg.startswith("<svg")
    rest = svg.replace("http://www.w3.org/2000/svg", "").replace("http://www.w3.org/1999/xlink", "")
    assert "://" not in rest


@pytest.mark.parametrize("colours", [2, 256, 4000])
def test_png_with_a_palette_shows_the_same_picture(tmp_path: Path, colours: int) -> None:
    figure = Figure((2, 1))
    axes = figure.add_axes((0, 0, 1, 1))
    ramp = np.random.default_rng(0).integers(0, 256, (colours, 3))
    axes.imshow(np.resize(ramp, (100, 200, 3)).astype(np.uint8), aspect="auto")
    axes.axis("off")
    figure.savefig(tmp_path / "theirs.png", dpi=100)
    (tmp_path / "ours.png").write_bytes(to_png(figure, 100))
    ours, theirs = imread(tmp_path / "ours.png"), imread(tmp_path / "theirs.png")
    assert ours.shape[:2] == theirs.shape[:2] == (100, 200)
    difference = np.abs(ours[..., :3] - theirs[..., :3]).max()
    assert difference == 0 if colours <= 256 else difference < 64 / 255


def test_names_are_shortened_where_layers_do_not_differ() -> None:
    assert shorten("blocks.0.neuron", 16) == "blocks.0.neuron"
    assert shorten("model.encoder.blocks.11.mixer.neuron", 18) == "m.e.b.11.m.neuron"
    assert shorten("patient with arrhythmia", 11) == "patie…thmia"


def tick_labels(figure: Figure) -> list[str]:
    axes = figure.axes[0]
    return [label.get_text() for label in (*axes.get_xticklabels(), *axes.get_yticklabels())]


def test_names_are_never_read_as_formulas() -> None:
    names = [r"$\frac{$", "$x^2$", "a & <b>"]
    figure = confusion_matrix(np.diag([3, 2, 1]), names)
    assert set(names) <= set(tick_labels(figure))
    to_svg(figure)
    to_png(figure, 60)


def test_logarithmic_axes_have_plain_numbers() -> None:
    values = {"time constant": np.geomspace(1, 1e4, 8), "frequency": np.geomspace(1e-4, 0.5, 8)}
    labels = tick_labels(time_constants({"layer": values}))
    assert {"100", "0.01"} <= set(labels)
    assert not any("$" in label for label in labels)
