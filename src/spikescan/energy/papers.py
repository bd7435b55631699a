"""Table 3 of the PRF paper: five networks of the Long Range Arena, by several accounts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch

from spikescan.energy.account import Account, s4_operations
from spikescan.energy.measure import assume
from spikescan.energy.tables import TABLES
from spikescan.models import SDTCM, Classifier
from spikescan.neurons import PRF, Operations


@dataclass(frozen=True, kw_only=True)
class LongRange:
    """A network of the paper and what the paper reports of it.

    Args:
        task: of the Long Range Arena.
        depth: blocks.
        width: of the stream.
        steps: length of a sequence.
        rate: firing rate that the paper reports.
        prenorm: normalise the stream, not what joins it.
        bidirectional: neurons in both directions.
        vocabulary: number of tokens; None for pixels.
        classes: number of classes.
        s4_depth: blocks of the S4 that the paper compares with.
        s4_width: its width.
        told: energy that the paper reports, in joules a sequence.
        told_s4: that of S4.
    """

    task: str
    depth: int
    width: int
    steps: int
    rate: float
    prenorm: bool
    bidirectional: bool
    vocabulary: int | None
    classes: int
    s4_depth: int
    s4_width: int
    told: float
    told_s4: float

    def papers_formula(self) -> float:
        """The energy by the paper's way of counting, in joules a sequence."""
        once = self.steps * self.depth * prf_operations(self.width, self.rate)
        return TABLES["45nm"].computing(once)

    def s4_formula(self) -> float:
        """That of S4."""
        return TABLES["45nm"].computing(self.steps * self.s4_depth * s4_operations(self.s4_width))

    def account(self) -> Account:
        """The full count, every neuron firing at the paper's rate."""
        with torch.random.fork_rng(devices=[]):  # start values are drawn, and nobody asked for them
            model = Classifier(
                partial(SDTCM, neuron=PRF, prenorm=self.prenorm, bidirectional=self.bidirectional),
                vocabulary=self.vocabulary,
                classes=self.classes,
                features=self.width,
                depth=self.depth,
            )
        return assume(model, steps=self.steps, rate=self.rate)


def prf_operations(width: int, rate: float) -> Operations:
    r"""What one SD-TCM block does in one step by the PRF paper's figures.

    .. math:: 6 D \text{ multiplications and additions}, \quad 2 r D^2 \text{ additions of spikes}

    This is our reading of the figures: it gives all five of the paper's Table 3 to 1 %. Of the 6,
    5 multiplications and 3 additions are PRF's own; one direction is counted in bidirectional
    networks too, an Embedding, the head and normalisations are not.

    Args:
        width: width D of the stream.
        rate: firing rate r.

    Source: Huang et al. 2024 (arXiv 2410.03530), Tables 3 and 7.
    """
    synapses = round(2 * rate * width**2)
    return Operations(acs=synapses, multiplications=6 * width, additions=6 * width)


TABLE_3 = (
    LongRange(
        task="ListOps", depth=8, width=128, steps=2048, rate=0.0353, prenorm=False,
        bidirectional=False, vocabulary=18, classes=10, s4_depth=6, s4_width=128,
        told=0.075e-3, told_s4=5.104e-3,
    ),
    LongRange(
        task="Text", depth=6, width=256, steps=4096, rate=0.0432, prenorm=True,
        bidirectional=False, vocabulary=135, classes=2, s4_depth=4, s4_width=64,
        told=0.298e-3, told_s4=3.718e-3,
    ),
    LongRange(
        task="Retrieval", depth=6, width=256, steps=4000, rate=0.0148, prenorm=True,
        bidirectional=False, vocabulary=98, classes=2, s4_depth=6, s4_width=256,
        told=0.211e-3, told_s4=24.439e-3,
    ),
    LongRange(
        task="Image", depth=6, width=512, steps=1024, rate=0.0347, prenorm=False,
        bidirectional=True, vocabulary=None, classes=10, s4_depth=6, s4_width=512,
        told=0.187e-3, told_s4=19.222e-3,
    ),
    LongRange(
        task="Pathfinder", depth=6, width=256, steps=1024, rate=0.0329, prenorm=True,
        bidirectional=True, vocabulary=None, classes=2, s4_depth=6, s4_width=256,
        told=0.067e-3, told_s4=6.256e-3,
    ),
)  # fmt: skip
"""The five networks, with the rates and energies that the paper reports."""


def markdown() -> str:
    """The table as Markdown, in millijoules a sequence: the papers' figures and ours.

    >>> print(markdown().splitlines()[2].partition(" | ")[0])
    | ListOps
    """
    head = (
        "task", "rate", "paper", "its formula", "full count", "with memory", "dense float32",
        "S4, paper", "S4, formula",
    )  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for network in TABLE_3:
        rows = {row.name: row.energy for row in network.account().estimates()}
        cells = (
            network.told,
            network.papers_formula(),
            rows["full"].computing,
            rows["full"].total,
            rows["dense_float32"].computing,
            network.told_s4,
            network.s4_formula(),
        )
        words = [f"{1e3 * cell:.3f}" for cell in cells]
        lines.append(f"| {network.task} | {network.rate:.2%} | {' | '.join(words)} |")
    return "\n".join(lines)
