/* Spikes without memory, s_t = [x_t >= threshold], and their gradient:
 *
 *   gx_t = gs_t sg(x_t - threshold)     gthreshold = -sum_t gx_t
 */
#include "../_core/cpu/surrogate.inc.h"

typedef struct {
    /* inputs; strides are in elements, (batch, time, channel) */
    const void *x, *thresholds, *gs;
    const int64_t *lengths;
    int64_t has_lengths;
    int64_t x_stride[3], gs_stride[3];
    /* outputs, contiguous: (B, T, D), (B, T, D), (B, D) float64 */
    void *s, *gx;
    double *gthresholds;
    int64_t want_gthresholds;
    int64_t B, T, D, surrogate, threads;
    double surrogate_parameter;
} spike_args;
LAYOUT(spike, x, thresholds, gs, lengths, has_lengths, x_stride, gs_stride, s, gx, gthresholds,
       want_gthresholds, B, T, D, surrogate, threads, surrogate_parameter)
CONSTANTS(spike, ATAN, SIGMOID, FAST_SIGMOID, TRIANGULAR, RECTANGULAR, GAUSSIAN)

INLINE void spike_forward_block(const spike_args *a, place at) {
    const int64_t D = a->D, end = a->has_lengths ? a->lengths[at.b] : a->T;
    REAL *s_out = (REAL *)a->s + at.b * a->T * D + at.d;
    const int around = streams(s_out, D, a->B * a->T * D, at);
    const vec one = splat(1);
    vec threshold[NVEC], x[NVEC], s[NVEC];
    load_row(threshold, (const REAL *)a->thresholds + at.d, 1, at);
    for (int64_t t = 0; t < end; t++) {
        const REAL *row = row_of(a->x, a->x_stride, at, t);
        prefetch_row(row, AHEAD * a->x_stride[1], a->x_stride[2], at);
        load_row(x, row, a->x_stride[2], at);
        /* With no state to tell of a NaN, the spike does. */
        for (int j = 0; j < at.nv; j++)
            s[j] = select(x[j] == x[j], (vec)((mask)one & (x[j] >= threshold[j])), x[j]);
        store_row(s_out + t * D, s, at, around);
    }
    zero_rows(s_out, end, a->T, D, at);
}

INLINE void spike_backward_block(const spike_args *a, place at) {
    const int64_t D = a->D, end = a->has_lengths ? a->lengths[at.b] : a->T;
    REAL *gx = (REAL *)a->gx + at.b * a->T * D + at.d;
    const int around = streams(gx, D, a->B * a->T * D, at);
    double sum[BLOCK] = {0};
    vec threshold[NVEC], v[NVEC], g[NVEC], sg[NVEC];
    load_row(threshold, (const REAL *)a->thresholds + at.d, 1, at);
    for (int64_t t = 0; t < end; t++) {
        const REAL *row = row_of(a->x, a->x_stride, at, t), *gs = row_of(a->gs, a->gs_stride, at, t);
        prefetch_row(row, AHEAD * a->x_stride[1], a->x_stride[2], at);
        prefetch_row(gs, AHEAD * a->gs_stride[1], a->gs_stride[2], at);
        load_row(v, row, a->x_stride[2], at);
        load_row(g, gs, a->gs_stride[2], at);
        for (int j = 0; j < at.nv; j++) v[j] = v[j] - threshold[j];
        surrogate_rows(sg, v, at.nv, 0, (int)a->surrogate, (REAL)a->surrogate_parameter);
        for (int j = 0; j < at.nv; j++) g[j] = splat(0) + g[j] * sg[j];
        store_row(gx + t * D, g, at, around);
        for (int i = 0; a->want_gthresholds && i < at.n; i++) sum[i] -= ((REAL *)g)[i];
    }
    zero_rows(gx, end, a->T, D, at);
    if (a->want_gthresholds) memcpy(a->gthresholds + at.b * D + at.d, sum, sizeof(double) * (size_t)at.n);
}

BLOCK_KERNEL(spike_forward, spike_args, spike_forward_block(a, at))
BLOCK_KERNEL(spike_backward, spike_args, spike_backward_block(a, at))
