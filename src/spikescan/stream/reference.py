"""What each record computes, in plain torch: the oracle of the compiled steps and of exports.

Every product and every sum is an operation of its own, rounded to float32 once, in the order that
the C source ``ops/event/step.inc.h`` has as well. Both have the same exponential.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikescan.models.walk import INPUT
from spikescan.ops.bernoulli import bernoulli
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
    ProgramState,
    Record,
    Residual,
    Spatial,
    Synapse,
    Synapse8,
)

_NONE = torch.empty(0)


def compute(record: Record, xs: list[Tensor], state: ProgramState) -> tuple[Tensor, Tensor]:
    """Value (B, T, D) of a record, and its state (B, rows, D) after the last step.

    Raises:
        TypeError: the record is of no known kind.
    """
    x = xs[0]
    if INPUT in record.inputs and x.is_floating_point():
        x = flush(x)
    match record:
        case Lookup():
            return record.table[x], _NONE
        case Dense() | Synapse():
            return products(x, record.weight, record.bias), _NONE
        case Synapse8():
            # Whole numbers, exact in int32, or in float64 for torch's products.
            sums = (x.double() @ record.weight.double().T).float()
            return record.scale * sums + record.bias, _NONE
        case Affine():
            return record.gain * x + record.bias, _NONE
        case Residual():
            for other in xs[1:]:
                x = x + other
            return x, _NONE
        case Gelu():
            return gelu(x), _NONE
        case Spatial():
            return (x >= record.threshold).float(), _NONE
        case Draw(evaluation="mean"):
            return x.clamp(0, 1), _NONE
        case Draw():
            key = state.keys[:, record.key].contiguous()
            return bernoulli(x.contiguous(), key, state.clock, impl="reference"), _NONE
        case Mean():
            return _mean(x, state.rows[record.name], state.clock)
        case LIF():
            return _lif(record, x, state.rows[record.name])
        case PRF():
            return _prf(record, x, state.rows[record.name])
        case ALIF():
            return _alif(record, x, state.rows[record.name])
        case DSN():
            return _dsn(record, x, state.rows[record.name])
        case Diagonal():
            return _diagonal(record, x, state.rows[record.name])
        case LowRank():
            return _low_rank(record, x, state.rows[record.name])
    raise TypeError(f"a program has no records of type {type(record).__name__}")


def flush(x: Tensor) -> Tensor:
    """Zero where a number is smaller than :data:`~spikescan.stream.records.SMALL`."""
    return torch.where((x < SMALL) & (x > -SMALL), 0, x)


def products(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """b + x_0 W_0 + x_1 W_1 + ..., each product and each sum rounded; a zero adds nothing."""
    sums = bias.expand(*x.shape[:-1], len(bias)).contiguous()
    for column, row in zip(x.unbind(-1), weight.T.contiguous(), strict=True):
        sums += column.unsqueeze(-1) * row
    return sums


def _mean(x: Tensor, state: Tensor, clock: Tensor) -> tuple[Tensor, Tensor]:
    total, error = state.unbind(1)
    out = torch.empty_like(x)
    for t, x_t in enumerate(x.unbind(1)):
        # The rounding error of a sum, exactly (Knuth 1969).
        now = total + x_t
        back = now - total
        error = error + ((total - (now - back)) + (x_t - back))
        total = now
        out[:, t] = (total + error) / (clock + t + 1).float().unsqueeze(-1)
    return out, torch.stack((total, error), 1)


def _lif(record: LIF, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    (v,) = state.unbind(1)
    out = torch.empty_like(x)
    for t, x_t in enumerate(x.unbind(1)):
        u = record.beta * v + x_t
        fired = u >= record.threshold
        if record.reset == "soft":
            u = torch.where(fired, u - record.threshold, u)
        elif record.reset == "hard":
            u = torch.where(fired, record.v_reset, u)
        v = flush(u)
        out[:, t] = fired
    return out, v.unsqueeze(1)


def _prf(record: PRF, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    u, r = state.unbind(1)
    out = torch.empty_like(x)
    for t, x_t in enumerate(x.unbind(1)):
        now = (record.p * u - record.q * r) + x_t
        u, r = flush(now), flush(record.q * u + record.p * r)
        out[:, t] = now >= record.threshold
    return out, torch.stack((u, r), 1)


def _alif(record: ALIF, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    v, a = state.unbind(1)
    out = torch.empty_like(x)
    for t, x_t in enumerate(x.unbind(1)):
        u = record.beta * v + x_t
        theta = record.threshold + record.strength * a
        fired = u >= theta
        v = flush(torch.where(fired, u - theta, u))
        a = flush(record.rho * a + fired)
        out[:, t] = fired
    return out, torch.stack((v, a), 1)


def _dsn(record: DSN, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    h, *past = state.unbind(1)
    out = torch.empty_like(x)
    one, whole = torch.ones(()), whole_power(record)
    for t, x_t in enumerate(x.unbind(1)):
        seen = [*past, x_t]
        c = record.bias
        for tap, value in zip(record.taps, seen, strict=True):
            c = c + tap * value
        # From the exponential of what is not positive.
        e = exp(torch.where(c < 0, c, -c))
        if whole:
            alpha = power(torch.where(c < 0, e, one) / (1 + e), whole)
        else:
            alpha = exp(-(record.power * (torch.where(c < 0, -c, 0) + log1p(e))))
        h = flush(alpha * h + (1 - alpha) * x_t)
        out[:, t] = sum((h >= n + 0.5).float() for n in range(record.levels))
        past = [flush(value) for value in seen[1:]]
    return out, torch.stack((h, *past), 1)


def _diagonal(record: Diagonal, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    h = list(state.unbind(1))
    out = torch.empty_like(x)
    for t, x_t in enumerate(x.unbind(1)):
        y = record.skip * x_t
        for n, ((a, b), (c, d)) in enumerate(zip(record.a, record.c, strict=True)):
            u, w = h[2 * n], h[2 * n + 1]
            real, imaginary = flush((a * u - b * w) + x_t), flush(a * w + b * u)
            y = y + (c * real + d * imaginary)
            h[2 * n], h[2 * n + 1] = real, imaginary
        out[:, t] = y
    return out, torch.stack(h, 1)


def _low_rank(record: LowRank, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    h = list(state.unbind(1))
    out = torch.empty_like(x)
    numbers = list(zip(record.d, record.b, record.p, record.e, record.c, strict=True))
    for t, x_t in enumerate(x.unbind(1)):
        solved: list[tuple[Tensor, Tensor]] = []
        q = torch.zeros_like(x_t)
        for n, (d, b, p, _, _) in enumerate(numbers):
            u, w = 2 * h[2 * n] + b[0] * x_t, 2 * h[2 * n + 1] + b[1] * x_t
            real, imaginary = d[0] * u - d[1] * w, d[0] * w + d[1] * u
            q = q + (p[0] * real + p[1] * imaginary)
            solved.append((real, imaginary))
        y = record.skip * x_t
        for n, (_, _, _, e, c) in enumerate(numbers):
            real = flush((solved[n][0] - e[0] * q) - h[2 * n])
            imaginary = flush((solved[n][1] - e[1] * q) - h[2 * n + 1])
            y = y + (c[0] * real + c[1] * imaginary)
            h[2 * n], h[2 * n + 1] = real, imaginary
        out[:, t] = y
    return out, torch.stack(h, 1)


_INVERSE_FACTORIALS = (1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0, 1.0)


def exp(x: Tensor) -> Tensor:
    """The exponential of x <= 0 in float32, to two units in the last place; 0 below -87.

    x = k ln 2 + r, a Taylor polynomial in r, k added to the exponent's bits.
    """
    tiny = x < -87.0
    x = torch.where(tiny, -87.0, x)
    shifted = x * 1.4426950408889634 + 12582912.0
    k = shifted - 12582912.0
    r = (x - k * 0.693359375) - k * -2.12194440e-4
    y = torch.zeros_like(x)
    for coefficient in _INVERSE_FACTORIALS:
        y = y * r + coefficient
    bits = y.view(torch.int32) + (k.to(torch.int32) << 23)
    return torch.where(tiny, 0, bits.view(torch.float32))


def log1p(y: Tensor) -> Tensor:
    """log(1 + y) for 0 <= y <= 1, as 2 atanh(r) with r = y / (2 + y)."""
    r = y / (2 + y)
    square = r * r
    sums = torch.zeros_like(y)
    for i in range(15, 0, -2):
        sums = sums * square + 2 / i
    return r * sums


def whole_power(record: DSN) -> int:
    """The power of the sigmoid where it is multiplied out, else 0."""
    given = float(record.power[0])
    return round(given) if given == round(given) and 1 <= given <= 8 else 0


def power(x: Tensor, whole: int) -> Tensor:
    """x to a whole power from 1 to 8, by squares from the highest bit of the power on."""
    y = x
    for bit in bin(whole)[3:]:
        y = y * y
        if bit == "1":
            y = y * x
    return y


_TAIL = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)


def gelu(x: Tensor) -> Tensor:
    """x Φ(x), with an error of Φ below 2e-7.

    Source: Abramowitz and Stegun 1964, equation 7.1.26, for the tail of the error function.
    """
    size = torch.where(x < 0, -x, x) * 0.7071067811865476
    t = 1 / (1 + 0.3275911 * size)
    tail = torch.zeros_like(x)
    for coefficient in _TAIL:
        tail = (tail + coefficient) * t
    below = (0.5 * tail) * exp(-(size * size))
    return x * torch.where(x < 0, below, 1 - below)
