"""What is said of a training that did not come to its end, and what stays of it."""

from __future__ import annotations

from spikescan.errors import Stopped, UsageError
from spikescan.train.folder import RunFolder
from spikescan.train.interrupt import Signals
from spikescan.train.options import said_by_lightning


def told(
    error: BaseException, folder: RunFolder, *, new: bool, first: bool, signals: Signals
) -> BaseException:
    """What to raise for an error during training; a new run that has no checkpoint is removed.

    Args:
        error: what ended training.
        folder: of the run.
        new: whether the run began with this training.
        first: whether this is the first process, which alone speaks and removes.
        signals: who knows what interrupted training.
    """
    # Lightning answers an interrupt by leaving the process.
    interrupted = isinstance(error, KeyboardInterrupt | SystemExit)
    if not first:
        if interrupted:
            return SystemExit(signals.status)
        # All processes raise these together, and the first one says them.
        return SystemExit(1) if isinstance(error, Stopped | UsageError) else error
    if interrupted:
        if folder.config.is_file():
            return signals.stopped(f"; go on with: spikescan train --resume {folder.path}")
        folder.discard()
        return signals.stopped()
    kept = folder.last.is_file() or folder.best.is_file()
    if new and not kept:
        folder.discard()
    if isinstance(error, Stopped) and kept:
        return Stopped(f"{error}; the checkpoints before it stay in {folder.last.parent}")
    if isinstance(error, Exception) and said_by_lightning(error):
        return UsageError(f"trainer: {error}")
    return error
