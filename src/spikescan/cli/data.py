"""``spikescan data list | get | control``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def list_(*, root: Path | None = None) -> int:
    """List the data sets, and which of them are here.

    Args:
        root: folder of all data sets, else SPIKESCAN_DATA, else a folder in the user's cache
    """
    from rich.console import Console
    from rich.table import Table

    from spikescan.data.catalogue import SOURCES
    from spikescan.data.root import data_root
    from spikescan.data.sources import missing

    table = Table("name", "what", "licence", "here")
    for source in SOURCES:
        here = "no" if missing(source, root) else "yes"
        here = "in a dependency" if source.embedded else here
        table.add_row(source.name, source.title, source.licence, here)
    Console().print(table)
    print(f"data root: {data_root(root)}")
    return 0


def get(name: str, *, root: Path | None = None) -> int:
    """Download a data set and verify it.

    Args:
        name: as `spikescan data list` gives it
        root: folder of all data sets, else SPIKESCAN_DATA, else a folder in the user's cache
    """
    from spikescan.data.sources import fetch, find_source

    print(fetch(find_source(name), root))
    return 0


def control(
    env: str,
    out: Path,
    *,
    episodes: int = 200,
    noise: float = 1.0,
    seed: int = 0,
    expert: str | None = None,
) -> int:
    """Play episodes of an expert in an environment, to learn a policy from.

    Experts written by hand are there for CartPole-v1, MountainCar-v0, Acrobot-v1 and Pendulum-v1.
    Each episode has a share of random actions of its own, so that there are good and bad ones. The
    file is read by `--data spikescan.data.Trajectories --data.env ENV --data.path FILE`.

    Args:
        env: name of the environment, as Gymnasium has it
        out: file to write, .npz
        episodes: how many
        noise: largest share of random actions, from 0 to 1
        seed: of starts and random actions
        expert: path of a function of your own, from an observation to an action: module.function
    """
    from rich.progress import track

    from spikescan.data.trajectories import record, write_episodes
    from spikescan.errors import UsageError

    if out.suffix != ".npz" or not out.absolute().parent.is_dir():
        raise UsageError(f"out must be a file .npz in a folder that is there, got {out}")
    if out.exists():
        raise UsageError(f"{out} exists already; choose another name")
    if episodes < 3 or not 0 <= noise <= 1 or seed < 0:
        raise UsageError(
            "episodes must be at least 3, noise from 0 to 1 and seed at least 0, got "
            f"{episodes}, {noise:g} and {seed}"
        )
    policy = None if expert is None else _function(expert)
    playing = record(env, policy=policy, episodes=episodes, noise=noise, seed=seed)
    found = [*track(playing, "playing", total=episodes, transient=True)]
    write_episodes(out, found)
    returns = [float(e.rewards.sum()) for e in found]
    print(
        f"{out}: {len(found)} episodes, {sum(len(e.rewards) for e in found):,} steps, returns "
        f"{min(returns):.4g} to {max(returns):.4g}, mean {sum(returns) / len(returns):.4g}"
    )
    return 0


def _function(path: str) -> Callable[..., object]:
    """The function of that path.

    Raises:
        UsageError: there is none.
    """
    from importlib import import_module

    from spikescan.errors import UsageError

    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"--expert: there is no function {path} ({error})") from error
    if not callable(found):
        raise UsageError(f"--expert: {path} is no function, but a {type(found).__name__}")
    return found
