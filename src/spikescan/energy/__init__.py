"""What a network costs: operations counted where it really runs, and energies estimated of them."""

from .account import Account, Activity, BreakEven, Estimate, Joules, Layer, s4_operations
from .measure import account_of, assume, measure
from .meter import Meter
from .tables import TABLES, CostTable, find_table

__all__ = [
    "TABLES",
    "Account",
    "Activity",
    "BreakEven",
    "CostTable",
    "Estimate",
    "Joules",
    "Layer",
    "Meter",
    "account_of",
    "assume",
    "find_table",
    "measure",
    "s4_operations",
]
