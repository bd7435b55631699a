"""Single images, for a network that was trained on images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from spikescan.data import CIFAR10, MNIST, DataError, Pathfinder, pixel_order
from spikescan.data.image import read_image

RNG = np.random.default_rng(0)


def saved(pixels: NDArray[np.uint8], file: Path) -> Path:
    Image.fromarray(pixels).save(file)
    return file


def dark(side: int) -> NDArray[np.uint8]:
    return RNG.integers(0, 100, (side, side), dtype=np.uint8)


def test_mnist_shows_the_pixels_in_the_order_of_training(tmp_path: Path) -> None:
    pixels = dark(28)
    file = saved(pixels, tmp_path / "seven.png")
    scaled = torch.from_numpy((pixels / 255 - 0.1306605) / 0.3081078).float()
    for options, expected in (
        ({}, scaled.view(1, 784, 1)),
        ({"order": "permuted"}, scaled.flatten()[pixel_order("permuted")].view(1, 784, 1)),
        ({"step": "row"}, scaled.view(1, 28, 28)),
    ):
        data = MNIST(**options)  # type: ignore[arg-type]
        [(name, batch)] = data.read(file)
        assert name == str(file)
        assert batch.lengths is None
        torch.testing.assert_close(batch.x, expected, rtol=0, atol=1e-6)
        assert data.notes == []


def test_mnist_tells_of_an_image_on_white(tmp_path: Path) -> None:
    data = MNIST()
    data.read(saved(255 - dark(28), tmp_path / "white.png"))
    assert len(data.notes) == 1
    assert "white.png is bright at its edge" in data.notes[0]
    assert "invert it" in data.notes[0]


@pytest.mark.parametrize("grey", [True, False])
@pytest.mark.parametrize("step", ["pixel", "row"])
def test_cifar_reads_an_image_as_its_own(tmp_path: Path, grey: bool, step: str) -> None:
    folder = tmp_path / "cifar10_subset"
    folder.mkdir()
    images = RNG.integers(0, 256, (100, 1024, 3), dtype=np.uint8)
    for batch in (0, 50):
        saved(images, folder / f"cifar10_batch_{batch}.png")
    lines = [f"{1000 * batch + row} {row % 10}" for batch in (0, 50) for row in range(100)]
    (folder / "labels.txt").write_text("\n".join(lines))
    data = CIFAR10(root=str(tmp_path), subset=True, grey=grey, step=step)  # type: ignore[arg-type]
    file = saved(images[7].reshape(32, 32, 3), tmp_path / "seven.png")
    [(_, batch)] = data.read(file)
    assert torch.equal(batch.x, data.splits.test[7].x)


def test_pathfinder_scales_an_image_as_its_own(tmp_path: Path) -> None:
    pixels = dark(16)
    [(_, batch)] = Pathfinder(side=16).read(saved(pixels, tmp_path / "paths.png"))
    expected = torch.from_numpy(pixels / 127.5 - 1).float().view(1, 256, 1)
    torch.testing.assert_close(batch.x, expected, rtol=0, atol=1e-6)


def test_colours_become_grey(tmp_path: Path) -> None:
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    file = saved(red, tmp_path / "red.png")
    assert read_image(file, 4, grey=True).tolist() == [[76] * 4] * 4  # 0.299 of 255
    assert read_image(file, 4, grey=False).tolist() == [[[255, 0, 0]] * 4] * 4


def transparent(file: Path) -> None:
    Image.new("RGBA", (28, 28)).save(file)


def deep(file: Path) -> None:
    Image.fromarray(np.zeros((28, 28), np.uint16)).save(file)


def moving(file: Path) -> None:
    first, *others = (Image.new("L", (28, 28), shade) for shade in (0, 90))
    first.save(file, format="GIF", save_all=True, append_images=others)


def large(file: Path) -> None:
    Image.new("L", (20, 28)).save(file)


def truncated(file: Path) -> None:
    saved(dark(28), file)
    file.write_bytes(file.read_bytes()[:200])


def text(file: Path) -> None:
    file.write_text("no image")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (transparent, "not transparent, has mode RGBA"),
        (deep, "grey or RGB of 8 bits .* has mode I;16"),
        (moving, "has 2 images"),
        (large, "must be 28 x 28 pixels, .* is 20 x 28"),
        (truncated, "is not a readable image"),
        (text, "is not a readable image"),
    ],
)
def test_other_files_are_refused(
    tmp_path: Path, make: Callable[[Path], None], message: str
) -> None:
    file = tmp_path / "image.png"
    make(file)
    with pytest.raises(DataError, match=message):
        MNIST().read(file)
