"""How each neuron and each state-space layer becomes records: the one place where it is said.

Numbers are computed in float64 here, and rounded once when the program is whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from spikescan.neurons import (
    ALIF,
    DPLR,
    DSN,
    LIF,
    PRF,
    PSN,
    S4D,
    ProbabilisticSSM,
    Spatial,
    SpikeSampler,
    StateSpace,
    Stochastic,
)
from spikescan.ops.resonate.coefficients import coefficients
from spikescan.ops.ssm import Diagonal, LowRank
from spikescan.stream import records

Evaluation = Literal["sample", "mean"]


class Refused(Exception):
    """A part cannot be folded; the message says why."""


def neuron_records(
    module: nn.Module, name: str, source: str, evaluation: Evaluation | None
) -> list[records.Record]:
    """Records of a layer of neurons that reads ``source``, the last one called ``name``.

    Raises:
        Refused: there are none.
    """
    make = _NEURONS.get(type(module))
    if make is None:
        future = ", which reads the future" if isinstance(module, PSN) else ""
        raise Refused(f"no records for neurons of type {type(module).__name__}{future}")
    made = make(module, name, source)
    if not isinstance(module, Stochastic):
        return made
    chosen = evaluation or module.evaluation
    if chosen == "vote":
        raise Refused('evaluation "vote" draws many times; fold with evaluation="sample" or "mean"')
    before = made[-1].name if made else source
    return [*made, records.Draw(name, (before,), module.features, chosen, key=0)]


def scan_record(module: StateSpace, name: str, source: str, skip: Tensor | None) -> records.Record:
    """The record of a state-space layer with its direct path.

    Raises:
        Refused: there is none.
    """
    if type(module) not in (S4D, DPLR):
        raise Refused(f"no records for state-space layers of type {type(module).__name__}")
    if not module.causal:
        raise Refused("a two-sided state-space layer reads the future")
    direct = torch.zeros(module.features) if skip is None else skip.detach()
    system = module.system()
    given = (name, (source,), module.features)
    match system:
        case Diagonal():
            # With states in units of b, which belongs to c then, each mode adds x itself.
            c = 2 * system.c * system.b
            return records.Diagonal(
                *given, _modes(system.log_a.exp()), _modes(c.conj()), direct.double()
            )
        case LowRank():
            e = system.gain * system.d * system.p
            return records.LowRank(
                *given,
                d=_modes(system.d),
                b=_modes(system.b),
                p=_modes(system.p),
                e=_modes(e),
                c=_modes(2 * system.c.conj()),
                skip=direct.double(),
            )


def _modes(z: Tensor) -> Tensor:
    """Complex (D, M) as real (M, 2, D)."""
    return torch.view_as_real(z.detach().resolve_conj()).permute(1, 2, 0).contiguous()


def _each(value: float | Tensor, features: int) -> Tensor:
    wide = torch.as_tensor(value).detach().to("cpu", torch.float64)
    return wide.expand(features).clone()


def _spatial(module: Spatial, name: str, source: str) -> list[records.Record]:
    threshold = _each(module.threshold, module.features)
    return [records.Spatial(name, (source,), module.features, threshold)]


def _lif(module: LIF, name: str, source: str) -> list[records.Record]:
    threshold, v_reset = (_each(v, module.features) for v in (module.threshold, module.v_reset))
    if module.decay_input:
        # A membrane in units of the leak adds the input as it is.
        leak = _each(module.leak, module.features)
        if not bool((leak > 0).all()):
            raise Refused("an input scaled by 1 - beta = 0 never arrives")
        threshold, v_reset = threshold / leak, v_reset / leak
    beta = _each(module.beta, module.features)
    return [records.LIF(name, (source,), module.features, beta, threshold, v_reset, module.reset)]


def _prf(module: PRF, name: str, source: str) -> list[records.Record]:
    p, q, gain = coefficients(
        module.delta.detach(), module.theta.detach(), module.tau.detach(), torch.float32
    )
    # A membrane in units of the time step adds the input as it is.
    threshold = _each(module.threshold, module.features) / gain.double()
    return [records.PRF(name, (source,), module.features, p.double(), q.double(), threshold)]


def _alif(module: ALIF, name: str, source: str) -> list[records.Record]:
    numbers = (_each(v, module.features) for v in (
        module.beta, module.rho, module.strength, module.threshold
    ))  # fmt: skip
    return [records.ALIF(name, (source,), module.features, *numbers)]


def _dsn(module: DSN, name: str, source: str) -> list[records.Record]:
    power = _each(1 / module.tau, module.features)
    weight, bias = module.weight.detach().double(), module.bias.detach().double()
    return [records.DSN(name, (source,), module.features, weight.T, bias, power, module.levels)]


def _sampler(module: SpikeSampler, name: str, source: str) -> list[records.Record]:
    return []


def _probabilistic(module: ProbabilisticSSM, name: str, source: str) -> list[records.Record]:
    width = module.features
    made: list[records.Record] = [scan_record(module.ssm, f"{name}.ssm", source, module.skip)]
    if module.activation == "gelu":
        made.append(records.Gelu(f"{name}.gelu", (made[-1].name,), width))
    gain, bias = _each(module.gain, width), _each(module.bias, width)
    return [*made, records.Affine(f"{name}.affine", (made[-1].name,), width, gain, bias)]


_NEURONS: dict[type, Callable[[Any, str, str], list[records.Record]]] = {
    Spatial: _spatial,
    LIF: _lif,
    PRF: _prf,
    ALIF: _alif,
    DSN: _dsn,
    SpikeSampler: _sampler,
    ProbabilisticSSM: _probabilistic,
}
"""By the type itself: a class made from one of these may compute something else."""
