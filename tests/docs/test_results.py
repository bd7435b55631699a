"""The figures of README and pages are those that were kept."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

from spikescan.recipes import recipes

ROOT = Path(__file__).parents[2]
BENCHMARK = ROOT / "benchmarks" / "results.json"


def script():
    spec = importlib.util.spec_from_file_location("results", ROOT / "docs" / "results.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_say_what_was_measured() -> None:
    results = script()
    for page, parts in results.pages().items():
        text = page.read_text()
        assert results.write(page, text, parts) == text
        with pytest.raises(ValueError, match=rf"{page.name} must hold '<!-- {next(iter(parts))}: "):
            results.write(page, text.replace(f"<!-- end of {next(iter(parts))} -->", ""), parts)


def test_every_task_is_a_recipe_and_every_kept_run_of_one() -> None:
    results = script()
    assert set(results.TASKS) <= set(recipes())
    assert set(results.by_recipe()) <= set(recipes())


def test_no_place_of_a_machine_is_in_what_is_kept() -> None:
    for file in (ROOT / "results").rglob("*.json"):
        assert not re.search(r'[\s"=]/|[A-Z]:\\\\', file.read_text()), file


def test_a_claim_says_what_is_missing_and_what_was_found() -> None:
    script()
    from claims import CLAIMS, NOT_YET, Figures, claims

    cases = {c["name"]: c for c in json.loads(BENCHMARK.read_text())["cases"]}
    assert claims(Figures({}, {}, cases, [])).count("\n| ") == sum(map(len, CLAIMS.values())) + 6
    points = [{"length": n, "value": 2.0 + n / 1e5} for n in (1024, 32768)]
    run = {"name": "dsn", "unit": "bits per character", "trained_length": 2048, "points": points}
    told = claims(Figures({}, {}, cases, [run]))
    assert "dsn: 2.010 bits per character at 1,024, 2.328 at 32,768" in told
    assert f"| {NOT_YET} |" in told
