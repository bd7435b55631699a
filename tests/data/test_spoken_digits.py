"""Recordings of spoken digits."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
import torch

from spikescan.data import DataError, SpokenDigits, find_source, verify
from spikescan.data.spoken_digits import read_wav


def write_wav(path: Path, samples: np.ndarray, *, rate: int = 8000, channels: int = 1) -> None:
    with wave.open(str(path), "wb") as recording:
        recording.setnchannels(channels)
        recording.setsampwidth(2)
        recording.setframerate(rate)
        recording.writeframes(samples.astype("<i2").tobytes())


def test_wav_round_trip(tmp_path: Path) -> None:
    samples = np.array([0, 1, -1, 32767, -32768])
    write_wav(tmp_path / "a.wav", samples)
    assert read_wav(tmp_path / "a.wav").tolist() == samples.tolist()


def test_damaged_recordings_are_named(tmp_path: Path) -> None:
    path = tmp_path / "damaged.wav"
    write_wav(path, np.arange(1000))
    whole = path.read_bytes()
    for content, message in (
        (whole[:-10], "truncated: 1990 of 2000"),
        (whole[:20], "not a readable WAV"),
        (b"", "not a readable WAV"),
        (b"something that is not a recording at all", "not a readable WAV"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"damaged\.wav.*{message}"):
            read_wav(path)
    write_wav(path, np.arange(1000), rate=16000)
    with pytest.raises(DataError, match=r"\(1, 2, 16000\), expected \(1, 2, 8000\)"):
        read_wav(path)
    write_wav(path, np.arange(0))
    with pytest.raises(DataError, match=r"damaged\.wav is truncated"):
        read_wav(path)


def test_published_checksums(speech: SpokenDigits) -> None:
    verify(find_source("fsdd"), speech.root)


def test_split_goes_by_the_index(speech: SpokenDigits) -> None:
    assert [len(split) for split in speech.splits] == [2400, 300, 300]
    for split in speech.splits:
        assert torch.bincount(split.y).tolist() == [len(split) // 10] * 10
    # Any stretch of the data holds all digits.
    assert torch.bincount(speech.splits.val.y[:60]).tolist() == [6] * 10


def test_a_speaker_is_left_out(speech: SpokenDigits) -> None:
    alone = SpokenDigits(root=speech.root, speaker="theo")
    assert [len(split) for split in alone.splits] == [2250, 250, 500]
    # Theirs of the official split are all in this test.
    official = {b.x.numpy().tobytes() for b in speech.splits.test}
    assert len(official & {b.x.numpy().tobytes() for b in alone.splits.test}) == 50
    with pytest.raises(ValueError, match=r"speaker must be one of george, .*, got 'anna'"):
        SpokenDigits(speaker="anna")


def test_a_known_recording(speech: SpokenDigits) -> None:
    # The first test recording: index 0, digit 0, the first speaker by name.
    batch = speech.splits.test[0]
    samples = read_wav(Path(str(speech.root)) / "fsdd" / "recordings" / "0_george_0.wav")
    assert batch.lengths is not None
    assert int(batch.lengths[0]) == len(samples) == batch.x.shape[1]
    x = batch.x[0, :, 0].double().numpy()
    assert np.allclose(x, (samples - samples.mean()) / samples.std(), atol=1e-5)


def test_lengths_padding_and_waste(speech: SpokenDigits) -> None:
    used = total = 0
    for batch in speech.train_dataloader():
        assert batch.lengths is not None
        steps = batch.x.shape[1]
        assert steps == int(batch.lengths.max()) <= 8000
        beyond = torch.arange(steps) >= batch.lengths[:, None]
        assert (batch.x[beyond] == 0).all()
        # The sample before the end is still sound: lengths are not too long.
        last = batch.x[torch.arange(len(batch.y)), batch.lengths - 1, 0]
        assert (last != 0).any()
        used += int(batch.lengths.sum())
        total += batch.x.shape[0] * steps
    assert used / total > 0.85


def test_frames_trade_length_for_width(speech: SpokenDigits) -> None:
    framed = SpokenDigits(root=speech.root, frame=16, max_length=4000)
    assert (framed.facts.inputs, framed.facts.length) == (16, 250)
    plain = speech.splits.test.__getitems__([0, 1, 2, 3])
    folded = framed.splits.test.__getitems__([0, 1, 2, 3])
    assert plain.lengths is not None
    assert folded.lengths is not None
    assert torch.equal(folded.lengths, (plain.lengths.clamp(max=4000) + 15) // 16)
    for row in range(4):
        length = min(int(plain.lengths[row]), 4000)
        assert torch.equal(folded.x[row].flatten()[:length], plain.x[row, :length, 0])


def test_augmentation_leaves_evaluation_alone(speech: SpokenDigits) -> None:
    loud = SpokenDigits(root=speech.root, shift=400, gain=6.0)
    for part in ("val", "test"):
        assert torch.equal(getattr(loud.splits, part)[3].x, getattr(speech.splits, part)[3].x)
    a, b = loud.splits.train[3], speech.splits.train[3]
    assert a.x.shape != b.x.shape or not torch.equal(a.x, b.x)


def test_damaged_headers_are_refused_or_read_as_they_say(tmp_path: Path) -> None:
    path = tmp_path / "recording.wav"
    samples = np.arange(200)
    write_wav(path, samples)
    whole = path.read_bytes()
    refused: list[str] = []
    rng = np.random.default_rng(0)
    for _ in range(2000):
        content = bytearray(whole)
        for at in rng.integers(0, 44, size=rng.integers(1, 4)):
            content[at] = rng.integers(256)
        path.write_bytes(content)
        try:
            assert len(read_wav(path)) <= len(samples)
        except DataError as error:
            refused.append(str(error))
    assert len(refused) > 1000
    for message in refused:
        assert str(path) in message
        assert "\n" not in message
        assert "()" not in message


def test_a_recording_alone_is_as_in_the_data(speech: SpokenDigits, tmp_path: Path) -> None:
    data = SpokenDigits(root=str(tmp_path), frame=8, gain=3.0)
    path = Path(str(speech.root)) / "fsdd" / "recordings" / "0_george_0.wav"
    ((name, batch),) = data.read(path)
    held = SpokenDigits(root=speech.root, frame=8).splits.test[0]
    assert name == str(path)
    assert torch.equal(batch.x, held.x)
    assert batch.lengths is not None
    assert batch.lengths.tolist() == [held.x.shape[1]]
