"""Episodes that others have recorded."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from spikescan.data import Trajectories

pytest.importorskip("gymnasium")


@pytest.mark.parametrize(
    ("env", "file", "count", "best"),
    [("CartPole-v1", "cartpole_expert", 57, 500), ("Pendulum-v1", "pendulum_expert", 56, -0.5)],
)
def test_trajectories_of_others_are_read(
    env: str, file: str, count: int, best: float, real_folder: Callable[[str], str]
) -> None:
    root = real_folder("control")
    data = Trajectories(env=env, path=f"control/{file}.npz", root=root)
    assert sum(map(len, data.splits)) == count
    wanted = [float(part[i].x[0, 0, 0]) for part in data.splits for i in range(len(part))]
    assert max(wanted) == pytest.approx(best, abs=0.1)
