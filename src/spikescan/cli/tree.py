"""A tree of commands: which one is meant, its options from a function's arguments, its help."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import wraps
from typing import Any, TypeAlias

from spikescan.errors import UsageError

Command: TypeAlias = Callable[[str, Sequence[str]], int]
"""Runs what the arguments say and returns the exit status; the first argument is what the help
calls the command, and the first line of its docstring what it does."""
Tree: TypeAlias = "Mapping[str, Command | Tree]"


def run_tree(tree: Tree, program: str, arguments: Sequence[str]) -> int:
    """Run the command that the first arguments name.

    Raises:
        UsageError: there is no such command.
    """
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help(tree, program), end="")
        return 0
    name, *rest = arguments
    if name not in tree:
        close = get_close_matches(name, [*tree, "--help", "--version"], 1)
        hint = f"did you mean {close[0]}?" if close else f"the commands are {', '.join(tree)}"
        raise UsageError(f"unknown command {name!r}; {hint}")
    found = tree[name]
    program = f"{program} {name}"
    if callable(found):
        return found(program, rest)
    return run_tree(found, program, rest)


def _help(tree: Tree, program: str) -> str:
    rows = list(_rows(tree, ""))
    width = max(len(name) for name, _ in rows)
    lines = [f"usage: {program} COMMAND [options]", ""]
    lines += [f"  {name:<{width}}  {what}" for name, what in rows]
    lines += ["", f"`{program} COMMAND --help` tells the options of a command.", ""]
    return "\n".join(lines)


def _rows(tree: Tree, before: str) -> typing.Iterator[tuple[str, str]]:
    for name, item in tree.items():
        if callable(item):
            yield before + name, (inspect.getdoc(item) or "").partition("\n")[0].rstrip(".")
        else:
            yield from _rows(item, f"{before}{name} ")


def typed(function: Callable[..., int]) -> Command:
    """A command whose options are a function's arguments.

    Arguments without a default are given by their place, ``*names`` are any number of those, the
    others are options; a bool that is False by default is an option without a value. The help is
    the docstring.
    """

    @wraps(function)
    def command(program: str, arguments: Sequence[str]) -> int:
        import docstring_parser
        from jsonargparse import ArgumentParser

        from spikescan.train.words import parse

        doc = docstring_parser.parse(inspect.getdoc(function) or "")
        words = {p.arg_name.lstrip("*"): p.description for p in doc.params}
        parser = ArgumentParser(
            prog=program,
            description=f"{doc.short_description}\n\n{doc.long_description or ''}",
            exit_on_error=False,
            allow_abbrev=False,
        )
        hints = typing.get_type_hints(function)
        many = ""
        for name, argument in inspect.signature(function).parameters.items():
            more: dict[str, Any] = {"type": hints[name], "help": words.get(name)}
            if argument.kind is argument.VAR_POSITIONAL:
                many = name
                parser.add_argument(name, nargs="*", metavar=name.upper(), **more)
            elif argument.default is argument.empty:
                parser.add_argument(name, metavar=name.upper(), **more)
            elif argument.default is False:
                parser.add_argument(f"--{name}", action="store_true", help=more["help"])
            else:
                parser.add_argument(f"--{name}", default=argument.default, **more)
        values = parse(parser, arguments).as_dict()
        places = [
            values.pop(n)
            for n, a in inspect.signature(function).parameters.items()
            if a.kind is a.POSITIONAL_OR_KEYWORD
        ]
        return function(*places, *(values.pop(many) or () if many else ()), **values)

    return command  # type: ignore[return-value]
