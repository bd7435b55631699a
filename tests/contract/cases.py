"""Everything that keeps the contract: a new neuron or block joins by one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from spikescan import ALIF, DSN, LIF, PRF, SlidingPSN, Spatial
from spikescan.models import SDTCM, GRUBlock, SpikingTransformer, TransformerBlock
from spikescan.ops.surrogate import ATan


@dataclass(frozen=True)
class Case:
    """One thing under contract.

    Args:
        name: shown as the test's id.
        make: builds the module from its width.
        causal: keeps state and runs step by step; otherwise it must refuse both.
        whole_sequences: has statistics over whole sequences in training (batch normalisation), so
            that chunks and steps are compared in eval() only.
    """

    name: str
    make: Callable[[int], nn.Module]
    causal: bool = True
    whole_sequences: bool = False


_FAST = partial(PRF, dt_min=0.1, dt_max=1.0, theta_max=3.0)

CASES = [
    Case("LIF-soft", partial(LIF, tau=5.0)),
    Case("LIF-hard", partial(LIF, tau=5.0, reset="hard")),
    Case("LIF-none", partial(LIF, tau=5.0, reset="none")),
    Case("LIF-full-gradient", partial(LIF, tau=5.0, detach_reset=False)),
    Case("LIF-learnable", partial(LIF, tau=5.0, learnable=True, decay_input=True, threshold=0.2)),
    Case("PRF", _FAST),
    Case("PRF-learnable-tau", partial(_FAST, learnable_tau=True)),
    Case("Spatial", Spatial),
    Case("DSN-integer", DSN),
    Case("DSN-binary", partial(DSN, levels=1, alpha_start=0.5, surrogate=ATan())),
    Case("SlidingPSN", SlidingPSN),
    Case("ALIF", partial(ALIF, tau=5.0, strength=0.3)),
    Case("ALIF-full-gradient", partial(ALIF, tau=5.0, learnable=True, detach_reset=False)),
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
]
CAUSAL = [case for case in CASES if case.causal]
