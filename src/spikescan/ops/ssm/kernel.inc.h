/* State-space models, a chunk of R steps at a time. From the state h before a chunk of inputs u_j
 *
 *   y_i = sum_{j <= i} taps_{i-j} u_j + sum_n rows_in h_n      h' = h + change h + sum_j columns_jn u_j
 *
 * and backwards the same with e, the gradient of h'. All of it is products of small matrices, one
 * for each channel, and channels fill the vectors: TILE x TILE sums at a time stay in registers. Only
 * h goes from chunk to chunk. `change` is the power of the state matrix less one, which keeps the
 * digits of multipliers near one. A chunk that is not whole gives outputs, and no state after it.
 */
#include "../_core/cpu/vector.inc.h"

/* Numbers side by side in a product; chunks of a span, of which the state before it is kept. */
enum { TILE = 4, CHUNKS = 8, LINE = VBYTES / sizeof(REAL) };
typedef struct {
    /* (B, T, D); (blocks, taps R + columns R N + rows R N + change N or N N, LINE), N a multiple of
     * TILE; (B, D, states), states <= N; (B, T, D); (B, D, states); (B,) */
    const void *x, *weights, *h0, *gy, *gh;
    const int64_t *lengths;
    int64_t has_h0, has_gy, has_gh, has_lengths;
    int64_t x_stride[3], gy_stride[3];
    /* (B, T, D); (B, D, states) after the last whole chunk; (B, blocks, spans, N, LINE) */
    void *y, *h, *checkpoints;
    /* gradients: (B, T, D); those of the weights for each group of rows (groups, ..); (B, D, states) */
    void *gx, *gweights, *gh0;
    void *room; /* (groups, blocks, CHUNKS (2 R + 3 N) + 2 N, LINE) */
    /* `change` is a matrix, not pairs of a complex diagonal; time runs backwards */
    int64_t dense, reverse, save, want_gweights;
    int64_t B, T, D, N, chunk, states, groups, threads; /* chunk is R above */
} ssm_args;
LAYOUT(ssm, x, weights, h0, gy, gh, lengths, has_h0, has_gy, has_gh, has_lengths, x_stride, gy_stride, y, h,
       checkpoints, gx, gweights, gh0, room, dense, reverse, save, want_gweights, B, T, D, N, chunk, states,
       groups, threads)
CONSTANTS(ssm, TILE, CHUNKS, LINE)

/* a b + c. No spike hangs on the last bit of these sums: where there is an instruction, in one. */
INLINE vec fused(vec a, vec b, vec c) {
#if defined(__AVX512F__)
    return sizeof(REAL) == 4 ? (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c)
                             : (vec)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#else
    return a * b + c;
#endif
}

/* A matrix of vectors: element (i, k) at p[i * across + k * along]. */
typedef struct {
    const vec *p;
    ptrdiff_t across, along;
} matrix;
typedef vec tile[TILE][TILE];

/* sum_ab += sum_k left_ak right_bk */
INLINE void multiply(tile sum, matrix left, matrix right, int64_t count) {
    for (int64_t k = 0; k < count; k++) {
        vec l[TILE], r[TILE];
        for (int a = 0; a < TILE; a++) l[a] = left.p[a * left.across + k * left.along];
        for (int b = 0; b < TILE; b++) r[b] = right.p[b * right.across + k * right.along];
        for (int a = 0; a < TILE; a++)
            for (int b = 0; b < TILE; b++) sum[a][b] = fused(l[a], r[b], sum[a][b]);
    }
}

/* What a task holds. */
typedef struct {
    place at;
    int64_t N, R, K, end, whole; /* vectors of weights; valid steps; whole chunks of them */
    const vec *taps, *columns, *rows, *change;
    vec *u, *g, *z, *h, *w; /* of a span's chunks: inputs, gradients, what they add to h, h before */
} work;

/* Vectors of weights of a block of channels. */
INLINE int64_t weights_of(const ssm_args *a) {
    return a->chunk + 2 * a->chunk * a->N + (a->dense ? a->N * a->N : a->N);
}
INLINE int64_t blocks_of(const ssm_args *a) { return (a->D + LINE - 1) / LINE; }
INLINE int64_t spans_over(const ssm_args *a) { return (a->T + a->chunk * CHUNKS - 1) / (a->chunk * CHUNKS); }

INLINE work work_of(const ssm_args *a, int64_t task, int64_t b, int64_t block) {
    const int64_t R = a->chunk, N = a->N, d = block * LINE;
    const int n = (int)(a->D - d < LINE ? a->D - d : LINE);
    work k = {.at = {b, d, n, 1}, .N = N, .R = R, .K = weights_of(a)};
    k.end = a->has_lengths ? a->lengths[b] : a->T;
    k.whole = k.end / R;
    k.taps = (const vec *)a->weights + block * k.K;
    k.columns = k.taps + R, k.rows = k.columns + R * N, k.change = k.rows + R * N;
    k.u = (vec *)a->room + task * (CHUNKS * (2 * R + 3 * N) + 2 * N);
    k.g = k.u + CHUNKS * R, k.z = k.g + CHUNKS * R;
    k.w = k.z + CHUNKS * N, k.h = k.w + CHUNKS * N; /* h of CHUNKS + 1 chunks, then one more */
    return k;
}

/* Step t of the direction in which time runs. */
INLINE int64_t step_of(const ssm_args *a, int64_t t) { return a->reverse ? a->T - 1 - t : t; }

/* Chunks of a span, made up to whole tiles with zeros. */
INLINE int chunks_from(const work *k, int64_t first) {
    const int64_t left = k->end - first;
    return left >= CHUNKS * k->R ? CHUNKS : (int)((left + k->R - 1) / k->R);
}
INLINE int tiled(int chunks) { return (chunks + TILE - 1) / TILE * TILE; }

/* A span of a sequence, with zeros behind it; the next one is asked for. */
INLINE void load_span(vec *out, const REAL *p, const int64_t *stride, const ssm_args *a, const work *k,
                      int64_t first, int64_t next) {
    const int64_t count = tiled(chunks_from(k, first)) * k->R;
    p += k->at.b * stride[0] + k->at.d * stride[2];
    for (int64_t i = 0; i < count; i++) {
        const int64_t t = first + i;
        if (t < k->end) load_row(out + i, p + step_of(a, t) * stride[1], stride[2], k->at);
        else out[i] = splat(0);
        if (next + i >= 0 && next + i < k->end)
            prefetch_row(p, step_of(a, next + i) * stride[1], stride[2], k->at);
    }
}

/* A state (states) of each channel, as vectors of channels, and back. */
INLINE void load_state(vec *h, const void *p, const ssm_args *a, const work *k) {
    const REAL *in = (const REAL *)p + (k->at.b * a->D + k->at.d) * a->states;
    memset(h, 0, sizeof(vec) * (size_t)k->N);
    for (int l = 0; l < k->at.n; l++)
        for (int64_t n = 0; n < a->states; n++) ((REAL *)(h + n))[l] = in[l * a->states + n];
}
INLINE void store_state(void *p, const vec *h, const ssm_args *a, const work *k) {
    REAL *out = (REAL *)p + (k->at.b * a->D + k->at.d) * a->states;
    for (int l = 0; l < k->at.n; l++)
        for (int64_t n = 0; n < a->states; n++) out[l * a->states + n] = ((const REAL *)(h + n))[l];
}

/* next = h + change h + more; backwards with the transpose of change. */
INLINE void advance(vec *next, const vec *h, const vec *more, const ssm_args *a, const work *k, int back) {
    const int64_t N = k->N;
    if (!a->dense) {
        for (int64_t n = 0; n < N; n += 2) {
            const vec re = k->change[n], im = back ? -k->change[n + 1] : k->change[n + 1];
            const vec x = h[n], y = h[n + 1];
            next[n] = x + fused(re, x, fused(-im, y, more[n]));
            next[n + 1] = y + fused(re, y, fused(im, x, more[n + 1]));
        }
        return;
    }
    const ptrdiff_t across = back ? N : 1, along = back ? 1 : N;
    for (int64_t n = 0; n < N; n += TILE) {
        vec even[TILE], odd[TILE]; /* N is even; two sums each, since one waits for itself */
        for (int i = 0; i < TILE; i++) even[i] = more[n + i], odd[i] = splat(0);
        for (int64_t m = 0; m < N; m += 2)
            for (int i = 0; i < TILE; i++) {
                const vec *c = k->change + (n + i) * across + m * along;
                even[i] = fused(c[0], h[m], even[i]);
                odd[i] = fused(c[along], h[m + 1], odd[i]);
            }
        for (int i = 0; i < TILE; i++) next[n + i] = h[n + i] + (even[i] + odd[i]);
    }
}

/* h before each chunk of a span, from that of the first; behind the last the state after it. */
INLINE void carry(const ssm_args *a, const work *k, int64_t first, int chunks) {
    const int64_t N = k->N, R = k->R;
    for (int c = 0; c < chunks; c += TILE)
        for (int64_t n = 0; n < N; n += TILE) {
            tile sum = {0};
            multiply(sum, (matrix){k->u + c * R, R, 1}, (matrix){k->columns + n, 1, N}, R);
            for (int i = 0; i < TILE; i++)
                for (int j = 0; j < TILE; j++) k->z[(c + i) * N + n + j] = sum[i][j];
        }
    for (int c = 0; c < chunks; c++) {
        vec *h = k->h + c * N;
        if (first / R + c < k->whole) advance(h + N, h, k->z + c * N, a, k, 0);
        else memcpy(h + N, h, sizeof(vec) * (size_t)N);
    }
}

static void ssm_forward_row(const ssm_args *a, const work *k, vec *save) {
    const int64_t N = k->N, R = k->R, D = a->D;
    REAL *y = (REAL *)a->y + k->at.b * a->T * D + k->at.d;
    const int around = VBYTES == 64 && streams(y, D, a->B * a->T * D, k->at);
    if (a->has_h0) load_state(k->h, a->h0, a, k);
    else memset(k->h, 0, sizeof(vec) * (size_t)N);
    for (int64_t first = 0; first < k->end; first += CHUNKS * R) {
        const int chunks = chunks_from(k, first);
        if (save) memcpy(save + first / (CHUNKS * R) * N, k->h, sizeof(vec) * (size_t)N);
        load_span(k->u, a->x, a->x_stride, a, k, first, first + CHUNKS * R);
        carry(a, k, first, chunks);
        for (int c = 0; c < chunks; c += TILE)
            for (int64_t i = 0; i < R; i += TILE) {
                const vec *u = k->u + c * R;
                tile sum = {0};
                multiply(sum, (matrix){k->h + c * N, N, 1}, (matrix){k->rows + i * N, N, 1}, N);
                multiply(sum, (matrix){u, R, 1}, (matrix){k->taps + i, 1, -1}, i);
                /* Steps see none after them: not even as a product with zero. */
                for (int p = 0; p < TILE; p++)
                    for (int j = 0; j < TILE; j++)
                        for (int q = j; q < TILE; q++)
                            sum[p][q] = fused(u[p * R + i + j], k->taps[q - j], sum[p][q]);
                for (int p = 0; p < TILE; p++)
                    for (int q = 0; q < TILE; q++) {
                        const int64_t t = first + (c + p) * R + i + q;
                        if (t < k->end) store_row(y + step_of(a, t) * D, &sum[p][q], k->at, around);
                    }
            }
        memcpy(k->h, k->h + chunks * N, sizeof(vec) * (size_t)N);
    }
    store_state(a->h, k->h, a, k);
    zero_rows(y, k->end, a->T, D, k->at);
}

/* Add the products of two sequences of a span to a matrix of weights' gradients. */
INLINE void learn(vec *sums, const vec *left, int64_t rows, const vec *right, int64_t columns, int chunks) {
    for (int64_t i = 0; i < rows; i += TILE)
        for (int64_t j = 0; j < columns; j += TILE) {
            tile sum;
            for (int p = 0; p < TILE; p++)
                for (int q = 0; q < TILE; q++) sum[p][q] = sums[(i + p) * columns + j + q];
            multiply(sum, (matrix){left + i, 1, rows}, (matrix){right + j, 1, columns}, chunks);
            for (int p = 0; p < TILE; p++)
                for (int q = 0; q < TILE; q++) sums[(i + p) * columns + j + q] = sum[p][q];
        }
}

/* Add what a span says about the weights. e is what z was. */
INLINE void learn_span(vec *sums, const ssm_args *a, const work *k, int chunks) {
    const int64_t N = k->N, R = k->R;
    vec *columns = sums + R, *rows = columns + R * N, *change = rows + R * N;
    for (int64_t i = 0; i < R; i += TILE)
        for (int64_t j = 0; j <= i; j += TILE) {
            tile sum = {0};
            multiply(sum, (matrix){k->g + i, 1, R}, (matrix){k->u + j, 1, R}, chunks);
            for (int p = 0; p < TILE; p++)
                for (int q = 0; q < TILE; q++)
                    if (i + p >= j + q) sums[i + p - j - q] += sum[p][q];
        }
    learn(columns, k->u, R, k->z, N, chunks);
    learn(rows, k->g, R, k->h, N, chunks);
    if (a->dense) {
        learn(change, k->h, N, k->z, N, chunks);
        return;
    }
    for (int64_t n = 0; n < N; n += 2) {
        vec re = change[n], im = change[n + 1];
        for (int c = 0; c < chunks; c++) {
            const vec *h = k->h + c * N + n, *e = k->z + c * N + n;
            re = fused(e[0], h[0], fused(e[1], h[1], re));
            im = fused(e[1], h[0], fused(-e[0], h[1], im));
        }
        change[n] = re, change[n + 1] = im;
    }
}

static void ssm_backward_row(const ssm_args *a, const work *k, const vec *save, vec *sums) {
    const int64_t N = k->N, R = k->R, D = a->D, span = CHUNKS * R;
    REAL *gx = (REAL *)a->gx + k->at.b * a->T * D + k->at.d;
    const int around = VBYTES == 64 && streams(gx, D, a->B * a->T * D, k->at);
    vec *e = k->h + (CHUNKS + 1) * N;
    if (a->has_gh) load_state(e, a->gh, a, k);
    else memset(e, 0, sizeof(vec) * (size_t)N);
    zero_rows(gx, k->end, a->T, D, k->at);
    for (int64_t first = (k->end - 1) / span * span; k->end > 0 && first >= 0; first -= span) {
        const int chunks = chunks_from(k, first);
        load_span(k->u, a->x, a->x_stride, a, k, first, first - span);
        if (a->has_gy) load_span(k->g, a->gy, a->gy_stride, a, k, first, first - span);
        else memset(k->g, 0, sizeof(vec) * (size_t)span);
        memcpy(k->h, save + first / span * N, sizeof(vec) * (size_t)N);
        carry(a, k, first, chunks);
        for (int c = 0; c < chunks; c += TILE)
            for (int64_t m = 0; m < N; m += TILE) {
                tile sum = {0};
                multiply(sum, (matrix){k->g + c * R, R, 1}, (matrix){k->rows + m, 1, N}, R);
                for (int p = 0; p < TILE; p++)
                    for (int q = 0; q < TILE; q++) k->w[(c + p) * N + m + q] = sum[p][q];
            }
        for (int c = chunks; c < tiled(chunks); c++) memset(k->z + c * N, 0, sizeof(vec) * (size_t)N);
        for (int c = chunks - 1; c >= 0; c--) {
            vec *z = k->z + c * N, *w = k->w + c * N;
            if (first / R + c < k->whole) {
                memcpy(z, e, sizeof(vec) * (size_t)N);
                advance(e, z, w, a, k, 1);
            } else {
                memset(z, 0, sizeof(vec) * (size_t)N);
                for (int64_t n = 0; n < N; n++) e[n] += w[n];
            }
        }
        for (int c = 0; c < chunks; c += TILE)
            for (int64_t j = 0; j < R; j += TILE) {
                const vec *g = k->g + c * R + j;
                tile sum = {0};
                multiply(sum, (matrix){k->z + c * N, N, 1}, (matrix){k->columns + j * N, N, 1}, N);
                multiply(sum, (matrix){g + TILE, R, 1}, (matrix){k->taps + TILE, -1, 1}, R - j - TILE);
                for (int p = 0; p < TILE; p++)
                    for (int q = 0; q < TILE; q++)
                        for (int i = q; i < TILE; i++)
                            sum[p][q] = fused(g[p * R + i], k->taps[i - q], sum[p][q]);
                for (int p = 0; p < TILE; p++)
                    for (int q = 0; q < TILE; q++) {
                        const int64_t t = first + (c + p) * R + j + q;
                        if (t < k->end) store_row(gx + step_of(a, t) * D, &sum[p][q], k->at, around);
                    }
            }
        if (sums) learn_span(sums, a, k, chunks);
    }
    store_state(a->gh0, e, a, k);
}

/* A task is a block of channels of some rows of the batch, one after the other: they share weights and
 * room, and their gradients of the weights are one sum. */
static void ssm_forward_task(const void *args, int64_t task) {
    const ssm_args *a = args;
    const int64_t blocks = blocks_of(a), held = spans_over(a) * a->N, group = task / blocks;
    for (int64_t b = group * a->B / a->groups; b < (group + 1) * a->B / a->groups; b++) {
        const work own = work_of(a, task, b, task % blocks);
        ssm_forward_row(a, &own,
                        a->save ? (vec *)a->checkpoints + (b * blocks + task % blocks) * held : NULL);
    }
}

static void ssm_backward_task(const void *args, int64_t task) {
    const ssm_args *a = args;
    const int64_t blocks = blocks_of(a), held = spans_over(a) * a->N, group = task / blocks;
    vec *sums = a->want_gweights ? (vec *)a->gweights + task * weights_of(a) : NULL;
    if (sums) memset(sums, 0, sizeof(vec) * (size_t)weights_of(a));
    for (int64_t b = group * a->B / a->groups; b < (group + 1) * a->B / a->groups; b++) {
        const work own = work_of(a, task, b, task % blocks);
        ssm_backward_row(a, &own, (const vec *)a->checkpoints + (b * blocks + task % blocks) * held, sums);
    }
}

KERNEL(ssm_forward)(const ssm_args *a) {
    run_tasks(ssm_forward_task, a, a->groups * blocks_of(a), a->threads);
}

KERNEL(ssm_backward)(const ssm_args *a) {
    run_tasks(ssm_backward_task, a, a->groups * blocks_of(a), a->threads);
}
