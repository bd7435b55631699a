/* Products with matrices: of what fired, and of real numbers. */
#ifndef SPIKESCAN_PRODUCTS
#define SPIKESCAN_PRODUCTS
#include "lanes.inc.h"
#include "record.h"

/* ---- Products. ---- */

/* Which of K numbers are not zero, in ascending order; returns how many, and in *sum what they come to. */
INLINE int32_t find_fired(const float *s, int32_t K, int32_t *fired) {
    int32_t n = 0;
    for (int32_t k = 0; k < K; k += LANES) {
        uint64_t bits = bits_of(CONST_VEC(s + k) != splat(0));
        if (K - k < LANES) bits &= ((uint64_t)1 << (K - k)) - 1;
        n += list_lanes(fired + n, bits, k);
    }
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

/* sum = the rows of bytes that fired, n vectors of shorts of it. */
INLINE void add_bytes_part(int32_t *sum, const int8_t *rows, int32_t stride, const int32_t *fired,
                           int32_t count, const float *s, int binary, const int n) {
    shorts acc[WIDE / 2];
    int room = SHORT_ROOM;
    for (int i = 0; i < n; i++) acc[i] = (shorts){0};
    for (int j = 0; j < n * SHORTS; j++) sum[j] = 0;
    for (int32_t k = 0; k < count; k++) {
        const int8_t *row = rows + (ptrdiff_t)fired[k] * stride;
        const int16_t times = binary ? 1 : (int16_t)s[fired[k]];
        if (room < times) {
            for (int i = 0; i < n; i++)
                *(longs *)(sum + i * SHORTS) += AS_LONGS(acc[i]), acc[i] = (shorts){0};
            room = SHORT_ROOM;
        }
        room -= times;
        if (binary)
            for (int i = 0; i < n; i++) acc[i] += AS_SHORTS(row + i * SHORTS);
        else
            for (int i = 0; i < n; i++) acc[i] += AS_SHORTS(row + i * SHORTS) * times;
    }
    for (int i = 0; i < n; i++) *(longs *)(sum + i * SHORTS) += AS_LONGS(acc[i]);
}

/* out = base + (scale * sum + bias) for channels m .. end. */
INLINE void finish_bytes(float *out, const float *base, const float *scale, const float *bias,
                         const int32_t *sum, int32_t m, int32_t end) {
    for (int32_t j = m; j < end; j += LANES) {
        const vec y = CONST_VEC(scale + j) * INTS_AS_VEC(sum + j - m) + CONST_VEC(bias + j);
        if (base) VEC(out + j) = CONST_VEC(base + j) + y;
        else VEC(out + j) = y;
    }
}

static void add_bytes(float *out, const float *base, const float *scale, const int8_t *rows, int32_t M,
                      const int32_t *fired, int32_t count, const float *s, int binary) {
    const int32_t stride = (M + BYTES - 1) / BYTES * BYTES;
    int32_t sum[WIDE / 2 * SHORTS];
    int32_t m = 0;
#define PART(N)                                                                                     \
    for (; m + N * SHORTS <= stride; m += N * SHORTS) {                                             \
        if (binary) add_bytes_part(sum, rows + m, stride, fired, count, s, 1, N);                   \
        else add_bytes_part(sum, rows + m, stride, fired, count, s, 0, N);                          \
        finish_bytes(out, base, scale, scale + M, sum, m, M < m + N * SHORTS ? M : m + N * SHORTS); \
    }
    PART(WIDE / 2)
    PART(1)
#undef PART
}

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
