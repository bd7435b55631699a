"""Train a network to act: from the return that is wanted and what is observed to an action."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanSquaredError
from torchmetrics.classification import MulticlassAccuracy

from spikescan.data import Actions, Facts, SequenceBatch
from spikescan.data.environment import (
    EXPERTS,
    episode_seed,
    make_environment,
    play,
    random_policy,
)
from spikescan.data.trajectories import returns_of
from spikescan.models import Backbone, Network, StepHead
from spikescan.neurons import Neuron
from spikescan.report import LOSS, Quantity, Section
from spikescan.tasks.base import Task, scale_of
from spikescan.tasks.control_pictures import asked_and_earned, episode, returns
from spikescan.tasks.firing import Firing
from spikescan.tasks.limits import within
from spikescan.tasks.live import Array, Played, play_live
from spikescan.tasks.optimizer import Optimizer

_TEST, _VAL, _REPORT = 1, 2, 3
"""What starts of live episodes are for, which are others for each."""
_ASKED, _EACH = 5, 10
"""Returns that are asked for in the report's picture, and episodes for each, at most."""


class Control(Task):
    r"""Say the action at every step of an episode, given the return that is still wanted.

    .. math::
        a_t = f(R_t, o_t, a_{t-1};\ \text{state}), \qquad
        L = -\frac{1}{N} \sum_t \log p(a_t) \quad\text{or}\quad
        \frac{1}{N A} \sum_t \Big\lVert \frac{\hat a_t - a_t}{h} \Big\rVert^2

    the second where actions are values, h half of what lies between their bounds. In training R_t
    is what the episode earned from step t on. Live, R_0 is the return that is asked for, and what
    is earned is taken off; it stays within what was seen in training.

    The headline is the mean return of episodes that are played live in Gymnasium, step by step from
    carried state, from starts that training has not seen. It is measured on few episodes after each
    epoch, which decides what epoch is kept, and on more of them in the test, where beside it stand
    the expert that is written by hand (where there is one), random actions, the episodes that were
    learned from, and the number of spikes that a decision takes.

    Args:
        backbone: body of the network, causal.
        facts: what is known of the data; its target are actions.
        optimizer: how the loss is lowered.
        firing: how much the network may fire.
        target_return: return to ask for; None for the mean of the best tenth of the training data.
        episodes: live episodes of the test.
        val_episodes: live episodes after each epoch.
        play_seed: seed of their starts.
        watched: what decides on the validation data which epoch is kept.

    Raises:
        ValueError: the data have another target than actions, the backbone is not causal, or an
            option is out of range.

    Source: conditioning on the return as in Chen et al. 2021 (arXiv 2106.01345); here the
    three inputs of a step are one vector, not three tokens, and a state remembers, not a window.
    """

    each_step = True
    target: Tensor
    lowest: Tensor
    mean_return: Tensor
    limits: Tensor
    reach: Tensor
    middle: Tensor

    def __init__(
        self,
        backbone: Backbone,
        facts: Facts,
        *,
        optimizer: Optimizer = Optimizer(clip=1.0),
        firing: Firing = Firing(),
        target_return: float | None = None,
        episodes: int = 100,
        val_episodes: int = 20,
        play_seed: int = 0,
        watched: Literal["loss", "return"] = "return",
    ) -> None:
        if not isinstance(facts.target, Actions):
            raise ValueError(f"Control needs data whose target is Actions, got {facts.target}")
        if not backbone.causal:
            raise ValueError("Control needs a causal backbone: this one reads what is to come")
        self.does = facts.target
        width = self.does.width
        self.quantities = (
            (Quantity("accuracy", "higher", percent=True),)
            if self.does.names
            else (Quantity("action_mse"),)
        )
        metric = (
            MulticlassAccuracy(width, average="micro") if self.does.names else MeanSquaredError()
        )
        super().__init__(
            Network(backbone, StepHead(backbone.features, width), scale_of(facts)),
            {self.quantities[0].name: metric},
            optimizer=optimizer,
            firing=firing,
        )
        within(self, episodes=(episodes, 1, np.inf), val_episodes=(val_episodes, 1, np.inf))
        self.target_return, self.play_seed = target_return, play_seed
        self.episodes, self.val_episodes = episodes, val_episodes
        self.watched = self.headline if watched == "return" else LOSS
        self.channels = facts.channels or ()
        self.fires = any(isinstance(module, Neuron) for module in self.model.modules())
        self.beside = (
            *((Quantity("expert_return", "higher"),) if self.does.env in EXPERTS else ()),
            Quantity("random_return", "higher"),
            Quantity("learned_from", "higher"),
            *((Quantity("spikes_a_decision"),) if self.fires else ()),
        )
        low, high = (torch.tensor(bound) for bound in (self.does.low, self.does.high))
        bounded = low.isfinite() & high.isfinite()
        # Not kept in checkpoints: the environment says them.
        self.register_buffer("reach", ((high - low) / 2).where(bounded, 1), persistent=False)
        self.register_buffer("middle", ((high + low) / 2).where(bounded, 0), persistent=False)
        for name, value in (("target", 0.0), ("lowest", 0.0), ("mean_return", 0.0)):
            self.register_buffer(name, torch.tensor(value))
        self.register_buffer("limits", torch.zeros(2))

    @property
    def headline(self) -> Quantity:
        """The mean return of live episodes."""
        return Quantity("return", "higher")

    def setup(self, stage: str) -> None:
        """Before training, look at the returns that are learned from."""
        super().setup(stage)
        if stage != "fit":
            return
        earned, to_go = returns_of(self.trainer.datamodule.splits.train)  # type: ignore[attr-defined]
        best = earned.topk(max(1, len(earned) // 10)).values.mean()
        if self.target_return is not None:
            best = torch.tensor(self.target_return)
        self.target.copy_(best)
        self.lowest.copy_(earned.min())
        self.mean_return.copy_(earned.mean())
        self.limits.copy_(torch.stack((to_go.min(), to_go.max())))

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits (B, T, actions), or actions (B, T, A), for steps x (B, T, D)."""
        out = super().forward(x, lengths)
        return out if self.does.names else self.middle + self.reach * out

    def decide(self, out: Tensor) -> Tensor:
        """The action (N,) or (N, A), within its bounds, of outputs (N, width) of the network."""
        if self.does.names:
            return out.argmax(-1)
        low, high = (out.new_tensor(bound) for bound in (self.does.low, self.does.high))
        return (self.middle + self.reach * out).clamp(low, high).float()

    def measured(self, out: Tensor, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
        """Outputs (N, width) and actions (N,) or (N, A) of all steps that count."""
        said, done = super().measured(out, batch)
        return said, done if self.does.names else done.to(out.dtype)

    def loss(self, out: Tensor, batch: SequenceBatch) -> Tensor:
        """Cross-entropy, or squared error in halves of the range, the mean over all steps."""
        said, done = self.measured(out, batch)
        if self.does.names:
            return F.cross_entropy(said, done)
        return F.mse_loss(said / self.reach, done / self.reach)

    def predictions(self, out: Tensor) -> list[str]:
        """The action at the last step."""
        if not self.does.names:
            return [", ".join(f"{v:.3g}" for v in row) for row in out[:, -1].tolist()]
        probability, action = out[:, -1].softmax(-1).max(-1)
        return [
            f"{self.does.names[k]} ({100 * p:.1f} %)"
            for p, k in zip(probability.tolist(), action.tolist(), strict=True)
        ]

    def verdicts(self, out: Tensor, batch: SequenceBatch) -> list[str]:
        """How close the actions are to those of the episode."""
        words: list[str] = []
        for said, done, valid in zip(out, batch.y, batch.valid(), strict=True):
            said, done = said[valid], done[valid]
            if self.does.names:
                share = float((said.argmax(-1) == done).float().mean())
                words.append(f"{100 * share:.1f} % of {len(done):,} actions as in the episode")
            else:
                words.append(f"mse {F.mse_loss(said, done):.3g} over {len(done):,} actions")
        return words

    def play(
        self, episodes: int = 100, *, seed: int = _TEST, wanted: list[float] | None = None
    ) -> Played:
        """Play episodes live, side by side.

        Args:
            episodes: How many.
            seed: Of their starts.
            wanted: Return to ask for in each; None for the one of the training.

        Raises:
            DataError: Gymnasium is missing.
        """
        training = self.training
        self.eval()
        low, high = self.limits.tolist()
        try:
            return play_live(
                self.model,
                self.does,
                decide=self.decide,
                wanted=wanted or [float(self.target)] * episodes,
                limits=(low, high),
                seeds=self._starts(seed, episodes),
            )
        finally:
            self.train(training)

    def _starts(self, seed: int, episodes: int) -> list[int]:
        return [episode_seed(self.play_seed, seed, i) for i in range(episodes)]

    def on_validation_epoch_end(self) -> None:
        """Play a few episodes."""
        if not self.trainer.sanity_checking:
            played = self.play(self.val_episodes, seed=_VAL)
            self.log(f"val/{self.headline.name}", played.returns.mean(), sync_dist=True)

    def on_test_epoch_end(self) -> None:
        """Play, and let the expert and chance play from the same starts."""
        self._played = self.play(self.episodes)
        self._others = self._reference()
        returned = self._played.returns
        self.log_dict(
            {
                f"test/{self.headline.name}": returned.mean(),
                "test/return_deviation": returned.std(),
                "test/target_return": float(self.target),
                "test/learned_from": float(self.mean_return),
                **{f"test/{name}_return": other.mean() for name, other in self._others.items()},
            }
        )
        if self.fires:
            share = self._played.spikes / self._played.decisions
            self.log("test/spikes_a_decision", share)

    def _reference(self) -> dict[str, Array]:
        """Returns of the expert and of chance, from the starts of the test."""
        found: dict[str, Array] = {}
        world = make_environment(self.does.env)
        seeds = self._starts(_TEST, self.episodes)
        if (expert := EXPERTS.get(self.does.env)) is not None:
            found["expert"] = np.array([play(world, expert, s).rewards.sum() for s in seeds])
        found["random"] = np.array(
            [play(world, random_policy(world, s), s).rewards.sum() for s in seeds]
        )
        world.close()
        return found

    def sections(self) -> tuple[Section, ...]:
        """What live episodes earned, what they earn when asked for less, and the first of them."""
        asked = np.linspace(float(self.lowest), float(self.target), _ASKED)
        each = max(1, min(_EACH, self.episodes // _ASKED))
        wanted = np.repeat(asked, each)
        earned = self.play(len(wanted), seed=_REPORT, wanted=wanted.tolist()).returns
        earned = earned.reshape(_ASKED, each)
        all_of = {"network": self._played.returns, **self._others}
        means = ", ".join(f"{name} {values.mean():.4g}" for name, values in all_of.items())
        given = self.channels[1 : 1 + self._played.observed.shape[1]]
        done = self.does.names or tuple(self.channels[1 + len(given) :])
        return (
            Section(
                heading="Returns of live episodes",
                draw=partial(returns, all_of, float(self.target)),
                alt=f"Return of each of {self.episodes} episodes; means: {means}.",
                caption=f"A dot is an episode, from the same {self.episodes} starts for all; a bar "
                f"is the mean. The network was asked for {float(self.target):.4g}.",
                table=(
                    ("who plays", "mean return", "deviation"),
                    *((n, f"{v.mean():.4g}", f"{v.std():.3g}") for n, v in all_of.items()),
                ),
            ),
            Section(
                heading="What it earns when asked for less",
                draw=partial(asked_and_earned, asked, earned),
                alt="Mean return against the return that was asked for: "
                + ", ".join(
                    f"{e.mean():.4g} for {a:.4g}" for a, e in zip(asked, earned, strict=True)
                )
                + ".",
                caption=f"{each} episodes for each return that is asked for, from the lowest that "
                "was learned from. A network that heeds what it is asked for stays near the dotted "
                "line.",
            ),
            Section(
                heading="An episode",
                draw=partial(episode, self._played, given, done),
                alt=f"Observations, spikes and actions over the {len(self._played.to_go)} steps of "
                "the first episode.",
                caption="The first episode of the test, as it was played: what was observed, in "
                "units of its deviation over the episode; every neuron's spikes; what was done.",
                is_image=True,
            ),
        )
