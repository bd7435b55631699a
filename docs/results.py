"""Print the rows of the README's table of results: ``python docs/results.py RUN...``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

for run in map(Path, sys.argv[1:]):
    results = json.loads((run / "results.json").read_text())
    cells = (
        f"`{run.name}`",
        f"{results['test_accuracy']:.2%}",
        f"best of epoch {results['best_epoch']}, {results['training_seconds']:.0f} s",
        f"{results['parameters']:,}",
        f"{results['firing_rate']:.1%}",
    )
    print(f"| {' | '.join(cells)} |".replace("%", " %"))
