/* Parallel resonate-and-fire: a damped complex oscillator whose real part fires, no reset.
 *
 *   u_t = p u_{t-1} - q r_{t-1} + gain x_t     r_t = q u_{t-1} + p r_{t-1}     s_t = [u_t >= threshold]
 *
 * The state is (u, r). The backward pass recomputes it from checkpoints, then runs
 * eu_t = gs_t sg_t + gu_t + p eu_{t+1} + q er_{t+1},  er_t = p er_{t+1} - q eu_{t+1}.
 */
#ifndef SPIKESCAN_RESONATE_ONCE
#define SPIKESCAN_RESONATE_ONCE
typedef struct {
    const void *x, *p, *q, *gain, *u0, *r0, *gs, *gm, *gu, *gr;
    const int64_t *lengths;
    int64_t x_stride[3], gs_stride[3], gm_stride[3];
    /* spikes, membrane: (B, T, D); final u, r: (B, D); checkpoints (B, 2, ceil(T / SPAN), D) */
    void *s, *membrane, *u, *r, *checkpoints;
    /* gradients: (B, T, D), (B, 3, D) float64 for p, q, gain, (B, D), (B, D) */
    void *gx, *gpqg, *gu0, *gr0;
    int64_t B, T, D, surrogate, threads;
    double threshold, alpha;
} resonate_args;
#endif

#define resonate_forward_block CAT(resonate_forward_block_, SUFFIX)
INLINE void resonate_forward_block(const resonate_args *a, place at) {
    const int64_t b = at.b, d = at.d, T = a->T, D = a->D, end = a->lengths ? a->lengths[b] : T;
    const int64_t spans = spans_of(T);
    const ptrdiff_t dx = a->x_stride[2];
    const REAL *x = (const REAL *)a->x + b * a->x_stride[0] + d * dx;
    REAL *s_out = (REAL *)a->s + b * T * D + d;
    REAL *m_out = a->membrane ? (REAL *)a->membrane + b * T * D + d : NULL;
    REAL *save = a->checkpoints ? (REAL *)a->checkpoints + b * 2 * spans * D + d : NULL;
    const int around = streams(s_out, D, a->B * T * D, at);
    const vec th = splat((REAL)a->threshold), one = splat(1);
    vec p[NVEC], q[NVEC], gain[NVEC], u[NVEC] = {0}, r[NVEC] = {0}, in[NVEC], s[NVEC];
    load_row(p, (const REAL *)a->p + d, 1, at);
    load_row(q, (const REAL *)a->q + d, 1, at);
    load_row(gain, (const REAL *)a->gain + d, 1, at);
    if (a->u0) load_row(u, (const REAL *)a->u0 + b * D + d, 1, at);
    if (a->r0) load_row(r, (const REAL *)a->r0 + b * D + d, 1, at);
    for (int64_t t = 0; t < end; t++) {
        if (save && t % SPAN == 0) {
            store_row(save + t / SPAN * D, u, at, 0);
            store_row(save + (spans + t / SPAN) * D, r, at, 0);
        }
        prefetch_row(x, (t + AHEAD) * a->x_stride[1], dx, at);
        load_row(in, x + t * a->x_stride[1], dx, at);
        for (int j = 0; j < at.nv; j++) {
            const vec now = (p[j] * u[j] - q[j] * r[j]) + gain[j] * in[j];
            r[j] = q[j] * u[j] + p[j] * r[j];
            u[j] = now;
            s[j] = (vec)((mask)one & (now >= th));
        }
        store_row(s_out + t * D, s, at, around);
        if (m_out) store_row(m_out + t * D, u, at, around);
    }
    store_row((REAL *)a->u + b * D + d, u, at, 0);
    store_row((REAL *)a->r + b * D + d, r, at, 0);
    zero_rows(s_out, end, T, D, at);
    if (m_out) zero_rows(m_out, end, T, D, at);
    for (int part = 0; save && part < 2; part++)
        zero_rows(save + part * spans * D, spans_of(end), spans, D, at);
}

#define resonate_backward_block CAT(resonate_backward_block_, SUFFIX)
INLINE void resonate_backward_block(const resonate_args *a, place at) {
    const int64_t b = at.b, d = at.d, T = a->T, D = a->D, end = a->lengths ? a->lengths[b] : T;
    const int64_t spans = spans_of(T);
    const ptrdiff_t dx = a->x_stride[2], dgs = a->gs_stride[2], dgm = a->gm_stride[2];
    const REAL *x = (const REAL *)a->x + b * a->x_stride[0] + d * dx;
    const REAL *gs = a->gs ? (const REAL *)a->gs + b * a->gs_stride[0] + d * dgs : NULL;
    const REAL *gm = a->gm ? (const REAL *)a->gm + b * a->gm_stride[0] + d * dgm : NULL;
    const REAL *save = (const REAL *)a->checkpoints + b * 2 * spans * D + d;
    REAL *gx = (REAL *)a->gx + b * T * D + d;
    const int around = streams(gx, D, a->B * T * D, at);
    vec us[(SPAN + 1) * NVEC], rs[(SPAN + 1) * NVEC], sg[SPAN * NVEC];
    vec p[NVEC], q[NVEC], gain[NVEC], eu[NVEC] = {0}, er[NVEC] = {0}, in[NVEC], out[NVEC];
    double sums[3][BLOCK] = {{0}};
    load_row(p, (const REAL *)a->p + d, 1, at);
    load_row(q, (const REAL *)a->q + d, 1, at);
    load_row(gain, (const REAL *)a->gain + d, 1, at);
    /* eu, er hold dL/du_t and dL/dr_t as they arrive from later steps. */
    if (a->gu) load_row(eu, (const REAL *)a->gu + b * D + d, 1, at);
    if (a->gr) load_row(er, (const REAL *)a->gr + b * D + d, 1, at);
    zero_rows(gx, end, T, D, at);
    for (int64_t first = (end - 1) / SPAN * SPAN; end > 0 && first >= 0; first -= SPAN) {
        const int rows = (int)(end - first < SPAN ? end - first : SPAN);
        load_row(us, save + first / SPAN * D, 1, at);
        load_row(rs, save + (spans + first / SPAN) * D, 1, at);
        for (int k = 0; k < rows; k++) {
            if (gs) prefetch_row(gs, (first + k) * a->gs_stride[1], dgs, at);
            load_row(in, x + (first + k) * a->x_stride[1], dx, at);
            for (int j = 0; j < at.nv; j++) {
                const vec u = us[k * at.nv + j], r = rs[k * at.nv + j];
                us[(k + 1) * at.nv + j] = (p[j] * u - q[j] * r) + gain[j] * in[j];
                rs[(k + 1) * at.nv + j] = q[j] * u + p[j] * r;
            }
        }
        if (gs)
            surrogate_rows(sg, us + at.nv, rows * at.nv, (REAL)a->threshold, (int)a->surrogate, (REAL)a->alpha);
        vec acc[3 * NVEC] = {0};
        for (int k = rows - 1; k >= 0; k--) {
            vec g[NVEC], m[NVEC];
            prefetch_row(x, (first - 1 - k) * a->x_stride[1], dx, at);
            if (gs) load_row(g, gs + (first + k) * a->gs_stride[1], dgs, at);
            if (gm) load_row(m, gm + (first + k) * a->gm_stride[1], dgm, at);
            if (a->gpqg) load_row(in, x + (first + k) * a->x_stride[1], dx, at);
            for (int j = 0; j < at.nv; j++) {
                const int now = k * at.nv + j; /* the state before step k; step k left now + nv */
                vec du = eu[j];
                if (gs) du = du + g[j] * sg[now];
                if (gm) du = du + m[j];
                out[j] = gain[j] * du;
                if (a->gpqg) {
                    acc[j] = acc[j] + (du * us[now] + er[j] * rs[now]);
                    acc[at.nv + j] = acc[at.nv + j] + (er[j] * us[now] - du * rs[now]);
                    acc[2 * at.nv + j] = acc[2 * at.nv + j] + du * in[j];
                }
                eu[j] = p[j] * du + q[j] * er[j];
                er[j] = p[j] * er[j] - q[j] * du;
            }
            store_row(gx + (first + k) * D, out, at, around);
        }
        if (a->gpqg)
            for (int c = 0; c < 3; c++)
                for (int l = 0; l < at.n; l++) sums[c][l] += ((REAL *)(acc + c * at.nv))[l];
    }
    if (a->gpqg)
        for (int c = 0; c < 3; c++)
            memcpy((double *)a->gpqg + (b * 3 + c) * D + d, sums[c], sizeof(double) * (size_t)at.n);
    if (a->gu0) store_row((REAL *)a->gu0 + b * D + d, eu, at, 0);
    if (a->gr0) store_row((REAL *)a->gr0 + b * D + d, er, at, 0);
}

/* A full block has a width that the compiler knows: twice the state of a LIF is worth registers. */
#define resonate_forward_task CAT(resonate_forward_task_, SUFFIX)
static void resonate_forward_task(const void *args, int64_t i) {
    const resonate_args *a = args;
    place at = place_of(i, a->B, a->D, a->threads);
    if (at.nv == NVEC) at.nv = NVEC, resonate_forward_block(a, at);
    else resonate_forward_block(a, at);
}

#define resonate_backward_task CAT(resonate_backward_task_, SUFFIX)
static void resonate_backward_task(const void *args, int64_t i) {
    const resonate_args *a = args;
    place at = place_of(i, a->B, a->D, a->threads);
    if (at.nv == NVEC) at.nv = NVEC, resonate_backward_block(a, at);
    else resonate_backward_block(a, at);
}

EXPORT void CAT(spikescan_resonate_forward_, SUFFIX)(const resonate_args *a) {
    run_tasks(resonate_forward_task, a, tasks_of(a->B, a->D, a->threads), a->threads);
}

EXPORT void CAT(spikescan_resonate_backward_, SUFFIX)(const resonate_args *a) {
    run_tasks(resonate_backward_task, a, tasks_of(a->B, a->D, a->threads), a->threads);
}
