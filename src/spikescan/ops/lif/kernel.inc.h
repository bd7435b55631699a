/* Leaky integrate-and-fire with soft, hard or no reset, fused with its spikes.
 *
 *   u_t = beta v_{t-1} + x_t     s_t = [u_t >= threshold]     v_t = reset(u_t, s_t)
 *   soft: v = u - threshold s    hard: v = s ? v_reset : u    none: v = u
 *   every: v = 0 at each step, which leaves the memoryless spatial neuron
 *
 * The state is v. The backward pass recomputes u from the checkpoints of v that forward left, then
 * runs e_{t-1} = beta delta_t, delta_t = gs_t sg_t + gu_t + (dv_t/du_t) e_t backwards in time.
 */
enum { RESET_NONE, RESET_SOFT, RESET_HARD, RESET_EVERY };
typedef struct {
    /* inputs; strides are in elements, (batch, time, channel) */
    const void *x, *beta, *v0, *gs, *gu, *gv;
    const int64_t *lengths;
    int64_t has_v0, has_gs, has_gu, has_gv, has_lengths;
    int64_t x_stride[3], gs_stride[3], gu_stride[3];
    /* outputs, contiguous: (B, T, D), (B, T, D), (B, D), (B, ceil(T / SPAN), D) */
    void *s, *u, *v, *checkpoints;
    /* gradients: (B, T, D), (B, D) float64, (B, D) */
    void *gx, *gbeta, *gv0;
    int64_t has_u, has_checkpoints, has_gbeta;
    int64_t B, T, D, reset, detach, surrogate, threads;
    double threshold, v_reset, alpha;
} lif_args;

INLINE vec lif_reset(vec u, mask s, vec th, vec v_reset, int reset) {
    if (reset == RESET_SOFT) return u - (vec)((mask)th & s);
    if (reset == RESET_HARD) return select(s, v_reset, u);
    if (reset == RESET_EVERY) return splat(0);
    return u;
}

/* One span of a few columns. `plain` is the usual case, known to the compiler: whole vectors of
 * neighbours, and spikes are all that is asked for. */
INLINE void lif_forward_span(const lif_args *a, place at, int64_t first, int rows, vec *v_row, int around,
                             int plain, int reset) {
    if (plain) at.nv = COLUMNS, at.n = COLUMNS * LANES;
    const int64_t b = at.b, d = at.d, T = a->T, D = a->D;
    const ptrdiff_t dx = plain ? 1 : a->x_stride[2];
    const REAL *x = row_of(a->x, a->x_stride, at, first);
    REAL *s_out = (REAL *)a->s + (b * T + first) * D + d;
    const int watched = a->has_u && !plain;
    REAL *u_out = watched ? (REAL *)a->u + (b * T + first) * D + d : NULL;
    const vec th = splat((REAL)a->threshold), v_reset = splat((REAL)a->v_reset), one = splat(1);
    vec beta[COLUMNS], v[COLUMNS], in[COLUMNS], s[COLUMNS], u[COLUMNS];
    load_row(beta, (const REAL *)a->beta + d, 1, at);
    for (int j = 0; j < at.nv; j++) v[j] = v_row[j];
    for (int k = 0; k < rows; k++) {
        prefetch_row(x, (k + SPAN) * a->x_stride[1], dx, at);
        load_row(in, x + k * a->x_stride[1], dx, at);
        for (int j = 0; j < at.nv; j++) {
            u[j] = beta[j] * v[j] + in[j];
            const mask fire = u[j] >= th;
            s[j] = (vec)((mask)one & fire);
            v[j] = lif_reset(u[j], fire, th, v_reset, reset);
        }
        store_row(s_out + k * D, s, at, around);
        if (watched) store_row(u_out + k * D, u, at, around);
    }
    for (int j = 0; j < at.nv; j++) v_row[j] = v[j];
}

INLINE void lif_forward_block(const lif_args *a, place at, int reset) {
    const int64_t b = at.b, d = at.d, T = a->T, D = a->D, end = a->has_lengths ? a->lengths[b] : T;
    REAL *s_out = (REAL *)a->s + b * T * D + d;
    const int saved = a->has_checkpoints != 0;
    REAL *save = saved ? (REAL *)a->checkpoints + b * spans_of(T) * D + d : NULL;
    const int around = streams(s_out, D, a->B * T * D, at);
    vec v[NVEC] = {0};
    if (a->has_v0) load_row(v, (const REAL *)a->v0 + b * D + d, 1, at);
    for (int64_t first = 0; first < end; first += SPAN) {
        const int rows = (int)(end - first < SPAN ? end - first : SPAN);
        if (saved) store_row(save + first / SPAN * D, v, at, 0);
        for (int j = 0; j < at.nv; j += COLUMNS) {
            const place part = columns_of(at, j);
            if (part.n == COLUMNS * LANES && a->x_stride[2] == 1 && !a->has_u)
                lif_forward_span(a, part, first, rows, v + j, around, 1, reset);
            else
                lif_forward_span(a, part, first, rows, v + j, around, 0, reset);
        }
    }
    store_row((REAL *)a->v + b * D + d, v, at, 0);
    zero_rows(s_out, end, T, D, at);
    if (a->has_u) zero_rows((REAL *)a->u + b * T * D + d, end, T, D, at);
    if (saved) zero_rows(save, spans_of(end), spans_of(T), D, at);
}

/* One span of a few columns, last step first; e = dL/dv as it arrives from later steps. `plain` is
 * the usual case again: whole vectors of neighbours, no gradient but that of spikes. */
INLINE void lif_backward_span(const lif_args *a, place at, int64_t first, int rows, vec *e_row,
                              double *gbeta, int around, int plain, int learn, int reset, int detach) {
    if (plain) at.nv = COLUMNS, at.n = COLUMNS * LANES;
    const int64_t b = at.b, d = at.d, D = a->D;
    const ptrdiff_t dx = plain ? 1 : a->x_stride[2], dgs = plain ? 1 : a->gs_stride[2], dgu = a->gu_stride[2];
    const REAL *x = row_of(a->x, a->x_stride, at, first);
    const REAL *gs = row_of(a->gs, a->gs_stride, at, first);
    const REAL *gu = row_of(a->gu, a->gu_stride, at, first);
    const int fires = plain || a->has_gs, watched = !plain && a->has_gu;
    const int resets = !detach && (reset == RESET_SOFT || reset == RESET_HARD);
    const REAL *save = (const REAL *)a->checkpoints + (b * spans_of(a->T) + first / SPAN) * D + d;
    REAL *gx = (REAL *)a->gx + (b * a->T + first) * D + d;
    const vec th = splat((REAL)a->threshold), v_reset = splat((REAL)a->v_reset), one = splat(1);
    vec u[SPAN * COLUMNS], sg[SPAN * COLUMNS];
    vec beta[COLUMNS], v[COLUMNS], in[COLUMNS], g[COLUMNS], m[COLUMNS], out[COLUMNS], e[COLUMNS], acc[COLUMNS];
    load_row(beta, (const REAL *)a->beta + d, 1, at);
    load_row(v, save, 1, at);
    for (int k = 0; k < rows; k++) {
        prefetch_row(x, (k - SPAN) * a->x_stride[1], dx, at);
        load_row(in, x + k * a->x_stride[1], dx, at);
        for (int j = 0; j < at.nv; j++) {
            const vec now = beta[j] * v[j] + in[j];
            u[k * at.nv + j] = now;
            v[j] = lif_reset(now, now >= th, th, v_reset, reset);
        }
    }
    if (fires || resets)
        surrogate_rows(sg, u, rows * at.nv, (REAL)a->threshold, (int)a->surrogate, (REAL)a->alpha);
    load_row(v, save, 1, at);
    for (int j = 0; j < at.nv; j++) e[j] = e_row[j], acc[j] = splat(0);
    for (int k = rows - 1; k >= 0; k--) {
        if (fires) prefetch_row(gs, (k - SPAN) * a->gs_stride[1], dgs, at);
        if (fires) load_row(g, gs + k * a->gs_stride[1], dgs, at);
        if (watched) load_row(m, gu + k * a->gu_stride[1], dgu, at);
        for (int j = 0; j < at.nv; j++) {
            const int i = k * at.nv + j;
            vec slope = one; /* dv_t/du_t */
            if (reset == RESET_EVERY) slope = splat(0);
            if (reset == RESET_SOFT && resets) slope = one - th * sg[i];
            if (reset == RESET_HARD) {
                slope = (vec)((mask)one & ~(u[i] >= th));
                if (resets) slope = slope + (v_reset - u[i]) * sg[i];
            }
            vec delta = slope * e[j];
            if (fires) delta = delta + g[j] * sg[i];
            if (watched) delta = delta + m[j];
            out[j] = delta;
            /* Without memory nothing goes back, not even the NaN that 0 * inf would give. */
            e[j] = beta[j] * delta;
            if (reset == RESET_EVERY) e[j] = splat(0);
            if (learn) {
                const vec before = k ? lif_reset(u[i - at.nv], u[i - at.nv] >= th, th, v_reset, reset) : v[j];
                acc[j] = acc[j] + delta * before;
            }
        }
        store_row(gx + k * D, out, at, around);
    }
    for (int j = 0; j < at.nv; j++) e_row[j] = e[j];
    for (int i = 0; learn && i < at.n; i++) gbeta[i] += ((REAL *)acc)[i];
}

INLINE void lif_backward_block(const lif_args *a, place at, int reset, int detach) {
    const int64_t b = at.b, d = at.d, T = a->T, D = a->D, end = a->has_lengths ? a->lengths[b] : T;
    REAL *gx = (REAL *)a->gx + b * T * D + d;
    const int around = streams(gx, D, a->B * T * D, at);
    const int ordinary = a->x_stride[2] == 1 && a->has_gs && a->gs_stride[2] == 1 && !a->has_gu;
    vec e[NVEC] = {0};
    double gbeta[BLOCK] = {0};
    if (a->has_gv) load_row(e, (const REAL *)a->gv + b * D + d, 1, at);
    zero_rows(gx, end, T, D, at);
    for (int64_t first = (end - 1) / SPAN * SPAN; end > 0 && first >= 0; first -= SPAN) {
        const int rows = (int)(end - first < SPAN ? end - first : SPAN);
        for (int j = 0; j < at.nv; j += COLUMNS) {
            const place part = columns_of(at, j);
            const int plain = ordinary && part.n == COLUMNS * LANES;
#define EACH(PLAIN, LEARN) \
    lif_backward_span(a, part, first, rows, e + j, gbeta + j * LANES, around, PLAIN, LEARN, reset, detach)
            if (plain && a->has_gbeta) EACH(1, 1);
            else if (plain) EACH(1, 0);
            else EACH(0, a->has_gbeta != 0);
#undef EACH
        }
    }
    if (a->has_gbeta) memcpy((double *)a->gbeta + b * D + d, gbeta, sizeof(double) * (size_t)at.n);
    store_row((REAL *)a->gv0 + b * D + d, e, at, 0);
}

/* The switches give each reset its own loop. */
INLINE void lif_forward_any(const lif_args *a, place at) {
    switch (a->reset) {
    case RESET_NONE: lif_forward_block(a, at, RESET_NONE); break;
    case RESET_SOFT: lif_forward_block(a, at, RESET_SOFT); break;
    case RESET_HARD: lif_forward_block(a, at, RESET_HARD); break;
    case RESET_EVERY: lif_forward_block(a, at, RESET_EVERY); break;
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
    case RESET_EVERY * 2:
    case RESET_EVERY * 2 + 1: lif_backward_block(a, at, RESET_EVERY, 1); break;
    }
}

BLOCK_KERNEL(lif_forward, lif_args, lif_forward_any(a, at))
BLOCK_KERNEL(lif_backward, lif_args, lif_backward_any(a, at))
