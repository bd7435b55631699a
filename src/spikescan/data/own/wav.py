"""Recordings: WAV, FLAC, Ogg and AIFF files of any width, rate and number of channels."""

from __future__ import annotations

import struct
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spikescan.data.gaps import Missing
from spikescan.data.module import at_least
from spikescan.data.own.base import OwnFiles
from spikescan.data.own.found import Found
from spikescan.data.own.items import Item
from spikescan.data.own.split import Split
from spikescan.data.root import DataError
from spikescan.errors import optional

_HIGHEST = 16_000
"""Hz, the rate that is taken at most unless another one is asked for: speech needs no more."""


_FULL = 4.0
"""Amplitude that recordings in floating point reach at most, full scale being 1."""


class Wav(OwnFiles):
    """Classes of recordings: x (B, T / frame, frame) with lengths, from a person's own files.

    ``root`` or ``path`` is a folder with one folder of recordings for each class, or a CSV with
    the columns ``path`` and ``label``. Recordings of several channels are mixed to one, and those
    of another rate are resampled (soxr, high quality); a line says how many. Needs the extra
    ``audio``.

    Args:
        path: Folder or CSV file, from the current folder or below ``root``.
        root: Folder that ``path`` is below; alone, it is the folder itself.
        batch_size: Sequences in a batch.
        workers: Processes that prepare batches; 0 is fastest, as all data are in memory.
        seed: Seed of the order of the training data and of the augmentation.
        split: How recordings are dealt out to training, validation and test.
        found: Classes, channels, length and rate; without it the files are looked through.
        missing: What happens to NaN in recordings of floating point: "refuse" names the first,
            "hold" repeats the value before, "zero" puts zero.
        rate: Samples in a second that all recordings are brought to, Hz; without it the most
            frequent rate, at most 16,000.
        max_length: Samples after which a recording is cut off; None for as long as they are.
        frame: Consecutive samples that become the channels of one step.
        shift: Augmentation of training data: drop up to this many samples from the start, at
            most a quarter of the recording.
        gain: Augmentation of training data: change of amplitude, at most this many decibels.
        speed: Augmentation of training data: change of speed and pitch, at most this share.

    Raises:
        ValueError: An argument is out of range.
    """

    suffixes = (".wav", ".flac", ".ogg", ".aiff", ".aif")

    def __init__(
        self,
        *,
        path: str | None = None,
        root: str | None = None,
        batch_size: int = 32,
        workers: int = 0,
        seed: int = 0,
        split: Split = Split(),
        found: Found | None = None,
        missing: Missing = "refuse",
        rate: float | None = None,
        max_length: int | None = None,
        frame: int = 1,
        shift: int = 0,
        gain: float = 0.0,
        speed: float = 0.0,
    ) -> None:
        super().__init__(
            path=path,
            root=root,
            batch_size=batch_size,
            workers=workers,
            seed=seed,
            split=split,
            found=found,
            missing=missing,
            max_length=max_length,
            frame=frame,
        )
        for name, value in (("shift", shift), ("gain", gain), ("speed", speed)):
            at_least(name, value, 0)
        if rate is not None:
            at_least("rate", rate, 1)
        self._asked = rate
        self.shift, self.gain, self.speed = shift, gain, speed
        self._resampled: Counter[int] = Counter()
        self._mixed: Counter[int] = Counter()
        self._beyond, self._loud = 0, 0.0

    @cached_property
    def rate(self) -> float:
        """Samples in a second of what is read, Hz.

        Raises:
            DataError: there are no recordings to take it from.
        """
        if self._asked is not None:
            return self._asked
        if self._given is not None and self._given.rate is not None:
            return self._given.rate
        rates = Counter(_info(entry.file).samplerate for entry in self.listing.entries)
        if not rates:
            raise DataError(
                f"{self.place} must be a folder of class folders, or a CSV with the columns path "
                "and label"
            )
        return float(min(rates.most_common(1)[0][0], _HIGHEST))

    def sequences(self, file: Path) -> list[Item]:
        """Read one recording, as one channel at :attr:`rate`; see :meth:`OwnFiles.sequences`."""
        samples, rate = read_recording(file)
        if samples.shape[1] > 1:
            self._mixed[samples.shape[1]] += 1
            samples = samples.mean(1, keepdims=True)
        self._loud = max(self._loud, float(np.abs(samples).max(initial=0)))
        self._beyond += bool(np.abs(samples).max(initial=0) > _FULL)
        if rate != self.rate:
            self._resampled[rate] += 1
            samples = optional("soxr", "audio", "resampling").resample(samples, rate, self.rate)
        if not len(samples):
            raise DataError(f"{file} is shorter than one sample at {self.rate:g} Hz")
        values = torch.from_numpy(samples.copy())
        return [Item(file.name, values, channels=("amplitude",), rate=self.rate)]

    def noted(self, count: int | None) -> list[str]:
        """How many recordings were resampled and mixed."""
        of = "" if count is None else f" of {count:,}"
        lines = [
            f"{n:,}{of} recordings: {rate:,} Hz resampled to {self.rate:,g} Hz"
            for rate, n in sorted(self._resampled.items())
        ]
        lines += [
            f"{n:,}{of} recordings: {channels} channels mixed to one"
            for channels, n in sorted(self._mixed.items())
        ]
        if self._beyond:
            lines.append(
                f"{self._beyond:,}{of} recordings go far beyond -1 to 1, up to {self._loud:,.4g}; "
                "if others do not, bring all to one scale"
            )
        return lines

    def augment(self, training: bool) -> dict[str, Any]:
        if not training:
            return {}
        return {"shift": self.shift, "gain": self.gain, "speed": self.speed, "seed": self.seed}


def read_recording(file: Path) -> tuple[NDArray[np.float32], int]:
    """Read a recording whole: samples (N, channels) from -1 to 1, and how many a second.

    Raises:
        DataError: it is damaged, empty, or ends before its header says.
        MissingPackage: soundfile is not installed.
    """
    sound = _soundfile()
    info = _info(file)
    try:
        samples, rate = sound.read(file, dtype="float32", always_2d=True)
    except (sound.LibsndfileError, RuntimeError, ValueError, MemoryError) as error:
        raise _unreadable(file, error) from error
    if len(samples) != info.frames:
        raise DataError(
            f"{file} is truncated: {len(samples):,} of {info.frames:,} samples are there; "
            "remove it, or write it anew"
        )
    return samples, rate


def _soundfile() -> Any:
    return optional("soundfile", "audio", "reading sound")


def _info(file: Path) -> Any:
    """What the header of a recording says, compared with the size of the file."""
    sound = _soundfile()
    try:
        if not file.stat().st_size:
            raise DataError(f"{file} is empty; remove it, or write it anew")
        check_riff(file)
        info = sound.info(file)
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from error
    except (sound.LibsndfileError, RuntimeError, ValueError) as error:
        raise _unreadable(file, error) from error
    if not info.frames or not info.samplerate:
        raise DataError(f"{file} holds no sound; remove it, or write it anew")
    return info


def _unreadable(file: Path, error: Exception) -> DataError:
    reason = str(error).rpartition(": ")[2] or type(error).__name__
    return DataError(f"{file} is not a readable recording ({reason}); remove it, or write it anew")


def check_riff(file: Path) -> None:
    """Refuse a WAV file that ends before its audio does: libsndfile reads what there is.

    Raises:
        DataError: it does.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        head = stream.read(12)
        if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
            return
        while len(chunk := stream.read(8)) == 8:
            name, length = struct.unpack("<4sI", chunk)
            if name == b"data":
                there = size - stream.tell()
                if length > there:
                    raise DataError(
                        f"{file} is truncated: {there:,} of {length:,} bytes of audio are there; "
                        "remove it, or write it anew"
                    )
                return
            stream.seek(length + length % 2, 1)
