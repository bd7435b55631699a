/* Spikes of probability v, s_t = [U_t < v_t], whose random numbers belong to a row, a step and a channel.
 *
 * U is a hash of the row's key, the number of the step and the channel.
 */
#include "../_core/cpu/random.inc.h"
#include "../_core/cpu/vector.inc.h"

typedef struct {
    /* (B, T, D); (B,), (B,) */
    const void *v;
    const int64_t *key, *start;
    int64_t v_stride[3];
    void *s;
    int64_t B, T, D, threads;
} bernoulli_args;
LAYOUT(bernoulli, v, key, start, v_stride, s, B, T, D, threads)

INLINE void bernoulli_block(const bernoulli_args *a, place at) {
    const ptrdiff_t dv = a->v_stride[2];
    uint32_t salt[BLOCK], more[BLOCK];
    for (int j = 0; j < at.n; j++) {
        const uint64_t lane = splitmix(0, (uint64_t)(at.d + j + 1));
        salt[j] = (uint32_t)lane, more[j] = (uint32_t)(lane >> 32);
    }
    for (int64_t t = 0; t < a->T; t++) {
        const REAL *v = row_of(a->v, a->v_stride, at, t);
        REAL *s = (REAL *)a->s + (at.b * a->T + t) * a->D + at.d;
        const uint64_t step = splitmix((uint64_t)a->key[at.b], (uint64_t)(a->start[at.b] + t + 1));
        const uint32_t low = (uint32_t)step, high = (uint32_t)(step >> 32);
        REAL row[BLOCK];
        for (int j = 0; j < at.n; j++) row[j] = v[j * dv];
        for (int j = 0; j < at.n; j++) {
            const int32_t x = random_integer(low, high, salt[j], more[j]);
            s[j] = (float)x * 0x1p-24f + 0.5f < row[j];
            s[j] = row[j] == row[j] ? s[j] : row[j]; /* with no state to tell of a NaN, the spike does */
        }
    }
}

BLOCK_KERNEL(bernoulli_forward, bernoulli_args, bernoulli_block(a, at))
