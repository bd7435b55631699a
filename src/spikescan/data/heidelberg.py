"""Spoken words as spikes of an artificial cochlea: SHD and SSC."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from spikescan.data.events import Events, EventSequences
from spikescan.data.facts import Classes, Facts
from spikescan.data.module import SequenceData, Splits, at_least
from spikescan.data.parts import chosen
from spikescan.data.prepared import Arrays, prepared
from spikescan.data.root import DataError
from spikescan.data.sources import brought, find_source
from spikescan.data.split import stratified_split
from spikescan.errors import optional

_UNITS = 700
_CLASSES = {
    # The ten digits in English, then in German.
    "shd": tuple(f"{language} {digit}" for language in ("en", "de") for digit in range(10)),
    "ssc": tuple(str(word) for word in range(35)),
}
_VERSION = 1


class Heidelberg(SequenceData):
    """Spoken words as spikes: x (B, T, 700 / pool) counts of spikes with lengths.

    SHD has 8,156 and 2,264 recordings of ten digits in English and German, 20 classes; of the
    training recordings a stratified tenth is for validation, as the publisher gives none. SSC has
    75,466, 9,981 and 20,382 recordings of 35 words, in three parts as published.

    Args:
        root: Folder of all data sets; without it the environment variable SPIKESCAN_DATA or the
            user's cache folder.
        batch_size: Sequences in a batch.
        workers: Processes that prepare batches; 0 prepares them in the main process.
        seed: Seed of the order of the training data.
        variant: Which of the two data sets.
        step: Microseconds of a step, whose spikes are counted.
        pool: Neighbouring channels that become one.
        max_length: Steps after which a recording is cut off.

    Raises:
        ValueError: An argument is out of range.

    Source: Cramer et al. 2022 (arXiv 1910.07407).
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        batch_size: int = 32,
        workers: int = 0,
        seed: int = 0,
        variant: Literal["shd", "ssc"] = "shd",
        step: int = 4_000,
        pool: int = 5,
        max_length: int = 300,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, workers=workers, seed=seed)
        if variant not in _CLASSES:
            raise ValueError(f"variant must be 'shd' or 'ssc', got {variant!r}")
        at_least("step", step, 1)
        at_least("pool", pool, 1)
        at_least("max_length", max_length, 1)
        self.variant = variant
        self.step = step
        self.pool = pool
        self.max_length = max_length

    @property
    def source(self) -> str:
        """Where the data are; see :attr:`SequenceData.source`."""
        return self.variant

    @property
    def facts(self) -> Facts:
        """Channels from low tones to high ones."""
        return Facts(
            Classes(_CLASSES[self.variant]),
            length=self.max_length,
            inputs=-(-_UNITS // self.pool),
            rate=1e6 / self.step,
        )

    def load(self) -> Splits:
        """Read the HDF5 files, as they are or packed by gzip."""
        groups = range(len(find_source(self.variant).brought))
        parts = [self._part(brought(self.variant, self.root, group)) for group in groups]
        if self.variant == "ssc":
            return Splits(*parts)
        rest, held = stratified_split(parts[0].y, 0.1)
        return Splits(chosen(parts[0], rest), chosen(parts[0], held), parts[1])

    def _part(self, path: Path) -> EventSequences:
        kept = prepared(self.variant, (_VERSION, path), lambda: read_spikes(path))
        return EventSequences(
            Events(kept["time"], kept["channel"] // self.pool),
            torch.from_numpy(kept["sizes"]),
            torch.from_numpy(kept["y"]),
            channels=self.facts.inputs,
            max_length=self.max_length,
            step=self.step,
        )


def read_spikes(path: Path) -> Arrays:
    """Read spikes end to end, ``time`` in microseconds and ``channel``, ``sizes`` and ``y``.

    The file has one row a recording in ``spikes/times`` (seconds), ``spikes/units`` and ``labels``.

    Args:
        path: The HDF5 file, ``.gz`` if it is packed.

    Raises:
        DataError: The file is damaged, has no such rows, a recording is without spikes or a spike
            without channel.
        MissingPackage: h5py is not installed.
    """
    h5py = optional("h5py", "events", "reading HDF5")
    try:
        opened: Any = path
        if path.suffix == ".gz":
            with gzip.open(path) as packed:
                opened = io.BytesIO(packed.read())
        with h5py.File(opened, "r") as file:
            sizes = {file[name].shape for name in ("spikes/times", "spikes/units", "labels")}
            # More recordings than bytes: HDF5 would make up as many as a damaged file claims.
            if len(sizes) > 1 or max(sizes) > (file.id.get_filesize(),):
                raise ValueError(f"its rows of times, units and labels are {sorted(sizes)}")
            times = list(file["spikes/times"][:])  # type: ignore[index]
            units = list(file["spikes/units"][:])  # type: ignore[index]
            labels = np.asarray(file["labels"][:], np.int64)  # type: ignore[index]
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not a readable file of spikes: {error}") from error
    if not len(times) == len(units) == len(labels):
        raise DataError(
            f"{path} has {len(times)} rows of times, {len(units)} of units and {len(labels)} labels"
        )
    found: list[Events] = []
    for row, (seconds, unit) in enumerate(zip(times, units, strict=True)):
        seconds, unit = np.asarray(seconds, np.float64), np.asarray(unit, np.int64)
        if not 0 < len(seconds) == len(unit):
            raise DataError(f"{path}: recording {row} has {len(seconds)} times, {len(unit)} units")
        good = np.isfinite(seconds).all() and seconds.min() >= 0 and seconds.max() < 2_000
        if not (good and unit.min() >= 0 and unit.max() < _UNITS):
            raise DataError(f"{path}: recording {row} has a spike at no time or in no channel")
        order = np.argsort(seconds, kind="stable")
        microseconds = np.round(seconds[order] * 1e6).astype(np.int32)
        found.append(Events(microseconds, unit[order].astype(np.int32)))
    if not found:
        raise DataError(f"{path} has no recordings")
    return {
        "time": np.concatenate([events.time for events in found]),
        "channel": np.concatenate([events.channel for events in found]),
        "sizes": np.array([len(events.time) for events in found]),
        "y": labels,
    }
