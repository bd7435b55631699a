"""Write the measured figures of README and pages, so that none is typed by hand.

They come from ``results``, where ``spikescan results add`` keeps what came of runs, from
``benchmarks/results.json``, which ``make bench`` writes, and from what the scripts in
``benchmarks`` keep beside themselves. ``python docs/results.py`` writes all pages anew.
"""

from __future__ import annotations

import json
import shlex
import sys
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import yaml

sys.path += [str(Path(__file__).parents[i] / name) for i, name in ((0, ""), (1, "benchmarks"))]

import drawn
from claims import Figures, claims
from forecasts import FILES, HORIZONS
from forecasts import NETWORKS as FORECASTERS
from measured import control, energies, firing, mixed, streamed, to_accuracy, trials
from neurons_digits import ABLATIONS, FIRING, NETWORKS, SPARSE
from papers import TASKS

from spikescan.recipes import recipes, title
from spikescan.report.style import to_svg
from spikescan.train.kept import read_kept
from spikescan.train.tables import Group, grouped, markdown

ROOT = Path(__file__).parents[1]
README, DOCS, KEPT, RUNS = ROOT / "README.md", ROOT / "docs", ROOT / "benchmarks", ROOT / "results"
SMALL = RUNS / "digits"
HEAD = ("recipe", "task", "on the test data", "budget", "seeds", "parameters", "fires")


def by_recipe() -> dict[str, list[Group]]:
    """The kept runs of each recipe, in the order of the tasks."""
    groups = grouped(read_kept([RUNS / "recipes"]))
    found: dict[str, list[Group]] = {name: [] for name in TASKS}
    for group in groups:
        found.setdefault(shlex.split(group.command)[2], []).append(group)
    return {name: told for name, told in found.items() if told}


def measured_on(found: dict[str, list[Group]]) -> str:
    """The machines, and when."""
    runs = [run for groups in found.values() for group in groups for run in group.runs]
    threads = sorted({run["machine"]["threads"] for run in runs})
    machines = sorted({run["machine"]["processor"] for run in runs})
    days = sorted(run["date"] for run in runs)
    when = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    return (
        f"Run on {' and '.join(machines)} with {' or '.join(threads)} threads, {when}; ± is the "
        "standard deviation over seeds; ↑ higher is better, ↓ lower. What a paper reports is for "
        "its full budget, on a GPU, and its own."
    )


def cells(recipe: str, group: Group) -> tuple[str, ...]:
    """What both tables tell of a recipe's runs."""
    full = yaml.safe_load(recipes()[recipe].read_text(encoding="utf-8"))["trainer"]["max_epochs"]
    arrow = "↑" if group.headline.better == "higher" else "↓"
    words, options = title(recipes()[recipe]).partition(": ")[2], shlex.split(group.command)
    named = [
        options[options.index(place) + 1].rpartition(".")[2]
        for place in ("--model.block", "--model.block.neuron", "--model.encoder.neuron")
        if place in options
    ]
    if named:
        words = f"{words}; with `{'` and `'.join(named)}` in its place"
    return (
        f"`{recipe}`",
        words,
        f"{group.headline.words} {group.score} {arrow}",
        group.budget(full),
        str(len(group.runs)),
        group.parameters,
        group.rate,
    )


def table(found: dict[str, list[Group]]) -> str:
    """The README's table: the best network that spikes, of each recipe, and the machines."""

    def rank(group: Group) -> float:
        score = mean(group.values(f"test_{group.headline.name}"))
        return score if group.headline.better == "higher" else -score

    rows: list[tuple[str, ...]] = [(*HEAD, "paper")]
    for recipe, groups in found.items():
        if spiking := [group for group in groups if group.values("firing_rate")]:
            paper = TASKS[recipe].paper if recipe in TASKS else ""
            rows.append((*cells(recipe, max(spiking, key=rank)), paper))
    return f"{measured_on(found)}\n\n{markdown(rows)}"


def tasks(found: dict[str, list[Group]]) -> str:
    """The page's table: a row a task, also where it has not been run."""
    more = ("reads", "energy a sequence", "protocol", "papers' own", "command")
    rows: list[tuple[str, ...]] = [(*HEAD, *more)]
    for recipe in dict.fromkeys((*TASKS, *found)):
        protocol, paper = TASKS.get(recipe, ("", ""))
        for group in found.get(recipe, []):
            more = (group.reads, group.energy, protocol, paper, f"`{group.command}`")
            rows.append((*cells(recipe, group), *more))
        if recipe not in found:
            words = title(recipes()[recipe]).partition(": ")[2]
            empty = ["not run yet", *["-"] * 6]
            rows.append(
                (f"`{recipe}`", words, *empty, protocol, paper, f"`spikescan train {recipe}`")
            )
    return f"{measured_on(found)}\n\n{markdown(rows)}"


def small(names: tuple[str, ...], found: dict[str, Group]) -> str:
    """Runs of ``benchmarks/neurons_digits.py``."""
    rows: list[tuple[str, ...]] = [
        ("network", "accuracy ↑", "seeds", "parameters", "fires", "energy", "what was changed")
    ]
    for name in names:
        group = found.get(name)
        if group is None:
            rows.append((name, "not run yet", *["-"] * 5))
            continue
        told = (str(len(group.runs)), group.parameters, group.rate, group.energy)
        rows.append(
            (name, group.score, *told, f"`{group.command.removeprefix('spikescan train ')}`")
        )
    return markdown(rows)


def on_small_digits() -> dict[str, Group]:
    """What is kept of ``benchmarks/neurons_digits.py``, by name."""
    return {group.name: group for group in grouped(read_kept([SMALL]))} if SMALL.is_dir() else {}


def asked_to_fire_less(found: dict[str, Group]) -> dict[str, list[Group]]:
    """The runs of each network with and without a target for firing, the sparsest first."""
    rows = {
        name: [found.get(f"{name}-{rate}") for rate in reversed(FIRING)] + [found.get(name)]
        for name in SPARSE
    }
    return {name: [g for g in groups if g] for name, groups in rows.items() if all(groups)}


def sparse(rows: dict[str, list[Group]]) -> str:
    """What is left of each network's accuracy when it is asked to fire less."""
    if not rows:
        return "Not run yet."
    told = [("network", "without a target", *(f"`task.firing.rate {rate}`" for rate in FIRING))]
    told += [
        (name, *(f"{group.score}, fires {group.rate}" for group in reversed(groups)))
        for name, groups in rows.items()
    ]
    return f"{markdown(told)}\n\n![Accuracy against firing](img/firing.svg)"


def forecasts() -> str:
    """The errors of ``benchmarks/forecasts.py``, those of the naive answers among them."""
    place = RUNS / "forecasts"
    found = {g.name: g for g in grouped(read_kept([place]))} if place.is_dir() else {}
    cases = [f"{file.lower()}-{horizon}" for file in FILES for horizon in HORIZONS]

    def row(name: str, kind: str, figure: str) -> tuple[str, ...]:
        told = (found[key].values(figure) if (key := f"{kind}-{c}") in found else [] for c in cases)
        return (name, *(f"{values[0]:.3f}" if values else "not run yet" for values in told))

    rows = [("MSE ↓", *(case.replace("-", ", ") for case in cases))]
    rows += [row(f"`{name}`", name, "test_mse") for name in FORECASTERS]
    for name in ("last value", "last season"):
        rows.append(row(name, "sd-tcm", f"test_{name.replace(' ', '_')}_mse"))
    errors = {name: group.values("test_mse")[0] for name, group in found.items()}
    if len(errors) < len(cases) * len(FORECASTERS):
        return markdown(rows)
    plain = {case: min(errors[f"{name}-{case}"] for name in ("gru", "dlinear")) for case in cases}
    spiking = [name for name in FORECASTERS if name not in ("gru", "dlinear")]
    worst = max(errors[f"{name}-{case}"] / plain[case] for name, case in product(spiking, cases))
    return (
        f"{markdown(rows)}\n\nThe networks with spikes are at most {100 * (worst - 1):.1f} % above "
        "the better of `gru` and `dlinear`."
    )


def on_longer_texts() -> list[dict[str, Any]]:
    """What ``spikescan lengths`` has kept."""
    files = sorted((RUNS / "lengths").glob("*.json"))
    return [{"name": f.stem, **json.loads(f.read_text(encoding="utf-8"))} for f in files]


def by_length(runs: list[dict[str, Any]]) -> str:
    """What ``spikescan lengths`` found."""
    if not runs:
        return "Not run yet."
    sizes = sorted({point["length"] for run in runs for point in run["points"]})
    more = ("parameters", "fires", "budget", "command")
    rows: list[tuple[str, ...]] = [("network", *(f"{size:,}" for size in sizes), *more)]
    trained = {group.name: group for group in grouped(read_kept([RUNS / "language"]))}
    for run in runs:
        at = {point["length"]: f"{point['value']:.3f}" for point in run["points"]}
        group = trained[run["name"]]
        told = (group.parameters, group.rate, group.budget(), f"`{group.command}`")
        rows.append((run["name"], *(at.get(size, "-") for size in sizes), *told))
    return f"{markdown(rows)}\n\n![Longer texts](img/lengths.svg)"


def speed(benchmark: dict[str, Any]) -> str:
    """The README's words on speed."""
    cases = {case["name"]: case for case in benchmark["cases"]}

    def ratio(case: str, at: int = 0) -> str:
        return number(cases[case]["outcomes"][at]["value"])

    def sizes(case: str) -> str:
        shape = cases[case]["shape"]
        return f"{shape['steps']:,} steps of {shape['batch']} x {shape['features']} neurons"

    machine = benchmark["machine"]
    return (
        f"Forward and backward on {machine['threads']} threads of an {machine['processor']}, "
        f"{benchmark['date'][:10]}: LIF over {sizes('lif-long')} is {ratio('lif-long')} times as "
        f"fast as SpikingJelly's fastest way on a CPU, and {ratio('lif-longer')} times over "
        f"{sizes('lif-longer')}; PRF over {sizes('prf-fft-4096')} is {ratio('prf-fft-4096')} "
        f"times as fast as its published FFT form; DSN is {ratio('dsn-psn')} times as fast as "
        f"SpikingJelly's PSN. LIF takes {ratio('lif-floor')} times as long over 4,096 steps, and "
        f"{ratio('lif-floor-long')} times over 16,384, as copying its input and adding two "
        "tensors; a whole training step of an SD-TCM network "
        f"{ratio('training-step')} times as long as its matrix products alone. {peers(benchmark)}"
    )


def number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2f}"


def peers(benchmark: dict[str, Any]) -> str:
    """How long others take for the same training step."""
    case = next(case for case in benchmark["cases"] if case["name"] == "training-peers")
    shape = case["shape"]
    times = " and ".join(
        f"{number(outcome['value'])} times as long in {outcome['what'].partition(' /')[0]}"
        for outcome in case["outcomes"]
    )
    return (
        f"A training step of two layers of {shape['features']} LIF neurons over {shape['steps']} "
        f"steps of {shape['batch']} sequences takes {times} as here."
    )


def on_gpu(benchmark: dict[str, Any]) -> str:
    """Each GPU case: how near to copying its data, and how much faster than others."""
    cases = benchmark["cases"]
    of_copy = "share of the copy bandwidth"
    told: list[tuple[str, ...]] = [("neuron", "steps", of_copy, "others / ours")]
    for case in cases:
        kind, steps = case["name"].split("-")[1:]
        values = {o["what"]: o["value"] for o in case["outcomes"]}
        share = values.pop(of_copy, None)
        others = ", ".join(f"{k.removesuffix(' / ours')} {number(v)}" for k, v in values.items())
        near = "" if share is None else f"{100 * share:.0f} %"
        told.append((kind.upper(), f"{int(steps):,}", near, others))
    rows, features = (cases[0]["shape"][name] for name in ("batch", "features"))
    machine = benchmark["machine"]
    return (
        f"Forward and backward on one {machine['gpu']}, {benchmark['date'][:10]}, torch "
        f"{machine['torch']}, Triton {machine['triton']}: {rows} sequences of {features} neurons, "
        f"float32 ([every figure](benchmark-gpu.md)).\n\n{markdown(told)}"
    )


def read(name: str) -> Any:
    """What a script keeps."""
    return json.loads((KEPT / f"{name}.json").read_text())


def pages() -> dict[Path, dict[str, str]]:
    """Every page with measured figures, and these by the name of their markers."""
    found, digits, longer = by_recipe(), on_small_digits(), on_longer_texts()
    measured = read("results")
    cases = {case["name"]: case for case in measured["cases"]}
    precisions = read("mixed") if (KEPT / "mixed.json").exists() else []
    return {
        README: {"results": table(found), "speed": speed(measured)},
        DOCS / "speed.md": {
            "peers": peers(measured),
            "mixed": mixed(precisions),
            "accuracy": to_accuracy(read("time_to_accuracy")),
            "gpu": on_gpu(read("results-gpu")),
        },
        DOCS / "energy.md": {"energies": energies()},
        DOCS / "tasks.md": {"firing": firing(read("firing"))},
        DOCS / "stream.md": {"streamed": streamed(read("streamed"))},
        DOCS / "results.md": {
            "tasks": tasks(found),
            "networks": small(tuple(NETWORKS), digits),
            "sparse": sparse(asked_to_fire_less(digits)),
            "ablations": small(tuple(ABLATIONS), digits),
            "control": control(found),
            "forecasts": forecasts(),
            "trials": trials(read("trials") if (KEPT / "trials.json").exists() else []),
            "lengths": by_length(longer),
        },
        DOCS / "claims.md": {"claims": claims(Figures(found, digits, cases, longer))},
    }


def write(page: Path, text: str, parts: dict[str, str]) -> str:
    """The text of a page with everything between its markers written anew."""
    for name, content in parts.items():
        opening, closing = f"<!-- {name}: written by docs/results.py -->", f"<!-- end of {name} -->"
        before, _, rest = text.partition(opening)
        _, found, after = rest.partition(closing)
        if not found:
            raise ValueError(f"{page.name} must hold {opening!r} and {closing!r}")
        whole = f"\n{content}\n" if "\n" in content else content
        text = f"{before}{opening}{whole}{closing}{after}"
    return text


def learned() -> dict[str, list[Path]]:
    """The curves of each recipe's runs, in the order of the tasks."""
    found: dict[str, list[Path]] = {name: [] for name in TASKS}
    for name, told in read_kept([RUNS / "recipes"]):
        if (file := RUNS / "recipes" / f"{name}.csv").exists():
            found.setdefault(shlex.split(told["command"])[2], []).append(file)
    return {recipe: files for recipe, files in found.items() if files}


def pictures() -> None:
    """Draw what was kept."""
    (DOCS / "img" / "curves.svg").write_bytes(to_svg(drawn.curves(learned())))
    if less := asked_to_fire_less(on_small_digits()):
        (DOCS / "img" / "firing.svg").write_bytes(to_svg(drawn.firing(less)))
    if longer := on_longer_texts():
        (DOCS / "img" / "lengths.svg").write_bytes(to_svg(drawn.lengths(longer)))


if __name__ == "__main__":
    pictures()
    for page, parts in pages().items():
        page.write_text(write(page, page.read_text(), parts))
