"""``python -m unpictured`` is the command line, but that its reports have no pictures.

They take longer to draw than the small runs of tests to train. It is a module, so that the other
processes of a run are started as the first one was.
"""

import sys
from pathlib import Path
from typing import Any

from spikescan.cli import main
from spikescan.train import run


def write_report(record: Any, path: Path) -> None:
    path.write_text("a page")


if __name__ == "__main__":
    run.write_report = write_report  # type: ignore[assignment]
    sys.exit(main())
