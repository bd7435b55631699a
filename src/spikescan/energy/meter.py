"""Counts of what a network does while it runs: spikes, and what products of spikes are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from spikescan.models import walk
from spikescan.models.blocks.base import reverse_time
from spikescan.models.walk import Attention, Dense, Neurons, Part, Synapse


@dataclass
class Fed:
    """What a product was given, over all valid steps; whole numbers, exact."""

    elements: int = 0
    """Numbers."""
    nonzero: int = 0
    """Those that are not zero."""
    events: int = 0
    """Sum over those that are not zero of the outputs each of them reaches."""
    driven: int = 0
    """The same sum, each counted as often as its value says: additions. Only of whole numbers."""
    whole: bool = True
    """Whether all are whole and not negative: spikes."""
    lanes: int = 1
    """Places of an image that share the weights."""


@dataclass
class Fired:
    """What a layer of neurons said, over all valid steps; whole numbers, exact."""

    fired: Tensor
    """(D,) int64, steps with a spike of each channel."""
    total: float = 0.0
    """Sum of all spikes' values."""
    neuron_steps: int = 0
    """Neurons times steps, places of an image apart."""
    lanes: int = 1
    """Places of an image: neurons that share their parameters."""
    states: int = 0
    """Numbers that one row carries from step to step."""
    over_time: Tensor = field(default_factory=lambda: torch.zeros(2, 0, dtype=torch.int64))
    """(2, T) int64: neurons that fired at each step, and those that could."""
    pairs: int = 0
    """Of queries, keys and values: keys and values of a head that fire together."""
    queries: int = 0
    """Of queries, keys and values: queries that fire."""

    @property
    def rates(self) -> Tensor:
        """Share of steps with a spike (D,) float64."""
        return self.fired.double() / max(1, self.neuron_steps // max(1, len(self.fired)))


class Meter:
    """Counts what a network does in every call, while it is entered.

    >>> from spikescan.models import SDTCM, Classifier
    >>> model = Classifier(SDTCM, features=8, depth=1).eval()
    >>> with Meter(model) as meter:
    ...     _ = model(torch.randn(2, 50, 1))
    >>> meter.sequences, meter.steps
    (2, 100)

    Args:
        model: a block, backbone or network; the calls have ``lengths`` by name, or none.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.parts: list[Part] = walk(model)
        self.sequences = 0
        self.steps = 0
        """Valid steps of all sequences."""
        self.width = 1
        """Numbers of a step of the input."""
        self.fed: dict[str, Fed] = {}
        self.fired: dict[str, Fired] = {}
        self.spans: dict[int, int] = {}
        """For each number of steps, sequences of that many."""
        self._valid: Tensor | None = None
        self._ends: Tensor | None = None
        self._rows = 0
        self._hooks: list[RemovableHandle] = []

    def __enter__(self) -> Meter:
        add = self._hooks.append
        add(self.model.register_forward_pre_hook(self._begin, with_kwargs=True))
        sums = [p for p in self.parts if isinstance(p, Attention) and p.kind == "sums"]
        heads = {part.inputs[0]: part.heads for part in sums}
        hooks: dict[nn.Module, list[Callable[..., None]]] = {}
        for part in self.parts:
            match part:
                case Neurons():
                    hook = self._spikes(part.name, part.backwards, heads.get(part.name, 0))
                    hooks.setdefault(part.module, []).append(hook)
                case Dense() | Synapse():
                    hooks.setdefault(part.module, []).append(self._product(part.name))
                case _:
                    pass
        for module, turns in hooks.items():
            add(module.register_forward_hook(_in_turn(turns)))
        return self

    def __exit__(self, *_: object) -> None:
        while self._hooks:
            self._hooks.pop().remove()

    def _begin(self, _: nn.Module, given: tuple[Any, ...], options: dict[str, Any]) -> None:
        x: Tensor = given[0] if given else options["x"]
        lengths = options.get("lengths", given[2] if len(given) > 2 else None)
        rows, total = x.shape[:2]
        self._rows = rows
        self.width = x.shape[-1] if x.is_floating_point() else 1
        spans = [total] * rows if lengths is None else torch.as_tensor(lengths).tolist()
        self._valid = self._ends = None
        if lengths is not None:
            self._ends = torch.as_tensor(lengths, device=x.device)
            self._valid = torch.arange(total, device=x.device) < self._ends[:, None]
        self.sequences += rows
        self.steps += sum(spans)
        for span in spans:
            self.spans[span] = self.spans.get(span, 0) + 1

    @torch.no_grad()
    def _count(self, name: str, x: Tensor, out: Tensor, module: nn.Module) -> None:
        seen = self.fed.setdefault(name, Fed())
        if not x.is_floating_point():  # tokens
            seen.elements += x.numel() if self._valid is None else int(self._valid.sum())
            seen.whole = False
            return
        if isinstance(module, nn.Conv2d):
            seen.lanes = out.shape[-1] * out.shape[-2]
            if self._valid is not None:
                x = x[self._valid.flatten()]
        elif self._valid is not None and x.ndim == 3:
            x = x[self._valid]
        there = x != 0
        spikes = int(there.sum())
        seen.elements += x.numel()
        seen.nonzero += spikes
        whole = bool(((x >= 0) & (x == x.round())).all())
        seen.whole &= whole
        values = x.double() if whole else there.double()
        if isinstance(module, nn.Conv2d):
            seen.events += _reached(there.double(), module)
            seen.driven += _reached(values, module)
        else:
            outputs = out.shape[-1]
            seen.events += spikes * outputs
            seen.driven += round(float(values.sum())) * outputs

    def _product(self, name: str) -> Callable[..., None]:
        return lambda module, given, out: self._count(name, given[0], out, module)

    def _spikes(self, name: str, backwards: bool, heads: int) -> Callable[..., None]:
        @torch.no_grad()
        def count(module: nn.Module, _: Any, result: tuple[Tensor, Any]) -> None:
            spikes, state = result
            rows, total, features = spikes.shape
            seen = self.fired.get(name)
            if seen is None:
                seen = self.fired[name] = Fired(torch.zeros(features, dtype=torch.int64))
            lanes = seen.lanes = rows // max(1, self._rows)
            there = spikes != 0
            seen.fired += there.sum((0, 1)).cpu()
            seen.total += float(spikes.sum(dtype=torch.float64))
            valid = self._valid
            possible = torch.full((total,), self._rows) if valid is None else valid.sum(0).cpu()
            seen.neuron_steps += int(possible.sum()) * lanes * features
            if backwards:
                there = reverse_time(there, self._ends)
            now = torch.stack((there.sum((0, 2)).cpu(), possible * lanes * features))
            longest = max(total, seen.over_time.shape[1])
            before, now = (F.pad(z, (0, longest - z.shape[1])) for z in (seen.over_time, now))
            seen.over_time = before + now
            seen.states = _numbers(state) // max(1, self._rows)
            if heads:
                q, k, v = (z.unflatten(-1, (heads, -1)) for z in there.chunk(3, -1))
                seen.queries += int(q.sum())
                seen.pairs += int((k.sum(-1) * v.sum(-1)).sum())

        return count


def _numbers(state: object) -> int:
    """Real numbers in a state, which is made of tensors, tuples and None."""
    if isinstance(state, tuple):
        return sum(map(_numbers, cast("tuple[object, ...]", state)))
    return state.numel() if isinstance(state, Tensor) and state.is_floating_point() else 0


def _in_turn(hooks: list[Callable[..., None]]) -> Callable[..., None]:
    """One hook for each call: a module that is several parts is called in the order of these."""
    turn = cycle(hooks)
    return lambda *given: next(turn)(*given)


def _reached(x: Tensor, conv: nn.Conv2d) -> int:
    """Sum over all elements of their value times the outputs that they reach."""
    ones = x.new_ones(1, 1, *conv.kernel_size)
    many = F.conv2d(
        x.sum(1, keepdim=True),
        ones,
        stride=cast("tuple[int, int]", conv.stride),
        padding=cast("tuple[int, int]", conv.padding),
    )
    return round(float(many.sum())) * conv.out_channels
