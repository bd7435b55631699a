"""The dynamic decay spiking neuron."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikescan import ops
from spikescan.neurons.base import Neuron
from spikescan.neurons.dynamics import each, told
from spikescan.neurons.operations import Operations
from spikescan.ops.dsn.api import MAX_LEVELS, MAX_TAPS, DSNOutput, DSNState, step
from spikescan.ops.surrogate import Surrogate


class DSN(Neuron):
    r"""Dynamic decay spiking neurons: no reset, but a decay that the input sets at each step.

    .. math::
        c_t = b + \sum_{i=0}^{k-1} w_i x_{t-k+1+i}, \qquad
        \alpha_t = \sigma(c_t)^{1/\tau_d}, \qquad
        h_t = \alpha_t h_{t-1} + (1 - \alpha_t) x_t, \qquad
        s_t = \sum_{n=1}^{N} [h_t \ge n - \tfrac12]

    A decay near 0 forgets, as a reset would; near 1 it remembers. The decay depends on the input
    alone, so the membrane is a linear recurrence, and it never leaves the range of the input.
    Spikes are whole numbers 0..N; with N = 1 they are binary, with threshold 1/2.

    Args:
        features: number of neurons D.
        kernel_size: steps k that the decay looks back on, 1 to 16, the current one among them.
        levels: most spikes N of one step.
        tau: :math:`\tau_d`, the inverse of the sigmoid's power, without unit.
        alpha_start: decay of each neuron at zero input when training starts, in (0, 1); a number or
            one for each neuron (D,). It sets the convolution's bias. A larger one remembers longer
            and fires less: a neuron of decay α averages over some 1 / (1 - α) steps, so that quick
            inputs no longer reach 1/2. Without a bias it is :math:`2^{-1/\tau_d}` = 1/16, which
            hardly remembers the step before: :meth:`paper`.
        surrogate: derivative of the spikes; None is 1 for 0 <= h <= N, else 0. For binary spikes
            ``ATan()`` is the better one, see :func:`spikescan.ops.dsn` for N > 1.

    Raises:
        ValueError: an argument is out of range, or an input has another number of channels.

    The weights start as those of a depth-wise ``torch.nn.Conv1d``. Weights and bias set time
    constants, so both are :meth:`neuron_parameters`: they train at the neurons' rate, and no weight
    decay pulls the decay back to 1/16.

    Source: Huang et al. 2026 (arXiv 2602.01133). The start of the bias is open there. The recipe
    ``digits_dsn`` trained from decays of 1/16, 0.5, 0.8, 0.9 and 0.97 tests at 95.8, 96.3, 96.8,
    97.1 and 97.1 % (means of two seeds; ``benchmarks/dsn_start.py``): to start with a memory pays,
    how long a one hardly matters. On normal input 1 % of the channels are silent from 0.8, and 13 %
    from 0.9 (``benchmarks/starts.py``).

    >>> neuron = DSN(4)
    >>> spikes, state = neuron(torch.rand(2, 100, 4))
    >>> last, state = neuron.step(torch.rand(2, 4), state)
    >>> last.shape, state.h.shape, state.inputs.shape
    (torch.Size([2, 4]), torch.Size([2, 4]), torch.Size([2, 3, 4]))
    """

    def __init__(
        self,
        features: int,
        *,
        kernel_size: int = 4,
        levels: int = 4,
        tau: float = 0.25,
        alpha_start: float | Tensor = 0.8,
        surrogate: Surrogate | None = None,
    ) -> None:
        super().__init__(features)
        if not 1 <= kernel_size <= MAX_TAPS:
            raise ValueError(f"kernel_size must lie in 1..{MAX_TAPS}, got {kernel_size}")
        if not 1 <= levels <= MAX_LEVELS:
            raise ValueError(f"levels must lie in 1..{MAX_LEVELS}, got {levels}")
        if not (tau > 0 and math.isfinite(tau)):
            raise ValueError(f"tau must be positive and finite, got {tau}")
        start = each(
            "alpha_start", alpha_start, features, "above 0 and below 1", lambda a: 0 < a < 1
        )
        self.kernel_size = kernel_size
        self.levels = levels
        self.tau = tau
        self.surrogate = surrogate
        bound = 1 / math.sqrt(kernel_size)
        self.weight = nn.Parameter(torch.empty(features, kernel_size).uniform_(-bound, bound))
        # sigmoid(logit(alpha^tau))^(1 / tau) = alpha
        self.bias = nn.Parameter(torch.logit(start**tau).float())

    @classmethod
    def paper(cls, features: int) -> DSN:
        """The neurons without a bias at the start, as the paper's equations have them."""
        return cls(features, alpha_start=1 / 16)

    def trace(
        self,
        x: Tensor,
        state: DSNState | None = None,
        lengths: Tensor | None = None,
        *,
        return_membrane: bool = True,
    ) -> DSNOutput:
        """Run sequences as :meth:`forward` does and return the membrane (B, T, D) as well."""
        self.check_width(x)
        self.require_state(state, DSNState)
        return ops.dsn_conv(
            x,
            self.weight,
            self.bias,
            state,
            exponent=1 / self.tau,
            levels=self.levels,
            surrogate=self.surrogate,
            return_membrane=return_membrane,
            lengths=lengths,
        )

    def forward(
        self, x: Tensor, state: DSNState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, DSNState]:
        if lengths is None and (done := self._step(x, state)):
            return done
        out = self.trace(x, state, lengths, return_membrane=False)
        return out.spikes, out.state

    def _step(self, x: Tensor, state: DSNState | None) -> tuple[Tensor, DSNState] | None:
        # By the type itself: a class made from this one may trace otherwise.
        if type(self) is not DSN:
            return None
        return step(x, self.weight, self.bias, state, 1 / self.tau, self.levels)

    def dynamics(self) -> dict[str, Tensor]:
        """The time constant at zero input, in steps; the input changes it at every step."""
        return {"time constant": self.tau / F.softplus(-self.bias)}

    def operations(self) -> Operations:
        """The convolution, the sigmoid and its power, the average, a comparison for each level.

        A power of two is that many squarings; any other costs a function.
        """
        squarings = math.log2(1 / self.tau)
        is_squared = squarings.is_integer() and squarings >= 0
        taps = self.kernel_size
        return Operations(
            multiplications=taps + 2 + (int(squarings) if is_squared else 0),
            additions=taps + 2,
            comparisons=self.levels,
            functions=1 if is_squared else 2,
        )

    def extra_repr(self) -> str:
        return told(
            self.features,
            kernel_size=self.kernel_size,
            levels=self.levels,
            tau=self.tau,
            alpha=torch.sigmoid(self.bias) ** (1 / self.tau),
            surrogate=self.surrogate,
        )


def unroll(spikes: Tensor, levels: int) -> Tensor:
    r"""Write whole-number spikes as binary sub-steps, of which the first n fire for a spike n.

    A Linear layer after them needs additions only, and nothing is lost:
    :math:`W s = \sum_m W s^{(m)}`.

    Args:
        spikes: whole numbers 0..levels (...), as :class:`DSN` gives them.
        levels: most spikes N of one step.

    Returns:
        Sub-steps (levels, ...), 0 or 1, in the dtype of ``spikes``.

    Raises:
        ValueError: ``levels`` is below 1, or a gradient is asked for: this is for inference.

    >>> unroll(torch.tensor([0.0, 3.0, 1.0]), 3)
    tensor([[0., 1., 1.],
            [0., 1., 0.],
            [0., 1., 0.]])
    """
    if levels < 1:
        raise ValueError(f"levels must be at least 1, got {levels}")
    if spikes.requires_grad and torch.is_grad_enabled():
        raise ValueError("unroll has no gradient; call it under torch.no_grad()")
    steps = torch.arange(levels, device=spikes.device).view(-1, *[1] * spikes.ndim)
    return (spikes > steps).to(spikes.dtype)
