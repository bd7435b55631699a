"""Small files of a person's own."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np


def tone(path: Path, frequency: float, *, seconds: float = 0.1, rate: int = 8000, **more) -> Path:  # type: ignore[no-untyped-def]
    """Write a sine of this frequency, Hz, with a little noise; ``more`` is soundfile's."""
    import soundfile

    channels = more.pop("channels", 1)
    rng = np.random.default_rng(zlib.crc32(path.name.encode()) + round(frequency))
    t = np.arange(round(seconds * rate))[:, None] / rate
    wave = 0.5 * np.sin(2 * np.pi * frequency * t + rng.random()) + 0.01 * rng.standard_normal(
        (len(t), channels)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate, **more)
    return path


def tones(folder: Path, count: int = 8, **more) -> Path:  # type: ignore[no-untyped-def]
    """Two classes of recordings, by two speakers and more."""
    for name, frequency in (("low", 200.0), ("high", 900.0)):
        for i in range(count):
            seconds = 0.1 + 0.01 * (i % 3)
            tone(folder / name / f"{'abcd'[i % 4]}_{i}.wav", frequency, seconds=seconds, **more)
    return folder


def waves(count: int = 12, channels: int = 2, seed: int = 0) -> list[tuple[str, np.ndarray]]:
    """Sequences of two classes, slow and fast sines of 20 to 29 steps, far from zero."""
    rng = np.random.default_rng(seed)
    out: list[tuple[str, np.ndarray]] = []
    for i in range(count):
        steps = 20 + i % 10
        speed = (0.2, 1.2)[i % 2]
        x = np.sin(speed * np.arange(steps)[:, None] + rng.random(channels))
        out.append((("slow", "fast")[i % 2], 100 + 7 * x + 0.1 * rng.standard_normal(x.shape)))
    return out


def csv_folders(folder: Path, count: int = 12) -> Path:
    """A CSV file for each sequence, with times at 50 Hz, in class folders."""
    for i, (label, x) in enumerate(waves(count)):
        path = folder / label / f"{'abc'[i // 2 % 3]}_{i}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"{t / 50:.2f},{a:.4f},{b:.4f}" for t, (a, b) in enumerate(x)]
        path.write_text("\n".join(["time,ax,ay", *lines, ""]))
    return folder


def csv_long(path: Path, count: int = 12) -> Path:
    """All sequences below each other."""
    lines = ["id,time,ax,ay,label,subject"]
    for i, (label, x) in enumerate(waves(count)):
        lines += [
            f"r{i},{t / 50:.2f},{a:.4f},{b:.4f},{label},{'abcd'[i // 2 % 4]}"
            for t, (a, b) in enumerate(x)
        ]
    path.write_text("\n".join([*lines, ""]))
    return path


def npz(path: Path, count: int = 12, **more: np.ndarray) -> Path:
    """Padded sequences with their lengths."""
    sequences = waves(count)
    x = np.zeros((count, 29, 2), np.float32)
    for row, (_, values) in zip(x, sequences, strict=True):
        row[: len(values)] = values
    arrays = {
        "x": x,
        "y": np.array([label for label, _ in sequences]),
        "lengths": np.array([len(values) for _, values in sequences]),
        "channels": np.array(["ax", "ay"]),
        **more,
    }
    np.savez(path, **arrays)
    return path


def ts(path: Path, count: int = 12, *, head: str = "", seed: int = 0) -> Path:
    """A multivariate file of series of unequal length."""
    lines = [
        "# A comment.", "@problemName Waves", "@timeStamps false", "@missing false",
        "@univariate false", "@dimensions 2", "@equalLength false",
        "@classLabel true slow fast", *head.splitlines(), "@data",
    ]  # fmt: skip
    for label, x in waves(count, seed=seed):
        lines.append(":".join([",".join(f"{v:.4f}" for v in c) for c in x.T] + [label]))
    path.write_text("\n".join([*lines, ""]))
    return path


def texts(folder: Path, count: int = 12) -> Path:
    """Short texts of two classes."""
    for i in range(count):
        label = ("good", "bad")[i % 2]
        path = folder / label / f"{i}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"Number {i} was {('lovely', 'awful')[i % 2]}" + "!" * (i % 5))
    return folder


def series(path: Path, rows: int = 240) -> Path:
    """Two hourly columns with a day's season."""
    rng = np.random.default_rng(0)
    lines = ["date,load,heat"]
    for t in range(rows):
        a, b = np.sin(2 * np.pi * t / 24 + np.array([0, 1])) + 0.1 * rng.standard_normal(2)
        lines.append(f"2020-01-{1 + t // 24:02d} {t % 24:02d}:00:00,{a:.4f},{500 + 10 * b:.4f}")
    path.write_text("\n".join([*lines, ""]))
    return path
