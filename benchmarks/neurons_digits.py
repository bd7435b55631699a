"""Neurons, networks and their parts on small digits: what learns what, three seeds each.

``python benchmarks/neurons_digits.py RUNS`` trains all that follows, one after the other, into the
folder RUNS, and leaves out what is there already, so that it goes on after any stop. Each takes
less than a minute on one core. ``spikescan results add RUNS/*/*-s?`` keeps those that are shown.

Networks are compared at their best of three learning rates, by the validation loss of seed 0, and
some of them when they are asked to fire less; ablations at the learning rate of the recipe that
they change.
"""

from __future__ import annotations

import csv
import shlex
import sys
from itertools import product
from pathlib import Path

from trained import train_into

SMALL = "--data.size 16 --model.features 64 --trainer.max_epochs 8"
LEARNING_RATES = (0.005, 0.002, 0.02)
SEEDS = (0, 1, 2)

LIF = "--model.block.neuron spikescan.LIF --model.block.neuron.tau 20 --model.block.neuron.reset"
NETWORKS = {
    "prf": "digits",
    "lif-soft": f"digits {LIF} soft",
    "lif-hard": f"digits {LIF} hard",
    "lif-none": f"digits {LIF} none",
    "alif": "digits --model.block.neuron spikescan.ALIF",
    "psn": "digits --model.block.neuron spikescan.PSN --model.block.neuron.steps 256",
    "sliding-psn": "digits --model.block.neuron spikescan.SlidingPSN --model.block.neuron.order 32",
    "dsn": "digits --model.block.neuron spikescan.DSN --model.block.neuron.alpha_start 0.9",
    "spiking-ssm-dsn": "digits_dsn",
    "p-spikessm": "digits_pspikessm",
    "s4d": "digits --model.block spikescan.models.S4DBlock",
    "gru": "digits --model.block spikescan.models.GRUBlock",
    "transformer": "digits --model.block spikescan.models.TransformerBlock",
}
"""The recipe of each, and what is changed in it."""
SPARSE = ("prf", "lif-soft", "psn", "sliding-psn", "dsn")
FIRING = (0.1, 0.05, 0.02)
"""Firing that these are asked for."""


RECIPES_PRF = (
    "--model.block.neuron spikescan.PRF --model.block.neuron.theta_max 0.7854 "
    "--model.block.neuron.dt_min 0.1 --model.block.neuron.dt_max 1.0 --model.block.neuron.tau 30"
)


def surrogates() -> dict[str, str]:
    names = ("ATan", "Sigmoid", "FastSigmoid", "Triangular", "Rectangular", "Gaussian")
    place = "--model.block.neuron.surrogate"
    return {
        f"surrogate-{name.lower()}": f"digits {place} spikescan.ops.surrogate.{name}"
        for name in names
    }


ABLATIONS = {
    # Some 0.03 radians over the whole sequence: the same neuron, which only decays.
    "prf-decay": "digits --model.block.neuron.theta_max 1e-4",
    "alpha-trained": "digits --model.block.prenorm true",
    "alpha-fixed": f"digits --model.block parts_left_out.FixedAlpha {RECIPES_PRF}",
    "mixer-left-out": "digits_pspikessm --model.block parts_left_out.NoMixer "
    "--model.block.ssm spikescan.S4D",
    **{f"levels-{n}": f"digits_dsn --model.block.neuron.levels {n}" for n in (1, 2, 3, 4)},
    **surrogates(),
}


def train(options: str, runs: Path, name: str, seed: int) -> float:
    """Train unless it is there; the lowest validation loss."""
    folder = runs / name
    words = [*shlex.split(options), *shlex.split(SMALL), "--seed", str(seed)]
    train_into(folder, words)
    with (folder / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return min(float(row["val/loss"]) for row in csv.DictReader(file) if row["val/loss"])


def compare(runs: Path) -> None:
    best: dict[str, float] = {}
    for name, options in NETWORKS.items():
        losses = {
            rate: train(
                f"{options} --task.optimizer.lr {rate}", runs / "rates", f"{name}-{rate}", 0
            )
            for rate in LEARNING_RATES
        }
        best[name] = min(losses, key=lambda rate: losses[rate])
    for seed in SEEDS:
        for name, rate in best.items():
            options = f"{NETWORKS[name]} --task.optimizer.lr {rate}"
            train(options, runs / "networks", f"{name}-s{seed}", seed)
    for seed, name, firing in product(SEEDS, SPARSE, FIRING):
        options = f"{NETWORKS[name]} --task.optimizer.lr {best[name]} --task.firing.rate {firing}"
        train(options, runs / "firing", f"{name}-{firing}-s{seed}", seed)


def ablate(runs: Path) -> None:
    for seed in SEEDS:
        for name, options in ABLATIONS.items():
            train(options, runs / "ablations", f"{name}-s{seed}", seed)


if __name__ == "__main__":
    runs = Path(sys.argv[1]).absolute()
    compare(runs)
    ablate(runs)
