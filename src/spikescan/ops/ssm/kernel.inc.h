/* Sequences (B, T, D) as channels (D, B, P), P >= T, with zeros beyond T; and back, without them. */
#include "../_core/cpu/vector.inc.h"

typedef struct {
    void *sequences, *channels;
    int64_t B, T, D, P, back, threads;
} ssm_args;
LAYOUT(ssm, sequences, channels, B, T, D, P, back, threads)

enum { TURN_STEPS = 64, TURN_LANES = 16 };

/* TURN_STEPS or fewer steps of some neighbouring channels, by way of the first cache level. */
INLINE void turn_part(const ssm_args *a, REAL *x, REAL *y, int n, int valid, int lanes) {
    REAL rows[TURN_STEPS][TURN_LANES], columns[TURN_LANES][TURN_STEPS];
    const int64_t D = a->D, apart = a->B * a->P;
    if (a->back) {
        for (int j = 0; j < lanes; j++) memcpy(columns[j], y + j * apart, sizeof(REAL) * (size_t)valid);
        for (int k = 0; k < valid; k++)
            for (int j = 0; j < lanes; j++) x[k * D + j] = columns[j][k];
        return;
    }
    for (int k = 0; k < valid; k++) memcpy(rows[k], x + k * D, sizeof(REAL) * (size_t)lanes);
    for (int j = 0; j < lanes; j++)
        for (int k = 0; k < n; k++) y[j * apart + k] = k < valid ? rows[k][j] : 0;
}

static void turn_block(const void *args, int64_t i) {
    const ssm_args *a = args;
    const int64_t blocks = (a->P + TURN_STEPS - 1) / TURN_STEPS, b = i / blocks, t = i % blocks * TURN_STEPS;
    const int n = (int)(a->P - t < TURN_STEPS ? a->P - t : TURN_STEPS);
    const int valid = a->T < t ? 0 : a->T - t < n ? (int)(a->T - t) : n;
    for (int64_t d = 0; d < a->D; d += TURN_LANES) {
        REAL *x = (REAL *)a->sequences + (b * a->T + t) * a->D + d;
        REAL *y = (REAL *)a->channels + (d * a->B + b) * a->P + t;
        const int lanes = (int)(a->D - d < TURN_LANES ? a->D - d : TURN_LANES);
        /* The usual case has sizes that the compiler knows. */
        if (valid == TURN_STEPS && lanes == TURN_LANES)
            turn_part(a, x, y, TURN_STEPS, TURN_STEPS, TURN_LANES);
        else turn_part(a, x, y, n, valid, lanes);
    }
}

KERNEL(ssm_turn)(const ssm_args *a) {
    run_tasks(turn_block, a, a->B * ((a->P + TURN_STEPS - 1) / TURN_STEPS), a->threads);
}
