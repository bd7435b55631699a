"""Train a network to name the next token of a text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.classification import MulticlassAccuracy
from torchmetrics.text import Perplexity

from spikescan.data import Facts, NextToken, SequenceBatch
from spikescan.errors import UsageError
from spikescan.models import Backbone, Network, StepHead, detach_state
from spikescan.report import Passage, Quantity, Section
from spikescan.report.style import BLUE, MUTED, WIDE, headline, styled
from spikescan.tasks.base import Phase, Task
from spikescan.tasks.firing import Firing
from spikescan.tasks.optimizer import Optimizer

IGNORED = -100
"""Target of a step that does not count: torch's own word for it."""

_BINS = 4
"""Points of the loss by position for each doubling of the position."""

Array = NDArray[Any]


class _Bits(Perplexity):
    """Bits a token: the logarithm of the perplexity."""

    def compute(self) -> Tensor:
        return super().compute().log2()


class _Accuracy(MulticlassAccuracy):
    """Share of tokens that are the likeliest ones of logits (B, T, V)."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        super().update(preds.argmax(-1), target)


class Language(Task):
    r"""Name the next token at every step: cross-entropy of logits (B, T, V).

    .. math:: L = -\frac{1}{N} \sum_t \log p(x_{t+1} \mid x_1 \ldots x_t)

    Where the data say that batches go on from each other, so does the network's state, without its
    graph: backpropagation is truncated to one batch, and what is remembered is not. Each epoch, and
    each validation and test, starts at rest.

    The headline is the perplexity, exp(L), of words, and the bits for each token, L / ln 2, of
    characters and bytes.

    Args:
        backbone: body of the network, which must be causal; the head reads every step.
        facts: what is known of the data; its target is the next token.
        optimizer: how the loss is lowered.
        firing: how much the network may fire.

    Raises:
        ValueError: the data have another target than the next token, or the backbone reads the
            future.
    """

    each_step = True
    trained_length: Tensor

    def __init__(
        self,
        backbone: Backbone,
        facts: Facts,
        *,
        optimizer: Optimizer = Optimizer(clip=1.0),
        firing: Firing = Firing(),
    ) -> None:
        if not isinstance(facts.target, NextToken):
            raise ValueError(f"Language needs data whose target is NextToken, got {facts.target}")
        if not backbone.causal:
            raise ValueError("Language needs a causal backbone: this one reads the token it names")
        self.target = facts.target
        tokens = len(self.target.names)
        words = self.target.unit == "word"
        self.quantities = (
            Quantity("perplexity" if words else f"bits_per_{self.target.unit}"),
            Quantity("accuracy", "higher", percent=True),
        )
        surprise = Perplexity if words else _Bits
        super().__init__(
            Network(backbone, StepHead(backbone.features, tokens)),
            {
                self.quantities[0].name: surprise(ignore_index=IGNORED),
                "accuracy": _Accuracy(tokens, average="micro", ignore_index=IGNORED),
            },
            optimizer=optimizer,
            firing=firing,
        )
        # Kept in checkpoints: a test may be of longer stretches.
        self.register_buffer("trained_length", torch.tensor(facts.length))
        self._states: dict[Phase, Any] = {}

    def answer(self, batch: SequenceBatch, phase: Phase) -> Tensor:
        """Logits (B, T, V), from the state in which the batch before left the network."""
        if not self.target.carried:
            return self(batch.x, batch.lengths)
        out, state = self.model(batch.x, self._states.get(phase), batch.lengths)
        self._states[phase] = detach_state(state)
        return out

    def setup(self, stage: str) -> None:
        """Refuse several processes, among which the rows of a batch would be dealt anew."""
        super().setup(stage)
        if self.target.carried and self.trainer.world_size > 1:
            raise UsageError(
                "a state is carried from batch to batch in one process alone; give "
                "trainer.devices=1 or data.carried=false"
            )

    def on_train_epoch_start(self) -> None:
        self._states.pop("train", None)

    def on_validation_epoch_start(self) -> None:
        self._states.pop("val", None)

    def measured(self, out: Tensor, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
        """Logits and tokens, those of the padding marked."""
        return out, _marked(batch)

    def loss(self, out: Tensor, batch: SequenceBatch) -> Tensor:
        """Cross-entropy, the mean over all tokens that count."""
        return F.cross_entropy(out.flatten(0, 1), _marked(batch).flatten(), ignore_index=IGNORED)

    def predictions(self, out: Tensor) -> list[str]:
        """The token that is likeliest to follow the last step, and its probability."""
        probability, token = out[:, -1].softmax(-1).max(-1)
        return [
            f"next {self.target.names[k]!r} ({100 * p:.1f} %)"
            for p, k in zip(probability.tolist(), token.tolist(), strict=True)
        ]

    def verdicts(self, out: Tensor, batch: SequenceBatch) -> list[str]:
        """How surprising the tokens were."""
        bits = _surprise(out, batch).sum(1) / math.log(2)
        counts = batch.valid().sum(1).tolist()
        return [
            f"{b / max(1, n):.2f} bits per {self.target.unit} over {n:,} steps"
            for b, n in zip(bits.tolist(), counts, strict=True)
        ]

    @torch.no_grad()
    def generate(self, prompt: str, steps: int, *, temperature: float = 1.0, seed: int = 0) -> str:
        """Go on with a text, token by token from the network's own state.

        Args:
            prompt: the beginning, at least one token; it is not in the answer.
            steps: number of tokens to say.
            temperature: 1 draws tokens as likely as the network holds them, less prefers the
                likely ones, 0 always takes the likeliest.
            seed: of the draws.

        Raises:
            ValueError: an argument is out of range, or a token of the prompt is unknown.
        """
        if steps < 0 or temperature < 0:
            raise ValueError(
                f"steps and temperature must be at least 0, got {steps} and {temperature}"
            )
        given = self.target.encode(prompt)
        if not len(given):
            raise ValueError("prompt must have at least one token")
        self.eval()
        generator = torch.Generator().manual_seed(seed)
        out, state = self.model(given[None].to(self.device))
        said: list[Tensor] = []
        logits = out[0, -1]
        for _ in range(steps):
            if temperature:
                likely = (logits.float().cpu() / temperature).softmax(-1)
                token = torch.multinomial(likely, 1, generator=generator)
            else:
                token = logits.argmax(keepdim=True)
            said.append(token.cpu())
            out, state = self.model.step(token.to(self.device), state)
            logits = out[0]
        return self.target.decode(torch.cat(said)) if said else ""

    def on_test_epoch_start(self) -> None:
        self._states.pop("test", None)
        self._sums, self._counts = torch.zeros(2, 64 * _BINS, dtype=torch.float64)
        self._read = 0
        self._prompt = ""

    def collect(self, out: Tensor, batch: SequenceBatch) -> None:
        """Sum the loss by the number of steps since rest."""
        steps = torch.arange(1, out.shape[1] + 1, dtype=torch.float64) + self._read
        bins = (_BINS * steps.log2()).long().expand(len(out), -1).flatten()
        valid = (_marked(batch) != IGNORED).double().cpu()
        nats = _surprise(out, batch).double().cpu()
        self._sums.index_add_(0, bins, nats.flatten())
        self._counts.index_add_(0, bins, valid.flatten())
        if not self._prompt:
            self._prompt = self.target.decode(batch.x[0, : self.weight(batch)][:_PROMPT])
        if self.target.carried:
            self._read += out.shape[1]

    def sections(self) -> Sequence[Section | Passage]:
        """The loss by position, and a text that the network goes on with."""
        at = self._counts.nonzero().squeeze(1)
        values = (self._sums[at] / self._counts[at]).numpy()
        if self.target.unit == "word":
            values, unit = np.exp(values), "perplexity"
        else:
            values, unit = values / math.log(2), f"bits per {self.target.unit}"
        # The geometric middle of a bin.
        positions = (2 ** ((at + 0.5) / _BINS)).numpy()
        trained = int(self.trained_length)
        text = self.generate(self._prompt, _SAID, temperature=_TEMPERATURE)
        return (
            Section(
                heading="Loss by position",
                draw=partial(loss_by_position, positions, values, trained, unit),
                alt=f"{unit.capitalize()} against the number of steps since rest, from "
                f"{values[0]:.3g} at the first to {values[-1]:.3g} at the last.",
                caption="How well the next token is known after so many steps of memory. Right of "
                "the dotted line are stretches that are longer than those of training: a line "
                "that goes on falling there, or stays, is a network that extrapolates.",
            ),
            Passage(
                heading="A text that it goes on with",
                before=self._prompt,
                text=text,
                caption=f"Pale: the beginning of the test text. Then {_SAID} {self.target.unit}s "
                f"of the network, step by step, at temperature {_TEMPERATURE:g}.",
            ),
        )


_PROMPT, _SAID, _TEMPERATURE = 80, 400, 0.7
"""Tokens of the test text in the report, tokens that the network adds, and how boldly."""


def _marked(batch: SequenceBatch) -> Tensor:
    """The targets (B, T), those of the padding :data:`IGNORED`."""
    return batch.y.where(batch.valid(), IGNORED)


def _surprise(out: Tensor, batch: SequenceBatch) -> Tensor:
    """-log p (B, T) of the targets, zero in the padding."""
    return F.cross_entropy(
        out.transpose(1, 2), _marked(batch), ignore_index=IGNORED, reduction="none"
    )


@styled
def loss_by_position(
    positions: Array, values: Array, trained: int, unit: str, *, width: float = WIDE
) -> Figure:
    """Draw values (N,) against positions (N,), a line where training stretches ended."""
    figure = Figure((width, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(positions, values, "o-", ms=3, color=BLUE, lw=1.6)
    axes.axvline(trained, color=MUTED, lw=0.9, ls=(0, (2, 2)))
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.set(xlabel="steps since rest", ylabel=unit)
    late = values[positions > trained]
    detail = f"stretches of training are {trained:,} steps"
    if late.size:
        detail += f"; beyond them {late.mean():.3g} on average"
    headline(
        axes, f"{values[0]:.3g} {unit} at first, {values[-1]:.3g} at last", detail, inches=width
    )
    return figure
