"""Truncated backpropagation through time: train on sequences that are too long for one graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

from torch import Tensor, nn
from torch.utils import _pytree as pytree

S = TypeVar("S")


class Chunk(NamedTuple):
    """One chunk of a run, from :func:`run_in_chunks`."""

    out: Any
    """What the model gave for these steps, with its graph."""
    where: slice
    """Which steps of the sequence these are."""
    state: Any
    """State after the chunk, without graph: what the next chunk starts from."""


def detach_state(state: S) -> S:
    """The same state without its graph: tensors in nested tuples, lists and dicts are detached.

    Raises:
        TypeError: the state holds something else than tensors, tuples, lists, dicts, numbers and
            None.

    >>> import torch
    >>> from spikescan import LIFState
    >>> detach_state((LIFState(torch.ones(1, 2, requires_grad=True) * 2), None))
    (LIFState(v=tensor([[2., 2.]])), None)
    """
    return pytree.tree_map(_detach, state)


def _detach(leaf: object) -> object:
    if isinstance(leaf, Tensor):
        return leaf.detach()
    if leaf is None or isinstance(leaf, (bool, int, float)):
        return leaf
    raise TypeError(
        "state must be made of tensors, tuples, lists, dicts, numbers and None, got a "
        f"{type(leaf).__name__} in it"
    )


def run_in_chunks(
    model: nn.Module,
    x: Tensor,
    chunk: int,
    state: Any = None,
    lengths: Tensor | None = None,
) -> Iterator[Chunk]:
    r"""Run ``model`` over x chunk by chunk, carrying the state and cutting the gradient between.

    .. math::
        \mathrm{out}_i, h_i = \mathrm{model}(x_i, \operatorname{detach}(h_{i-1})), \qquad i = 1..n

    Outputs are those of one run over all of x; the gradient of each chunk's loss goes back to the
    chunk's first step and no further. Call ``backward`` on it before the next chunk: then the graph
    of one chunk is all that is alive, and memory does not grow with the number of chunks. An output
    that you keep without a ``backward`` keeps its graph.

    With ``chunk`` at least T this is plain backpropagation through time. The length of the chunks
    bounds how far back a dependency can be learned, though not how far back it is remembered: the
    state still carries all of the past.

    Args:
        model: any causal neuron, block or network of the library.
        x: data (B, T, ...), which must not come from a graph of its own: each chunk would go back
            through all of that.
        chunk: steps of each chunk; the last may be shorter.
        state: state before the first step; its graph is cut too. None is rest.
        lengths: number of valid steps of each row (B,), as the model takes them.

    Yields:
        Each :class:`Chunk`: its output, its place in the sequence, the state after it.

    Raises:
        ValueError: ``chunk`` is below 1, x has no time axis or comes from a graph.
        TypeError: the state holds what cannot be detached.

    Batch normalisation in training takes its statistics from each chunk. Source: Williams and Peng
    1990, An efficient gradient-based algorithm for on-line training of recurrent network
    trajectories; here with the chunk both as the interval between updates and as the depth.

    >>> import torch
    >>> from spikescan.models import SDTCM
    >>> model, x = SDTCM(4, norm="layer"), torch.randn(2, 1000, 4)
    >>> for out, where, state in run_in_chunks(model, x, chunk=256):
    ...     ((out - x[:, where]) ** 2).mean().backward()
    >>> where
    slice(768, 1000, None)
    """
    if chunk < 1:
        raise ValueError(f"chunk must be at least 1, got {chunk}")
    if x.ndim < 2:
        raise ValueError(f"x must have shape (B, T, ...), got {tuple(x.shape)}")
    if x.grad_fn is not None:
        raise ValueError("x must be data, got a tensor with a graph of its own; detach it")
    return _chunks(model, x, chunk, state, lengths)


def _chunks(
    model: nn.Module, x: Tensor, chunk: int, state: Any, lengths: Tensor | None
) -> Iterator[Chunk]:
    state = detach_state(state)
    for first in range(0, x.shape[1], chunk):
        where = slice(first, min(first + chunk, x.shape[1]))
        piece = x[:, where]
        if lengths is None:
            out, state = model(piece, state)
        else:
            left = (lengths - first).clamp(0, piece.shape[1])
            out, state = model(piece, state, lengths=left)
        state = detach_state(state)
        yield Chunk(out, where, state)
