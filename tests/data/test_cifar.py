"""CIFAR-10 from the official binary files and from strips of pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from spikescan.data import DataError, cifar
from spikescan.data.cifar import CIFAR10, read_binary

RNG = np.random.default_rng(0)


def strips(folder: Path) -> Path:
    base = folder / "cifar10_subset"
    base.mkdir()
    lines = []
    for batch in (0, 50):
        pixels = RNG.integers(0, 256, (100, 1024, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(base / f"cifar10_batch_{batch}.png")
        lines += [f"{1000 * batch + row} {row % 10}" for row in range(100)]
    (base / "labels.txt").write_text("\n".join(lines))
    return folder


def tiny(folder: Path) -> list[str]:
    return [f"--data.root={strips(folder)}", "--data.subset=true", "--data.batch_size=4"]


def binary(folder: Path, images: int = 6) -> np.ndarray:
    files = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    records = RNG.integers(0, 256, (len(files), images, 3073), dtype=np.uint8)
    records[:, :, 0] = np.arange(images) % 10
    for name, content in zip(files, records, strict=True):
        (folder / name).write_bytes(content.tobytes())
    return records


def test_binary_files_become_pixels(tmp_path: Path) -> None:
    records = binary(tmp_path)
    arrays = read_binary(tmp_path, images=6)
    assert arrays["x"].shape == (30, 1024, 3)
    image = records[2, 3, 1:].reshape(3, 32, 32)
    assert np.array_equal(arrays["x"][15].reshape(32, 32, 3), image.transpose(1, 2, 0))
    assert np.array_equal(arrays["y_test"], records[5, :, 0])
    path = tmp_path / "data_batch_3.bin"
    whole = bytearray(path.read_bytes())
    path.write_bytes(whole[:-1])
    with pytest.raises(DataError, match=r"data_batch_3\.bin has 18,437 bytes, expected 18,438"):
        read_binary(tmp_path, images=6)
    whole[3073] = 10
    path.write_bytes(whole)
    with pytest.raises(DataError, match=r"data_batch_3\.bin: image 1 has label 10"):
        read_binary(tmp_path, images=6)


def test_pixels_and_rows_grey_and_in_colour(tmp_path: Path) -> None:
    root = str(strips(tmp_path))
    with Image.open(tmp_path / "cifar10_subset" / "cifar10_batch_50.png") as strip:
        grey = np.asarray(strip.convert("L"))[7]
        colour = np.asarray(strip)[7]
    data = CIFAR10(root=root, subset=True)
    assert [len(part) for part in data.splits] == [90, 10, 100]
    x = data.splits.test[7].x[0, :, 0] * 61.0 + 122.6
    assert torch.allclose(x, torch.tensor(grey).float(), atol=1e-3)
    rows = CIFAR10(root=root, subset=True, step="row")
    assert (rows.facts.length, rows.facts.inputs) == (32, 32)
    assert torch.equal(rows.splits.test[7].x.flatten(), data.splits.test[7].x.flatten())
    full = CIFAR10(root=root, subset=True, grey=False, step="row").splits.test[7].x
    pixels = CIFAR10(root=root, subset=True, grey=False).splits.test[7].x
    assert full.shape == (1, 32, 96)
    assert torch.equal(full.flatten(), pixels.flatten())
    red = pixels[0, :, 0] * 62.993 + 125.307
    assert torch.allclose(red, torch.tensor(colour[:, 0]).float(), atol=1e-3)


def test_damaged_strips_are_named(tmp_path: Path) -> None:
    root = strips(tmp_path)
    labels = root / "cifar10_subset" / "labels.txt"
    rows = labels.read_text()
    for content, message in (
        (rows.replace("7 7\n", "7 11\n"), r"labels\.txt: line 8 must be an index and a label"),
        (rows.replace("\n7 7\n", "\n"), r"labels\.txt has no label for image 7"),
    ):
        labels.write_text(content)
        with pytest.raises(DataError, match=message):
            CIFAR10(root=str(root), subset=True).setup()
    labels.write_text(rows)
    strip = root / "cifar10_subset" / "cifar10_batch_0.png"
    strip.write_bytes(strip.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"cifar10_batch_0\.png is not a readable PNG"):
        CIFAR10(root=str(root), subset=True).setup()
    with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz"):
        CIFAR10(root=str(root)).setup()


def test_the_real_subset(real_folder: Callable[[str], str]) -> None:
    data = CIFAR10(root=real_folder("cifar10_subset"), subset=True, grey=False)
    assert [len(part) for part in data.splits] == [3600, 400, 1000]
    x = data.splits.train.x[:2000].double()  # type: ignore[attr-defined]
    # Those of the whole training set, for which the constants stand.
    assert (x.mean((0, 1)) - torch.tensor([125.3, 123.0, 113.9])).abs().max() < 3


def test_the_subset_is_the_first_images_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cifar10" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    records = binary(folder)
    monkeypatch.setattr(cifar, "read_binary", lambda place: read_binary(place, images=6))
    monkeypatch.setattr(cifar, "_FEW", (4, 2))
    arrays = CIFAR10(root=str(tmp_path), subset=True)._subset()
    assert arrays["y"].tolist() == records[0, :4, 0].tolist()
    assert arrays["y_test"].tolist() == records[5, :2, 0].tolist()
    assert len(arrays["x"]) == 4
    assert len(arrays["x_test"]) == 2
