"""``spikescan lengths``."""

from __future__ import annotations

import json as json_
from pathlib import Path
from typing import TYPE_CHECKING

from spikescan.errors import UsageError

if TYPE_CHECKING:
    from spikescan.train.lengths import Lengths


def lengths(
    run: str,
    *,
    steps: list[int] = [1024, 2048, 4096, 8192, 16384, 32768],  # noqa: B006
    json: Path | None = None,
    figure: Path | None = None,
) -> int:
    """How well a language model does on longer texts than those of its training.

    The test text is read in stretches of each length, each from rest; all lengths read the same
    tokens. A network that extrapolates is as good on the longest as at its own length.

    Args:
        run: Folder of a run, or a packed network.
        steps: Lengths of the stretches, which divide the largest.
        json: File to write the figures to.
        figure: Picture to write, such as lengths.svg.
    """
    from spikescan.cli.run import quiet
    from spikescan.train.lengths import by_length
    from spikescan.train.tables import markdown

    quiet()
    found = by_length(run, steps)
    rows = [("steps of a stretch", found.unit, "in its last eighth")]
    rows += [(f"{p.length:,}", f"{p.value:.4f}", f"{p.last_eighth:.4f}") for p in found.points]
    print(f"{found.tokens:,} tokens; trained on stretches of {found.trained_length:,}")
    print(markdown(rows))
    try:
        if json is not None:
            json.parent.mkdir(parents=True, exist_ok=True)
            json.write_text(json_.dumps(found.to_dict(), indent=1) + "\n", encoding="utf-8")
        if figure is not None:
            figure.parent.mkdir(parents=True, exist_ok=True)
            _draw(found, figure)
    except OSError as error:
        raise UsageError(f"cannot write {error.filename}: {error.strerror}") from error
    return 0


def _draw(found: Lengths, path: Path) -> None:
    import numpy as np

    from spikescan.tasks.language import loss_by_position

    sizes = np.array([point.length for point in found.points])
    values = np.array([point.value for point in found.points])
    drawn = loss_by_position(sizes, values, found.trained_length, found.unit)
    drawn.axes[0].set_xlabel("steps of a stretch")
    try:
        drawn.savefig(path)
    except ValueError as error:
        raise UsageError(f"cannot write {path}: {error}") from error
