/* Numbers times a factor, or times zero where a random integer is below the least.
 *
 * The integers are a hash of the key, of a row of ROW numbers and of the place in it.
 */
#include "../_core/cpu/random.inc.h"
#include "../_core/cpu/vector.inc.h"

/* A task has this many rows. */
enum { ROW = 256, ROWS = 256 };
typedef struct {
    /* (N), (1), (N) */
    const void *x;
    const int64_t *key;
    void *y;
    int64_t least;
    double factor;
    int64_t N, threads;
} dropout_args;
LAYOUT(dropout, x, key, y, least, factor, N, threads)
CONSTANTS(dropout, ROW)

static void dropout_rows(const void *args, int64_t task) {
    const dropout_args *a = args;
    const int32_t least = (int32_t)a->least;
    const REAL factor = (REAL)a->factor;
    uint32_t salt[ROW], more[ROW];
    for (int j = 0; j < ROW; j++) {
        const uint64_t lane = splitmix(0, (uint64_t)j + 1);
        salt[j] = (uint32_t)lane, more[j] = (uint32_t)(lane >> 32);
    }
    for (int64_t row = task * ROWS; row < (task + 1) * ROWS && row * ROW < a->N; row++) {
        const REAL *x = (const REAL *)a->x + row * ROW;
        REAL *y = (REAL *)a->y + row * ROW;
        const uint64_t step = splitmix((uint64_t)*a->key, (uint64_t)row + 1);
        const uint32_t low = (uint32_t)step, high = (uint32_t)(step >> 32);
        const int n = (int)(a->N - row * ROW < ROW ? a->N - row * ROW : ROW);
        for (int j = 0; j < n; j++)
            y[j] = x[j] * (random_integer(low, high, salt[j], more[j]) >= least ? factor : 0);
    }
}

KERNEL(dropout_forward)(const dropout_args *a) {
    run_tasks(dropout_rows, a, (a->N + ROW * ROWS - 1) / (ROW * ROWS), a->threads);
}
