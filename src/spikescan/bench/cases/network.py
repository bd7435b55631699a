"""A training step of a whole network against its matrix products alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from spikescan.bench.case import (
    OURS,
    Case,
    Contender,
    Goal,
    Outputs,
    Run,
    Runs,
    Shape,
    Wrong,
    within,
)
from spikescan.bench.compare import relative_error
from spikescan.bench.inputs import PAPER_PRF
from spikescan.bench.peers import loops
from spikescan.models import (
    SDTCM,
    BatchNorm,
    Block,
    Classifier,
    GRUBlock,
    PSpikeSSM,
    S4DBlock,
    SpikingSSM,
    TransformerBlock,
    parameter_groups,
)
from spikescan.neurons import DSN, PRF
from spikescan.ops.surrogate import ATan

PRODUCTS, KEPT = "its matrix products", "its matrix products, kept memory"
MIXED = "spikescan, bf16-mixed"
DEPTH, CLASSES = 2, 10
THRESHOLD = 0.05
"""Low enough that untrained temporal neurons fire as trained ones do: at some ten percent of the
steps, so that what is gained from sparse spikes is what a training run gains."""


MIXING = partial(SDTCM, neuron=partial(PAPER_PRF, threshold=THRESHOLD))
"""The block of the case against matrix products."""
WITH_DSN, RANDOM = "spiking SSM with DSN", "P-SpikeSSM"
BLOCKS: dict[str, Callable[[int], Block]] = {
    OURS: MIXING,
    WITH_DSN: partial(SpikingSSM, neuron=partial(DSN, alpha_start=0.9)),
    RANDOM: PSpikeSSM,
    "S4D, not spiking": S4DBlock,
    "GRU, not spiking": GRUBlock,
    "Transformer, not spiking": TransformerBlock,
}


def network(shape: Shape, block: Callable[[int], Block] = MIXING) -> Classifier:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        return Classifier(block, inputs=1, classes=CLASSES, features=shape.features, depth=DEPTH)


def batch(shape: Shape) -> tuple[Tensor, Tensor]:
    """Sequences (B, T, 1) and labels (B,)."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape.batch, shape.steps, 1, generator=generator)
    return x, torch.randint(CLASSES, (shape.batch,), generator=generator)


def training_step(
    shape: Shape, *, block: Callable[[int], Block] = MIXING, mixed: bool = False
) -> Run:
    """Forward, loss, backward, optimizer; at rate zero, so that each step is the same work."""
    model = network(shape, block)
    groups = parameter_groups(model, lr=0.0, neuron_lr=0.0, weight_decay=0.01)
    optimizer = torch.optim.AdamW(groups)
    x, labels = batch(shape)

    def run() -> Outputs:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            logits, _ = model(x)
            loss = F.cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        return (logits.detach().float(),)

    return run


def products(shape: Shape, *, keep: bool = False) -> Run:
    """The products of encoder, mixers and head: forward, weight gradient, input gradient.

    Results go to fresh tensors, as those of layers do; with ``keep`` to memory already held, which
    no layer can do. The network's input needs no gradient.
    """
    rows, width = shape.batch * shape.steps, shape.features
    x, hidden, mean = (
        torch.randn(rows, 1),
        torch.randn(rows, width),
        torch.randn(shape.batch, width),
    )
    back, back_out = torch.randn(rows, width), torch.randn(shape.batch, CLASSES)
    w_in, w, w_out = torch.randn(width, 1), torch.randn(width, width), torch.randn(CLASSES, width)
    mixer = [(hidden, w.t()), (back.t(), hidden), (back, w)]
    pairs = [(x, w_in.t()), *mixer * (2 * DEPTH), (back.t(), x)]
    pairs += [(mean, w_out.t()), (back_out.t(), mean), (back_out, w_out)]
    memory = {(len(a), b.shape[1]): torch.empty(len(a), b.shape[1]) for a, b in pairs}

    def run() -> Outputs:
        for a, b in pairs:
            if keep:
                torch.mm(a, b, out=memory[len(a), b.shape[1]])
            else:
                torch.mm(a, b)
        return ()

    return run


def kept_products(shape: Shape) -> Run:
    return products(shape, keep=True)


def plain(model: Classifier, x: Tensor) -> tuple[Tensor, list[float]]:
    """Logits of the network written out in torch operations, and spikes a step of each layer."""
    fired: list[float] = []
    encoder = model.backbone.encoder
    stream = F.linear(x, encoder.weight, encoder.bias)  # type: ignore[union-attr]
    for block in model.backbone.blocks:
        assert isinstance(block, SDTCM)
        neuron = block.temporal
        assert isinstance(neuron, PRF)
        s = loops.prf(stream, neuron)
        fired.append(float(s.detach().mean()))
        stream = stream + _normed(block.norm_time, block.time_mixer(s))
        s = ATan()(stream - 0.5)
        fired.append(float(s.detach().mean()))
        mixed = F.linear(s, block.channel_mixer.matrix, block.channel_mixer.bias)
        stream = stream + _normed(block.norm_channel, mixed)
    return model.head.linear(stream.mean(1)), fired


def _normed(norm: torch.nn.Module, x: Tensor) -> Tensor:
    assert isinstance(norm, BatchNorm)
    inner, centred = norm.inner, x - x.mean((0, 1))
    return centred * (centred.square().mean((0, 1)) + inner.eps).rsqrt() * inner.weight + inner.bias


def check(shape: Shape, runs: Runs) -> str:
    """In float64, where no spike is on the edge, logits and all gradients as written out."""
    if not bool(runs[OURS]()[0].isfinite().all()):
        raise Wrong("the logits are not finite")
    small = Shape(64, 4, shape.features)
    model = network(small).double()
    x, labels = batch(small)
    written, fired = plain(model, x.double())
    logits = [model(x.double())[0], written]
    losses = [F.cross_entropy(each, labels) for each in logits]
    grads = [torch.autograd.grad(loss, list(model.parameters())) for loss in losses]
    errors = [relative_error(logits[0].detach(), logits[1].detach())]
    # A bias in front of a normalisation has no gradient but rounding: measure against the whole.
    whole = max(float(g.norm()) for g in grads[1])
    errors += [float((a - b).norm()) / whole for a, b in zip(*grads, strict=True)]
    said = f"logits and gradients within {max(errors):.1e} of the network written out, in float64"
    said += (
        f"; its layers fire at {', '.join(f'{100 * rate:.0f} %' for rate in fired)} of the steps"
    )
    if not max(errors) <= 1e-6 or min(fired) == 0:
        raise Wrong(said)
    return said


def check_finite(shape: Shape, runs: Runs) -> str:
    """Logits are numbers; that gradients are right is for the tests."""
    wrong = [name for name, run in runs.items() if not bool(run()[0].isfinite().all())]
    if wrong:
        raise Wrong(f"the logits of {', '.join(wrong)} are not finite")
    return "all logits are finite"


def _beside(block: str, most: float) -> Goal:
    """A block's step takes at most so many times that of ours."""
    return Goal(
        f"{block} / ours", lambda m: m[block] / m[OURS], (OURS, block), most, at_least=False
    )


CASES = (
    Case(
        "training-step",
        "training step of the two-block SD-TCM against its matrix products",
        Shape(784, 128, 128),
        Shape(196, 16, 128),
        check,
        (
            Contender(OURS, training_step, setting="forward, loss, backward, AdamW"),
            Contender(
                MIXED,
                partial(training_step, mixed=True),
                setting="the same under autocast to bfloat16",
            ),
            Contender(
                PRODUCTS, products, setting="forward, weight gradient, input gradient; torch.mm"
            ),
            Contender(KEPT, kept_products, setting="the same into memory already held"),
        ),
        goals=(within(PRODUCTS, required=1.0),),
    ),
    Case(
        "training-steps",
        "training step of two blocks of each kind",
        Shape(784, 32, 128),
        Shape(196, 4, 128),
        check_finite,
        tuple(
            Contender(
                name,
                partial(training_step, block=block),
                setting="SD-TCM with PRF" if name == OURS else "the same encoder, head and step",
            )
            for name, block in BLOCKS.items()
        ),
        goals=(_beside(WITH_DSN, 1.3), _beside(RANDOM, 1.6)),
    ),
)
