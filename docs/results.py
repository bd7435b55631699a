"""Write the measured figures of README and pages, so that none is typed by hand.

``python docs/results.py RUN...`` keeps the results of training runs in ``benchmarks/trainings`` and
writes the figures anew; without arguments it writes them from what is kept there, from
``benchmarks/results.json``, which ``make bench`` writes, and from what the scripts in
``benchmarks`` keep beside themselves.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from spikescan.recipes import recipes
from spikescan.report import Quantity

ROOT = Path(__file__).parents[1]
README, KEPT = ROOT / "README.md", ROOT / "benchmarks"
TRAININGS = KEPT / "trainings"
PAPERS = {"smnist": "PRF paper, 68.9 k parameters, 200 epochs: 99.18 %"}
"""What a paper reports for a recipe's task; theirs, not measured here."""
ELSEWHERE = ("--runs", "--name")
"""Options that say where a run was kept, which is nobody else's business."""

Training = dict[str, Any]


def keep(run: Path) -> None:
    """Copy what the README needs of a run."""
    environment = json.loads((run / "environment.json").read_text())
    words = shlex.split(environment["command"])
    for option in ELSEWHERE:
        while option in words:
            at = words.index(option)
            del words[at : at + 2]
    results = run / "results.json"
    told = {
        "recipe": words[2],
        "command": shlex.join(words),
        "date": datetime.fromtimestamp(results.stat().st_mtime, timezone.utc).date().isoformat(),
        **{name: environment[name] for name in ("processor", "threads", "CPU kernels", "torch")},
        **json.loads(results.read_text()),
    }
    TRAININGS.mkdir(parents=True, exist_ok=True)
    (TRAININGS / f"{words[2]}.json").write_text(json.dumps(told, indent=2) + "\n")


def table(trainings: list[Training]) -> str:
    """The README's table of results, and what it was measured on."""
    threads = sorted({t["threads"] for t in trainings})
    machines = sorted({t["processor"] for t in trainings})
    days = sorted(t["date"] for t in trainings)
    when = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    lines = [
        f"Run on {' and '.join(machines)} with {' or '.join(threads)} threads, {when}, one seed "
        "each; ↑ higher is better, ↓ lower. What a paper reports is for its full budget, and its "
        "own.",
        "",
        "| recipe | task | on the test data | budget | parameters | firing rate | paper |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [row(training) for training in trainings]
    return "\n".join([*lines, "", "```console", *(f"$ {t['command']}" for t in trainings), "```"])


def row(training: Training) -> str:
    recipe, headline = training["recipe"], Quantity(**training["headline"])
    rate = training["firing_rate"]
    config = yaml.safe_load(recipes()[recipe].read_text())
    asked = re.search(r"--trainer\.max_epochs[ =](\d+)", training["command"])
    full = config["trainer"]["max_epochs"]
    epochs = f"{full} epochs" if asked is None else f"{asked[1]} epochs of {full}"
    cells = (
        f"`{recipe}`",
        config["title"].partition(": ")[2],
        f"{headline.words} {headline.text(training[f'test_{headline.name}'])} "
        f"{'↑' if headline.better == 'higher' else '↓'}",
        f"{epochs}, {duration(training['training_seconds'])}",
        f"{training['parameters']:,}",
        "no neurons" if rate is None else f"{100 * rate:.1f} %",
        PAPERS.get(recipe, ""),
    )
    return f"| {' | '.join(cells)} |"


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def speed(benchmark: dict[str, Any]) -> str:
    """The README's words on speed."""
    cases = {case["name"]: case for case in benchmark["cases"]}

    def ratio(case: str, at: int = 0) -> str:
        value = cases[case]["outcomes"][at]["value"]
        return f"{value:.0f}" if value >= 10 else f"{value:.2f}"

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
        f"{ratio('training-step')} times as long as its matrix products alone."
    )


def firing(rows: list[dict[str, Any]]) -> str:
    """What asking for less firing does."""
    lines = ["| `task.firing.rate` | spikes a step and neuron | test accuracy |", "|---|---|---|"]
    lines += [
        f"| {row['rate'] or 'none'} | {100 * row['firing_rate']:.1f} % | "
        f"{100 * row['accuracy']:.1f} % |"
        for row in rows
    ]
    return "\n".join(lines)


def streamed(rows: list[dict[str, Any]]) -> str:
    """Networks and the programs folded from them."""
    lines = [
        "| recipe | network | program | weights of 8 bits | same answers | differing spikes |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        accuracies = (f"{100 * row[kind]:.2f} %" for kind in ("network", "program", "int8"))
        same = f"{row['same_answers']:,} of {row['items']:,}"
        differ = f"{row['differing']:,} of {row['spikes']:,}" if row["spikes"] else "none compared"
        lines.append(f"| {' | '.join((row['recipe'], *accuracies, same, differ))} |")
    return "\n".join(lines)


def read(name: str) -> Any:
    """What a script keeps."""
    return json.loads((KEPT / f"{name}.json").read_text())


def pages() -> dict[Path, dict[str, str]]:
    """Every page with measured figures, and these by the name of their markers."""
    trainings = [json.loads(file.read_text()) for file in sorted(TRAININGS.glob("*.json"))]
    return {
        README: {"results": table(trainings), "speed": speed(read("results"))},
        ROOT / "docs" / "tasks.md": {"firing": firing(read("firing"))},
        ROOT / "docs" / "stream.md": {"streamed": streamed(read("streamed"))},
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


if __name__ == "__main__":
    for name in sys.argv[1:]:
        keep(Path(name))
    for page, parts in pages().items():
        page.write_text(write(page, page.read_text(), parts))
