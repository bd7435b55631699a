/* Leaky integrate-and-fire with soft, hard or no reset, fused with its spikes.
 *
 *   u_t = beta v_{t-1} + x_t     s_t = [u_t >= threshold]     v_t = reset(u_t, s_t)
 *   soft: v = u - threshold s    hard: v = s ? v_reset : u    none: v = u
 *
 * The state is v. The backward pass recomputes u from the checkpoints of v that forward left, then
 * runs e_{t-1} = beta delta_t, delta_t = gs_t sg_t + gu_t + (dv_t/du_t) e_t backwards in time.
 */
#include "../_core/cpu/surrogate.inc.h"

enum { RESET_NONE, RESET_SOFT, RESET_HARD };
typedef struct {
    /* inputs; strides are in elements, (batch, time, channel); thresholds are rows threshold, v_reset
     * (2, D), and the two numbers below where all channels have the same */
    const void *x, *beta, *thresholds, *v0, *gs, *gmembrane, *gv;
    const int64_t *lengths;
    int64_t has_thresholds, has_v0, has_gs, has_gmembrane, has_gv, has_lengths;
    int64_t x_stride[3], gs_stride[3], gmembrane_stride[3];
    /* outputs, contiguous: (B, T, D), (B, T, D), (B, D), (B, ceil(T / SPAN), D) */
    void *s, *membrane, *v, *checkpoints;
    /* gradients: (B, T, D), (B, D) float64, (B, 2, D) float64, (B, D) */
    void *gx;
    double *gbeta, *gthresholds;
    void *gv0;
    int64_t want_membrane, save, want_gbeta, want_gthresholds;
    int64_t B, T, D, reset, detach, surrogate, threads;
    double threshold, v_reset, surrogate_parameter;
} lif_args;
LAYOUT(lif, x, beta, thresholds, v0, gs, gmembrane, gv, lengths, has_thresholds, has_v0, has_gs,
       has_gmembrane, has_gv, has_lengths, x_stride, gs_stride, gmembrane_stride, s, membrane, v, checkpoints,
       gx, gbeta, gthresholds, gv0, want_membrane, save, want_gbeta, want_gthresholds, B, T, D, reset, detach,
       surrogate, threads, threshold, v_reset, surrogate_parameter)
CONSTANTS(lif, SPAN, RESET_NONE, RESET_SOFT, RESET_HARD)

INLINE vec lif_reset(vec u, mask s, vec th, vec v_reset, int reset) {
    if (reset == RESET_SOFT) return u - (vec)((mask)th & s);
    if (reset == RESET_HARD) return select(s, v_reset, u);
    return u;
}

/* Threshold and v_reset of a few columns: `own` ones, or the same numbers for all. */
INLINE void load_thresholds(vec *th, vec *v_reset, const lif_args *a, place at, int own) {
    for (int j = 0; j < at.nv; j++) th[j] = splat((REAL)a->threshold), v_reset[j] = splat((REAL)a->v_reset);
    if (!own) return;
    load_row(th, (const REAL *)a->thresholds + at.d, 1, at);
    load_row(v_reset, (const REAL *)a->thresholds + a->D + at.d, 1, at);
}

/* One span of a few columns. `plain` is the usual case, known to the compiler: whole vectors of
 * neighbours, and spikes are all that is asked for. */
INLINE void lif_forward_span(const lif_args *a, place at, int64_t first, int rows, vec *v_row, int around,
                             int plain, int own, int reset) {
    if (plain) at.nv = COLUMNS, at.n = COLUMNS * LANES;
    const int64_t b = at.b, d = at.d, T = a->T, D = a->D;
    const ptrdiff_t dx = plain ? 1 : a->x_stride[2];
    const REAL *x = row_of(a->x, a->x_stride, at, first);
    REAL *s_out = (REAL *)a->s + (b * T + first) * D + d;
    const int watched = a->want_membrane && !plain;
    REAL *m_out = watched ? (REAL *)a->membrane + (b * T + first) * D + d : NULL;
    const vec one = splat(1);
    vec beta[COLUMNS], th[COLUMNS], v_reset[COLUMNS], v[COLUMNS], in[COLUMNS], s[COLUMNS], u[COLUMNS];
    load_thresholds(th, v_reset, a, at, own);
    load_row(beta, (const REAL *)a->beta + d, 1, at);
    for (int j = 0; j < at.nv; j++) v[j] = v_row[j];
    for (int k = 0; k < rows; k++) {
        prefetch_row(x, (k + SPAN) * a->x_stride[1], dx, at);
        load_row(in, x + k * a->x_stride[1], dx, at);
        for (int j = 0; j < at.nv; j++) {
            u[j] = beta[j] * v[j] + in[j];
            const mask fire = u[j] >= th[j];
            s[j] = (vec)((mask)one & fire);
            v[j] = lif_reset(u[j], fire, th[j], v_reset[j], reset);
        }
        store_row(s_out + k * D, s, at, around);
        if (watched) store_row(m_out + k * D, u, at, around);
    }
    for (int j = 0; j < at.nv; j++) v_row[j] = v[j];
}

INLINE void lif_forward_block(const lif_args *a, place at, int reset) {
    const int64_t b = at.b, d = at.d, T = a->T, D = a->D, end = a->has_lengths ? a->lengths[b] : T;
    REAL *s_out = (REAL *)a->s + b * T * D + d;
    const int saved = a->save != 0;
    REAL *save = saved ? (REAL *)a->checkpoints + b * spans_of(T) * D + d : NULL;
    const int around = streams(s_out, D, a->B * T * D, at);
    vec v[NVEC] = {0};
    if (a->has_v0) load_row(v, (const REAL *)a->v0 + b * D + d, 1, at);
    for (int64_t first = 0; first < end; first += SPAN) {
        const int rows = (int)(end - first < SPAN ? end - first : SPAN);
        if (saved) store_row(save + first / SPAN * D, v, at, 0);
        for (int j = 0; j < at.nv; j += COLUMNS) {
            const place part = columns_of(at, j);
            const int plain = part.n == COLUMNS * LANES && a->x_stride[2] == 1 && !a->want_membrane;
            if (plain && !a->has_thresholds)
                lif_forward_span(a, part, first, rows, v + j, around, 1, 0, reset);
            else if (plain) lif_forward_span(a, part, first, rows, v + j, around, 1, 1, reset);
            else lif_forward_span(a, part, first, rows, v + j, around, 0, a->has_thresholds != 0, reset);
        }
    }
    store_row((REAL *)a->v + b * D + d, v, at, 0);
    zero_rows(s_out, end, T, D, at);
    if (a->want_membrane) zero_rows((REAL *)a->membrane + b * T * D + d, end, T, D, at);
    if (saved) zero_rows(save, spans_of(end), spans_of(T), D, at);
}

/* One span of a few columns, last step first; e = dL/dv as it arrives from later steps. `plain` is
 * the usual case again: whole vectors of neighbours, no gradient but that of spikes. `sums` are
 * those of beta, threshold and v_reset. */
INLINE void lif_backward_span(const lif_args *a, place at, int64_t first, int rows, vec *e_row, double *sums,
                              int around, int plain, int learn, int own, int reset, int detach) {
    if (plain) at.nv = COLUMNS, at.n = COLUMNS * LANES;
    const int64_t b = at.b, d = at.d, D = a->D;
    const ptrdiff_t dx = plain ? 1 : a->x_stride[2], dgs = plain ? 1 : a->gs_stride[2],
                    dgm = a->gmembrane_stride[2];
    const REAL *x = row_of(a->x, a->x_stride, at, first);
    const REAL *gs = row_of(a->gs, a->gs_stride, at, first);
    const REAL *gm = row_of(a->gmembrane, a->gmembrane_stride, at, first);
    const int fires = plain || a->has_gs, watched = !plain && a->has_gmembrane;
    const int resets = !detach && (reset == RESET_SOFT || reset == RESET_HARD);
    const REAL *save = (const REAL *)a->checkpoints + (b * spans_of(a->T) + first / SPAN) * D + d;
    REAL *gx = (REAL *)a->gx + (b * a->T + first) * D + d;
    const int lifts = own && a->want_gthresholds;
    const vec one = splat(1), zero = splat(0);
    vec u[SPAN * COLUMNS], sg[SPAN * COLUMNS];
    vec beta[COLUMNS], th[COLUMNS], v_reset[COLUMNS], v[COLUMNS], in[COLUMNS], g[COLUMNS], m[COLUMNS];
    vec out[COLUMNS], e[COLUMNS], acc[COLUMNS], acc_th[COLUMNS], acc_v[COLUMNS];
    load_thresholds(th, v_reset, a, at, own);
    load_row(beta, (const REAL *)a->beta + d, 1, at);
    load_row(v, save, 1, at);
    for (int k = 0; k < rows; k++) {
        prefetch_row(x, (k - SPAN) * a->x_stride[1], dx, at);
        load_row(in, x + k * a->x_stride[1], dx, at);
        for (int j = 0; j < at.nv; j++) {
            const vec now = beta[j] * v[j] + in[j];
            u[k * at.nv + j] = now;
            v[j] = lif_reset(now, now >= th[j], th[j], v_reset[j], reset);
            if (own) sg[k * at.nv + j] = now - th[j];
        }
    }
    if (fires || resets)
        surrogate_rows(sg, own ? sg : u, rows * at.nv, own ? 0 : (REAL)a->threshold, (int)a->surrogate,
                       (REAL)a->surrogate_parameter);
    load_row(v, save, 1, at);
    for (int j = 0; j < at.nv; j++) e[j] = e_row[j], acc[j] = acc_th[j] = acc_v[j] = zero;
    for (int k = rows - 1; k >= 0; k--) {
        if (fires) prefetch_row(gs, (k - SPAN) * a->gs_stride[1], dgs, at);
        if (fires) load_row(g, gs + k * a->gs_stride[1], dgs, at);
        if (watched) load_row(m, gm + k * a->gmembrane_stride[1], dgm, at);
        for (int j = 0; j < at.nv; j++) {
            const int i = k * at.nv + j;
            const mask fire = u[i] >= th[j];
            const vec turn = reset == RESET_HARD ? v_reset[j] - u[i] : zero - th[j]; /* dv_t/ds_t */
            vec slope = one;                                                         /* dv_t/du_t */
            if (reset == RESET_HARD) slope = (vec)((mask)one & ~fire);
            if (resets) slope = slope + turn * sg[i];
            vec delta = slope * e[j];
            if (fires) delta = delta + g[j] * sg[i];
            if (watched) delta = delta + m[j];
            out[j] = delta;
            if (lifts) {
                if (fires) acc_th[j] = acc_th[j] - g[j] * sg[i];
                if (resets) acc_th[j] = acc_th[j] - turn * sg[i] * e[j];
                if (reset == RESET_SOFT) acc_th[j] = acc_th[j] - (vec)((mask)e[j] & fire);
                if (reset == RESET_HARD) acc_v[j] = acc_v[j] + (vec)((mask)e[j] & fire);
            }
            e[j] = beta[j] * delta;
            if (learn) {
                const vec last = k ? u[i - at.nv] : v[j];
                const vec before = k ? lif_reset(last, last >= th[j], th[j], v_reset[j], reset) : v[j];
                acc[j] = acc[j] + delta * before;
            }
        }
        store_row(gx + k * D, out, at, around);
    }
    for (int j = 0; j < at.nv; j++) e_row[j] = e[j];
    for (int i = 0; learn && i < at.n; i++) sums[i] += ((REAL *)acc)[i];
    for (int i = 0; lifts && i < at.n; i++) {
        sums[BLOCK + i] += ((REAL *)acc_th)[i];
        sums[2 * BLOCK + i] += ((REAL *)acc_v)[i];
    }
}

INLINE void lif_backward_block(const lif_args *a, place at, int reset, int detach) {
    const int64_t b = at.b, d = at.d, T = a->T, D = a->D, end = a->has_lengths ? a->lengths[b] : T;
    REAL *gx = (REAL *)a->gx + b * T * D + d;
    const int around = streams(gx, D, a->B * T * D, at);
    const int ordinary = a->x_stride[2] == 1 && a->has_gs && a->gs_stride[2] == 1 && !a->has_gmembrane;
    vec e[NVEC] = {0};
    double sums[3 * BLOCK] = {0};
    if (a->has_gv) load_row(e, (const REAL *)a->gv + b * D + d, 1, at);
    zero_rows(gx, end, T, D, at);
    for (int64_t first = (end - 1) / SPAN * SPAN; end > 0 && first >= 0; first -= SPAN) {
        const int rows = (int)(end - first < SPAN ? end - first : SPAN);
        for (int j = 0; j < at.nv; j += COLUMNS) {
            const place part = columns_of(at, j);
            const int plain = ordinary && part.n == COLUMNS * LANES;
#define EACH(PLAIN, LEARN, OWN) \
    lif_backward_span(a, part, first, rows, e + j, sums + j * LANES, around, PLAIN, LEARN, OWN, reset, detach)
            const int learn = a->want_gbeta != 0;
            /* The decay's sum in any case: with a flag known at run time alone, gcc 12 fails on SSE2. */
            if (plain && a->has_thresholds) EACH(1, 1, 1);
            else if (plain && learn) EACH(1, 1, 0);
            else if (plain) EACH(1, 0, 0);
            else EACH(0, learn, a->has_thresholds != 0);
#undef EACH
        }
    }
    if (a->want_gbeta) memcpy(a->gbeta + b * D + d, sums, sizeof(double) * (size_t)at.n);
    for (int row = 0; a->want_gthresholds && row < 2; row++)
        memcpy(a->gthresholds + (b * 2 + row) * D + d, sums + (row + 1) * BLOCK,
               sizeof(double) * (size_t)at.n);
    store_row((REAL *)a->gv0 + b * D + d, e, at, 0);
}

/* The switches give each reset its own loop. */
INLINE void lif_forward_any(const lif_args *a, place at) {
    switch (a->reset) {
    case RESET_NONE: lif_forward_block(a, at, RESET_NONE); break;
    case RESET_SOFT: lif_forward_block(a, at, RESET_SOFT); break;
    case RESET_HARD: lif_forward_block(a, at, RESET_HARD); break;
    }
}

INLINE void lif_backward_any(const lif_args *a, place at) {
    switch (a->reset * 2 + (a->detach != 0)) {
    case RESET_NONE * 2:
    case RESET_NONE * 2 + 1: lif_backward_block(a, at, RESET_NONE, 1); break;
    case RESET_SOFT * 2: lif_backward_block(a, at, RESET_SOFT, 0); break;
    case RESET_SOFT * 2 + 1: lif_backward_block(a, at, RESET_SOFT, 1); break;
    case RESET_HARD * 2: lif_backward_block(a, at, RESET_HARD, 0); break;
    case RESET_HARD * 2 + 1: lif_backward_block(a, at, RESET_HARD, 1); break;
    }
}

BLOCK_KERNEL(lif_forward, lif_args, lif_forward_any(a, at))
BLOCK_KERNEL(lif_backward, lif_args, lif_backward_any(a, at))
