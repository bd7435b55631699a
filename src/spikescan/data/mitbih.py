"""Heartbeats of the MIT-BIH Arrhythmia Database, by patient."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikescan.data.batch import SequenceBatch
from spikescan.data.facts import Classes, Facts
from spikescan.data.memory import Sequences
from spikescan.data.module import SequenceData, Splits, at_least
from spikescan.data.root import DataError, data_root
from spikescan.errors import optional

_CLASSES = ("N", "S", "V", "F", "Q")
_SYMBOLS = {
    symbol: _CLASSES.index(name)
    for name, symbols in {"N": "NLRej", "S": "AaJS", "V": "VE", "F": "F", "Q": "/fQ"}.items()
    for symbol in symbols
}
DS1 = (
    "101", "106", "108", "109", "112", "114", "115", "116", "118", "119", "122",
    "124", "201", "203", "205", "207", "208", "209", "215", "220", "223", "230",
)  # fmt: skip
"""Records to learn from; no patient of theirs is in the others."""
DS2 = (
    "100", "103", "105", "111", "113", "117", "121", "123", "200", "202", "210",
    "212", "213", "214", "219", "221", "222", "228", "231", "232", "233", "234",
)  # fmt: skip
"""Records for the test."""
_LEAD = "MLII"
_RATE = 360


class Record(NamedTuple):
    """One lead of a record, and its beats.

    Attributes:
        x: The whole lead in millivolt (T,) float32, 360 samples a second.
        at: Sample of each beat's peak (N,) int64.
        y: Class of each beat (N,) int64: N, S, V, F or Q.
    """

    x: NDArray[np.float32]
    at: NDArray[np.int64]
    y: NDArray[np.int64]


class MITBIH(SequenceData):
    """Is a heartbeat normal? x (B, before + after, 1) around each beat, 5 classes.

    The classes of the AAMI: normal N, supraventricular S, ventricular V, fusion F and unknown Q.
    The records of DS1 are for training and those of DS2 for the test, as de Chazal et al. 2004
    divide them: no patient is in both, and the four with a pacemaker are in none. A fifth of the
    training records, the same for every seed, is for validation. The lead is MLII; the network
    shifts and scales it to mean 0 and standard deviation 1 over the training beats. A window ends
    ``after`` samples behind the beat's peak: so much later does a stream know. Whole records, to
    be streamed, are given by :func:`read_record`.

    Args:
        root: Folder of all data sets; without it the environment variable SPIKESCAN_DATA or the
            user's cache folder.
        batch_size: Sequences in a batch.
        workers: Processes that prepare batches; 0 is fastest, as all data are in memory.
        seed: Seed of the order of the training data.
        before: Samples of the window before the beat's peak.
        after: Samples from the peak on.
        records: Use only these records; without it all 44 have to be there.

    Raises:
        ValueError: An argument is out of range.

    Source: Moody and Mark 2001; de Chazal et al. 2004 (IEEE Trans. Biomed. Eng. 51(7)).
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        batch_size: int = 64,
        workers: int = 0,
        seed: int = 0,
        before: int = 360,
        after: int = 144,
        records: list[str] | None = None,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, workers=workers, seed=seed)
        at_least("before", before, 0)
        at_least("after", after, 1)
        used = [*DS1, *DS2] if records is None else [str(name) for name in records]
        if unknown := [name for name in used if name not in DS1 and name not in DS2]:
            raise ValueError(f"records must be of {', '.join([*DS1, *DS2])}, got {unknown[0]}")
        if len([n for n in used if n in DS1]) < 2 or not any(n in DS2 for n in used):
            raise ValueError("records must hold two of DS1 and one of DS2 at least")
        self.before = before
        self.after = after
        self.records = used

    @property
    def source(self) -> str:
        """Where the data are; see :attr:`SequenceData.source`."""
        return "mitbih"

    @property
    def facts(self) -> Facts:
        """One channel: the lead MLII."""
        return Facts(
            Classes(_CLASSES),
            length=self.before + self.after,
            rate=_RATE,
            channels=(_LEAD,),
            scaled=True,
        )

    def load(self) -> Splits:
        """Read the records and cut out their beats."""
        folder = data_root(self.root) / "mitbih"
        learned = [name for name in self.records if name in DS1]
        order = sorted(learned)
        np.random.RandomState(0).shuffle(order)  # its stream never changes
        held = order[: max(1, len(order) // 5)]
        groups = (
            [name for name in learned if name not in held],
            held,
            [name for name in self.records if name in DS2],
        )
        return Splits(*(self._beats(folder, group) for group in groups))

    def _beats(self, folder: Path, names: list[str]) -> _Beats:
        records = [read_record(folder, name) for name in names]
        leads: list[Tensor] = []
        begins: list[Tensor] = []
        classes: list[Tensor] = []
        end = 0
        for record in records:
            # Beats whose window would leave the record are not taken.
            whole = (record.at >= self.before) & (record.at + self.after <= len(record.x))
            begins.append(torch.from_numpy(record.at[whole]) - self.before + end)
            classes.append(torch.from_numpy(record.y[whole]))
            leads.append(torch.from_numpy(record.x))
            end += len(record.x)
        window = self.before + self.after
        return _Beats(torch.cat(leads), torch.cat(begins), torch.cat(classes), window)


class _Beats(Sequences):
    def __init__(self, x: Tensor, begins: Tensor, y: Tensor, window: int) -> None:
        super().__init__(y)
        self.x, self.begins, self.window = x, begins, window

    def batch(self, rows: Tensor, epoch: int) -> SequenceBatch:
        steps = self.begins[rows, None] + torch.arange(self.window)
        return SequenceBatch(self.x[steps].unsqueeze(-1), self.y[rows])


def read_record(folder: Path, name: str) -> Record:
    """Read the lead MLII of a record and its beats.

    Args:
        folder: Where the record's files ``NAME.hea``, ``NAME.dat`` and ``NAME.atr`` are.
        name: Number of the record.

    Raises:
        DataError: A file is missing or damaged, or the record has no such lead.
        MissingPackage: wfdb is not installed.
    """
    wfdb = optional("wfdb", "ecg", "reading ECG records")
    for ending in ("hea", "dat", "atr"):
        if not (path := folder / f"{name}.{ending}").is_file():
            raise DataError(
                f"mitbih: {path} is missing; run `spikescan data get mitbih`, or name the records "
                "that are here in --data.records"
            )
    try:
        signal: Any = wfdb.rdrecord(str(folder / name), physical=False)
        marks: Any = wfdb.rdann(str(folder / name), "atr")
        leads = list(signal.sig_name)
        sums = signal.checksum and [int(s) % 65536 for s in signal.checksum]
        right = not sums or sums == [int(s) % 65536 for s in signal.calc_checksum()]
        values = np.asarray(signal.dac())
        at = np.asarray(marks.sample, np.int64)
        symbols = list(marks.symbol)
    except Exception as error:  # whatever wfdb meets in a damaged file
        words = " ".join(str(error).split())
        raise DataError(f"mitbih: record {name} in {folder} is damaged: {words}") from error
    if not right:
        raise DataError(
            f"mitbih: {folder / name}.dat is damaged: its sums are not those that {name}.hea tells"
        )
    if _LEAD not in leads or signal.fs != _RATE:
        raise DataError(
            f"mitbih: record {name} in {folder} must have the lead {_LEAD} at {_RATE} Hz, has "
            f"{', '.join(map(str, leads))} at {signal.fs} Hz"
        )
    x = values[:, leads.index(_LEAD)].astype(np.float32)
    if not np.isfinite(x).all():
        gap = int(np.argmin(np.isfinite(x)))
        raise DataError(f"mitbih: record {name} in {folder} has no value at sample {gap}")
    beats = np.array([symbol in _SYMBOLS for symbol in symbols], bool)
    if len(at) != len(symbols) or not beats.any() or at.min() < 0 or at.max() >= len(x):
        raise DataError(f"mitbih: the beats of record {name} in {folder} are damaged")
    y = np.array([_SYMBOLS[s] for s in symbols if s in _SYMBOLS], np.int64)
    return Record(x, at[beats], y)
