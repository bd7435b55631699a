"""What the abstracts of the three papers claim, and what came of each claim here."""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean
from typing import Any, NamedTuple

from papers import TASKS

from spikescan.energy.papers import TABLE_3
from spikescan.report import joules
from spikescan.train.tables import Group, markdown


class Figures(NamedTuple):
    """What was measured."""

    recipes: dict[str, list[Group]]
    """Runs by recipe."""
    small: dict[str, Group]
    """Runs of ``benchmarks/neurons_digits.py`` by name."""
    bench: dict[str, Any]
    """Cases of the benchmark by name."""
    lengths: list[dict[str, Any]]
    """Networks tried on longer texts."""

    def ratio(self, case: str) -> float:
        return self.bench[case]["outcomes"][0]["value"]

    def speed(self, case: str) -> str:
        return f"{self.ratio(case):.0f} x at {self.bench[case]['shape']['steps']:,} steps"

    def run(self, recipe: str, option: str = "") -> Group | None:
        """The first runs of a recipe whose command has the option."""
        groups = self.recipes.get(recipe, [])
        return next((group for group in groups if option in group.command), None)


class Found(NamedTuple):
    """What came of a claim."""

    verdict: str
    ours: str
    command: str
    why: str


class Claim(NamedTuple):
    words: str
    found: Callable[[Figures], Found]


NOT_YET = "not yet"


def not_yet(command: str, why: str) -> Callable[[Figures], Found]:
    return lambda _: Found(NOT_YET, "-", command, why)


def _reset_speed(f: Figures) -> Found:
    cases = ("lif-long", "lif-longer")
    return Found(
        "reproduced on a CPU" if all(f.ratio(case) >= 16.5 for case in cases) else "in part",
        ", ".join(map(f.speed, cases)),
        f"spikescan bench run {' '.join(cases)} --full",
        "against SpikingJelly's fastest way on a CPU, forward and backward of the neuron; by one "
        "fused pass over time, not by their FFT, which is slower here and not exact in float32; "
        "1,024 steps not measured",
    )


def _reset_exact(f: Figures) -> Found:
    spikes, differ = (o["value"] for o in f.bench["spikes-exact"]["outcomes"])
    return Found(
        "reproduced" if differ == 0 else "not",
        f"{differ:,.0f} of {spikes:,.0f} spikes differ",
        "spikescan bench run spikes-exact --full",
        "against the loop over time; gradients equal backpropagation through time, by test; hard "
        "reset too",
    )


def _long_range(f: Figures) -> Found:
    runs = {name: g for name in ("smnist", "psmnist") if (g := f.run(name))}
    told = [f"{name} {g.score}" for name, g in runs.items()]
    prf, lif = f.small.get("prf"), f.small.get("lif-soft")
    if prf and lif:
        told.append(f"small digits {prf.score}, LIF {lif.score}")
    if not told:
        return Found(NOT_YET, "-", "spikescan train smnist", "no run of it")
    budgets = " and ".join(g.budget() for g in runs.values())
    return Found(
        "in part",
        "; ".join(told),
        next((g.command for g in runs.values()), SWEEP),
        "theirs 99.18 (smnist) and 96.87 (psmnist) in 200 epochs"
        + (f"; ours {budgets}" if budgets else ""),
    )


def _arena(f: Figures) -> Found:
    """Theirs are for six tasks; here so far those that a CPU trains in hours."""
    runs = {name: g for name in ("imdb", "listops") if (g := f.run(name))}
    if not runs:
        why = "recipes are here; their trainings take days on a CPU"
        return Found(NOT_YET, "-", "spikescan train imdb", why)
    return Found(
        "in part",
        "; ".join(f"{name} {g.score} in {g.budget()}" for name, g in runs.items()),
        next(g.command for g in runs.values()),
        "; ".join(f"theirs for {name}: {TASKS[name].paper}" for name in runs)
        + "; a spiking SSM with DSN here, other tasks not trained",
    )


def _energy(f: Figures) -> Found:
    ratios = [n.told_s4 / n.told for n in TABLE_3]
    run = f.run("digits")
    theirs = (
        f"{min(ratios):.0f} to {max(ratios):.0f} x in the paper's Table 3, which our counts give"
    )
    if run is None:
        return Found("in part", theirs, "spikescan train digits", "no run of it")
    told = [r["results"]["energy"]["estimates"] for r in run.runs]
    s4 = mean(t["s4"]["computing"] for t in told)
    papers, whole = (mean(t[k]["computing"] for t in told) for k in ("papers", "full"))
    memory = mean(t["full"]["total"] for t in told)
    return Found(
        "in part",
        f"{theirs}; digits, which fires in {run.rate}: {s4 / papers:.0f} x by the papers' formula, "
        f"{s4 / whole:.0f} x by the full count",
        run.command,
        "the full count has neurons, norms, encoder and head; with memory, which the papers leave "
        f"out, digits costs {joules(memory)} in place of {joules(whole)}; all are estimates",
    )


def _sampled(f: Figures) -> Found:
    run = f.run("digits_pspikessm")
    return Found(
        "reproduced" if run else NOT_YET,
        f"digits_pspikessm {run.score}" if run else "-",
        run.command if run else "spikescan train digits_pspikessm",
        "all steps at once in training, one by one in use, with the same draws, by test",
    )


def _mixer(f: Figures) -> Found:
    whole, without = f.small.get("p-spikessm"), f.small.get("mixer-left-out")
    if whole is None or without is None:
        return Found(NOT_YET, "-", SWEEP, "the runs without SpikeMixer have not been made")
    return Found(
        "in part" if _mean(whole, "test_accuracy") > _mean(without, "test_accuracy") else "not",
        f"{whole.score} with SpikeMixer, {without.score} without",
        SWEEP,
        "small digits, 256 steps; the learning rates of the two were not searched alike",
    )


def _psn_speed(f: Figures) -> Found:
    return Found(
        "reproduced on a CPU" if f.ratio("dsn-psn") >= 25.6 else "in part",
        f.speed("dsn-psn"),
        "spikescan bench run dsn-psn --full",
        "against SpikingJelly's PSN, whose product with a T x T matrix a CPU feels more than a "
        "GPU; forward and backward of the neuron",
    )


def _lengths(f: Figures) -> Found:
    command = "spikescan lengths RUN --json results/lengths/NAME.json"
    if not f.lengths:
        return Found(NOT_YET, "-", command, "no network has been trained at 2,048 steps so far")
    told, flat = [], set[str]()
    for run in f.lengths:
        first, last = run["points"][0], run["points"][-1]
        if last["value"] <= 1.02 * first["value"]:
            flat.add(run["name"])
        told.append(
            f"{run['name']}: {first['value']:.3f} {run['unit']} at {first['length']:,}, "
            f"{last['value']:.3f} at {last['length']:,}"
        )
    why = "smaller networks and texts than theirs"
    if others := sorted(flat - {"DSN"}):
        why += f"; {' and '.join(others)} are as stable"
    return Found("in part" if "DSN" in flat else "not", "; ".join(told), command, why)


def _general(f: Figures) -> Found:
    runs = {name: g for name, option in DSN_RECIPES.items() if (g := f.run(name, option))}
    missing = ", ".join(name for name in DSN_RECIPES if name not in runs)
    verdict = "in part" if missing else "reproduced at small sizes"
    return Found(
        verdict if runs else NOT_YET,
        "; ".join(f"{name} {g.headline.words} {g.score}" for name, g in runs.items()) or "-",
        next((g.command for g in runs.values()), "spikescan train digits_dsn"),
        "also in the forecasts, beside a GRU; DSN drops into every block, with spikes and with "
        "integers, by test" + (f"; {missing} not run yet" if missing else ""),
    )


DSN_RECIPES = {
    "digits_dsn": "",
    "nmnist_cnn": "--model.encoder.neuron spikescan.DSN",
    "tinyshakespeare": "",
    "cartpole": "",
    "cartpole_transformer": "",
}
"""Recipes with DSN, and the option that puts it there."""


def _fires_less(f: Figures) -> Found:
    names = {
        "dsn": "DSN",
        "lif-soft": "LIF",
        "prf": "PRF",
        "psn": "PSN",
        "sliding-psn": "SlidingPSN",
    }
    found = {words: g for n, words in names.items() if (g := f.small.get(n))}
    if not {"DSN", "LIF", "PRF"} <= {*found}:
        return Found(NOT_YET, "-", SWEEP, "the runs on small digits have not all been made")
    told = [f"{words} {g.rate} at {g.score}" for words, g in found.items()]
    dsn, *others = (_mean(g, "firing_rate") for g in found.values())
    verdict = "in part" if dsn < min(others) else "not"
    asked = {words: g for n, words in names.items() if (g := f.small.get(f"{n}-0.05"))}
    why = "small digits in the same block, accuracies unlike"
    if asked:
        why += "; asked to fire in 5 %: " + ", ".join(f"{n} {g.score}" for n, g in asked.items())
    return Found(verdict, "; ".join(told), SWEEP, why)


def _sparse(f: Figures) -> Found:
    groups = f.recipes.get("digits_pspikessm", [])
    told = [f"{g.rate} at {g.score}" for g in groups]
    asked = [g for g in groups if "--task.firing.rate" in g.command]
    return Found(
        "in part" if asked else NOT_YET,
        f"digits_pspikessm fires in {'; in '.join(told)}" if told else "-",
        asked[0].command if asked else "spikescan train digits_pspikessm --task.firing.rate 0.05",
        "only where a term of the loss asks for it",
    )


def _mean(group: Group, name: str) -> float:
    return mean(group.values(name))


SWEEP = "python benchmarks/neurons_digits.py RUNS"
CLAIMS = {
    "PRF: Huang et al. 2024, [arXiv 2410.03530](https://arxiv.org/abs/2410.03530)": (
        Claim(
            "LIF with reset trains in parallel, 6.57 to 16.50 times as fast at 1,024 to 32,768 "
            "steps",
            _reset_speed,
        ),
        Claim("and gives what the sequential neuron gives", _reset_exact),
        Claim("an oscillating membrane captures long-range dependencies", _long_range),
        Claim(
            "an architecture of spikes alone is comparable to S4 and above Transformer on the Long "
            "Range Arena",
            _arena,
        ),
        Claim("with two orders of magnitude less energy than S4", _energy),
    ),
    "P-SpikeSSM: Bal and Sengupta 2025, [arXiv 2406.02923](https://arxiv.org/abs/2406.02923)": (
        Claim("spikes sampled from a state-space neuron, computed in parallel", _sampled),
        Claim("SpikeMixer and ClampFuse let networks grow", _mixer),
        Claim(
            "best of the spiking networks on the Long Range Arena, psMNIST and Speech Commands",
            not_yet(
                "spikescan train speech_commands_10",
                "their networks read both ways; their shipped speech recipe reads MFCC features",
            ),
        ),
        Claim("sparse spikes", _sparse),
    ),
    "DSN: Huang et al. 2026, [arXiv 2602.01133](https://arxiv.org/abs/2602.01133)": (
        Claim("trains 25.6 times as fast as PSN on 16 k steps", _psn_speed),
        Claim("trained on 2 k steps, stable on 30 k", _lengths),
        Claim(
            "works in five kinds of tasks, three architectures, with spikes and with integers",
            _general,
        ),
        Claim("fires less than the usual neuron and than PSN", _fires_less),
    ),
}
"""The claims by paper, in our words."""


def claims(figures: Figures) -> str:
    """A table for each paper."""
    parts: list[str] = []
    for paper, told in CLAIMS.items():
        rows = [("claim", "here", "our figure", "command", "how, and why not more")]
        for claim in told:
            found = claim.found(figures)
            command = f"`{found.command}`"
            rows.append((claim.words, found.verdict, found.ours, command, found.why))
        parts.append(f"## {paper}\n\n{markdown(rows)}")
    return "\n\n".join(parts)
