/* Linear scan, the recurrence under every neuron without reset, real or complex.
 *
 *   h_t = a_t h_{t-1} + b_t      backward: e_t = g_t + conj(a_{t+1}) e_{t+1}
 *   gb_t = e_t                   ga_t = e_t conj(h_{t-1})
 *
 * `a` is one row per channel or one value per step. Complex numbers lie interleaved (re, im), so a
 * complex channel is two real lanes and D counts lanes.
 */
#include "../_core/cpu/vector.inc.h"

typedef struct {
    const void *a, *b, *h0, *gh, *glast;
    const int64_t *lengths;
    int64_t has_h0, has_gh, has_glast, has_lengths;
    int64_t a_stride[3], b_stride[3], gh_stride[3]; /* a: strides 0, 0, 1 when constant in time */
    void *h, *last;
    void *ga;        /* (B, T, D), of a per step */
    double *ga_rows; /* (B, D), gradient of a constant a for each row */
    void *gb, *gh0;
    int64_t want_ga;
    int64_t B, T, D, per_step, is_complex, threads;
} linear_scan_args;
LAYOUT(linear_scan, a, b, h0, gh, glast, lengths, has_h0, has_gh, has_glast, has_lengths, a_stride, b_stride,
       gh_stride, h, last, ga, ga_rows, gb, gh0, want_ga, B, T, D, per_step, is_complex, threads)

/* Shuffles inside pairs (re, im): both re, both im, swapped. */
#define PAIR2(i, a, b) (i) + (a), (i) + (b)
#define PAIR4(a, b) PAIR2(0, a, b), PAIR2(2, a, b)
#define PAIR8(a, b) PAIR4(a, b), PAIR2(4, a, b), PAIR2(6, a, b)
#if VBYTES / REAL_BYTES == 16
#define PAIRS(a, b) PAIR8(a, b), PAIR2(8, a, b), PAIR2(10, a, b), PAIR2(12, a, b), PAIR2(14, a, b)
#elif VBYTES / REAL_BYTES == 8
#define PAIRS(a, b) PAIR8(a, b)
#elif VBYTES / REAL_BYTES == 4
#define PAIRS(a, b) PAIR4(a, b)
#else
#define PAIRS(a, b) PAIR2(0, a, b)
#endif

/* y * a, or y * conj(a), on interleaved complex lanes. */
INLINE vec cmul(vec y, vec a, int conjugate) {
    const vec re = __builtin_shufflevector(a, a, PAIRS(0, 0));
    const vec im = __builtin_shufflevector(a, a, PAIRS(1, 1));
    const vec crossed = __builtin_shufflevector(y, y, PAIRS(1, 0));
    vec sign = splat(1);
    for (int i = conjugate ? 1 : 0; i < LANES; i += 2) sign[i] = -1;
    return re * y + (sign * im) * crossed;
}

INLINE vec step_mul(vec y, vec a, int complex, int conjugate) {
    if (complex) return cmul(y, a, conjugate);
    return a * y;
}

INLINE void linear_forward_block(const linear_scan_args *a, place at, int complex, int per_step) {
    const int64_t b = at.b, d = at.d, T = a->T, D = a->D, end = a->has_lengths ? a->lengths[b] : T;
    const REAL *factor = row_of(a->a, a->a_stride, at, 0);
    const REAL *in = row_of(a->b, a->b_stride, at, 0);
    REAL *out = (REAL *)a->h + b * T * D + d;
    const int around = streams(out, D, a->B * T * D, at);
    vec decay[NVEC], h[NVEC] = {0}, x[NVEC];
    if (!per_step) load_row(decay, factor, a->a_stride[2], at);
    if (a->has_h0) load_row(h, (const REAL *)a->h0 + b * D + d, 1, at);
    for (int64_t t = 0; t < end; t++) {
        prefetch_row(in, (t + AHEAD) * a->b_stride[1], a->b_stride[2], at);
        if (per_step) {
            prefetch_row(factor, (t + AHEAD) * a->a_stride[1], a->a_stride[2], at);
            load_row(decay, factor + t * a->a_stride[1], a->a_stride[2], at);
        }
        load_row(x, in + t * a->b_stride[1], a->b_stride[2], at);
        for (int j = 0; j < at.nv; j++) h[j] = step_mul(h[j], decay[j], complex, 0) + x[j];
        store_row(out + t * D, h, at, around);
    }
    store_row((REAL *)a->last + b * D + d, h, at, 0);
    zero_rows(out, end, T, D, at);
}

INLINE void linear_backward_block(const linear_scan_args *a, place at, int complex, int per_step) {
    const int64_t b = at.b, d = at.d, T = a->T, D = a->D, end = a->has_lengths ? a->lengths[b] : T;
    const REAL *factor = row_of(a->a, a->a_stride, at, 0);
    const REAL *g = row_of(a->gh, a->gh_stride, at, 0);
    const REAL *h = (const REAL *)a->h + b * T * D + d;
    REAL *gb = (REAL *)a->gb + b * T * D + d;
    const int fed = a->has_gh != 0, learn = a->want_ga != 0;
    REAL *ga = learn && per_step ? (REAL *)a->ga + b * T * D + d : NULL;
    const int around = streams(gb, D, a->B * T * D, at);
    vec decay[NVEC], e[NVEC] = {0}, x[NVEC], before[NVEC], grad[NVEC];
    vec acc[NVEC] = {0};
    double total[BLOCK] = {0};
    if (!per_step) load_row(decay, factor, a->a_stride[2], at);
    if (a->has_glast) load_row(e, (const REAL *)a->glast + b * D + d, 1, at);
    zero_rows(gb, end, T, D, at);
    if (learn && per_step) zero_rows(ga, end, T, D, at);
    for (int64_t t = end - 1; t >= 0; t--) {
        if (per_step) {
            prefetch_row(factor, (t - AHEAD) * a->a_stride[1], a->a_stride[2], at);
            load_row(decay, factor + t * a->a_stride[1], a->a_stride[2], at);
        }
        if (fed) {
            prefetch_row(g, (t - AHEAD) * a->gh_stride[1], a->gh_stride[2], at);
            load_row(x, g + t * a->gh_stride[1], a->gh_stride[2], at);
            for (int j = 0; j < at.nv; j++) e[j] = e[j] + x[j];
        }
        store_row(gb + t * D, e, at, around);
        if (learn) {
            prefetch_row(h, (t - AHEAD) * D, 1, at);
            if (t) load_row(before, h + (t - 1) * D, 1, at);
            else if (a->has_h0) load_row(before, (const REAL *)a->h0 + b * D + d, 1, at);
            else memset(before, 0, sizeof before);
            for (int j = 0; j < at.nv; j++) {
                grad[j] = step_mul(e[j], before[j], complex, 1);
                if (!per_step) acc[j] = acc[j] + grad[j];
            }
            if (per_step) store_row(ga + t * D, grad, at, around);
            else if (t % SPAN == 0) {
                for (int l = 0; l < at.n; l++) total[l] += ((REAL *)acc)[l];
                memset(acc, 0, sizeof acc);
            }
        }
        for (int j = 0; j < at.nv; j++) e[j] = step_mul(e[j], decay[j], complex, 1);
    }
    if (learn && !per_step) memcpy(a->ga_rows + b * D + d, total, sizeof(double) * (size_t)at.n);
    store_row((REAL *)a->gh0 + b * D + d, e, at, 0);
}

INLINE void linear_any(const linear_scan_args *a, place at, int backward) {
#define EACH(C, P)                                    \
    if (backward) linear_backward_block(a, at, C, P); \
    else linear_forward_block(a, at, C, P)
    if (a->is_complex && a->per_step) {
        EACH(1, 1);
    } else if (a->is_complex) {
        EACH(1, 0);
    } else if (a->per_step) {
        EACH(0, 1);
    } else {
        EACH(0, 0);
    }
#undef EACH
}

BLOCK_KERNEL(linear_scan_forward, linear_scan_args, linear_any(a, at, 0))
BLOCK_KERNEL(linear_scan_backward, linear_scan_args, linear_any(a, at, 1))
