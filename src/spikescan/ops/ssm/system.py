r"""Discretised state-space systems, in the two shapes that scan fast.

A system has D channels of N real states each. States are M = N / 2 complex modes, one of each
conjugate pair, kept as N real lanes (real, imaginary, real, imaginary, ...). Coefficients are
computed in float64 and rounded once, when they meet the data: powers of a multiplier near one lose
their digits otherwise.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

Method = Literal["bilinear", "zoh"]
METHODS: tuple[Method, ...] = ("bilinear", "zoh")


class Unrolled(NamedTuple):
    """What a system does over R steps, as matrices; float64 but for ``squares``."""

    columns: Tensor
    """(D, N, R), a^j b for j = 0 .. R - 1."""
    rows: Tensor
    """(D, R, N), c a^j for j = 1 .. R."""
    back: Tensor | None
    """(D, R, N), c_back a^j for j = 0 .. R - 1."""
    squares: list[Tensor]
    """a^(2^k) for k = 0, 1, ..., as the system's ``apply`` takes them."""


class Diagonal(NamedTuple):
    r"""Modes that do not mix: :math:`h_t = a h_{t-1} + b x_t`, :math:`y_t = 2 \Re \sum c\, h_t`."""

    log_a: Tensor
    """(D, M) complex128, logarithm of the multiplier per step."""
    b: Tensor
    """(D, M) complex128, input weights."""
    c: Tensor
    """(D, M) complex128, output weights."""
    c_back: Tensor | None = None
    """(D, M) complex128, output weights of the direction backwards in time, if there is one."""

    def matrices(self) -> tuple[Tensor, Tensor]:
        """Real a (D, N, N) and b (D, N), float64."""
        return blocks(self.log_a.exp()), lanes(self.b)

    def advance(self, h: Tensor, x: Tensor) -> Tensor:
        """State (B, D, N) after one more input x (B, D)."""
        a, b = (t.to(_complex(h.dtype)) for t in (self.log_a.exp(), self.b))
        return lanes(a * modes(h) + b * x.unsqueeze(-1))

    def output(self, h: Tensor) -> Tensor:
        """Outputs (B, D) of states (B, D, N)."""
        return (lanes(2 * self.c.conj()).to(h.dtype) * h).sum(-1)

    def unroll(self, steps: int, squares: int, dtype: torch.dtype) -> Unrolled:
        """The matrices of ``steps`` steps, and ``squares`` repeated squares of a in ``dtype``."""
        j = torch.arange(steps, device=self.b.device)
        powers = torch.exp(self.log_a[..., None] * j)  # (D, M, R)
        columns = self.b[..., None] * powers
        rows = [
            lanes(2 * (c[..., None] * powers).conj().mT)
            for c in (self.c * self.log_a.exp(), self.c_back)
            if c is not None
        ]
        return Unrolled(
            torch.stack((columns.real, columns.imag), 2).flatten(1, 2),
            rows[0],
            rows[1] if len(rows) > 1 else None,
            [torch.exp(self.log_a * 2**k).to(_complex(dtype)) for k in range(squares)],
        )

    @staticmethod
    def apply(power: Tensor, h: Tensor) -> Tensor:
        """A power of the multiplier on states (D, K, N)."""
        return lanes(power[:, None] * modes(h))


class LowRank(NamedTuple):
    r"""Modes coupled by a rank-1 matrix, discretised by the bilinear rule.

    With :math:`A = \Lambda - P P^*` in continuous time and :math:`W = (I - \Delta A / 2)^{-1}`,
    :math:`h_t = (2 W - I) h_{t-1} + \Delta W b x_t`, where by Woodbury's identity
    :math:`W r = d (r - \Delta \kappa P \Re(P^* d r))` with
    :math:`d = 1 / (1 - \Delta \Lambda / 2)` and :math:`\kappa = 1 / (1 + \Delta \Re(P^* d P))`.
    A sum over modes and their conjugates is twice a real part, hence the real parts.
    """

    d: Tensor
    """(D, M) complex128."""
    p: Tensor
    """(D, M) complex128, P."""
    gain: Tensor
    """(D, 1) float64, Δκ."""
    b: Tensor
    """(D, M) complex128, Δ times the input weights, before W."""
    c: Tensor
    """(D, M) complex128, output weights."""
    c_back: Tensor | None = None
    """(D, M) complex128, output weights of the direction backwards in time, if there is one."""

    def matrices(self) -> tuple[Tensor, Tensor]:
        """Real a (D, N, N) and b (D, N), float64."""
        left, right = lanes(self.gain * self.d * self.p), lanes(self.d.conj() * self.p)
        w = blocks(self.d) - left.unsqueeze(-1) * right.unsqueeze(-2)
        identity = torch.eye(w.shape[-1], dtype=w.dtype, device=w.device)
        return 2 * w - identity, (w @ lanes(self.b).unsqueeze(-1)).squeeze(-1)

    def advance(self, h: Tensor, x: Tensor) -> Tensor:
        """State (B, D, N) after one more input x (B, D), in O(N) for each channel."""
        wide = _complex(h.dtype)
        d, p, b = (t.to(wide) for t in (self.d, self.p, self.b))
        # (2 W - I) h + W b x = W (2 h + b x) - h: one solve for both.
        r = d * (2 * modes(h) + b * x.unsqueeze(-1))
        q = (p.conj() * r).real.sum(-1, keepdim=True) * self.gain.to(h.dtype)
        return lanes(r - d * p * q) - h

    def output(self, h: Tensor) -> Tensor:
        """Outputs (B, D) of states (B, D, N)."""
        return (lanes(2 * self.c.conj()).to(h.dtype) * h).sum(-1)

    def unroll(self, steps: int, squares: int, dtype: torch.dtype) -> Unrolled:
        """The matrices of ``steps`` steps, and ``squares`` repeated squares of a in ``dtype``."""
        return real(self).unroll(steps, squares, dtype)

    @staticmethod
    def apply(power: Tensor, h: Tensor) -> Tensor:
        """A power of the multiplier, transposed, on states (D, K, N)."""
        return torch.bmm(h, power)


class Matrices(NamedTuple):
    """Any system as real matrices: what :class:`LowRank` is unrolled from, and compiled graphs of
    all systems, as no complex number is left in it."""

    a: Tensor
    """(D, N, N) float64."""
    b: Tensor
    """(D, N) float64."""
    c: Tensor
    """(D, N) float64, output weights."""
    c_back: Tensor | None = None
    """(D, N) float64, output weights backwards in time, if there are any."""

    def unroll(self, steps: int, squares: int, dtype: torch.dtype) -> Unrolled:
        """The matrices of ``steps`` steps, and ``squares`` repeated squares of a in ``dtype``."""
        # Squaring is safe in float64: the bilinear rule maps a dissipative system, which this is
        # for every value of its parameters, to a contraction, so that errors do not grow.
        a, columns = self.a, self.b.unsqueeze(-1)
        rows = self.c.unsqueeze(-2) @ a
        back = None if self.c_back is None else self.c_back.unsqueeze(-2)
        powers: list[Tensor] = []
        while len(powers) < squares or columns.shape[-1] < steps:
            if powers:
                a = a @ a
            powers.append(a)
            if columns.shape[-1] < steps:
                columns = torch.cat((columns, a @ columns), -1)
                rows = torch.cat((rows, rows @ a), -2)
                back = None if back is None else torch.cat((back, back @ a), -2)
        return Unrolled(
            columns[..., :steps],
            rows[:, :steps],
            None if back is None else back[:, :steps],
            [p.mT.to(dtype) for p in powers[:squares]],
        )

    @staticmethod
    def apply(power: Tensor, h: Tensor) -> Tensor:
        """A power of the multiplier, transposed, on states (D, K, N)."""
        return torch.bmm(h, power)


def real(system: Diagonal | LowRank) -> Matrices:
    """The same system as real matrices."""
    back = None if system.c_back is None else lanes(2 * system.c_back.conj())
    return Matrices(*system.matrices(), lanes(2 * system.c.conj()), back)


def diagonal(
    lam: Tensor,
    b: Tensor,
    c: Tensor,
    dt: Tensor,
    *,
    method: Method = "bilinear",
    c_back: Tensor | None = None,
) -> Diagonal:
    r"""Discretise the diagonal system :math:`h' = \lambda h + b x` with time steps Δ.

    .. math::
        \text{bilinear: } a = \frac{1 + \Delta\lambda/2}{1 - \Delta\lambda/2},\;
        \frac{\Delta b}{1 - \Delta\lambda/2}; \qquad
        \text{zoh: } a = e^{\Delta\lambda},\; \frac{a - 1}{\lambda} b

    Args:
        lam: (D, M) complex, eigenvalues with negative real part.
        b: (D, M) complex, input weights.
        c: (D, M) complex, output weights.
        dt: (D,), time steps.
        method: rule of discretisation.
        c_back: (D, M) complex, output weights backwards in time, for a two-sided system.

    Raises:
        ValueError: the method is unknown.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, got {method!r}")
    lam, b, c = (t.to(torch.complex128) for t in (lam, b, c))
    back = None if c_back is None else c_back.to(torch.complex128)
    step = dt.to(torch.float64)[:, None]
    z = step * lam
    if method == "zoh":
        return Diagonal(z, torch.expm1(z) / lam * b, c, back)
    # 2 atanh(z / 2) is log((1 + z / 2) / (1 - z / 2)) and keeps its digits for small steps.
    return Diagonal(2 * torch.atanh(z / 2), step * b / (1 - z / 2), c, back)


def low_rank(
    lam: Tensor, p: Tensor, b: Tensor, c: Tensor, dt: Tensor, *, c_back: Tensor | None = None
) -> LowRank:
    r"""Discretise :math:`h' = (\Lambda - P P^*) h + b x` by the bilinear rule, see
    :class:`LowRank`; p (D, M) complex, the other arguments as in :func:`diagonal`."""
    lam, p, b, c = (t.to(torch.complex128) for t in (lam, p, b, c))
    back = None if c_back is None else c_back.to(torch.complex128)
    step = dt.to(torch.float64)[:, None]
    d = 1 / (1 - step * lam / 2)
    coupling = (p.conj() * d * p).real.sum(-1, keepdim=True)
    return LowRank(d, p, step / (1 + step * coupling), step * b, c, back)


def kernel(system: Diagonal | LowRank, steps: int) -> Tensor:
    """Response to an impulse, y_j for j = 0 .. steps - 1, as (D, steps) float64."""
    columns = system.unroll(steps, 0, torch.float64).columns
    return read(system.c, columns)


def read(c: Tensor, columns: Tensor) -> Tensor:
    """c, (D, M) complex or (D, N) real, applied to states in columns (D, N, R): (D, R)."""
    weights = lanes(2 * c.conj()) if c.is_complex() else c
    return torch.bmm(weights.unsqueeze(1), columns).squeeze(1)


def finish(
    system: Diagonal | LowRank | Matrices,
    x: Tensor,
    h: Tensor,
    lengths: Tensor | None,
    columns: Tensor,
    squares: list[Tensor],
) -> Tensor:
    """The state (B, D, N) of each row after its last valid step.

    It is the state h (D, B, N) before the chunk of R steps in which the row ends, advanced by the
    steps r in that chunk: a^r of it, as a product of squares, plus the inputs of those steps.
    """
    batch, steps, _ = x.shape
    if lengths is None:
        lengths = torch.full((batch,), steps, device=x.device)
    size = columns.shape[2]
    extra = lengths % size
    for k, square in enumerate(squares):
        used = ((extra >> k) & 1).bool()[:, None]
        power = square.to(_complex(h.dtype) if square.is_complex() else h.dtype)
        h = torch.where(used, system.apply(power, h), h)
    back = torch.arange(1, size + 1, device=x.device)
    time = (lengths[:, None] - back).clamp(min=0)
    rows = torch.arange(batch, device=x.device)[:, None]
    tail = torch.where((back <= extra[:, None])[..., None], x[rows, time], 0)
    # tail (B, R, D) counts from the end, as columns do.
    return h.transpose(0, 1) + torch.einsum("brd,dnr->bdn", tail, columns.to(x.dtype))


def lanes(z: Tensor) -> Tensor:
    """Complex modes (..., M) as real lanes (..., N)."""
    return torch.view_as_real(z.resolve_conj()).flatten(-2)


def modes(h: Tensor) -> Tensor:
    """Real lanes (..., N) as complex modes (..., M)."""
    return torch.view_as_complex(h.contiguous().unflatten(-1, (-1, 2)))


def blocks(z: Tensor) -> Tensor:
    """Multiplication by complex z (D, M), as real matrices (D, N, N)."""
    square = torch.stack((z.real, -z.imag, z.imag, z.real), 1).unflatten(1, (2, 2))
    return torch.diag_embed(square).permute(0, 3, 1, 4, 2).flatten(3, 4).flatten(1, 2)


def _complex(dtype: torch.dtype) -> torch.dtype:
    return torch.complex128 if dtype == torch.float64 else torch.complex64
