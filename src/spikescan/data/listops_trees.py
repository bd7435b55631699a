"""Random trees of ListOps, generated and evaluated many at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

TOKENS = ("padding", *"0123456789", "[MIN", "[MAX", "[MED", "[SM", "]", "end")
"""Name of each token."""
DIGIT, OPERATOR, CLOSE, END = 1, 11, 15, 16
"""The first digit, the first operator, the closing bracket and the end of a sequence."""
OPERATORS = ("MIN", "MAX", "MED", "SM")

_NEST = 0.25  # probability that an argument is an operator


class Trees(NamedTuple):
    """Trees in prefix notation, end to end."""

    tokens: NDArray[np.uint8]
    sizes: Ints
    values: Ints


class _Level(NamedTuple):
    """The nodes at one depth, siblings side by side."""

    parent: Ints  # position of the parent among the nodes a level above
    kind: Ints  # -1 for a digit, else the operator
    digit: Ints  # value of a digit; not used for an operator


def draw(
    rng: np.random.Generator, count: int, *, depth: int, arguments: int, shortest: int, longest: int
) -> Trees:
    """Draw trees, and return those of more than ``shortest`` and fewer than ``longest`` tokens.

    The root is an operator. Each argument is an operator with probability 1/4, at ``depth`` never;
    operators, digits and the number of arguments, 2 .. ``arguments``, are uniform.

    Args:
        rng: Where the random numbers come from; only uniform ones are drawn.
        count: Trees to draw; fewer are returned.
        depth: Depth of the deepest node; the root has 1.
        arguments: Largest number of arguments of an operator.
        shortest: Tokens that every tree has more of.
        longest: Tokens that every tree has fewer of.
    """

    def uniform(size: int, below: int) -> Ints:
        return (rng.random(size) * below).astype(np.int64)

    roots = np.arange(count)
    levels = [_Level(roots, uniform(count, len(OPERATORS)), np.zeros(count, np.int64))]
    tree = roots  # of each node of the last level
    tokens = np.full(count, 2)  # of each tree, without what is still to come
    for level in range(2, depth + 1):
        # A tree that has grown too large is not grown further; it is dropped in the end.
        grows = np.flatnonzero((levels[-1].kind >= 0) & (tokens[tree] < longest))
        width = 2 + uniform(len(grows), arguments - 1)
        parent = np.repeat(grows, width)
        size = len(parent)
        nested = rng.random(size) < _NEST if level < depth else np.zeros(size, bool)
        kind = np.where(nested, uniform(size, len(OPERATORS)), -1)
        tree = tree[parent]
        tokens += np.bincount(tree, weights=1 + nested, minlength=count).astype(np.int64)
        levels.append(_Level(parent, kind, uniform(size, 10)))
        if not size:
            break
    wanted = (tokens > shortest) & (tokens < longest)
    return _written(_only(levels, wanted))


def _only(levels: list[_Level], trees: NDArray[np.bool_]) -> list[_Level]:
    """Keep some trees, and number the nodes that are left anew."""
    kept: list[_Level] = []
    keep = trees[levels[0].parent]
    moved = np.cumsum(trees) - 1
    for depth, level in enumerate(levels):
        if depth:
            keep = keep[level.parent]
        kept.append(_Level(moved[level.parent[keep]], level.kind[keep], level.digit[keep]))
        moved = np.cumsum(keep) - 1
    return kept


def _written(levels: list[_Level]) -> Trees:
    """Write whole trees as tokens, and evaluate them."""
    # From the leaves up: value and number of tokens of each node.
    values: list[Ints] = [level.digit.copy() for level in levels]
    sizes: list[Ints] = [np.where(level.kind < 0, 1, 2) for level in levels]
    for above in range(len(levels) - 2, -1, -1):
        level, below = levels[above], levels[above + 1]
        sizes[above] += np.bincount(
            below.parent, weights=sizes[above + 1], minlength=len(level.kind)
        ).astype(np.int64)
        nodes = np.flatnonzero(level.kind >= 0)
        values[above][nodes] = _apply(level.kind[nodes], below.parent, values[above + 1])
    # From the roots down: the place of each node in the text.
    total = int(sizes[0].sum())
    tokens = np.zeros(total, np.uint8)
    place = np.cumsum(sizes[0]) - sizes[0]
    for depth, level in enumerate(levels):
        if depth:
            # Siblings stand side by side: the sizes of those before a node, since the first.
            before = np.cumsum(sizes[depth]) - sizes[depth]
            first = np.searchsorted(level.parent, level.parent)
            place = place[level.parent] + 1 + before - before[first]
        digits = level.kind < 0
        tokens[place] = np.where(digits, DIGIT + level.digit, OPERATOR + level.kind)
        inner = ~digits
        tokens[place[inner] + sizes[depth][inner] - 1] = CLOSE
    return Trees(tokens, sizes[0], values[0])


def _apply(kinds: Ints, parent: Ints, values: Ints) -> Ints:
    """Values of operators, all of them given by their arguments side by side."""
    if not len(kinds):
        return np.zeros(0, np.int64)
    first = np.flatnonzero(np.diff(parent, prepend=-1))
    count = np.diff(first, append=len(values))
    ordered = values[np.lexsort((values, parent))]
    low, high = ordered[first + (count - 1) // 2], ordered[first + count // 2]
    results = (
        ordered[first],
        ordered[first + count - 1],
        (low + high) // 2,
        np.add.reduceat(values, first) % 10,
    )
    return np.choose(kinds, results)
