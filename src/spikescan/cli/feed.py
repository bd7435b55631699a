"""Inputs of a stream from files and from standard input, some steps at a time."""

from __future__ import annotations

import math
import sys
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import torch
from torch import Tensor

from spikescan.data.facts import Facts, Standardised
from spikescan.data.module import SequenceData
from spikescan.data.own.base import OwnFiles
from spikescan.data.own.table import TIMES
from spikescan.data.own.wav import check_riff, read_recording
from spikescan.data.root import DataError
from spikescan.data.times import is_number
from spikescan.errors import MissingPackage, UsageError, optional

Format = Literal["csv", "raw"]
Scaling = Literal["whole", "none"] | tuple[float, float]
"""By what an input is scaled: its own mean and standard deviation, nothing, or these two."""


@dataclass(frozen=True)
class Feed:
    """Where inputs come from."""

    chunks: Iterator[Tensor]
    """Steps as they come, (T, channels) float32."""
    rate: float | None = None
    """Steps a second, where the source says so."""


def open_feed(
    source: str,
    data: SequenceData,
    channels: int,
    *,
    chunk: int,
    scale: Scaling | None,
    form: Format,
    rate: float | None,
) -> Feed:
    """The input called ``source``: a file, or "-" for standard input.

    A file of the kind that own files were of is read as they were, and so is one that is no WAV,
    CSV or NPY file and that the data set reads.

    Args:
        source: path of a file, or "-".
        data: the data that the network was trained on.
        channels: channels of a step of the network.
        chunk: steps that are handed on at once.
        scale: what the input is scaled by; None is the whole file for a WAV file and nothing for
            other input, unless the training data were scaled.
        form: what standard input holds.
        rate: steps a second where the source does not say so.

    Raises:
        UsageError: there is no such file, its kind is unknown, or ``scale`` has to be said.
        DataError: it is damaged, or holds other numbers than are due.
    """
    facts = data.facts
    trained, due = facts.standardised, facts.rate
    if source == "-":
        if scale == "whole":
            raise UsageError("standard input is no whole to be scaled by; say --scale=MEAN,STD")
        scale = scale or _unscaled(trained, "standard input")
        rows = _csv_lines(sys.stdin.buffer, channels, "standard input", facts)
        if form == "raw":
            rows = _raw(sys.stdin.buffer, channels)
        if scale != "none":
            mean, std = scale
            rows = ((row - mean) / std for row in rows)
        return Feed(_gathered(_steps(rows, channels), chunk), rate)
    path = Path(source)
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    kind = path.suffix.lower()
    own = data if isinstance(data, OwnFiles) and kind in data.suffixes else None
    if own is not None:
        x, rate = _as_trained(own, path), due or rate
    elif kind == ".wav":
        samples, told = _wav(path)
        if due is not None and abs(told - due * channels) > 1e-6 * told:
            samples = _resampled(samples, told, due * channels, path)
            print(
                f"{path}: {told:,g} Hz resampled to {due * channels:,g} Hz, the rate of training",
                file=sys.stderr,
                flush=True,
            )
            told = due * channels
        x, rate = samples, told / channels
    elif kind == ".npy":
        x = _npy(path, channels, facts.frame)
    elif kind in (".csv", ".txt"):
        with path.open("rb") as file:
            rows = list(_csv_lines(file, channels, str(path), facts))
        x = np.stack(rows) if rows else np.zeros((0, channels), np.float32)
    elif not isinstance(data, OwnFiles) and type(data).read is not SequenceData.read:
        if scale not in (None, "none"):
            raise UsageError(f"{path} is scaled as the data set does it; leave out --scale")
        found = data.read(path)
        _require_one(path, len(found))
        for note in data.notes:
            print(note, file=sys.stderr, flush=True)
        x, rate, scale = found[0][1].x[0].numpy(), due or rate, "none"
    else:
        raise UsageError(f"{path} must be a .wav, .csv or .npy file, or - for standard input")
    if not len(x):
        raise DataError(f"{path} holds no step")
    if scale is None and own is None and kind == ".wav" and not isinstance(trained, tuple):
        scale = "whole"
    scale = scale or _unscaled(trained, str(path))
    if scale == "whole":
        _check_finite(x, path, "step")
        mean, std = (float(v) for v in (x.mean(dtype=np.float64), x.std(dtype=np.float64)))
        # The data sets leave what is below one step of 16 bits as silent as it is.
        scale = mean, max(std, 2**-15 if kind == ".wav" else 1e-12)
        print(
            f"{path}: scaled to mean 0, standard deviation 1 over the whole file, which nothing "
            f"live can be: there it is --scale={mean:.6g},{scale[1]:.6g}",
            file=sys.stderr,
            flush=True,
        )
    if scale != "none":
        x = (x.astype(np.float64) - scale[0]) / scale[1]
    if x.shape[1] != channels:  # Samples, of which some make a step: scaled first, then filled up.
        x = _framed(x, channels)
    return Feed(iter(torch.from_numpy(_narrow(x)).split(chunk)), rate)


def read_scale(words: str) -> Scaling:
    """What ``--scale`` says.

    Raises:
        UsageError: it says none of what it may.
    """
    if words in ("whole", "none"):
        return words
    try:
        mean, std = map(float, words.split(","))
    except ValueError:
        mean, std = math.nan, math.nan
    if not (math.isfinite(mean) and 0 < std < math.inf):
        raise UsageError(f"--scale must be whole, none or MEAN,STD, got {words!r}")
    return mean, std


def _unscaled(trained: Standardised | None, where: str) -> Literal["none"]:
    """Take numbers as they come, unless the network learned from scaled ones.

    Raises:
        UsageError: it did.
    """
    if trained is None:
        return "none"
    if trained == "own":
        raise UsageError(
            f"{where}: the network learned from numbers that its data set scales by its own: scale "
            "these so, see the data set, and say --scale=none"
        )
    if trained == "whole":
        learned, by = "each recording brought to mean 0, standard deviation 1", "MEAN,STD"
    else:
        learned = "numbers scaled by mean {:g}, standard deviation {:g}".format(*trained)
        by = "{:g},{:g}".format(*trained)
    raise UsageError(
        f"{where}: the network learned from {learned}: say --scale=none if these numbers are "
        f"scaled so, or --scale={by} to scale them"
    )


def _as_trained(own: OwnFiles, path: Path) -> np.ndarray:
    """The one sequence of a file, whole, with the channels and the rate of the training."""
    items = own.sequences(path)
    _require_one(path, len(items))
    values = own.whole(items[0]).numpy()
    for note in own.noted(None):
        print(note, file=sys.stderr, flush=True)
    return values


def _require_one(path: Path, sequences: int) -> None:
    if sequences != 1:
        raise DataError(f"{path} must hold one sequence to be streamed, got {sequences}")


def _wav(path: Path) -> tuple[np.ndarray, float]:
    """Samples (N, 1) and their rate."""
    samples, rate = _samples(path)
    if samples.shape[1] != 1:
        raise DataError(f"{path} must have one channel, got {samples.shape[1]}; mix them first")
    _check_finite(samples, path, "sample")
    return samples, rate


def _check_finite(x: np.ndarray, path: Path, one: str) -> None:
    """Refuse a row that is not finite, which resampling and scaling would spread over others."""
    bad = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if len(bad):
        got = x[bad[0]].tolist()
        words = got[0] if len(got) == 1 else got
        raise DataError(f"{path}: {one} {bad[0] + 1:,} must be finite, got {words}")


def _samples(path: Path) -> tuple[np.ndarray, float]:
    try:
        optional("soundfile", "audio", f"reading {path}")
    except MissingPackage as error:
        missing = error
    else:
        return read_recording(path)
    check_riff(path)
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2:
                raise missing
            content = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            samples = content.reshape(-1, file.getnchannels()).astype(np.float32) / 32768
            return samples, float(file.getframerate())
    except (wave.Error, EOFError, OSError, RuntimeError) as error:
        reason = str(error) or "its header is damaged"
        raise DataError(f"{path} is not a readable recording ({reason})") from error


def _resampled(samples: np.ndarray, own: float, due: float, path: Path) -> np.ndarray:
    rates = f"{path} has {own:g} samples a second, the network was trained on {due:g}; resampling"
    return optional("soxr", "audio", rates).resample(samples, own, due)


def _framed(samples: np.ndarray, channels: int) -> np.ndarray:
    """Samples (N, C) as steps: as many together as make the channels of the network."""
    frame = channels // samples.shape[1]
    filled = np.pad(samples, ((0, -len(samples) % frame), (0, 0)))
    return filled.reshape(-1, channels)


def _npy(path: Path, channels: int, frame: int) -> np.ndarray:
    """Steps (T, channels), or samples, of which ``frame`` make a step."""
    try:
        x = np.load(path, allow_pickle=False)
        if not isinstance(x, np.ndarray) or x.dtype.kind not in "fiub":
            raise ValueError(f"it holds {getattr(x, 'dtype', 'several arrays')}")
    except Exception as error:  # whatever NumPy meets in a damaged header
        words = " ".join(str(error).split())
        raise DataError(f"{path} is not a readable NPY file of numbers: {words}") from error
    sample = channels // frame
    x = x[:, None] if x.ndim == 1 and sample == 1 else x
    if x.ndim != 2 or x.shape[1] not in (channels, sample):
        samples = f", or samples (N, {sample})" if frame > 1 else ""
        raise DataError(f"{path} must have shape (T, {channels}){samples}, got {x.shape}")
    return _narrow(x)


def _narrow(x: Any) -> np.ndarray:
    """Numbers in float32; those too large for it become infinite, and are refused as that."""
    with np.errstate(over="ignore"):
        return np.asarray(x, np.float32)


def _csv_lines(lines: BinaryIO, channels: int, where: str, facts: Facts) -> Iterator[np.ndarray]:
    """A row for each line of numbers, those of a step or of a sample; a first line of words alone
    is a header."""
    sample, due = channels // facts.frame, 0
    for number, line in enumerate(lines, 1):
        # A byte order mark would make words of the first numbers.
        text = line.decode("utf-8-sig" if number == 1 else "utf-8", "replace").strip()
        if not text:
            continue
        fields = text.replace(";", ",").split(",")
        try:
            row = _narrow([float(field) for field in fields])
        except ValueError:
            if number == 1 and not any(map(is_number, fields)):
                names = facts.channels
                if names is not None and facts.frame > 1 and len(fields) == sample:
                    names = tuple(name.removesuffix(" 0") for name in names[:sample])
                _check_order([field.strip(' "') for field in fields], names, where)
                continue
            raise DataError(f"{where}, line {number}: not numbers: {text[:60]!r}") from None
        due = due or (sample if len(row) == sample else channels)
        if len(row) != due:
            raise DataError(
                f"{where}, line {number}: {len(row)} numbers, expected {due}, the channels of "
                + ("a sample" if due < channels else "the network")
            )
        yield row


def _steps(rows: Iterator[np.ndarray], channels: int) -> Iterator[np.ndarray]:
    """Rows of samples as the steps that they make, the last one filled up with zeros."""
    held: list[np.ndarray] = []
    for row in rows:
        held.append(row)
        if sum(map(len, held)) == channels:
            yield np.concatenate(held)
            held = []
    if held:
        last = np.concatenate(held)
        yield np.pad(last, (0, channels - len(last)))


def _check_order(header: list[str], names: tuple[str, ...] | None, where: str) -> None:
    """Refuse a time, and the network's channels in another order; other names say nothing."""
    times = [n for n in header if n.lower() in TIMES and n not in (names or ())]
    if times:
        raise DataError(
            f"{where}: the column {times[0]} is no channel of the network; leave it out"
        )
    if names is not None and header != [*names] and sorted(header) == sorted(names):
        raise DataError(
            f"{where}: the columns are {', '.join(header)}, expected {', '.join(names)}, the "
            "channels of the network in their order"
        )


def _raw(file: BinaryIO, channels: int) -> Iterator[np.ndarray]:
    """Rows of little-endian float32."""
    size = 4 * channels
    while len(content := file.read(size)) == size:
        yield np.frombuffer(content, "<f4")
    if content:
        raise DataError(
            f"standard input ends within a step: {len(content)} of {size} bytes, float32 of "
            f"{channels} channels"
        )


def _gathered(rows: Iterator[np.ndarray], chunk: int) -> Iterator[Tensor]:
    held: list[np.ndarray] = []
    for row in rows:
        held.append(row)
        if len(held) == chunk:
            yield torch.from_numpy(np.stack(held))
            held = []
    if held:
        yield torch.from_numpy(np.stack(held))
