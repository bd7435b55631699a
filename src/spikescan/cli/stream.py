"""``spikescan stream``."""

from __future__ import annotations

import json as json_
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from spikescan.data.root import DataError
from spikescan.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from spikescan.data import SequenceData
    from spikescan.stream import Program, Stream
    from spikescan.tasks import Task


def stream(
    run: str,
    input: str,
    *,
    chunk: int = 1,
    steady: int = 50,
    scale: str | None = None,
    format: Literal["csv", "raw"] = "csv",
    rate: float | None = None,
    realtime: bool = False,
    evaluation: Literal["sample", "mean"] | None = None,
    quantize: Literal["int8"] | None = None,
    json: bool = False,
) -> int:
    """Run a trained network step by step on a file or on what comes, and tell what it says when.

    At the end: steps a second, the latency of a step, how many times faster than real time, and the
    firing rate.

    Args:
        run: Folder of a run, or one of its checkpoint files.
        input: A WAV, CSV or NPY file, one of the kind that the run was trained on, or - for
            standard input.
        chunk: Steps that are read at once; 1 is the least latency.
        steady: Steps that a new answer must last before it is told.
        scale: What the input is scaled by: whole, a file's own mean and standard deviation;
            MEAN,STD, such as --scale=0.1,2.5, which anything live can be too (samples of a WAV
            file are from -1 to 1); or none. By default whole for a WAV file and none for the rest.
            A network that scales its input itself takes it as it is; input for one that learned
            from scaled numbers is refused until this is said.
        format: What standard input holds, lines of numbers or float32.
        rate: Steps a second, where the input does not say so.
        realtime: Read no faster than the steps would come.
        evaluation: What neurons that fire at random do; by default what the run says.
        quantize: Round weights to 8-bit integers, fitted to the run's validation data.
        json: Print one JSON object at the end, and nothing before.
    """
    import torch

    from spikescan.cli.feed import open_feed, read_scale
    from spikescan.cli.run import quiet
    from spikescan.stream import CannotFold, Stream, fold
    from spikescan.train.trained import load_with_data

    quiet()
    for name, value in (("chunk", chunk), ("steady", steady)):
        if value < 1:
            raise UsageError(f"--{name} must be at least 1, got {value}")
    task, data = load_with_data(run)
    _require_plain(task)
    try:
        program = fold(task.model, evaluation=evaluation)
    except CannotFold as error:
        raise UsageError(str(error)) from error
    if program.vocabulary is not None:
        raise UsageError("spikescan stream reads numbers, and this network reads tokens")
    if quantize:
        program = quantized(program, some_sequences(data))
    feed = open_feed(
        input,
        data,
        program.inputs,
        chunk=chunk,
        scale=read_scale(scale) if scale is not None else "none" if task.model.scale else None,
        form=format,
        rate=rate,
    )
    if realtime and feed.rate is None:
        raise UsageError("--realtime needs --rate, as the input does not say it")
    torch.set_num_threads(1)
    runner = Stream(program)
    listener = Listener(task, steady, None if json else feed.rate, quiet=json)
    began = time.perf_counter()
    for x in feed.chunks:
        if realtime and feed.rate is not None:
            due = began + (listener.steps + len(x)) / feed.rate
            time.sleep(max(0.0, due - time.perf_counter()))
        before = time.perf_counter()
        try:
            out = runner.push(x)
        except ValueError:
            _require_finite(x, listener.steps, input)
            raise
        listener.hear(out)
        listener.took(len(x), time.perf_counter() - before)
    figures = listener.figures(feed.rate) | {"firing_rate": firing_rate(runner)}
    if json:
        print(json_.dumps({**figures, "answers": listener.told}, indent=2))
    else:
        _tell(figures)
    return 0


@dataclass
class Listener:
    """Keeps what the network says, and how long it took."""

    task: Task
    steady: int
    rate: float | None
    quiet: bool
    steps: int = 0
    told: list[dict[str, Any]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    _seconds: float = 0.0
    _answer: int | None = None
    _since: int = 0
    _last: Tensor | None = None

    def hear(self, out: Tensor) -> None:
        """The outputs (T, outputs) of some steps.

        Raises:
            DataError: one is not finite.
        """
        # Plain numbers: on a row of a few, torch takes longer than the network.
        for i, row in enumerate(out.tolist()):
            largest = max(row)
            if not (math.isfinite(largest) and math.isfinite(sum(row))):
                raise DataError(
                    f"the network's output is not finite at step {self.steps + 1:,}: the input is "
                    "far from what it was trained on"
                )
            self.steps += 1
            answer = row.index(largest)
            if answer != self._answer:
                self._answer, self._since = answer, self.steps
            if self.steps - self._since + 1 == self.steady:
                self._say(out[i])
        if len(out):
            self._last = out[-1]

    def took(self, steps: int, seconds: float) -> None:
        """The time from having some steps' input to having told what they say."""
        self._seconds += seconds
        if len(self.seconds) < 1_000_000:
            self.seconds.append(seconds / max(1, steps))

    def _say(self, row: Tensor) -> None:
        (words,) = self.task.predictions(row.unsqueeze(0))
        if self.told and self.told[-1]["class"] == self._answer:
            return
        self.told.append({"step": self.steps, "class": self._answer, "answer": words})
        if not self.quiet:
            at = "" if self.rate is None else f" ({self.steps / self.rate:.3f} s)"
            print(f"step {self.steps:,}{at}: {words}", flush=True)

    def figures(self, rate: float | None) -> dict[str, Any]:
        """What was measured.

        Raises:
            UsageError: there was no step.
        """
        if self._last is None:
            raise UsageError("the input holds no step")
        import numpy as np

        p50, p99 = np.percentile(np.array(self.seconds), (50, 99))
        speed = self.steps / self._seconds
        return {
            "steps": self.steps,
            "answer": self.task.predictions(self._last.unsqueeze(0))[0],
            "steps_per_second": speed,
            "latency_p50_s": float(p50),
            "latency_p99_s": float(p99),
            "times_real_time": None if rate is None else speed / rate,
        }


def firing_rate(runner: Stream) -> float | None:
    """Share of the sources of all synapses that fired, over all steps."""
    counts = runner.counts()
    sources = {r.name: r.weight.shape[1] for r in runner.program if r.name in counts}  # type: ignore[attr-defined]
    possible = int(runner.clock.sum()) * sum(sources.values())
    return sum(int(c.fired.sum()) for c in counts.values()) / possible if possible else None


def _require_plain(task: Task) -> None:
    """Refuse a task whose answers need more than the network, or that names no class."""
    from spikescan.tasks.classification import Classification

    if not isinstance(task, Classification) or task.compare is not None:
        raise UsageError(
            "spikescan stream tells classes of single sequences, and this is a run of "
            f"{type(task).__name__}; spikescan predict answers from files, say goes on with a "
            "text, test plays episodes, and spikescan.Stream gives a network's outputs step by step"
        )


def _require_finite(x: Tensor, steps: int, name: str) -> None:
    bad = (~x.isfinite()).any(1).nonzero()
    if len(bad):
        at = int(bad[0])
        raise DataError(f"{name}: step {steps + at + 1:,} must be finite, got {x[at].tolist()}")


def quantized(program: Program, calibration: Tensor) -> Program:
    """The program with weights of 8 bits.

    Raises:
        UsageError: it has none.
    """
    try:
        return program.quantize(calibration)
    except ValueError as error:
        raise UsageError(f"--quantize int8: {error}") from error


def some_sequences(data: SequenceData) -> Tensor:
    """Some sequences of the validation data."""
    data.prepare_data()
    data.setup("validate")
    return next(iter(data.val_dataloader())).x


def _tell(figures: dict[str, Any]) -> None:
    rows: Sequence[tuple[str, str]] = (
        ("at the end", figures["answer"]),
        ("steps", f"{figures['steps']:,}"),
        ("steps a second", f"{figures['steps_per_second']:,.0f}"),
        (
            "latency of a step",
            f"median {1e6 * figures['latency_p50_s']:.1f} µs, 99th percentile "
            f"{1e6 * figures['latency_p99_s']:.1f} µs",
        ),
    )
    for name, text in rows:
        print(f"{name:<18} {text}")
    if figures["times_real_time"] is not None:
        print(f"{'real time':<18} {figures['times_real_time']:,.1f} times as fast")
    if figures["firing_rate"] is not None:
        print(f"{'firing rate':<18} {100 * figures['firing_rate']:.1f} %")
