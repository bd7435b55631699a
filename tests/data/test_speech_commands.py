"""Speech Commands: the lists of the publisher, and parts by speaker."""

from __future__ import annotations

import io
import tarfile
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from spikescan.data import DataError
from spikescan.data.speech_commands import ALL, TEN, SpeechCommands

SPEAKERS = [f"{i:08x}" for i in range(20)]


def wav(samples: np.ndarray, rate: int = 16_000) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(rate)
        recording.writeframes(samples.astype("<i2").tobytes())
    return out.getvalue()


def part(folder: Path) -> Path:
    """Each word by each speaker; the loudest sample tells the word, the length the speaker."""
    base = folder / "root" / "speech_commands"
    base.mkdir(parents=True)
    with tarfile.open(base / "speech_commands_10words.tar.xz", "w:xz", preset=0) as tar:
        for i, word in enumerate(TEN):
            for j, speaker in enumerate(SPEAKERS):
                content = wav(np.r_[np.zeros(50 + j), 100.0 + i])
                member = tarfile.TarInfo(f"speech_commands/{word}/{speaker}_nohash_0.wav")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return base.parent


def published(folder: Path) -> Path:
    base = folder / "root" / "speech_commands" / "speech_commands_v0.02"
    for word in (*ALL, "_background_noise_"):
        (base / word).mkdir(parents=True)
        for j, speaker in enumerate(SPEAKERS[:4]):
            content = wav(np.arange(40 + j))
            (base / word / f"{speaker}_nohash_0.wav").write_bytes(content)
    for name, speaker in (("validation", SPEAKERS[1]), ("testing", SPEAKERS[3])):
        lines = [f"{word}/{speaker}_nohash_0.wav\n" for word in ALL]
        (base / f"{name}_list.txt").write_text("".join(lines))
    return base.parents[1]


def tiny(folder: Path) -> list[str]:
    return [
        f"--data.root={part(folder)}",
        "--data.part=true",
        "--data.words=10",
        "--data.batch_size=8",
    ]


def test_no_speaker_is_in_two_parts(tmp_path: Path) -> None:
    data = SpeechCommands(root=str(part(tmp_path)), words=10, part=True)
    assert [len(split) for split in data.splits] == [160, 20, 20]
    speakers: list[set[int]] = []
    for split in data.splits:
        assert split.y.bincount().tolist() == [len(split) // 10] * 10
        assert split.lengths is not None
        speakers.append(set(split.lengths.tolist()))
    assert not set.intersection(*speakers[:2])
    assert not speakers[2] & (speakers[0] | speakers[1])
    batch = data.splits.test[3]
    assert abs(float(batch.x.mean())) < 1e-6
    assert float(batch.x.std(correction=0)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("words", [10, 35])
def test_the_published_lists_decide(tmp_path: Path, words: int) -> None:
    data = SpeechCommands(root=str(published(tmp_path)), words=words, frame=4)  # type: ignore[arg-type]
    assert [len(split) for split in data.splits] == [2 * words, words, words]
    lengths = [set(split.lengths.tolist()) for split in data.splits]  # type: ignore[union-attr]
    assert lengths == [{10, 11}, {11}, {11}]
    assert data.facts.target.names == (TEN if words == 10 else ALL)  # type: ignore[attr-defined]
    assert (data.facts.length, data.facts.inputs, data.facts.rate) == (4000, 4, 4000)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    root = published(tmp_path)
    base = root / "speech_commands" / "speech_commands_v0.02"
    clip = base / "bed" / f"{SPEAKERS[3]}_nohash_0.wav"
    whole = clip.read_bytes()
    clip.write_bytes(wav(np.arange(9), rate=8_000))
    with pytest.raises(DataError, match=r"bed/.*\.wav has .* = \(1, 2, 8000\), expected .*16000"):
        SpeechCommands(root=str(root)).setup()
    clip.unlink()
    with pytest.raises(DataError, match=r"lacks 1 listed recordings, the first is bed/"):
        SpeechCommands(root=str(root)).setup()
    clip.write_bytes(whole)
    (base / "testing_list.txt").unlink()
    with pytest.raises(DataError, match=r"has no testing_list\.txt"):
        SpeechCommands(root=str(root)).setup()
    with pytest.raises(DataError, match=r"speech_commands_10words\.tar\.xz is missing"):
        SpeechCommands(root=str(root), words=10, part=True).setup()


@pytest.mark.parametrize(
    ("name", "options"),
    [("words", {"words": 12}), ("words", {"part": True}), ("frame", {"frame": 0}),
     ("shift", {"shift": -1}), ("gain", {"gain": -1}), ("speed", {"speed": -1})],
)  # fmt: skip
def test_wrong_arguments_are_named(name: str, options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=name):
        SpeechCommands(**options)  # type: ignore[arg-type]


def test_the_real_part(real_folder: Callable[[str], str]) -> None:
    data = SpeechCommands(root=real_folder("speech_commands"), words=10, part=True)
    assert sum(len(split) for split in data.splits) == 2404
    assert torch.cat([split.y for split in data.splits]).bincount(minlength=10).min() > 100
    assert int(data.splits.train.lengths.max()) == 16_000  # type: ignore[union-attr]


def test_a_recording_alone_is_as_in_the_data(tmp_path: Path) -> None:
    root = published(tmp_path)
    held = SpeechCommands(root=str(root), frame=4).splits.test[5]
    path = root / "speech_commands/speech_commands_v0.02" / ALL[5] / f"{SPEAKERS[3]}_nohash_0.wav"
    data = SpeechCommands(root=str(tmp_path / "nowhere"), frame=4, gain=3.0)
    ((name, batch),) = data.read(path)
    assert name == str(path)
    assert torch.equal(batch.x, held.x)
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(DataError, match="is truncated: 84 of 86 bytes"):
        data.read(path)
