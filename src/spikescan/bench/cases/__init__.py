"""All cases of the suite, in the order in which they run."""

from spikescan.bench.case import Case
from spikescan.bench.cases import (
    calls,
    dropout,
    dsn,
    exact,
    gpu,
    growth,
    lif,
    memory,
    network,
    prf,
    product,
    stream,
    sweep,
    training,
)

CASES: tuple[Case, ...] = (
    *lif.CASES,
    *prf.CASES,
    *dsn.CASES,
    *growth.CASES,
    *memory.CASES,
    *exact.CASES,
    *calls.CASES,
    *product.CASES,
    *dropout.CASES,
    *network.CASES,
    *training.CASES,
    *stream.CASES,
    *sweep.CASES,
    *gpu.CASES,
)
