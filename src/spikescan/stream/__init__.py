"""From a trained network to a running one: fold, run step by step, quantise."""

from spikescan.stream.fold import CannotFold, fold
from spikescan.stream.program import Program
from spikescan.stream.records import ProgramState
from spikescan.stream.stream import Counts, Stream

__all__ = ["CannotFold", "Counts", "Program", "ProgramState", "Stream", "fold"]
