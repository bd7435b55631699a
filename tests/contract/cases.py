"""Everything that keeps the contract: a new neuron or block joins by one line here."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from spikescan import (
    ALIF,
    DPLR,
    DSN,
    LIF,
    PRF,
    PSN,
    S4D,
    ProbabilisticSSM,
    SlidingPSN,
    Spatial,
    SpikeSampler,
    neurons,
)
from spikescan.models import (
    SDTCM,
    Backbone,
    Classifier,
    GRUBlock,
    LastHead,
    MeanHead,
    Network,
    PSpikeSSM,
    S4DBlock,
    Scale,
    SpikingCNN,
    SpikingConv,
    SpikingSSM,
    SpikingTransformer,
    StepHead,
    TransformerBlock,
    WindowHead,
)
from spikescan.ops.surrogate import ATan
from tolerance import ELEMENT, REGROUPED, SUMMED, Table


@dataclass(frozen=True)
class Case:
    """One thing under contract.

    Args:
        name: shown as the test's id.
        make: builds the module from its width.
        causal: keeps state and runs step by step; otherwise it must refuse both.
        whole_sequences: has statistics over whole sequences in training (batch normalisation), so
            that chunks and steps are compared in eval() only.
        random: fires at random.
        regrouped: adds its terms in an order that depends on the length of what it is given.
        state_rows: rows of its state for each row of the batch.
        longest: steps of the longest sequence that it takes.
        graphs: that torch.compile makes of it for all lengths. Of images there are two: torch
            chooses a convolution's algorithm by whether it has 16 of them, and guards that.
    """

    name: str
    make: Callable[[int], nn.Module]
    causal: bool = True
    whole_sequences: bool = False
    random: bool = False
    regrouped: bool = False
    state_rows: int = 1
    longest: int = 100_000
    graphs: int = 1

    @property
    def element(self) -> Table:
        """Tolerance of outputs that are no spikes, of states, and of gradients of either."""
        return REGROUPED if self.regrouped else ELEMENT

    @property
    def summed(self) -> Table:
        """Tolerance of gradients that are sums over batch and time."""
        return REGROUPED if self.regrouped else SUMMED


class OnImages(nn.Module):
    """A convolution under the contract of sequences: a step's channels are a 2 x D/2 image."""

    def __init__(self, features: int, **options: Any) -> None:
        super().__init__()
        self.width = features // 2
        self.conv = SpikingConv(1, 1, **options)

    def forward(
        self, x: Tensor, state: Any = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        out, state = self.conv(x.reshape(*x.shape[:2], 1, 2, self.width), state, lengths)
        return out.flatten(2), state

    def step(self, x_t: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        out, state = self.conv.step(x_t.reshape(-1, 1, 2, self.width), state)
        return out.flatten(1), state


_S4D = partial(S4D, states=8, n_ssm=3, dt_min=0.05, dt_max=0.5)
_DPLR = partial(DPLR, states=8, n_ssm=3, dt_min=0.05, dt_max=0.5)
_SSM = partial(Case, regrouped=True)
_RANDOM = partial(_SSM, random=True)

# One more than it is given: of the whole of W, torch makes a graph of its own.
_PSN = partial(PSN, steps=151)
_TWO_SIDED = partial(ProbabilisticSSM, ssm=partial(_S4D, two_sided=True))


def _backbone(features: int, **options: Any) -> Backbone:
    block = partial(SDTCM, neuron=partial(LIF, tau=5.0), norm="layer")
    return Backbone(block, inputs=features, features=features, depth=2, **options)


def _frames(features: int) -> SpikingCNN:
    """Images of 2 x 3 pixels, whose convolutions see 1 x 2 and 1 x 3 pixels and keep the size."""
    image = (features // 3, 1, 3)
    return SpikingCNN(features, image=image, channels=(4, 5), stride=1, neuron=_FAST)


def _network(features: int, scale: Scale | None = None) -> Network:
    return Network(_backbone(features), StepHead(features, features), scale)


def _scaled(features: int) -> Network:
    return _network(features, Scale(torch.linspace(-1, 1, features), torch.full((features,), 0.5)))


_FAST = partial(PRF, dt_min=0.1, dt_max=1.0, theta_max=3.0)

CASES = [
    Case("LIF-soft", partial(LIF, tau=5.0)),
    Case("LIF-hard", partial(LIF, tau=5.0, reset="hard")),
    Case("LIF-none", partial(LIF, tau=5.0, reset="none")),
    Case("LIF-full-gradient", partial(LIF, tau=5.0, detach_reset=False)),
    Case(
        "LIF-learnable", partial(LIF, tau=5.0, learnable_tau=True, decay_input=True, threshold=0.2)
    ),
    Case("PRF", _FAST),
    Case("PRF-learnable-tau", partial(_FAST, learnable_tau=True)),
    Case("Spatial", Spatial),
    Case("DSN-integer", DSN),
    Case("DSN-binary", partial(DSN, levels=1, alpha_start=0.5, surrogate=ATan())),
    Case("SlidingPSN", SlidingPSN),
    Case("ALIF", partial(ALIF, tau=5.0, strength=0.3)),
    Case(
        "ALIF-full-gradient",
        partial(ALIF, tau=5.0, learnable_strength=True, detach_reset=False),
    ),
    Case("SDTCM", partial(SDTCM, neuron=_FAST), whole_sequences=True),
    Case("SDTCM-prenorm", partial(SDTCM, neuron=_FAST, prenorm=True), whole_sequences=True),
    Case("SDTCM-layer-norm", partial(SDTCM, neuron=_FAST, norm="layer")),
    Case("SDTCM-LIF", partial(SDTCM, neuron=partial(LIF, tau=5.0), norm="none")),
    Case(
        "SDTCM-bidirectional",
        partial(SDTCM, neuron=_FAST, bidirectional=True),
        causal=False,
        whole_sequences=True,
    ),
    Case("SDTCM-DSN", partial(SDTCM, neuron=DSN, norm="none")),
    Case(
        "SpikingTransformer",
        partial(SpikingTransformer, neuron=_FAST, heads=2, piece=16),
        whole_sequences=True,
    ),
    Case(
        "SpikingTransformer-LIF",
        partial(SpikingTransformer, neuron=partial(LIF, tau=5.0), heads=3, norm="layer"),
    ),
    Case("GRUBlock", GRUBlock),
    Case("GRUBlock-batch-norm", partial(GRUBlock, norm="batch"), whole_sequences=True),
    Case("TransformerBlock", partial(TransformerBlock, heads=3, window=8)),
    Case("PSN", _PSN, causal=False, longest=150),
    Case("SpikingConv", OnImages, whole_sequences=True, state_rows=6, graphs=2),
    Case(
        "SpikingConv-LIF",
        partial(OnImages, neuron=partial(LIF, tau=5.0, threshold=0.1), norm="none"),
        state_rows=6,
        graphs=2,
    ),
    Case(
        "Backbone-SpikingCNN",
        lambda features: Backbone(
            None, inputs=features, features=features, depth=0, encoder=_frames
        ),
        whole_sequences=True,
        state_rows=3,
        graphs=2,
    ),
    _SSM("S4D", _S4D),
    _SSM("S4D-two-sided", partial(_S4D, two_sided=True), causal=False),
    _SSM("DPLR", _DPLR),
    _SSM("DPLR-two-sided", partial(_DPLR, two_sided=True), causal=False),
    _SSM("SpikingSSM", partial(SpikingSSM, ssm=_S4D, neuron=_FAST), whole_sequences=True),
    _SSM("SpikingSSM-DPLR", partial(SpikingSSM, ssm=_DPLR, neuron=DSN, norm="layer")),
    _SSM("S4DBlock", partial(S4DBlock, ssm=_S4D), whole_sequences=True),
    _RANDOM("SpikeSampler", SpikeSampler),
    _RANDOM("ProbabilisticSSM", partial(ProbabilisticSSM, ssm=_S4D)),
    _RANDOM("ProbabilisticSSM-DPLR", partial(ProbabilisticSSM, ssm=_DPLR)),
    _RANDOM("ProbabilisticSSM-two-sided", _TWO_SIDED, causal=False),
    _RANDOM("PSpikeSSM", partial(PSpikeSSM, ssm=_S4D), whole_sequences=True),
    _RANDOM("PSpikeSSM-layer-norm", partial(PSpikeSSM, ssm=_S4D, norm="layer", prenorm=True)),
    _RANDOM("PSpikeSSM-DPLR", partial(PSpikeSSM, ssm=_DPLR), whole_sequences=True),
    _RANDOM(
        "PSpikeSSM-two-sided",
        partial(PSpikeSSM, ssm=partial(_DPLR, two_sided=True)),
        causal=False,
        whole_sequences=True,
    ),
    _RANDOM(
        "PSpikeSSM-bidirectional",
        partial(PSpikeSSM, ssm=_S4D, bidirectional=True),
        causal=False,
        whole_sequences=True,
    ),
    Case("Backbone", partial(_backbone, readout=partial(LIF, tau=5.0))),
    Case("StepHead", lambda features: StepHead(features, features)),
    Case("Network", _network),
    Case("Network-scaled", _scaled),
    # One part that reads the future is enough, wherever it is.
    _RANDOM("SDTCM-two-sided", partial(SDTCM, neuron=_TWO_SIDED, norm="none"), causal=False),
    Case("SDTCM-PSN", partial(SDTCM, neuron=_PSN), causal=False, longest=150),
    _RANDOM(
        "SpikingConv-two-sided",
        partial(OnImages, neuron=partial(ProbabilisticSSM, ssm=partial(S4D, two_sided=True))),
        causal=False,
        whole_sequences=True,
        graphs=2,
    ),
    _SSM(
        "SpikingSSM-two-sided",
        partial(SpikingSSM, ssm=partial(_S4D, two_sided=True), norm="none"),
        causal=False,
    ),
    _RANDOM(
        "SpikingSSM-two-sided-neuron",
        partial(SpikingSSM, ssm=_S4D, neuron=_TWO_SIDED, norm="none"),
        causal=False,
    ),
    _SSM("S4DBlock-two-sided", partial(S4DBlock, ssm=partial(_S4D, two_sided=True)), causal=False),
    _RANDOM(
        "SpikingTransformer-two-sided",
        partial(SpikingTransformer, neuron=_TWO_SIDED, heads=2),
        causal=False,
    ),
    _RANDOM("Backbone-two-sided-readout", partial(_backbone, readout=_TWO_SIDED), causal=False),
]
_NAMED = {case.name.partition("-")[0] for case in CASES}
# A neuron that needs no special case is under contract as its defaults make it.
CASES += [
    Case(name, getattr(neurons, name))
    for name in neurons.__all__
    if name not in _NAMED
    and inspect.isclass(made := getattr(neurons, name))
    and issubclass(made, neurons.Neuron)
    and not inspect.isabstract(made)
]
CAUSAL = [case for case in CASES if case.causal]


def _classifier(features: int, **options: Any) -> Classifier:
    block = partial(SDTCM, neuron=partial(LIF, tau=5.0), norm="layer")
    return Classifier(block, inputs=features, classes=3, features=features, depth=2, **options)


SO_FAR = [
    Case("MeanHead", lambda features: MeanHead(features, 3)),
    Case("LastHead", lambda features: LastHead(features, 3)),
    Case("WindowHead", lambda features: WindowHead(features, 3, steps=5)),
    Case("Classifier", _classifier),
    _RANDOM("Classifier-two-sided-readout", partial(_classifier, readout=_TWO_SIDED), causal=False),
]
"""What gives one output (B, C) for the sequence so far."""
