"""Recipes: from a YAML file and options to the data, the network and its task."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from jsonargparse import ArgumentParser, Namespace, set_parsing_settings
from lightning import Trainer

from spikescan.data import Facts, SequenceData
from spikescan.errors import UsageError
from spikescan.models import Backbone
from spikescan.tasks import Task
from spikescan.train.words import in_words, near, parse


class Recipe(NamedTuple):
    """What a recipe describes, and the options that it was made from."""

    task: Task
    data: SequenceData
    options: Namespace
    config: str
    """The options as YAML, defaults included."""


def recipe_parser(defaults: Path, program: str) -> ArgumentParser:
    """The options of a recipe, those of the file as their defaults."""
    # Facts come from the data: without this a dataclass would be made of options of its own.
    set_parsing_settings(subclasses_enabled=[Facts])
    parser = ArgumentParser(
        prog=program,
        description="Train a recipe and write its report.",
        exit_on_error=False,
        allow_abbrev=False,
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
    owned: set[str | int] = {"default_root_dir", "enable_progress_bar", "enable_model_summary"}
    owned |= {"gradient_clip_val", "gradient_clip_algorithm"}
    parser.add_class_arguments(Trainer, "trainer", skip=owned, instantiate=False)
    for option, fact in (("inputs", "network_inputs"), ("vocabulary", "vocabulary")):
        take = attrgetter(fact)
        parser.link_arguments("data.facts", f"model.{option}", take, apply_on="instantiate")
    parser.link_arguments("data.facts", "task.init_args.facts", apply_on="instantiate")
    parser.link_arguments("model", "task.init_args.backbone", apply_on="instantiate")
    return parser


def read_recipe(
    recipe: Path, arguments: Sequence[str] = (), program: str = "spikescan train"
) -> Recipe:
    """Make the network and the data of a recipe, or of a run's ``config.yaml``.

    Args:
        recipe: a YAML file.
        arguments: options in place of the recipe's, as on the command line.
        program: what the help calls the command.

    Raises:
        UsageError: an option is unknown, or its value does not fit.
    """
    _check_file(recipe)
    parser = recipe_parser(recipe, program)
    options = parse(parser, arguments)
    if options.data is None:
        raise UsageError(
            "--data must be given, here or in the recipe: a class such as spikescan.data.Digits"
        )
    try:
        torch.manual_seed(options.seed)
    except (ValueError, RuntimeError) as error:
        raise UsageError(f"--seed must fit into 64 bits, got {options.seed}") from error
    try:
        built: Any = parser.instantiate(options)
    except (ValueError, TypeError) as error:
        raise UsageError(in_words(error, parser)) from error
    for name, value in built.data.known().items():
        options.data.init_args[name] = value
    config = parser.dump(options, skip_link_targets=True)
    options.trainer = built.trainer  # Callbacks and loggers are made, other values the same.
    return Recipe(built.task, built.data, options, config)


_PARTS = ("title", "seed", "runs", "name", "progress", "data", "model", "task", "trainer")


def _check_file(recipe: Path) -> None:
    """Raise a `UsageError` naming the file if it is no YAML, or none of a recipe."""
    try:
        held = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = "" if mark is None else f", line {mark.line + 1}, column {mark.column + 1}"
        raise UsageError(f"{recipe}{place}: no YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError, OSError) as error:
        raise UsageError(f"{recipe} is no YAML file: {error}") from error
    if not isinstance(held, dict) or not held:
        got = "nothing" if not held else f"a {type(held).__name__}"
        raise UsageError(f"{recipe} must hold options by name, such as data and model, got {got}")
    for name in held:
        if name not in _PARTS:
            raise UsageError(f"{recipe}: unknown option {name}{near(str(name), _PARTS)}")
