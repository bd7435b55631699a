/* Surrogate derivatives: what stands in for the derivative of the Heaviside step at v - threshold.
 * The codes are those of spikescan.ops.surrogate; `a` is the surrogate's one parameter.
 */
#ifndef SPIKESCAN_SURROGATE
#define SPIKESCAN_SURROGATE
#include "vector.inc.h"

enum { ATAN, SIGMOID, FAST_SIGMOID, TRIANGULAR, RECTANGULAR, GAUSSIAN };

INLINE vec vabs(vec x) { return (vec)((mask)x & ~(mask)splat((REAL)-0.0)); }

/* exp(x) for x <= 0: x = k ln2 + r, a Taylor polynomial in r, k added to the exponent bits. */
INLINE vec vexp(vec x) {
    const REAL floor_x = sizeof(REAL) == 4 ? (REAL)-87.0 : (REAL)-708.0;
    const mask tiny = x < splat(floor_x);
    x = select(tiny, splat(floor_x), x);
    /* Adding and taking away 1.5 * 2^(mantissa bits) rounds to the nearest whole number. */
    const vec magic = splat(sizeof(REAL) == 4 ? (REAL)12582912.0 : (REAL)6755399441055744.0);
    const vec shifted = x * splat((REAL)1.4426950408889634) + magic;
    const vec k = shifted - magic;
    const REAL ln2_hi = sizeof(REAL) == 4 ? (REAL)0.693359375 : (REAL)0.693147180369123816490;
    const REAL ln2_lo = sizeof(REAL) == 4 ? (REAL)-2.12194440e-4 : (REAL)1.90821492927058770002e-10;
    const vec r = (x - k * splat(ln2_hi)) - k * splat(ln2_lo);
    static const REAL inverse_factorial[] = {1.0,
                                             1.0,
                                             1.0 / 2,
                                             1.0 / 6,
                                             1.0 / 24,
                                             1.0 / 120,
                                             1.0 / 720,
                                             1.0 / 5040,
                                             1.0 / 40320,
                                             1.0 / 362880,
                                             1.0 / 3628800,
                                             1.0 / 39916800,
                                             1.0 / 479001600,
                                             1.0 / 6227020800.0};
    vec y = splat(0);
    for (int i = sizeof(REAL) == 4 ? 7 : 13; i >= 0; i--) y = y * r + splat(inverse_factorial[i]);
    const mask bits = (mask)shifted - (mask)magic;
    y = (vec)((mask)y + (bits << (sizeof(REAL) == 4 ? 23 : 52)));
    return select(tiny, splat(0), y) + (x - x); /* x - x keeps a NaN a NaN */
}

INLINE vec surrogate_one(vec v, int code, REAL a) {
    const vec one = splat(1), zero = splat(0);
    switch (code) {
    case ATAN: {
        const vec y = v * splat((REAL)1.5707963267948966 * a);
        return splat(a / 2) / (one + y * y);
    }
    case SIGMOID: {
        const vec e = vexp(zero - vabs(v * splat(a)));
        return splat(a) * e / ((one + e) * (one + e));
    }
    case FAST_SIGMOID: {
        const vec y = one + splat(a) * vabs(v);
        return one / (y * y);
    }
    case TRIANGULAR: {
        const vec y = one - splat(a) * vabs(v);
        return splat(a) * select(y <= zero, zero, y); /* a NaN stays a NaN */
    }
    case RECTANGULAR: return select(vabs(v) <= splat(a / 2), splat(1 / a), zero);
    default: { /* GAUSSIAN, a is its standard deviation */
        const vec y = v / splat(a);
        return splat((REAL)0.3989422804014327 / a) * vexp(splat((REAL)-0.5) * y * y);
    }
    }
}

/* Turn `n` vectors of membrane into surrogate derivatives. Never inlined: its six loops would take the
 * registers of the one around them. */
static __attribute__((noinline)) void surrogate_rows(vec *out, const vec *u, int n, REAL threshold, int code,
                                                     REAL a) {
    const vec th = splat(threshold);
#define EACH(CODE)                                                              \
    case CODE:                                                                  \
        for (int i = 0; i < n; i++) out[i] = surrogate_one(u[i] - th, CODE, a); \
        break
    switch (code) {
        EACH(ATAN);
        EACH(SIGMOID);
        EACH(FAST_SIGMOID);
        EACH(TRIANGULAR);
        EACH(RECTANGULAR);
        EACH(GAUSSIAN);
    }
#undef EACH
}
#endif
