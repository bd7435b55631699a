"""A network as a typed list of what it computes: what counts, folds and reports it reads.

Blocks, backbones, heads and networks say their own order in ``parts``, with a :class:`Trail`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, cast

from torch import Tensor, nn

from spikescan.models.norm import NoNorm
from spikescan.neurons import Neuron, StateSpace

INPUT = "input"
"""Name of what a network is given."""


@dataclass(frozen=True)
class Part:
    """One computation: its output has a name, by which later parts read it."""

    name: str
    """Path of its module in the walked model; of what has none, that of its block and a word."""
    inputs: tuple[str, ...]
    """Names of the parts that it reads, or :data:`INPUT`."""


@dataclass(frozen=True)
class Dense(Part):
    """A product of real numbers: a Linear, an Embedding or a convolution."""

    module: nn.Module


@dataclass(frozen=True)
class Synapse(Part):
    """A product of spikes: nothing is added where none comes."""

    module: nn.Module


@dataclass(frozen=True)
class Neurons(Part):
    """A layer of neurons; ``backwards`` ones run from the end of the sequence to its start."""

    module: Neuron
    backwards: bool = False


@dataclass(frozen=True)
class Scan(Part):
    """A linear state-space layer, with its direct path S (D,) if there is one."""

    module: StateSpace
    skip: Tensor | None


@dataclass(frozen=True)
class Gated(Part):
    """A gated recurrent unit."""

    module: nn.Module


@dataclass(frozen=True)
class Attention(Part):
    """Attention to the past of queries, keys and values, which its input holds side by side.

    "sums" is the mean over the past without softmax, "softmax" over the last ``window`` steps.
    """

    kind: Literal["sums", "softmax"]
    heads: int
    window: int | None = None


@dataclass(frozen=True)
class Norm(Part):
    """A normalisation."""

    module: nn.Module


@dataclass(frozen=True)
class Affine(Part):
    """A gain and a bias (D,) of each channel, a ⊙ x + b."""

    gain: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Map(Part):
    """A function of each element; "glu" halves the channels."""

    function: Literal["gelu", "glu"]


@dataclass(frozen=True)
class View(Part):
    """The channels of a step as an image (channels, height, width), or the image as channels."""

    image: tuple[int, int, int] | None


@dataclass(frozen=True)
class Sum(Part):
    """The sum of its inputs: a residual connection."""


@dataclass(frozen=True)
class Join(Part):
    """Its inputs side by side, along the channels."""


@dataclass(frozen=True)
class Pool(Part):
    """One vector for the sequence so far: the mean over its steps, the last, or the last ones of a
    window, end to end."""

    over: Literal["mean", "last", "window"]
    steps: int = 1
    """Length of the window."""


class Walkable(Protocol):
    """What says its own order: blocks, backbones, heads and networks."""

    def parts(self, trail: Trail, x: str) -> str: ...


class Trail:
    """The list of parts while it is made, seen from one module.

    Each method adds a part, named by an attribute of the module or by a word, that reads what it is
    told to; it returns the part's name.
    """

    def __init__(self, module: nn.Module, path: str, found: list[Part]) -> None:
        self._module, self._path, self._found = module, path, found

    def into(self, attribute: str) -> Trail:
        """The trail seen from a module inside."""
        return Trail(self._get(attribute), self._name(attribute), self._found)

    def follow(self, attribute: str, x: str) -> str:
        """All parts of a module inside that says its own order."""
        inner = self.into(attribute)
        return cast(Walkable, inner._module).parts(inner, x)

    def dense(self, attribute: str, x: str) -> str:
        return self._add(Dense(self._name(attribute), (x,), self._get(attribute)))

    def synapse(self, attribute: str, s: str) -> str:
        return self._add(Synapse(self._name(attribute), (s,), self._get(attribute)))

    def neurons(self, attribute: str, x: str, *, backwards: bool = False) -> str:
        module = cast(Neuron, self._get(attribute))
        return self._add(Neurons(self._name(attribute), (x,), module, backwards))

    def scan(self, attribute: str, x: str, skip: Tensor | None = None) -> str:
        module = cast(StateSpace, self._get(attribute))
        return self._add(Scan(self._name(attribute), (x,), module, skip))

    def gated(self, attribute: str, x: str) -> str:
        return self._add(Gated(self._name(attribute), (x,), self._get(attribute)))

    def attention(
        self,
        word: str,
        x: str,
        *,
        kind: Literal["sums", "softmax"],
        heads: int,
        window: int | None = None,
    ) -> str:
        return self._add(Attention(self._name(word), (x,), kind, heads, window))

    def norm(self, attribute: str, x: str) -> str:
        """A normalisation; where there is none, x itself."""
        module = self._get(attribute)
        if isinstance(module, NoNorm):
            return x
        return self._add(Norm(self._name(attribute), (x,), module))

    def affine(self, word: str, x: str, gain: Tensor, bias: Tensor) -> str:
        return self._add(Affine(self._name(word), (x,), gain, bias))

    def map(self, function: Literal["gelu", "glu"], x: str) -> str:
        return self._add(Map(self._name(function), (x,), function))

    def view(self, word: str, x: str, image: tuple[int, int, int] | None) -> str:
        return self._add(View(self._name(word), (x,), image))

    def sum(self, word: str, *xs: str) -> str:
        return self._add(Sum(self._name(word), xs))

    def join(self, word: str, *xs: str) -> str:
        return self._add(Join(self._name(word), xs))

    def pool(self, over: Literal["mean", "last", "window"], x: str, steps: int = 1) -> str:
        return self._add(Pool(self._name(over), (x,), over, steps))

    def _get(self, attribute: str) -> nn.Module:
        return self._module.get_submodule(attribute)

    def _name(self, word: str) -> str:
        return f"{self._path}.{word}" if self._path else word

    def _add(self, part: Part) -> str:
        self._found.append(part)
        return part.name


def walk(model: nn.Module) -> list[Part]:
    """The parts of a block, backbone, head or network in the order in which they are computed.

    Dropout, which does nothing at inference, is left out. The last part gives the output.

    >>> from spikescan.models import SDTCM, Classifier
    >>> for part in walk(Classifier(SDTCM, features=8, depth=1)):
    ...     print(type(part).__name__, part.name, *part.inputs)
    Dense backbone.encoder input
    Neurons backbone.blocks.0.temporal backbone.encoder
    Synapse backbone.blocks.0.time_mixer backbone.blocks.0.temporal
    Norm backbone.blocks.0.norm_time backbone.blocks.0.time_mixer
    Sum backbone.blocks.0.after_time backbone.encoder backbone.blocks.0.norm_time
    Neurons backbone.blocks.0.spatial backbone.blocks.0.after_time
    Synapse backbone.blocks.0.channel_mixer backbone.blocks.0.spatial
    Norm backbone.blocks.0.norm_channel backbone.blocks.0.channel_mixer
    Sum backbone.blocks.0.after_channel backbone.blocks.0.after_time backbone.blocks.0.norm_channel
    Pool head.mean backbone.blocks.0.after_channel
    Dense head.linear head.mean
    """
    found: list[Part] = []
    cast(Walkable, model).parts(Trail(model, "", found), INPUT)
    return found


def unsaid(model: nn.Module) -> list[str]:
    """What computes otherwise than the walk says, in words: modules of a class that has a
    ``forward`` of its own and the ``parts`` of another one."""
    found: list[str] = []
    modules = cast("Iterator[tuple[str, nn.Module]]", model.named_modules())
    for name, module in modules:
        kind = type(module)
        if _says(kind, "forward") < _says(kind, "parts"):
            found.append(
                f"{name or 'the model'} ({kind.__name__} has a forward of its own and no parts)"
            )
    return found


def _says(kind: type, method: str) -> int:
    """How far up the class is that has the method, -1 where none has."""
    return next((i for i, c in enumerate(kind.__mro__) if method in vars(c)), -1)
