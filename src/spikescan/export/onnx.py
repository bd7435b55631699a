"""A program as an ONNX graph of one step, with the state in and out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from spikescan.errors import optional
from spikescan.export.nir import CannotExport
from spikescan.models.walk import INPUT
from spikescan.stream.program import Program, checked
from spikescan.stream.records import (
    ALIF,
    DSN,
    LIF,
    PRF,
    SMALL,
    Affine,
    Dense,
    Diagonal,
    Draw,
    Gelu,
    Lookup,
    LowRank,
    Mean,
    Record,
    Residual,
    Spatial,
    Synapse,
    Synapse8,
)

if TYPE_CHECKING:
    import onnx

OPSET, IR = 17, 8
"""Of 2022: whatever reads ONNX today reads these."""
_BYTE_LEVELS = 128
"""Two bytes of 127 times so many still add up in the 16 bits of some processors' products."""


@dataclass(frozen=True)
class StepGraph:
    """What :func:`to_onnx` wrote."""

    model: onnx.ModelProto
    state: dict[str, tuple[int, ...]]
    """Shape of each state input for one stream; a step gives its next value as ``NAME.next``."""


def onnx_refusals(program: Program) -> list[str]:
    """What an ONNX step cannot express of a program, a line for each record.

    Args:
        program: what :func:`spikescan.fold` made.
    """
    return [
        f"{record.name}: ONNX has no random numbers that belong to a key; evaluation='mean' passes "
        "on their probabilities"
        for record in checked(program)
        if isinstance(record, Draw) and record.evaluation == "sample"
    ]


def to_onnx(program: Program, file: str | Path) -> StepGraph:
    """Write one step of a program, which takes the state and gives the next.

    Inputs are ``x``, (S, inputs) float32 or tokens (S,) int64 of S streams, and the state: by
    ``RECORD.state`` (S, rows, D) float32, and ``clock`` (S, 1) float32, the steps so far, where a
    mean over them is read. All zero is rest. Outputs are ``y`` (S, outputs), and the next value of
    each state by its name and ``.next``. Spikes are the program's but where a membrane is at its
    threshold but for rounding: the sums of matrix products run in an order of the reader's own.

    Args:
        program: what :func:`spikescan.fold` made, in float32 or quantised.
        file: where the model goes.

    Returns:
        The model, and the shapes of its state.

    Raises:
        CannotExport: records that draw random numbers, all of which are listed.
        MissingPackage: the package onnx is not installed.
    """
    optional("onnx", "onnx", "writing ONNX")
    refused = onnx_refusals(program)
    if refused:
        raise CannotExport("; ".join(refused))
    made = _Graph(program).made()
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_bytes(made.model.SerializeToString())
    return made


class _Graph:
    """Nodes and constants, while they are made; a value has the name of the record it is of."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray[Any, Any]] = {}
        self.state: dict[str, tuple[int, ...]] = {}
        self.scope = ""
        self.zero, self.one = self.number(0.0), self.number(1.0)
        self.clock: str | None = None

    def made(self) -> StepGraph:
        from onnx import TensorProto, checker, helper, numpy_helper

        program = self.program
        for record in program:
            self.scope = record.name
            _WRITERS[type(record)](self, record, [_value(name) for name in record.inputs])
        self.op("Identity", program.records[-1].name, name="y")
        tokens = program.vocabulary is not None
        real, streams = TensorProto.FLOAT, "streams"

        def info(name: str, shape: tuple[int, ...], kind: int = real) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, kind, [streams, *shape])

        x = info("x", (), TensorProto.INT64) if tokens else info("x", (program.inputs,))
        graph = helper.make_graph(
            self.nodes,
            "step",
            [x, *(info(name, shape) for name, shape in self.state.items())],
            [
                info("y", (program.outputs,)),
                *(info(f"{name}.next", shape) for name, shape in self.state.items()),
            ],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        model = helper.make_model(
            graph, producer_name="spikescan", opset_imports=[helper.make_opsetid("", OPSET)]
        )
        model.ir_version = IR
        checker.check_model(model)
        return StepGraph(model, self.state)

    def op(self, kind: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """The value of a node, which has this name or one of its own."""
        from onnx import helper

        name = f"{self.scope}/{len(self.nodes)}" if name is None else name
        self.nodes.append(helper.make_node(kind, [*inputs], [name], name=name, **attributes))
        return name

    def constant(self, value: np.ndarray[Any, Any], name: str) -> str:
        name = f"{self.scope}.{name}"
        self.constants[name] = value
        return name

    def tensor(self, value: Tensor, name: str) -> str:
        return self.constant(value.contiguous().numpy(), name)

    def number(self, value: float) -> str:
        name = f"number {value!r}"
        self.constants[name] = np.array(value, np.float32)
        return name

    def axes(self, *axes: int) -> str:
        name = f"axes {axes}"
        self.constants[name] = np.array(axes, np.int64)
        return name

    def add(self, a: str, b: str) -> str:
        return self.op("Add", a, b)

    def mul(self, a: str, b: str) -> str:
        return self.op("Mul", a, b)

    def sub(self, a: str, b: str) -> str:
        return self.op("Sub", a, b)

    def fires(self, u: str, threshold: str, name: str | None = None) -> str:
        """1 where a membrane is at its threshold or above."""
        return self.op("Cast", self.op("GreaterOrEqual", u, threshold), name=name, to=1)

    def flushed(self, x: str) -> str:
        tiny = self.op("Less", self.op("Abs", x), self.number(SMALL))
        return self.op("Where", tiny, self.zero, x)

    def rows(self, record: Record) -> list[str]:
        """The rows of a record's state, (S, D) each."""
        shape = (record.state_rows, record.width)
        name = f"{record.name}.state"
        self.state[name] = shape
        return [
            self.op("Gather", name, self.constant(np.array(i), f"row{i}"), axis=1)
            for i in range(record.state_rows)
        ]

    def keep(self, record: Record, rows: list[str]) -> None:
        """The rows of the next state."""
        apart = [self.op("Unsqueeze", row, self.axes(1)) for row in rows]
        self.op("Concat", *apart, name=f"{record.name}.state.next", axis=1)

    def modes(self, record: Diagonal | LowRank) -> tuple[str, str]:
        """The real and the imaginary parts of complex states, (S, M, D) each."""
        count, name = record.state_rows // 2, f"{record.name}.state"
        self.state[name] = (record.state_rows, record.width)
        shape = self.constant(np.array([-1, count, 2, record.width]), "modes")
        apart = self.op("Reshape", name, shape)
        real, imaginary = (
            self.op("Gather", apart, self.constant(np.array(i), f"part{i}"), axis=2)
            for i in range(2)
        )
        return real, imaginary

    def keep_modes(self, record: Record, real: str, imaginary: str) -> None:
        apart = [self.op("Unsqueeze", part, self.axes(2)) for part in (real, imaginary)]
        shape = self.constant(np.array([-1, record.state_rows, record.width]), "rows")
        together = self.op("Concat", *apart, axis=2)
        self.op("Reshape", together, shape, name=f"{record.name}.state.next")

    def parts(self, value: Tensor, name: str) -> tuple[str, str]:
        """The two parts of complex numbers (M, 2, D)."""
        return self.tensor(value[:, 0], f"{name}.real"), self.tensor(value[:, 1], f"{name}.imag")

    def over_modes(self, a: tuple[str, str], real: str, imaginary: str) -> str:
        """Sum over the modes of a_0 real + a_1 imaginary."""
        each = self.add(self.mul(a[0], real), self.mul(a[1], imaginary))
        return self.op("ReduceSum", each, self.axes(1), keepdims=0)


def _value(name: str) -> str:
    return "x" if name == INPUT else name


def _product(g: _Graph, record: Dense | Synapse, given: list[str]) -> None:
    weight, bias = g.tensor(record.weight, "weight"), g.tensor(record.bias, "bias")
    g.op("Gemm", given[0], weight, bias, name=record.name, transB=1)


def _synapse8(g: _Graph, record: Synapse8, given: list[str]) -> None:
    from onnx import TensorProto

    weight = g.tensor(record.weight.T, "weight")
    if record.levels <= _BYTE_LEVELS:
        whole = g.op("Cast", given[0], to=TensorProto.UINT8)
        sums = g.op("MatMulInteger", whole, weight)
    else:
        wide = g.op("Cast", weight, to=TensorProto.INT32)
        sums = g.op("MatMul", g.op("Cast", given[0], to=TensorProto.INT32), wide)
    scaled = g.mul(g.op("Cast", sums, to=TensorProto.FLOAT), g.tensor(record.scale, "scale"))
    g.op("Add", scaled, g.tensor(record.bias, "bias"), name=record.name)


def _lookup(g: _Graph, record: Lookup, given: list[str]) -> None:
    g.op("Gather", g.tensor(record.table, "table"), given[0], name=record.name)


def _affine(g: _Graph, record: Affine, given: list[str]) -> None:
    scaled = g.mul(given[0], g.tensor(record.gain, "gain"))
    g.op("Add", scaled, g.tensor(record.bias, "bias"), name=record.name)


def _residual(g: _Graph, record: Residual, given: list[str]) -> None:
    total, *others, last = given
    for other in others:
        total = g.add(total, other)
    g.op("Add", total, last, name=record.name)


def _gelu(g: _Graph, record: Gelu, given: list[str]) -> None:
    (x,) = given
    tail = g.op("Erf", g.mul(x, g.number(0.5**0.5)))
    g.op("Mul", x, g.mul(g.number(0.5), g.add(g.one, tail)), name=record.name)


def _mean(g: _Graph, record: Mean, given: list[str]) -> None:
    (x,), (total, error) = given, g.rows(record)
    if g.clock is None:
        g.state["clock"] = (1,)
        g.clock = g.op("Add", "clock", g.one, name="clock.next")
    now = g.add(total, x)
    back = g.sub(now, total)
    lost = g.add(g.sub(total, g.sub(now, back)), g.sub(x, back))
    error = g.add(error, lost)
    g.keep(record, [now, error])
    g.op("Div", g.add(now, error), g.clock, name=record.name)


def _spatial(g: _Graph, record: Spatial, given: list[str]) -> None:
    g.fires(given[0], g.tensor(record.threshold, "threshold"), record.name)


def _lif(g: _Graph, record: LIF, given: list[str]) -> None:
    (v,) = g.rows(record)
    threshold = g.tensor(record.threshold, "threshold")
    u = g.add(g.mul(g.tensor(record.beta, "beta"), v), given[0])
    fired = g.op("GreaterOrEqual", u, threshold)
    g.op("Cast", fired, name=record.name, to=1)
    if record.reset == "soft":
        u = g.op("Where", fired, g.sub(u, threshold), u)
    elif record.reset == "hard":
        u = g.op("Where", fired, g.tensor(record.v_reset, "v_reset"), u)
    g.keep(record, [g.flushed(u)])


def _prf(g: _Graph, record: PRF, given: list[str]) -> None:
    u, r = g.rows(record)
    p, q = g.tensor(record.p, "p"), g.tensor(record.q, "q")
    now = g.add(g.sub(g.mul(p, u), g.mul(q, r)), given[0])
    after = g.add(g.mul(q, u), g.mul(p, r))
    g.fires(now, g.tensor(record.threshold, "threshold"), record.name)
    g.keep(record, [g.flushed(now), g.flushed(after)])


def _alif(g: _Graph, record: ALIF, given: list[str]) -> None:
    v, a = g.rows(record)
    u = g.add(g.mul(g.tensor(record.beta, "beta"), v), given[0])
    raised = g.mul(g.tensor(record.strength, "strength"), a)
    theta = g.add(g.tensor(record.threshold, "threshold"), raised)
    spikes = g.fires(u, theta, record.name)
    after = g.op("Where", g.op("GreaterOrEqual", u, theta), g.sub(u, theta), u)
    a = g.add(g.mul(g.tensor(record.rho, "rho"), a), spikes)
    g.keep(record, [g.flushed(after), g.flushed(a)])


def _dsn(g: _Graph, record: DSN, given: list[str]) -> None:
    (x,), (h, *past) = given, g.rows(record)
    c = g.tensor(record.bias, "bias")
    for i, value in enumerate((*past, x)):
        c = g.add(c, g.mul(g.tensor(record.taps[i], f"tap{i}"), value))
    # The sigmoid's power, by its logarithm: nothing overflows.
    power = g.tensor(-record.power, "power")
    alpha = g.op("Exp", g.mul(power, g.op("Softplus", g.op("Neg", c))))
    h = g.flushed(g.add(g.mul(alpha, h), g.mul(g.sub(g.one, alpha), x)))
    steps = [g.fires(h, g.number(n + 0.5)) for n in range(record.levels)]
    g.op("Sum", *steps, name=record.name)
    g.keep(record, [h, *past[1:], g.flushed(x)] if past else [h])


def _diagonal(g: _Graph, record: Diagonal, given: list[str]) -> None:
    (x,), (u, w) = given, g.modes(record)
    (a, b), c = g.parts(record.a, "a"), g.parts(record.c, "c")
    drive = g.op("Unsqueeze", x, g.axes(1))
    real = g.flushed(g.add(g.sub(g.mul(a, u), g.mul(b, w)), drive))
    imaginary = g.flushed(g.add(g.mul(a, w), g.mul(b, u)))
    passed = g.mul(g.tensor(record.skip, "skip"), x)
    g.op("Add", passed, g.over_modes(c, real, imaginary), name=record.name)
    g.keep_modes(record, real, imaginary)


def _low_rank(g: _Graph, record: LowRank, given: list[str]) -> None:
    (x,), (h, k) = given, g.modes(record)
    d, b, p, e, c = (g.parts(getattr(record, name), name) for name in "dbpec")
    two, drive = g.number(2.0), g.op("Unsqueeze", x, g.axes(1))
    u, w = (g.add(g.mul(two, at), g.mul(b[i], drive)) for i, at in enumerate((h, k)))
    real, imaginary = (
        g.sub(g.mul(d[0], u), g.mul(d[1], w)),
        g.add(g.mul(d[0], w), g.mul(d[1], u)),
    )
    q = g.op("Unsqueeze", g.over_modes(p, real, imaginary), g.axes(1))
    real = g.flushed(g.sub(g.sub(real, g.mul(e[0], q)), h))
    imaginary = g.flushed(g.sub(g.sub(imaginary, g.mul(e[1], q)), k))
    passed = g.mul(g.tensor(record.skip, "skip"), x)
    g.op("Add", passed, g.over_modes(c, real, imaginary), name=record.name)
    g.keep_modes(record, real, imaginary)


def _draw(g: _Graph, record: Draw, given: list[str]) -> None:
    g.op("Clip", given[0], g.zero, g.one, name=record.name)


_WRITERS: dict[type[Record], Callable[[_Graph, Any, list[str]], None]] = {
    Dense: _product,
    Lookup: _lookup,
    Synapse: _product,
    Synapse8: _synapse8,
    Affine: _affine,
    Residual: _residual,
    Gelu: _gelu,
    Mean: _mean,
    Spatial: _spatial,
    LIF: _lif,
    PRF: _prf,
    ALIF: _alif,
    DSN: _dsn,
    Diagonal: _diagonal,
    LowRank: _low_rank,
    Draw: _draw,
}
