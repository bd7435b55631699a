"""What the tests of blocks around a state-space layer share: small blocks, and what all must do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import support
from spikescan import DPLR, S4D
from spikescan.data import Probe
from spikescan.models import Block, Classifier, parameter_groups
from spikescan.ops.ssm.chunked import CHUNK
from support import give_statistics, leaves
from tolerance import REGROUPED, SUMMED, assert_close

B, T, D, N = 3, CHUNK + 6, 6, 8
Make = Callable[[int], Any]
draw = partial(support.draw, dtype=torch.float64)

SMALL = partial(S4D, states=N, dt_min=0.01, dt_max=1.0)
SMALL_DPLR = partial(DPLR, states=N, dt_min=0.01, dt_max=1.0)
TWO_SIDED = partial(SMALL, two_sided=True)

CUTS: dict[str, Sequence[int]] = {
    "halves": (T // 2, T - T // 2),
    "at a chunk": (1, CHUNK - 1, T - CHUNK - 1, 1),
    "steps": (1,) * T,
}
by_cuts = pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def cases(named: Mapping[str, Make]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("make", named.values(), ids=named)


def build(make: Make, dtype: torch.dtype = torch.float64, *, training: bool = True) -> Any:
    torch.manual_seed(0)
    module = make(D).to(dtype)
    give_statistics(module)
    return module.train(training)


def run(block: Block, x: Tensor, *arguments: Any, seed: int = 3) -> tuple[Tensor, Any]:
    torch.manual_seed(seed)
    return block(x, *arguments)


def check_whole_is_chunks_is_steps(
    make: Make, dtype: torch.dtype, cuts: Sequence[int], batch: int
) -> None:
    """Outputs, states and gradients, over more steps than the state-space op takes at a time."""
    block = build(make, dtype)
    # Batch normalisation trains on the statistics of whole sequences.
    block.train(not any(isinstance(m, nn.BatchNorm1d) for m in block.modules()))
    x = draw(batch, T, D, dtype=dtype).requires_grad_()
    whole, last = run(block, x)
    torch.manual_seed(3)
    pieces, state = [], None
    for piece in x.split(list(cuts), 1):
        if piece.shape[1] == 1:
            z, state = block.step(piece[:, 0], state)
            z = z[:, None]
        else:
            z, state = block(piece, state)
        pieces.append(z)
    parts = torch.cat(pieces, 1)
    # One differing spike would show far beyond these tolerances.
    assert_close(parts, whole, REGROUPED)
    g = draw(batch, T, D, seed=4, dtype=dtype)
    losses = []
    for out, end in ((whole, last), (parts, state)):
        floats = [leaf for leaf in leaves(end) if leaf.is_floating_point()]
        losses.append((out * g).sum() + sum((leaf * leaf).sum() for leaf in floats))
    for got, due in zip(leaves(state), leaves(last), strict=True):
        if due.is_floating_point():
            assert_close(got, due, REGROUPED)
        else:
            assert torch.equal(got, due)
    wanted = [x, *block.parameters()]
    due, got = (torch.autograd.grad(loss, wanted, allow_unused=True) for loss in losses)
    for a, b in zip(got, due, strict=True):
        assert (a is None) == (b is None)
        if b is not None:
            assert_close(a, b, SUMMED)


def check_no_dead_parameters(block: Block, x: Tensor) -> None:
    z, _ = run(block, x)
    (z * draw(*z.shape, seed=4)).sum().backward()
    size = {name: float(p.grad.abs().max()) for name, p in block.named_parameters()}
    assert min(size.values()) > 1e-6, size


def check_classifier_runs_step_by_step(make: Make) -> None:
    torch.manual_seed(0)
    model = Classifier(make, inputs=2, classes=3, features=D, depth=2).double().eval()
    x = draw(B, 40, 2)
    torch.manual_seed(3)
    whole, _ = model(x)
    torch.manual_seed(3)
    state, logits = None, None
    for t in range(40):
        logits, state = model.step(x[:, t], state)
    assert logits is not None
    assert_close(logits, whole, REGROUPED)


def check_training_lowers_the_loss(make: Make) -> None:
    torch.manual_seed(0)
    data = Probe(batch_size=64, samples=512, length=64, variable=True)
    model = Classifier(make, classes=len(data.frequencies), features=16, depth=2)
    groups = parameter_groups(model, lr=0.02, neuron_lr=1e-3, weight_decay=0.01)
    optimizer = torch.optim.AdamW(groups)
    losses = []
    for _ in range(4):
        for batch in data.train_dataloader():
            optimizer.zero_grad()
            logits, _ = model(batch.x, lengths=batch.lengths)
            loss = F.cross_entropy(logits, batch.y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert sum(losses[-4:]) < 0.7 * sum(losses[:4]), losses
