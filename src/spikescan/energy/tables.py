"""What one operation costs: named tables, and those of one's own."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from spikescan.errors import UsageError
from spikescan.neurons import Operations


@dataclass(frozen=True, kw_only=True)
class CostTable:
    """Energies of operations in picojoules, and of memory in picojoules a byte.

    Args:
        name: shown beside every estimate.
        mac: a multiply-add in a sum of products.
        ac: an addition of a weight that a spike drives.
        multiplication: a multiplication outside of sums of products.
        addition: an addition outside of them.
        comparison: a comparison with a threshold.
        function: an exponential, a sigmoid, a division, a root, ...
        random: a random number.
        weight_bytes: bytes of a parameter.
        state_bytes: bytes of a number that is carried from step to step.
        memory: (bytes, picojoules a byte) by size, rising: a network lives in the smallest memory
            that holds its parameters and its state. The last size may be infinite.

    Raises:
        ValueError: an energy is negative or not finite, or the memories do not rise.
    """

    name: str
    mac: float
    ac: float
    multiplication: float
    addition: float
    comparison: float
    function: float
    random: float
    weight_bytes: int
    state_bytes: int
    memory: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and not 0 <= value < math.inf:
                raise ValueError(f"{field.name} must be finite and not negative, got {value}")
        sizes = [size for size, _ in self.memory]
        if not sizes or sizes != sorted(sizes) or min(sizes) <= 0:
            raise ValueError(f"memory must list positive sizes that rise, got {self.memory}")
        for _, price in self.memory:
            if not 0 <= price < math.inf:
                raise ValueError(f"memory must cost a finite energy, got {self.memory}")

    def computing(self, done: Operations) -> float:
        """Energy of operations, in joules.

        >>> f"{TABLES['45nm'].computing(Operations(macs=128)):.4g}"
        '5.888e-10'
        """
        picojoules = (
            done.macs * self.mac
            + done.acs * self.ac
            + done.multiplications * self.multiplication
            + done.additions * self.addition
            + done.comparisons * self.comparison
            + done.functions * self.function
            + done.random * self.random
        )
        return 1e-12 * picojoules

    def per_byte(self, size: float) -> float:
        """Energy of a byte from or to a memory of ``size`` bytes, in joules.

        Raises:
            ValueError: the table has no memory of that size.
        """
        for largest, picojoules in self.memory:
            if size <= largest:
                return 1e-12 * picojoules
        raise ValueError(f"table {self.name} has no memory that holds {size:,.0f} bytes")


# Horowitz 2014 (ISSCC, "Computing's energy problem"), 45 nm at 0.9 V. Its caches cost 10, 20 and
# 100 pJ for 64 bits of 8 KiB, 32 KiB and 1 MiB, its DRAM 1.3 to 2.6 nJ: the lower one is taken.
_MEMORY = ((8 * 1024, 1.25), (32 * 1024, 2.5), (1024 * 1024, 12.5), (math.inf, 162.5))

# Not in it, and ours: a comparison is a subtraction; a function is a polynomial of 8 multiply-adds;
# a random number is a hash of 3 multiplications and 9 additions of 32-bit integers.
_RANDOM = 3 * 3.1 + 9 * 0.1

TABLES = {
    table.name: table
    for table in (
        CostTable(
            name="45nm",
            mac=4.6,
            ac=0.9,
            multiplication=3.7,
            addition=0.9,
            comparison=0.9,
            function=8 * 4.6,
            random=_RANDOM,
            weight_bytes=4,
            state_bytes=4,
            memory=_MEMORY,
        ),
        CostTable(
            name="float16",
            mac=1.5,
            ac=0.4,
            multiplication=1.1,
            addition=0.4,
            comparison=0.4,
            function=8 * 1.5,
            random=_RANDOM,
            weight_bytes=2,
            state_bytes=2,
            memory=_MEMORY,
        ),
        # 8-bit products into 32-bit sums; neurons compute in 32-bit integers.
        CostTable(
            name="int8",
            mac=0.2 + 0.1,
            ac=0.1,
            multiplication=3.1,
            addition=0.1,
            comparison=0.1,
            function=8 * 3.2,
            random=_RANDOM,
            weight_bytes=1,
            state_bytes=4,
            memory=_MEMORY,
        ),
        # As papers of the field have it, with sums of 8 bits, in which few networks would count.
        CostTable(
            name="int8-papers",
            mac=0.23,
            ac=0.03,
            multiplication=0.2,
            addition=0.03,
            comparison=0.03,
            function=8 * 0.23,
            random=_RANDOM,
            weight_bytes=1,
            state_bytes=1,
            memory=_MEMORY,
        ),
    )
}
"""Cost tables by name: "45nm" (float32), "float16", "int8" and "int8-papers"."""


def find_table(name: str) -> CostTable:
    """The table of that name, or the one in a YAML file with the fields of :class:`CostTable`.

    Raises:
        UsageError: there is none, or the file does not hold one.
    """
    if name in TABLES:
        return TABLES[name]
    path = Path(name)
    if not name.endswith((".yaml", ".yml", ".json")):
        known = ", ".join(TABLES)
        raise UsageError(f"unknown cost table {name!r}; the tables are {known}, or a .yaml file")
    if not path.is_file():
        raise UsageError(f"no cost table {name}")
    try:
        told: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        told["memory"] = tuple((float(size), float(price)) for size, price in told["memory"])
        return CostTable(**{"name": path.stem, **told})
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as error:
        wanted = ", ".join(field.name for field in fields(CostTable))
        raise UsageError(f"{name} is not a cost table ({error}); it needs {wanted}") from error
