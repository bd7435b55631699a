"""The figures of README and pages are those that were kept."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

from spikescan.recipes import recipes
from spikescan.train.tables import Group

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
    run = {"name": "DSN", "unit": "bits per character", "trained_length": 2048, "points": points}
    told = claims(Figures({}, {}, cases, [run]))
    assert "DSN: 2.010 bits per character at 1,024, 2.328 at 32,768" in told
    assert f"| {NOT_YET} |" in told
    assert "| trained on 2 k steps, stable on 30 k | not |" in told


@pytest.mark.parametrize(("dsn", "without_mixer"), [(0.1, 0.4), (0.5, 0.2)])
def test_a_verdict_follows_its_figures(dsn: float, without_mixer: float) -> None:
    script()
    from claims import Figures, claims

    headline = {"name": "accuracy", "better": "higher", "percent": True}
    shares = {"dsn": dsn, "lif-soft": 0.2, "prf": 0.3, "p-spikessm": 0.3}
    shares["mixer-left-out"] = without_mixer
    small = {}
    for name, share in shares.items():
        results = {"headline": headline, "test_accuracy": share, "firing_rate": share}
        small[name] = Group(name, "", [{"results": results}])
    cases = {c["name"]: c for c in json.loads(BENCHMARK.read_text())["cases"]}
    cases["dsn-psn"]["outcomes"][0]["value"] = 25.0
    told = claims(Figures({}, small, cases, []))
    fires, mixer = ("in part", "not") if dsn < 0.2 else ("not", "in part")
    assert f"| fires less than the usual neuron and than PSN | {fires} | DSN " in told
    assert f"| SpikeMixer and ClampFuse let networks grow | {mixer} |" in told
    assert "| in part | 25 x at 16,384 steps |" in told
