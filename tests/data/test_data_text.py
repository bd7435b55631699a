"""Texts as tokens: every one is seen once, streams go on from batch to batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from spikescan.data import DataError, NextToken, SequenceBatch
from spikescan.data.text import Stretches, Text


def write(folder: Path, text: str | bytes, name: str = "text.txt") -> str:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def everything(data: Stretches) -> SequenceBatch:
    return data.batch(torch.arange(len(data)), 0)


@pytest.mark.parametrize("count", [12, 13, 17, 5])
@pytest.mark.parametrize("streams", [1, 2, 3])
def test_every_token_is_a_target_once(count: int, streams: int) -> None:
    tokens = torch.arange(count + 1)
    data = Stretches(tokens, length=4, streams=streams, whole=True)
    x, y, lengths = everything(data)
    assert lengths is None or len(lengths) == len(data)
    valid = torch.arange(4) < (torch.full((len(data),), 4) if lengths is None else lengths)[:, None]
    assert sorted(y[valid].tolist()) == list(range(1, count + 1))
    assert torch.equal(y[valid], x[valid] + 1)


def test_a_batch_goes_on_where_the_one_before_ended() -> None:
    data = Stretches(torch.arange(30), length=4, streams=3, whole=False)
    x, y, lengths = everything(data)
    assert lengths is None
    # 29 targets make three streams of 9, of which 8 fill two stretches.
    assert x[:, 0].tolist() == [0, 9, 18, 4, 13, 22]
    assert torch.equal(y[:3, -1], x[3:, 0])


def test_training_streams_come_in_order(tmp_path: Path) -> None:
    path = write(tmp_path, bytes(range(200)))
    data = Text(path=path, unit="byte", length=8, batch_size=4, train=0.5, val=0.25, test=0.25)
    first, second, *_ = data.train_dataloader()
    assert torch.equal(first.y[:, -1], second.x[:, 0])
    assert first.x[0].tolist() == list(range(8))
    # Each training stream has 24 targets, and three stretches.
    sizes = [p.y.numel() if p.lengths is None else int(p.lengths.sum()) for p in data.splits]
    assert sizes == [96, 49, 49]
    data = Text(path=path, unit="byte", length=8, batch_size=4, carried=False)
    first, second, *_ = data.train_dataloader()
    assert not torch.equal(first.y[:, -1], second.x[:, 0])


def test_characters_and_words(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "length": 1,
        "batch_size": 1,
        "train": 0.5,
        "val": 0.25,
        "test": 0.25,
    }
    path = write(tmp_path, "aé b\nb aé")
    target = Text(path=path, **options).facts.target
    assert isinstance(target, NextToken)
    assert target == NextToken(("\n", " ", "a", "b", "é"), "character", True)
    assert target.decode(target.encode("é ab")) == "é ab"
    path = write(tmp_path, "to be\nor not\nto be that is", "words.txt")
    data = Text(path=path, unit="word", **options)
    # Half of ten tokens; the rest is unknown but for what is in them.
    target = data.facts.target
    assert isinstance(target, NextToken)
    assert target.names == ("<eos>", "<unk>", "be", "not", "or", "to")
    assert target.decode(data.splits.test[0].x[0]) == "<unk>"
    assert target.decode(target.encode("to be\nor else")) == "to be\nor <unk>"


def test_three_files(tmp_path: Path) -> None:
    paths = [write(tmp_path, text, text[:1]) for text in ("aaab", "bcbc", "caca")]
    names = dict(zip(("path", "val_path", "test_path"), paths, strict=True))
    data = Text(**names, length=2, batch_size=1)
    assert data.facts.vocabulary == 3
    assert [len(part) for part in data.splits] == [1, 2, 2]
    with pytest.raises(ValueError, match="val_path and test_path must be given together"):
        Text(path=paths[0], val_path=paths[1])


def test_bytes_that_are_no_text() -> None:
    target = NextToken(tuple("x" * 256), "byte")
    assert target.decode(target.encode("é")) == "é"
    assert target.decode(torch.tensor([0xC3])) == "\N{REPLACEMENT CHARACTER}"


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    bad = write(tmp_path, b"ab\xff")
    with pytest.raises(DataError, match=r"text.txt is no UTF-8 text \(byte 2\); unit=byte reads"):
        _ = Text(path=bad).facts
    short = write(tmp_path, "abc", "short.txt")
    with pytest.raises(DataError, match=r"has 3 characters, fewer than the 8,193 that 32 streams"):
        Text(path=short).setup()
    with pytest.raises(DataError, match=r"no file away.txt: looked for away.txt and /nowhere/"):
        _ = Text(path="away.txt", root="/nowhere").facts
    with pytest.raises(ValueError, match="positive shares that add up to at most 1"):
        Text(path=short, train=0.9, val=0.2)
    target = NextToken(("a", "b"), "character")
    with pytest.raises(ValueError, match="character 'c' is not in the vocabulary"):
        target.encode("abc")


def test_a_network_of_characters_needs_no_text(tmp_path: Path) -> None:
    path = write(tmp_path, "abba" * 20)
    options: dict[str, Any] = {"length": 4, "batch_size": 2}
    known = Text(path=path, **options).known()
    assert known == {"names": ["a", "b"]}
    assert Text(path="nowhere.txt", **known, **options).facts.vocabulary == 2
    assert Text(path="nowhere.txt", unit="byte", **options).known() == {}
    wider = Text(path=path, names=["c", "a", "b"], **options)
    assert int(wider.splits.test.y.max()) == 1
    with pytest.raises(DataError, match="the character 'b' is not among the names"):
        Text(path=path, names=["a"], **options).load()
    with pytest.raises(ValueError, match="names must be different characters"):
        Text(path=path, unit="byte", names=["a"])


def test_a_text_tells_its_content(tmp_path: Path) -> None:
    path = write(tmp_path, "abba" * 20)
    (before,) = Text(path=path).members()
    assert before == Text(path=path, seed=3).members()[0]
    write(tmp_path, "abba" * 20 + "b")
    (after,) = Text(path=path).members()
    assert before[0] == after[0]
    assert before[3] != after[3]
