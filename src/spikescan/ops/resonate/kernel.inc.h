/* Parallel resonate-and-fire: a damped complex oscillator whose real part fires, no reset.
 *
 *   u_t = p u_{t-1} - q r_{t-1} + gain x_t     r_t = q u_{t-1} + p r_{t-1}     s_t = [u_t >= threshold]
 *
 * The state is z = (u, r), one complex number that each step multiplies by a = p + iq. The backward
 * pass recomputes it from checkpoints, then runs e_t = gs_t sg_t + gm_t + conj(a) e_{t+1}.
 */
#define COLUMNS 2 /* a backward step with gradients of parameters carries seven numbers a channel */
#include "../_core/cpu/surrogate.inc.h"

typedef struct {
    /* thresholds (D,), or the number below where all channels have the same */
    const void *x, *thresholds, *u0, *r0, *gs, *gmembrane, *gu, *gr;
    const int64_t *lengths;
    int64_t has_thresholds, has_u0, has_r0, has_gs, has_gmembrane, has_gu, has_gr, has_lengths;
    int64_t x_stride[3], gs_stride[3], gmembrane_stride[3];
    /* rows p, q, gain (3, D), exact; and rounded, which forward makes and backward reads */
    const double *exact;
    void *rows;
    /* spikes, membrane: (B, T, D); final u, r: (B, D); checkpoints (B, 2, ceil(T / SPAN), D) */
    void *s, *membrane, *u, *r, *checkpoints;
    /* gradients: (B, T, D), (B, D), (B, D) */
    void *gx, *gu0, *gr0;
    /* rows delta, theta, tau (3, D); gradients of p, q, gain for each row (B, 3, D), of the
     * parameters (3, D), and of the thresholds for each row (B, D) */
    const double *parameters;
    double *gpqg, *gparameters, *gthresholds;
    int64_t want_membrane, save, want_gparameters, want_gthresholds;
    int64_t B, T, D, surrogate, threads;
    double threshold, surrogate_parameter;
} resonate_args;
LAYOUT(resonate, x, thresholds, u0, r0, gs, gmembrane, gu, gr, lengths, has_thresholds, has_u0, has_r0,
       has_gs, has_gmembrane, has_gu, has_gr, has_lengths, x_stride, gs_stride, gmembrane_stride, exact, rows,
       s, membrane, u, r, checkpoints, gx, gu0, gr0, parameters, gpqg, gparameters, gthresholds,
       want_membrane, save, want_gparameters, want_gthresholds, B, T, D, surrogate, threads, threshold,
       surrogate_parameter)
CONSTANTS(resonate, SPAN)

/* p, q, gain and threshold of a few columns; the last is their `own`, or the same number for all. */
INLINE void load_ring(vec *p, vec *q, vec *gain, vec *th, const resonate_args *a, place at, int own) {
    const REAL *rows = (const REAL *)a->rows + at.d;
    load_row(p, rows, 1, at);
    load_row(q, rows + a->D, 1, at);
    load_row(gain, rows + 2 * a->D, 1, at);
    for (int j = 0; j < at.nv; j++) th[j] = splat((REAL)a->threshold);
    if (own) load_row(th, (const REAL *)a->thresholds + at.d, 1, at);
}

/* One span of a few columns. `plain` is the usual case, known to the compiler: whole vectors of
 * neighbours, and spikes are all that is asked for. */
INLINE void resonate_forward_span(const resonate_args *a, place at, int64_t first, int rows, vec *u_row,
                                  vec *r_row, int around, int plain, int own) {
    if (plain) at.nv = COLUMNS, at.n = COLUMNS * LANES;
    const int64_t b = at.b, d = at.d, T = a->T, D = a->D;
    const ptrdiff_t dx = plain ? 1 : a->x_stride[2];
    const REAL *x = row_of(a->x, a->x_stride, at, first);
    REAL *s_out = (REAL *)a->s + (b * T + first) * D + d;
    const int watched = a->want_membrane && !plain;
    REAL *m_out = watched ? (REAL *)a->membrane + (b * T + first) * D + d : NULL;
    const vec one = splat(1);
    vec p[COLUMNS], q[COLUMNS], gain[COLUMNS], th[COLUMNS], u[COLUMNS], r[COLUMNS], in[COLUMNS], s[COLUMNS];
    load_ring(p, q, gain, th, a, at, own);
    for (int j = 0; j < at.nv; j++) u[j] = u_row[j], r[j] = r_row[j];
    for (int k = 0; k < rows; k++) {
        prefetch_row(x, (k + SPAN) * a->x_stride[1], dx, at);
        load_row(in, x + k * a->x_stride[1], dx, at);
        for (int j = 0; j < at.nv; j++) {
            const vec now = (p[j] * u[j] - q[j] * r[j]) + gain[j] * in[j];
            r[j] = q[j] * u[j] + p[j] * r[j];
            u[j] = now;
            s[j] = (vec)((mask)one & (now >= th[j]));
        }
        store_row(s_out + k * D, s, at, around);
        if (watched) store_row(m_out + k * D, u, at, around);
    }
    for (int j = 0; j < at.nv; j++) u_row[j] = u[j], r_row[j] = r[j];
}

INLINE void resonate_forward_block(const resonate_args *a, place at) {
    const int64_t b = at.b, d = at.d, T = a->T, D = a->D, end = a->has_lengths ? a->lengths[b] : T;
    const int64_t spans = spans_of(T);
    REAL *s_out = (REAL *)a->s + b * T * D + d;
    const int saved = a->save != 0;
    REAL *save = saved ? (REAL *)a->checkpoints + b * 2 * spans * D + d : NULL;
    const int around = streams(s_out, D, a->B * T * D, at);
    vec u[NVEC] = {0}, r[NVEC] = {0};
    if (a->has_u0) load_row(u, (const REAL *)a->u0 + b * D + d, 1, at);
    if (a->has_r0) load_row(r, (const REAL *)a->r0 + b * D + d, 1, at);
    for (int64_t first = 0; first < end; first += SPAN) {
        const int rows = (int)(end - first < SPAN ? end - first : SPAN);
        if (saved) {
            store_row(save + first / SPAN * D, u, at, 0);
            store_row(save + (spans + first / SPAN) * D, r, at, 0);
        }
        for (int j = 0; j < at.nv; j += COLUMNS) {
            const place part = columns_of(at, j);
            const int plain = part.n == COLUMNS * LANES && a->x_stride[2] == 1 && !a->want_membrane;
            if (plain && !a->has_thresholds)
                resonate_forward_span(a, part, first, rows, u + j, r + j, around, 1, 0);
            else if (plain) resonate_forward_span(a, part, first, rows, u + j, r + j, around, 1, 1);
            else resonate_forward_span(a, part, first, rows, u + j, r + j, around, 0, a->has_thresholds != 0);
        }
    }
    store_row((REAL *)a->u + b * D + d, u, at, 0);
    store_row((REAL *)a->r + b * D + d, r, at, 0);
    zero_rows(s_out, end, T, D, at);
    if (a->want_membrane) zero_rows((REAL *)a->membrane + b * T * D + d, end, T, D, at);
    for (int part = 0; saved && part < 2; part++)
        zero_rows(save + part * spans * D, spans_of(end), spans, D, at);
}

/* One span of a few columns, last step first; e = (eu, er) = dL/dz as it arrives from later steps.
 * What dL/da = sum_t e_t conj(z_{t-1}) takes from the inputs of the span is a sum over them,
 *
 *   sum_s gain x_s m_s + conj(z before the span) m before it,   m_{s-1} = e_s + conj(a) m_s
 *
 * so that no state of the span is kept and all that is carried stays in registers. `plain` is the
 * usual case again: whole vectors of neighbours, no gradient but that of spikes. */
INLINE void resonate_backward_span(const resonate_args *a, place at, int64_t first, int rows, vec *eu_row,
                                   vec *er_row, double *sums, int around, int plain, int learn, int own) {
    if (plain) at.nv = COLUMNS, at.n = COLUMNS * LANES;
    const int64_t b = at.b, d = at.d, D = a->D, spans = spans_of(a->T);
    const ptrdiff_t dx = plain ? 1 : a->x_stride[2], dgs = plain ? 1 : a->gs_stride[2],
                    dgm = a->gmembrane_stride[2];
    const REAL *x = row_of(a->x, a->x_stride, at, first);
    const REAL *gs = row_of(a->gs, a->gs_stride, at, first);
    const REAL *gm = row_of(a->gmembrane, a->gmembrane_stride, at, first);
    const int fires = plain || a->has_gs, watched = !plain && a->has_gmembrane;
    const int lifts = own && fires && a->want_gthresholds;
    const REAL *save = (const REAL *)a->checkpoints + (b * 2 * spans + first / SPAN) * D + d;
    REAL *gx = (REAL *)a->gx + (b * a->T + first) * D + d;
    vec p[COLUMNS], q[COLUMNS], gain[COLUMNS], th[COLUMNS], u[COLUMNS], r[COLUMNS], in[COLUMNS], out[COLUMNS];
    vec g[COLUMNS], m[COLUMNS], sg[SPAN * COLUMNS]; /* the membrane, then the surrogate's derivative */
    load_ring(p, q, gain, th, a, at, own);
    load_row(u, save, 1, at);
    load_row(r, save + spans * D, 1, at);
    for (int k = 0; k < rows; k++) {
        load_row(in, x + k * a->x_stride[1], dx, at);
        for (int j = 0; j < at.nv; j++) {
            const vec now = (p[j] * u[j] - q[j] * r[j]) + gain[j] * in[j];
            r[j] = q[j] * u[j] + p[j] * r[j];
            u[j] = now;
            sg[k * at.nv + j] = now;
            if (own) sg[k * at.nv + j] = now - th[j];
        }
    }
    if (fires)
        surrogate_rows(sg, sg, rows * at.nv, own ? 0 : (REAL)a->threshold, (int)a->surrogate,
                       (REAL)a->surrogate_parameter);
    vec eu[COLUMNS], er[COLUMNS], mu[COLUMNS], mr[COLUMNS], gp[COLUMNS], gq[COLUMNS], gg[COLUMNS],
        gth[COLUMNS];
    for (int j = 0; j < at.nv; j++) {
        eu[j] = eu_row[j], er[j] = er_row[j];
        mu[j] = mr[j] = gp[j] = gq[j] = gg[j] = gth[j] = splat(0);
    }
    for (int k = rows - 1; k >= 0; k--) {
        prefetch_row(x, (k - SPAN) * a->x_stride[1], dx, at);
        if (fires) prefetch_row(gs, (k - SPAN) * a->gs_stride[1], dgs, at);
        if (fires) load_row(g, gs + k * a->gs_stride[1], dgs, at);
        if (watched) load_row(m, gm + k * a->gmembrane_stride[1], dgm, at);
        if (learn) load_row(in, x + k * a->x_stride[1], dx, at);
        for (int j = 0; j < at.nv; j++) {
            vec du = eu[j];
            if (fires) du = du + g[j] * sg[k * at.nv + j];
            if (lifts) gth[j] = gth[j] - g[j] * sg[k * at.nv + j];
            if (watched) du = du + m[j];
            out[j] = gain[j] * du;
            if (learn) {
                gp[j] = gp[j] + in[j] * mu[j];
                gq[j] = gq[j] + in[j] * mr[j];
                gg[j] = gg[j] + in[j] * du;
                const vec next = (p[j] * mu[j] + q[j] * mr[j]) + du;
                mr[j] = (p[j] * mr[j] - q[j] * mu[j]) + er[j];
                mu[j] = next;
            }
            eu[j] = p[j] * du + q[j] * er[j];
            er[j] = p[j] * er[j] - q[j] * du;
        }
        store_row(gx + k * D, out, at, around);
    }
    for (int j = 0; j < at.nv; j++) eu_row[j] = eu[j], er_row[j] = er[j];
    for (int l = 0; lifts && l < at.n; l++) sums[3 * BLOCK + l] += ((REAL *)gth)[l];
    if (!learn) return;
    load_row(u, save, 1, at);
    load_row(r, save + spans * D, 1, at);
    for (int j = 0; j < at.nv; j++) {
        gp[j] = gain[j] * gp[j] + (mu[j] * u[j] + mr[j] * r[j]);
        gq[j] = gain[j] * gq[j] + (mr[j] * u[j] - mu[j] * r[j]);
    }
    for (int l = 0; l < at.n; l++) {
        sums[l] += ((REAL *)gp)[l];
        sums[BLOCK + l] += ((REAL *)gq)[l];
        sums[2 * BLOCK + l] += ((REAL *)gg)[l];
    }
}

INLINE void resonate_backward_block(const resonate_args *a, place at) {
    const int64_t b = at.b, d = at.d, T = a->T, D = a->D, end = a->has_lengths ? a->lengths[b] : T;
    REAL *gx = (REAL *)a->gx + b * T * D + d;
    const int around = streams(gx, D, a->B * T * D, at);
    const int ordinary = a->x_stride[2] == 1 && a->has_gs && a->gs_stride[2] == 1 && !a->has_gmembrane;
    vec eu[NVEC] = {0}, er[NVEC] = {0};
    double sums[4 * BLOCK] = {0}; /* of p, q, the gain and the threshold */
    if (a->has_gu) load_row(eu, (const REAL *)a->gu + b * D + d, 1, at);
    if (a->has_gr) load_row(er, (const REAL *)a->gr + b * D + d, 1, at);
    zero_rows(gx, end, T, D, at);
    for (int64_t first = (end - 1) / SPAN * SPAN; end > 0 && first >= 0; first -= SPAN) {
        const int rows = (int)(end - first < SPAN ? end - first : SPAN);
        for (int j = 0; j < at.nv; j += COLUMNS) {
            const place part = columns_of(at, j);
            const int plain = ordinary && part.n == COLUMNS * LANES;
#define EACH(PLAIN, LEARN, OWN) \
    resonate_backward_span(a, part, first, rows, eu + j, er + j, sums + j * LANES, around, PLAIN, LEARN, OWN)
            const int learn = a->want_gparameters != 0;
            if (plain && a->has_thresholds) EACH(1, learn, 1);
            else if (plain && learn) EACH(1, 1, 0);
            else if (plain) EACH(1, 0, 0);
            else EACH(0, learn, a->has_thresholds != 0);
#undef EACH
        }
    }
    if (a->want_gparameters)
        for (int c = 0; c < 3; c++)
            memcpy(a->gpqg + (b * 3 + c) * D + d, sums + c * BLOCK, sizeof(double) * (size_t)at.n);
    if (a->want_gthresholds)
        memcpy(a->gthresholds + b * D + d, sums + 3 * BLOCK, sizeof(double) * (size_t)at.n);
    store_row((REAL *)a->gu0 + b * D + d, eu, at, 0);
    store_row((REAL *)a->gr0 + b * D + d, er, at, 0);
}

BLOCK_KERNEL(resonate_forward_blocks, resonate_args, resonate_forward_block(a, at))
BLOCK_KERNEL(resonate_backward_blocks, resonate_args, resonate_backward_block(a, at))

/* Round the coefficients: p and q one step towards zero where |p + iq| would exceed one, so that no
 * state grows that should not. */
KERNEL(resonate_forward)(const resonate_args *a) {
    REAL *rows = a->rows;
    for (int64_t i = 0; i < 3 * a->D; i++) rows[i] = (REAL)a->exact[i];
    for (int64_t d = 0; d < a->D; d++) {
        const double p = rows[d], q = rows[a->D + d];
        for (int64_t i = d; p * p + q * q > 1 && i < 2 * a->D; i += a->D) {
            MASK_INT bits;
            memcpy(&bits, rows + i, sizeof bits);
            bits -= rows[i] != 0;
            memcpy(rows + i, &bits, sizeof bits);
        }
    }
    CAT(spikescan_resonate_forward_blocks_, SUFFIX)(a);
}

/* From p + iq = exp(delta (-1 / tau + i theta)), gain = delta and conj(g) (p + iq) = u + iw. */
KERNEL(resonate_backward)(const resonate_args *a) {
    const int64_t D = a->D;
    CAT(spikescan_resonate_backward_blocks_, SUFFIX)(a);
    for (int64_t d = 0; a->want_gparameters && d < D; d++) {
        const double delta = a->parameters[d], theta = a->parameters[D + d], tau = a->parameters[2 * D + d];
        const double p = ((const REAL *)a->rows)[d], q = ((const REAL *)a->rows)[D + d];
        double g[3] = {0}; /* of p, q and gain, over the batch */
        for (int64_t b = 0; b < a->B; b++)
            for (int c = 0; c < 3; c++) g[c] += a->gpqg[(b * 3 + c) * D + d];
        const double u = g[0] * p + g[1] * q, w = g[1] * p - g[0] * q;
        a->gparameters[d] = theta * w - u / tau + g[2];
        a->gparameters[D + d] = delta * w;
        a->gparameters[2 * D + d] = u * delta / (tau * tau);
    }
}
