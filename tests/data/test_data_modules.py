"""What holds for every data module, and the embedded and generated ones in particular."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jsonargparse
import pytest
import torch

from spikescan.data import (
    MNIST,
    Classes,
    DataError,
    Digits,
    Horizon,
    Probe,
    SequenceBatch,
    SequenceData,
    Sequences,
    Splits,
    SpokenDigits,
)
from spikescan.data.split import stratified_split

MODULES: dict[str, Callable[..., SequenceData]] = {
    "digits": lambda **options: Digits(size=8, **options),
    "probe": lambda **options: Probe(samples=100, length=40, **options),
    "variable": lambda **options: Probe(samples=100, length=40, variable=True, **options),
}


@pytest.fixture(params=MODULES)
def make(request: pytest.FixtureRequest) -> Callable[..., SequenceData]:
    return MODULES[request.param]


def same(a: SequenceBatch, b: SequenceBatch) -> bool:
    if (a.lengths is None) != (b.lengths is None):
        return False
    return all(torch.equal(p, q) for p, q in zip(a, b, strict=True) if p is not None)


def assert_same_batches(a: list[SequenceBatch], b: list[SequenceBatch]) -> None:
    assert len(a) == len(b)
    assert all(same(p, q) for p, q in zip(a, b, strict=True))


def epochs(data: SequenceData, count: int) -> list[SequenceBatch]:
    loader = data.train_dataloader()
    batches: list[SequenceBatch] = []
    for epoch in range(count):
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        batches += list(loader)
    return batches


def rows(data: Sequences) -> set[bytes]:
    return {batch.x.numpy().tobytes() for batch in data}


def test_batches_agree_with_the_facts(make: Callable[..., SequenceData]) -> None:
    data = make(batch_size=16)
    data.setup()
    facts = data.facts
    assert facts.vocabulary is None
    assert isinstance(facts.target, Classes)
    loaders = (data.train_dataloader(), data.val_dataloader(), data.test_dataloader())
    for loader, split in zip(loaders, data.splits, strict=True):
        seen = 0
        for batch in loader:
            size, steps, features = batch.x.shape
            seen += size
            assert size == 16 or seen == len(split)
            assert features == facts.inputs
            assert batch.x.dtype == torch.float32
            assert batch.x.isfinite().all()
            assert batch.y.shape == (size,)
            assert batch.y.dtype == torch.int64
            assert 0 <= int(batch.y.min()) <= int(batch.y.max()) < len(facts.target.names)
            if batch.lengths is None:
                assert steps == facts.length
            else:
                assert steps == int(batch.lengths.max()) <= facts.length
                assert int(batch.lengths.min()) >= 1
                beyond = torch.arange(steps) >= batch.lengths[:, None]
                assert (batch.x[beyond] == 0).all()
        assert seen == len(split)


def test_parts_are_disjoint(make: Callable[..., SequenceData]) -> None:
    train, val, test = (rows(split) for split in make().splits)
    assert not train & val
    assert not train & test
    assert not val & test


def test_two_instances_agree_and_seeds_differ(make: Callable[..., SequenceData]) -> None:
    first = epochs(make(seed=3), 2)
    assert_same_batches(first, epochs(make(seed=3), 2))
    half = len(first) // 2
    assert not same(first[0], first[half])
    assert not same(first[0], epochs(make(seed=4), 1)[0])


def test_loaders_leave_the_global_random_state_alone(make: Callable[..., SequenceData]) -> None:
    data = make()
    data.setup()
    before = torch.get_rng_state()
    list(data.train_dataloader())
    list(data.val_dataloader())
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", ["digits", "variable"])
def test_workers_give_the_same_batches(name: str) -> None:
    # Two passes: the workers persist and must notice the new epoch.
    make = MODULES[name]
    assert_same_batches(epochs(make(workers=2), 2), epochs(make(), 2))


def test_a_pass_that_was_broken_off_does_not_show_later() -> None:
    data = Probe(samples=100, length=40, workers=1)
    loader = data.train_dataloader()
    next(iter(loader))
    assert_same_batches(list(loader), epochs(data, 1))


def test_digits_split_is_the_official_one() -> None:
    splits = Digits().splits
    assert [len(split) for split in splits] == [1293, 144, 360]
    for split in splits:
        share = torch.bincount(split.y, minlength=10) / len(split)
        assert (share - 0.1).abs().max() < 0.015
    values = torch.cat([batch.x for batch in splits.train])
    assert values.shape == (1293, 1024, 1)
    assert abs(float(values.mean())) < 1e-4
    assert abs(float(values.std()) - 1) < 1e-4
    # The split belongs to the task: the seed of the run does not move it.
    assert torch.equal(splits.test.y, Digits(seed=9).splits.test.y)


def test_digits_keep_the_picture() -> None:
    from sklearn.datasets import load_digits

    images = {(x / 16).tobytes() for x in load_digits().data.astype("float32")}
    x = torch.cat([batch.x for batch in Digits(size=8).splits.test]).flatten(1)
    # Undo the normalisation by the two ends of the range, which every set of images reaches.
    x = (x - x.min()) / (x.max() - x.min())
    restored = (x * 16).round() / 16
    assert (restored - x).abs().max() < 1e-5
    assert {row.numpy().tobytes() for row in restored} <= images


def test_stratified_split_is_a_partition() -> None:
    y = torch.arange(1000) % 7
    rest, held = stratified_split(y, 100)
    assert sorted(torch.cat([rest, held]).tolist()) == list(range(1000))
    assert len(held) == 100
    assert (torch.bincount(y[held]) - 100 / 7).abs().max() < 1


def test_probe_classes_differ_in_frequency() -> None:
    data = Probe(length=256, classes=3, samples=60, noise=0.1)
    (batch,) = list(
        Probe(length=256, classes=3, samples=60, noise=0.1, batch_size=60).train_dataloader()
    )
    peak = torch.fft.rfft(batch.x[:, :, 0]).abs().argmax(1) / 256
    expected = torch.tensor(data.frequencies)[batch.y]
    assert (peak - expected).abs().max() <= 1 / 256
    assert torch.bincount(batch.y).tolist() == [20, 20, 20]


def test_probe_lengths_vary_within_bounds() -> None:
    lengths = Probe(length=40, variable=True).splits.train.lengths
    assert lengths is not None
    assert int(lengths.min()) == 20
    assert int(lengths.max()) == 40


@pytest.mark.parametrize("module", [MNIST, SpokenDigits])
def test_absent_data(module: type[SequenceData], tmp_path: Path) -> None:
    data = module(root=str(tmp_path))
    # The facts do not need the data.
    assert data.facts.target == Classes(tuple("0123456789"))
    name = "mnist" if module is MNIST else "fsdd"
    with pytest.raises(DataError, match=f"{tmp_path}.*spikescan data get {name}"):
        data.setup()


@pytest.mark.parametrize(
    ("module", "options"),
    [
        (Digits, {"batch_size": 0}),
        (Digits, {"workers": -1}),
        (Digits, {"seed": -1}),
        (Digits, {"size": 0}),
        (MNIST, {"variant": "kmnist"}),
        (MNIST, {"order": "random"}),
        (MNIST, {"limit": 0}),
        (MNIST, {"limit": 55_001}),
        (SpokenDigits, {"max_length": 0}),
        (SpokenDigits, {"frame": 0}),
        (SpokenDigits, {"shift": -1}),
        (SpokenDigits, {"gain": -1.0}),
        (Probe, {"length": 1}),
        (Probe, {"classes": 1}),
        (Probe, {"samples": 3}),
        (Probe, {"noise": -0.1}),
    ],
)
def test_wrong_arguments_are_named(module: type[SequenceData], options: dict[str, object]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=name):
        module(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("module", [Digits, MNIST, SpokenDigits, Probe])
def test_arguments_become_documented_options(module: type[SequenceData]) -> None:
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(module, "data")
    settings = parser.parse_args(["--data.batch_size=7", "--data.root=somewhere"])
    # The method had a longer name in earlier versions.
    instantiate = getattr(parser, "instantiate", None) or parser.instantiate_classes
    data = instantiate(settings).data
    assert (data.batch_size, data.root, data.workers, data.seed) == (7, "somewhere", 0, 0)
    for action in parser._actions:
        if action.dest.startswith("data."):
            assert action.help, f"{action.dest} has no line in the docstring"


class Mislabelled(Probe):
    def load(self) -> Splits:
        splits = super().load()
        splits.val.y[5] = 4
        return splits


def test_a_label_that_has_no_class_is_named_before_training() -> None:
    with pytest.raises(DataError) as error:
        Mislabelled(samples=64).setup()
    assert str(error.value) == (
        "labels of the validation data must be within 0 .. 3, as there are 4 class names; "
        "item 5 has label 4"
    )


def test_targets_are_compared_with_the_facts() -> None:
    Horizon(2, ("a", "b")).check(torch.zeros(5, 2, 2), "test")
    with pytest.raises(DataError) as error:
        Horizon(2, ("a", "b")).check(torch.zeros(5, 3, 2), "test")
    assert str(error.value) == (
        "targets of the test data must be real values of shape (N, 2, 2), got torch.float32 "
        "(5, 3, 2)"
    )
    with pytest.raises(DataError) as error:
        Classes(("a", "b")).check(torch.zeros(5), "test")
    assert str(error.value) == (
        "labels of the test data must be integers of shape (N,), got torch.float32 (5,)"
    )
