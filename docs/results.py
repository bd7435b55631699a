"""Write the measured figures of the README, so that none is typed by hand.

``python docs/results.py RUN...`` keeps the results of training runs in ``benchmarks/trainings`` and
writes the README anew; without arguments it writes it from what is kept there and from
``benchmarks/results.json``, which ``make bench`` writes.
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
README, BENCHMARK = ROOT / "README.md", ROOT / "benchmarks" / "results.json"
TRAININGS = ROOT / "benchmarks" / "trainings"
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


def write(text: str) -> str:
    """The README with everything between its markers written anew."""
    trainings = [json.loads(file.read_text()) for file in sorted(TRAININGS.glob("*.json"))]
    parts = {"results": table(trainings) + "\n", "speed": speed(json.loads(BENCHMARK.read_text()))}
    for name, content in parts.items():
        opening, closing = f"<!-- {name}: written by docs/results.py -->", f"<!-- end of {name} -->"
        before, _, rest = text.partition(opening)
        _, found, after = rest.partition(closing)
        if not found:
            raise ValueError(f"{README.name} must hold {opening!r} and {closing!r}")
        line = "\n" if "\n" in content else ""
        text = f"{before}{opening}{line}{content}{closing}{after}"
    return text


if __name__ == "__main__":
    for name in sys.argv[1:]:
        keep(Path(name))
    README.write_text(write(README.read_text()))
