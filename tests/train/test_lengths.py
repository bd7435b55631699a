"""A language model on longer texts: the same tokens, each stretch from rest."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

import spikescan
from spikescan.cli import main
from spikescan.errors import UsageError
from spikescan.train import lengths
from tasks.test_language import tiny
from train.run_support import train


@pytest.mark.usefixtures("no_pictures")
def test_every_length_reads_the_same_tokens_from_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--task=spikescan.tasks.language.Language", "--trainer.max_epochs=1"]
    assert train(tmp_path, *tiny(tmp_path), *small) == 0
    run = tmp_path / "run"
    monkeypatch.setattr(lengths, "_CHUNK", 12)  # stretches in pieces that do not divide them
    monkeypatch.setattr(lengths, "_LOGITS", 12 * 13 * 3)  # and some rows at a time
    out = [f"--json={tmp_path / 'found/a.json'}", f"--figure={tmp_path / 'found/a.svg'}"]
    assert main(["lengths", str(run), "--steps=[8, 32, 64]", *out]) == 0
    told = json.loads((tmp_path / "found/a.json").read_text())
    assert "<svg" in (tmp_path / "found/a.svg").read_text()
    assert f"{told['tokens']:,} tokens; trained on stretches of 32" in capsys.readouterr().out

    task = spikescan.load(run)
    tokens = task.target.encode((tmp_path / "test_path").read_text())  # type: ignore[attr-defined]
    count = (len(tokens) - 1) // 64 * 64
    assert (told["tokens"], told["unit"]) == (count, "bits per character")
    for point in told["points"]:
        length = point["length"]
        x, y = (tokens[i : i + count].view(-1, length) for i in (0, 1))
        with torch.no_grad():
            nats = cross_entropy(task.model(x)[0].transpose(1, 2), y, reduction="none")
        assert point["value"] == pytest.approx(float(nats.mean()) / math.log(2), rel=1e-5)
        late = float(nats[:, -(length // 8) :].mean()) / math.log(2)
        assert point["last_eighth"] == pytest.approx(late, rel=1e-5)

    for steps, words in (("[8, 12]", "divide the largest"), ("[4096]", "fewer tokens than a")):
        assert main(["lengths", str(run), f"--steps={steps}"]) == 2
        assert words in capsys.readouterr().err
    with pytest.raises(UsageError, match="is no language model"):
        lengths.by_length("digits_dsn", [8])
