"""``spikescan stream`` on files and standard input."""

from __future__ import annotations

import io
import json
import sys
import wave
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from spikescan.cli import main
from spikescan.cli.feed import open_feed
from spikescan.data import AFECG, Classes, DataError, Facts, Found, PairClasses, SpokenDigits, Wav
from spikescan.data.facts import Standardised
from spikescan.models import SDTCM, Backbone
from spikescan.ops._core.cpu import BUILT
from spikescan.tasks import Classification

pytestmark = pytest.mark.skipif(not BUILT, reason="needs the compiled kernels")


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> Classification:
    torch.manual_seed(0)
    facts = Facts(Classes(("low", "high")), length=100, inputs=2, rate=4000)
    made = Classification(Backbone(SDTCM, inputs=2, features=16, depth=1), facts).eval()
    found = made, SimpleNamespace(facts=facts)
    monkeypatch.setattr("spikescan.train.trained.load_with_data", lambda run: found)
    return made


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["stream", "somewhere", *arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def wav(path: Path, samples: np.ndarray, rate: int = 8000, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 20000).astype("<i2").tobytes())
    return path


def test_a_file_of_each_kind_says_what_the_network_says(
    task: Classification, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    x = np.random.default_rng(0).normal(size=(120, 2)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    np.savetxt(tmp_path / "x.csv", x, delimiter=",", header="a,b", comments="")
    (expected,) = task.predict(torch.from_numpy(x)[None])
    for name, more in (("x.npy", ()), ("x.csv", ("--chunk", "7"))):
        status, out, _ = run(capsys, str(tmp_path / name), "--steady", "10", *more)
        assert status == 0
        assert f"at the end         {expected}" in out
        for words in (
            "steps              120\n",
            "steps a second",
            "99th percentile",
            "firing rate",
        ):
            assert words in out
        assert out.startswith("step ")


def test_json_tells_real_time_of_audio(
    task: Classification, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sound = wav(tmp_path / "x.wav", np.sin(np.arange(801) / 9) / 2 + 0.1)
    status, out, _ = run(capsys, str(sound), "--json", "--steady", "5")
    assert status == 0
    told = json.loads(out)
    assert told["steps"] == 401
    assert told["times_real_time"] == pytest.approx(told["steps_per_second"] / 4000)
    assert 0 < told["latency_p50_s"] <= told["latency_p99_s"]
    assert 0 <= told["firing_rate"] <= 1
    assert told["answers"][0]["step"] >= 5
    with wave.open(str(sound)) as file:
        samples = np.frombuffer(file.readframes(801), "<i2").astype(np.float64)
    x = np.append((samples - samples.mean()) / samples.std(), 0).reshape(-1, 2)
    (expected,) = task.predict(torch.from_numpy(x).float()[None])
    assert told["answer"] == expected


@pytest.mark.parametrize("loud", [0.5, 3e-5, 0])
def test_a_recording_is_heard_as_the_data_set_hands_it_to_the_training(
    tmp_path: Path, loud: float
) -> None:
    samples = loud * np.sin(np.arange(803) ** 1.1) + 0.1
    sound = wav(tmp_path / "x.wav", samples)
    data = SpokenDigits(frame=8)
    ((_, batch),) = data.read(sound)
    feed = open_feed(str(sound), data, 8, chunk=7, scale=None, form="csv", rate=None)
    torch.testing.assert_close(torch.cat([*feed.chunks]), batch.x[0], rtol=1e-6, atol=1e-7)


def test_samples_of_two_channels_come_in_the_order_of_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Found(classes=["low", "high"], channels=["left", "right"], length=8, rate=8.0)
    data = Wav(root=str(tmp_path), found=found, frame=2)

    def heard(head: str) -> Tensor:
        content = f"{head}\n1,2\n3,4\n5,6\n".encode()
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
        feed = open_feed("-", data, 4, chunk=9, scale="none", form="csv", rate=None)
        return torch.cat([*feed.chunks])

    assert heard("left,right").tolist() == [[1, 2, 3, 4], [5, 6, 0, 0]]
    with pytest.raises(DataError, match="the columns are right, left, expected left, right"):
        heard("right,left")


def test_samples_make_steps_as_the_data_set_frames_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = AFECG(frame=3)
    samples = np.random.default_rng(0).integers(-900, 900, 200).astype("<i2")
    head = np.array([30, 1, len(samples), 0, 4], "<i4").tobytes()
    (tmp_path / "A00001.mat").write_bytes(head + b"val\0" + samples.tobytes())
    np.save(tmp_path / "x.npy", samples)
    np.savetxt(tmp_path / "x.csv", samples, header="mV", comments="")
    lines, raw = (tmp_path / "x.csv").read_bytes(), samples.astype("<f4")
    told = dict(zip(("mean", "std"), data.facts.standardised, strict=True))

    def heard(source: str, form: Literal["csv", "raw"] = "csv", content: bytes = b"") -> Tensor:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
        scale = None if source.endswith("mat") else (told["mean"], told["std"])
        feed = open_feed(source, data, 3, chunk=7, scale=scale, form=form, rate=None)
        return torch.cat([*feed.chunks])

    ((_, batch),) = data.read(tmp_path / "A00001.mat")
    expected = batch.x[0]
    assert expected.shape == (67, 3)
    assert torch.equal(heard(str(tmp_path / "A00001.mat")), expected)
    for name in ("x.npy", "x.csv"):
        torch.testing.assert_close(heard(str(tmp_path / name)), expected, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(heard("-", content=lines), expected, rtol=1e-6, atol=1e-7)
    steps = raw[:198].reshape(-1, 3)
    whole = "\n".join(",".join(map(str, row)) for row in steps.tolist()).encode()
    for form, content in (("csv", whole), ("raw", steps.tobytes())):
        torch.testing.assert_close(heard("-", form, content), expected[:66], rtol=1e-6, atol=1e-7)
    with pytest.raises(DataError, match="line 2: 2 numbers, expected 1, the channels of a sample"):
        heard("-", content=b"1\n1,2\n")
    capsys.readouterr()
    short = AFECG(frame=3, max_length=150)
    feed = open_feed(
        str(tmp_path / "A00001.mat"), short, 3, chunk=1, scale=None, form="csv", rate=None
    )
    assert len([*feed.chunks]) == 50
    assert "A00001.mat: of 200 samples the first 150 are read" in capsys.readouterr().err
    np.save(tmp_path / "wide.npy", np.zeros((9, 2)))
    said = r"must have shape \(T, 3\), or samples \(N, 1\), got \(9, 2\)"
    with pytest.raises(DataError, match=said):
        heard(str(tmp_path / "wide.npy"))


def test_standard_input_as_lines_and_as_numbers(
    task: Classification, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.random.default_rng(1).normal(size=(40, 2)).astype(np.float32)
    lines = "\n".join(f"{a},{b}" for a, b in x.tolist()).encode()
    answers = []
    for content, more in ((lines, ()), (x.tobytes(), ("--format", "raw"))):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
        status, out, _ = run(capsys, "-", "--json", "--rate", "1000", "--realtime", *more)
        assert status == 0
        answers.append(json.loads(out))
    assert answers[0]["steps"] == answers[1]["steps"] == 40
    assert answers[0]["answer"] == answers[1]["answer"]


def test_numbers_that_nothing_scaled_are_told_from_scaled_ones(
    task: Classification, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    def learned_from(standardised: Standardised | None) -> None:
        facts = Facts(
            Classes(("a", "b")), length=100, inputs=2, rate=4000, standardised=standardised
        )
        found = task, SimpleNamespace(facts=facts)
        monkeypatch.setattr("spikescan.train.trained.load_with_data", lambda run: found)

    learned_from("whole")
    sound = wav(tmp_path / "x.wav", np.sin(np.arange(800) / 9) / 40 - 0.3)
    status, out, err = run(capsys, str(sound), "--json")
    assert status == 0
    words, _, scale = err.rstrip("\n").rpartition(" ")
    assert words == (
        f"{sound}: scaled to mean 0, standard deviation 1 over the whole file, which nothing live "
        "can be: there it is"
    )
    with wave.open(str(sound)) as file:
        samples = np.frombuffer(file.readframes(800), "<i2").astype(np.float32) / 32768
    np.save(tmp_path / "x.npy", samples.reshape(-1, 2))
    np.savetxt(tmp_path / "x.csv", samples.reshape(-1, 2), delimiter=",")
    content = (tmp_path / "x.csv").read_bytes()
    raw = [str(tmp_path / "x.npy"), str(tmp_path / "x.csv"), "-"]

    def heard(source: str, *more: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
        return run(capsys, source, "--json", *more)

    for source in raw:
        status, got, err = heard(source)
        assert status == 2
        assert err == (
            f"spikescan: {'standard input' if source == '-' else source}: the "
            "network learned from each recording brought to mean 0, standard deviation 1: say "
            "--scale=none if these numbers are scaled so, or --scale=MEAN,STD to scale them\n"
        )
        status, got, err = heard(source, scale)
        assert (status, err) == (0, "")
        assert json.loads(got)["answer"] == json.loads(out)["answer"]
        assert json.loads(got)["firing_rate"] == pytest.approx(json.loads(out)["firing_rate"], 0.01)
        status, got, err = heard(source, "--scale=none")
        assert (status, err) == (0, "")
        assert json.loads(got)["answer"] != json.loads(out)["answer"]
    learned_from((0.0, 240.0))
    for source in (*raw, str(sound)):
        status, _, err = heard(source)
        assert status == 2
        assert "scaled by mean 0, standard deviation 240: say --scale=none if these" in err
        assert err.endswith("or --scale=0,240 to scale them\n")
    learned_from("own")
    for source in raw:
        status, _, err = heard(source)
        assert status == 2
        assert "scales by its own: scale these so, see the data set, and say --scale=none" in err
    learned_from(None)
    for source in raw:
        assert heard(source)[::2] == (0, "")


def test_mistakes_are_one_clear_line(
    task: Classification, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n3\n")
    (tmp_path / "words.csv").write_text("1,2\nx,y\n")
    (tmp_path / "slip.csv").write_text("1,o\n1,2\n")
    (tmp_path / "huge.csv").write_text("3e38,3e38\n" * 9)
    (tmp_path / "large.csv").write_text("1,1e300\n")
    np.save(tmp_path / "large.npy", np.array([[0, 0], [1e300, 0]]))
    np.save(tmp_path / "x.npy", np.zeros((4, 3)))
    (tmp_path / "x.wav").write_bytes(b"RIFF")
    (tmp_path / "gap.csv").write_text("1,2\n3,4\n5,nan\n")
    wav(tmp_path / "stereo.wav", np.zeros(20), channels=2)
    cut = wav(tmp_path / "cut.wav", np.ones(2000))
    cut.write_bytes(cut.read_bytes()[:2044])
    for arguments, words in (
        (("nowhere.npy",), "there is no file nowhere.npy"),
        (("x.csv",), "x.csv, line 3: 1 numbers, expected 2, the channels of the network"),
        (("words.csv",), "words.csv, line 2: not numbers: 'x,y'"),
        (("slip.csv",), "slip.csv, line 1: not numbers: '1,o'"),
        (("huge.csv",), "the network's output is not finite at step "),
        (("large.csv",), "large.csv: step 1 must be finite, got [1.0, inf]"),
        (("large.npy",), "large.npy: step 2 must be finite, got [inf, 0.0]"),
        (("x.npy",), "x.npy must have shape (T, 2), got (4, 3)"),
        (("x.wav",), "x.wav is not a readable recording ("),
        (("cut.wav",), "cut.wav is truncated: 2,000 of 4,000 bytes of audio are there; remove it"),
        (("gap.csv",), "gap.csv: step 3 must be finite, got [5.0, nan]"),
        (("gap.csv", "--scale", "whole"), "gap.csv: step 3 must be finite, got [5.0, nan]"),
        (("stereo.wav",), "stereo.wav must have one channel, got 2; mix them first"),
        (("x.npy", "--chunk", "0"), "--chunk must be at least 1, got 0"),
        (("x.npy", "--scale", "1"), "--scale must be whole, none or MEAN,STD, got '1'"),
        (("x.npy", "--scale", "1,0"), "--scale must be whole, none or MEAN,STD, got '1,0'"),
        (("-", "--scale", "whole"), "standard input is no whole to be scaled by"),
        (("-", "--realtime"), "--realtime needs --rate"),
    ):
        name, *more = arguments
        path = str(tmp_path / name) if (tmp_path / name).exists() else name
        status, _, err = run(capsys, path, *more)
        assert status == 2
        assert words in err
        assert err.count("\n") == 1


def test_a_recording_cut_short_is_refused_without_soundfile(
    task: Classification, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "soundfile", None)
    cut = wav(tmp_path / "cut.wav", np.ones(2000))
    cut.write_bytes(cut.read_bytes()[:2044])
    assert run(capsys, str(cut))[2] == (
        f"spikescan: {cut} is truncated: 2,000 of 4,000 bytes of audio are there; remove it, or "
        "write it anew\n"
    )


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("rate", [8000, 4000])
@pytest.mark.usefixtures("task")
def test_a_sample_that_is_not_finite_is_named_before_anything_is_made_of_it(
    value: float, rate: int, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    soundfile = pytest.importorskip("soundfile")
    samples = np.sin(np.arange(2000) / 9).astype(np.float32)
    samples[[1233, 1500]] = value, np.nan
    soundfile.write(tmp_path / "x.wav", samples, rate, subtype="FLOAT")
    for more in ((), ("--scale", "none")):
        status, out, err = run(capsys, str(tmp_path / "x.wav"), *more)
        expected = f"x.wav: sample 1,234 must be finite, got {value}\n"
        assert (status, out, err.endswith(expected), err.count("\n")) == (2, "", True, 1)


def test_what_cannot_run_is_refused_by_name(
    task: Classification, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", np.zeros((4, 2)))
    facts = Facts(Classes(("low", "high")), length=100, inputs=2)
    block = partial(SDTCM, bidirectional=True)
    both = Classification(Backbone(block, inputs=2, features=8, depth=1), facts)
    task.model = both.model
    status, _, err = run(capsys, str(tmp_path / "x.npy"))
    assert status == 2
    assert "backwards in time" in err


def test_audio_is_brought_to_the_rate_of_training(
    task: Classification, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sound = wav(tmp_path / "x.wav", np.sin(np.arange(1600) / 20) / 2, rate=16_000)
    _, out, err = run(capsys, str(sound), "--json")
    told = json.loads(out)
    assert err.startswith(f"{sound}: 16,000 Hz resampled to 8,000 Hz, the rate of training\n")
    assert told["steps"] == 400
    assert told["times_real_time"] == pytest.approx(told["steps_per_second"] / 4000)


def test_own_files_are_read_as_in_training(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("soxr")
    found = Found(classes=["low", "high"], channels=["amplitude"], length=800, rate=8000.0)
    data = Wav(root=str(tmp_path), found=found, frame=4, max_length=400)
    torch.manual_seed(0)
    backbone = Backbone(SDTCM, inputs=4, features=16, depth=1)
    task = Classification(backbone, data.facts).eval()
    monkeypatch.setattr("spikescan.train.trained.load_with_data", lambda run: (task, data))
    both = np.random.default_rng(0).normal(size=(800, 2)) / 9
    path = wav(tmp_path / "x.wav", both, channels=2)
    status, out, err = run(capsys, str(path), "--json")
    assert status == 0
    assert err == "1 recordings: 2 channels mixed to one\n"
    told = json.loads(out)
    assert told["steps"] == 200  # not cut off, as the data of the training are
    assert told["times_real_time"] == pytest.approx(told["steps_per_second"] / 2000)
    x = torch.from_numpy((both * 20000).astype("<i2").mean(1) / 32768).float().view(1, 200, 4)
    assert task.predict(x) == [told["answer"]]


def test_a_byte_order_mark_takes_no_step_and_columns_keep_their_order(
    task: Classification, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    file = tmp_path / "x.csv"
    file.write_text("1,2\r\n3,4\r\n", encoding="utf-8-sig")
    assert json.loads(run(capsys, str(file), "--json")[1])["steps"] == 2
    facts = Facts(Classes(("low", "high")), length=100, inputs=2, channels=("a", "b"))
    found = task, SimpleNamespace(facts=facts)
    monkeypatch.setattr("spikescan.train.trained.load_with_data", lambda run: found)
    file.write_text("time,b\n1,2\n")  # a time and a value would pass for two channels
    status, _, err = run(capsys, str(file))
    assert (status, err) == (
        2, f"spikescan: {file}: the column time is no channel of the network; leave it out\n"
    )  # fmt: skip
    file.write_text('"a", b\n1,2\n')
    assert run(capsys, str(file))[0] == 0
    file.write_text("b,a\n1,2\n")
    status, _, err = run(capsys, str(file))
    assert status == 2
    assert "x.csv: the columns are b, a, expected a, b, the channels of the network" in err


def test_pairs_are_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = Facts(PairClasses(("other", "same")), length=100, inputs=2)
    pairs = Classification(Backbone(SDTCM, inputs=2, features=8, depth=1), facts)
    found = pairs, SimpleNamespace(facts=facts)
    monkeypatch.setattr("spikescan.train.trained.load_with_data", lambda run: found)
    status, _, err = run(capsys, "nowhere.npy")
    assert status == 2
    assert "tells classes of single sequences" in err
