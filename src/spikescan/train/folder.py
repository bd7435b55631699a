"""The folder of a run: where its pieces lie, and who may write there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from spikescan.errors import UsageError


@dataclass(frozen=True)
class RunFolder:
    """Where the pieces of a run lie."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def best(self) -> Path:
        return self.path / "checkpoints" / "best.ckpt"

    @property
    def last(self) -> Path:
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def start(self) -> Path:
        return self.path / "checkpoints" / "start.ckpt"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.csv"

    @property
    def splits(self) -> Path:
        return self.path / "splits.csv"

    @property
    def results(self) -> Path:
        return self.path / "results.json"

    @property
    def environment(self) -> Path:
        return self.path / "environment.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def lock(self) -> Path:
        return self.path / ".lock"

    def require(self, *files: Path) -> None:
        """Raise a `UsageError` naming the first of these files that is missing or no YAML."""
        for file in files:
            if not file.is_file():
                if file == self.best and self.config.is_file() and not self.last.is_file():
                    raise UsageError(
                        f"no epoch of {self.path} has ended, so it holds no trained network; go on "
                        f"with: spikescan train --resume {self.path}"
                    )
                if file == self.results and self.config.is_file():
                    raise UsageError(
                        f"the training of {self.path} has not come to its end; go on with: "
                        f"spikescan train --resume {self.path}"
                    )
                raise UsageError(f"{self.path} is not a run with {file.name}: no file {file}")
        if self.config in files:
            self.read_config()

    def read_config(self) -> Any:
        """The run's configuration.

        Raises:
            UsageError: the file is damaged.
        """
        try:
            return yaml.safe_load(self.config.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UsageError(f"{self.config} is damaged: {error}") from error

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the folder to this process; the system gives it free however the process ends.

        Raises:
            UsageError: another process holds it, or the folder cannot be written.
        """
        lock = FileLock(self.lock)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UsageError(
                f"{self.path} is in use by another process; wait for it or end it first"
            ) from None
        except OSError as error:
            raise UsageError(f"cannot write to {self.path}: {error.strerror or error}") from error
        try:
            yield
        finally:
            lock.release()

    def discard(self) -> None:
        """Remove a run that has not come to a checkpoint; other files, and so the folder, stay."""
        kept = (self.config, self.environment, self.metrics, self.splits, self.start, self.lock)
        for file in kept:
            file.unlink(missing_ok=True)
        for folder in (self.last.parent, self.path):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


@dataclass(frozen=True)
class NewRun:
    """A run that is to begin.

    Args:
        runs: folder of all runs.
        recipe: name of what is trained.
        name: name of the run's folder; made of the recipe and the time where it is not given.
    """

    runs: Path
    recipe: str
    name: str | None = None

    def make(self) -> RunFolder:
        """Make the folder, which no other run has.

        Raises:
            UsageError: there is such a folder, it cannot be made, or the name is not one of a
                folder below ``runs``.
        """
        if self.name is not None:
            folder = RunFolder(self.runs / _one_name(self.name))
            _mkdir(folder.path, exist_ok=True)
            # What a process leaves that is killed before training begins holds no more than these.
            if {*folder.path.iterdir()} - {folder.lock, folder.splits}:
                raise UsageError(
                    f"{folder.path} exists already; choose another --name, or --resume it"
                )
            folder.splits.unlink(missing_ok=True)
            return folder
        stamp = _one_name(f"{self.recipe}-{time.strftime('%Y%m%d-%H%M%S')}")
        name, count = stamp, 1
        while True:
            try:
                _mkdir(self.runs / name)
            except FileExistsError:
                count += 1
                name = f"{stamp}-{count}"
            else:
                return RunFolder(self.runs / name)


def _one_name(name: str) -> str:
    if name in ("", ".", "..") or any(c in "/\\" or not c.isprintable() for c in name):
        raise UsageError(f"--name must be the name of one folder, got {name!r}")
    return name


def _mkdir(path: Path, exist_ok: bool = False) -> None:
    try:
        path.mkdir(parents=True, exist_ok=exist_ok)
    except FileExistsError:
        if not exist_ok and path.is_dir():
            raise
        raise UsageError(f"cannot make the folder {path}: a file is in its place") from None
    except OSError as error:
        raise UsageError(f"cannot make the folder {path}: {error.strerror}") from error
