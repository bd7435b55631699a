"""SpikingJelly 2.

Its layout is (T, N), contiguous in time first, and on a CPU its multi-step mode takes it apart with
one ``unbind``: of its implementations only the torch one runs there; ``torch.compile`` unrolls the
loop over time and does not end for thousands of steps. On a GPU it has fused kernels of its own,
compiled CUDA or Triton; ``SJ_LIF_CUDA_IMPLEMENTATION`` chooses when it is imported.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from spikescan.bench.case import Outputs, Run, Shape
from spikescan.bench.inputs import differentiate, leaf, time_first


def lif_node(shape: Shape) -> Run:
    """``LIFNode``, what its users call, set up as our LIF and for speed.

    * ``step_mode="m"``: the whole sequence in one call.
    * ``decay_input=False``: u = v - v / tau + x, two operations fewer than the other mode.
    * ``v_reset=None``: the soft reset; one operation, where the hard reset takes three.
    * ``detach_reset=True``: no gradient through the reset, so no graph of it either.
    * ATan with alpha 2, as ours; ``reset_net`` before each call is what forgets the last state.
    """
    layer = lif_layer(shape.device)
    x, g = _flat(shape)

    def run() -> Outputs:
        return _ours(differentiate(layer(x), g, (x,)), shape)

    return run


def lif_layer(device: str = "cpu") -> Callable[[Tensor], Tensor]:
    """The same for sequences (T, ...), from rest at each call."""
    neuron, functional, surrogate = _modules()
    node = neuron.LIFNode(
        tau=2.0,
        decay_input=False,
        v_threshold=1.0,
        v_reset=None,
        surrogate_function=surrogate.ATan(2.0),
        detach_reset=True,
        step_mode="m",
    ).to(device)

    def layer(x: Tensor) -> Tensor:
        functional.reset_net(node)
        return node(x)

    return layer


def lif_operators(shape: Shape) -> Run:
    """Its registered operators ``sj_lif::forward`` and ``sj_lif::backward``, called directly.

    On the CPU ``LIFNode`` records the loop for autograd. The library also has a backward pass
    written by hand, registered as an operator but not reached from there. Joined to the forward
    operator it is faster, so it competes too, although no public class of the library runs it.
    """
    _modules()  # registers the operators
    operators = torch.ops.sj_lif
    # tau, decay_input, threshold, v_reset, detach_reset, alpha, store_v_seq, surrogate (ATan)
    options = (2.0, False, 1.0, None, True, 2.0, False, 1)
    x, g = _flat(shape)
    rest = x.new_zeros(x.shape[1])

    class Pass(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            spikes, _, membrane = operators.forward(x, rest, *options)
            ctx.save_for_backward(membrane)
            return spikes

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> Tensor:
            (membrane,) = ctx.saved_tensors
            return operators.backward(grads[0], rest, membrane, *options)[0]

    def run() -> Outputs:
        return _ours(differentiate(Pass.apply(x), g, (x,)), shape)  # type: ignore[arg-type]

    return run


def psn(shape: Shape) -> Run:
    """``PSN``: one product with a learned T x T matrix, of input (T, B, D).

    There is nothing to set but the surrogate. It is the fastest of its family on long sequences:
    the sliding one fills its T x T matrix in a Python loop over T before the same product.
    """
    neuron, _, surrogate = _modules()
    node = neuron.PSN(T=shape.steps, surrogate_function=surrogate.ATan(2.0)).to(shape.device)
    x, g = time_first(shape)
    leaves = (x, node.weight, node.bias)

    def run() -> Outputs:
        return differentiate(node(x), g, leaves)

    return run


def _modules() -> tuple[Any, Any, Any]:
    """Its modules ``neuron``, ``functional`` and ``surrogate``."""
    # Without a GPU's compiler, importing them logs a warning that says nothing here.
    logging.getLogger("torch._library.triton").setLevel(logging.ERROR)
    neuron, functional, surrogate = (
        importlib.import_module(f"spikingjelly.activation_based.{name}")
        for name in ("neuron", "functional", "surrogate")
    )
    return neuron, functional, surrogate


def _flat(shape: Shape) -> tuple[Tensor, Tensor]:
    """Input and gradient as (T, B D)."""
    x, g = time_first(shape)
    return leaf(x.flatten(1)), g.flatten(1)


def _ours(outputs: Outputs, shape: Shape) -> Outputs:
    """(T, B D) viewed as (B, T, D)."""
    size = (shape.steps, shape.batch, shape.features)
    return tuple(t.view(size).transpose(0, 1) for t in outputs)
