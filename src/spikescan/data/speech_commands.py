"""Google Speech Commands as raw audio."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikescan.data.archive import members
from spikescan.data.batch import SequenceBatch
from spikescan.data.facts import Classes, Facts
from spikescan.data.memory import RaggedSequences
from spikescan.data.module import SequenceData, Splits, at_least
from spikescan.data.parts import chosen
from spikescan.data.prepared import Arrays, prepared
from spikescan.data.root import DataError, data_root
from spikescan.data.sources import brought
from spikescan.data.spoken_digits import read_wav

TEN = ("down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes")
"""The ten keywords that SC10 tells apart."""
ALL = tuple(
    sorted(
        (
            *TEN, "backward", "bed", "bird", "cat", "dog", "eight", "five", "follow", "forward",
            "four", "happy", "house", "learn", "marvin", "nine", "one", "seven", "sheila", "six",
            "three", "tree", "two", "visual", "wow", "zero",
        )
    )
)  # fmt: skip
"""All 35 words."""
_RATE = 16_000
_VERSION = 1
_PART = "speech_commands_10words.tar.xz"


class SpeechCommands(SequenceData):
    """Spoken words as raw samples at 16 kHz: x (B, T / frame, frame) with lengths.

    105,829 recordings of at most a second. Version 0.02 as it is published: its lists say which
    recordings are for validation and for the test; no speaker is in two parts. Each recording is
    shifted and scaled to mean 0 and standard deviation 1. Training batches gather recordings of
    similar length.

    Args:
        root: Folder of all data sets; without it the environment variable SPIKESCAN_DATA or the
            user's cache folder.
        batch_size: Sequences in a batch.
        workers: Processes that prepare batches; 0 is fine, as data are read from one file.
        seed: Seed of the order of the training data and of the augmentation.
        words: All 35 words, or the ten of SC10: yes, no, up, down, left, right, on, off, stop, go.
        frame: Consecutive samples that become the channels of one step; 1 is the raw sequence.
        shift: Augmentation of training data: drop up to this many samples from the start, at
            most a quarter of the recording.
        gain: Augmentation of training data: change of amplitude, at most this many decibels.
        speed: Augmentation of training data: change of speed and pitch, at most this share.
        part: Read ``speech_commands_10words.tar.xz`` below ``speech_commands/`` instead, 2,404
            recordings of the ten words out of the official test set. Of its speakers 80 % are
            for training, 10 % for validation and 10 % for the test: its figures do not compare
            with those of SC10.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        batch_size: int = 32,
        workers: int = 0,
        seed: int = 0,
        words: Literal[10, 35] = 35,
        frame: int = 1,
        shift: int = 0,
        gain: float = 0.0,
        speed: float = 0.0,
        part: bool = False,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, workers=workers, seed=seed)
        if words not in (10, 35):
            raise ValueError(f"words must be 10 or 35, got {words}")
        if part and words != 10:
            raise ValueError(f"words must be 10 with part=True, got {words}")
        at_least("frame", frame, 1)
        at_least("shift", shift, 0)
        at_least("gain", gain, 0)
        at_least("speed", speed, 0)
        self.words = TEN if words == 10 else ALL
        self.frame = frame
        self.shift = shift
        self.gain = gain
        self.speed = speed
        self.part = part

    @property
    def source(self) -> str:
        """Where the data are; see :attr:`SequenceData.source`."""
        return f"speech_commands/{_PART}" if self.part else "speech_commands"

    @property
    def facts(self) -> Facts:
        """At most the frames of a second; the samples of a frame are channels."""
        return Facts(
            Classes(self.words),
            length=-(-_RATE // self.frame),
            inputs=self.frame,
            frame=self.frame,
            rate=_RATE / self.frame,
            standardised="whole",
        )

    def load(self) -> Splits:
        """Read the recordings, from an archive or the folder it unpacks to."""
        if self.part:
            place = data_root(self.root) / "speech_commands" / _PART
            if not place.is_file():
                raise DataError(
                    f"speech_commands: {place} is missing: ten words out of the publisher's test "
                    "archive, which nobody offers as one file; data.part=false, or the recipe "
                    "speech_commands_10, reads speech_commands_v0.02.tar.gz"
                )
        else:
            place = brought("speech_commands", self.root)
        key = (_VERSION, place, self.words)
        kept = prepared("speech_commands", key, lambda: _read(place, self.words, not self.part))
        tensors = {name: torch.from_numpy(array) for name, array in kept.items()}
        plain = self._held(tensors)
        varied = self._held(tensors, shift=self.shift, gain=self.gain, speed=self.speed)
        train, val, test = ((tensors["part"] == i).nonzero()[:, 0] for i in range(3))
        return Splits(chosen(varied, train), chosen(plain, val), chosen(plain, test))

    def read(self, file: Path) -> list[tuple[str, SequenceBatch]]:
        """Read a recording to predict from; see :meth:`SequenceData.read`."""
        samples = read_wav(file, _RATE)
        self.tell_cut(file, len(samples), _RATE)
        arrays = _joined([(samples, 0)])
        return [(str(file), self._held({n: torch.from_numpy(a) for n, a in arrays.items()})[0])]

    def _held(self, tensors: dict[str, Tensor], **augmentation: Any) -> RaggedSequences:
        return RaggedSequences(
            *(tensors[name] for name in ("x", "sizes", "y")),
            max_length=_RATE,
            frame=self.frame,
            mean=tensors["mean"],
            std=tensors["std"],
            seed=self.seed,
            **augmentation,
        )


def _read(place: Path, words: Collection[str], listed: bool) -> Arrays:
    """Return all recordings end to end, and the size, class and part of each."""
    names = sorted(words)
    lists: dict[str, set[str]] = {}
    found: dict[str, np.ndarray] = {}
    for path, content in members(place, suffix="", largest=1 << 27):
        *_, folder, file = ("", *PurePosixPath(path).parts)
        if file in ("validation_list.txt", "testing_list.txt"):
            lists[file] = set(content.decode("ascii", errors="replace").split())
        elif file.endswith(".wav") and folder in words:
            found[f"{folder}/{file}"] = read_wav(place / path, _RATE, content)
    parts = _listed(place, found, lists) if listed else _by_speaker(list(found))
    if empty := [word for word in names if not any(name.startswith(f"{word}/") for name in found)]:
        raise DataError(f"{place} has no recordings of the word {empty[0]!r}")
    order = sorted(found)
    labelled = [(found[name], names.index(name.partition("/")[0])) for name in order]
    return _joined(labelled) | {"part": np.array([parts[name] for name in order])}


def _joined(recordings: list[tuple[NDArray[np.int16], int]]) -> Arrays:
    """Recordings end to end, the size, class, mean and standard deviation of each."""
    return {
        "x": np.concatenate([samples for samples, _ in recordings]),
        "sizes": np.array([len(samples) for samples, _ in recordings]),
        "y": np.array([label for _, label in recordings]),
        "mean": np.array([samples.mean() for samples, _ in recordings]),
        "std": np.array([max(samples.std(), 1.0) for samples, _ in recordings]),
    }


def _listed(place: Path, found: Collection[str], lists: dict[str, set[str]]) -> dict[str, int]:
    """The part of each recording by the lists of the publisher."""
    for name in ("validation_list.txt", "testing_list.txt"):
        if name not in lists:
            raise DataError(f"{place} has no {name}")
    words = {name.partition("/")[0] for name in found}
    named = lists["validation_list.txt"] | lists["testing_list.txt"]
    absent = sorted(n for n in named if n.partition("/")[0] in words and n not in found)
    if absent:
        raise DataError(f"{place} lacks {len(absent)} listed recordings, the first is {absent[0]}")
    return {
        name: 1 if name in lists["validation_list.txt"] else 2 * (name in lists["testing_list.txt"])
        for name in found
    }


def _by_speaker(names: list[str]) -> dict[str, int]:
    """The part of each recording, none of a speaker in two; the speaker begins the file's name."""
    speaker = {name: name.partition("/")[2].partition("_")[0] for name in names}
    order = sorted(set(speaker.values()))
    np.random.RandomState(0).shuffle(order)  # its stream never changes
    held = max(1, len(order) // 10)
    part = {s: 1 if i < held else 2 if i < 2 * held else 0 for i, s in enumerate(order)}
    return {name: part[s] for name, s in speaker.items()}
