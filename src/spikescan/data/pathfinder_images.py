"""Images of two dashed paths among distractors, drawn many at a time."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_DASH, _GAP = 0.046, 0.018  # of the image's side
_TURN = 0.55  # radians between dashes at most
_CLEAR = 0.095  # between a dash and the middles of those it does not follow, at least
_EDGE = 0.05
_TRIES = 6  # of a dash, before its path is given up
_PATHS = 60  # tries of a path, before its image is given up
_DISTRACTORS, _SHORT = 5, 4  # paths and dashes of each
_MARKER = 0.05  # radius of a dot, and in pixels the least that is wider than a dash
_LEAST = 1.6


class Images(NamedTuple):
    """Pictures as bytes (N, side, side), and whether the two dots are on one path (N,)."""

    x: NDArray[np.uint8]
    y: NDArray[np.int64]


def draw(rng: np.random.Generator, count: int, *, side: int, dashes: int) -> Images:
    """Draw images, and return those in which all paths found room.

    Args:
        rng: Where the random numbers come from; only uniform ones are drawn.
        count: Images to draw; fewer are returned.
        side: Width and height in pixels.
        dashes: Dashes of each of the two long paths.
    """
    ends = np.zeros((count, 0, 2, 2), np.float32)  # of all dashes so far
    good = np.ones(count, bool)
    for length in (dashes, dashes, *[_SHORT] * _DISTRACTORS):
        found = np.zeros((count, length, 2, 2), np.float32)
        left = np.flatnonzero(good)
        for _ in range(_PATHS):
            laid, whole = _path(rng, length, ends[left].mean(2))
            found[left[whole]] = laid[whole]
            left = left[~whole]
            if not len(left):
                break
        good[left] = False
        ends = np.concatenate([ends, found], 1)
    tips = [(ends[:, k * dashes, 0], ends[:, (k + 1) * dashes - 1, 1]) for k in range(2)]
    y = (rng.random(count) < 0.5).astype(np.int64)
    first = rng.random(count) < 0.5  # whose path has the dots, or which end of each
    same = np.where(first[:, None, None], np.stack(tips[0], 1), np.stack(tips[1], 1))
    apart = np.stack([np.where(first[:, None], *tips[0]), np.where(first[:, None], *tips[1])], 1)
    dots = np.where(y[:, None, None] == 1, same, apart)
    x = _paint(ends[good], dots[good], side)
    return Images(x, y[good])


def _path(
    rng: np.random.Generator, length: int, others: Floats
) -> tuple[Floats, NDArray[np.bool_]]:
    """Lay one path in each image, clear of the middles (N, K, 2) of other dashes.

    Returns:
        The ends of its dashes (N, length, 2, 2), and in which images all of them found room.
    """
    count = len(others)

    def uniform(*shape: int) -> Floats:
        return rng.random(shape, dtype=np.float32)

    whole = np.ones(count, bool)
    laid = np.zeros((count, length, 2, 2), np.float32)
    angle = 2 * np.pi * uniform(count)
    for step in range(length):
        placed = np.zeros(count, bool)
        heading = angle
        # A path must keep clear of itself too, but for the dash that it goes on from.
        own = laid[:, : max(0, step - 1)].mean(2)
        near = np.concatenate([others, own], 1)
        for _ in range(_TRIES):
            if step:
                tried = angle + (2 * uniform(count) - 1) * _TURN
                begin = laid[:, step - 1, 1] + _GAP * _direction(tried)
            else:
                tried = angle
                begin = _EDGE + (1 - 2 * _EDGE) * uniform(count, 2)
            stop = begin + _DASH * _direction(tried)
            fits = ((stop > _EDGE) & (stop < 1 - _EDGE)).all(1)
            if near.shape[1]:
                for point in ((begin + stop) / 2, stop):
                    fits &= ((near - point[:, None]) ** 2).sum(2).min(1) > _CLEAR**2
            new = fits & ~placed
            laid[new, step] = np.stack([begin, stop], 1)[new]
            heading = np.where(new, tried, heading)
            placed |= fits
            if placed.all():
                break
        whole &= placed
        angle = heading
    return laid, whole


def _direction(angle: Any) -> Floats:
    return np.stack([np.cos(angle), np.sin(angle)], -1).astype(np.float32)


def _paint(dashes: Floats, dots: Floats, side: int) -> NDArray[np.uint8]:
    """Draw dashes (N, K, 2, 2) and two dots (N, 2, 2), edges smoothed over a pixel."""
    grid = (np.arange(side, dtype=np.float32) + 0.5) / side
    pixels = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).reshape(1, -1, 2)
    light = np.zeros((len(dashes), side * side), np.float32)
    width = max(0.5 / side, 0.012)
    for k in range(dashes.shape[1]):
        start, along = dashes[:, k, :1], dashes[:, k, 1:] - dashes[:, k, :1]
        offset = pixels - start
        share = np.clip((offset * along).sum(2) / (along**2).sum(2), 0, 1)[..., None]
        distance = np.sqrt(((offset - share * along) ** 2).sum(2))
        np.maximum(light, (width - distance) * side + 0.5, out=light)
    for k in range(2):
        distance = np.sqrt(((pixels - dots[:, k, None]) ** 2).sum(2))
        np.maximum(light, (max(_MARKER, _LEAST / side) - distance) * side + 0.5, out=light)
    return (255 * np.clip(light, 0, 1)).astype(np.uint8).reshape(-1, side, side)
