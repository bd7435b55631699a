/* Products with matrices: of what fired, and of real numbers. */
#ifndef SPIKESCAN_PRODUCTS
#define SPIKESCAN_PRODUCTS
#include "lanes.inc.h"
#include "record.h"

/* ---- Products. ---- */

/* Which of K numbers are not zero, in ascending order; returns how many, and in *sum what they come to. */
INLINE int32_t find_fired(const float *s, int32_t K, int32_t *fired) {
    int32_t n = 0;
    int32_t k = 0;
    for (; k + LANES <= K; k += LANES) n += list_lanes(fired + n, bits_of_nonzero(CONST_VEC(s + k)), k);
    if (k < K)
        n += list_lanes(fired + n, bits_of_nonzero(CONST_VEC(s + k)) & (((uint64_t)1 << (K - k)) - 1), k);
    return n;
}

/* out = base + (bias + sum of rows that fired), n vectors of it. */
INLINE void add_part(float *out, const float *base, const float *bias, const float *rows, int32_t M,
                     const int32_t *fired, int32_t count, const float *s, int binary, const int n) {
    vec sum[WIDE];
    for (int i = 0; i < n; i++) sum[i] = CONST_VEC(bias + i * LANES);
    if (binary)
        for (int32_t k = 0; k < count; k++) {
            const float *row = rows + (ptrdiff_t)fired[k] * M;
            for (int i = 0; i < n; i++) sum[i] += CONST_VEC(row + i * LANES);
        }
    else
        for (int32_t k = 0; k < count; k++) {
            const float *row = rows + (ptrdiff_t)fired[k] * M;
            const vec c = splat(s[fired[k]]);
            for (int i = 0; i < n; i++) sum[i] += c * CONST_VEC(row + i * LANES);
        }
    if (base)
        for (int i = 0; i < n; i++) sum[i] = CONST_VEC(base + i * LANES) + sum[i];
    for (int i = 0; i < n; i++) VEC(out + i * LANES) = sum[i];
}

static void add_rows(float *out, const float *base, const float *bias, int32_t M, const int32_t *fired,
                     int32_t count, const float *s, int binary) {
    const float *rows = bias + M;
    int32_t m = 0;
#define PART(N)                                                                                              \
    for (; m + N * LANES <= M; m += N * LANES) {                                                             \
        if (binary) add_part(out + m, base ? base + m : NULL, bias + m, rows + m, M, fired, count, s, 1, N); \
        else add_part(out + m, base ? base + m : NULL, bias + m, rows + m, M, fired, count, s, 0, N);        \
    }
    PART(WIDE)
    PART(4)
    PART(1)
#undef PART
}

/* out = base + (scale * sum + bias), a vector of it. */
INLINE void finish_bytes(float *out, const float *base, const float *scale, const float *bias, vec sum) {
    const vec y = CONST_VEC(scale) * sum + CONST_VEC(bias);
    if (base) VEC(out) = CONST_VEC(base) + y;
    else VEC(out) = y;
}

#ifdef SPIKESCAN_VECTOR
/* Of each BYTES in a row, channel 16 c + j is byte 4 j + c, which makes the channels of a vector of sums
 * neighbours. Bytes lie in words of two: a sum of words is that of their lower bytes, and 256 times that
 * of their upper ones, which are summed apart and taken out. Lower bytes are 128 too large. */
INLINE ints bytes_sum(wrapping both, words upper, int32_t times, int c) {
    const wrapping lower = both - ((wrapping)upper << 8) - (uint16_t)(128 * times);
    const ints in_lanes = c % 2 ? (ints)upper : (ints)lower;
    return (c < 2 ? (ints)((unsigned_ints)in_lanes << 16) : in_lanes) >> 16;
}

/* n vectors of bytes from byte m on. */
INLINE void add_bytes_part(float *out, const float *base, const float *scale, int32_t M, const int8_t *rows,
                           int32_t stride, int32_t m, const int32_t *fired, int32_t count, const float *s,
                           int binary, const int n) {
    ints sum[WIDE / 2][4];
    for (int i = 0; i < n; i++)
        for (int c = 0; c < 4; c++) sum[i][c] = (ints){0};
    for (int last = 0; !last;) {
        wrapping both[WIDE / 2];
        words upper[WIDE / 2];
        int32_t k = 0, times = 0;
        for (int i = 0; i < n; i++) both[i] = (wrapping){0}, upper[i] = (words){0};
        for (; k < count; k++) {
            const int8_t *row = rows + (ptrdiff_t)fired[k] * stride + m;
            const int32_t c = binary ? 1 : (int32_t)s[fired[k]];
            if (times + c > SHORT_ROOM) break;
            times += c;
            for (int i = 0; i < n; i++) {
                const words now = *(const words *)(row + i * VBYTES);
                if (binary) both[i] += (wrapping)now, upper[i] += now >> 8;
                else both[i] += (wrapping)now * (uint16_t)c, upper[i] += (now >> 8) * (int16_t)c;
            }
        }
        fired += k, count -= k, last = !count;
        for (int i = 0; i < n; i++)
            for (int c = 0; c < 4; c++) {
                const int32_t byte = m + i * VBYTES,
                              at = byte / BYTES * BYTES + c * BYTES / 4 + byte % BYTES / 4;
                sum[i][c] += bytes_sum(both[i], upper[i], times, c);
                if (last && at < M)
                    finish_bytes(out + at, base ? base + at : NULL, scale + at, scale + M + at,
                                 INTS_AS_VEC(sum[i][c]));
            }
    }
}

static void add_bytes(float *out, const float *base, const float *scale, const int8_t *rows, int32_t M,
                      const int32_t *fired, int32_t count, const float *s, int binary) {
    const int32_t stride = (M + BYTES - 1) / BYTES * BYTES;
    int32_t m = 0;
#define PART(N)                                                                                  \
    for (; m + N * VBYTES <= stride; m += N * VBYTES) {                                          \
        if (binary) add_bytes_part(out, base, scale, M, rows, stride, m, fired, count, s, 1, N); \
        else add_bytes_part(out, base, scale, M, rows, stride, m, fired, count, s, 0, N);        \
    }
    PART(WIDE / 2)
    PART(4)
    PART(1)
#undef PART
}
#else
static void add_bytes(float *out, const float *base, const float *scale, const int8_t *rows, int32_t M,
                      const int32_t *fired, int32_t count, const float *s, int binary) {
    enum { PART = 8 };
    for (int32_t m = 0; m < M; m += PART) {
        const int32_t n = M - m < PART ? M - m : PART;
        int32_t sum[PART] = {0};
        for (int32_t k = 0; k < count; k++) {
            const int8_t *row = rows + (ptrdiff_t)fired[k] * M + m;
            const int32_t times = binary ? 1 : (int32_t)s[fired[k]];
            for (int32_t i = 0; i < n; i++) sum[i] += row[i] * times;
        }
        for (int32_t i = m; i < m + n; i++)
            finish_bytes(out + i, base ? base + i : NULL, scale + i, scale + M + i, (float)sum[i - m]);
    }
}
#endif

/* out = bias + x_0 row_0 + x_1 row_1 + ..., n vectors of it for some steps. */
INLINE void dense_part(float *out, const float *x, const float *bias, const float *rows, int32_t K, int32_t M,
                       const int steps, const int n) {
    vec sum[WIDE];
    for (int t = 0; t < steps; t++)
        for (int i = 0; i < n; i++) sum[t * n + i] = CONST_VEC(bias + i * LANES);
    for (int32_t k = 0; k < K; k++)
        for (int t = 0; t < steps; t++) {
            const vec c = splat(x[t * padded(K) + k]);
            for (int i = 0; i < n; i++) sum[t * n + i] += c * CONST_VEC(rows + k * M + i * LANES);
        }
    for (int t = 0; t < steps; t++)
        for (int i = 0; i < n; i++) VEC(out + t * M + i * LANES) = sum[t * n + i];
}

static void step_dense(const step_record *r, const float *bias, const float *x, float *y, int rows) {
    const int32_t K = r->inputs, M = padded(r->width);
    int t = 0;
    for (; t + 4 <= rows; t += 4)
        for (int32_t m = 0; m < M; m += LANES)
            dense_part(y + t * M + m, x + t * padded(K), bias + m, bias + M + m, K, M, 4, 1);
    for (; t < rows; t++) {
        int32_t m = 0;
        for (; m + WIDE * LANES <= M; m += WIDE * LANES)
            dense_part(y + t * M + m, x + t * padded(K), bias + m, bias + M + m, K, M, 1, WIDE);
        for (; m < M; m += LANES)
            dense_part(y + t * M + m, x + t * padded(K), bias + m, bias + M + m, K, M, 1, 1);
    }
}
#endif
