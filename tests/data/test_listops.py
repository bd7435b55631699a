"""ListOps: the published rules, checked by an evaluator that shares nothing with the generator."""

from __future__ import annotations

import hashlib
from pathlib import Path
from statistics import median

import numpy as np
import pytest
import torch

from spikescan.data import DataError, Sequences
from spikescan.data.listops import ListOps
from spikescan.data.listops_trees import TOKENS, draw

SMALL = {"samples": 300, "held_out": 40, "shortest": 10, "longest": 80, "depth": 4}


def tiny(folder: Path) -> list[str]:
    options = {**SMALL, "samples": 48, "held_out": 16, "longest": 40, "batch_size": 16}
    return [f"--data.{name}={value}" for name, value in options.items()]


def value_and_depth(words: list[str]) -> tuple[int, int]:
    """Evaluate by recursive descent: the way a person reads it."""
    place = 0

    def read(depth: int) -> tuple[int, int]:
        nonlocal place
        word = words[place]
        place += 1
        if word.isdigit():
            return int(word), depth
        arguments: list[tuple[int, int]] = []
        while words[place] != "]":
            arguments.append(read(depth + 1))
        place += 1
        assert 2 <= len(arguments) <= 10
        values = [value for value, _ in arguments]
        result = {"[MIN": min, "[MAX": max, "[MED": median, "[SM": lambda v: sum(v) % 10}
        return int(result[word](values)), max(deepest for _, deepest in arguments)

    result = read(1)
    assert place == len(words)
    return result


def texts(part: Sequences) -> list[tuple[list[str], int]]:
    found = []
    for batch in part:
        words = [TOKENS[token] for token in batch.x[0].tolist()]
        assert words.pop() == "end"
        assert batch.x.shape == (1, int(batch.lengths))  # type: ignore[arg-type]
        found.append((words, int(batch.y)))
    return found


def test_every_sequence_has_its_value() -> None:
    data = ListOps(**SMALL)
    assert [len(part) for part in data.splits] == [300, 40, 40]
    seen: set[str] = set()
    for part in data.splits:
        for words, value in texts(part):
            found, deepest = value_and_depth(words)
            assert found == value
            assert deepest <= 4
            assert 10 < len(words) < 80
            seen.add(" ".join(words))
    assert len(seen) == 380  # no two alike, in one part or in two


def test_numbers_are_those_of_the_published_rules() -> None:
    trees = draw(np.random.default_rng(1), 2000, depth=10, arguments=10, shortest=500, longest=2000)
    assert trees.sizes.min() > 500
    assert trees.sizes.max() < 2000
    ends = np.cumsum(trees.sizes)
    for end, size, value in list(zip(ends, trees.sizes, trees.values, strict=True))[:20]:
        words = [TOKENS[token] for token in trees.tokens[end - size : end]]
        assert value_and_depth(words)[0] == value
    # Without a limit of length: operators and digits uniform, 1/4 of the arguments operators.
    free = draw(np.random.default_rng(2), 4000, depth=4, arguments=10, shortest=1, longest=10**9)
    assert len(free.sizes) == 4000
    counts = np.bincount(free.tokens, minlength=17)
    digits, operators = counts[1:11], counts[11:15]
    assert counts[15] == operators.sum()
    assert abs(digits / digits.mean() - 1).max() < 0.03
    assert abs(operators / operators.mean() - 1).max() < 0.04
    # Of the first three depths' 1 + 1.5 + 2.25 operators all arguments are counted.
    assert operators.sum() / 4000 == pytest.approx(1 + 1.5 + 2.25, rel=0.05)
    assert (digits.sum() + operators.sum() - 4000) / operators.sum() == pytest.approx(6, rel=0.02)


def test_sequences_are_the_same_everywhere_and_for_every_seed() -> None:
    data = ListOps(**SMALL)
    digest = hashlib.sha256(data.splits.train.tokens.numpy().tobytes())  # type: ignore[attr-defined]
    # A change makes results incomparable.
    assert digest.hexdigest()[:16] == "fa8afd65d4294c9e"
    other = ListOps(**SMALL, seed=5)
    assert torch.equal(other.splits.test[7].x, data.splits.test[7].x)


def test_released_files_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "listops"
    folder.mkdir()
    text = "( ( ( ( [MAX 2 ) 9 ) ( ( ( [MIN 4 ) 7 ) ] ) ) ] )"
    for part in ("train", "val", "test"):
        (folder / f"basic_{part}.tsv").write_text(f"Source\tTarget\n{text}\t9\n{text}\t9\n")
    data = ListOps(root=str(tmp_path), released=True)
    assert data.facts.length == 2048
    ((words, value), _) = texts(data.splits.val)
    assert words == ["[MAX", "2", "9", "[MIN", "4", "7", "]", "]"]
    assert value == value_and_depth(words)[0] == 9
    path = folder / "basic_val.tsv"
    for content, message in (
        ("Source\tTarget\n[MAX 1 2 ]\t11\n", r"line 2 must be a sequence, a tab and a digit"),
        ("Source\tTarget\n[ABS 1 2 ]\t1\n", r"line 2 has the unknown token '\[ABS'"),
        ("Source\tTarget\n( )\t1\n", "line 2 has no tokens"),
        ("Source\tTarget\n", "has no sequences"),
        ("Source\tTarget\n[MAX 1 2 ]", "line 2 must be"),
    ):
        path.write_text(content)
        with pytest.raises(DataError, match=rf"basic_val\.tsv.*{message}"):
            ListOps(root=str(tmp_path), released=True).setup()
    path.unlink()
    with pytest.raises(DataError, match=r"basic_val\.tsv cannot be read .*lra_release"):
        ListOps(root=str(tmp_path), released=True).setup()


def test_rules_that_leave_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match=r"too few sequences: 0 of 3"):
        ListOps(samples=1, held_out=1, depth=2, arguments=2, shortest=5, longest=9).setup()


@pytest.mark.parametrize(
    "options",
    [{"samples": 0}, {"held_out": 0}, {"shortest": 2}, {"longest": 500}, {"depth": 1},
     {"arguments": 1}],
)  # fmt: skip
def test_wrong_arguments_are_named(options: dict[str, int]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=name):
        ListOps(**options)  # type: ignore[arg-type]
