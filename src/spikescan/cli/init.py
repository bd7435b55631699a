"""``spikescan init``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spikescan.cli.own import KINDS, recipe_for
from spikescan.errors import UsageError


def init(program: str, arguments: Sequence[str]) -> int:
    """Write a recipe for own files: FOLDER_OR_FILE [-o recipe.yaml] [--data.OPTION VALUE ...]."""
    from jsonargparse import ArgumentParser

    from spikescan.cli.own import data_options, option_of
    from spikescan.data.own.detect import kind_of
    from spikescan.data.own.lines import require_encoding
    from spikescan.train.words import parse

    parser = ArgumentParser(
        prog=program,
        description="Find out what a folder or file is, choose a network for it, and write both as "
        "a recipe. Options of the data are given as to `spikescan train`: --data.OPTION VALUE.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("place", type=str, metavar="FOLDER_OR_FILE", help="what is to be learned")
    parser.add_argument("-o", "--output", type=str, help="file of the recipe, else the terminal")
    parser.add_argument("--kind", type=str, help=f"what it is, else found out: {', '.join(KINDS)}")
    of_data = data_options(arguments)
    rest = [argument for argument in arguments if argument not in of_data]
    values = parse(parser, rest)
    if values.kind is not None and values.kind not in KINDS:
        raise UsageError(f"--kind must be one of {', '.join(KINDS)}, got {values.kind!r}")
    place = Path(values.place)
    mark, skip = option_of(of_data, "decimal"), option_of(of_data, "skip") or ""
    encoding = option_of(of_data, "encoding")
    try:
        require_encoding(encoding)
    except ValueError as error:
        raise UsageError(str(error)) from None
    kind = values.kind or kind_of(
        place,
        decimal=mark if mark in (".", ",") else None,
        skip=int(skip) if skip.isdecimal() else 0,
        encoding=encoding,
    )
    text = recipe_for(kind, [f"--data.path={values.place}", *of_data])
    if values.output is None:
        print(text, end="")
        return 0
    try:
        with Path(values.output).open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{values.output} exists already; choose another --output") from None
    except OSError as error:
        raise UsageError(f"cannot write {values.output}: {error.strerror or error}") from error
    print("".join(line + "\n" for line in text.splitlines() if line.startswith("# ")), end="")
    print(f"spikescan train {values.output}")
    return 0
