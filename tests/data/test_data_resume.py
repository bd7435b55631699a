"""Under Lightning: the epoch reaches the sampler, also when a run is resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from lightning.fabric.utilities.distributed import DistributedSamplerWrapper
from lightning.pytorch.callbacks import ModelCheckpoint

from spikescan.data import EpochSampler, Probe, SequenceBatch


class Recorder(lightning.LightningModule):
    """A model that notes which batches it is given in each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: dict[int, list[float]] = {}

    def training_step(self, batch: SequenceBatch, index: int) -> torch.Tensor:
        assert isinstance(batch, SequenceBatch)
        self.seen.setdefault(self.current_epoch, []).append(float(batch.x.double().sum()))
        return self.weight * batch.x.mean()

    def validation_step(self, batch: SequenceBatch, index: int) -> None:
        self.log("loss", batch.x.mean(), batch_size=len(batch.y))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(
    folder: Path,
    *,
    workers: int,
    epochs: int,
    at_train_end: bool = True,
    resume: bool = False,
    **options: Any,
) -> dict[int, list[float]]:
    model = Recorder()
    saver = ModelCheckpoint(folder, filename="last", save_on_train_epoch_end=at_train_end)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[saver],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    data = Probe(samples=64, length=16, batch_size=16, workers=workers)
    trainer.fit(model, data, ckpt_path=folder / "last.ckpt" if resume else None)
    return model.seen


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("at_train_end", [True, False])
def test_a_resumed_run_sees_the_same_batches(
    tmp_path: Path, workers: int, at_train_end: bool
) -> None:
    straight = fit(tmp_path / "a", workers=0, epochs=3)
    assert sorted(straight) == [0, 1, 2]
    assert len({tuple(batches) for batches in straight.values()}) == 3

    begun = fit(tmp_path / "b", workers=workers, epochs=2, at_train_end=at_train_end)
    assert begun == {epoch: straight[epoch] for epoch in (0, 1)}
    rest = fit(tmp_path / "b", workers=workers, epochs=3, at_train_end=at_train_end, resume=True)
    assert rest == {2: straight[2]}


def test_overfitting_one_batch_works(tmp_path: Path) -> None:
    seen = fit(tmp_path, workers=0, epochs=2, overfit_batches=1)
    assert len(seen[0]) == 1
    assert seen[0] == seen[1]


def test_distributed_processes_share_an_epoch() -> None:
    parts = []
    for rank in range(2):
        inner = EpochSampler(40, seed=0, lengths=torch.arange(40), batch_size=4)
        sampler = DistributedSamplerWrapper(inner, num_replicas=2, rank=rank, shuffle=False)
        sampler.set_epoch(2)
        parts.append([index - 2 * 40 for index in sampler])
    assert sorted(parts[0] + parts[1]) == list(range(40))
    assert [index for pair in zip(*parts, strict=True) for index in pair] == inner.order(2)
