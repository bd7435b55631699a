/* The gradient of the spikes, gs = gy w: a dense product, as a surrogate may ask for all of it.
 *
 * w is packed in panels, PANEL columns of all its rows. The sums of ROWS rows of gy with a panel stay
 * in registers; a tile of rows passes by every panel while it is in the second cache level, and the
 * next is asked for meanwhile. Each sum is of one row and in its order, whatever the number of rows.
 * It is here where AVX-512 is, whose 32 registers hold that many sums; elsewhere torch multiplies.
 *
 * In half precision both factors are rounded to bfloat16 on their way, two terms to a word, and their
 * products are added in float32.
 */
enum { PANEL = GROUP * LINE, ROWS = 6, PASSING = 8 * ROWS };
/* Terms of a row of AMX's tiles. */
enum { TERMS = 32 };
/* The longest sums: a tile rounded to bfloat16 is kept beside its sums. */
enum { LONGEST = 1024 };
#ifdef __AVX512F__
enum { DENSE = 1 };
#if REAL_BYTES == 4
#define FMA(a, b, c) ((vec)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#else
#define FMA(a, b, c) ((vec)_mm512_fmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c)))
#endif
#define WITH_BFLOAT16 __attribute__((target("avx512bf16")))

INLINE place panel_at(int64_t k, int64_t K) {
    const int n = (int)(K - k < PANEL ? K - k : PANEL);
    return (place){0, 0, n, (n + LANES - 1) / LANES};
}

/* Ask for the rows of the next tile, where the first panel is at work. */
INLINE void prefetch_rows(const REAL *g, int64_t numbers) {
    for (int64_t i = 0; i < numbers; i += LINE) __builtin_prefetch(g + i, 0, 2);
}

INLINE void store_sums(REAL *gs, int64_t K, vec sums[ROWS][GROUP], int rows, place at, int around) {
    for (int i = 0; i < rows; i++) store_row(gs + i * K, sums[i], at, around);
}

/* One panel of w, zero beyond its columns. */
static void spike_linear_pack(const void *args, int64_t panel) {
    const spike_linear_args *a = args;
    const place at = panel_at(panel * PANEL, a->K);
    const REAL *w = (const REAL *)a->weight + panel * PANEL;
    vec *out = (vec *)a->panels + panel * a->M * GROUP;
    for (int64_t m = 0; m < a->M; m++) {
        for (int j = at.nv; j < GROUP; j++) out[m * GROUP + j] = splat(0);
        load_row(out + m * GROUP, w + m * a->K, 1, at);
    }
}

/* A tile of rows with all panels. */
static void spike_linear_product_tile(const void *args, int64_t tile) {
    const spike_linear_args *a = args;
    const int64_t M = a->M, K = a->K, first = tile * PASSING;
    const int64_t end = first + PASSING < a->N ? first + PASSING : a->N;
    for (int64_t k = 0; k < K; k += PANEL) {
        const place at = panel_at(k, K);
        const vec *w = (const vec *)a->panels + k / PANEL * M * GROUP;
        const int around = streams((REAL *)a->gs + k, K, a->N * K, at);
        for (int64_t n = first; n < end; n += ROWS) {
            const int rows = (int)(end - n < ROWS ? end - n : ROWS);
            const REAL *g[ROWS];
            vec sums[ROWS][GROUP] = {0};
            /* Missing rows are others once more, and not stored. */
            for (int i = 0; i < ROWS; i++) g[i] = (const REAL *)a->gy + (n + (i < rows ? i : 0)) * M;
            if (!k) prefetch_rows(g[0] + PASSING * M, ROWS * M);
            for (int64_t m = 0; m < M; m++)
                for (int i = 0; i < ROWS; i++)
                    for (int j = 0; j < GROUP; j++)
                        sums[i][j] = FMA(splat(g[i][m]), w[m * GROUP + j], sums[i][j]);
            store_sums((REAL *)a->gs + n * K + k, K, sums, rows, at, around);
        }
    }
}

#if REAL_BYTES == 4
/* A number of each of two rows in each word. */
WITH_BFLOAT16 INLINE __m512i two_rows(__m256bh even, __m256bh odd) {
    const __m512i low = _mm512_cvtepu16_epi32((__m256i)even), high = _mm512_cvtepu16_epi32((__m256i)odd);
    return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
}

/* Pairs of rows of w in a panel, whole tiles of them where tiles multiply. */
INLINE int64_t pairs_of(const spike_linear_args *a) {
    const int64_t terms = a->tiles ? TERMS : 2;
    return (a->M + terms - 1) / terms * terms / 2;
}

/* One panel of w, two neighbouring rows in each word, zero beyond them. */
WITH_BFLOAT16 static void spike_linear_pack_half(const void *args, int64_t panel) {
    const spike_linear_args *a = args;
    const place at = panel_at(panel * PANEL, a->K);
    const REAL *w = (const REAL *)a->weight + panel * PANEL;
    const int64_t pairs = pairs_of(a);
    __m512i *out = (__m512i *)a->panels + panel * pairs * GROUP;
    for (int64_t p = 0; p < pairs; p++) {
        vec two[2][GROUP] = {0};
        for (int i = 0; i < 2 && 2 * p + i < a->M; i++) load_row(two[i], w + (2 * p + i) * a->K, 1, at);
        for (int j = 0; j < GROUP; j++)
            out[p * GROUP + j] =
                two_rows(_mm512_cvtneps_pbh((__m512)two[0][j]), _mm512_cvtneps_pbh((__m512)two[1][j]));
    }
}

/* Numbers to bfloat16, zero up to a multiple of 32 of them. */
WITH_BFLOAT16 INLINE void round_row(__m512i *out, const REAL *g, int64_t M) {
    for (int64_t m = 0; m < M; m += 2 * LANES) {
        const int64_t low = M - m < LANES ? M - m : LANES, rest = M - m - low;
        const int64_t high = rest < LANES ? rest : LANES;
        const __m512 first = _mm512_maskz_loadu_ps((__mmask16)((1u << low) - 1), g + m);
        const __m512 second = _mm512_maskz_loadu_ps((__mmask16)((1u << high) - 1), g + m + LANES);
        out[m / (2 * LANES)] = (__m512i)_mm512_cvtne2ps_pbh(second, first);
    }
}

WITH_BFLOAT16 static void spike_linear_product_tile_half(const void *args, int64_t tile) {
    const spike_linear_args *a = args;
    const int64_t M = a->M, K = a->K, first = tile * PASSING, pairs = pairs_of(a);
    const int64_t end = first + PASSING < a->N ? first + PASSING : a->N;
    const int64_t row = (M + 2 * LANES - 1) / (2 * LANES) * LANES;
    int32_t rounded[PASSING * LONGEST / 2] __attribute__((aligned(64)));
    for (int64_t n = first; n < end; n++)
        round_row((__m512i *)(rounded + (n - first) * row), (const REAL *)a->gy + n * M, M);
    for (int64_t k = 0; k < K; k += PANEL) {
        const place at = panel_at(k, K);
        const __m512i *w = (const __m512i *)a->panels + k / PANEL * pairs * GROUP;
        const int around = streams((REAL *)a->gs + k, K, a->N * K, at);
        for (int64_t n = first; n < end; n += ROWS) {
            const int rows = (int)(end - n < ROWS ? end - n : ROWS);
            const int32_t *g[ROWS];
            vec sums[ROWS][GROUP] = {0};
            for (int i = 0; i < ROWS; i++) g[i] = rounded + (n - first + (i < rows ? i : 0)) * row;
            if (!k) prefetch_rows((const REAL *)a->gy + (n + PASSING) * M, ROWS * M);
            for (int64_t p = 0; p < pairs; p++)
                for (int i = 0; i < ROWS; i++)
                    for (int j = 0; j < GROUP; j++)
                        sums[i][j] =
                            (vec)_mm512_dpbf16_ps((__m512)sums[i][j], (__m512bh)_mm512_set1_epi32(g[i][p]),
                                                  (__m512bh)w[p * GROUP + j]);
            store_sums((REAL *)a->gs + n * K + k, K, sums, rows, at, around);
        }
    }
}
#endif

#include "tiles.inc.h"

KERNEL(spike_linear_product)(const spike_linear_args *a) {
    const int64_t panels = (a->K + PANEL - 1) / PANEL, tiles = (a->N + PASSING - 1) / PASSING;
#if REAL_BYTES == 4
    if (a->half) {
        run_tasks(spike_linear_pack_half, a, panels, a->threads);
#ifdef WITH_TILES
        if (a->tiles) {
            run_tasks(spike_linear_product_tiles, a, blocks_of(a->N, RAISED), a->threads);
            return;
        }
#endif
        run_tasks(spike_linear_product_tile_half, a, tiles, a->threads);
        return;
    }
#endif
    run_tasks(spike_linear_pack, a, panels, a->threads);
    run_tasks(spike_linear_product_tile, a, tiles, a->threads);
}
#else
enum { DENSE = 0 };
#include "tiles.inc.h"
#endif
