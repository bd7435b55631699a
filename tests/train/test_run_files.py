"""Files of a run are whole or the ones before; what is damaged is told in one line."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest
import torch
from run_support import train

from spikescan.cli import main
from spikescan.errors import Stopped, UsageError
from spikescan.tasks import Classification
from spikescan.train.checkpoint import WholeCheckpoints, read_checkpoint
from spikescan.train.whole import whole

pytestmark = pytest.mark.usefixtures("no_pictures")


def test_a_file_is_the_new_one_or_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.json"
    with whole(path) as part:
        assert part.parent == path.parent  # else the rename could not be atomic
        part.write_text("old")

    def killed() -> None:
        with whole(path) as part:
            part.write_text("half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Stopped) as caught, whole(path) as part:
        part.write_text("new")
    assert str(caught.value) == f"cannot write {path}: No space left on device"
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run" / "checkpoints"
    sync, count = os.fsync, 0

    def full(handle: int) -> None:
        nonlocal count
        if (folder / "last.ckpt").is_file() and (folder / ".last.ckpt.part").is_file():
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    monkeypatch.setattr(os, "fsync", full)
    assert train(tmp_path) == 1
    assert capsys.readouterr().err == (
        f"spikescan: cannot write {folder / 'last.ckpt'}: No space left on device; "
        f"the checkpoints before it stay in {folder}\n"
    )
    assert read_checkpoint(folder / "last.ckpt")["epoch"] == 0


def test_any_flipped_byte_of_a_checkpoint_is_seen_or_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    values = {"state_dict": {"w": torch.arange(40.0), "b": torch.ones(3)}, "epoch": 3}
    WholeCheckpoints().save_checkpoint(values, path)
    good = path.read_bytes()
    draw = random.Random(0)
    seen = 0
    for place in draw.sample(range(len(good)), 400):
        flipped = bytearray(good)
        flipped[place] ^= 1 << draw.randrange(8)
        path.write_bytes(flipped)
        try:
            read = read_checkpoint(path)
        except UsageError:
            seen += 1
        else:
            assert read["epoch"] == 3
            for name, value in values["state_dict"].items():  # type: ignore[union-attr]
                assert torch.equal(read["state_dict"][name], value), place
    assert seen > 100
    # The numbers themselves: torch alone would read on.
    flipped = bytearray(good)
    flipped[good.index(torch.arange(40.0).numpy().tobytes()) + 20] ^= 1
    path.write_bytes(flipped)
    assert not torch.equal(torch.load(path)["state_dict"]["w"], torch.arange(40.0))
    with pytest.raises(UsageError, match="has other bytes than were written"):
        read_checkpoint(path)


def test_a_run_of_which_no_epoch_has_ended_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Classification, "training_step", interrupted)
    assert train(tmp_path) == 130
    run = tmp_path / "run"
    for command in (["test", str(run)], ["predict", str(run), "x"]):
        capsys.readouterr()
        assert main(command) == 2
        assert capsys.readouterr().err == (
            f"spikescan: no epoch of {run} has ended, so it holds no trained network; go on with: "
            f"spikescan train --resume {run}\n"
        )
    capsys.readouterr()
    assert main(["pack", str(run), f"--out={tmp_path}/w.safetensors"]) == 2
    assert capsys.readouterr().err == (
        f"spikescan: the training of {run} has not come to its end; go on with: "
        f"spikescan train --resume {run}\n"
    )


def test_where_the_last_checkpoint_is_damaged_the_best_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path, "--trainer.max_epochs=3", name="whole") == 0
    assert train(tmp_path, "--trainer.max_epochs=3") == 0
    run, whole_run = tmp_path / "run", tmp_path / "whole"
    last = run / "checkpoints" / "last.ckpt"
    expected = read_checkpoint(whole_run / "checkpoints" / "last.ckpt")
    last.write_bytes(last.read_bytes()[:-200])
    capsys.readouterr()
    assert main(["train", "--resume", str(run)]) == 0
    assert f"{last} is not a readable checkpoint: " in (out := capsys.readouterr().out)
    assert "; going on from best.ckpt\n" in out
    got = read_checkpoint(last)
    assert got["epoch"] == expected["epoch"]
    for name, value in expected["state_dict"].items():
        assert torch.equal(got["state_dict"][name], value), name
    for file in (last, run / "checkpoints" / "best.ckpt"):
        file.write_bytes(b"")
    assert main(["train", "--resume", str(run)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("results.json", "{"),
        ("results.json", "[]"),
        ("results.json", "\udcff"),
        ("metrics.csv", "epoch,val/loss\n0,x\n"),
        ("metrics.csv", "nothing\n"),
        ("metrics.csv", "\udcff"),
        ("config.yaml", "a: [\n"),
        ("config.yaml", "\udcff"),
        ("checkpoints/best.ckpt", ""),
    ],
)
def test_a_damaged_file_is_one_line(
    file: str, content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path, "--trainer.max_epochs=1") == 0
    path = tmp_path / "run" / file
    path.write_bytes(content.encode(errors="surrogateescape"))
    capsys.readouterr()
    assert main(["test", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert str(path) in said
    assert said.count("\n") == 1
