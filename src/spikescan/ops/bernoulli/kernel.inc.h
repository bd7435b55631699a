/* Spikes of probability v, s_t = [U_t < v_t], whose random numbers belong to a row, a step and a channel.
 *
 * U is a hash of the row's key, the number of the step and the channel; ops/bernoulli/reference.py
 * has the same in torch.
 */
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

/* The finaliser of splitmix64 (Steele et al. 2014) on the n-th of its numbers. */
static uint64_t splitmix(uint64_t key, uint64_t n) {
    uint64_t z = key + n * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

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
            /* The rounds of triple32 (Wellons 2018), with 32 fresh bits of step or channel in each:
             * all 128 are mixed, so that no two channels are coupled. */
            uint32_t x = low ^ salt[j];
            x = (x ^ x >> 17) * 0xED5AD4BBu;
            x = ((x ^ x >> 11) + high) * 0xAC4C1B51u;
            x = ((x ^ x >> 15) + more[j]) * 0x31848BABu;
            s[j] = (float)((int32_t)x >> 8) * 0x1p-24f + 0.5f < row[j];
            s[j] = row[j] == row[j] ? s[j] : row[j]; /* with no state to tell of a NaN, the spike does */
        }
    }
}

BLOCK_KERNEL(bernoulli_forward, bernoulli_args, bernoulli_block(a, at))
