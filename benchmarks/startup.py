"""What starting costs: processor seconds of imports and commands, beside those of importing torch.

``python benchmarks/startup.py`` runs each in new processes, one after the other, and takes the
least of seven. Required are 1.5 times torch for the library, half a second for ``spikescan --help``
and a second beyond torch for ``spikescan info``.
"""

from __future__ import annotations

import resource
import subprocess
import sys

_CLI = "from spikescan.cli import main; main(['{}'])"
STARTS = {
    "import torch": "import torch",
    "import spikescan, a neuron": "import spikescan; spikescan.LIF",
    "spikescan --help": _CLI.format("--help"),
    "spikescan info": _CLI.format("info"),
}


def seconds(code: str) -> float:
    """Processor time of one new process that runs this code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    rounds = [{name: seconds(code) for name, code in STARTS.items()} for _ in range(7)]
    least = {name: min(times[name] for times in rounds) for name in STARTS}
    for name, time in least.items():
        print(f"{name:<28} {time:5.2f} s  {time / least['import torch']:5.2f} x torch")


if __name__ == "__main__":
    main()
