"""Language: a state that is carried, what counts, texts that are gone on with."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from spikescan.cli import main
from spikescan.data import Classes, Facts, NextToken, SequenceBatch
from spikescan.errors import UsageError
from spikescan.models import SDTCM, Backbone
from spikescan.tasks.language import Language
from support import draw


def tiny(folder: Path) -> list[str]:
    text = "the cat saw the dog and the dog saw the cat\n"
    options = ["--data=spikescan.data.Text", "--data.unit=character"]
    for name, times in (("path", 54), ("val_path", 3), ("test_path", 3)):
        (folder / name).write_text(text * times)
        options.append(f"--data.{name}={folder / name}")
    return [*options, "--data.length=32", "--data.batch_size=4"]


def task(names: str = "abcd", unit: Any = "character", carried: bool = True) -> Language:
    torch.manual_seed(0)
    facts = Facts(NextToken(tuple(names), unit, carried), length=8, vocabulary=len(names))
    body = Backbone(SDTCM, vocabulary=len(names), features=8, depth=1)
    model = Language(body, facts).eval()
    # Of few spikes at the start the state would hardly show.
    torch.nn.init.normal_(body.encoder.weight, std=3)  # type: ignore[arg-type]
    return model


def batch_of(*rows: str, lengths: list[int] | None = None) -> SequenceBatch:
    text = torch.tensor([["abcd".index(c) for c in row] for row in rows])
    told = None if lengths is None else torch.tensor(lengths)
    return SequenceBatch(text[:, :-1], text[:, 1:], told)


def test_the_state_is_carried_within_an_epoch() -> None:
    model = task()
    whole = torch.randint(0, 4, (2, 25), generator=torch.Generator().manual_seed(1))
    parts = [SequenceBatch(whole[:, i : i + 8], whole[:, i + 1 : i + 9]) for i in (0, 8, 16)]
    expected, _ = model.model(whole[:, :24])
    for _ in range(2):
        model.on_train_epoch_start()
        model.on_validation_epoch_start()
        for i, part in enumerate(parts):
            out = model.answer(part, "train")
            torch.testing.assert_close(out, expected[:, 8 * i : 8 * i + 8])
            out.sum().backward()  # one batch deep: the graph of the one before is gone
            torch.testing.assert_close(model.answer(part, "val"), out)
    alone = task(carried=False)
    assert (alone.answer(parts[1], "train") - expected[:, 8:16]).abs().max() > 1e-3


def test_padding_does_not_count() -> None:
    model = task()
    batch = batch_of("abcdab", "dcbada", lengths=[5, 2])
    out = draw(2, 5, 4)
    each = cross_entropy(out.transpose(1, 2), batch.y, reduction="none")
    nats = (each[0].sum() + each[1, :2].sum()) / 7
    torch.testing.assert_close(model.loss(out, batch), nats)
    assert model.weight(batch) == 7
    values: dict[str, float] = {}
    for name, metric in model.metrics["on_val"].items():  # type: ignore[union-attr, operator]
        metric.update(*model.measured(out, batch))
        values[name] = float(metric.compute())
    right = (out.argmax(-1) == batch.y).tolist()
    expected = {"bits_per_character": float(nats) / math.log(2)}
    expected["accuracy"] = (sum(right[0]) + sum(right[1][:2])) / 7
    assert values == pytest.approx(expected)
    assert model.verdicts(out, batch)[1] == (
        f"{float(each[1, :2].mean()) / math.log(2):.2f} bits per character over 2 steps"
    )


def test_words_are_known_by_their_perplexity() -> None:
    model = task(unit="word")
    assert model.headline.name == "perplexity"
    metric = model.metrics["on_test"]["perplexity"]  # type: ignore[index]
    batch = batch_of("abca")
    metric.update(*model.measured(torch.zeros(1, 3, 4), batch))
    assert float(metric.compute()) == pytest.approx(4)


def test_what_follows_is_said_at_the_last_valid_step() -> None:
    model = task()
    x = batch_of("abcda").x
    expected = model.predict(x[:, :2])
    assert model.predict(x, torch.tensor([2])) == expected
    assert expected[0].startswith("next '")


def test_generation_follows_the_likeliest_tokens_and_the_seed() -> None:
    model = task()
    said = model.generate("ab", 6, temperature=0)
    tokens = model.target.encode("ab" + said)
    out, _ = model.model(tokens[None])
    assert torch.equal(out[0, 1:-1].argmax(-1), tokens[2:])
    drawn = [model.generate("ab", 40, seed=seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert model.generate("ab", 0) == ""
    for arguments, words in (
        (("", 3), "prompt must have at least one token"),
        (("x", 3), "character 'x' is not in the vocabulary"),
        (("a", -1), "steps and temperature must be at least 0, got -1"),
    ):
        with pytest.raises(ValueError, match=words):
            model.generate(*arguments)


def test_loss_by_position_counts_from_rest() -> None:
    model = task()
    model.on_test_epoch_start()
    out = torch.zeros(2, 5, 4)
    for _ in range(2):
        model.collect(out, batch_of("abcdab", "dcbada", lengths=[5, 2]))
    assert model._counts.sum() == 14
    assert int(model._counts.nonzero().max()) == int(4 * math.log2(10))
    torch.testing.assert_close(model._sums, model._counts * math.log(4))


def test_what_does_not_fit_is_refused() -> None:
    facts = Facts(NextToken(("a", "b"), "character", True), length=8, vocabulary=2)
    both_ways = Backbone(lambda d: SDTCM(d, bidirectional=True), vocabulary=2, features=4)
    with pytest.raises(ValueError, match="Language needs a causal backbone"):
        Language(both_ways, facts)
    with pytest.raises(ValueError, match="needs data whose target is NextToken, got Classes"):
        Language(Backbone(SDTCM, features=4), Facts(Classes(("a", "b")), length=8))
    model = task()
    model.trainer = SimpleNamespace(world_size=2, datamodule=None)  # type: ignore[assignment]
    with pytest.raises(UsageError, match=r"give trainer.devices=1 or data.carried=false"):
        model.setup("fit")


def test_a_short_training_knows_its_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], no_pictures: list[Any]
) -> None:
    options = [
        "--model.features=32",
        "--model.depth=1",
        "--trainer.max_epochs=6",
        "--task.optimizer.lr=0.02",
    ]
    run = str(tmp_path / "run")
    train = ["train", "tinyshakespeare", f"--runs={tmp_path}", "--name=run"]
    assert main([*train, *tiny(tmp_path), *options]) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["test_bits_per_character"] < 1.5  # of 3.5 for characters by their frequency
    assert results["test_loss"] == pytest.approx(
        results["test_bits_per_character"] * math.log(2), rel=1e-4
    )
    losses, text = no_pictures[0].sections
    assert losses.heading == "Loss by position"
    assert losses.draw(width=6).axes
    assert text.heading == "A text that it goes on with"
    assert len(text.text) == 400
    # Longer than trained, alone and carried: the same network, and all tokens count once.
    assert main(["test", run, "--data.length=128", "--data.batch_size=1"]) == 0
    longer = json.loads((tmp_path / "run" / "results.json").read_text())
    assert longer["test_bits_per_character"] != results["test_bits_per_character"]
    capsys.readouterr()
    assert main(["say", run, "--prompt=the ", "--steps=20", "--temperature=0"]) == 0
    assert capsys.readouterr().out.startswith("the ")
    assert main(["say", run, "--prompt=Q"]) == 2
    assert "character 'Q' is not in the vocabulary" in capsys.readouterr().err
