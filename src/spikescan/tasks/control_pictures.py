"""Pictures of a policy at play."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from spikescan.report.style import BLUE, INK, MUTED, ORANGE, PURPLE, WIDE, headline, styled
from spikescan.tasks.live import Array, Played

_COLOURS = (BLUE, ORANGE, MUTED)


@styled
def returns(values: Mapping[str, Array], target: float, *, width: float = WIDE) -> Figure:
    """Draw the return (N,) of each episode, a row for each player, the first ours."""
    figure = Figure((width, 0.8 * len(values) + 1.2), layout="constrained")
    axes = figure.subplots()
    rng = np.random.default_rng(0)
    for row, ((_, earned), colour) in enumerate(zip(values.items(), _COLOURS, strict=False)):
        axes.plot(earned, row + rng.uniform(-0.22, 0.22, len(earned)), ".", color=colour, ms=4)
        axes.plot([earned.mean()] * 2, [row - 0.35, row + 0.35], color=INK, lw=2)
    axes.axvline(target, color=MUTED, lw=0.9, ls=(0, (2, 2)))
    axes.set_yticks(range(len(values)), list(values))
    axes.set(xlabel="return", ylim=(len(values) - 0.5, -0.5))
    ours, *others = values.values()
    words = ", ".join(f"{n} {v.mean():.4g}" for n, v in zip([*values][1:], others, strict=True))
    headline(axes, f"Mean return {ours.mean():.4g}", words, inches=width - 0.7)
    return figure


@styled
def asked_and_earned(asked: Array, earned: Array, *, width: float = WIDE) -> Figure:
    """Draw returns (K, N) that were earned against those (K,) that were asked for."""
    figure = Figure((width, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(asked, asked, color=MUTED, lw=0.9, ls=(0, (2, 2)), label="as asked")
    axes.plot(np.repeat(asked, earned.shape[1]), earned.ravel(), ".", color=MUTED, ms=4)
    axes.plot(asked, earned.mean(1), "o-", ms=4, color=BLUE, label="mean return")
    axes.set(xlabel="return asked for", ylabel="return")
    axes.legend(loc="best")
    low, high = earned[0].mean(), earned[-1].mean()
    words = f"{high:.4g} when asked for {asked[-1]:.4g}, {low:.4g} when asked for {asked[0]:.4g}"
    headline(axes, words, inches=width - 0.7)
    return figure


@styled
def episode(
    played: Played, observed: Sequence[str], actions: Sequence[str], *, width: float = WIDE
) -> Figure:
    """Draw the first episode: observations (T, D), spikes of all layers, actions (T,) or (T, A)."""
    layers = list(played.fired.values())
    heights = [1.3, *([2.0] if layers else []), 0.8]
    figure = Figure((width, 1.6 * sum(heights) + 0.4), layout="constrained")
    grid = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    steps = np.arange(len(played.to_go))
    spread = played.observed.std(0)
    for name, values, scale in zip(observed, played.observed.T, spread, strict=True):
        grid[0].plot(steps, values / (scale or 1), lw=1, label=name)
    grid[0].set_ylabel("observed")
    grid[0].legend(loc="upper right", ncols=3)
    if layers:
        fired = np.concatenate(layers, 1)
        step, neuron = fired.nonzero()
        grid[1].plot(step, neuron, "|", color=INK, ms=2, mew=0.6)
        grid[1].set(ylabel="neuron", ylim=(fired.shape[1], -1))
        grid[1].grid(visible=False)
    for values in played.actions.reshape(len(steps), -1).T:
        grid[-1].step(steps, values, where="mid", color=PURPLE, lw=1)
    if played.actions.ndim == 1:
        grid[-1].set_yticks(range(len(actions)), actions)
    grid[-1].set(xlabel="step", ylabel="done")
    earned = played.returns[0]
    detail = ""
    if layers:
        count = sum(float(spikes.sum()) for spikes in layers)
        detail = f"{count / len(steps):.3g} spikes a decision"
    headline(grid[0], f"Return {earned:.4g} in {len(steps)} steps", detail, inches=width - 0.7)
    return figure
