"""The command line: one tree of commands, one file a command.

The files import what is heavy (torch, Lightning) when their command runs: the help of the whole
tree needs neither.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from spikescan.bench import cli as bench
from spikescan.cli import (
    compare,
    data,
    energy,
    export,
    info,
    init,
    lengths,
    predict,
    recipes,
    report,
    results,
    say,
    stream,
    test,
    train,
    zoo,
)
from spikescan.cli.tree import Tree, run_tree, typed
from spikescan.data.root import DataError
from spikescan.errors import Stopped, UsageError

__all__ = ["TREE", "main"]

TREE: Tree = {
    "train": train.train,
    "test": test.test,
    "report": typed(report.report),
    "compare": typed(compare.compare),
    "init": init.init,
    "predict": typed(predict.predict),
    "stream": typed(stream.stream),
    "export": typed(export.export),
    "pack": typed(zoo.pack),
    "zoo": typed(zoo.zoo),
    "results": {"add": typed(results.add), "table": typed(results.table)},
    "say": typed(say.say),
    "lengths": typed(lengths.lengths),
    "recipes": typed(recipes.recipes),
    "data": {"list": typed(data.list_), "get": typed(data.get), "control": typed(data.control)},
    "bench": {
        "list": typed(bench.list_),
        "run": typed(bench.run),
        "figures": typed(bench.figures),
    },
    "energy": typed(energy.energy),
    "info": typed(info.info),
}
"""All commands."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # a recipe may name a class from the folder one stands in
    try:
        if arguments == ["--version"]:
            from spikescan import __version__

            print(f"spikescan {__version__}")
            return 0
        status = run_tree(TREE, "spikescan", arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Whoever read the output has seen enough, as `head` has; what is left goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except Stopped as error:
        return _fail(str(error), error.status)
    except (UsageError, DataError) as error:
        return _fail(" ".join(str(error).split()))


def _fail(message: str, status: int = 2) -> int:
    print(f"spikescan: {message}", file=sys.stderr)
    return status
