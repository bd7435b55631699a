"""Kept results as rows of a table: runs that differ by their seed alone are one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from statistics import mean, stdev
from typing import NamedTuple

from spikescan.report import Quantity, joules
from spikescan.train.kept import Kept

HEAD = ("run", "on the test data", "budget", "seeds", "parameters", "reads", "fires", "energy")


class Group(NamedTuple):
    """Runs of one command, each with another seed."""

    name: str
    command: str
    """Without the seed."""
    runs: list[Kept]

    @property
    def headline(self) -> Quantity:
        return Quantity(**self.runs[0]["results"]["headline"])

    def values(self, name: str) -> list[float]:
        """A figure of the results of each run; none where they have no such."""
        told = (run["results"].get(name) for run in self.runs)
        return [value for value in told if value is not None]

    @property
    def score(self) -> str:
        """The headline on the test data in words, mean and standard deviation of several seeds."""
        return spread(self.headline, self.values(f"test_{self.headline.name}"))

    @property
    def rate(self) -> str:
        rates = self.values("firing_rate")
        return f"{100 * mean(rates):.1f} %" if rates else "no neurons"

    def budget(self, planned: int = 0) -> str:
        """Epochs, and of how many if fewer were run than planned, and the time of a run."""
        told = [run["budget"] for run in self.runs]
        run = max(t["epochs"] or 0 for t in told)
        planned = max(planned, *(t["planned"] or 0 for t in told))
        epochs = f"{run} epoch{'s' * (run != 1)}" + (f" of {planned}" if run < planned else "")
        seconds = [t["seconds"] for t in told if t["seconds"]]
        return f"{epochs}, {duration(mean(seconds))}" if seconds else epochs

    @property
    def energy(self) -> str:
        """Estimated energy of a test sequence, the full count without memory."""
        told = (run["results"].get("energy", {}).get("estimates", {}) for run in self.runs)
        full = [estimates["full"]["computing"] for estimates in told if estimates]
        return joules(mean(full)) if full else "-"

    @property
    def parameters(self) -> str:
        return f"{self.runs[0]['results']['parameters']:,}"

    @property
    def reads(self) -> str:
        return "causal" if self.runs[0]["causal"] else "both ways"


def grouped(found: Iterable[tuple[str, Kept]]) -> list[Group]:
    """Put runs together that differ by their seed alone, or the order of their options, as they
    come."""
    groups: dict[frozenset[str], Group] = {}
    for name, told in found:
        command = re.sub(r" --seed[ =]\S+", "", told["command"])
        plain = name.removesuffix(f"-s{told['seed']}")
        options = frozenset(command.split(" --"))  # each with its value
        group = groups.setdefault(options, Group(plain, command, []))
        if told["seed"] not in (run["seed"] for run in group.runs):
            group.runs.append(told)
    return list(groups.values())


def rows(groups: Sequence[Group]) -> list[tuple[str, ...]]:
    """A row a group, the first the heading."""
    return [
        HEAD,
        *(
            (
                g.name,
                f"{g.headline.words} {g.score}",
                g.budget(),
                str(len(g.runs)),
                g.parameters,
                g.reads,
                g.rate,
                g.energy,
            )
            for g in groups
        ),
    ]


def spread(quantity: Quantity, values: Sequence[float]) -> str:
    """A value in words, or mean ± standard deviation of several."""
    text = quantity.text(mean(values))
    if len(values) < 2:
        return text
    number, _, unit = text.partition(" ")
    digits = len(number.partition(".")[2])
    wide = stdev(values) * (100 if quantity.percent else 1)
    return f"{number} ± {wide:.{digits}f} {unit}".rstrip()


def duration(seconds: float) -> str:
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 36_000 else f"{seconds / 3600:.0f} h"


def markdown(table: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, the first row its heading."""
    head, *rest = table
    lines = [head, ["---"] * len(head), *rest]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
