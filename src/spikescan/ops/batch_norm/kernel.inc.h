/* Batch normalisation of sequences in two kinds of passes, each used forward and backward:
 *
 *   sums:   S1 = sum_t a_t     S2 = sum_t a_t (y_t - c)        (a_t = y_t - c where there is no a)
 *   affine: out_t = a_t + q y_t + r, or p a_t + q y_t + r
 *
 * Forward, sums of y alone give mean and variance, and the affine pass adds the scaled branch y to
 * the stream a. Backward, sums of the gradient a against y give both parameters' gradients and, in
 * an affine pass, that of y. Steps beyond a sequence's length take no part.
 */
#include "../_core/cpu/vector.inc.h"

typedef struct {
    /* (B, T, D) contiguous, no a is zero; (D,) each, no p is one, c; (B,) */
    const void *a, *y, *p, *q, *r, *c;
    const int64_t *lengths;
    int64_t has_a, has_p, has_lengths;
    /* (B, T, D); float64 (B, 2, D) */
    void *out, *sums;
    /* beyond the length: a if `keep`, else zero */
    int64_t B, T, D, keep, threads;
} batch_args;

INLINE void batch_sums_block(const batch_args *k, place at) {
    const int64_t D = k->D, end = k->has_lengths ? k->lengths[at.b] : k->T;
    const REAL *y = (const REAL *)k->y + at.b * k->T * D + at.d;
    const int joined = k->has_a != 0;
    const REAL *a = joined ? (const REAL *)k->a + at.b * k->T * D + at.d : NULL;
    double *sums = (double *)k->sums + at.b * 2 * D + at.d;
    vec c[NVEC], rows[NVEC], given[NVEC];
    load_row(c, (const REAL *)k->c + at.d, 1, at);
    for (int j = 0; j < at.n; j++) sums[j] = sums[D + j] = 0;
    for (int64_t first = 0; first < end; first += SPAN) {
        const int64_t last = first + SPAN < end ? first + SPAN : end;
        vec s1[NVEC] = {0}, s2[NVEC] = {0};
        for (int64_t t = first; t < last; t++) {
            prefetch_row(y, (t + AHEAD) * D, 1, at);
            load_row(rows, y + t * D, 1, at);
            if (joined) {
                prefetch_row(a, (t + AHEAD) * D, 1, at);
                load_row(given, a + t * D, 1, at);
            }
            for (int j = 0; j < at.nv; j++) {
                const vec off = rows[j] - c[j], factor = joined ? given[j] : off;
                s1[j] += factor;
                s2[j] += factor * off;
            }
        }
        /* In float64 from span to span: a variance is a difference of sums. */
        for (int j = 0; j < at.n; j++) {
            sums[j] += ((REAL *)s1)[j];
            sums[D + j] += ((REAL *)s2)[j];
        }
    }
}

INLINE void batch_affine_block(const batch_args *k, place at) {
    const int64_t D = k->D, end = k->has_lengths ? k->lengths[at.b] : k->T;
    const REAL *y = (const REAL *)k->y + at.b * k->T * D + at.d;
    const int joined = k->has_a != 0;
    const REAL *a = joined ? (const REAL *)k->a + at.b * k->T * D + at.d : NULL;
    REAL *out = (REAL *)k->out + at.b * k->T * D + at.d;
    const int around = streams(out, D, k->B * k->T * D, at);
    const int scaled = k->has_p != 0;
    vec p[NVEC], q[NVEC], r[NVEC], rows[NVEC], given[NVEC];
    if (scaled) load_row(p, (const REAL *)k->p + at.d, 1, at);
    load_row(q, (const REAL *)k->q + at.d, 1, at);
    load_row(r, (const REAL *)k->r + at.d, 1, at);
    for (int64_t t = 0; t < end; t++) {
        prefetch_row(y, (t + AHEAD) * D, 1, at);
        load_row(rows, y + t * D, 1, at);
        if (joined) {
            prefetch_row(a, (t + AHEAD) * D, 1, at);
            load_row(given, a + t * D, 1, at);
        }
        for (int j = 0; j < at.nv; j++) {
            rows[j] = q[j] * rows[j] + r[j];
            if (joined) rows[j] += scaled ? (vec)(p[j] * given[j]) : given[j];
        }
        store_row(out + t * D, rows, at, around);
    }
    if (k->keep && joined)
        for (int64_t t = end; t < k->T; t++) memcpy(out + t * D, a + t * D, sizeof(REAL) * (size_t)at.n);
    else zero_rows(out, end, k->T, D, at);
}

BLOCK_KERNEL(batch_sums, batch_args, batch_sums_block(a, at))
BLOCK_KERNEL(batch_affine, batch_args, batch_affine_block(a, at))
