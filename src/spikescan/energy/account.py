"""What a network costs: counts of a layer, of all, and the estimates made of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from spikescan.energy.tables import TABLES, CostTable
from spikescan.neurons import Operations


@dataclass(frozen=True, kw_only=True)
class Activity:
    """How a layer of neurons fired."""

    rate: float
    """Share of steps with a spike."""
    mean_value: float
    """Mean of the spikes that are not zero."""
    silent: int
    """Channels that never fired."""
    saturated: int
    """Channels that fired in 99 % of their steps or more."""
    channel_rates: tuple[float, ...]
    """Share of steps with a spike of each channel."""
    over_time: tuple[float, ...]
    """Share of neurons that fired in each fiftieth of the longest sequence, or at each step."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What one part of a network did in all that was measured, in whole numbers."""

    name: str
    kind: str
    width: int
    parameters: int
    spiking: Operations
    """What it does."""
    dense: Operations
    """What it would do with real numbers in place of spikes."""
    multiplied: Operations | None
    """What it would do were a spike n multiplied with its weights, not added n times."""
    reads: int
    """Parameters read; of a product's weights the rows where spikes come."""
    dense_reads: int
    states: int
    """Numbers that a sequence carries from step to step."""
    dense_states: int
    activity: Activity | None = None
    """Of neurons."""


@dataclass(frozen=True)
class Joules:
    """An estimated energy, in joules a sequence."""

    computing: float
    memory: float = 0.0

    @property
    def total(self) -> float:
        return self.computing + self.memory


@dataclass(frozen=True)
class Estimate:
    """One row of the table: an account of the energy by its name."""

    name: str
    words: str
    table: str
    energy: Joules


@dataclass(frozen=True)
class BreakEven:
    """The firing rate at which a spiking network costs what the dense one of its widths does.

    All layers' rates are scaled alike. Below it the spiking one is cheaper; None where it is dearer
    at any rate, infinite where it is cheaper at any.
    """

    table: str
    computing: float | None
    with_memory: float | None

    @property
    def words(self) -> str:
        """What it says, in a line."""
        below, memory = _below(self.computing), _below(self.with_memory)
        return f"in {self.table} cheaper than the dense network {below}, with memory {memory}"


@dataclass(frozen=True, kw_only=True)
class Account:
    """What a network costs on the data it was measured on, and what others like it would.

    Args:
        layers: its parts in the order in which they are computed.
        sequences: number of sequences measured.
        steps: valid steps of all of them.
        table: what operations cost.
        blocks: width of each block, for what an S4 of the same shape would cost.
    """

    layers: tuple[Layer, ...]
    sequences: int
    steps: int
    table: CostTable
    blocks: tuple[int, ...] = ()

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def rate(self) -> float | None:
        """Mean firing rate of all channels; None without neurons."""
        found = [layer.activity for layer in self.layers if layer.activity is not None]
        rates = [rate for activity in found for rate in activity.channel_rates]
        return sum(rates) / len(rates) if rates else None

    @property
    def operations(self) -> Operations:
        """Of all layers, in all sequences."""
        return sum((layer.spiking for layer in self.layers), Operations())

    def energy(self, layer: Layer) -> Joules:
        """Energy of a layer, in joules a sequence."""
        return self._joules((layer,), self.table)

    def estimates(self) -> tuple[Estimate, ...]:
        """All accounts, in joules a sequence."""
        own, floats, ints = self.table, TABLES["45nm"], TABLES["int8"]
        rows = [
            Estimate("papers", "papers: spikes x fan-out x AC", own.name, self.papers()),
            Estimate("full", "full count", own.name, self.full),
        ]
        if any(layer.multiplied is not None for layer in self.layers):
            energy = self._joules(self.layers, own, multiplied=True)
            words = "full count, spikes multiplied"
            rows.append(Estimate("multiplied", words, own.name, energy))
        if own != ints:
            energy = self._joules(self.layers, ints)
            rows.append(Estimate("int8", "full count in int8", ints.name, energy))
        for name, table in (("dense_float32", floats), ("dense_int8", ints)):
            energy = self._joules(self.layers, table, dense=True)
            words = f"same widths, dense, {name.partition('_')[2]}"
            rows.append(Estimate(name, words, table.name, energy))
        if self.blocks:
            energy = Joules(floats.computing(self.s4()) / max(1, self.sequences))
            words = "S4 of this width and depth"
            rows.append(Estimate("s4", words, floats.name, energy))
        return tuple(rows)

    @property
    def full(self) -> Joules:
        """The full count, in joules a sequence."""
        return self._joules(self.layers, self.table)

    def papers(self) -> Joules:
        """Synaptic operations alone, as papers count them: an integer spike as one addition."""
        events = sum(_events(layer) for layer in self.layers)
        return Joules(1e-12 * self.table.ac * events / max(1, self.sequences))

    def s4(self) -> Operations:
        """What S4 would do in place of the blocks, see :func:`s4_operations`."""
        return sum((self.steps * s4_operations(width) for width in self.blocks), Operations())

    def break_even(self, table: CostTable | None = None) -> BreakEven:
        """The rate at which the dense network of the same widths, in the same table, costs as much.

        Args:
            table: what operations cost; by default that of the account.
        """
        table = table or self.table
        spiking, dense = (self._joules(self.layers, table, dense=d) for d in (False, True))
        # What grows with the rate: the additions that spikes drive, and the weights they read.
        driven = [layer for layer in self.layers if layer.kind == "Synapse"]
        size = _size(self.layers, table, dense=False)
        each = 1 / max(1, self.sequences)
        growing = each * sum(table.computing(layer.spiking) for layer in driven)
        read = each * table.weight_bytes * sum(layer.reads for layer in driven)
        fetched = read * table.per_byte(size)
        rate = self.rate
        return BreakEven(
            table.name,
            _meeting(rate, spiking.computing, growing, dense.computing),
            _meeting(rate, spiking.total, growing + fetched, dense.total),
        )

    def break_evens(self) -> tuple[BreakEven, ...]:
        """Those of the account's own table and of int8."""
        return tuple(self.break_even(t) for t in dict.fromkeys((self.table, TABLES["int8"])))

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        return {
            "table": self.table.name,
            "sequences": self.sequences,
            "steps": self.steps,
            "parameters": self.parameters,
            "firing_rate": self.rate,
            "unit": "joules a sequence",
            "estimates": {
                row.name: {
                    "words": row.words,
                    "table": row.table,
                    "computing": row.energy.computing,
                    "memory": row.energy.memory,
                    "total": row.energy.total,
                }
                for row in self.estimates()
            },
            "break_even": [asdict(met) for met in self.break_evens()],
            "layers": [
                {**asdict(layer), "energy": asdict(self.energy(layer))} for layer in self.layers
            ],
        }

    def rows(self) -> list[dict[str, Any]]:
        """A row for each layer, for CSV: counts in all sequences, energies in joules a sequence."""
        names = [field.name for field in fields(Operations)]
        rows: list[dict[str, Any]] = []
        for layer in self.layers:
            energy, activity = self.energy(layer), layer.activity
            rows.append(
                {
                    "name": layer.name,
                    "kind": layer.kind,
                    "width": layer.width,
                    "parameters": layer.parameters,
                    "states": layer.states,
                    "firing_rate": None if activity is None else activity.rate,
                    "mean_value": None if activity is None else activity.mean_value,
                    "silent": None if activity is None else activity.silent,
                    "saturated": None if activity is None else activity.saturated,
                    **{name: getattr(layer.spiking, name) for name in names},
                    "reads": layer.reads,
                    "computing": energy.computing,
                    "memory": energy.memory,
                    **{f"dense_{name}": getattr(layer.dense, name) for name in names},
                    "dense_reads": layer.dense_reads,
                }
            )
        return rows

    def _joules(
        self,
        layers: tuple[Layer, ...],
        table: CostTable,
        *,
        dense: bool = False,
        multiplied: bool = False,
    ) -> Joules:
        each = 1 / max(1, self.sequences)
        computing, moved = 0.0, 0
        for layer in layers:
            done = layer.dense if dense else layer.spiking
            if multiplied and layer.multiplied is not None:
                done = layer.multiplied
            computing += table.computing(done)
            reads, states = (
                (layer.dense_reads, layer.dense_states) if dense else (layer.reads, layer.states)
            )
            # A step reads a state and writes it.
            moved += reads * table.weight_bytes + 2 * states * self.steps * table.state_bytes
        size = _size(self.layers, table, dense=dense)
        return Joules(each * computing, each * moved * table.per_byte(size))


def s4_operations(width: int) -> Operations:
    r"""What one layer of S4 does in one step by the PRF paper's figures.

    .. math:: 2 D^2 + 256 D + 24{,}759 \text{ multiply-adds}

    This is our reading of the figures: with the depths and widths of the original S4 networks it
    gives all five of the paper's Table 3 to 0.1 %. :math:`2 D^2` is S4's gated Linear and
    :math:`256 D + 8{,}192` are two directions of :math:`H^2 + 2 D H` for H = 64 states; where the
    rest comes from the paper's summary does not say.

    Args:
        width: width D of the stream.

    Source: Huang et al. 2024 (arXiv 2410.03530), Tables 3 and 7.
    """
    return Operations(macs=2 * width**2 + 256 * width + 24_759)


def _events(layer: Layer) -> int:
    if layer.kind != "Synapse":
        return 0
    if layer.multiplied is not None:
        return layer.multiplied.macs
    return layer.spiking.acs + layer.spiking.macs


def _size(layers: tuple[Layer, ...], table: CostTable, *, dense: bool) -> int:
    """Bytes of all parameters and states."""
    parameters = sum(layer.parameters for layer in layers)
    states = sum(layer.dense_states if dense else layer.states for layer in layers)
    return parameters * table.weight_bytes + states * table.state_bytes


def _meeting(rate: float | None, spiking: float, growing: float, dense: float) -> float | None:
    """The rate at which ``spiking``, of which ``growing`` is in proportion to it, is ``dense``."""
    room = dense - (spiking - growing)
    if rate is None or room <= 0:
        return None
    return rate * room / growing if growing else float("inf")


def _below(rate: float | None) -> str:
    if rate is None:
        return "at no firing rate"
    return "at any firing rate" if rate >= 1 else f"below a firing rate of {rate:.1%}"
