/* Batch normalisation of sequences in two kinds of passes, each used forward and backward:
 *
 *   sums:   S1 = sum_t z_t     S2 = sum_t z_t (y_t - c)        (z_t = y_t - c where there is no z)
 *   affine: out_t = z_t + q y_t + r, or p z_t + q y_t + r
 *
 * Forward, sums of y alone give mean and variance, and the affine pass adds the scaled branch y to
 * the stream z. Backward, sums of the gradient z against y give both parameters' gradients and, in
 * an affine pass, that of y. Steps beyond a sequence's length take no part.
 */
#include "../_core/cpu/vector.inc.h"

typedef struct {
    /* (B, T, D) contiguous, no z is zero; (D,) each, no p is one, c; (B,) */
    const void *z, *y, *p, *q, *r, *c;
    const int64_t *lengths;
    int64_t has_z, has_p, has_lengths;
    /* (B, T, D); float64 (B, 2, D) */
    void *out;
    double *sums;
    /* beyond the length: z if `keep`, else zero */
    int64_t B, T, D, keep, threads;
} batch_norm_args;
LAYOUT(batch_norm, z, y, p, q, r, c, lengths, has_z, has_p, has_lengths, out, sums, B, T, D, keep, threads)

INLINE void batch_sums_block(const batch_norm_args *a, place at) {
    const int64_t D = a->D, end = a->has_lengths ? a->lengths[at.b] : a->T;
    const REAL *y = (const REAL *)a->y + at.b * a->T * D + at.d;
    const int joined = a->has_z != 0;
    const REAL *z = joined ? (const REAL *)a->z + at.b * a->T * D + at.d : NULL;
    double *sums = a->sums + at.b * 2 * D + at.d;
    vec c[NVEC], rows[NVEC], given[NVEC];
    load_row(c, (const REAL *)a->c + at.d, 1, at);
    for (int j = 0; j < at.n; j++) sums[j] = sums[D + j] = 0;
    for (int64_t first = 0; first < end; first += SPAN) {
        const int64_t last = first + SPAN < end ? first + SPAN : end;
        vec s1[NVEC] = {0}, s2[NVEC] = {0};
        for (int64_t t = first; t < last; t++) {
            prefetch_row(y, (t + AHEAD) * D, 1, at);
            load_row(rows, y + t * D, 1, at);
            if (joined) {
                prefetch_row(z, (t + AHEAD) * D, 1, at);
                load_row(given, z + t * D, 1, at);
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

INLINE void batch_affine_block(const batch_norm_args *a, place at) {
    const int64_t D = a->D, end = a->has_lengths ? a->lengths[at.b] : a->T;
    const REAL *y = (const REAL *)a->y + at.b * a->T * D + at.d;
    const int joined = a->has_z != 0;
    const REAL *z = joined ? (const REAL *)a->z + at.b * a->T * D + at.d : NULL;
    REAL *out = (REAL *)a->out + at.b * a->T * D + at.d;
    const int around = streams(out, D, a->B * a->T * D, at);
    const int scaled = a->has_p != 0;
    vec p[NVEC], q[NVEC], r[NVEC], rows[NVEC], given[NVEC];
    if (scaled) load_row(p, (const REAL *)a->p + at.d, 1, at);
    load_row(q, (const REAL *)a->q + at.d, 1, at);
    load_row(r, (const REAL *)a->r + at.d, 1, at);
    for (int64_t t = 0; t < end; t++) {
        prefetch_row(y, (t + AHEAD) * D, 1, at);
        load_row(rows, y + t * D, 1, at);
        if (joined) {
            prefetch_row(z, (t + AHEAD) * D, 1, at);
            load_row(given, z + t * D, 1, at);
        }
        for (int j = 0; j < at.nv; j++) {
            rows[j] = q[j] * rows[j] + r[j];
            if (joined) rows[j] += scaled ? (vec)(p[j] * given[j]) : given[j];
        }
        store_row(out + t * D, rows, at, around);
    }
    if (a->keep && joined)
        for (int64_t t = end; t < a->T; t++) memcpy(out + t * D, z + t * D, sizeof(REAL) * (size_t)at.n);
    else zero_rows(out, end, a->T, D, at);
}

BLOCK_KERNEL(batch_norm_sums, batch_norm_args, batch_sums_block(a, at))
BLOCK_KERNEL(batch_norm_affine, batch_norm_args, batch_affine_block(a, at))
