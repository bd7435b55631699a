"""Episodes of a policy in an environment, to learn a policy from."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikescan.data.environment import (
    EXPERTS,
    Episode,
    Policy,
    Told,
    episode_seed,
    make_environment,
    play,
    random_policy,
    told_of,
)
from spikescan.data.facts import Actions, Facts
from spikescan.data.memory import Sequences, StepSequences
from spikescan.data.module import SequenceData, Splits, at_least
from spikescan.data.own.npz import read_arrays
from spikescan.data.parts import chosen
from spikescan.data.root import DataError, find_file

Array = NDArray[Any]

_KEYS = ("obs", "acts", "rews", "terminal", "indices")


class Episodes(StepSequences):
    """Episodes of different length: x (B, T, 1 + D + A) are the steps of
    :meth:`Actions.steps <spikescan.data.Actions.steps>`, y (B, T) or (B, T, A) the actions.

    What is still wanted at a step is what the episode earned from there on.

    Args:
        episodes: As they were played.
        target: What actions there are.
    """

    def __init__(self, episodes: list[Episode], target: Actions) -> None:
        actions = [torch.from_numpy(e.actions) for e in episodes]
        x: list[Tensor] = []
        for episode, action in zip(episodes, actions, strict=True):
            earned = torch.from_numpy(episode.rewards)
            to_go = earned.flip(0).cumsum(0).flip(0)
            none = -torch.ones_like(action[:1]) if target.names else torch.zeros_like(action[:1])
            last = torch.cat((none, action[:-1]))
            x.append(target.steps(to_go, torch.from_numpy(episode.observed), last))
        super().__init__(x, actions)


class Trajectories(SequenceData):
    """Say the action at every step of an episode: x (B, T, 1 + D + A), y the actions.

    A step is the return that is still wanted, the observation, and the action before, as one hot
    number where it is one of several. The episodes are those of a file, or are played by an expert
    that is written by hand (CartPole, MountainCar, Acrobot, Pendulum): each of them with a share of
    random actions of its own, drawn between 0 and ``noise``, so that there are good and bad ones. A
    seeded tenth of the episodes is for validation, another for the test.

    A file is a NumPy archive: ``obs`` (total + N, D), the observations of N episodes, each with
    that after its end; ``acts`` (total,) or (total, A); ``rews`` (total,); ``terminal`` (N,),
    whether it ended by itself; ``indices`` (N - 1,), where to cut ``acts`` and ``rews``. Nothing is
    unpickled.

    Args:
        env: Name of the environment, as Gymnasium has it.
        path: The file, from the current folder or below the folder of all data sets; None plays.
        root: Folder of all data sets; without it the environment variable SPIKESCAN_DATA or the
            user's cache folder.
        batch_size: Episodes in a batch.
        workers: Processes that prepare batches; 0 is fastest, as all data are in memory.
        seed: Seed of the order of the training data, and of what is played.
        episodes: Number of episodes that are played.
        noise: Largest share of random actions in a played episode.

    Raises:
        ValueError: An argument is out of range.
        DataError: Gymnasium is missing, or there is no such environment.
    """

    def __init__(
        self,
        *,
        env: str,
        path: str | None = None,
        root: str | None = None,
        batch_size: int = 16,
        workers: int = 0,
        seed: int = 0,
        episodes: int = 200,
        noise: float = 1.0,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, workers=workers, seed=seed)
        at_least("episodes", episodes, 3)
        if not 0 <= noise <= 1:
            raise ValueError(f"noise must be from 0 to 1, got {noise}")
        self.env, self.path = env, path
        self.episodes, self.noise = episodes, noise

    @cached_property
    def _told(self) -> Told:
        return told_of(self.env)

    @property
    def source(self) -> str | None:
        """Where the episodes are; see :attr:`SequenceData.source`."""
        return self.path

    @property
    def facts(self) -> Facts:
        """Return to go, observations and the last action are the channels."""
        target, observed, steps = self._told
        done = target.names or tuple(map(str, range(target.width)))
        names = ("return to go", *observed, *(f"last {name}" for name in done))
        return Facts(target, length=steps, inputs=len(names), channels=names, scaled=True)

    def load(self) -> Splits:
        """Read or play the episodes, and deal them out."""
        target, observed, steps = self._told
        if self.path is None:
            found = [*record(self.env, episodes=self.episodes, noise=self.noise, seed=self.seed)]
        else:
            found = read_episodes(find_file(self.path, self.root), target, len(observed), steps)
        if len(found) < 3:
            raise DataError(f"{self.path} has {len(found)} episodes, three parts need at least 3")
        held = max(1, round(len(found) / 10))
        order = torch.from_numpy(np.random.default_rng(0).permutation(len(found)))
        whole = Episodes(found, target)
        return Splits(
            *(
                chosen(whole, part)
                for part in (order[2 * held :], order[held : 2 * held], order[:held])
            )
        )


def expert_of(env: str) -> Policy:
    """The policy that is written by hand for an environment.

    Raises:
        DataError: There is none.
    """
    if env not in EXPERTS:
        raise DataError(
            f"there is no expert for {env!r}, only for {', '.join(EXPERTS)}; give a file of "
            "episodes as data.path"
        )
    return EXPERTS[env]


def record(
    env: str,
    *,
    policy: Policy | None = None,
    episodes: int = 200,
    noise: float = 1.0,
    seed: int = 0,
) -> Iterator[Episode]:
    """Play episodes, each with a share of random actions that is drawn between 0 and ``noise``.

    Args:
        env: Name of the environment, as Gymnasium has it.
        policy: From an observation to an action; None for the expert written by hand.
        episodes: How many.
        noise: Largest share of random actions.
        seed: Of starts and random actions.

    Raises:
        DataError: There is no such environment, or no expert for it.
    """
    expert = expert_of(env) if policy is None else policy
    world = make_environment(env)
    for i in range(episodes):
        start = episode_seed(seed, 0, i)
        rng, other = np.random.default_rng(start), random_policy(world, start)
        share = noise * rng.random()

        def act(seen: Array, rng: Any = rng, other: Policy = other, share: float = share) -> Any:
            return other(seen) if rng.random() < share else expert(seen)

        yield play(world, act, start)
    world.close()


def write_episodes(path: Path, episodes: list[Episode]) -> None:
    """Write a file of episodes, see :class:`Trajectories`."""
    ends = np.cumsum([len(e.rewards) for e in episodes])
    np.savez_compressed(
        path,
        obs=np.concatenate([np.vstack((e.observed, e.last)) for e in episodes]),
        acts=np.concatenate([e.actions for e in episodes]),
        rews=np.concatenate([e.rewards for e in episodes]),
        terminal=np.array([e.terminated for e in episodes]),
        indices=ends[:-1],
    )


def read_episodes(file: Path, target: Actions, observed: int, steps: int) -> list[Episode]:
    """Read a file of episodes, see :class:`Trajectories`.

    Args:
        file: The archive.
        target: What actions there are.
        observed: Numbers D of an observation.
        steps: Steps of the longest episode that there can be.

    Raises:
        DataError: The file is damaged, or not of this environment.
    """
    arrays = read_arrays(file)
    for key in _KEYS:
        if key not in arrays:
            raise DataError(f"{file} has no array {key}, only {', '.join(arrays) or 'none'}")
    obs, acts, rews, terminal, cuts = (arrays[key] for key in _KEYS)
    count, total = terminal.size, len(rews) if rews.ndim else 0
    several = bool(target.names)
    shapes = {
        "obs": (obs, (total + count, observed), "fiu"),
        "acts": (acts, (total,) if several else (total, target.width), "iu" if several else "f"),
        "rews": (rews, (total,), "fiu"),
        "terminal": (terminal, (count,), "b"),
        "indices": (cuts, (max(0, count - 1),), "iu"),
    }  # fmt: skip
    for key, (array, shape, kinds) in shapes.items():
        if array.shape != shape or array.dtype.kind not in kinds:
            raise DataError(
                f"{file}: {key} must be of shape {shape} for {count} episodes of {target.env} with "
                f"{total} actions, got {array.dtype} {array.shape}"
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise DataError(f"{file}: {key} holds NaN or infinity")
    ends = [*cuts.tolist(), total]
    sizes = np.diff([0, *ends])
    if not count or (sizes < 1).any() or (sizes > steps).any():
        raise DataError(
            f"{file}: indices must cut {total} actions into episodes of 1 to {steps} steps, the "
            f"most that {target.env} has"
        )
    if target.names and not 0 <= int(acts.min()) <= int(acts.max()) < target.width:
        raise DataError(
            f"{file}: acts must be within 0 .. {target.width - 1} for {target.env}, got "
            f"{int(acts.min())} .. {int(acts.max())}"
        )
    found: list[Episode] = []
    for i, (end, size) in enumerate(zip(ends, sizes.tolist(), strict=True)):
        seen = obs[end - size + i : end + i + 1].astype(np.float32)
        done = acts[end - size : end].astype(np.int64 if target.names else np.float32)
        earned = rews[end - size : end].astype(np.float64)
        found.append(Episode(seen[:-1], done, earned, seen[-1], bool(terminal[i])))
    return found


def returns_of(part: Sequences) -> tuple[Tensor, Tensor]:
    """The return of each episode (N,), and what was still wanted at each step of all (total,)."""
    batch = part.batch(torch.arange(len(part)), 0)
    to_go = batch.x[..., 0]
    return to_go[:, 0], to_go[batch.valid()]
