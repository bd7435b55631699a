"""What the commands about runs share."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikescan.errors import UsageError
from spikescan.recipes import recipes

if TYPE_CHECKING:
    from spikescan.tasks import Task
    from spikescan.train import RunFolder


def find_recipe(name: str) -> Path:
    """The file of a shipped recipe, or the file of that path.

    Raises:
        UsageError: there is none.
    """
    shipped = recipes()
    if name in shipped:
        return shipped[name]
    if name.endswith((".yaml", ".yml")):
        if Path(name).is_file():
            return Path(name)
        raise UsageError(f"no recipe file {name}")
    raise UsageError(
        f"unknown recipe {name!r}; the recipes are {', '.join(shipped)}, or a path to a .yaml file"
    )


def take(arguments: list[str], option: str) -> str | None:
    """Remove ``option VALUE`` or ``option=VALUE`` from the arguments and return the value."""
    for i, argument in enumerate(arguments):
        if argument.startswith(f"{option}=") and argument != f"{option}=":
            del arguments[i]
            return argument.partition("=")[2]
        if argument in (option, f"{option}="):
            if i + 1 == len(arguments):
                raise UsageError(f"{option} needs a value")
            value = arguments[i + 1]
            del arguments[i : i + 2]
            return value
    return None


def quiet() -> None:
    """Keep Lightning's hints off the terminal; its warnings about real trouble stay."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    # The last ones are a deprecation within Lightning itself, and strides of axes of one element.
    hints = ("does not have many workers", "log_every_n_steps", "srun", "isinstance.treespec")
    hints = (*hints, "Grad strides do not match bucket view strides")
    for message in (f".*{hint}.*" for hint in hints):
        warnings.filterwarnings("ignore", message=message)


def evaluated(
    run: str, arguments: Sequence[str], program: str
) -> tuple[Task, Mapping[str, Any], RunFolder]:
    """Test a run's best checkpoint and write its page again; its task, results and folder."""
    from spikescan.train import evaluate, read_recipe
    from spikescan.train.trained import run_folder

    quiet()
    folder = run_folder(run)
    folder.require(folder.config, folder.best)
    task, data, options, config = read_recipe(folder.config, arguments, program)
    results = evaluate(
        folder,
        task,
        data,
        config=config,
        trainer=options.trainer.as_dict(),
        progress=options.progress,
    )
    return task, results, folder


def tell(task: Task, results: Mapping[str, Any], folder: RunFolder) -> None:
    """Print the results of a run."""
    seconds = results["training_seconds"]
    for shown in (task.headline, *task.beside):
        words = f"test {shown.words}"
        print(f"{words:<17} {shown.text(results[f'test_{shown.name}'])}")
    if results["firing_rates"]:
        print(f"mean firing rate  {100 * results['firing_rate']:.1f} %")
    if seconds:
        print(f"training time     {seconds:.0f} s")
    print(f"report            {folder.report}")
