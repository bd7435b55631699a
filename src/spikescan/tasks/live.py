"""A trained policy at play: several episodes side by side, step by step from carried state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikescan.data import Actions
from spikescan.data.environment import make_environment
from spikescan.models import Network
from spikescan.tasks.firing import listening

Array = NDArray[Any]


class Played(NamedTuple):
    """What came of episodes that were played live."""

    returns: Array
    """(N,), sum of the rewards of each episode."""
    decisions: int
    """Steps of all episodes together."""
    spikes: float
    """Spikes of all neurons over all decisions; one that fires a whole number counts as many."""
    observed: Array
    """(T, D), the first episode: what was observed before each decision."""
    actions: Array
    """(T,) or (T, A), the first episode: what was done."""
    to_go: Array
    """(T,), the first episode: the return that was still wanted."""
    fired: dict[str, Array]
    """Layer -> (T, features), the first episode: spikes."""


@torch.no_grad()
def play_live(
    model: Network,
    target: Actions,
    *,
    decide: Callable[[Tensor], Tensor],
    wanted: list[float],
    limits: tuple[float, float],
    seeds: list[int],
) -> Played:
    """Play an episode for each seed, all side by side as one batch.

    Args:
        model: The policy's network, which is stepped from rest; in evaluation mode.
        target: The environment, and what actions there are.
        decide: From outputs (N, width) to actions, (N,) int64 or (N, A) within their bounds.
        wanted: The return to ask for in each episode. What is earned is taken off at each step.
        limits: What is still wanted stays within these: the least and the greatest that the network
            has learned from.
        seeds: Of the start of each episode.
    """
    worlds = [make_environment(target.env) for _ in seeds]
    seen = np.stack([w.reset(seed=s)[0] for w, s in zip(worlds, seeds, strict=True)])
    weight = next(model.parameters())
    rows, device = len(seeds), weight.device
    last = torch.full((rows,), -1) if target.names else torch.zeros(rows, target.width)
    returns, to_go = np.zeros(rows), np.array(wanted, float)
    going = np.ones(rows, bool)
    spikes, decisions, state = 0.0, 0, None
    first: list[tuple[Array, Array, float, dict[str, Array]]] = []
    layers: dict[str, Tensor] = {}

    def keep(name: str, fired: Tensor) -> None:
        layers[name] = fired.flatten(0, -2).cpu()

    with listening(model, keep):
        while going.any():
            asked = torch.from_numpy(to_go.clip(*limits))
            x = target.steps(asked, torch.from_numpy(seen), last).to(device, weight.dtype)
            layers.clear()
            out, state = model.step(x, state)
            last = decide(out).cpu()
            spikes += sum(float(s[going].sum()) for s in layers.values())
            decisions += int(going.sum())
            if going[0]:
                now = {name: s[0].float().numpy() for name, s in layers.items()}
                first.append((seen[0].copy(), last[0].numpy(), float(asked[0]), now))
            for i in np.flatnonzero(going):
                seen[i], reward, terminated, truncated, _ = worlds[i].step(last[i].numpy())
                returns[i] += reward
                to_go[i] -= reward
                going[i] = not (terminated or truncated)
    for world in worlds:
        world.close()
    observed, actions, asked_for, fired = zip(*first, strict=True)
    return Played(
        returns,
        decisions,
        spikes,
        np.stack(observed),
        np.stack(actions),
        np.array(asked_for),
        {name: np.stack([now[name] for now in fired]) for name in fired[0]},
    )
