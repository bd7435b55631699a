"""Small files of a person's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def tone(path: Path, frequency: float, *, seconds: float = 0.1, rate: int = 8000, **more) -> Path:  # type: ignore[no-untyped-def]
    """Write a sine of this frequency, Hz, with a little noise; ``more`` is soundfile's."""
    import soundfile

    channels = more.pop("channels", 1)
    rng = np.random.default_rng(len(path.name) + round(frequency))
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
