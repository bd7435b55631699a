"""Atrial fibrillation from a short single-lead ECG: the PhysioNet/CinC Challenge 2017."""

from __future__ import annotations

import csv
import io
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikescan.data.archive import members
from spikescan.data.batch import SequenceBatch
from spikescan.data.facts import Classes, Facts
from spikescan.data.matlab import read_matlab4
from spikescan.data.memory import RaggedSequences
from spikescan.data.module import SequenceData, Splits, at_least
from spikescan.data.parts import chosen
from spikescan.data.prepared import Arrays, prepared
from spikescan.data.root import DataError
from spikescan.data.sources import brought
from spikescan.data.split import stratified_split

_CLASSES = ("N", "A", "O", "~")
_RATE = 300
_LONGEST = 18_286
_VERSION = 1
# Standard deviation of all samples of the training part in millivolt, and units a millivolt.
_STD, _MILLIVOLT = 0.24, 1_000


class AFECG(SequenceData):
    """Single-lead ECG of 9 to 61 seconds at 300 Hz: x (B, T / frame, frame) with lengths.

    Four classes: normal rhythm N, atrial fibrillation A, other rhythm O, too noisy ~. The
    challenge's score is the mean F1 of N, A and O. Its test set was never published: the 8,528
    records are split by record, each class 80 % for training, 10 % for validation and 10 % for
    the test, the same for every seed.

    Samples are in units of the training part's standard deviation, one number for all records:
    nothing of a record has to be known before it ends, so that a causal network can follow a
    patient sample by sample. A batch is padded to its longest sequence, and training batches
    gather records of similar length.

    Args:
        root: Folder of all data sets; without it the environment variable SPIKESCAN_DATA or the
            user's cache folder.
        batch_size: Sequences in a batch.
        workers: Processes that prepare batches; 0 is fine, as all data are in memory.
        seed: Seed of the order of the training data and of the augmentation.
        max_length: Samples after which a record is cut off.
        frame: Consecutive samples that become the channels of one step; 1 is the raw sequence.
            The network's first layer then learns its own decimation.
        shift: Augmentation of training data: drop up to this many samples from the start, at
            most a quarter of the record.
        gain: Augmentation of training data: change of amplitude, at most this many decibels.
        speed: Augmentation of training data: change of speed, at most this share.

    Raises:
        ValueError: An argument is out of range.

    Source: Clifford et al. 2017, Computing in Cardiology 44, doi:10.22489/CinC.2017.065-469.
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        batch_size: int = 32,
        workers: int = 0,
        seed: int = 0,
        max_length: int = _LONGEST,
        frame: int = 1,
        shift: int = 0,
        gain: float = 0.0,
        speed: float = 0.0,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, workers=workers, seed=seed)
        at_least("max_length", max_length, 1)
        at_least("frame", frame, 1)
        at_least("shift", shift, 0)
        at_least("gain", gain, 0)
        at_least("speed", speed, 0)
        self.max_length = max_length
        self.frame = frame
        self.shift = shift
        self.gain = gain
        self.speed = speed

    @property
    def source(self) -> str:
        """Where the data are; see :attr:`SequenceData.source`."""
        return "cinc2017"

    @property
    def facts(self) -> Facts:
        """At most the frames in ``max_length`` samples; the samples of a frame are channels."""
        length = min(self.max_length, _LONGEST)
        return Facts(
            Classes(_CLASSES),
            length=-(-length // self.frame),
            inputs=self.frame,
            frame=self.frame,
            rate=_RATE / self.frame,
            standardised=(0.0, _STD * _MILLIVOLT),
        )

    def load(self) -> Splits:
        """Read the records, from the archive or the folder it unpacks to, and split them."""
        labels, place = (brought("cinc2017", self.root, group) for group in range(2))
        records = prepared("cinc2017", (_VERSION, place, labels), lambda: _read(place, labels))
        samples, sizes, y = (torch.from_numpy(records[name]) for name in ("x", "sizes", "y"))
        development, test = stratified_split(y, 0.1)
        rest, held = stratified_split(y[development], 1 / 9)

        plain = self._held(samples, sizes, y)
        varied = self._held(samples, sizes, y, shift=self.shift, gain=self.gain, speed=self.speed)
        train, val = development[rest], development[held]
        return Splits(chosen(varied, train), chosen(plain, val), chosen(plain, test))

    def read(self, file: Path) -> list[tuple[str, SequenceBatch]]:
        """Read a record, a file .mat, to predict from; see :meth:`SequenceData.read`."""
        samples = torch.from_numpy(_lead(file.read_bytes(), str(file)))
        self.tell_cut(file, len(samples), self.max_length)
        one = torch.tensor([len(samples)]), torch.zeros(1, dtype=torch.int64)
        return [(str(file), self._held(samples, *one)[0])]

    def _held(
        self, samples: Tensor, sizes: Tensor, y: Tensor, **augmentation: Any
    ) -> RaggedSequences:
        return RaggedSequences(
            *(samples, sizes, y),
            max_length=self.max_length,
            frame=self.frame,
            std=_STD * _MILLIVOLT,
            seed=self.seed,
            **augmentation,
        )


def _read(place: Path, labels: Path) -> Arrays:
    """Return all records end to end ``x`` (total,), their ``sizes`` (N,) and classes ``y`` (N,)."""
    classes = _labels(labels)
    records = {}
    for name, content in members(place, suffix=".mat", largest=1 << 20):
        record = PurePosixPath(name).stem
        if record not in classes:
            raise DataError(f"{place}: {name} has no label in {labels}")
        records[record] = _lead(content, f"{place}: {name}")
    if absent := sorted(classes.keys() - records.keys()):
        raise DataError(
            f"{place} lacks {len(absent)} of the {len(classes)} records of {labels}, the first is "
            f"{absent[0]}.mat"
        )
    names = sorted(records)
    return {
        "x": np.concatenate([records[name] for name in names]),
        "sizes": np.array([len(records[name]) for name in names]),
        "y": np.array([classes[name] for name in names]),
    }


def _lead(content: bytes, name: str) -> NDArray[np.int16]:
    values = read_matlab4(content, name)
    if values.shape[1] != 1:
        raise DataError(f"{name} must have one lead, got {values.shape[1]}")
    return values[:, 0]


def _labels(path: Path) -> dict[str, int]:
    """The class of each record; a row is ``folder/record,label,number`` or ``record,label``."""
    classes: dict[str, int] = {}
    lines = csv.reader(io.StringIO(path.read_text("utf-8", errors="replace")))
    for row in lines:
        if len(row) < 2 or row[1] not in _CLASSES:
            raise DataError(
                f"{path}: line {lines.line_num} must be a record and its label, one of "
                f"{', '.join(_CLASSES)}, got {','.join(row)!r}"
            )
        classes[PurePosixPath(row[0]).name] = _CLASSES.index(row[1])
    return classes
