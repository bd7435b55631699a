"""Ctrl-C and SIGTERM end a run in good order, both in the same way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from spikescan.errors import Stopped


class Signals(Callback):
    """Let SIGTERM end training as Ctrl-C does: at once, with all processes of the run.

    As a callback it takes the signal back from Lightning, whose handler waits for the other
    processes of a run within the handler and so for a minute where they wait for this one; and it
    raises at the next batch an interrupt that was lost, as one within a destructor is.
    """

    def __init__(self) -> None:
        self.status = 130
        """Exit status after an interrupt: 128 and the number of the signal that caused it."""
        self._interrupted = False

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Raise KeyboardInterrupt at SIGTERM and SIGINT in this block, in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        self._take()
        signal.signal(signal.SIGINT, self._interrupt)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def stopped(self, and_then: str = "") -> Stopped:
        """What to raise after an interrupt."""
        word = "terminated" if self.status == 128 + signal.SIGTERM else "interrupted"
        return Stopped(word + and_then, self.status)

    def on_sanity_check_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        self._take()

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        self._take()

    def on_train_batch_start(self, *_: Any, **__: Any) -> None:
        self._raise_again()

    def on_validation_batch_start(self, *_: Any, **__: Any) -> None:
        self._raise_again()

    def on_test_batch_start(self, *_: Any, **__: Any) -> None:
        self._raise_again()

    def _raise_again(self) -> None:
        if self._interrupted:
            raise KeyboardInterrupt

    def _take(self) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._interrupt)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if not self._interrupted:
            self._interrupted, self.status = True, 128 + number
        raise KeyboardInterrupt
