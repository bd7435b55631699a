"""Mistakes on a command line and in a recipe, each told in one line that says what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from importlib import import_module
from inspect import signature

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from spikescan.errors import UsageError

_MEANT = {
    "beta": "tau, a time constant in steps: beta = exp(-1 / tau)",
    "alpha": "tau, a time constant in steps: alpha = exp(-1 / tau)",
    "v_threshold": "threshold",
    "v_th": "threshold",
    "hidden": "--model.features",
    "hidden_size": "--model.features",
    "layers": "--model.depth",
    "num_layers": "--model.depth",
    "learning_rate": "--task.optimizer.lr",
    "epochs": "--trainer.max_epochs",
    "gpus": "--trainer.accelerator gpu --trainer.devices N",
    "gradient_clip_val": "--task.optimizer.clip",
    "config": "the recipe's file as the first argument",
    "subtract": "'soft'",
    "subtraction": "'soft'",
    "zero": "'hard'",
}
"""What other libraries call a thing, and what it is called here."""


def parse(parser: ArgumentParser, arguments: Sequence[str]) -> Namespace:
    """The options that the arguments give.

    Raises:
        UsageError: an option is unknown, or its value is not one that it takes.
    """
    try:
        return parser.parse_args(list(arguments))
    except ArgumentError as error:
        raise UsageError(in_words(error, parser, arguments)) from error


def in_words(error: Exception, parser: ArgumentParser, arguments: Sequence[str] = ()) -> str:
    """One line for an error of jsonargparse, whose own has many."""
    text = " ".join(str(error).split())
    if found := re.search(r"unrecognized arguments: (\S+)", text):
        name = found[1].partition("=")[0]
        if name.startswith("-"):
            # Of an option below a class only the end is told.
            given = [argument.partition("=")[0] for argument in arguments]
            whole = (g for g in given if g == name or g.endswith(f".{name.lstrip('-')}"))
            name = next(whole, name)
        return _unknown(name, parser)
    if found := re.fullmatch(r"(?:the )?following arguments are required: (.*)", text):
        return f"a value is needed for {found[1]}"
    if found := re.fullmatch(r"argument (\S+): expected one argument", text):
        return f"{found[1]} needs a value"
    if found := re.fullmatch(r"Option '([\w.]+)' is not accepted", text):
        return _unknown(f"--{found[1]}", parser)
    path = ".".join(re.findall(r'Parser key "([^"]+)":', text)).replace(".init_args", "")
    inner = re.split(r'Parser key "[^"]+": ?', text)[-1]
    if owner := re.search(r"Problem with given class_path '([\w.]+)'", text):
        if found := re.search(r"Group '(\w+)' does not accept option '(\w+)'", inner):
            name = f"{found[1]}.{found[2]}"
            return f"--{path}: {owner[1]} has no option {name}{near(name, _arguments(owner[1]))}"
        if found := re.search(r'Unable to load config "(.*?)"', inner):
            group = path.rpartition(".")[2]
            above = path.partition(f".{group}")[0]
            one = next(name for name in _arguments(owner[1]) if name.startswith(f"{group}."))
            return (
                f"--{above}.{group} must be a group of options, such as --{above}.{one}, got "
                f"{found[1]!r}"
            )
    inner = re.sub(r"^.*?expects a function or a callable class: ", "", inner)
    reason, _, rest = _cut(inner)
    reasons = [reason]
    if "Errors: - " in reason:
        reasons = reason.partition("Errors: - ")[2].split(" - ")
    elif reason.startswith("- "):
        reasons = reason[2:].split(" - ")
    reasons = [r for r in reasons if "Expected a <class 'NoneType'>" not in r]
    said = [r for r in reasons if not re.match(r"Expected a (?!dot)|Does not validate", r)]
    where = f"--{path}" if path else ""
    if said:
        return f"{where}: {_reason(said[-1], rest)}" if where else _reason(said[-1], rest)
    if not where or not any(r.startswith("Expected a") for r in reasons):
        return text
    wanted = [_type(r) for r in reasons if r.startswith("Expected a")]
    got = (
        re.search(r"NestedArg\(key='\w+', val='(.*?)'\)", inner)
        or re.search(r"(?:Given|Got) value: (.*?)(?:$|\. Got value| - Expected a )", inner)
        or ("", "")
    )[1]
    if got in _MEANT and "Literal" in inner:
        return f"{where} must be {' or '.join(wanted)}, got {got!r}; did you mean {_MEANT[got]}?"
    return f"{where} must be {' or '.join(wanted)}, got {got!r}"


def near(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: what it is called here, or the nearest one."""
    if name in _MEANT:
        return f"; did you mean {_MEANT[name]}?"
    names = list(known)
    close = get_close_matches(name, names, 1) or [k for k in names if k.endswith(f".{name}")]
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(names)}"


def _cut(text: str) -> tuple[str, str, str]:
    found = re.search(r"\.{0,2} (?:Got value: |Given value type: )", text)
    return (text, "", "") if found is None else (text[: found.start()], "", text[found.end() :])


def _known(parser: ArgumentParser) -> list[str]:
    try:
        defaults = parser.get_defaults()
    except (TypeError, ArgumentError):  # What is told of is wrong in the recipe.
        parser.default_config_files = []
        defaults = parser.get_defaults()
    return [key.replace(".init_args", "") for key in defaults.keys()]  # noqa: SIM118


def _unknown(name: str, parser: ArgumentParser) -> str:
    if not name.startswith("-"):
        return f"{name!r} is one argument too many; options are given as --option value"
    known = _known(parser)
    bare = name.lstrip("-")
    if name == f"--{bare}" and bare in known:
        return f"{bare} is given by its place, without {name}"
    same = sorted(f"--{key}" for key in known if key.rpartition(".")[2] == bare)
    if same:
        return f"unknown option {name}; did you mean {' or '.join(same)}?"
    if bare.rpartition(".")[2] in _MEANT:
        return f"unknown option {name}; did you mean {_MEANT[bare.rpartition('.')[2]]}?"
    close = get_close_matches(bare, known, 1)
    if len(bare) == 1:
        close = [key for key in known if key.startswith(bare)]
    hint = f"did you mean --{close[0]}?" if close else "--help lists all"
    return f"unknown option {name}; {hint}"


def _reason(said: str, rest: str) -> str:
    if found := re.search(r"Option '(\w+)' is not accepted", said):
        owner = re.search(r"class_path[ =]'([\w.]+)'", said + rest)
        if owner is None:
            return f"unknown option {found[1]}"
        return f"{owner[1]} has no option {found[1]}{near(found[1], _arguments(owner[1]))}"
    if found := re.search(r"module '([\w.]+)' has no attribute '(\w+)'", said):
        return f"{found[1]} has no {found[2]}{_near_name(*found.groups())}"
    if found := re.search(r"No module named '([\w.]+)'", said):
        return f"there is no module {found[1]}, neither installed nor in the current folder"
    if found := re.search(r"Expected '([\w.]+)' to be a subclass of <class '([\w.]+)'>", said):
        return f"{found[1]} is not a {found[2].rpartition('.')[2]}"
    if found := re.search(
        r"Import path (?:(\S+) )?does not correspond to a subclass of (\w+)", said
    ):
        given = found[1] or (re.search(r"([\w.]+\.\w+)", rest) or ("", "the class"))[1]
        return f"{given} is not a {found[2]}"
    if found := re.search(r"following arguments are required: (.*)", said):
        return f"a value is needed for {found[1]}"
    if found := re.search(r"Expected a dot import path string: (\S+)", said):
        return f"{found[1]} is not the path of a class; give it with its module: module.Class"
    if said == "Expected an instantiatable class, but is abstract":
        owner = re.search(r"(?:Given|Got) value: ([\w.]+)", rest)
        return f"{owner[1] if owner else 'the class'} lacks what its base class asks for" + (
            _lacking(owner[1]) if owner else ""
        )
    return re.sub(r"^Problem with given class_path '[\w.]+': ", "", said)


def _arguments(path: str) -> list[str]:
    module, _, name = path.rpartition(".")
    parameters = signature(getattr(import_module(module), name)).parameters.values()
    names = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    groups = [(p.name, p.default) for p in names if is_dataclass(p.default)]
    inner = [f"{group}.{field.name}" for group, value in groups for field in fields(value)]
    return [*(p.name for p in names), *inner]


def _lacking(path: str) -> str:
    module, _, name = path.rpartition(".")
    abstract = getattr(import_module(module), name).__abstractmethods__
    return f": {', '.join(sorted(abstract))}"


def _near_name(module: str, name: str) -> str:
    close = get_close_matches(name, getattr(import_module(module), "__all__", ()), 1)
    return f"; did you mean {module}.{close[0]}?" if close else ""


def _type(expected: str) -> str:
    if found := re.search(r"Literal\[(.*)\]", expected):
        return f"one of {found[1]}"
    found = re.search(r"<class '([\w.]+)'>", expected)
    name = found[1].rpartition(".")[2] if found else expected.removeprefix("Expected a ")
    return {"int": "a whole number", "float": "a number", "bool": "true or false"}.get(name, name)
