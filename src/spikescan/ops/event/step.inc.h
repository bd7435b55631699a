/* A folded network, run step by step: a list of records, interpreted.
 *
 * Every record reads rows of values and writes one, for some steps in a row ("tile") before the next
 * record is looked at, so that a weight matrix stays near while it is used. What spikes feed adds up
 * the rows of the matrix whose source fired and leaves the others in memory. Sums run over the
 * inputs in ascending order, one after the other, whatever the vectors: tile, chunk and CPU level
 * change no bit. spikescan/stream/reference.py has the same operations in torch.
 *
 * These files need nothing but what they include: after vector.inc.h they work on that header's vectors,
 * alone they are C99.
 */
#ifndef SPIKESCAN_STEP
#define SPIKESCAN_STEP
#include "dynamics.inc.h"
#include "products.inc.h"

/* The mean so far; the rounding error of each sum is kept (Knuth 1969). */
static void step_mean(const step_record *r, float *state, const float *x, float *y, int rows, int64_t clock) {
    const int32_t D = padded(r->width);
    for (int32_t d = 0; d < D; d += LANES) {
        vec total = VEC(state + d), error = VEC(state + D + d);
        for (int t = 0; t < rows; t++) {
            const vec in = CONST_VEC(x + t * D + d), now = total + in, back = now - total;
            error = error + ((total - (now - back)) + (in - back));
            total = now;
            VEC(y + t * D + d) = (total + error) / splat((float)(clock + t + 1));
        }
        VEC(state + d) = total, VEC(state + D + d) = error;
    }
}

/* As in ops/bernoulli: random numbers that belong to a key, a step and a channel. */
INLINE uint64_t step_hash(uint64_t key, uint64_t n) {
    uint64_t z = key + n * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static void step_sample(const step_record *r, uint64_t key, const float *x, float *y, int rows,
                        int64_t clock) {
    const int32_t D = padded(r->width);
    for (int32_t d = 0; d < D; d++) {
        const uint64_t lane = step_hash(0, (uint64_t)d + 1);
        for (int t = 0; t < rows; t++) {
            const uint64_t now = step_hash(key, (uint64_t)(clock + t + 1));
            uint32_t z = (uint32_t)now ^ (uint32_t)lane;
            z = (z ^ z >> 17) * 0xED5AD4BBu;
            z = ((z ^ z >> 11) + (uint32_t)(now >> 32)) * 0xAC4C1B51u;
            z = ((z ^ z >> 15) + (uint32_t)(lane >> 32)) * 0x31848BABu;
            /* The 24 upper bits, signed. */
            const float uniform = (float)((int32_t)(z >> 8) - (int32_t)(z >> 31 << 24)) * 0x1p-24f + 0.5f;
            y[t * D + d] = uniform < x[t * D + d] ? 1.0f : 0.0f;
        }
    }
}

/* One record for the steps of a tile. */
static void step_one(const step_program *p, const step_record *r, const step_stream *s, const void *tokens,
                     int rows) {
    const int32_t D = padded(r->width), K = padded(r->inputs);
    const float *numbers = p->numbers + r->numbers, *x = s->values + (ptrdiff_t)r->input * p->tile;
    const float *other = r->other < 0 ? NULL : s->values + (ptrdiff_t)r->other * p->tile;
    float *state = s->state + r->state, *y = s->values + (ptrdiff_t)r->out * p->tile;
    if (!STEP_HAS(r->op)) return; /* a compiler leaves out what no network has */
    switch (r->op) {
    case DENSE: step_dense(r, numbers, x, y, rows); break;
    case LOOKUP:
        for (int t = 0; t < rows; t++)
            for (int32_t d = 0; d < D; d++)
                y[t * D + d] = numbers[(ptrdiff_t)((const int64_t *)tokens)[t] * D + d];
        break;
    case SYNAPSE:
    case SYNAPSE_8:
        for (int t = 0; t < rows; t++, x += K, y += D, other = other ? other + D : NULL) {
            const int32_t n = find_fired(x, r->inputs, s->fired);
            const int binary = r->variant == BINARY;
            if (r->op == SYNAPSE) add_rows(y, other, numbers, D, s->fired, n, x, binary);
            else add_bytes(y, other, numbers, p->bytes + r->bytes, D, s->fired, n, x, binary);
            int64_t sum = n;
            if (r->variant == WHOLE)
                for (int32_t k = sum = 0; k < n; k++) sum += (int64_t)x[s->fired[k]];
            s->counts[2 * r->slot] += n, s->counts[2 * r->slot + 1] += sum;
        }
        break;
    case AFFINE:
        for (int t = 0; t < rows; t++)
            for (int32_t d = 0; d < D; d += LANES)
                VEC(y + t * D + d) =
                    CONST_VEC(numbers + d) * CONST_VEC(x + t * D + d) + CONST_VEC(numbers + D + d);
        break;
    case RESIDUAL:
        for (int32_t d = 0; d < rows * D; d += LANES) VEC(y + d) = CONST_VEC(x + d) + CONST_VEC(other + d);
        break;
    case GELU:
        for (int32_t d = 0; d < rows * D; d += LANES) VEC(y + d) = step_gelu(CONST_VEC(x + d));
        break;
    case MEAN: step_mean(r, state, x, y, rows, s->clock); break;
    case SPATIAL: LAYER(spatial_part, D, 0); break;
    case LIF:
        if (r->variant == SOFT_RESET) LAYER(lif_part, D, SOFT_RESET);
        else if (r->variant == HARD_RESET) LAYER(lif_part, D, HARD_RESET);
        else LAYER(lif_part, D, NO_RESET);
        break;
    case PRF: LAYER(prf_part, D, 0); break;
    case ALIF: LAYER(alif_part, D, 0); break;
    case DSN: step_dsn(r, numbers, state, x, y, rows); break;
    case DIAGONAL: step_diagonal(r, numbers, state, x, y, rows); break;
    case LOW_RANK: step_low_rank(r, numbers, state, x, y, rows); break;
    case DRAW:
        if (r->variant == SAMPLE) step_sample(r, s->keys[r->slot], x, y, rows, s->clock);
        else
            for (int32_t d = 0; d < rows * D; d += LANES) {
                const vec v = CONST_VEC(x + d), low = select(v < splat(0), splat(0), v);
                VEC(y + d) = select(low > splat(1), splat(1), low);
            }
        break;
    }
}

/* The first of `steps` steps whose input cannot be read, or -1. */
static int64_t step_check(const step_program *p, const void *x, int64_t steps) {
    if (p->vocabulary) {
        for (int64_t t = 0; t < steps; t++) {
            const int64_t token = ((const int64_t *)x)[t];
            if (token < 0 || token >= p->vocabulary) return t;
        }
        return -1;
    }
    for (int64_t i = 0; i < steps * p->inputs; i++) {
        const float v = ((const float *)x)[i];
        if (v - v != 0) return i / p->inputs; /* NaN or infinite */
    }
    return -1;
}

/* Run `steps` steps of x (steps, inputs), or (steps) int64 tokens; outputs go to y (steps, outputs). */
static void step_run(const step_program *p, step_stream *s, const void *x, float *y, int64_t steps) {
    const int32_t in = padded(p->inputs), out = padded(p->outputs);
    for (int64_t first = 0; first < steps; first += p->tile) {
        const int rows = (int)(steps - first < p->tile ? steps - first : p->tile);
        const int64_t *tokens = NULL;
        if (p->vocabulary) tokens = (const int64_t *)x + first;
        else
            for (int t = 0; t < rows; t++) {
                const float *from = (const float *)x + (first + t) * p->inputs;
                float *to = s->values + (ptrdiff_t)p->input * p->tile + t * in;
                for (int32_t k = 0; k < p->inputs; k++)
                    to[k] = from[k] < 0x1p-100f && from[k] > -0x1p-100f ? 0 : from[k];
            }
        for (int32_t i = 0; i < p->count; i++) step_one(p, p->records + i, s, tokens, rows);
        for (int t = 0; t < rows; t++)
            for (int32_t m = 0; m < p->outputs; m++)
                y[(first + t) * p->outputs + m] = s->values[(ptrdiff_t)p->output * p->tile + t * out + m];
        s->clock += rows;
    }
}
#endif
