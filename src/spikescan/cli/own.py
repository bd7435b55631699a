"""A recipe for a person's own files, for ``spikescan init`` and ``spikescan train --data KIND``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spikescan.errors import UsageError

KINDS = {
    "wav": "Wav",
    "csv": "Csv",
    "npz": "Npz",
    "ts": "Ts",
    "series": "Series",
    "text": "TextFiles",
}
"""What own files may be, and the class of ``spikescan.data`` that reads them. A text alone is read
by ``Text``."""


def recipe_for(kind: str, options: Sequence[str]) -> str:
    """The recipe, as YAML, for files of this kind.

    Args:
        kind: one of :data:`KINDS`.
        options: of the data, as on the command line: --data.root FOLDER.

    Raises:
        UsageError: an option is unknown, or its value does not fit.
        DataError: the files are damaged, or cannot be learned from.
    """
    import yaml
    from jsonargparse import ArgumentParser

    from spikescan import data as readers
    from spikescan.recipes.own import classes_recipe, series_recipe, text_recipe
    from spikescan.train.words import in_words, parse

    place = option_of(options, "path") or option_of(options, "root")
    alone = kind == "text" and place is not None and not Path(place).is_dir()
    reader = readers.Text if alone else getattr(readers, KINDS[kind])
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_class_arguments(reader, "data")
    values = parse(parser, options)
    given = (yaml.safe_load(parser.dump(values, skip_default=True)) or {}).get("data", {})
    if kind != "text" and "missing" not in given:
        values.data.missing = "hold"  # To count them; the recipe refuses them unless told.
    try:
        data = parser.instantiate(values).data
    except (ValueError, TypeError) as error:
        raise UsageError(in_words(error, parser)) from error
    title = f"{Path(place).name} ({kind})" if place else kind
    if isinstance(data, readers.OwnFiles):
        return classes_recipe(data, title, given)
    if isinstance(data, readers.Series):
        return series_recipe(data, title, given)
    return text_recipe(data, title, given)


def option_of(options: Sequence[str], name: str) -> str | None:
    """The value of an option of the data."""
    for at, option in enumerate(options):
        if option.startswith(f"--data.{name}="):
            return option.partition("=")[2]
        if option == f"--data.{name}":
            return next(iter(options[at + 1 : at + 2]), None)
    return None


def own_kind(arguments: list[str]) -> str | None:
    """The kind of own files that ``--data KIND`` names; the option is then taken out."""
    for at, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        if name == "--data":
            kind = value or next(iter(arguments[at + 1 : at + 2]), "")
            if kind in KINDS:
                del arguments[at : at + (1 if value else 2)]
                return kind
            if "." not in kind:
                raise UsageError(
                    f"--data must be one of {', '.join(KINDS)}, or the path of a class, got "
                    f"{kind!r}"
                )
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
