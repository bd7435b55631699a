"""Trained networks run step by step: events against dense steps, and against the firing rate."""

from __future__ import annotations

import warnings
from functools import partial

import torch
from torch import Tensor, nn

from spikescan.bench.case import (
    OURS,
    Case,
    Contender,
    Goal,
    Outputs,
    Run,
    Runs,
    Shape,
    Wrong,
    faster,
)
from spikescan.bench.inputs import inputs
from spikescan.models import SDTCM, Classifier
from spikescan.neurons import PRF
from spikescan.stream import Program, Stream, fold

DEPTH = 4
USUAL = 0.1
"""Firing rate at which steps are judged."""
RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
EAGER, GRU, WHOLE = "eager step", "torch GRU step", "whole-sequence forward"
CHUNKS, INT8 = "one chunk", "int8"
DENSE, DENSE8 = "dense float32", "dense int8"
STREAMS = 16
TWO, ONE = "two threads", "one thread"
QUIET, QUIETEST = "input of 1e-30", 1e-30


def name(rate: float, kind: str = OURS) -> str:
    return f"{kind}, {rate:.0%} fire"


@torch.no_grad()
def network(shape: Shape, rate: float = USUAL) -> Classifier:
    """An SD-TCM network whose thresholds let this share of each layer's neurons fire."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        neuron = partial(PRF, theta_max=1.0)
        model = Classifier(
            partial(SDTCM, neuron=neuron), features=shape.features, depth=DEPTH
        ).eval()
    x: Tensor = model.backbone.encoder(sequences(shape))
    for block in model.backbone.blocks:
        assert isinstance(block, SDTCM)
        assert isinstance(block.temporal, PRF)
        membrane = block.temporal.trace(x).membrane
        assert membrane is not None
        block.temporal.threshold = _quantile(membrane, rate)
        x = block.norm_time(block.time_mixer(block.temporal(x)[0]), None, x)
        block.spatial.threshold = _quantile(x, rate)
        x = block.norm_channel(block.channel_mixer(block.spatial(x)[0]), None, x)
    return model


def _quantile(u: Tensor, rate: float) -> float:
    """What the largest values reach, this share of them: between two of them, not at a tie."""
    ordered = u.flatten().sort().values
    at = int((1 - rate) * (len(ordered) - 1))
    return float(ordered[at : at + 2].double().mean()) if at else float(ordered[0]) - 1


def sequences(shape: Shape) -> Tensor:
    """Inputs (B, T, 1)."""
    return inputs(shape)[0][..., :1].contiguous()


def program(shape: Shape, rate: float = USUAL, *, int8: bool = False) -> Program:
    folded = fold(network(shape, rate))
    return folded.quantize(sequences(shape)) if int8 else folded


def stepping(shape: Shape, *, int8: bool = False) -> Run:
    """A call for each step, as a sensor gives them."""
    stream, x = Stream(program(shape, int8=int8), shape.batch), sequences(shape)
    steps = list(x.split(1, 1))

    def run() -> Outputs:
        stream.reset()
        return (torch.cat([stream.push(step) for step in steps], 1),)

    return run


def chunk(shape: Shape, *, rate: float = USUAL, int8: bool = False) -> Run:
    """One call for all steps."""
    stream, x = Stream(program(shape, rate, int8=int8), shape.batch), sequences(shape)

    def run() -> Outputs:
        stream.reset()
        return (stream.push(x),)

    return run


def eager(shape: Shape) -> Run:
    model, steps = network(shape), list(sequences(shape).unbind(1))

    @torch.no_grad()
    def run() -> Outputs:
        state, out = None, []
        for x_t in steps:
            y, state = model.step(x_t, state)
            out.append(y)
        return (torch.stack(out, 1),)

    return run


def gru(shape: Shape) -> Run:
    """As many layers of the same width, and a readout."""
    width = shape.features
    model = nn.GRU(width, width, DEPTH, batch_first=True)
    readout, steps = nn.Linear(width, 10), list(torch.randn(shape.steps, shape.batch, 1, width))

    @torch.no_grad()
    def run() -> Outputs:
        h, out = torch.zeros(DEPTH, shape.batch, width), []
        for x_t in steps:
            y, h = model(x_t, h)
            out.append(readout(y[:, 0]))
        return (torch.stack(out, 1),)

    return run


def whole(shape: Shape) -> Run:
    """Spikes of the same rate, all steps at once, one output."""
    model, x = network(shape), sequences(shape)

    @torch.no_grad()
    def run() -> Outputs:
        return (model(x)[0],)

    return run


def dense(shape: Shape, *, int8: bool = False) -> Run:
    """The products of the same widths alone, each for all steps at once, by torch on one core."""
    width = shape.features
    layers: nn.Module = nn.Sequential(*(nn.Linear(width, width) for _ in range(2 * DEPTH)))
    if int8:
        with warnings.catch_warnings():
            # Torch is about to move it elsewhere.
            warnings.simplefilter("ignore")
            layers = torch.ao.quantization.quantize_dynamic(layers, {nn.Linear}, torch.qint8)
    x = torch.randn(shape.steps * shape.batch, width)

    @torch.no_grad()
    def run() -> Outputs:
        return (layers(x),)

    return on_threads(1, run)


def on_threads(threads: int, run: Run) -> Run:
    """The same on so many of torch's threads."""

    def limited() -> Outputs:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            return run()
        finally:
            torch.set_num_threads(before)

    return limited


def many(shape: Shape, threads: int) -> Run:
    """Independent streams in one object."""
    return on_threads(threads, chunk(shape))


def quiet(shape: Shape) -> Run:
    """Input that would leave subnormal membranes."""
    stream, x = Stream(program(shape), shape.batch), sequences(shape) * QUIETEST

    def run() -> Outputs:
        stream.reset()
        return (stream.push(x),)

    return run


def check(shape: Shape, runs: Runs) -> str:
    """Every way to run a program has the bits of plain torch; eager steps say the same."""
    plain = program(shape).run(sequences(shape))[0]
    for contender in (OURS, CHUNKS):
        if contender in runs and not torch.equal(runs[contender]()[0], plain):
            raise Wrong(f"{contender} has other bits than the program in plain torch")
    if INT8 in runs:
        eight = program(shape, int8=True).run(sequences(shape))[0]
        if not torch.equal(runs[INT8]()[0], eight):
            raise Wrong("int8 has other bits than its program in plain torch")
    error = float((runs[EAGER]()[0] - plain).abs().max() / plain.abs().max())
    said = f"bits of the program in plain torch; outputs within {error:.1e} of eager steps"
    if not error <= 1e-2:
        raise Wrong(said)
    return said


def rates(shape: Shape) -> dict[str, float]:
    """The share that fires, counted while the stream runs."""
    folded = program(shape)
    stream = Stream(folded, shape.batch)
    stream.push(sequences(shape))
    counts = stream.counts().values()
    possible = shape.steps * shape.batch * shape.features * len(counts)
    return {"firing rate": sum(int(c.fired.sum()) for c in counts) / possible}


def check_rates(shape: Shape, runs: Runs) -> str:
    """At the usual rate the bits of plain torch."""
    plain = program(shape).run(sequences(shape))[0]
    if not torch.equal(runs[name(USUAL)]()[0], plain):
        raise Wrong("a chunk has other bits than the program in plain torch")
    return "bits of the program in plain torch"


def check_threads(shape: Shape, runs: Runs) -> str:
    """Threads change no bit, and each stream is that of its own sequence."""
    x, folded = sequences(shape), program(shape)
    (two,), (one,) = runs[TWO](), runs[ONE]()
    alone = torch.stack([Stream(folded).push(row) for row in x])
    if not (torch.equal(two, one) and torch.equal(one, alone)):
        raise Wrong("streams in one object have other bits than streams of their own")
    return f"bits of {len(x)} streams of their own"


def check_quiet(shape: Shape, runs: Runs) -> str:
    """Bits of plain torch."""
    plain = program(shape).run(sequences(shape) * QUIETEST)[0]
    if not torch.equal(runs[QUIET]()[0], plain):
        raise Wrong("quiet input has other bits than the program in plain torch")
    return "bits of the program in plain torch"


CASES = (
    Case(
        "stream-step",
        f"steps of an SD-TCM network of {DEPTH} blocks, {USUAL:.0%} fire, one stream",
        Shape(512, 1, 256),
        Shape(64, 1, 64),
        check,
        (
            Contender(OURS, stepping, setting="a call for each step"),
            Contender(CHUNKS, chunk, setting="one call for all steps"),
            Contender(
                INT8, partial(stepping, int8=True), setting="weights of 8 bits, a call a step"
            ),
            Contender(EAGER, eager, setting="the module's step, no gradient", at_most=5),
            Contender(GRU, gru, setting=f"{DEPTH} layers of the same width", at_most=10),
            Contender(WHOLE, whole, setting="the module on all steps at once, no gradient"),
        ),
        facts=rates,
        goals=(
            faster(EAGER, required=60, stretch=150),
            faster(GRU, required=10),
            Goal(
                f"{CHUNKS} / {WHOLE}",
                lambda m: m[CHUNKS] / m[WHOLE],
                (CHUNKS, WHOLE),
                1.0,
                at_least=False,
            ),
        ),
    ),
    Case(
        "stream-rates",
        "one chunk against the firing rate, beside dense products of the same widths",
        Shape(512, 1, 256),
        Shape(64, 1, 64),
        check_rates,
        (
            *(Contender(name(r), partial(chunk, rate=r), setting="float32") for r in RATES),
            *(
                Contender(name(r, INT8), partial(chunk, rate=r, int8=True), setting="int8 weights")
                for r in RATES
            ),
            Contender(DENSE, dense, setting="products alone, by torch, all steps at once"),
            Contender(
                DENSE8,
                partial(dense, int8=True),
                setting="the same with weights of 8 bits and inputs rounded to 8",
            ),
        ),
        goals=(
            Goal(
                f"float32 / int8, {USUAL:.0%} fire",
                lambda m: m[name(USUAL)] / m[name(USUAL, INT8)],
                (name(USUAL), name(USUAL, INT8)),
                1.3,
            ),
        ),
    ),
    Case(
        "stream-threads",
        f"{STREAMS} independent streams in one object, {USUAL:.0%} fire",
        Shape(512, STREAMS, 256),
        Shape(64, STREAMS, 64),
        check_threads,
        (
            Contender(TWO, partial(many, threads=2), setting="one call for all steps"),
            Contender(ONE, partial(many, threads=1), setting="one call for all steps"),
        ),
        goals=(Goal(f"{ONE} / {TWO}", lambda m: m[ONE] / m[TWO], (ONE, TWO), 1.7),),
    ),
    Case(
        "stream-quiet",
        "input so quiet that membranes would become subnormal numbers",
        Shape(512, 1, 256),
        Shape(64, 1, 64),
        check_quiet,
        (
            Contender(QUIET, quiet, setting="one call for all steps"),
            Contender(CHUNKS, chunk, setting="the same with ordinary input"),
        ),
        goals=(
            Goal(
                f"{QUIET} / {CHUNKS}",
                lambda m: m[QUIET] / m[CHUNKS],
                (QUIET, CHUNKS),
                1.2,
                at_least=False,
            ),
        ),
    ),
)
