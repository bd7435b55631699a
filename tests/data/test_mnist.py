"""MNIST, its file format and its orders of pixels."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from spikescan.data import MNIST, DataError, PixelOrder, fetch, find_source, pixel_order, verify
from spikescan.data.idx import read_idx


def tiny(folder: Path) -> list[str]:
    """Images row by row; the real files are known by their sizes."""
    y = np.arange(60) % 10
    x = np.random.default_rng(0).standard_normal((60, 28, 28)) + y[:, None, None]
    np.savez(folder / "images.npz", x=x, y=y)
    path = f"--data.path={folder / 'images.npz'}"
    return ["--data=spikescan.data.Npz", path, "--data.batch_size=16"]


@pytest.mark.parametrize("order", ["raster", "permuted", "bit_reversal"])
def test_pixel_orders_are_permutations(order: PixelOrder) -> None:
    assert sorted(pixel_order(order).tolist()) == list(range(784))
    assert torch.equal(pixel_order(order), pixel_order(order))


def test_permutation_is_fixed_for_ever_and_depends_on_its_seed() -> None:
    # These values are part of the task; a change would make results incomparable.
    assert pixel_order("permuted")[:6].tolist() == [693, 85, 647, 392, 765, 14]
    assert not torch.equal(pixel_order("permuted", 0), pixel_order("permuted", 1))


def test_bit_reversal_begins_as_expected() -> None:
    # 0..7 reversed in ten bits: 0 512 256 768 128 640 384 896, the last one is no pixel.
    assert pixel_order("bit_reversal")[:7].tolist() == [0, 512, 256, 768, 128, 640, 384]


def test_unknown_order() -> None:
    with pytest.raises(ValueError, match=r"order must be.*'snake'"):
        pixel_order("snake")  # type: ignore[arg-type]


def idx_bytes(values: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, dtype=">u4").tobytes()
    return header + values.astype(np.uint8).tobytes()


def test_idx_round_trip(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path = tmp_path / "values.gz"
    path.write_bytes(gzip.compress(idx_bytes(values)))
    assert np.array_equal(read_idx(path), values)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b""), "not an IDX file"),
        (gzip.compress(b"PK\x03\x04 something"), "not an IDX file of bytes: it begins with 504b"),
        (gzip.compress(b"\x00\x00\x0d\x01\x00\x00\x00\x01"), "not an IDX file"),
        (gzip.compress(idx_bytes(np.zeros((2, 3)))[:9]), "ends within its header of 12 bytes"),
        (gzip.compress(idx_bytes(np.zeros((2, 3)))[:-1]), r"17 bytes instead of 18 .*\(2, 3\)"),
        (gzip.compress(idx_bytes(np.zeros((2, 3))) + b"0"), "19 bytes instead of 18"),
        (gzip.compress(idx_bytes(np.ones((20, 30))))[:-9], "cannot be read"),
        (b"not gzip", "cannot be read"),
    ],
    # Not from the content, which holds the second in which it was compressed.
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damaged_idx_files_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "damaged-idx3-ubyte.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"damaged-idx3-ubyte.gz.*{message}"):
        read_idx(path)


def test_absent_idx_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.gz cannot be read"):
        read_idx(tmp_path / "absent.gz")


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_published_checksums(real_root: Callable[[str], str], name: str) -> None:
    root = real_root(name)
    verify(find_source(name), root)
    # Nothing is left to download, so this needs no network and works on a read-only folder.
    assert fetch(find_source(name), root) == Path(root) / name


def test_official_split_with_stratified_validation(mnist: MNIST) -> None:
    assert [len(split) for split in mnist.splits] == [55_000, 5_000, 10_000]
    whole = torch.bincount(torch.cat([mnist.splits.train.y, mnist.splits.val.y])) / 60_000
    held = torch.bincount(mnist.splits.val.y) / 5_000
    assert (whole - held).abs().max() < 2e-4
    # The first test images show 7 2 1 0 4.
    assert mnist.splits.test.y[:5].tolist() == [7, 2, 1, 0, 4]


def test_pixels_are_kept_as_bytes_and_normalised_in_batches(mnist: MNIST) -> None:
    total = torch.zeros(2, dtype=torch.float64)
    for part in (mnist.splits.train, mnist.splits.val):
        assert part.x.dtype == torch.uint8  # type: ignore[attr-defined]
        x = part.__getitems__(list(range(len(part)))).x.double()
        total += torch.stack([x.sum(), x.square().sum()])
    mean, square = (total / (60_000 * 784)).tolist()
    assert abs(mean) < 1e-4
    assert abs(square - 1) < 1e-4


def test_orders_show_the_same_pixels(mnist: MNIST) -> None:
    plain = mnist.splits.test[0].x[0, :, 0]
    for order in ("permuted", "bit_reversal"):
        other = MNIST(root=mnist.root, order=order, limit=1).splits.test[0].x[0, :, 0]
        assert torch.equal(other, plain[pixel_order(order)])


def test_rows_are_the_same_pixels(mnist: MNIST) -> None:
    rows = MNIST(root=mnist.root, step="row", limit=1)
    assert (rows.facts.length, rows.facts.inputs) == (28, 28)
    assert torch.equal(rows.splits.test[0].x.flatten(), mnist.splits.test[0].x.flatten())
    with pytest.raises(ValueError, match="step must be 'pixel' or 'row', got 'column'"):
        MNIST(step="column")  # type: ignore[arg-type]


@pytest.mark.parametrize("step", ["pixel", "row"])
def test_moved_images_show_the_digit_elsewhere(mnist: MNIST, step: Literal["pixel", "row"]) -> None:
    order: PixelOrder = "permuted" if step == "pixel" else "raster"
    kind = {"root": mnist.root, "order": order, "step": step, "limit": 8}
    still, moved = MNIST(**kind), MNIST(**kind, shift=1)  # type: ignore[arg-type]
    rows, back = torch.arange(8), pixel_order(order).argsort()
    before = still.splits.train.batch(rows, 0).x.reshape(8, 784)[:, back].view(8, 28, 28)
    black = torch.nn.functional.pad(before, (1, 1, 1, 1), value=float(before.min()))
    ways = {(a, b): black[:, a : a + 28, b : b + 28] for a in range(3) for b in range(3)}
    seen = set()
    for epoch in range(12):
        batch = moved.splits.train.batch(rows, epoch)
        assert batch.x.shape == still.splits.train.batch(rows, epoch).x.shape
        after = batch.x.reshape(8, 784)[:, back].view(8, 28, 28)
        for row in range(8):
            (way,) = (w for w, image in ways.items() if torch.equal(image[row], after[row]))
            seen.add(way)
    assert seen == set(ways)
    again = moved.splits.train.batch(rows[3:5], 11).x
    assert torch.equal(again, batch.x[3:5])
    assert torch.equal(moved.splits.val.batch(rows, 3).x, still.splits.val.batch(rows, 0).x)
    assert torch.equal(moved.splits.test.batch(rows, 3).x, still.splits.test.batch(rows, 0).x)
    with pytest.raises(ValueError, match=r"shift must be within 0 \.\. 27, got 28"):
        MNIST(shift=28)


def test_what_comes_in_at_an_edge_is_black(mnist: MNIST) -> None:
    row = torch.tensor([0])
    digit = MNIST(root=mnist.root, limit=1).splits.train.batch(row, 0).x.sum()
    moved = MNIST(root=mnist.root, limit=1, shift=27).splits.train
    sums = [moved.batch(row, epoch).x.sum() for epoch in range(30)]
    assert max(sums) <= digit + 1e-3  # black is the least; pixels that came round would not vanish
    assert min(sums) < digit / 2


def test_a_user_is_told_what_pixels_are_scaled_by(mnist: MNIST) -> None:
    scaled = mnist.facts.standardised
    assert isinstance(scaled, tuple)
    mean, std = scaled
    pixels = mnist.splits.test.x[0].float()  # type: ignore[attr-defined]
    torch.testing.assert_close((pixels - mean) / std, mnist.splits.test[0].x[0])


def test_limit_takes_the_same_images_for_every_seed(mnist: MNIST) -> None:
    few = MNIST(root=mnist.root, limit=500, seed=1)
    again = MNIST(root=mnist.root, limit=500, seed=2)
    assert [len(split) for split in few.splits] == [500, 5_000, 10_000]
    assert torch.equal(few.splits.train.y, again.splits.train.y)
    assert torch.equal(few.splits.train.y, mnist.splits.train.y[:500])


def test_truncated_file_on_load(mnist: MNIST, tmp_path: Path) -> None:
    folder = tmp_path / "mnist"
    folder.mkdir()
    for file in find_source("mnist").contents():
        content = (Path(str(mnist.root)) / "mnist" / file.path).read_bytes()
        (folder / file.path).write_bytes(content[: 1000 if "t10k-images" in file.path else None])
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte.gz has 1000 bytes instead of"):
        MNIST(root=str(tmp_path)).setup()
