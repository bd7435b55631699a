"""What a run concludes from what it measured, and that nothing passes silently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from spikescan.bench import peers
from spikescan.bench.case import (
    OURS,
    CannotMeasure,
    Case,
    Contender,
    Goal,
    Make,
    Outputs,
    Shape,
    faster,
    within,
)
from spikescan.bench.cases import lif, prf
from spikescan.bench.clock import interleave
from spikescan.bench.results import CaseResult, Outcome, Results, exit_status, judge
from spikescan.bench.run import Settings, run_case, run_cases

TINY = Shape(96, 2, 8)
FULL, QUICK = Settings(quick=False, repeats=5), Settings(quick=True, repeats=2)


def goal(required: float, *, at_least: bool = True, stretch: float | None = None) -> Goal:
    return Goal("the number", lambda m: m["number"], ("number",), required, stretch, at_least)


def case(*goals: Goal, number: float = 3.0, contenders: tuple[Contender, ...] = ()) -> Case:
    return Case(
        "made-up",
        "a made-up case",
        TINY,
        TINY,
        lambda shape, runs: "fine",
        contenders,
        facts=lambda shape: {"number": number},
        goals=goals,
    )


@pytest.mark.parametrize(
    ("number", "required", "at_least", "verdict"),
    [
        (3.0, 3.0, True, "holds"),
        (2.9, 3.0, True, "falls short"),
        (3.0, 3.0, False, "holds"),
        (3.1, 3.0, False, "falls short"),
        (float("nan"), 3.0, True, "falls short"),
        (float("nan"), 3.0, False, "falls short"),
    ],
)
def test_a_goal_is_held_against_its_bound(
    number: float, required: float, at_least: bool, verdict: str
) -> None:
    outcome = judge(goal(required, at_least=at_least), {"number": number}, quick=False)
    assert outcome.verdict == verdict


def test_goals_name_the_fastest_peer_and_the_base() -> None:
    measured = {OURS: 2.0, "a": 30.0, "b": 20.0}
    assert judge(faster("a", "b", required=11), measured, quick=False).value == 10
    assert judge(within("b", required=0.1), measured, quick=False).value == 0.1
    stretched: Outcome = judge(faster("a", required=10, stretch=15), measured, quick=False)
    assert stretched.verdict == "holds"
    assert stretched.stretched


def test_a_case_is_as_bad_as_its_worst_goal() -> None:
    assert run_case(case(goal(2)), FULL).verdict == "holds"
    assert run_case(case(goal(2), goal(4)), FULL).verdict == "falls short"
    assert run_case(case(), FULL).verdict == "measured"


def test_a_quick_run_judges_nothing() -> None:
    result = run_case(case(goal(4)), QUICK)
    assert result.verdict == "not judged"
    assert result.outcomes[0].value == 3


def results(*verdicts: str) -> Results:
    cases = (CaseResult("a", "", TINY, verdict, "") for verdict in verdicts)  # type: ignore[arg-type]
    return Results({}, "", False, 5, tuple(cases))


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        (("holds", "measured"), 0),
        (("not judged",), 0),
        ((), 0),
        (("holds", "not measured"), 3),
        (("not measured", "falls short"), 1),
        (("holds", "wrong"), 1),
        (("failed", "holds"), 1),
    ],
)
def test_exit_status(verdicts: tuple[str, ...], status: int) -> None:
    assert exit_status(results(*verdicts)) == status


# Peers that are not there


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = peers.Peer("Absent", "a_package_that_is_not_there", 1, "pip install absent")
    monkeypatch.setitem(peers.PEERS, "absent", peer)


def nothing(shape: Shape) -> Callable[[], Outputs]:
    return lambda: ()


@pytest.mark.usefixtures("absent")
def test_a_missing_peer_is_told_and_never_passes() -> None:
    contenders = (Contender(OURS, nothing), Contender("theirs", nothing, peer="absent"))
    compared = case(faster("theirs", required=2), contenders=contenders)
    for settings in (FULL, QUICK):
        result = run_case(compared, settings)
        assert result.verdict == "not measured"
        assert result.missing == ("theirs: Absent is not installed: pip install absent",)
        assert [t.contender for t in result.timings] == [OURS]
    # A case that informs only says so too, and another goal that falls short outweighs it.
    assert run_case(case(contenders=contenders), FULL).verdict == "not measured"
    both = case(faster("theirs", required=2), goal(4), contenders=contenders)
    assert run_case(both, FULL).verdict == "falls short"


def test_a_peer_that_is_too_old_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(peers.PEERS, "old", peers.Peer("Torch", "torch", 99, "pip install -U"))
    assert "is too old: pip install -U" in str(peers.why_missing("old"))


def test_what_this_machine_cannot_measure_is_not_measured() -> None:
    def facts(shape: Shape) -> dict[str, float]:
        raise CannotMeasure("needs another system")

    result = run_case(replace(case(goal(2)), facts=facts), FULL)
    assert (result.verdict, result.said) == ("not measured", "needs another system")


def test_one_case_that_fails_does_not_take_the_others_with_it() -> None:
    def facts(shape: Shape) -> dict[str, float]:
        raise RuntimeError("out of luck")

    ran = run_cases([replace(case(goal(2)), facts=facts), case(goal(2))], FULL)
    assert [c.verdict for c in ran.cases] == ["failed", "holds"]
    assert ran.cases[0].said == "RuntimeError: out of luck"


# Wrong results


def spoiled(make: Make, spoil: Callable[[Outputs], Outputs]) -> Make:
    def made(shape: Shape) -> Callable[[], Outputs]:
        run = make(shape)
        return lambda: spoil(run())

    return made


def one_spike_more(outputs: Outputs) -> Outputs:
    spikes = outputs[0].clone()
    spikes.view(-1)[-1] = 1 - spikes.view(-1)[-1]
    return spikes, *outputs[1:]


def gradient_scaled(outputs: Outputs) -> Outputs:
    return outputs[0], outputs[1] * 1.01, *outputs[2:]


def gradient_lost(outputs: Outputs) -> Outputs:
    return outputs[0], torch.full_like(outputs[1], float("nan")), *outputs[2:]


def silent(outputs: Outputs) -> Outputs:
    return torch.zeros_like(outputs[0]), *outputs[1:]


def cut_short(outputs: Outputs) -> Outputs:
    return outputs[0][:, :-1], *outputs[1:]


@pytest.mark.parametrize("name", ["lif-floor", "prf-floor"])
def test_a_wrong_implementation_is_caught_before_it_is_timed(name: str) -> None:
    sound = next(c for c in (*lif.CASES, *prf.CASES) if c.name == name)
    sound = replace(sound, quick=TINY)
    assert run_case(sound, QUICK).verdict == "not judged"
    ours, *others = sound.contenders
    for spoil in (one_spike_more, gradient_scaled, gradient_lost, silent, cut_short):
        wrong = replace(sound, contenders=(replace(ours, make=spoiled(ours.make, spoil)), *others))
        result = run_case(wrong, QUICK)
        assert result.verdict == "wrong", spoil
        assert result.timings == (), spoil
        assert result.said
        assert exit_status(Results({}, "", True, 2, (result,))) == 1


# Timing


class Clock:
    """Stands still but while a function runs."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ran: list[str] = []

    def function(self, name: str, seconds: float) -> Callable[[], Outputs]:
        def run() -> Outputs:
            self.ran.append(name)
            self.now += seconds
            return ()

        return run

    def __call__(self) -> float:
        return self.now


def test_contenders_are_timed_in_turn() -> None:
    clock = Clock()
    runs = {"a": clock.function("a", 2.0), "b": clock.function("b", 1.5)}
    found = interleave(runs, {"a": 3, "b": 2}, clock=clock)
    # One call each to warm up, then rounds; the one with fewer repeats drops out at the end.
    assert "".join(clock.ran) == "ab" + "ab" + "ab" + "a"
    assert found["a"].seconds == (2.0, 2.0, 2.0)
    assert found["b"].seconds == (1.5, 1.5)


def test_fast_functions_are_called_often_enough_to_be_timed() -> None:
    clock = Clock()
    found = interleave({"quick": clock.function("quick", 0.001)}, {"quick": 2}, clock=clock)
    assert found["quick"].calls == 20
    assert found["quick"].seconds == pytest.approx((0.001, 0.001))


def test_what_another_left_cold_is_not_timed() -> None:
    clock = Clock()
    slow, fast = clock.function("slow", 0.1), clock.function("fast", 0.03)
    cold = {"left": 0}

    def run() -> Outputs:
        cold["left"] = max(0, cold["left"] - 1)
        clock.now += 0.02 * cold["left"]
        return fast()

    def other() -> Outputs:
        cold["left"] = 5
        return slow()

    found = interleave({"other": other, "ours": run}, {"other": 2, "ours": 2}, clock=clock)
    assert found["ours"].seconds == pytest.approx((0.03, 0.03))


def test_repeats_are_those_asked_for_and_no_more_than_a_contender_allows() -> None:
    contenders = (Contender(OURS, nothing), Contender("slow", nothing, at_most=2))
    result = run_case(case(goal(2), contenders=contenders), FULL)
    assert [len(t.seconds) for t in result.timings] == [5, 2]


def test_a_sweep_leaves_out_what_gets_slow_or_does_not_fit() -> None:
    import time

    def slow(shape: Shape) -> Callable[[], Outputs]:
        def run() -> Outputs:
            time.sleep(0.06)
            return ()

        return run

    contenders = (
        Contender(f"x: {OURS}", slow),
        Contender("x: slow", slow),
        Contender("x: large", nothing, most_steps=200),
        Contender("x: fine", nothing),
    )
    swept = replace(case(contenders=contenders), facts=None, sweep=(1, 4, 16))
    timings = run_case(swept, Settings(quick=True, repeats=1)).timings
    steps = {
        name: [t.shape.steps for t in timings if t.contender == f"x: {name}"]
        for name in (OURS, "slow", "large", "fine")
    }
    every = [96, 384, 1536]
    assert steps == {OURS: every, "slow": [96], "large": [96], "fine": every}
