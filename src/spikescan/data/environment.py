"""Environments of Gymnasium: what a policy observes and does there, and who plays well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikescan.data.facts import Actions
from spikescan.data.root import DataError
from spikescan.errors import optional

Array = NDArray[Any]
Policy = Callable[[Array], Any]
"""From an observation (D,) to an action of the environment."""


class Told(NamedTuple):
    """What is known of an environment."""

    actions: Actions
    observed: tuple[str, ...]
    """Name of each of the D numbers of an observation."""
    steps: int
    """Steps after which an episode ends at the latest."""


_TORQUES = ("pull", "nothing", "push")
_WORDS = {
    "CartPole-v1": (("position", "speed", "angle", "turning"), ("left", "right")),
    "Acrobot-v1": (("cos 1", "sin 1", "cos 2", "sin 2", "turning 1", "turning 2"), _TORQUES),
    "MountainCar-v0": (("position", "speed"), ("left", "nothing", "right")),
    "Pendulum-v1": (("cos", "sin", "turning"), ()),
}
"""Names of observations and actions in the classic environments."""


def _gymnasium() -> Any:
    return optional("gymnasium", "control", "an environment")


def make_environment(name: str) -> Any:
    """Make an environment of Gymnasium.

    Raises:
        MissingPackage: Gymnasium is not installed.
        DataError: It has no such environment.
    """
    gymnasium = _gymnasium()
    try:
        return gymnasium.make(name)
    except gymnasium.error.Error as error:
        raise DataError(f"gymnasium makes no {name!r}: {' '.join(str(error).split())}") from error


def told_of(name: str) -> Told:
    """What a policy observes and does in an environment, and for how long.

    Raises:
        DataError: There is none of that name; or its observations are not a row of numbers, its
            actions neither one of several nor a row of numbers, or its episodes never end.
        MissingPackage: Gymnasium is not installed.
    """
    spaces = _gymnasium().spaces
    env = make_environment(name)
    seen, done, spec = env.observation_space, env.action_space, env.spec
    steps = None if spec is None else spec.max_episode_steps
    env.close()
    if not isinstance(seen, spaces.Box) or len(seen.shape) != 1 or steps is None:
        raise DataError(
            f"{name}: a policy needs observations that are a row of numbers and episodes that end "
            f"after a number of steps, got {seen} and {steps}"
        )
    size = seen.shape[0]
    observed, words = _WORDS.get(name, (tuple(f"observation {i}" for i in range(size)), ()))
    if isinstance(done, spaces.Discrete) and done.start == 0:
        names = words or tuple(f"action {i}" for i in range(int(done.n)))
        return Told(Actions(name, names), observed, steps)
    if isinstance(done, spaces.Box) and len(done.shape) == 1:
        low, high = (tuple(map(float, bound)) for bound in (done.low, done.high))
        return Told(Actions(name, (), low, high), observed, steps)
    raise DataError(f"{name}: actions must be one of several or a row of numbers, got {done}")


class Episode(NamedTuple):
    """An episode as it was played."""

    observed: Array
    """(T, D) float32, what was observed before each action."""
    actions: Array
    """(T,) int64 or (T, A) float32."""
    rewards: Array
    """(T,) float64, what each action earned."""
    last: Array
    """(D,) float32, what was observed at the end."""
    terminated: bool
    """Whether the episode ended by itself, not by the number of its steps."""


def play(env: Any, policy: Policy, seed: int) -> Episode:
    """Play an episode with a policy from a start that the seed decides."""
    seen, _ = env.reset(seed=seed)
    observed, actions, rewards = [], [], []
    terminated = truncated = False
    while not (terminated or truncated):
        action = policy(seen)
        observed.append(seen)
        actions.append(action)
        seen, reward, terminated, truncated, _ = env.step(action)
        rewards.append(float(reward))
    done = np.asarray(actions)
    done = done.astype(np.int64 if done.ndim == 1 else np.float32)
    return Episode(
        np.asarray(observed, np.float32),
        done,
        np.asarray(rewards),
        np.asarray(seen, np.float32),
        bool(terminated),
    )


def episode_seed(*numbers: int) -> int:
    """A seed of an episode's start, another one for other numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def random_policy(env: Any, seed: int) -> Policy:
    """Any action, as likely as any other."""
    env.action_space.seed(seed)
    return lambda _: env.action_space.sample()


def _cartpole(seen: Array) -> int:
    return int(seen @ (0.05, 0.2, 1.0, 0.3) > 0)


def _mountain_car(seen: Array) -> int:
    return 2 if seen[1] >= 0 else 0  # Push where it rolls: energy grows.


def _acrobot(seen: Array) -> int:
    return 0 if seen[4] > 0 else 2  # Against the first link, which the second one drags along.


def _pendulum(seen: Array) -> Array:
    cos, sin, turning = seen
    energy = turning**2 / 6 + 5 * (cos - 1)  # Of a rod of 1 kg and 1 m, zero when it stands.
    if cos > 0.85 and abs(turning) < 3.5:
        torque = -12 * np.arctan2(sin, cos) - 3 * turning
    else:
        torque = -2 * np.copysign(1, turning) * np.sign(energy)
    return np.clip(np.array([torque], np.float32), -2, 2)


EXPERTS: dict[str, Policy] = {
    "CartPole-v1": _cartpole,
    "MountainCar-v0": _mountain_car,
    "Acrobot-v1": _acrobot,
    "Pendulum-v1": _pendulum,
}
"""Policies written by hand: a linear law for the pole, energy pumped into the others."""
