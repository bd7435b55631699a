"""A trained network comes back from its run; own classes from the folder one stands in."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import spikescan
from spikescan.cli import main
from spikescan.errors import UsageError

OWN = """\
from spikescan.models import SDTCM


class MyBlock(SDTCM):
    def __init__(self, features: int) -> None:
        super().__init__(features, neuron=MyNeuron)


from spikescan import LIF


class MyNeuron(LIF):
    def __init__(self, features: int) -> None:
        super().__init__(features, tau=9.0)
"""
RECIPE = """\
title: "mine: blocks of my own"
data:
  class_path: spikescan.data.Probe
  init_args: {length: 32, samples: 48, batch_size: 16}
model:
  features: 8
  depth: 1
  block: {class_path: my_blocks_for_a_test.MyBlock}
trainer: {max_epochs: 1}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, no_pictures_here: None) -> Path:
    """A run with own classes, trained in the folder that has them."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "my_blocks_for_a_test.py").write_text(OWN, encoding="utf-8")
    (folder / "mine.yaml").write_text(RECIPE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", [place for place in sys.path if place])
        assert main(["train", "mine.yaml", "--name=a", "--progress=false"]) == 0
    # What comes after finds the classes by itself.
    del sys.modules["my_blocks_for_a_test"]
    return folder / "runs" / "a"


def test_own_classes_and_load(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(run.parent.parent)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert main(["test", str(run), "--progress=false"]) == 0
    told = capsys.readouterr().out
    before = torch.random.get_rng_state()
    task = spikescan.load(run)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert type(task.model.backbone.blocks[0]).__name__ == "MyBlock"
    assert not any(module.training for module in task.modules())
    stored = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(value, stored[name]) for name, value in task.state_dict().items())
    # The network is the one that was tested.
    from spikescan.data import Probe

    test = Probe(length=32, samples=48, batch_size=16).splits.test
    batch = test.batch(torch.arange(len(test)), 0)
    hits = (task.model(batch.x, lengths=batch.lengths)[0].argmax(-1) == batch.y).float().mean()
    assert f"{100 * float(hits):.2f} %" in told
    said = task.predict(batch.x[:3])
    assert len(said) == 3
    assert said == task.predictions(task.model(batch.x[:3])[0])
    last = spikescan.load(run / "checkpoints" / "last.ckpt")
    assert last.predict(batch.x[:3]) == said  # one epoch: the last is the best


def test_what_is_no_run_is_told(tmp_path: Path, run: Path) -> None:
    with pytest.raises(UsageError, match=r"^there is no run .*/nowhere$"):
        spikescan.load(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"is not a run with config\.yaml: no file"):
        spikescan.load(tmp_path)
    damaged = run / "checkpoints" / "damaged.ckpt"
    damaged.write_bytes(b"PK")
    with pytest.raises(UsageError, match=r"damaged\.ckpt is not a readable checkpoint"):
        spikescan.load(damaged)
    torch.save({"weights": torch.ones(1)}, damaged)
    with pytest.raises(UsageError, match=r"is not the checkpoint of a run"):
        spikescan.load(damaged)
