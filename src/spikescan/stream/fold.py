"""From a trained network to a program."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from spikescan.models import Backbone, BatchNorm, Block, Head, Network, SpikeLinear, SteadyLinear
from spikescan.models.walk import (
    INPUT,
    Affine,
    Dense,
    Map,
    Neurons,
    Norm,
    Part,
    Pool,
    Scan,
    Sum,
    Synapse,
    unsaid,
    walk,
)
from spikescan.stream import records
from spikescan.stream.neurons import Evaluation, Refused, neuron_records, scan_record
from spikescan.stream.program import Program


class CannotFold(ValueError):
    """A network has parts that no program expresses; the message lists all of them."""


@torch.no_grad()
def fold(
    model: Network | Backbone | Block | Head, *, evaluation: Evaluation | None = None
) -> Program:
    """Fold a trained network into a program, as it is in evaluation.

    Normalisation by batch statistics, gains, the size of spikes, time steps and input scales go
    into weights and thresholds; dropout does nothing. The program's predictions are those of
    ``model.eval()``; its spikes may differ where a membrane is within rounding of its threshold,
    as a folded number is rounded otherwise than the product of its factors. A network in half
    precision becomes a program in float32, whose spikes are those of its weights without further
    rounding. Masks that are applied before each call, such as those of pruning, are in the weights;
    a hook that changes what a linear layer gives is refused, one of another module is not seen.

    Args:
        model: a network, or a part of one that says its own order.
        evaluation: what neurons that fire at random do, "sample" or "mean"; None is what each of
            them says. See :class:`spikescan.SpikeSampler`.

    Raises:
        CannotFold: parts cannot be folded; all of them are named.
        TypeError: the model is of another type.
        ValueError: ``evaluation`` is none of these.

    >>> from spikescan.models import SDTCM, Classifier
    >>> for record in fold(Classifier(SDTCM, features=8, depth=1)):
    ...     print(type(record).__name__, record.name, *record.inputs)
    Dense backbone.encoder input
    PRF backbone.blocks.0.temporal backbone.encoder
    Synapse backbone.blocks.0.time_mixer backbone.blocks.0.temporal
    Residual backbone.blocks.0.after_time backbone.encoder backbone.blocks.0.time_mixer
    Spatial backbone.blocks.0.spatial backbone.blocks.0.after_time
    Synapse backbone.blocks.0.channel_mixer backbone.blocks.0.spatial
    Residual backbone.blocks.0.after_channel backbone.blocks.0.after_time \
backbone.blocks.0.channel_mixer
    Mean head.mean backbone.blocks.0.after_channel
    Dense head.linear head.mean
    """
    if not isinstance(model, Network | Backbone | Block | Head):
        raise TypeError(f"model must be a network or a part of one, got a {type(model).__name__}")
    if evaluation not in (None, "sample", "mean"):
        raise ValueError(f"evaluation must be 'sample', 'mean' or None, got {evaluation!r}")
    backbone = model.backbone if isinstance(model, Network) else model
    inputs = backbone.inputs if isinstance(backbone, Backbone) else backbone.features
    vocabulary = backbone.vocabulary if isinstance(backbone, Backbone) else None
    folding = _Folding(evaluation, inputs if vocabulary is None else 1)
    folding.refused += unsaid(model)
    for part in walk(model):
        folding.add(part)
    if folding.refused:
        raise CannotFold("cannot fold " + "; ".join(folding.refused))
    made = _merged(folding.made, folding.names[walk(model)[-1].name])
    return Program(tuple(map(_rounded, made)), folding.inputs, vocabulary)


class _Folding:
    """Records in float64, while they are made."""

    def __init__(self, evaluation: Evaluation | None, inputs: int) -> None:
        self.evaluation: Evaluation | None = evaluation
        self.inputs = inputs
        self.made: list[records.Record] = []
        self.names = {INPUT: INPUT}
        """Record that has the value of each part."""
        self.widths = {INPUT: inputs}
        self.refused: list[str] = []
        self.keys = 0

    def add(self, part: Part) -> None:
        source, *_ = part.inputs
        self.names[part.name] = part.name
        self.widths[part.name] = self.widths[source]
        try:
            new = self._records(part, tuple(self.names[name] for name in part.inputs))
        except Refused as why:
            self.refused.append(f"{part.name} ({why})")
            return
        for record in new:
            if isinstance(record, records.Draw) and record.evaluation == "sample":
                record = replace(record, key=self.keys)
                self.keys += 1
            self.made.append(record)
        if new:
            self.widths[part.name] = new[-1].width
        else:
            self.names[part.name] = self.names[source]

    def _records(self, part: Part, sources: tuple[str, ...]) -> list[records.Record]:
        width = self.widths[part.inputs[0]]
        given = (part.name, sources, width)
        match part:
            case Dense(module=nn.Embedding() as module):
                return [records.Lookup(*given[:2], module.embedding_dim, _wide(module.weight))]
            case Dense():
                weight, bias = _linear(part.module)
                return [records.Dense(*given[:2], len(weight), weight, bias)]
            case Synapse():
                weight, bias = _linear(part.module)
                kind, levels = self._fires(sources[0])
                return [records.Synapse(*given[:2], len(weight), weight, bias, kind, levels)]
            case Neurons(backwards=True):
                raise Refused("it runs backwards in time")
            case Neurons():
                return neuron_records(part.module, part.name, sources[0], self.evaluation)
            case Scan():
                return [scan_record(part.module, part.name, sources[0], part.skip)]
            case Norm(module=BatchNorm() as module):
                return [records.Affine(*given, *_statistics(module))]
            case Affine():
                return [records.Affine(*given, _wide(part.gain), _wide(part.bias))]
            case Map(function="gelu"):
                return [records.Gelu(*given)]
            case Sum():
                return [records.Residual(*given)]
            case Pool(over="mean"):
                return [records.Mean(*given)]
            case Pool(over="last"):
                return []  # of the steps so far the last is the present one
            case Pool(over="window"):
                raise Refused(f"each step would read a window of {part.steps} steps")
            case Norm():
                raise Refused(f"no records for {type(part.module).__name__}")
            case _:
                raise Refused(f"no records for parts of type {type(part).__name__}")

    def _fires(self, source: str) -> tuple[Any, int]:
        """What a synapse's source gives, and its largest whole number."""
        found = next((r for r in self.made if r.name == source), None)
        match found:
            case records.DSN(levels=levels) if levels > 1:
                return "whole", levels
            case records.Draw(evaluation="mean"):
                return "real", 1
            case record if isinstance(record, records.FIRES):
                return "binary", 1
            case _:
                return "real", 1


def _wide(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", torch.float64)


def _linear(module: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias of a linear layer that computes what its class says."""
    plain = (nn.Linear.forward, SpikeLinear.forward, SteadyLinear.forward)
    if not isinstance(module, nn.Linear) or type(module).forward not in plain:
        raise Refused(f"no records for products of type {type(module).__name__}")
    _require_own(module)
    weight = module.matrix if isinstance(module, SpikeLinear) else module.weight
    bias = module.bias
    return _wide(weight), torch.zeros(len(weight)).double() if bias is None else _wide(bias)


def _require_own(module: nn.Linear) -> None:
    """Refuse a layer that gives another result when called than its class computes.

    To call it lets what writes its weight before each call, such as a pruning mask, write it now.
    """
    x = torch.ones(1, module.in_features, dtype=module.weight.dtype, device=module.weight.device)
    called, own = module(x), type(module).forward(module, x)
    # Numbers that are not finite are named later, by their record.
    if not torch.is_tensor(called) or not torch.allclose(called, own, 0, 0, equal_nan=True):
        raise Refused("a hook, or a forward of its own, changes what it computes")


def _statistics(norm: BatchNorm) -> tuple[Tensor, Tensor]:
    """Gain and bias of batch normalisation by its running statistics."""
    inner = norm.inner
    if inner.running_mean is None or not inner.affine:
        raise Refused("no records for batch normalisation without running statistics or weights")
    mean, var = (_wide(cast(Tensor, t)) for t in (inner.running_mean, inner.running_var))
    gain = _wide(inner.weight) / torch.sqrt(var + inner.eps)
    return gain, _wide(inner.bias) - mean * gain


def _merged(made: list[records.Record], output: str) -> list[records.Record]:
    """Records without the gains that a neighbouring product, table or gain takes in."""
    i = 0
    while i < len(made):
        record = made[i]
        merged = _merge(made, i, output) if isinstance(record, records.Affine) else None
        if merged is None:
            i += 1
            continue
        gone, stays = merged
        output = stays if output == gone else output
        made = [
            replace(r, inputs=tuple(stays if name == gone else name for name in r.inputs))
            for r in made
            if r.name != gone
        ]
        i = 0
    return made


def _merge(made: list[records.Record], i: int, output: str) -> tuple[str, str] | None:
    """Put the gain at place i into a neighbour; its name, and who has its value or its input."""
    affine = cast(records.Affine, made[i])
    (source,) = affine.inputs
    before = next((k for k, r in enumerate(made) if r.name == source), None)
    if before is not None and sum(source in r.inputs for r in made) == 1 and source != output:
        new = _scaled(made[before], affine)
        if new is not None:
            made[before] = new
            return affine.name, source
    readers = [k for k, r in enumerate(made) if affine.name in r.inputs]
    if len(readers) == 1 and affine.name != output:
        reader = made[readers[0]]
        if isinstance(reader, records.Dense):
            made[readers[0]] = replace(
                reader,
                weight=reader.weight * affine.gain,
                bias=reader.bias + reader.weight @ affine.bias,
            )
            return affine.name, source
    return None


def _scaled(record: records.Record, by: records.Affine) -> records.Record | None:
    """A record with a gain and a bias in its own numbers, None where it has none for them."""
    match record:
        case records.Dense() | records.Synapse():
            weight, bias = record.weight * by.gain[:, None], record.bias * by.gain + by.bias
            return replace(record, weight=weight, bias=bias)
        case records.Lookup():
            return replace(record, table=record.table * by.gain + by.bias)
        case records.Affine():
            return replace(record, gain=record.gain * by.gain, bias=record.bias * by.gain + by.bias)
        case _:
            return None


def _rounded(record: records.Record) -> records.Record:
    """The record with its numbers in float32, too small ones zero.

    Raises:
        CannotFold: a number is not finite.
    """
    new: dict[str, Tensor] = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, Tensor):
            narrow = value.to(torch.float32).contiguous()
            if not bool(narrow.isfinite().all()):
                raise CannotFold(f"cannot fold {record.name} ({field.name} is not finite)")
            # Nor is there a negative zero: sums that skip it would tell.
            new[field.name] = torch.where(narrow.abs() < records.SMALL, 0.0, narrow)
    return replace(record, **new)
