"""Norms in torch's own tools: averaged weights, frozen layers, several processes; and edges."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, update_bn

from spikescan import PRF
from spikescan.models import SDTCM, BatchNorm, Classifier, SpikingTransformer
from support import draw
from tolerance import NORMALISED, assert_close

FAST = partial(PRF, dt_min=0.1, dt_max=1.0, tau=6.0)


def network() -> Classifier:
    torch.manual_seed(0)
    return Classifier(partial(SDTCM, neuron=FAST), inputs=2, classes=3, features=8, depth=1)


def kept(norm: BatchNorm) -> tuple[Tensor, Tensor]:
    mean, var = norm.inner.running_mean, norm.inner.running_var
    assert mean is not None
    assert var is not None
    return mean, var


@pytest.mark.parametrize("lengths", [None, torch.tensor([30, 12])])
@pytest.mark.parametrize("momentum", [None, 0.25])
def test_running_statistics_are_the_mean_of_the_first_batches(
    momentum: float | None, lengths: Tensor | None
) -> None:
    norm = BatchNorm(5, momentum=momentum)
    mean, var = torch.zeros(5), torch.zeros(5)
    for n in range(1, 8):
        x = draw(2, 30, 5, seed=n, scale=n, shift=n)
        rows = x.flatten(0, 1) if lengths is None else torch.cat((x[0], x[1, :12]))
        norm(x, lengths)
        weight = 1 / n if momentum is None else max(momentum, 1 / n)
        mean, var = mean.lerp(rows.mean(0), weight), var.lerp(rows.var(0), weight)
        for got, due in zip(kept(norm), (mean, var), strict=True):
            assert_close(got, due, NORMALISED)


def test_weight_averaging_gives_the_averaged_network_its_own_statistics() -> None:
    model = network()
    averaged = AveragedModel(model)
    for _ in range(2):
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(1.3)
        averaged.update_parameters(model)
    batches = [draw(4, 20, 2, seed=seed) for seed in (1, 2, 3)]
    update_bn([(x, None) for x in batches], averaged)
    norm = averaged.module.backbone.blocks[0].norm_time
    assert norm.inner.momentum == 0.1
    seen = list[Tensor]()
    hook = norm.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0].detach()))
    for x in batches:
        averaged.train()(x)
    hook.remove()
    update_bn([(x, None) for x in batches], averaged)
    means = torch.stack([s.mean((0, 1)) for s in seen]).mean(0)
    variances = torch.stack([s.flatten(0, 1).var(0) for s in seen]).mean(0)
    for got, due in zip(kept(norm), (means, variances), strict=True):
        assert_close(got, due, NORMALISED)


def test_a_frozen_layer_keeps_its_statistics_and_steps() -> None:
    model = network()
    model(draw(4, 20, 2))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.eval()
    before = copy.deepcopy(model.state_dict())
    model(draw(4, 20, 2, seed=2))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert model.training
    model.step(draw(4, 2))
    model.train()
    with pytest.raises(RuntimeError, match=r"Classifier\.step needs eval\(\)"):
        model.step(draw(4, 2))


def test_counts_are_whole_numbers() -> None:
    """2^24 + 1 is no float32; a ratio of counts rounded to float32 would be 1."""
    norm = BatchNorm(1).double()
    count = torch.tensor(2**24 + 1)
    norm._track(torch.zeros(1), torch.ones(1, dtype=torch.float64), count)
    assert float(kept(norm)[1]) == (2**24 + 1) / 2**24


def test_too_few_steps_are_named() -> None:
    norm = BatchNorm(5)
    with pytest.raises(ValueError, match=r"more than one step, got x of shape \(0, 7, 5\)"):
        norm(draw(0, 7, 5))
    with pytest.raises(ValueError, match=r"more than one step, got x of shape \(1, 1, 5\)"):
        norm(draw(1, 1, 5))
    with pytest.raises(ValueError, match=r"more than one valid step, got lengths tensor\(\[1, 0\]"):
        norm(draw(2, 7, 5), torch.tensor([1, 0]))
    assert int(norm.inner.num_batches_tracked) == 0
    norm.eval()
    assert norm(draw(0, 7, 5)).shape == (0, 7, 5)
    assert norm(draw(1, 1, 5)).isfinite().all()


def test_no_bias_where_batch_normalisation_would_subtract_it() -> None:
    """Its gradient is rounding errors, which Adam turns into steps of the full rate."""
    for block in (SDTCM(8), SpikingTransformer(8)):
        biased = [m for m in block.modules() if isinstance(m, nn.Linear) and m.bias is not None]
        out, _ = block(draw(3, 30, 8))
        out.square().sum().backward()
        for linear in biased:
            assert linear.bias.grad is not None
            assert linear.bias.grad.abs().max() > 1e-3
    assert SDTCM(8).time_mixer.bias is None
    assert SDTCM(8, prenorm=True).time_mixer.bias is not None
    assert SDTCM(8, norm="layer").channel_mixer.bias is not None


LENGTHS = torch.tensor([21, 9, 17, 1])


def results(model: nn.Module, rows: slice, share: int = 1) -> dict[str, Tensor]:
    """Logits, gradients of a mean over all four rows, and buffers, the running statistics."""
    x = draw(4, 21, 2, dtype=torch.float64, scale=2, shift=1)
    logits, _ = model(x[rows], lengths=LENGTHS[rows])
    (share * logits.square().sum() / 4).backward()
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    found |= dict(model.named_buffers())
    return {name.removeprefix("module."): v for name, v in found.items()} | {
        "logits": logits.detach()
    }


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = torch.distributed.FileStore(f"{folder}/store", 2)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2, store=store)
    model = nn.SyncBatchNorm.convert_sync_batchnorm(network().double())
    # Uneven: one process has three rows of the four. Gradients are the mean of both processes'.
    rows = slice(0, 3) if rank == 0 else slice(3, 4)
    found = results(nn.parallel.DistributedDataParallel(model), rows, share=2)
    torch.save(found, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_share_their_statistics(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(worker, (str(tmp_path),), nprocs=2)
    ours = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    alone = results(network().double(), slice(None))
    logits = torch.cat([o.pop("logits") for o in ours])
    assert_close(logits, alone.pop("logits"), NORMALISED)
    for name, due in alone.items():
        assert torch.equal(ours[0][name], ours[1][name]), name
        # Of one size: behind a norm, the gradient of a scale is what large terms leave.
        assert torch.allclose(ours[0][name], due, rtol=1e-12, atol=1e-13), name


def test_alone_a_converted_network_is_as_before() -> None:
    model = network()
    twin = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(model))
    x, lengths = draw(3, 20, 2), torch.tensor([20, 4, 1])
    assert torch.equal(twin(x, lengths=lengths)[0], model(x, lengths=lengths)[0])
    for a, b in zip(twin.buffers(), model.buffers(), strict=True):
        assert torch.equal(a, b)
