"""Dashed paths: the answer can be seen in the picture, and released images are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from spikescan.data import DataError
from spikescan.data.pathfinder import Pathfinder
from spikescan.data.pathfinder_images import _paint, draw

FEW = {"samples": 40, "held_out": 20}


def tiny(folder: Path) -> list[str]:
    return [
        *(f"--data.{name}={value}" for name, value in FEW.items()),
        "--data.side=16",
        "--data.batch_size=8",
    ]


def test_the_answer_is_in_the_picture() -> None:
    # With the gaps between dashes closed, the two dots are in one piece or in two.
    images = draw(np.random.default_rng(3), 40, side=128, dashes=14)
    assert len(images.y) > 35
    seen = []
    for picture in images.x:
        ink = picture > 60
        pieces, _ = ndimage.label(ndimage.binary_dilation(ink, iterations=2))
        thick = ndimage.binary_erosion(ink, iterations=4)
        dots, count = ndimage.label(thick)
        assert count == 2
        first, second = (pieces[dots == k].max() for k in (1, 2))
        seen.append(int(first == second))
    assert np.mean(np.array(seen) == images.y) > 0.9
    assert 0.3 < images.y.mean() < 0.7
    # Brightness does not give the answer away.
    light = images.x.mean((1, 2))
    spread = light.std()
    assert abs(light[images.y == 1].mean() - light[images.y == 0].mean()) < spread


def test_parts_have_their_size_and_are_the_same_for_every_seed() -> None:
    data = Pathfinder(**FEW)
    assert [len(part) for part in data.splits] == [40, 20, 20]
    batch = data.splits.train[0]
    assert batch.x.shape == (1, 1024, 1)
    assert (float(batch.x.min()), float(batch.x.max())) == (-1, 1)
    again = Pathfinder(**FEW, seed=4)
    assert torch.equal(again.splits.test[3].x, data.splits.test[3].x)
    pictures = {b.x.numpy().tobytes() for part in data.splits for b in part}
    assert len(pictures) == 80


def test_released_images_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "paths"
    (folder / "metadata").mkdir(parents=True)
    (folder / "imgs" / "0").mkdir(parents=True)
    lines = []
    for i in range(20):
        image = np.full((16, 16), 10 * i, np.uint8)
        Image.fromarray(image).save(folder / "imgs" / "0" / f"sample_{i}.png")
        lines.append(f"imgs/0 sample_{i}.png {i} {i % 2} 1.0 14")
    listing = folder / "metadata" / "0.npy"
    listing.write_text("\n".join(lines) + "\n")
    options = {"root": str(tmp_path), "released": "paths", "side": 16}
    data = Pathfinder(**options)  # type: ignore[arg-type]
    assert [len(part) for part in data.splits] == [16, 2, 2]
    for part in data.splits:
        for batch in part:
            value = round(float(batch.x[0, 0, 0]) * 127.5 + 127.5)
            assert value // 10 % 2 == int(batch.y)
    for line, message in (
        ("imgs/0 sample_1.png 1", r"0\.npy: line 1 must name an image and its label"),
        ("../.. secret.png 1 1", "line 1 leaves"),
        ("imgs/0 absent.png 1 1", r"absent\.png is not a readable image"),
    ):
        listing.write_text(line)
        with pytest.raises(DataError, match=message):
            Pathfinder(**options).setup()  # type: ignore[arg-type]
    listing.unlink()
    with pytest.raises(DataError, match="has no lists of images"):
        Pathfinder(**options).setup()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options", [{"samples": 0}, {"held_out": 0}, {"side": 8}, {"dashes": 1}], ids=str
)
def test_wrong_arguments_are_named(options: dict[str, int]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=name):
        Pathfinder(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("side", [16, 24, 32, 128])
def test_dots_are_wider_than_paths(side: int) -> None:
    def width(dashes: list[Any], dots: list[Any]) -> float:
        x = _paint(*(np.array([v], np.float32) for v in (dashes, dots)), side)
        return float((x.reshape(side, side) / 255).sum(0).max())

    far = [[9.0, 9.0], [9.0, 9.0]]
    dash = [[[0.4, 0.2], [0.4, 0.8]]]
    assert width([[[9.0, 9.0], [9.1, 9.0]]], [[0.51, 0.51], [9.0, 9.0]]) > 2 * width(dash, far)
