"""The spiking dendrite temporal-channel mixing block (SD-TCM) of the PRF paper."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from spikescan.models.blocks.base import Block, reverse_time, row_keys
from spikescan.models.norm import NormKind, make_norm
from spikescan.models.spike_linear import SpikeLinear
from spikescan.models.walk import Trail
from spikescan.neurons import PRF, Neuron, Spatial
from spikescan.neurons.base import make_part
from spikescan.ops.surrogate import ATan, Surrogate


class SDTCMState(NamedTuple):
    """State of :class:`SDTCM`: that of its temporal neuron."""

    temporal: Any


class SDTCM(Block):
    r"""Mix time with a resonating neuron, then channels with a memoryless one.

    .. math::
        s = \mathrm{PRF}(u), \quad x = u + \mathrm{Linear}(s), \qquad
        s' = \alpha [x \ge V_s], \quad \mathrm{out} = x + \mathrm{Linear}(s')

    The residual stream is real-valued, all messages between layers are spikes. α is one trained
    positive scalar, that of the second :class:`SpikeLinear`, so that spikes stay 0 or 1.

    Args:
        features: width D of the stream.
        neuron: makes the temporal neuron from its width; any neuron of the library.
        bidirectional: run a second neuron backwards in time and join both sets of spikes.
        norm: normalisation. "batch" folds into neighbouring weights at inference.
        prenorm: normalise the stream before the temporal neuron; otherwise the output of each
            Linear, before it joins the stream.
        dropout: probability of dropping a spike, in training.
        threshold: threshold V_s of the spatial neuron.
        surrogate: derivative of the spatial neuron's spike.

    Source: Huang et al. 2024 (arXiv 2410.03530), section 4.4 and Appendix H. Where they normalise
    after the residual sum, we normalise the branch, which leaves the stream itself untouched and
    folds into the Linear.

    >>> block = SDTCM(8)
    >>> out, state = block(torch.randn(2, 50, 8))
    >>> out.shape
    torch.Size([2, 50, 8])
    """

    def __init__(
        self,
        features: int,
        *,
        neuron: Callable[[int], Neuron] = PRF,
        bidirectional: bool = False,
        norm: NormKind = "batch",
        prenorm: bool = False,
        dropout: float = 0.0,
        threshold: float = 0.5,
        surrogate: Surrogate = ATan(),
    ) -> None:
        super().__init__(features)
        self.temporal = make_part("neuron", neuron, features, Neuron)
        self.backward_temporal = (
            make_part("neuron", neuron, features, Neuron) if bidirectional else None
        )
        sides = 2 if bidirectional else 1
        # Batch normalisation subtracts any bias again. One that is there would have a gradient of
        # rounding errors, which Adam scales up: it walks off faster than running means can follow.
        bias = prenorm or norm != "batch"
        self.time_mixer = SpikeLinear(sides * features, features, bias=bias, dropout=dropout)
        self.spatial = Spatial(features, threshold=threshold, surrogate=surrogate)
        self.channel_mixer = SpikeLinear(
            features, features, bias=bias, scaled=True, dropout=dropout
        )
        self.norm_in = make_norm(norm if prenorm else "none", features)
        self.norm_time = make_norm("none" if prenorm else norm, features)
        self.norm_channel = make_norm("none" if prenorm else norm, features)

    @property
    def causal(self) -> bool:
        return self.backward_temporal is None and super().causal

    def parts(self, trail: Trail, x: str) -> str:
        u = trail.norm("norm_in", x)
        s = trail.neurons("temporal", u)
        if self.backward_temporal is not None:
            back = trail.neurons("backward_temporal", u, backwards=True)
            s = trail.join("both_ways", s, back)
        y = trail.norm("norm_time", trail.synapse("time_mixer", s))
        x = trail.sum("after_time", x, y)
        y = trail.synapse("channel_mixer", trail.neurons("spatial", x))
        return trail.sum("after_channel", x, trail.norm("norm_channel", y))

    def forward(
        self,
        x: Tensor,
        state: SDTCMState | None = None,
        lengths: Tensor | None = None,
        generator: torch.Generator | Tensor | None = None,
    ) -> tuple[Tensor, SDTCMState | None]:
        x, lengths = self.enter(x, state, SDTCMState, lengths)
        u = self.norm_in(x, lengths)
        keys = row_keys(x, state, generator, self.temporal, self.backward_temporal)
        before = None if state is None else state.temporal
        s, temporal = self.temporal(u, before, lengths, **keys[0])
        if self.backward_temporal is not None:
            back, _ = self.backward_temporal(reverse_time(u, lengths), None, lengths, **keys[1])
            s = torch.cat((s, reverse_time(back, lengths)), -1)
        x = self.norm_time(self.time_mixer(s), lengths, x)
        s, _ = self.spatial(x, None, lengths)
        out = self.norm_channel(self.channel_mixer(s), lengths, x)
        return out, SDTCMState(temporal) if self.causal else None
