"""Control: episodes of an expert, a policy that is told what return is wanted, live play."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spikescan.cli import main
from spikescan.data import Actions, Classes, DataError, Facts, SequenceBatch, Trajectories
from spikescan.data.environment import (
    EXPERTS,
    episode_seed,
    make_environment,
    play,
    random_policy,
    told_of,
)
from spikescan.data.trajectories import read_episodes, record, write_episodes
from spikescan.models import SDTCM, Backbone, GRUBlock, SpikingSSM
from spikescan.neurons import DSN, Neuron
from spikescan.tasks.control import Control
from spikescan.tasks.live import play_live

pytest.importorskip("gymnasium")


def tiny(folder: Path) -> list[str]:
    # Who has not learned yet falls at once, and so costs little.
    few = ["--data.episodes=6", "--task.episodes=2", "--task.val_episodes=1"]
    return ["--data.env=CartPole-v1", "--data.noise=1", *few]


def policy(env: str = "CartPole-v1", block: Any = None, **options: Any) -> Control:
    torch.manual_seed(0)
    facts = Trajectories(env=env).facts
    body = Backbone(block or SpikingDSN, inputs=facts.inputs, features=8, depth=1)
    return Control(body, facts, **options).eval()


def SpikingDSN(features: int) -> SpikingSSM:
    return SpikingSSM(features, neuron=DSN)


# Data


@pytest.mark.parametrize("env", EXPERTS)
def test_experts_beat_chance(env: str) -> None:
    world = make_environment(env)
    ours, chance = (
        np.mean([play(world, make(s), s).rewards.sum() for s in range(3)])
        for make in (lambda s: EXPERTS[env], lambda s: random_policy(world, s))
    )
    least = {"CartPole-v1": 500, "MountainCar-v0": -130, "Acrobot-v1": -250, "Pendulum-v1": -400}
    assert ours >= least[env] > chance


def test_a_step_is_what_is_wanted_and_seen_and_was_done() -> None:
    data = Trajectories(env="CartPole-v1", episodes=5, batch_size=2)
    batch = data.splits.train.batch(torch.arange(3), 0)
    assert batch.lengths is not None
    assert data.facts.channels is not None
    assert data.facts.inputs == len(data.facts.channels) == batch.x.shape[2] == 1 + 4 + 2
    for x, y, n in zip(batch.x, batch.y, batch.lengths.tolist(), strict=True):
        # Each step of CartPole earns 1: what is still wanted counts the steps down.
        assert x[:n, 0].tolist() == list(range(n, 0, -1))
        assert x[0, 5:].tolist() == [0, 0]
        assert torch.equal(x[1:n, 5:].argmax(-1), y[: n - 1])
        assert (x[n:] == 0).all()


def test_what_is_played_depends_on_the_seed_alone() -> None:
    def returns(seed: int, noise: float) -> list[float]:
        found = record("CartPole-v1", episodes=4, noise=noise, seed=seed)
        return [float(e.rewards.sum()) for e in found]

    assert returns(1, 1.0) == returns(1, 1.0) != returns(2, 1.0)
    assert returns(1, 0.0) == [500.0] * 4


def test_files_are_read_as_they_were_written(tmp_path: Path) -> None:
    told = told_of("Pendulum-v1")
    written = [*record("Pendulum-v1", episodes=3)]
    write_episodes(tmp_path / "a.npz", written)
    read = read_episodes(tmp_path / "a.npz", told.actions, 3, told.steps)
    for one, other in zip(written, read, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"acts": None}, "has no array acts, only"),
        ({"acts": np.full(6, 2)}, r"acts must be within 0 \.\. 1 for CartPole-v1, got 2 \.\. 2"),
        ({"acts": np.zeros(6)}, r"acts must be of shape \(6,\) .*, got float64"),
        ({"obs": np.zeros((8, 3))}, r"obs must be of shape \(8, 4\) for 2 episodes of CartPole-v1"),
        ({"obs": np.full((8, 4), np.nan)}, "obs holds NaN or infinity"),
        ({"rews": np.full(6, np.inf)}, "rews holds NaN or infinity"),
        ({"indices": np.array([6])}, "indices must cut 6 actions into episodes of 1 to 500 steps"),
        ({"indices": np.array([-1])}, "indices must cut 6 actions into episodes"),
        ({"terminal": np.zeros(3, bool)}, r"obs must be of shape \(9, 4\) for 3 episodes"),
    ],
)
def test_files_that_are_wrong_are_told(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    arrays = {
        "obs": np.zeros((8, 4), np.float32),
        "acts": np.array([0, 1, 1, 0, 1, 0]),
        "rews": np.ones(6),
        "terminal": np.array([True, False]),
        "indices": np.array([2]),
    }
    kept = {k: v for k, v in {**arrays, **change}.items() if v is not None}
    np.savez(tmp_path / "a.npz", **kept)
    target = Actions("CartPole-v1", ("left", "right"))
    with pytest.raises(DataError, match=message):
        read_episodes(tmp_path / "a.npz", target, 4, 500)


def test_the_command_writes_what_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "pole.npz"
    words = ["data", "control", "CartPole-v1", str(out), "--episodes=4", "--noise=0"]
    assert main(words) == 0
    assert "4 episodes, 2,000 steps, returns 500 to 500" in capsys.readouterr().out
    assert main(words) == 2
    assert "exists already" in capsys.readouterr().err
    (tmp_path / "left_always.py").write_text("def act(seen):\n    return 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    other = tmp_path / "left.npz"
    words = ["data", "control", "CartPole-v1", str(other), "--episodes=4", "--noise=0"]
    assert main([*words, "--expert=left_always.act"]) == 0
    data = Trajectories(env="CartPole-v1", path=str(other))
    assert int(data.splits.train.y.max()) == 0


def test_what_is_missing_is_one_line() -> None:
    with pytest.raises(DataError, match="gymnasium makes no 'CartPool-v1'"):
        told_of("CartPool-v1")
    with pytest.raises(DataError, match="there is no expert for 'MountainCarContinuous-v0'"):
        Trajectories(env="MountainCarContinuous-v0").load()


# Task


def test_padding_counts_for_nothing() -> None:
    task = policy()
    x = torch.randn(2, 6, 7)
    y = torch.tensor([[0, 1, 1, 0, 1, 1], [1, 0, 1, 0, 0, 0]])
    batch = SequenceBatch(x, y, torch.tensor([6, 3]))
    out = task(batch.x, batch.lengths)
    parts = [
        task.loss(out[i : i + 1, :n], SequenceBatch(x[i : i + 1, :n], y[i : i + 1, :n])) * n
        for i, n in ((0, 6), (1, 3))
    ]
    torch.testing.assert_close(task.loss(out, batch), torch.stack(parts).sum() / 9)
    assert task.weight(batch) == 9
    assert task.predict(x, batch.lengths)[1] == task.predict(x[1:, :3])[0]


def test_errors_of_values_are_in_halves_of_their_range() -> None:
    task = policy("Pendulum-v1")
    batch = SequenceBatch(torch.randn(2, 5, 5), torch.full((2, 5, 1), 2.0))
    torch.testing.assert_close(task.loss(torch.zeros(2, 5, 1), batch), torch.tensor(1.0))
    assert task.decide(torch.tensor([[7.0], [-0.5]])).tolist() == [[2.0], [-1.0]]


def test_live_play_is_the_network_on_the_whole_episode() -> None:
    """The actions of carried state are those of one call over what was read, and so the spikes."""
    task = policy()
    task.limits.copy_(torch.tensor([0.0, 500.0]))
    played = task.play(3, wanted=[30.0, 500.0, 500.0])
    steps = len(played.to_go)
    assert steps == played.returns[0]
    assert played.to_go.tolist() == [max(0, 30 - t) for t in range(steps)]
    actions = torch.from_numpy(played.actions)
    x = task.does.steps(
        torch.from_numpy(played.to_go),
        torch.from_numpy(played.observed),
        torch.cat((torch.tensor([-1]), actions[:-1])),
    )
    fired: dict[str, torch.Tensor] = {}
    hooks = [
        module.register_forward_hook(lambda m, i, out, name=name: fired.update({name: out[0][0]}))
        for name, module in task.model.named_modules()
        if isinstance(module, Neuron)
    ]
    with torch.no_grad():
        assert torch.equal(task(x[None])[0].argmax(-1), actions)
    for hook in hooks:
        hook.remove()
    assert fired.keys() == played.fired.keys()
    for name, spikes in fired.items():
        np.testing.assert_array_equal(spikes, played.fired[name])
    assert played.decisions == played.returns.sum()


def test_an_episode_is_the_same_alone_and_among_others() -> None:
    task = policy()
    task.limits.copy_(torch.tensor([0.0, 500.0]))
    both = task.play(2)
    one = play_live(
        task.model,
        task.does,
        decide=task.decide,
        wanted=[0.0],
        limits=(0.0, 500.0),
        seeds=[episode_seed(0, 1, 1)],
    )
    assert one.returns[0] == both.returns[1]
    assert both.spikes > one.spikes > 0


def test_returns_are_asked_for_within_what_was_learned() -> None:
    task = policy("MountainCar-v0", block=GRUBlock)
    task.limits.copy_(torch.tensor([-200.0, -90.0]))
    played = task.play(1, wanted=[-100.0])
    assert played.to_go[0] == -100
    assert (played.to_go[10:] == -90).all()
    assert played.fired == {}
    assert played.spikes == 0


def test_values_are_played_within_their_bounds() -> None:
    task = policy("Pendulum-v1", block=GRUBlock)
    task.limits.copy_(torch.tensor([-2000.0, 0.0]))
    torch.nn.init.constant_(task.model.head.linear.bias, 5)
    played = task.play(1, wanted=[-200.0])
    assert played.actions.shape == (200, 1)
    assert (played.actions == 2).all()
    assert played.returns[0] < 0


def test_other_targets_and_networks_are_refused() -> None:
    body = Backbone(SDTCM, inputs=7, features=8, depth=1)
    with pytest.raises(ValueError, match="Control needs data whose target is Actions"):
        Control(body, Facts(Classes(("a",)), length=8, inputs=7))
    with pytest.raises(ValueError, match="episodes of Control must be at least 1"):
        policy(episodes=0)
