"""The command line: train, test, recipes, data, bench, info."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from spikescan.errors import Stopped

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from spikescan.data import SequenceData
    from spikescan.tasks import Task

USAGE = """\
usage: spikescan COMMAND [options]

  train [RECIPE] [--option value ...]   train a recipe (default: digits) and write its report
  train --resume RUN                    go on with a run from its last checkpoint
  test RUN                              test a run's best checkpoint and write its report again
  recipes                               list the recipes
  data list | data get NAME             list the data sets, download one
  bench list | run [CASE ...] | figures measure speed against peers, correctness first
  info                                  versions, devices, CPU kernels in use

Every option of a recipe is an option of train: `spikescan train digits --help` lists them.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    commands: dict[str, Callable[[list[str]], int]] = {
        "train": train,
        "test": test,
        "recipes": list_recipes,
        "data": data,
        "bench": bench,
        "info": info,
    }
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0
    if arguments[0] == "--version":
        from spikescan import __version__

        print(f"spikescan {__version__}")
        return 0
    command = commands.get(arguments[0])
    if command is None:
        return fail(f"unknown command {arguments[0]!r}; the commands are {', '.join(commands)}")
    try:
        return command(arguments[1:])
    except KeyboardInterrupt:
        return fail("interrupted", 130)
    except Stopped as error:
        return fail(str(error), error.status)
    except Exception as error:
        if _is_for_user(error):
            return fail(" ".join(str(error).split()))
        raise


def _is_for_user(error: Exception) -> bool:
    from jsonargparse import ArgumentError

    from spikescan.data import DataError
    from spikescan.train import UsageError

    return isinstance(error, ArgumentError | DataError | UsageError)


def fail(message: str, status: int = 2) -> int:
    print(f"spikescan: {message}", file=sys.stderr)
    return status


def _quiet() -> None:
    """Keep Lightning's hints off the terminal; its warnings about real trouble stay."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    # The last is a deprecation within Lightning itself.
    hints = ("does not have many workers", "log_every_n_steps", "srun", "isinstance.treespec")
    for message in (f".*{hint}.*" for hint in hints):
        warnings.filterwarnings("ignore", message=message)


def _parser(defaults: Path, program: str) -> Any:
    from jsonargparse import ArgumentParser, set_parsing_settings
    from lightning import Trainer

    from spikescan.data import Facts, SequenceData
    from spikescan.models import Backbone
    from spikescan.tasks import Task

    # Facts come from the data: without this a dataclass would be made of options of its own.
    set_parsing_settings(subclasses_enabled=[Facts])
    parser = ArgumentParser(
        prog=program,
        description="Train a recipe and write its report.",
        exit_on_error=False,
        default_config_files=[str(defaults)],
    )
    parser.add_argument("--title", type=str, default="", help="headline of the report")
    parser.add_argument("--seed", type=int, default=0, help="of start values and training order")
    parser.add_argument("--runs", type=str, default="runs", help="folder for new runs")
    parser.add_argument("--name", type=str, help="name of the run's folder, else recipe and time")
    parser.add_argument("--progress", type=bool, default=sys.stdout.isatty(), help="progress bar")
    parser.add_subclass_arguments(SequenceData, "data")
    parser.add_class_arguments(Backbone, "model")
    learned = {"class_path": "spikescan.tasks.Classification"}
    parser.add_argument("--task", type=Task, default=learned, help="what the network learns")
    owned: set[str | int] = {"logger", "callbacks", "default_root_dir", "enable_progress_bar"}
    owned |= {"enable_model_summary", "gradient_clip_val", "gradient_clip_algorithm"}
    parser.add_class_arguments(Trainer, "trainer", skip=owned, instantiate=False)

    for fact in ("inputs", "vocabulary"):
        take = attrgetter(fact)
        parser.link_arguments("data.facts", f"model.{fact}", take, apply_on="instantiate")
    parser.link_arguments("data.facts", "task.init_args.facts", apply_on="instantiate")
    parser.link_arguments("model", "task.init_args.backbone", apply_on="instantiate")
    return parser


class Loaded(NamedTuple):
    """What a recipe describes, and the options that it was made from."""

    task: Task
    data: SequenceData
    options: Namespace
    config: str
    """The options as YAML, defaults included."""


def load(recipe: Path, arguments: Sequence[str] = (), program: str = "spikescan train") -> Loaded:
    """Make the network and the data of a recipe, or of a run's ``config.yaml``.

    Args:
        recipe: a YAML file.
        arguments: options in place of the recipe's, as on the command line.
        program: what the help calls the command.

    Raises:
        UsageError: a value does not fit the others.
        ArgumentError: an option is unknown or its value has another type.
    """
    import torch

    from spikescan.train import UsageError

    parser = _parser(recipe, program)
    options = parser.parse_args(list(arguments))
    torch.manual_seed(options.seed)
    try:
        built = parser.instantiate(options)
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from error
    return Loaded(built.task, built.data, options, parser.dump(options, skip_link_targets=True))


def _recipe(name: str) -> Path:
    from spikescan.recipes import recipes
    from spikescan.train import UsageError

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


def _take(arguments: list[str], option: str) -> str | None:
    """Remove ``option VALUE`` or ``option=VALUE`` from the arguments and return the value."""
    from spikescan.train import UsageError

    for i, argument in enumerate(arguments):
        if argument.startswith(f"{option}="):
            del arguments[i]
            return argument.partition("=")[2]
        if argument == option:
            if i + 1 == len(arguments):
                raise UsageError(f"{option} needs a value")
            value = arguments[i + 1]
            del arguments[i : i + 2]
            return value
    return None


def train(arguments: list[str]) -> int:
    from spikescan.train import NewRun, RunFolder, fit

    _quiet()
    resume = _take(arguments, "--resume")
    if resume is not None:
        folder = RunFolder(Path(resume))
        folder.require(folder.config)
        source, name = folder.config, folder.path.name
    else:
        named = arguments and not arguments[0].startswith("-")
        source = _recipe(arguments.pop(0) if named else "digits")
        folder, name = None, source.stem
    task, data_module, options, config = load(source, arguments, f"spikescan train {name}")
    finished = fit(
        folder or NewRun(Path(options.runs), name, options.name),
        task,
        data_module,
        config=config,
        trainer=options.trainer.as_dict(),
        seed=options.seed,
        progress=options.progress,
    )
    if finished is not None:
        _tell(task, finished.results, finished.folder)
    return 0


def test(arguments: list[str]) -> int:
    from spikescan.train import RunFolder, UsageError, evaluate

    _quiet()
    if not arguments or arguments[0].startswith("-"):
        raise UsageError("which run? usage: spikescan test RUN [--option value ...]")
    folder = RunFolder(Path(arguments.pop(0)))
    folder.require(folder.config, folder.best)
    task, data_module, options, config = load(folder.config, arguments, "spikescan test RUN")
    results = evaluate(
        folder,
        task,
        data_module,
        config=config,
        trainer=options.trainer.as_dict(),
        progress=options.progress,
    )
    _tell(task, results, folder)
    return 0


def _tell(task: Task, results: dict[str, Any], folder: Any) -> None:
    seconds = results["training_seconds"]
    headline = task.headline
    print(f"{f'test {headline.words}':<18}{headline.text(results[f'test_{headline.name}'])}")
    print(f"mean firing rate  {100 * results['firing_rate']:.1f} %")
    if seconds:
        print(f"training time     {seconds:.0f} s")
    print(f"report            {folder.report}")


def list_recipes(_: list[str]) -> int:
    from rich.console import Console
    from rich.table import Table

    from spikescan.recipes import recipes, title

    table = Table("recipe", "what it trains")
    for name, path in recipes().items():
        table.add_row(name, title(path).partition(": ")[2])
    Console().print(table)
    return 0


def data(arguments: list[str]) -> int:
    from spikescan.data import SOURCES, data_root, fetch, find_source, missing
    from spikescan.train import UsageError

    root = _take(arguments, "--root")
    if arguments == ["list"]:
        from rich.console import Console
        from rich.table import Table

        table = Table("name", "what", "licence", "here")
        for source in SOURCES:
            here = "no" if missing(source, root) else "yes"
            here = "in a dependency" if source.embedded else here
            table.add_row(source.name, source.title, source.licence, here)
        Console().print(table)
        print(f"data root: {data_root(root)}")
        return 0
    if len(arguments) == 2 and arguments[0] == "get":
        print(fetch(find_source(arguments[1]), root))
        return 0
    raise UsageError("usage: spikescan data list | spikescan data get NAME [--root FOLDER]")


def bench(arguments: list[str]) -> int:
    from spikescan.bench import main as run

    return run(arguments)


def info(_: list[str]) -> int:
    from spikescan.ops._core.cpu import available_levels
    from spikescan.train.environment import environment

    facts = environment()
    del facts["command"]
    facts["CPU levels here"] = ", ".join(available_levels()) or "none"
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}  {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
