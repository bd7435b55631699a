"""What is kept of a run for others to see: its figures, how they came about, and its curves."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TypeAlias

import numpy as np

from spikescan.errors import UsageError
from spikescan.report import LOSS, History, read_history
from spikescan.train.environment import TRAINED_BY, TRAINING
from spikescan.train.folder import RunFolder
from spikescan.train.whole import whole

Kept: TypeAlias = "dict[str, Any]"
"""As stored: see :func:`kept`."""

ELSEWHERE = ("--runs", "--name", "--progress", "--data.root", "--data.workers")
"""Options that say where a run was and how it was watched, which is nobody else's business."""
_MACHINE = ("processor", "threads", "CPU kernels", "devices")
_VERSIONS = ("python", "spikescan", "torch", "lightning", "numpy", "commit")
_POINTS = 100
"""Epochs of a curve that are kept at most."""


def kept(run: RunFolder, *, command: str | None = None) -> Kept:
    """What is kept of a run that came to its end.

    Returns:
        ``command`` (with seed, without paths), ``date``, ``seed``, ``title``, ``causal``,
        ``precision``, ``data`` (class and options), ``machine``, ``versions``, ``budget`` (epochs
        run and planned, seconds) and ``results``, those of ``results.json``.

    Raises:
        UsageError: a file is missing or damaged, or the run was resumed and does not tell the
            command that it began with.
    """
    run.require(run.config, run.results, run.environment)
    config = portable(run.read_config())
    results, here = _read(run.results), _read(run.environment)
    try:
        words = shlex.split(command or here.get(TRAINED_BY, here["command"]))
        if "--resume" in words or not shlex.join(words).startswith(TRAINING):
            raise UsageError(
                f"{run.path} does not tell the command that it began with, only "
                f"{shlex.join(words)!r}; give it as --command"
            )
        when = datetime.fromtimestamp(run.results.stat().st_mtime, timezone.utc)
        data = config["data"]
        return {
            "title": config.get("title") or run.path.name,
            "command": shlex.join(without_places(words)),
            "date": when.date().isoformat(),
            "seed": config["seed"],
            "causal": results.pop("causal") if "causal" in results else _causal(run),
            "precision": config["trainer"].get("precision") or "32-true",
            "data": {"class": data["class_path"], **data.get("init_args", {})},
            "machine": {name: here[name] for name in _MACHINE if name in here},
            "versions": {name: here[name] for name in _VERSIONS if name in here},
            "budget": {
                "epochs": _epochs(run),
                "planned": config["trainer"].get("max_epochs"),
                "seconds": results.pop("training_seconds"),
            },
            "results": results,
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{run.path} cannot be kept ({type(error).__name__}: {error}); "
            f"`spikescan test {run.path}` writes its results again"
        ) from error


def write_kept(told: Kept, run: RunFolder, path: Path) -> None:
    """Write what is kept of a run, and its curves beside it as CSV."""
    with whole(path) as part:
        text = json.dumps(_rounded(told), indent=1, ensure_ascii=False)
        part.write_text(text + "\n", encoding="utf-8")
    rows = curves(run, told["results"]["headline"]["name"])
    if len(rows) > 1:
        with (
            whole(path.with_suffix(".csv")) as part,
            part.open("w", newline="", encoding="utf-8") as file,
        ):
            csv.writer(file, lineterminator="\n").writerows(rows)


def read_kept(places: Sequence[Path]) -> list[tuple[str, Kept]]:
    """What is kept in files, and in folders of such files or of runs, by name.

    The curves beside them, as ``results/*`` names them too, are passed over.

    Raises:
        UsageError: there is nothing, or a file is damaged or something else.
    """
    found: list[tuple[str, Kept]] = []
    for place in places:
        if place.is_file():
            if place.suffix == ".csv" and place.with_suffix(".json").is_file():
                continue
            if "budget" not in (told := _read(place)):
                raise UsageError(f"{place} is no result that `spikescan results add` has kept")
            found.append((place.stem, told))
            continue
        runs = [RunFolder(file.parent) for file in sorted(place.rglob("results.json"))]
        runs = [run for run in runs if run.config.is_file()]
        found += [(run.path.name, kept(run)) for run in runs]
        inside = {run.path for run in runs}
        for file in sorted(place.rglob("*.json")):
            if file.parent not in inside and "budget" in (told := _read(file)):
                found.append((file.stem, told))
    if not found:
        raise UsageError(f"there is no result in {', '.join(map(str, places))}")
    return found


def curves(run: RunFolder, headline: str) -> list[list[str]]:
    """Loss and headline of training and validation, a row an epoch, some of them of a long run."""
    history = _history(run)
    series = {
        f"{phase}/{name}": dict(zip(*history[name][phase], strict=True))
        for name in dict.fromkeys((LOSS.name, headline))
        for phase in ("train", "val")
        if phase in history.get(name, {})
    }
    epochs = sorted({int(epoch) for values in series.values() for epoch in values})
    if len(epochs) > _POINTS:
        places = np.linspace(0, len(epochs) - 1, _POINTS).round().astype(int)
        epochs = [epochs[i] for i in places]
    rows = [["epoch", *series]]
    for epoch in epochs:
        cells = (values.get(epoch) for values in series.values())
        rows.append([str(epoch), *("" if v is None else f"{v:.5g}" for v in cells)])
    return rows


def without_places(words: Sequence[str]) -> list[str]:
    """A command line without the options of :data:`ELSEWHERE`, and without folders of this machine:
    of an absolute path the last part stays."""
    left: list[str] = []
    given = iter(words)
    for word in given:
        option, equals, value = word.partition("=")
        if option in ELSEWHERE:
            if not equals:
                next(given, None)
        elif option.startswith("--") and equals:
            left.append(f"{option}={_last_part(value)}")
        else:
            left.append(_last_part(word))
    return left


def portable(config: dict[str, Any]) -> dict[str, Any]:
    """A run's configuration without where it was, and without folders of this machine."""
    left = {k: v for k, v in config.items() if k not in ("runs", "name", "progress")}
    return _each(left, lambda value: _last_part(value) if isinstance(value, str) else value)


def _last_part(word: str) -> str:
    windows = PureWindowsPath(word)
    if windows.drive and windows.is_absolute():
        return windows.name
    path = PurePosixPath(word)
    return path.name if path.is_absolute() or word.startswith("~/") else word


def _rounded(told: Kept) -> Kept:
    return _each(told, lambda v: float(f"{v:.6g}") if isinstance(v, float) else v)


def _each(value: Any, change: Any) -> Any:
    match value:
        case dict():
            return {key: _each(inner, change) for key, inner in value.items()}
        case list() | tuple():
            return [_each(inner, change) for inner in value]
        case _:
            return change(value)


def _read(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is damaged: {error}") from error
    if not isinstance(told, dict):
        raise UsageError(f"{path} is damaged: it holds no object")
    return told


def _history(run: RunFolder) -> History:
    return read_history(run.metrics) if run.metrics.is_file() else {}


def _epochs(run: RunFolder) -> int | None:
    history = _history(run)
    last = [int(epochs.max()) for phases in history.values() for epochs, _ in phases.values()]
    return max(last, default=None)


def _causal(run: RunFolder) -> bool:
    from spikescan.train.trained import load

    return load(run.path).model.causal
