"""A recipe for a person's own files, for ``spikescan init`` and ``spikescan train --data KIND``."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

KINDS = {
    "wav": "spikescan.data.own.wav.Wav",
}
"""What own files may be, and the class that reads them."""


def recipe_for(kind: str, options: Sequence[str], title: str) -> str:
    """The recipe, as YAML, for files of this kind.

    Args:
        kind: one of :data:`KINDS`.
        options: of the data, as on the command line: --data.root FOLDER.
        title: headline of the report.

    Raises:
        UsageError: an option is unknown, or its value does not fit.
        DataError: the files are damaged, or cannot be learned from.
    """
    import yaml
    from jsonargparse import ArgumentParser

    from spikescan.errors import UsageError
    from spikescan.recipes.own import classes_recipe
    from spikescan.train.words import in_words, parse

    module, _, name = KINDS[kind].rpartition(".")
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_class_arguments(getattr(import_module(module), name), "data")
    values = parse(parser, options)
    given = yaml.safe_load(parser.dump(values, skip_default=True)) or {}
    try:
        data = parser.instantiate(values).data
    except (ValueError, TypeError) as error:
        raise UsageError(in_words(error, parser)) from error
    return classes_recipe(data, title, given.get("data", {}))


def own_kind(arguments: list[str]) -> str | None:
    """The kind of own files that ``--data KIND`` names; the option is then taken out."""
    for at, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        if name == "--data":
            kind = value or next(iter(arguments[at + 1 : at + 2]), "")
            if kind in KINDS:
                del arguments[at : at + (1 if value else 2)]
                return kind
    return None


def data_options(arguments: Sequence[str]) -> list[str]:
    """Those of the arguments that are options of the data, with their values."""
    found: list[str] = []
    for at, argument in enumerate(arguments):
        if argument.startswith("--data."):
            found.append(argument)
            if "=" not in argument:
                found += arguments[at + 1 : at + 2]
    return found
