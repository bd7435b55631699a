"""The pages of the neurons: each neuron has one, its examples run, its defaults are the code's."""

from __future__ import annotations

import importlib
import inspect
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from spikescan import neurons
from spikescan.cli import TREE
from spikescan.cli.tree import Tree
from spikescan.neurons import Neuron, StateSpace
from spikescan.ops import surrogate

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "neurons"

_PUBLIC = (getattr(neurons, name) for name in neurons.__all__)
NEURONS: list[type[Any]] = [
    item
    for item in _PUBLIC
    if inspect.isclass(item)
    and issubclass(item, Neuron | StateSpace)
    and not inspect.isabstract(item)
]
VALUES = {**vars(surrogate), **vars(neurons), "pi": math.pi}

by_neuron = pytest.mark.parametrize("neuron", NEURONS, ids=lambda neuron: neuron.__name__)


def page(neuron: type[Any]) -> Path:
    return PAGES / f"{neuron.__name__.lower()}.md"


def test_pages_and_neurons_are_the_same() -> None:
    assert {path.name for path in PAGES.glob("*.md")} - {"index.md"} == {
        page(neuron).name for neuron in NEURONS
    }


@by_neuron
def test_page_has_all_its_parts(neuron: type[Any]) -> None:
    name, text = neuron.__name__, page(neuron).read_text()
    assert text.startswith(f"# {name}\n")
    for part in ("**Cost per step**", "**State**", "**Use it**", "**Not**", "**Source**"):
        assert part in text
    assert f"](../api/neurons.md#spikescan.{name})" in text
    assert re.search(r"^\*\*Source\*\* .*\]\(https://", text, re.MULTILINE), "a link to the paper"


def test_every_page_is_in_the_navigation_and_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    pages = importlib.import_module("pages")
    config = SimpleNamespace(docs_dir=str(ROOT / "docs"), nav=[{"Neurons": [{"LIF": "n.md"}]}])
    listed = [path for item in pages.on_config(config).nav[0]["Neurons"] for path in item.values()]
    assert {*listed} == {"n.md", *(f"neurons/{page(neuron).name}" for neuron in NEURONS)}
    api = SimpleNamespace(file=SimpleNamespace(src_uri="api/neurons.md"))
    text = pages.on_page_markdown("::: spikescan.LIF\n", api, config)
    told = [line.removeprefix("::: spikescan.") for line in text.splitlines() if line]
    assert sorted(told) == sorted(neuron.__name__ for neuron in NEURONS)


def test_every_neuron_has_a_row_in_the_overview(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    pages = importlib.import_module("pages")
    config = SimpleNamespace(docs_dir=str(ROOT / "docs"))
    overview = SimpleNamespace(file=SimpleNamespace(src_uri="neurons/index.md"))
    shown = pages.on_page_markdown((PAGES / "index.md").read_text(), overview, config)
    for neuron in NEURONS:
        assert f"\n| [{neuron.__name__}]({page(neuron).name})" in shown


def test_every_op_is_in_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    pages = importlib.import_module("pages")
    config = SimpleNamespace(docs_dir=str(ROOT / "docs"))
    api = SimpleNamespace(file=SimpleNamespace(src_uri="api/ops.md"))
    for kept in ("", (ROOT / "docs" / "api" / "ops.md").read_text()):
        shown = pages.on_page_markdown(kept, api, config)
        for op in (ROOT / "src" / "spikescan" / "ops").glob("*/api.py"):
            assert shown.count(f"::: spikescan.ops.{op.parent.name}.api\n") == 1


@by_neuron
def test_table_of_defaults_is_that_of_the_constructor(neuron: type[Any]) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (`.+?`|required) \|", page(neuron).read_text(), re.MULTILINE)
    required = inspect.Parameter.empty
    told = {
        name: required if value == "required" else eval(value.strip("`"), dict(VALUES))
        for name, value in rows
    }
    arguments = inspect.signature(neuron).parameters.values()
    assert told == {a.name: a.default for a in arguments if a.kind is a.KEYWORD_ONLY}


@pytest.mark.parametrize("path", sorted(PAGES.glob("*.md")), ids=lambda path: path.stem)
def test_examples_run(path: Path) -> None:
    examples = re.findall(r"^```python\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)
    assert examples
    for example in examples:
        exec(compile(example, str(path), "exec"), {})


def commands(tree: Tree, before: str = "spikescan") -> list[str]:
    found: list[str] = []
    for name, item in tree.items():
        path = f"{before} {name}"
        found += [path] if callable(item) else commands(item, path)
    return found


def test_every_command_is_on_a_page_and_every_page_in_the_navigation() -> None:
    pages = {path.relative_to(ROOT / "docs"): path for path in (ROOT / "docs").rglob("*.md")}
    text = "\n".join(path.read_text() for path in (ROOT / "README.md", *pages.values()))
    assert [command for command in commands(TREE) if command not in text] == []
    nav = (ROOT / "mkdocs.yml").read_text()
    # Pages of neurons find their own way, see above.
    others = [page.as_posix() for page in pages if page.parts[0] != "neurons"]
    assert [page for page in others if f": {page}\n" not in nav] == []


def test_every_room_is_in_the_house_rules() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rooms = [path.parent.name for path in (ROOT / "src" / "spikescan").glob("*/__init__.py")]
    assert len(rooms) > 10
    assert [room for room in rooms if f"`{room}/`" not in text] == []
