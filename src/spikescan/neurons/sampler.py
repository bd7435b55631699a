"""The stochastic neuron without memory of P-SpikeSSM."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from spikescan.neurons.base import Neuron
from spikescan.neurons.dynamics import told
from spikescan.neurons.operations import Operations
from spikescan.ops._core import validate
from spikescan.ops.bernoulli import bernoulli, fresh_keys
from spikescan.ops.bernoulli_affine import bernoulli_affine

Evaluation = Literal["sample", "mean", "vote"]
NOT_BOTH = "a generator draws the keys of a rested state; give it or a state"
EVALUATIONS: tuple[Evaluation, ...] = ("sample", "mean", "vote")


class SamplerState(NamedTuple):
    """State of :class:`SpikeSampler`: where each row is in its own stream of random numbers."""

    key: Tensor
    """(B,) int64, which stream; any number."""
    t: Tensor
    """(B,) int64, steps drawn so far."""


class Stochastic(Neuron):
    """Neurons that fire at random: what :class:`SpikeSampler` and its kin share.

    ``evaluation`` may be changed at any time, for a whole network by::

        for module in model.modules():
            if isinstance(module, Stochastic):
                module.evaluation = "mean"
    """

    def __init__(self, features: int, *, evaluation: Evaluation = "sample", votes: int = 8) -> None:
        super().__init__(features)
        if evaluation not in EVALUATIONS:
            raise ValueError(f"evaluation must be one of {EVALUATIONS}, got {evaluation!r}")
        if votes < 1:
            raise ValueError(f"votes must be at least 1, got {votes}")
        self.evaluation: Evaluation = evaluation
        self.votes = votes

    @property
    def random_keys(self) -> int:
        """One: the stream of a row serves all its neurons."""
        return 1

    def draw(
        self,
        x: Tensor,
        state: SamplerState | None,
        lengths: Tensor | None,
        generator: torch.Generator | Tensor | None,
        affine: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, SamplerState]:
        """Spikes of x (B, T, D), or what stands for them in evaluation, and the new state.

        With ``affine``, a and b (D,), those of a x + b.
        """
        validate.sequence("x", x)
        if state is not None:
            validate.kind("state", state, SamplerState)
        valid = validate.valid_lengths(lengths, x)
        if state is None:
            state = fresh_state(x.shape[0], 1, x.device, generator)[0]
        elif generator is not None:
            raise ValueError(NOT_BOTH)
        elif state.key.shape != x.shape[:1] or state.t.shape != x.shape[:1]:
            raise ValueError(
                f"state must have key and t of shape ({x.shape[0]},), got "
                f"{tuple(state.key.shape)} and {tuple(state.t.shape)}"
            )
        after = state._replace(t=state.t + (x.shape[1] if valid is None else valid))
        drawn = self.training or self.evaluation == "sample"
        if drawn and affine is not None:
            return bernoulli_affine(x, *affine, state.key, state.t, lengths=lengths), after
        if affine is not None:
            x = affine[0] * x + affine[1]
        if valid is not None:
            inside = torch.arange(x.shape[1], device=x.device) < valid[:, None]
            x = torch.where(inside.unsqueeze(-1), x, 0)
        if drawn:
            spikes = bernoulli(x, state.key, state.t)
        elif self.evaluation == "vote":
            spikes = bernoulli(x, state.key, state.t, draws=self.votes)
        else:
            spikes = x.clamp(0, 1)
        return spikes, after

    def drawing(self) -> Operations:
        """What it takes to fire at random, or what evaluation does instead."""
        if self.evaluation == "mean":
            return Operations(comparisons=2)
        votes = self.votes if self.evaluation == "vote" else 1
        return Operations(
            multiplications=int(votes > 1), additions=votes - 1, comparisons=votes, random=votes
        )

    def extra_repr(self) -> str:
        return told(self.features, evaluation=self.evaluation, votes=self.votes)


class SpikeSampler(Stochastic):
    r"""Neurons that fire at random, with the clamped input as the probability.

    .. math::
        p_t = \operatorname{clamp}(x_t, 0, 1), \qquad s_t = [U_t < p_t], \quad U_t \sim
        \mathrm{Uniform}[0, 1), \qquad \frac{\partial s_t}{\partial x_t} := [0 \le x_t \le 1]

    The gradient is that of the clamp, as :math:`E[s] = p`; at 0 and at 1 it is 1, as torch's.

    The random number of an element is a hash of its row's key, its step and its channel. A rested
    state draws fresh keys, from torch's generator or from ``generator``; the state carries them on,
    so that a sequence in one piece, in chunks and in steps has the same spikes, and so has a row
    alone and in a batch.

    Args:
        features: number of neurons D.
        evaluation: what ``eval()`` does. "sample" fires at random as in training, "mean" passes on
            the probability p, "vote" the mean of several independent draws. The layers that follow
            were trained on spikes, and are nonlinear: neither of the others is the expectation of
            what a network computes, which is the mean of its outputs over several calls in
            "sample". May be changed later.
        votes: number of draws for "vote".

    Raises:
        ValueError: an argument is out of range, an input has another number of channels, or both a
            state and a generator are given.

    Source: Bal and Sengupta 2025 (arXiv 2406.02923), SpikeSampler. Their code draws in evaluation
    too, as our default does.

    >>> sampler = SpikeSampler(2)
    >>> p = torch.tensor([0.0, 1.0]).expand(1, 3, 2)
    >>> spikes, state = sampler(p, generator=torch.Generator().manual_seed(0))
    >>> spikes[0, :, 0], spikes[0, :, 1], state.t
    (tensor([0., 0., 0.]), tensor([1., 1., 1.]), tensor([3]))
    """

    def forward(
        self,
        x: Tensor,
        state: SamplerState | None = None,
        lengths: Tensor | None = None,
        generator: torch.Generator | Tensor | None = None,
        affine: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, SamplerState]:
        """As every neuron; with ``affine``, a and b (D,), of a x + b."""
        self.check_width(x)
        return self.draw(x, state, lengths, generator, affine)

    def operations(self) -> Operations:
        """The draw."""
        return self.drawing()

    def step(
        self,
        x_t: Tensor,
        state: SamplerState | None = None,
        generator: torch.Generator | Tensor | None = None,
    ) -> tuple[Tensor, SamplerState]:
        out, new = self(x_t.unsqueeze(1), state, None, generator)
        return out.squeeze(1), new


def fresh_state(
    batch: int, count: int, device: torch.device, generator: torch.Generator | Tensor | None = None
) -> tuple[SamplerState, ...]:
    """Rested states of ``count`` samplers: row by row from the generator, or of given keys.

    Raises:
        ValueError: the keys are not (batch, count) int64.
    """
    keys = fresh_keys(batch, count, device, generator)
    start = torch.zeros(batch, dtype=torch.int64, device=device)
    return tuple(SamplerState(keys[:, i].contiguous(), start) for i in range(count))
