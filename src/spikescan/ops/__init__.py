"""Pure functions on tensors and their kernels."""

from spikescan.ops import surrogate
from spikescan.ops.batch_norm import batch_norm
from spikescan.ops.bernoulli import bernoulli
from spikescan.ops.bernoulli_affine import bernoulli_affine
from spikescan.ops.dropout import dropout
from spikescan.ops.dsn import dsn, dsn_conv
from spikescan.ops.lif import lif
from spikescan.ops.linear_scan import linear_scan
from spikescan.ops.resonate import resonate
from spikescan.ops.spike import spike
from spikescan.ops.spike_linear import spike_linear
from spikescan.ops.ssm import ssm

__all__ = [
    "batch_norm",
    "bernoulli",
    "bernoulli_affine",
    "dropout",
    "dsn",
    "dsn_conv",
    "lif",
    "linear_scan",
    "resonate",
    "spike",
    "spike_linear",
    "ssm",
    "surrogate",
]
