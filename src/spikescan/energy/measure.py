"""From a network and data to its account."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from spikescan.energy.account import Account, Activity, Layer
from spikescan.energy.meter import Fed, Fired, Meter
from spikescan.energy.parts import Flow, cost
from spikescan.energy.tables import TABLES, CostTable
from spikescan.models import Backbone, Network
from spikescan.models.norm import without_padding
from spikescan.models.walk import INPUT, Attention, Neurons, Part, Synapse, unsaid

_SATURATED, _BINS = 0.99, 50


@torch.no_grad()
def measure(
    model: nn.Module,
    data: Iterable[tuple[Tensor, Tensor | None]],
    *,
    table: CostTable = TABLES["45nm"],
) -> Account:
    """What a network costs on data, from what it really does there.

    The network runs in evaluation mode; afterwards it is in the mode it was in.

    Args:
        model: a block, backbone or network.
        data: sequences x ((B, T, D), or (B, T) tokens) and their lengths (B,), or None.
        table: what operations cost.

    Raises:
        ValueError: there are no data, or a number of a sequence is not finite.
        NotImplementedError: a neuron or a block does not say what it computes.

    >>> from spikescan.models import SDTCM, Classifier
    >>> model = Classifier(SDTCM, features=8, depth=1)
    >>> account = measure(model, [(torch.randn(2, 50, 1), None)])
    >>> account.layers[0].name, account.layers[0].spiking.macs
    ('backbone.encoder', 800)
    """
    training = model.training
    model.eval()
    try:
        with Meter(model) as meter:
            for i, (x, lengths) in enumerate(data):
                real = x.is_floating_point()
                if real and not bool(without_padding(x, lengths).isfinite().all()):
                    raise ValueError(f"data must be finite, got a number that is not in batch {i}")
                model(x, lengths=lengths)
    finally:
        model.train(training)
    return account_of(meter, table=table)


@torch.no_grad()
def assume(
    model: nn.Module, *, steps: int, rate: float, table: CostTable = TABLES["45nm"]
) -> Account:
    """What a backbone or network would cost in one sequence if all its neurons fired at one rate.

    Args:
        model: a backbone or network; of tokens or of real input, as it is made.
        steps: length of the sequence.
        rate: share of steps with a spike, of one, in every channel.
        table: what operations cost.

    Raises:
        ValueError: the rate is not in [0, 1], steps is below 1, or the model is no such model.
        NotImplementedError: a neuron or a block does not say what it computes, or the model has
            convolutions, whose spikes reach fewer places at the edge of an image.

    >>> from spikescan.models import SDTCM, Classifier
    >>> assume(Classifier(SDTCM, features=8, depth=1), steps=100, rate=0.1).layers[2].spiking.acs
    640
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"rate must be from 0 to 1, got {rate}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    body = model.backbone if isinstance(model, Network) else model
    if not isinstance(body, Backbone):
        raise ValueError(f"model must be a Backbone or a Network, got a {type(model).__name__}")
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            raise NotImplementedError(f"no cost is known of {name} at a rate: measure it on data")
    tokens = body.vocabulary is not None
    x = torch.zeros(1, 1, dtype=torch.int64) if tokens else torch.zeros(1, 1, body.inputs)
    training = model.training
    try:
        with Meter(model.eval()) as meter:
            model(x)  # tells widths and states
    finally:
        model.train(training)
    meter.steps, meter.spans = steps, {steps: 1}
    heads = {part.inputs[0]: part.heads for part in meter.parts if isinstance(part, Attention)}
    for part in meter.parts:
        if isinstance(part, Synapse):
            outputs, inputs = cast(Tensor, part.module.weight).shape
            events = round(rate * inputs * steps) * outputs
            meter.fed[part.name] = Fed(inputs * steps, events // outputs, events, events)
        elif isinstance(part, Neurons):
            width = part.module.features
            fired = torch.full((width,), round(rate * steps), dtype=torch.int64)
            count = int(fired.sum())
            seen = Fired(fired, count, width * steps, states=meter.fired[part.name].states)
            seen.over_time = torch.tensor([[count], [width * steps]])
            if part.name in heads:
                size = width // 3 // heads[part.name]
                seen.queries = count // 3
                seen.pairs = round(rate**2 * size * width / 3 * steps)
            meter.fired[part.name] = seen
    return account_of(meter, table=table)


def account_of(meter: Meter, *, table: CostTable = TABLES["45nm"]) -> Account:
    """The account of what a meter has seen; see :func:`measure`.

    Raises:
        ValueError: it has seen no step.
        NotImplementedError: a neuron or a block does not say what it computes.
    """
    if strange := unsaid(meter.model):
        raise NotImplementedError(f"no cost is known of {'; '.join(strange)}")
    if not meter.steps:
        raise ValueError("an account needs at least one step of one sequence, got none")
    readers = Counter(name for part in meter.parts for name in part.inputs)
    flows = {INPUT: Flow(meter.width, meter.steps)}
    layers: list[Layer] = []
    counted: set[int] = set()
    for part in meter.parts:
        found = cost(part, meter, flows, readers)
        flows[part.name] = found.flow
        layers.append(
            Layer(
                name=part.name,
                kind=type(part).__name__,
                width=found.flow.width,
                parameters=_parameters(part, counted),
                spiking=found.spiking,
                dense=found.dense,
                multiplied=found.multiplied,
                reads=found.reads,
                dense_reads=found.dense_reads,
                states=found.states,
                dense_states=found.dense_states,
                activity=_activity(meter.fired[part.name]) if part.name in meter.fired else None,
            )
        )
    body = meter.model.backbone if isinstance(meter.model, Network) else meter.model
    blocks = (body.features,) * len(body.blocks) if isinstance(body, Backbone) else ()
    return Account(
        layers=tuple(layers),
        sequences=meter.sequences,
        steps=meter.steps,
        table=table,
        blocks=blocks,
    )


def _parameters(part: Part, counted: set[int]) -> int:
    """Numbers that a part trains, those that several parts share once."""
    held: list[nn.Parameter] = []
    for value in vars(part).values():
        if isinstance(value, nn.Parameter):
            held.append(value)
        elif isinstance(value, nn.Module):
            held += value.parameters()
    fresh = [p for p in held if id(p) not in counted]
    counted.update(id(p) for p in fresh)
    return sum(p.numel() for p in fresh)


def _activity(fired: Fired) -> Activity:
    rates = fired.rates
    spikes = int(fired.fired.sum())
    most = fired.over_time.shape[1]
    bins = min(_BINS, most)
    edges = [most * i // bins for i in range(bins + 1)]
    shares = [fired.over_time[:, a:b].sum(1).tolist() for a, b in pairwise(edges)]
    return Activity(
        rate=spikes / max(1, fired.neuron_steps),
        mean_value=fired.total / spikes if spikes else 0.0,
        silent=int((fired.fired == 0).sum()),
        saturated=int((rates >= _SATURATED).sum()),
        channel_rates=tuple(rates.tolist()),
        over_time=tuple(now / max(1, possible) for now, possible in shares),
    )
