/* Spikes of probability v = q x + r, s_t = [U_t < v_t], and the gradient of the clamp that stands for
 * their derivative, each in one pass. The random numbers are those of ops/bernoulli. Steps beyond a
 * sequence's length hold zero and take no part.
 */
#include "../_core/cpu/random.inc.h"
#include "../_core/cpu/vector.inc.h"

typedef struct {
    /* (B, T, D) contiguous; (D,) each, q and r; (B,) each */
    const void *x, *gain, *bias;
    const int64_t *key, *start, *lengths;
    int64_t has_lengths;
    /* the spikes; their gradient, that of x, and those of gain and bias, float64 (B, 2, D) */
    void *s;
    const void *gs;
    void *gx;
    double *sums;
    int64_t B, T, D, threads;
} bernoulli_affine_args;
LAYOUT(bernoulli_affine, x, gain, bias, key, start, lengths, has_lengths, s, gs, gx, sums, B, T, D, threads)

INLINE void affine_forward_block(const bernoulli_affine_args *a, place at) {
    const int64_t D = a->D, end = a->has_lengths ? a->lengths[at.b] : a->T;
    const REAL *x = (const REAL *)a->x + at.b * a->T * D + at.d;
    REAL *s = (REAL *)a->s + at.b * a->T * D + at.d;
    const int around = streams(s, D, a->B * a->T * D, at), filled = at.nv * LANES;
    uint32_t salt[BLOCK], more[BLOCK];
    for (int j = 0; j < filled; j++) {
        const uint64_t lane = splitmix(0, (uint64_t)(at.d + j + 1));
        salt[j] = (uint32_t)lane, more[j] = (uint32_t)(lane >> 32);
    }
    vec q[NVEC], r[NVEC], rows[NVEC];
    REAL *v = (REAL *)rows;
    load_row(q, (const REAL *)a->gain + at.d, 1, at);
    load_row(r, (const REAL *)a->bias + at.d, 1, at);
    for (int64_t t = 0; t < end; t++) {
        prefetch_row(x, (t + AHEAD) * D, 1, at);
        load_row(rows, x + t * D, 1, at);
        for (int j = 0; j < at.nv; j++) rows[j] = q[j] * rows[j] + r[j];
        const uint64_t step = splitmix((uint64_t)a->key[at.b], (uint64_t)(a->start[at.b] + t + 1));
        const uint32_t low = (uint32_t)step, high = (uint32_t)(step >> 32);
        for (int j = 0; j < filled; j++) {
            const int32_t n = random_integer(low, high, salt[j], more[j]);
            const REAL fires = (float)n * 0x1p-24f + 0.5f < v[j];
            v[j] = v[j] == v[j] ? fires : v[j]; /* as in ops/bernoulli, a NaN stays */
        }
        store_row(s + t * D, rows, at, around);
    }
    zero_rows(s, end, a->T, D, at);
}

INLINE void affine_backward_block(const bernoulli_affine_args *a, place at) {
    const int64_t D = a->D, end = a->has_lengths ? a->lengths[at.b] : a->T;
    const REAL *x = (const REAL *)a->x + at.b * a->T * D + at.d;
    const REAL *gs = (const REAL *)a->gs + at.b * a->T * D + at.d;
    REAL *gx = (REAL *)a->gx + at.b * a->T * D + at.d;
    const int around = streams(gx, D, a->B * a->T * D, at);
    double *sums = a->sums + at.b * 2 * D + at.d;
    const vec zero = splat(0), one = splat(1);
    vec q[NVEC], r[NVEC], rows[NVEC], given[NVEC];
    load_row(q, (const REAL *)a->gain + at.d, 1, at);
    load_row(r, (const REAL *)a->bias + at.d, 1, at);
    for (int j = 0; j < at.n; j++) sums[j] = sums[D + j] = 0;
    for (int64_t first = 0; first < end; first += SPAN) {
        const int64_t last = first + SPAN < end ? first + SPAN : end;
        vec s1[NVEC] = {0}, s2[NVEC] = {0};
        for (int64_t t = first; t < last; t++) {
            prefetch_row(x, (t + AHEAD) * D, 1, at);
            prefetch_row(gs, (t + AHEAD) * D, 1, at);
            load_row(rows, x + t * D, 1, at);
            load_row(given, gs + t * D, 1, at);
            for (int j = 0; j < at.nv; j++) {
                const vec v = q[j] * rows[j] + r[j];
                const vec g = select((v < zero) | (v > one), zero, given[j]);
                s1[j] += g * rows[j];
                s2[j] += g;
                given[j] = q[j] * g;
            }
            store_row(gx + t * D, given, at, around);
        }
        for (int j = 0; j < at.n; j++) {
            sums[j] += ((REAL *)s1)[j];
            sums[D + j] += ((REAL *)s2)[j];
        }
    }
    zero_rows(gx, end, a->T, D, at);
}

BLOCK_KERNEL(bernoulli_affine_forward, bernoulli_affine_args, affine_forward_block(a, at))
BLOCK_KERNEL(bernoulli_affine_backward, bernoulli_affine_args, affine_backward_block(a, at))
