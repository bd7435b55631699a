"""NumPy archives of sequences with their labels."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spikescan.data.own.base import OwnFiles
from spikescan.data.own.items import GROUP, Item, is_called, part_of
from spikescan.data.own.marks import marker
from spikescan.data.root import DataError

Arrays = dict[str, NDArray[Any]]
_PADDING = 5
"""Steps at the end of a sequence that may be padding, at least."""
_KNOWN = ("x", "y", "lengths", "classes", "channels", "rate", "group", "part")


class Npz(OwnFiles):
    """Classes of sequences in a NumPy archive: x (B, T, C), from a person's own file.

    The archive (``numpy.savez``) holds ``x`` (N, T, C) or (N, T) and ``y`` (N,), numbers or words.
    With ``lengths`` (N,) what follows is padding; with ``lengths`` and x (total, C) the sequences
    lie end to end. Also read are ``classes``, names of the classes that whole numbers y count;
    ``channels``, names; ``rate``, samples in a second; ``group`` and ``part`` (N,). Nothing is
    unpickled.

    Args:
        path: The file, from the current folder or below ``root``.
        root: Folder that ``path`` is below; alone, it is the file itself.
        batch_size: Sequences in a batch.
        workers: Processes that prepare batches; 0 is fastest, as all data are in memory.
        seed: Seed of the order of the training data.
        split: How sequences are dealt out to training, validation and test.
        found: Classes, channels, length and rate; without it the file is looked through.
        missing: What happens to NaN and infinite values: "refuse" names the first, "hold" repeats
            the value before, "zero" puts zero.
        max_length: Samples after which a sequence is cut off; None for as long as they are.
        frame: Consecutive samples that become the channels of one step.

    Raises:
        ValueError: An argument is out of range.
    """

    suffixes = (".npz",)
    _unread: tuple[str, ...] = ()
    _no_labels = ""
    _wide = False
    _marks: Sequence[float] = ()
    _padded = 0

    def sequences(self, file: Path) -> list[Item]:
        """Read an archive; see :meth:`OwnFiles.sequences`."""
        arrays = read_arrays(file)
        x, pieces = arrays.get("x"), None
        if x is None:
            raise DataError(
                f"{file} has no array x, only {', '.join(arrays) or 'none'}; call the sequences x, "
                "(N, T, C) or (N, T), and their labels y, (N,)"
            )
        if x.dtype.kind not in "fiub" or x.ndim not in (2, 3) or not x.size:
            raise DataError(
                f"{file}: x must be numbers of shape (N, T, C) or (N, T), got {x.dtype} {x.shape}"
            )
        lengths, y = arrays.get("lengths"), arrays.get("y")
        if lengths is not None and (lengths.dtype.kind not in "iu" or lengths.ndim != 1):
            raise DataError(
                f"{file}: lengths must be whole numbers of shape (N,), got {lengths.dtype} "
                f"{lengths.shape}"
            )
        count = len(x) if lengths is None else len(lengths)
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
            values = torch.from_numpy(x.astype(np.float32))
        if lengths is None:
            pieces = list(values)
        elif (lengths < 1).any():
            raise DataError(f"{file}: lengths must be at least 1, got {int(lengths.min())}")
        elif count == len(x) and (lengths <= x.shape[1]).all():
            pieces = [v[:n] for v, n in zip(values, lengths.tolist(), strict=True)]
        elif x.ndim == 2 and int(lengths.sum()) == len(x):
            pieces = list(values.split(lengths.tolist()))
        else:
            raise DataError(
                f"{file}: lengths must be at most {x.shape[1]}, one for each of the {len(x)} "
                f"sequences of x, or have the sum {len(x)}, got {len(lengths)} up to "
                f"{int(lengths.max())} with the sum {int(lengths.sum())}"
            )
        pieces = [p.unsqueeze(1) if p.ndim == 1 else p for p in pieces]
        width = pieces[0].shape[1]
        channels = _words(file, arrays, "channels", width) or [*map(str, range(width))]
        labels = None if y is None else _labels(file, y, arrays, count)
        named = next((name for name in arrays if is_called(name, GROUP)), "group")
        if y is None:
            self._no_labels = f"{file} has no array y, only {', '.join(arrays)}"
        groups, parts = (_words(file, arrays, name, count) for name in (named, "part"))
        self._unread = tuple(sorted(arrays.keys() - {*_KNOWN, named}))
        self._wide = x.ndim == 3 and lengths is None and x.shape[2] > 4 * x.shape[1]
        if lengths is None:
            self._note_padding(pieces)
        rate = None
        if (given := arrays.get("rate")) is not None:
            if given.size != 1 or given.dtype.kind not in "fiu" or not 0 < float(given) < np.inf:
                raise DataError(f"{file}: rate must be one positive number, got {given}")
            rate = float(given)
        return [
            Item(
                f"item {i}",
                piece,
                None if labels is None else labels[i],
                None if groups is None else groups[i],
                None if parts is None else part_of(parts[i], f"{file}: item {i}"),
                tuple(channels),
                rate,
            )
            for i, piece in enumerate(pieces)
        ]

    def without_label(self, item: Item) -> str:
        """What to say of an item without a label: how the array of labels is called."""
        if not self._no_labels:
            return super().without_label(item)
        return f"{self._no_labels}; call the labels of the sequences y, (N,)"

    def _note_padding(self, pieces: list[torch.Tensor]) -> None:
        """See whether numbers stand for no value, and sequences end in one that is repeated."""
        x = torch.cat(pieces).double().numpy()
        found = [marker(x[:, c]) for c in range(x.shape[1])]
        self._marks = sorted({mark for mark in found if mark is not None})
        ends = [_still(piece) for piece in pieces]
        self._padded = sum(n >= _PADDING for n in ends) if len({*ends}) > 2 else 0

    def noted(self, count: int | None) -> list[str]:
        """Which arrays are not read, and whether time and channels may be the other way round."""
        said: list[str] = []
        if self._unread:
            said.append(f"not read: {', '.join(self._unread)}; known are {', '.join(_KNOWN)}")
        if self._marks:
            said.append(
                f"x holds {', '.join(f'{mark:g}' for mark in self._marks)}, far from all other "
                "values; if that stands for none, write NaN"
            )
        if self._padded:
            said.append(
                f"{self._padded:,} sequences end in steps that are all alike; if these fill up what"
                " is shorter, give lengths"
            )
        if self._wide:
            said.append("x is read as (N, T, C); if it is (N, C, T), write x.swapaxes(1, 2)")
        return said


def _still(values: torch.Tensor) -> int:
    """How many steps at the end of a sequence (T, C) are as the last one; those that miss all
    values are alike."""
    held = values.nan_to_num(torch.inf)
    other = (held != held[-1]).any(1).nonzero()
    return len(held) - 1 - int(other[-1]) if len(other) else len(held)


def read_arrays(file: Path) -> Arrays:
    """The arrays of an archive, none of which has to be unpickled.

    Raises:
        DataError: The file is no such archive.
    """
    try:
        archive = np.load(file, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise DataError(f"{file} is one array, expected an archive that numpy.savez writes")
        with archive:
            return {name: archive[name] for name in archive.files}
    except DataError:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        if "pickle" in reason:
            reason = "it holds Python objects, which are not unpickled"
        raise DataError(f"{file} is not a readable archive: {reason}") from error
    except (MemoryError, NotImplementedError, RuntimeError, SyntaxError, TypeError) as error:
        raise DataError(f"{file} is damaged ({type(error).__name__}); write it anew") from error


def _words(file: Path, arrays: Arrays, name: str, count: int) -> list[str] | None:
    """An array of words, one for each of ``count`` things."""
    words = arrays.get(name)
    if words is None:
        return None
    if words.shape != (count,) or words.dtype.kind not in "USiu":
        raise DataError(
            f"{file}: {name} must be words of shape ({count},), got {words.dtype} {words.shape}"
        )
    if words.dtype.kind == "S":
        words = np.char.decode(words, "utf-8", "replace")
    return [str(word) for word in words.tolist()]


def _labels(file: Path, y: NDArray[Any], arrays: Arrays, count: int) -> list[str]:
    if y.shape != (count,) or y.dtype.kind not in "USiub":
        raise DataError(
            f"{file}: y must be words or whole numbers, one for each of the {count} sequences, got "
            f"{y.dtype} of shape {y.shape}"
        )
    labels = _words(file, {"y": y.astype(np.int64) if y.dtype.kind == "b" else y}, "y", count)
    assert labels is not None
    classes = arrays.get("classes")
    if classes is None:
        return labels
    names = _words(file, arrays, "classes", len(classes))
    assert names is not None
    if y.dtype.kind in "US" and set(labels) <= set(names):
        return labels
    for i, label in enumerate(labels):
        if not label.isdecimal() or int(label) >= len(names):
            raise DataError(
                f"{file}: item {i} has the label {label!r}, expected one of the classes "
                f"{', '.join(names)}, or its number from 0"
            )
    return [names[int(label)] for label in labels]
