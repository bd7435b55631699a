/* Neurons and state spaces: what carries a state through the steps of a tile. */
#ifndef SPIKESCAN_DYNAMICS
#define SPIKESCAN_DYNAMICS
#include "lanes.inc.h"
#include "record.h"

/* ---- Neurons: `n` vectors of a layer through the steps of a tile. ---- */

INLINE void lif_part(const float *numbers, float *state, const float *x, float *s, int32_t D, int rows,
                     int reset, const int n) {
    vec beta[TOGETHER], th[TOGETHER], to[TOGETHER], v[TOGETHER];
    for (int i = 0; i < n; i++) {
        beta[i] = CONST_VEC(numbers + i * LANES), th[i] = CONST_VEC(numbers + D + i * LANES);
        to[i] = CONST_VEC(numbers + 2 * D + i * LANES), v[i] = VEC(state + i * LANES);
    }
    for (int t = 0; t < rows; t++, x += D, s += D)
        for (int i = 0; i < n; i++) {
            const vec u = beta[i] * v[i] + CONST_VEC(x + i * LANES);
            const mask fire = u >= th[i];
            VEC(s + i * LANES) = select(fire, splat(1), splat(0));
            if (reset == SOFT_RESET) v[i] = flush(select(fire, u - th[i], u));
            else if (reset == HARD_RESET) v[i] = flush(select(fire, to[i], u));
            else v[i] = flush(u);
        }
    for (int i = 0; i < n; i++) VEC(state + i * LANES) = v[i];
}

INLINE void prf_part(const float *numbers, float *state, const float *x, float *s, int32_t D, int rows,
                     int variant, const int n) {
    vec p[TOGETHER], q[TOGETHER], th[TOGETHER], u[TOGETHER], r[TOGETHER];
    (void)variant;
    for (int i = 0; i < n; i++) {
        p[i] = CONST_VEC(numbers + i * LANES), q[i] = CONST_VEC(numbers + D + i * LANES);
        th[i] = CONST_VEC(numbers + 2 * D + i * LANES);
        u[i] = VEC(state + i * LANES), r[i] = VEC(state + D + i * LANES);
    }
    for (int t = 0; t < rows; t++, x += D, s += D)
        for (int i = 0; i < n; i++) {
            const vec now = (p[i] * u[i] - q[i] * r[i]) + CONST_VEC(x + i * LANES);
            r[i] = flush(q[i] * u[i] + p[i] * r[i]), u[i] = flush(now);
            VEC(s + i * LANES) = select(now >= th[i], splat(1), splat(0));
        }
    for (int i = 0; i < n; i++) VEC(state + i * LANES) = u[i], VEC(state + D + i * LANES) = r[i];
}

INLINE void alif_part(const float *numbers, float *state, const float *x, float *s, int32_t D, int rows,
                      int variant, const int n) {
    (void)variant;
    for (int i = 0; i < n; i++, numbers += LANES, state += LANES) {
        const vec beta = CONST_VEC(numbers), rho = CONST_VEC(numbers + D);
        const vec strength = CONST_VEC(numbers + 2 * D), th = CONST_VEC(numbers + 3 * D);
        vec v = VEC(state), a = VEC(state + D);
        for (int t = 0; t < rows; t++) {
            const vec u = beta * v + CONST_VEC(x + t * D + i * LANES), theta = th + strength * a;
            const mask fire = u >= theta;
            const vec spike = select(fire, splat(1), splat(0));
            v = flush(select(fire, u - theta, u)), a = flush(rho * a + spike);
            VEC(s + t * D + i * LANES) = spike;
        }
        VEC(state) = v, VEC(state + D) = a;
    }
}

INLINE void spatial_part(const float *numbers, float *state, const float *x, float *s, int32_t D, int rows,
                         int variant, const int n) {
    (void)state, (void)variant;
    for (int t = 0; t < rows; t++, x += D, s += D)
        for (int i = 0; i < n; i++)
            VEC(s + i * LANES) =
                select(CONST_VEC(x + i * LANES) >= CONST_VEC(numbers + i * LANES), splat(1), splat(0));
}

/* All vectors of a layer, TOGETHER at a time. */
#define LAYER(PART, D, VARIANT)                                                                    \
    do {                                                                                           \
        int32_t d = 0;                                                                             \
        for (; d + TOGETHER * LANES <= D; d += TOGETHER * LANES)                                   \
            PART(numbers + d, state + d, x + d, y + d, D, rows, VARIANT, TOGETHER);                \
        for (; d < D; d += LANES) PART(numbers + d, state + d, x + d, y + d, D, rows, VARIANT, 1); \
    } while (0)

static void step_dsn(const step_record *r, const float *numbers, float *state, const float *x, float *y,
                     int rows) {
    const int32_t D = padded(r->width), taps = r->count;
    for (int32_t d = 0; d < D; d += LANES) {
        const float *bias = numbers + D, *tap = bias + D + d;
        float *past = state + D + d;
        vec h = VEC(state + d);
        for (int t = 0; t < rows; t++) {
            const vec in = CONST_VEC(x + t * D + d);
            vec c = CONST_VEC(bias + d), alpha, count = splat(0);
            for (int32_t i = 0; i < taps - 1; i++) c = c + CONST_VEC(tap + i * D) * VEC(past + i * D);
            c = c + CONST_VEC(tap + (taps - 1) * D) * in;
            for (int32_t i = 0; i < taps - 1; i++)
                VEC(past + i * D) = i < taps - 2 ? VEC(past + (i + 1) * D) : flush(in);
            const mask negative = c < splat(0);
            const vec e = step_exp(select(negative, c, -c));
            if (r->power) {
                const vec sigmoid = select(negative, e, splat(1)) / (splat(1) + e);
                int32_t bit = 1;
                while (bit * 2 <= r->power) bit *= 2;
                for (alpha = sigmoid, bit /= 2; bit; bit /= 2) {
                    alpha = alpha * alpha;
                    if (r->power & bit) alpha = alpha * sigmoid;
                }
            } else
                alpha =
                    step_exp(-(CONST_VEC(numbers + d) * (select(negative, -c, splat(0)) + step_log1p(e))));
            h = flush(alpha * h + (splat(1) - alpha) * in);
            for (int32_t n = 0; n < r->levels; n++)
                count = count + select(h >= splat((float)n + 0.5f), splat(1), splat(0));
            VEC(y + t * D + d) = count;
        }
        VEC(state + d) = h;
    }
}

/* ---- State spaces: modes (real, imaginary) of all channels in rows. ---- */

static void step_diagonal(const step_record *r, const float *numbers, float *state, const float *x, float *y,
                          int rows) {
    const int32_t D = padded(r->width);
    for (int32_t d = 0; d < D; d += LANES)
        for (int t = 0; t < rows; t++) {
            const vec in = CONST_VEC(x + t * D + d);
            const float *a = numbers + D + d, *c = a + 2 * r->count * D;
            float *h = state + d;
            vec sum = CONST_VEC(numbers + d) * in;
            for (int32_t n = 0; n < r->count; n++, a += 2 * D, c += 2 * D, h += 2 * D) {
                const vec u = VEC(h), w = VEC(h + D);
                const vec real = flush((CONST_VEC(a) * u - CONST_VEC(a + D) * w) + in);
                const vec imaginary = flush(CONST_VEC(a) * w + CONST_VEC(a + D) * u);
                sum = sum + (CONST_VEC(c) * real + CONST_VEC(c + D) * imaginary);
                VEC(h) = real, VEC(h + D) = imaginary;
            }
            VEC(y + t * D + d) = sum;
        }
}

static void step_low_rank(const step_record *r, const float *numbers, float *state, const float *x, float *y,
                          int rows) {
    const int32_t D = padded(r->width), all = 2 * r->count * D;
    for (int32_t d = 0; d < D; d += LANES)
        for (int t = 0; t < rows; t++) {
            const vec in = CONST_VEC(x + t * D + d);
            const float *at = numbers + D + d;
            vec q = splat(0), sum = CONST_VEC(numbers + d) * in;
            /* Twice the same solution: it is cheaper than room for all modes. */
            for (int pass = 0; pass < 2; pass++)
                for (int32_t n = 0; n < r->count; n++) {
                    const float *D_ = at + 2 * n * D, *b = D_ + all, *p = b + all, *e = p + all, *c = e + all;
                    float *h = state + d + 2 * n * D;
                    const vec u = splat(2) * VEC(h) + CONST_VEC(b) * in;
                    const vec w = splat(2) * VEC(h + D) + CONST_VEC(b + D) * in;
                    const vec real = CONST_VEC(D_) * u - CONST_VEC(D_ + D) * w;
                    const vec imaginary = CONST_VEC(D_) * w + CONST_VEC(D_ + D) * u;
                    if (!pass) {
                        q = q + (CONST_VEC(p) * real + CONST_VEC(p + D) * imaginary);
                        continue;
                    }
                    const vec one = flush((real - CONST_VEC(e) * q) - VEC(h));
                    const vec two = flush((imaginary - CONST_VEC(e + D) * q) - VEC(h + D));
                    sum = sum + (CONST_VEC(c) * one + CONST_VEC(c + D) * two);
                    VEC(h) = one, VEC(h + D) = two;
                }
            VEC(y + t * D + d) = sum;
        }
}
#endif
