/* Dynamic decay: a leaky integrator whose decay changes with its input, fired as whole numbers.
 *
 *   h_t = alpha_t h_{t-1} + (1 - alpha_t) x_t      s_t = how many of 1/2, 3/2, .. levels - 1/2 h_t reaches
 *
 * alpha is given, or computed here from the last `taps` inputs, so that it never goes to memory:
 *   alpha_t = sigmoid(c_t)^exponent                c_t = bias + sum_m weight_m x_{t - taps + 1 + m}
 *
 * The state is h and, for the convolution, the last taps - 1 inputs. The backward pass recomputes
 * both from checkpoints of h, then runs, with delta_t = gs_t sg_t + gm_t + e_t,
 *   e_{t-1} = alpha_t delta_t     galpha_t = delta_t (h_{t-1} - x_t)     gc_t = galpha_t dalpha/dc
 *   gx_t = (1 - alpha_t) delta_t + sum_m weight_m gc_{t + taps - 1 - m}
 */
#include "../_core/cpu/surrogate.inc.h"

enum { MAX_TAPS = 16, WINDOW = -1 /* surrogate code: 1 for 0 <= h <= levels, else 0 */ };
typedef struct {
    /* weight (taps + 1, D), the bias its last row; inputs0 (B, taps - 1, D). alpha given: taps = 1 */
    const void *x, *alpha, *weight, *h0, *inputs0, *gs, *gmembrane, *gh, *ginputs;
    const int64_t *lengths;
    int64_t has_alpha, has_h0, has_inputs0, has_gs, has_gmembrane, has_gh, has_ginputs, has_lengths;
    int64_t x_stride[3], alpha_stride[3], gs_stride[3], gmembrane_stride[3];
    /* (B, T, D), (B, T, D), (B, D), (B, taps - 1, D), (B, ceil(T / SPAN), D) */
    void *s, *membrane, *h, *inputs, *checkpoints;
    /* gradients: (B, T, D), (B, T, D), (B, taps + 1, D) float64, (B, D), (B, taps - 1, D) */
    void *gx, *galpha;
    double *gweight;
    void *gh0, *ginputs0;
    int64_t want_membrane, save, want_galpha, want_gweight;
    int64_t B, T, D, taps, levels, surrogate, threads;
    double exponent, surrogate_parameter;
} dsn_args;
LAYOUT(dsn, x, alpha, weight, h0, inputs0, gs, gmembrane, gh, ginputs, lengths, has_alpha, has_h0,
       has_inputs0, has_gs, has_gmembrane, has_gh, has_ginputs, has_lengths, x_stride, alpha_stride,
       gs_stride, gmembrane_stride, s, membrane, h, inputs, checkpoints, gx, galpha, gweight, gh0, ginputs0,
       want_membrane, save, want_galpha, want_gweight, B, T, D, taps, levels, surrogate, threads, exponent,
       surrogate_parameter)
CONSTANTS(dsn, SPAN, MAX_TAPS, WINDOW)

/* Thresholds 1/2, 3/2, .. that h reaches, exactly: rounding to nearest, ties up. NaN reaches none. */
INLINE vec dsn_count(vec h, vec levels) {
    const vec magic = splat(sizeof(REAL) == 4 ? (REAL)12582912.0 : (REAL)6755399441055744.0);
    h = select(h > splat(0), h, splat(0));
    h = select(h < levels, h, levels);
    const vec even = (h + magic) - magic; /* ties to even; h - even has no rounding error */
    return even + (vec)((mask)splat(1) & (h - even >= splat((REAL)0.5)));
}

/* log(1 + y) for 0 <= y <= 1, as 2 atanh(r) with r = y / (2 + y) <= 1/3. */
INLINE vec vlog1p(vec y) {
    const vec r = y / (splat(2) + y), r2 = r * r;
    vec sum = splat(0);
    for (int i = sizeof(REAL) == 4 ? 15 : 33; i > 0; i -= 2) sum = sum * r2 + splat((REAL)2 / (REAL)i);
    return r * sum;
}

/* Row t of the input; before the sequence these are the carried inputs. */
INLINE void dsn_input(vec *out, const dsn_args *a, place at, int64_t t) {
    const int64_t *dx = a->x_stride, carried = (at.b + 1) * (a->taps - 1) + t;
    if (t >= 0) load_row(out, (const REAL *)a->x + at.b * dx[0] + t * dx[1] + at.d * dx[2], dx[2], at);
    else if (a->has_inputs0) load_row(out, (const REAL *)a->inputs0 + carried * a->D + at.d, 1, at);
    else memset(out, 0, sizeof(vec) * (size_t)at.nv);
}

/* Ask early for row t of the input and of the decays. */
INLINE void dsn_prefetch(const dsn_args *a, place at, int64_t t) {
    const int64_t *dx = a->x_stride, *da = a->alpha_stride;
    prefetch_row(a->x, at.b * dx[0] + t * dx[1] + at.d, dx[2], at);
    if (a->has_alpha) prefetch_row(a->alpha, at.b * da[0] + t * da[1] + at.d, da[2], at);
}

/* One span: x with the taps - 1 rows before it, alpha, and dalpha/dc unless slope is null. */
static void dsn_span(const dsn_args *a, place at, int64_t first, int rows, const vec *w, vec *x, vec *alpha,
                     vec *slope) {
    const int taps = (int)a->taps;
    for (int k = 0; k < rows + taps - 1; k++) dsn_input(x + k * at.nv, a, at, first - taps + 1 + k);
    if (a->has_alpha) {
        const ptrdiff_t da = a->alpha_stride[2];
        const REAL *in = row_of(a->alpha, a->alpha_stride, at, 0);
        for (int k = 0; k < rows; k++)
            load_row(alpha + k * at.nv, in + (first + k) * a->alpha_stride[1], da, at);
        return;
    }
    const vec zero = splat(0), one = splat(1), power = splat((REAL)a->exponent);
    /* Few whole powers are multiplied out, which costs half as much and rounds less. */
    const int whole = a->exponent <= 8 && a->exponent == (int)a->exponent ? (int)a->exponent : 0;
    for (int i = 0; i < rows * at.nv; i++) {
        vec c = w[taps * at.nv + i % at.nv];
        for (int m = 0; m < taps; m++) c = c + w[m * at.nv + i % at.nv] * x[m * at.nv + i];
        const mask up = c >= zero;
        const vec e = vexp(zero - vabs(c)), larger = one / (one + e), smaller = e * larger;
        vec decay = select(up, larger, smaller);
        if (whole) {
            const vec sigmoid = decay;
            for (int q = 1; q < whole; q++) decay = decay * sigmoid;
        } else {
            const vec softplus = select(up, zero, zero - c) + vlog1p(e); /* -log sigmoid(c) */
            decay = vexp(zero - power * softplus);
        }
        alpha[i] = decay;
        if (slope) slope[i] = power * decay * select(up, smaller, larger);
    }
}

INLINE void dsn_load_weight(vec *w, const dsn_args *a, place at) {
    if (!a->has_alpha)
        for (int m = 0; m <= a->taps; m++)
            load_row(w + m * at.nv, (const REAL *)a->weight + m * a->D + at.d, 1, at);
}

INLINE void dsn_forward_block(const dsn_args *a, place at) {
    const int64_t b = at.b, d = at.d, T = a->T, D = a->D, end = a->has_lengths ? a->lengths[b] : T;
    const int lead = (int)a->taps - 1, watched = a->want_membrane != 0, saved = a->save != 0;
    REAL *s_out = (REAL *)a->s + b * T * D + d;
    REAL *m_out = watched ? (REAL *)a->membrane + b * T * D + d : NULL;
    REAL *save = saved ? (REAL *)a->checkpoints + b * spans_of(T) * D + d : NULL;
    const int around = streams(s_out, D, a->B * T * D, at);
    const vec one = splat(1), levels = splat((REAL)a->levels);
    vec w[(MAX_TAPS + 1) * NVEC], x[(SPAN + MAX_TAPS - 1) * NVEC], alpha[SPAN * NVEC];
    vec h[NVEC] = {0}, s[NVEC];
    dsn_load_weight(w, a, at);
    if (a->has_h0) load_row(h, (const REAL *)a->h0 + b * D + d, 1, at);
    for (int64_t first = 0; first < end; first += SPAN) {
        const int rows = (int)(end - first < SPAN ? end - first : SPAN);
        if (saved) store_row(save + first / SPAN * D, h, at, 0);
        dsn_span(a, at, first, rows, w, x, alpha, NULL);
        for (int k = 0; k < rows; k++) {
            dsn_prefetch(a, at, first + SPAN + k);
            for (int j = 0; j < at.nv; j++) {
                const vec decay = alpha[k * at.nv + j];
                h[j] = decay * h[j] + (one - decay) * x[(k + lead) * at.nv + j];
                s[j] = dsn_count(h[j], levels);
            }
            store_row(s_out + (first + k) * D, s, at, around);
            if (watched) store_row(m_out + (first + k) * D, h, at, around);
        }
    }
    store_row((REAL *)a->h + b * D + d, h, at, 0);
    for (int k = 0; k < lead; k++) {
        dsn_input(x, a, at, end - lead + k);
        store_row((REAL *)a->inputs + (b * lead + k) * D + d, x, at, 0);
    }
    zero_rows(s_out, end, T, D, at);
    if (watched) zero_rows(m_out, end, T, D, at);
    if (saved) zero_rows(save, spans_of(end), spans_of(T), D, at);
}

/* Turn `rows` rows of h into the derivative of their spikes: the window, or one surrogate for each
 * threshold. */
static void dsn_surrogate(vec *g, int rows, const dsn_args *a, place at) {
    const vec top = splat((REAL)a->levels), one = splat(1), zero = splat(0);
    if (a->surrogate == WINDOW) {
        for (int i = 0; i < rows * at.nv; i++) g[i] = (vec)((mask)one & (g[i] >= zero) & (g[i] <= top));
        return;
    }
    for (int k = 0; k < rows; k++) {
        vec single[NVEC] = {0}, sum[NVEC] = {0};
        for (int64_t level = 0; level < a->levels; level++) {
            surrogate_rows(single, g + k * at.nv, at.nv, (REAL)level + (REAL)0.5, (int)a->surrogate,
                           (REAL)a->surrogate_parameter);
            for (int j = 0; j < at.nv; j++) sum[j] = sum[j] + single[j];
        }
        memcpy(g + k * at.nv, sum, sizeof(vec) * (size_t)at.nv);
    }
}

/* Add what the decays of later steps owe to the input of row k, and the gradient of the final
 * inputs. k is negative for carried inputs; gc has no rows below 0. */
INLINE void dsn_spread(vec *out, const dsn_args *a, place at, const vec *gc, const vec *w, int k,
                       int64_t to_end) {
    const int lead = (int)a->taps - 1;
    for (int m = 0; m <= lead && m <= lead + k; m++)
        for (int j = 0; j < at.nv; j++) out[j] = out[j] + w[m * at.nv + j] * gc[(k + lead - m) * at.nv + j];
    if (a->has_ginputs && to_end <= lead) {
        vec last[NVEC];
        load_row(last, (const REAL *)a->ginputs + ((at.b + 1) * lead - to_end) * a->D + at.d, 1, at);
        for (int j = 0; j < at.nv; j++) out[j] = out[j] + last[j];
    }
}

/* Add the gradients of the weights over one span to `sums`; x begins taps - 1 rows before gc. */
INLINE void dsn_weight_gradient(double *sums, const vec *gc, const vec *x, int rows, int taps, place at) {
    for (int m = 0; m <= taps; m++) {
        vec acc[NVEC] = {0};
        for (int i = 0; i < rows * at.nv; i++) {
            const vec in = m < taps ? x[m * at.nv + i] : splat(1);
            acc[i % at.nv] = acc[i % at.nv] + gc[i] * in;
        }
        for (int l = 0; l < at.n; l++) sums[m * BLOCK + l] += ((REAL *)acc)[l];
    }
}

INLINE void dsn_backward_block(const dsn_args *a, place at) {
    const int64_t b = at.b, d = at.d, T = a->T, D = a->D, end = a->has_lengths ? a->lengths[b] : T;
    const int taps = (int)a->taps, lead = taps - 1;
    const ptrdiff_t dgs = a->gs_stride[2], dgm = a->gmembrane_stride[2];
    const int fires = a->has_gs != 0, watched = a->has_gmembrane != 0, given = a->has_alpha != 0,
              learn = a->want_galpha != 0;
    const REAL *gs = row_of(a->gs, a->gs_stride, at, 0);
    const REAL *gm = row_of(a->gmembrane, a->gmembrane_stride, at, 0);
    const REAL *save = (const REAL *)a->checkpoints + b * spans_of(T) * D + d;
    REAL *gx = (REAL *)a->gx + b * T * D + d;
    REAL *galpha = learn ? (REAL *)a->galpha + b * T * D + d : NULL;
    const int around = streams(gx, D, a->B * T * D, at);
    const vec one = splat(1);
    vec w[(MAX_TAPS + 1) * NVEC], x[(SPAN + MAX_TAPS - 1) * NVEC], alpha[SPAN * NVEC];
    vec slope[SPAN * NVEC], h[NVEC], e[NVEC] = {0}, out[NVEC];
    vec *dh = given ? x : slope; /* dh_t/dalpha_t or dh_t/dc_t */
    /* The span's h, then its surrogates, then its gc; behind them gc of the next taps - 1 steps. */
    vec g[(SPAN + MAX_TAPS - 1) * NVEC];
    double sums[(MAX_TAPS + 1) * BLOCK] = {0};
    dsn_load_weight(w, a, at);
    memset(g, 0, sizeof g);
    if (a->has_gh) load_row(e, (const REAL *)a->gh + b * D + d, 1, at);
    zero_rows(gx, end, T, D, at);
    if (learn) zero_rows(galpha, end, T, D, at);
    for (int64_t first = (end - 1) / SPAN * SPAN; end > 0 && first >= 0; first -= SPAN) {
        const int rows = (int)(end - first < SPAN ? end - first : SPAN);
        dsn_span(a, at, first, rows, w, x, alpha, slope);
        load_row(h, save + first / SPAN * D, 1, at);
        for (int k = 0; k < rows; k++) {
            if (fires) prefetch_row(gs, (first + k) * a->gs_stride[1], dgs, at);
            for (int j = 0; j < at.nv; j++) {
                const int i = k * at.nv + j;
                const vec in = x[i + lead * at.nv], change = h[j] - in;
                h[j] = alpha[i] * h[j] + (one - alpha[i]) * in;
                dh[i] = change * (given ? one : dh[i]);
                g[i] = h[j];
            }
        }
        if (fires) dsn_surrogate(g, rows, a, at);
        for (int k = rows - 1; k >= 0; k--) {
            vec spikes[NVEC], membrane[NVEC];
            dsn_prefetch(a, at, first - 1 - k);
            if (fires) load_row(spikes, gs + (first + k) * a->gs_stride[1], dgs, at);
            if (watched) load_row(membrane, gm + (first + k) * a->gmembrane_stride[1], dgm, at);
            for (int j = 0; j < at.nv; j++) {
                const int i = k * at.nv + j;
                vec delta = e[j];
                if (fires) delta = delta + spikes[j] * g[i];
                if (watched) delta = delta + membrane[j];
                g[i] = delta * dh[i];
                e[j] = alpha[i] * delta;
                alpha[i] = (one - alpha[i]) * delta;
            }
            if (given) store_row(gx + (first + k) * D, alpha + k * at.nv, at, around);
            if (learn) store_row(galpha + (first + k) * D, g + k * at.nv, at, around);
        }
        if (given) continue;
        for (int k = rows - 1; k >= 0; k--) {
            dsn_spread(alpha + k * at.nv, a, at, g, w, k, end - first - k);
            store_row(gx + (first + k) * D, alpha + k * at.nv, at, around);
        }
        dsn_weight_gradient(sums, g, x, rows, taps, at);
        memcpy(g + SPAN * at.nv, g, sizeof(vec) * (size_t)(lead * at.nv));
    }
    for (int k = -lead; k < 0; k++) {
        memset(out, 0, sizeof out);
        dsn_spread(out, a, at, g, w, k, end - k);
        store_row((REAL *)a->ginputs0 + (b * lead + lead + k) * D + d, out, at, 0);
    }
    for (int m = 0; a->want_gweight && m <= taps; m++)
        memcpy(a->gweight + (b * (taps + 1) + m) * D + d, sums + m * BLOCK, sizeof(double) * (size_t)at.n);
    store_row((REAL *)a->gh0 + b * D + d, e, at, 0);
}

BLOCK_KERNEL(dsn_forward, dsn_args, dsn_forward_block(a, at))
BLOCK_KERNEL(dsn_backward, dsn_args, dsn_backward_block(a, at))
