"""The Free Spoken Digit Dataset as raw audio."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikescan.data.batch import SequenceBatch
from spikescan.data.facts import Classes, Facts
from spikescan.data.memory import RaggedSequences
from spikescan.data.module import SequenceData, Splits, at_least
from spikescan.data.root import DataError
from spikescan.data.sources import find_source, require

_SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")


class SpokenDigits(SequenceData):
    """Spoken digits as raw samples at 8 kHz: x (B, T / frame, frame) with lengths, 10 classes.

    3,000 recordings by six speakers, 1,148 to 18,262 samples each. Every recording is shifted and
    scaled to mean 0 and standard deviation 1, as speakers differ in loudness and offset. The
    split goes by the index in the file's name: 0-4 is the official test set (300), 5-9 is held
    out for validation (300), 10-49 is for training (2,400). A batch is padded to its longest
    sequence, and training batches gather recordings of similar length.

    Args:
        root: Folder of all data sets; without it the environment variable SPIKESCAN_DATA or the
            user's cache folder.
        batch_size: Sequences in a batch.
        workers: Processes that prepare batches; 0 is fine, as all data are in memory.
        seed: Seed of the order of the training data and of the augmentation.
        max_length: Samples after which a recording is cut off; 8,000 is one second.
        frame: Consecutive samples that become the channels of one step; 1 is the raw sequence.
        shift: Augmentation of training data: drop up to this many samples from the start, at
            most a quarter of the recording.
        gain: Augmentation of training data: change of amplitude, at most this many decibels.
        speed: Augmentation of training data: change of speed and pitch, at most this share.
        speaker: Leave this speaker out: all of theirs is the test, and of the others index 0-4
            validates and 5-49 trains. One of george, jackson, lucas, nicolas, theo, yweweler.

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
        max_length: int = 8_000,
        frame: int = 1,
        shift: int = 0,
        gain: float = 0.0,
        speed: float = 0.0,
        speaker: str | None = None,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, workers=workers, seed=seed)
        at_least("max_length", max_length, 1)
        at_least("frame", frame, 1)
        at_least("shift", shift, 0)
        at_least("gain", gain, 0)
        at_least("speed", speed, 0)
        if speaker is not None and speaker not in _SPEAKERS:
            raise ValueError(f"speaker must be one of {', '.join(_SPEAKERS)}, got {speaker!r}")
        self.speaker = speaker
        self.max_length = max_length
        self.frame = frame
        self.shift = shift
        self.gain = gain
        self.speed = speed

    @property
    def source(self) -> str:
        """Where the data are; see :attr:`SequenceData.source`."""
        return "fsdd"

    @property
    def facts(self) -> Facts:
        """At most the frames in ``max_length`` samples; the samples of a frame are channels."""
        return Facts(
            Classes(tuple("0123456789")),
            length=-(-self.max_length // self.frame),
            inputs=self.frame,
            frame=self.frame,
            rate=8_000 / self.frame,
            standardised="whole",
        )

    def load(self) -> Splits:
        """Read the recordings and split them by the index in their names."""
        source = find_source("fsdd")
        folder = require(source, self.root)
        parts: tuple[list[Path], list[Path], list[Path]] = ([], [], [])
        paths = [folder / file.path for file in source.contents()]
        # By index first, so that any stretch of the data has all digits and speakers.
        for path in sorted(paths, key=lambda path: (_index(path), path.name)):
            parts[self._part_of(path)].append(path)
        train, val, test = parts
        return Splits(self._part(train, augment=True), self._part(val), self._part(test))

    def _part_of(self, path: Path) -> int:
        """0 for training, 1 for validation, 2 for the test."""
        index = _index(path)
        if self.speaker is None:
            return 2 if index < 5 else 1 if index < 10 else 0
        return 2 if f"_{self.speaker}_" in path.name else 1 if index < 5 else 0

    def read(self, file: Path) -> list[tuple[str, SequenceBatch]]:
        """Read a recording to predict from; see :meth:`SequenceData.read`."""
        samples = read_wav(file)
        self.tell_cut(file, len(samples), self.max_length)
        held = self._held([samples], torch.zeros(1, dtype=torch.int64))
        return [(str(file), held[0])]

    def _part(self, paths: list[Path], augment: bool = False) -> RaggedSequences:
        y = torch.tensor([int(path.name.split("_")[0]) for path in paths])
        return self._held([read_wav(path) for path in paths], y, augment)

    def _held(
        self, recordings: list[NDArray[np.int16]], y: Tensor, augment: bool = False
    ) -> RaggedSequences:
        return RaggedSequences(
            torch.from_numpy(np.concatenate([_standardised(samples) for samples in recordings])),
            torch.tensor([len(samples) for samples in recordings]),
            y,
            max_length=self.max_length,
            frame=self.frame,
            shift=self.shift if augment else 0,
            gain=self.gain if augment else 0.0,
            speed=self.speed if augment else 0.0,
            seed=self.seed,
        )


def _index(path: Path) -> int:
    """Return the last part of ``{digit}_{speaker}_{index}.wav``."""
    return int(path.stem.rsplit("_", 1)[1])


def _standardised(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    # Accumulated in float64; a silent recording stays at zero.
    values = samples.astype(np.float64)
    values -= values.mean()
    return (values / max(values.std(), 1.0)).astype(np.float32)


def read_wav(path: Path, rate: int = 8_000, content: bytes | None = None) -> NDArray[np.int16]:
    """Read the samples of a WAV file of one channel and 16 bits, int16 (T,).

    Args:
        path: The file, or what to call it in an error where ``content`` is given.
        rate: Samples a second that it must have.
        content: The whole file, where it comes out of an archive.

    Raises:
        DataError: The file is not of that format, truncated or empty.
    """
    source = str(path) if content is None else io.BytesIO(content)
    try:
        with wave.open(source, "rb") as recording:
            form = recording.getnchannels(), recording.getsampwidth(), recording.getframerate()
            count = recording.getnframes()
            audio = recording.readframes(count)
    except (wave.Error, EOFError, OSError, RuntimeError) as error:
        # A chunk that claims to end beyond its parent raises RuntimeError, without a word.
        reason = str(error) or "its header is damaged"
        raise DataError(f"{path} is not a readable WAV file ({reason}); fetch it anew") from error
    if form != (1, 2, rate):
        raise DataError(
            f"{path} has (channels, bytes, Hz) = {form}, expected (1, 2, {rate}); mix and resample "
            "it"
        )
    if count == 0 or len(audio) != 2 * count:
        raise DataError(f"{path} is truncated: {len(audio)} of {2 * count} bytes of audio")
    return np.frombuffer(audio, dtype="<i2").astype(np.int16)
