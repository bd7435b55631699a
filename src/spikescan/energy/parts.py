"""What each kind of part costs: the one place that says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from torch import Tensor, nn

from spikescan.energy.meter import Fed, Meter
from spikescan.models.norm import BatchNorm
from spikescan.models.walk import (
    Affine,
    Attention,
    Dense,
    Gated,
    Join,
    Map,
    Neurons,
    Norm,
    Part,
    Pool,
    Scan,
    Sum,
    Synapse,
    View,
)
from spikescan.neurons import Operations


@dataclass(frozen=True)
class Flow:
    """What leaves a part: numbers side by side, how often, and in how many places of an image."""

    width: int
    times: int
    """Steps of all sequences, or sequences behind a pool."""
    lanes: int = 1


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a part costs in all that was measured, as it is and in the dense network beside it."""

    flow: Flow
    spiking: Operations
    dense: Operations
    """The same widths with real numbers for spikes."""
    multiplied: Operations | None = None
    """As it is, were a spike n multiplied with its weights; None where that is the same."""
    reads: int = 0
    """Parameters read, those of products where spikes come alone."""
    dense_reads: int = 0
    states: int = 0
    """Numbers that one sequence carries from step to step."""
    dense_states: int = 0


def cost(part: Part, meter: Meter, flows: Mapping[str, Flow], readers: Mapping[str, int]) -> Cost:
    """The cost of one part.

    Args:
        part: any part of the walked network.
        meter: what it did.
        flows: what leaves the parts before it.
        readers: how many parts read each part.

    Raises:
        NotImplementedError: a neuron does not say what it computes, or the part is of a new kind.
    """
    into = flows[part.inputs[0]]
    many = into.width * into.times * into.lanes
    match part:
        case Dense():
            return _product(part.module, into, meter.fed[part.name], spikes=False)
        case Synapse():
            return _product(part.module, into, meter.fed[part.name], spikes=True)
        case Neurons():
            return _neurons(part, into, meter)
        case Scan():
            one = part.module.operations()
            if part.skip is not None:
                one += Operations(multiplications=1, additions=1)
            kept = part.module.states * into.width * (1 if part.module.causal else 2)
            reads = (_size(part.module) + (0 if part.skip is None else into.width)) * into.times
            return _same(into, many * one, reads=reads, states=kept)
        case Gated():
            width = into.width
            # Two sigmoids and a tanh; the gates' products; sums of both sides, and 1 - z.
            unit = Operations(macs=6 * width, multiplications=3, additions=5, functions=3)
            reads = _size(part.module) * into.times
            return _same(into, many * unit, reads=reads, states=width)
        case Attention():
            return _attention(part, into, meter)
        case Norm():
            if folds(part, readers, meter):
                return _same(into, Operations())
            if isinstance(part.module, BatchNorm):
                one = many * Operations(multiplications=1, additions=1)
            else:
                # Mean and variance, one root and one division; subtract, scale, gain and bias.
                one = many * Operations(multiplications=3, additions=4)
                one += into.times * into.lanes * Operations(multiplications=2, functions=2)
            return _same(into, one, reads=2 * into.width * into.times)
        case Affine():
            one = many * Operations(multiplications=1, additions=1)
            return _same(into, one, reads=2 * into.width * into.times)
        case Map(function="gelu"):
            return _same(into, many * Operations(functions=1))
        case Map(function="glu"):
            half = Flow(into.width // 2, into.times, into.lanes)
            return _same(half, many // 2 * Operations(multiplications=1, functions=1))
        case View(image=None):
            return _same(Flow(into.width * into.lanes, into.times), Operations())
        case View(image=image):
            assert image is not None
            return _same(Flow(image[0], into.times, prod(image[1:])), Operations())
        case Sum():
            return _same(into, (len(part.inputs) - 1) * many * Operations(additions=1))
        case Join():
            width = sum(flows[name].width for name in part.inputs)
            return _same(Flow(width, into.times, into.lanes), Operations())
        case Pool(over="mean"):
            after = Flow(into.width, meter.sequences, into.lanes)
            divided = after.width * after.times * Operations(multiplications=1)
            return _same(after, many * Operations(additions=1) + divided, states=into.width)
        case Pool(over="last"):
            return _same(
                Flow(into.width, meter.sequences, into.lanes), Operations(), states=into.width
            )
        case Pool(over="window"):
            wide = into.width * part.steps
            return _same(Flow(wide, meter.sequences, into.lanes), Operations(), states=wide)
        case _:
            raise NotImplementedError(f"no cost is known of a {type(part).__name__}, {part.name}")


def folds(part: Norm, readers: Mapping[str, int], meter: Meter) -> bool:
    """Whether a normalisation is part of the weights right before it, which nothing else reads."""
    before = next((p for p in meter.parts if p.name == part.inputs[0]), None)
    return (
        isinstance(part.module, BatchNorm)
        and isinstance(before, Dense | Synapse)
        and readers[before.name] == 1
    )


def _product(module: nn.Module, into: Flow, fed: Fed, *, spikes: bool) -> Cost:
    """A product. Its sums start at the bias, which so costs nothing but its reading."""
    weight = module.weight
    assert isinstance(weight, Tensor)
    if isinstance(module, nn.Embedding):
        flow = Flow(weight.shape[1], into.times)
        reads = flow.width * flow.times
        return Cost(
            flow=flow, spiking=Operations(), dense=Operations(), reads=reads, dense_reads=reads
        )
    flow = Flow(weight.shape[0], into.times, fed.lanes)
    fan_in = weight[0].numel()
    dense = Operations(macs=fan_in * flow.width * flow.times * flow.lanes)
    dense_reads = weight.numel() * flow.times
    if not (spikes or (fed.whole and fed.nonzero)):
        return Cost(
            flow=flow, spiking=dense, dense=dense, reads=dense_reads, dense_reads=dense_reads
        )
    multiplied = Operations(macs=fed.events)
    return Cost(
        flow=flow,
        spiking=Operations(acs=fed.driven) if fed.whole else multiplied,
        dense=dense,
        multiplied=multiplied if fed.driven != fed.events else None,
        reads=fed.events,
        dense_reads=dense_reads,
    )


def _neurons(part: Neurons, into: Flow, meter: Meter) -> Cost:
    neuron, fired = part.module, meter.fired[part.name]
    # What reads the future runs once for a whole sequence, which it keeps.
    whole = max(meter.spans) * neuron.features * fired.lanes
    return Cost(
        flow=Flow(neuron.features, into.times, fired.lanes),
        spiking=fired.neuron_steps * neuron.operations(),
        dense=fired.neuron_steps * Operations(comparisons=1),
        reads=_size(neuron) * (into.times if neuron.causal else meter.sequences),
        states=fired.states if neuron.causal else whole,
    )


def _attention(part: Attention, into: Flow, meter: Meter) -> Cost:
    width, times = into.width // 3, into.times
    flow, size = Flow(width, times), width // part.heads
    if part.kind == "sums":
        fired = meter.fired[part.inputs[0]]
        # The memory grows where key and value fire together, and is read where a query fires.
        done = Operations(acs=fired.pairs + fired.queries * size, multiplications=width * times)
        dense = Operations(macs=2 * width * size * times, multiplications=width * times)
        kept = width * size
        return Cost(flow=flow, spiking=done, dense=dense, states=kept, dense_states=kept)
    assert part.window is not None
    seen = sum(
        count * sum(min(t, part.window) + 1 for t in range(span))
        for span, count in meter.spans.items()
    )
    # Rotations of queries and keys; scores and values; softmax: exponentials, sums, a division.
    turned = width * times * Operations(multiplications=4, additions=2)
    scored = Operations(
        macs=2 * width * seen, functions=part.heads * seen, additions=part.heads * seen
    )
    divided = Operations(multiplications=width * times, functions=part.heads * times)
    return _same(flow, turned + scored + divided, states=2 * part.window * width)


def _same(flow: Flow, done: Operations, *, reads: int = 0, states: int = 0) -> Cost:
    """The cost of what is the same with spikes and with real numbers."""
    return Cost(
        flow=flow,
        spiking=done,
        dense=done,
        reads=reads,
        dense_reads=reads,
        states=states,
        dense_states=states,
    )


def _size(module: nn.Module) -> int:
    """Numbers that a module holds, trained or not."""
    held = (*module.parameters(), *module.buffers())
    return sum(t.numel() for t in held if t.is_floating_point())
