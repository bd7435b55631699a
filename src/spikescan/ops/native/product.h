/* Products of sparse rows with a matrix, by sums of the matrix's rows.
 *
 *   y_n = bias + sum_k s_nk w_k          gw_k = sum_n s_nk g_n          gbias = sum_n g_n
 *
 * Both sums add rows of a table (w, or g) wherever a bit is set (s_nk != 0, along k or along n), so
 * there is one loop for both, `add_rows`. What is added is TILE rows of WIDE lanes, which stay in
 * the first cache level; they lie side by side there ("panels"), since rows of a whole matrix would
 * fall on few of its sets. Spikes of size one are added as they are, others multiplied. The order
 * of additions does not depend on how many rows there are: a step has the bits of the whole.
 */
#ifndef SPIKESCAN_PRODUCT_ONCE
#define SPIKESCAN_PRODUCT_ONCE
/* Rows of a tile: the bits of one word. */
enum { TILE = 64 };
/* Tiles of rows that one task of the forward pass does. */
enum { TILES_A_TASK = 4 };
/* Up to so many rows are done without panels. */
enum { FEW = 4 };
typedef struct {
    /* all contiguous: s (N, K), w (M, K), bias (M) or null, g (N, M) */
    const void *s, *w, *bias, *g;
    /* y (N, M); room for the panels of w; for each chunk of rows the panels of gw, null if not
     * wanted, and gbias (panels x WIDE), the same */
    void *y, *panels, *gw, *gbias;
    int64_t N, K, M, chunk, threads;
} product_args;

/* Turn a square of bits over: bit i of word k becomes bit k of word i. */
static void transpose_bits(uint64_t *a) {
    uint64_t m = 0x00000000FFFFFFFFull;
    for (int j = 32; j; j >>= 1, m ^= m << j)
        for (int k = 0; k < TILE; k = ((k | j) + 1) & ~j) {
            const uint64_t t = ((a[k] >> j) ^ a[k | j]) & m;
            a[k] ^= t << j;
            a[k | j] ^= t;
        }
}
#endif

#define WIDE ((int)(256 / sizeof(REAL)))
/* As many lanes at once as accumulators fit into registers. */
#define SUMS (VBYTES == 64 ? 4 : 8)

/* Which of up to TILE numbers are not zero; `ones` stays set while all others are one. */
#define nonzero CAT(nonzero_, SUFFIX)
INLINE uint64_t nonzero(const REAL *s, int n, int *ones) {
    uint64_t bits = 0, odd = 0;
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        const vec v = *(const loose *)(s + i);
        const mask some = v != splat(0);
        bits |= bits_of(some) << i;
        odd |= bits_of(some & (v != splat(1)));
    }
    for (; i < n; i++) {
        bits |= (uint64_t)(s[i] != 0) << i;
        odd |= s[i] != 0 && s[i] != 1;
    }
    if (odd) *ones = 0;
    return bits;
}

/* out += sum of c_i panel_i over the bits i; c_i is one without `factor`. */
#define add_rows CAT(add_rows_, SUFFIX)
INLINE void add_rows(REAL *out, uint64_t bits, const REAL *panel, const REAL *factor, int64_t step) {
    for (int part = 0; part < WIDE; part += SUMS * LANES) {
        vec sum[SUMS];
        for (int j = 0; j < SUMS; j++) sum[j] = *(loose *)(out + part + j * LANES);
        for (uint64_t left = bits; left; left &= left - 1) {
            const int i = __builtin_ctzll(left);
            const vec c = splat(factor ? factor[i * step] : 1);
            for (int j = 0; j < SUMS; j++) {
                const vec row = *(const loose *)(panel + i * WIDE + part + j * LANES);
                sum[j] += factor ? (vec)(c * row) : row;
            }
        }
        for (int j = 0; j < SUMS; j++) *(loose *)(out + part + j * LANES) = sum[j];
    }
}

#define product_forward_tile CAT(product_forward_tile_, SUFFIX)
static void product_forward_tile(const product_args *a, int64_t first) {
    const int64_t K = a->K, M = a->M;
    const int rows = (int)(a->N - first < TILE ? a->N - first : TILE);
    const REAL *s = (const REAL *)a->s + first * K;
    REAL sums[TILE][WIDE] __attribute__((aligned(VBYTES))), start[WIDE] = {0};
    for (int64_t m = 0; m < M; m += WIDE) {
        const int n = (int)(M - m < WIDE ? M - m : WIDE);
        REAL *y = (REAL *)a->y + first * M + m;
        if (a->bias) memcpy(start, (const REAL *)a->bias + m, sizeof(REAL) * (size_t)n);
        for (int i = 0; i < rows; i++) memcpy(sums[i], start, sizeof start);
        for (int64_t k = 0; k < K; k += TILE) {
            const REAL *panel = (const REAL *)a->panels + m * K + k * WIDE;
            for (int i = 0; i < rows; i++) {
                const REAL *row = s + i * K + k;
                int ones = 1;
                const uint64_t bits = nonzero(row, (int)(K - k < TILE ? K - k : TILE), &ones);
                if (ones) add_rows(sums[i], bits, panel, NULL, 0);
                else add_rows(sums[i], bits, panel, row, 1);
            }
        }
        const place at = {0, 0, n, (n + LANES - 1) / LANES};
        const int around = streams(y, M, a->N * M, at);
        for (int i = 0; i < rows; i++) store_row(y + i * M, (const vec *)sums[i], at, around);
    }
}

#define product_backward_tile CAT(product_backward_tile_, SUFFIX)
static void product_backward_tile(const product_args *a, int64_t first, REAL *gw, REAL *gbias) {
    const int64_t K = a->K, M = a->M;
    const int rows = (int)(a->N - first < TILE ? a->N - first : TILE);
    const uint64_t all = rows == TILE ? ~0ull : (1ull << rows) - 1;
    REAL panel[TILE][WIDE] __attribute__((aligned(VBYTES)));
    for (int64_t m = 0; m < M; m += WIDE) {
        const int n = (int)(M - m < WIDE ? M - m : WIDE);
        if (n < WIDE) memset(panel, 0, sizeof panel);
        for (int i = 0; i < rows; i++)
            memcpy(panel[i], (const REAL *)a->g + (first + i) * M + m, sizeof(REAL) * (size_t)n);
        if (gbias) add_rows(gbias + m, all, panel[0], NULL, 0);
        for (int64_t k = 0; gw && k < K; k += TILE) {
            const REAL *s = (const REAL *)a->s + first * K + k;
            const int columns = (int)(K - k < TILE ? K - k : TILE);
            uint64_t bits[TILE] = {0};
            int ones = 1;
            for (int i = 0; i < rows; i++) bits[i] = nonzero(s + i * K, columns, &ones);
            transpose_bits(bits);
            for (int j = 0; j < columns; j++) {
                REAL *out = gw + m * K + (k + j) * WIDE;
                if (ones) add_rows(out, bits[j], panel[0], NULL, 0);
                else add_rows(out, bits[j], panel[0], s + j, K);
            }
        }
    }
}

#define product_panel_task CAT(product_panel_task_, SUFFIX)
static void product_panel_task(const void *args, int64_t i) {
    const product_args *a = args;
    const int64_t n = a->M - i * WIDE < WIDE ? a->M - i * WIDE : WIDE;
    const REAL *w = (const REAL *)a->w + i * WIDE * a->K;
    REAL *panel = (REAL *)a->panels + i * WIDE * a->K;
    for (int64_t k = 0; k < a->K; k++)
        for (int64_t m = 0; m < WIDE; m++) panel[k * WIDE + m] = m < n ? w[m * a->K + k] : 0;
}

#define product_forward_task CAT(product_forward_task_, SUFFIX)
static void product_forward_task(const void *args, int64_t i) {
    const product_args *a = args;
    const int64_t rows = TILE * TILES_A_TASK, end = (i + 1) * rows < a->N ? (i + 1) * rows : a->N;
    for (int64_t n = i * rows; n < end; n += TILE) product_forward_tile(a, n);
}

/* A chunk of rows has sums of its own, so that threads need not agree on an order. */
#define product_backward_task CAT(product_backward_task_, SUFFIX)
static void product_backward_task(const void *args, int64_t i) {
    const product_args *a = args;
    const int64_t end = (i + 1) * a->chunk < a->N ? (i + 1) * a->chunk : a->N;
    const int64_t lanes = (a->M + WIDE - 1) / WIDE * WIDE;
    REAL *gw = a->gw ? (REAL *)a->gw + i * a->K * lanes : NULL;
    REAL *gbias = a->gbias ? (REAL *)a->gbias + i * lanes : NULL;
    if (gw) memset(gw, 0, sizeof(REAL) * (size_t)(a->K * lanes));
    if (gbias) memset(gbias, 0, sizeof(REAL) * (size_t)lanes);
    for (int64_t n = i * a->chunk; n < end; n += TILE) product_backward_tile(a, n, gw, gbias);
}

/* The same sums in the same order, without panels: making them takes longer than one step. */
#define product_few_rows CAT(product_few_rows_, SUFFIX)
static void product_few_rows(const product_args *a) {
    for (int64_t n = 0; n < a->N; n++) {
        const REAL *s = (const REAL *)a->s + n * a->K;
        REAL *y = (REAL *)a->y + n * a->M;
        if (a->bias) memcpy(y, a->bias, sizeof(REAL) * (size_t)a->M);
        else memset(y, 0, sizeof(REAL) * (size_t)a->M);
        for (int64_t k = 0; k < a->K; k++) {
            const REAL *w = (const REAL *)a->w + k;
            if (s[k] != 0)
                for (int64_t m = 0; m < a->M; m++) y[m] += s[k] * w[m * a->K];
        }
    }
}

EXPORT void CAT(spikescan_product_forward_, SUFFIX)(const product_args *a) {
    const int64_t rows = TILE * TILES_A_TASK;
    if (a->N <= FEW) {
        product_few_rows(a);
        return;
    }
    run_tasks(product_panel_task, a, (a->M + WIDE - 1) / WIDE, a->threads);
    run_tasks(product_forward_task, a, (a->N + rows - 1) / rows, a->threads);
}

EXPORT void CAT(spikescan_product_backward_, SUFFIX)(const product_args *a) {
    run_tasks(product_backward_task, a, (a->N + a->chunk - 1) / a->chunk, a->threads);
}
