/* Products of spikes with a matrix, by sums of the matrix's rows.
 *
 *   y_n = bias + sum_k s_nk w_k          gw_k = sum_n s_nk g_n          gbias = sum_n g_n
 *
 * Both sums add rows of a matrix (w, or g) wherever a bit is set (s_nk != 0, along k or along n).
 * Where all spikes are one, they are not added one by one: all 16 sums of each four neighbouring
 * rows are made first, and four bits then pick one of them (the "method of the four Russians"), so
 * that nothing branches and the time does not depend on the bits. Rows with other numbers ("odd")
 * are multiplied and added one by one. The order of additions of a row depends on that row alone:
 * a step has the bits of the whole.
 */
#include "../_core/cpu/vector.inc.h"

/* Matrix rows that one word of bits selects from. */
enum { WORD = 64 };
/* Rows of spikes that share the tables in the first cache level. */
enum { TILE = 128 };
/* Words of bits that a backward pass turns over together. */
enum { TURNED = 32 };
/* Up to so many rows are done without tables. */
enum { FEW = 4 };
typedef struct {
    /* all contiguous: s (N, K), absent in a backward pass where no row is odd; weight (M, K), bias (M),
     * gy (N, M) */
    const void *s, *weight, *bias, *gy;
    /* y (N, M); room for w in lines (lines, K, LINE) and for the tables of each word of each line */
    void *y, *lines, *tables;
    /* gradients, a set for each chunk of rows: (lines, room, LINE), room >= K, and (lines, LINE) */
    void *gweight, *gbias;
    /* gradient of s (N, K), and room for w in panels (panels, M, PANEL) */
    void *gs, *panels;
    /* which spikes are not zero (N, ceil(K / WORD)) and which rows are odd (N): made, then read */
    uint64_t *bits;
    uint8_t *odd;
    int64_t has_bias, want_gweight, want_gbias, half, tiles;
    int64_t N, K, M, chunk, room, threads;
} spike_linear_args;
LAYOUT(spike_linear, s, weight, bias, gy, y, lines, tables, gweight, gbias, gs, panels, bits, odd, has_bias,
       want_gweight, want_gbias, half, tiles, N, K, M, chunk, room, threads)

INLINE int64_t words_of(int64_t K) { return (K + WORD - 1) / WORD; }

/* Turn a square of bits over: bit i of word k becomes bit k of word i. */
static void transpose_bits(uint64_t *a) {
    uint64_t m = 0x00000000FFFFFFFFull;
    for (int j = 32; j; j >>= 1, m ^= m << j)
        for (int k = 0; k < WORD; k = ((k | j) + 1) & ~j) {
            const uint64_t t = ((a[k] >> j) ^ a[k | j]) & m;
            a[k] ^= t << j;
            a[k | j] ^= t;
        }
}

/* Outputs are done a line at a time, in groups of lines where rows are added one by one. */
enum { LINE = 64 / sizeof(REAL), GROUP = 4 };
#include "product.inc.h"
CONSTANTS(spike_linear, WORD, FEW, LINE, GROUP, PANEL, LONGEST, DENSE, TILES, TERMS)
#define PARTS (LINE / LANES)
/* The tables of one word of one line: for each four rows their 16 sums. */
#define TABLES (WORD / 4 * 16 * LINE)
INLINE int64_t lines_of(int64_t M) { return (M + GROUP * LINE - 1) / (GROUP * LINE) * GROUP; }

/* Which of K numbers are not zero, and whether one is neither zero nor one. */
INLINE int find_spikes(const REAL *s, int64_t K, uint64_t *bits, uint8_t *odd) {
    uint64_t others = 0;
    for (int64_t k = 0; k < K; k += WORD, s += WORD) {
        const int n = (int)(K - k < WORD ? K - k : WORD);
        uint64_t some = 0;
        int i = 0;
        for (; i + LANES <= n; i += LANES) {
            const vec v = *(const loose *)(s + i);
            const mask is = v != splat(0);
            some |= bits_of(is) << i;
            others |= bits_of(is & (v != splat(1)));
        }
        for (; i < n; i++) {
            some |= (uint64_t)(s[i] != 0) << i;
            others |= s[i] != 0 && s[i] != 1;
        }
        bits[k / WORD] = some;
    }
    return *odd = others != 0;
}

/* All sums of each four of `count` <= WORD rows: n lanes from `p`, rows `step` elements apart. */
INLINE void make_tables(REAL *tables, const REAL *p, int64_t step, int count, int n) {
    const place at = {0, 0, n, PARTS};
    for (int k = 0; k < WORD; k += 4, tables += 16 * LINE) {
        vec row[4][PARTS] = {0}, sums[16];
        for (int i = 0; i < 4 && k + i < count; i++) load_row(row[i], p + (k + i) * step, 1, at);
        for (int j = 0; j < PARTS; j++) {
            sums[0] = splat(0);
            for (int i = 0; i < 4; i++)
                for (int e = 0; e < 1 << i; e++) sums[(1 << i) + e] = sums[e] + row[i][j];
            for (int e = 0; e < 16; e++) ((vec *)tables)[e * PARTS + j] = sums[e];
        }
    }
}

/* out += for each four bits the sum that they pick. */
INLINE void pick(vec *out, uint64_t bits, const REAL *tables) {
    vec sum[PARTS];
    for (int j = 0; j < PARTS; j++) sum[j] = out[j];
    for (int i = 0; i < WORD / 4; i++) {
        /* four bits, as an offset in bytes */
        const uint64_t at = (4 * i < 6 ? bits << (6 - 4 * i) : bits >> (4 * i - 6)) & (15 << 6);
        const vec *entry = (const vec *)((const char *)tables + i * 16 * 64 + at);
        for (int j = 0; j < PARTS; j++) sum[j] += entry[j];
    }
    for (int j = 0; j < PARTS; j++) out[j] = sum[j];
}

/* The same for each of some rows that is not odd; in a loop of its own, which the compiler then keeps
 * in registers. */
static __attribute__((noinline)) void pick_rows(vec *out, int rows, const uint64_t *bits, int64_t step,
                                                const uint8_t *odd, const REAL *tables) {
    for (int i = 0; i < rows; i++)
        if (!odd[i]) pick(out + i * PARTS, bits[i * step], tables);
}

/* out += factor_i row_i over the bits i, one by one, for a group of lines: `apart` lines from each
 * other in out, `far` in the rows. */
INLINE void add_rows(vec *out, int64_t apart, uint64_t bits, const REAL *rows, int64_t far,
                     const REAL *factor, int64_t step) {
    vec sum[GROUP * PARTS];
    for (int j = 0; j < GROUP * PARTS; j++) sum[j] = out[j / PARTS * apart * PARTS + j % PARTS];
    for (; bits; bits &= bits - 1) {
        const int i = __builtin_ctzll(bits);
        const vec c = splat(factor[i * step]), *row = (const vec *)(rows + i * LINE);
        for (int j = 0; j < GROUP * PARTS; j++) sum[j] += c * row[j / PARTS * far * PARTS + j % PARTS];
    }
    for (int j = 0; j < GROUP * PARTS; j++) out[j / PARTS * apart * PARTS + j % PARTS] = sum[j];
}

/* A tile of rows, a group of lines at a time, which then are written together. */
static void spike_linear_forward_tile(const void *args, int64_t tile) {
    const spike_linear_args *a = args;
    const int64_t K = a->K, M = a->M, words = words_of(K), first = tile * TILE;
    const int rows = (int)(a->N - first < TILE ? a->N - first : TILE);
    const REAL *s = (const REAL *)a->s + first * K;
    uint64_t *bits = a->bits + first * words;
    uint8_t *odd = a->odd + first;
    vec sums[GROUP][TILE][PARTS], start[GROUP * PARTS] = {0}, out[GROUP * PARTS];
    for (int i = 0; i < rows; i++) find_spikes(s + i * K, K, bits + i * words, odd + i);
    for (int64_t m = 0; m < M; m += GROUP * LINE) {
        const int n = (int)(M - m < GROUP * LINE ? M - m : GROUP * LINE);
        const place at = {0, 0, n, (n + LANES - 1) / LANES};
        REAL *y = (REAL *)a->y + first * M + m;
        const int around = streams(y, M, a->N * M, at);
        if (a->has_bias) load_row(start, (const REAL *)a->bias + m, 1, at);
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < GROUP * PARTS; j++) sums[j / PARTS][i][j % PARTS] = start[j];
        for (int64_t k = 0; k < words; k++) {
            const REAL *line = (const REAL *)a->lines + (m * K / LINE + k * WORD) * LINE;
            const REAL *tables = (const REAL *)a->tables + (m / LINE * words + k) * TABLES;
            for (int l = 0; l < GROUP; l++)
                pick_rows(sums[l][0], rows, bits + k, words, odd, tables + l * words * TABLES);
            for (int i = 0; i < rows; i++)
                if (odd[i]) add_rows(sums[0][i], TILE, bits[i * words + k], line, K, s + i * K + k * WORD, 1);
        }
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < GROUP * PARTS; j++) out[j] = sums[j / PARTS][i][j % PARTS];
            store_row(y + i * M, out, at, around);
        }
    }
}

/* Up to WORD rows of spikes, whose gradients are the matrix that bits select from. */
static void spike_linear_backward_tile(const spike_linear_args *a, int64_t first, REAL *gw, REAL *gbias) {
    const int64_t K = a->K, M = a->M, words = words_of(K);
    const int rows = (int)(a->N - first < WORD ? a->N - first : WORD);
    const REAL *g = (const REAL *)a->gy + first * M;
    uint64_t turned[TURNED * WORD]; /* column k's bits, one a row */
    REAL tables[TABLES] __attribute__((aligned(64)));
    uint8_t odd = 0;
    for (int i = 0; i < rows; i++) odd |= a->odd[first + i];
#ifdef WITH_TILES
    if (a->tiles && !odd) {
        spike_linear_learn_tiles(a, first, gw, gbias);
        return;
    }
#endif
    for (int64_t from = 0; from < words; from += TURNED) {
        const int some = (int)(words - from < TURNED ? words - from : TURNED);
        const int64_t columns = !gw ? 0 : K - from * WORD < some * WORD ? K - from * WORD : some * WORD;
        REAL *bias = from ? NULL : gbias;
        for (int w = 0; columns && w < some; w++) {
            const uint64_t *bits = a->bits + first * words + from + w;
            for (int i = 0; i < WORD; i++) turned[w * WORD + i] = i < rows ? bits[i * words] : 0;
            transpose_bits(turned + w * WORD);
        }
        for (int64_t m = 0; !odd && m < M; m += LINE) {
            vec *out = columns ? (vec *)(gw + (m / LINE * a->room + from * WORD) * LINE) : NULL;
            make_tables(tables, g + m, M, rows, (int)(M - m < LINE ? M - m : LINE));
            /* The rows of the next tile are asked for now. */
            for (int i = 0; i < WORD; i++) prefetch_row(g + m, (WORD + i) * M, 1, (place){.nv = PARTS});
            if (bias) pick((vec *)(bias + m), rows < WORD ? (1ull << rows) - 1 : ~0ull, tables);
            for (int64_t k = 0; k < columns; k++) pick(out + k * PARTS, turned[k], tables);
        }
        for (int64_t m = 0; odd && m < M; m += GROUP * LINE) {
            vec panel[GROUP][WORD][PARTS] = {0};
            vec *out = columns ? (vec *)(gw + (m / LINE * a->room + from * WORD) * LINE) : NULL;
            for (int l = 0; l < GROUP && m + l * LINE < M; l++) {
                const int64_t left = M - m - l * LINE;
                const place at = {0, 0, (int)(left < LINE ? left : LINE), PARTS};
                for (int i = 0; i < rows; i++) {
                    load_row(panel[l][i], g + i * M + m + l * LINE, 1, at);
                    for (int j = 0; bias && j < PARTS; j++)
                        ((vec *)(bias + m + l * LINE))[j] += panel[l][i][j];
                }
            }
            const REAL *s = (const REAL *)a->s + first * K + from * WORD;
            for (int64_t k = 0; k < columns; k++)
                add_rows(out + k * PARTS, a->room, turned[k], (const REAL *)panel, WORD, s + k, K);
        }
    }
}

/* A chunk of rows has sums of its own, so that threads need not agree on an order. */
static void spike_linear_backward_chunk(const void *args, int64_t i) {
    const spike_linear_args *a = args;
    const int64_t end = (i + 1) * a->chunk < a->N ? (i + 1) * a->chunk : a->N;
    const int64_t lanes = lines_of(a->M) * LINE;
    REAL *gw = a->want_gweight ? (REAL *)a->gweight + i * a->room * lanes : NULL;
    REAL *gbias = a->want_gbias ? (REAL *)a->gbias + i * lanes : NULL;
    if (gw) memset(gw, 0, sizeof(REAL) * (size_t)(a->room * lanes));
    if (gbias) memset(gbias, 0, sizeof(REAL) * (size_t)lanes);
    for (int64_t n = i * a->chunk; n < end; n += WORD) spike_linear_backward_tile(a, n, gw, gbias);
}

/* One line of w, and its tables. */
static void spike_linear_line(const void *args, int64_t line) {
    const spike_linear_args *a = args;
    const int64_t K = a->K, words = words_of(K), m = line * LINE;
    REAL *rows = (REAL *)a->lines + m * K, *tables = (REAL *)a->tables + line * words * TABLES;
    const REAL *w = (const REAL *)a->weight + m * K;
    for (int64_t k = 0; k < K; k++)
        for (int64_t j = 0; j < LINE; j++) rows[k * LINE + j] = m + j < a->M ? w[j * K + k] : 0;
    for (int64_t k = 0; k < K; k += WORD)
        make_tables(tables + k / WORD * TABLES, rows + k * LINE, LINE, (int)(K - k < WORD ? K - k : WORD),
                    LINE);
}

/* The same sums in the same order, without tables: making them takes longer than one step. */
static void spike_linear_few_rows(const spike_linear_args *a) {
    for (int64_t n = 0; n < a->N; n++) {
        const REAL *s = (const REAL *)a->s + n * a->K;
        uint64_t *bits = a->bits + n * words_of(a->K);
        REAL *y = (REAL *)a->y + n * a->M;
        if (a->has_bias) memcpy(y, a->bias, sizeof(REAL) * (size_t)a->M);
        else memset(y, 0, sizeof(REAL) * (size_t)a->M);
        const int64_t four = find_spikes(s, a->K, bits, a->odd + n) ? 1 : 4;
        for (int64_t k = 0; k < a->K; k += four) {
            int64_t at[4], count = 0;
            for (int64_t j = k; j < k + four && j < a->K; j++)
                if (bits[j / WORD] >> j % WORD & 1) at[count++] = j;
            for (int64_t m = 0; count && m < a->M; m++) {
                const REAL *w = (const REAL *)a->weight + m * a->K;
                REAL sum = 0;
                for (int64_t j = 0; j < count; j++) sum += four == 1 ? s[k] * w[at[j]] : w[at[j]];
                y[m] += sum;
            }
        }
    }
}

KERNEL(spike_linear_forward)(const spike_linear_args *a) {
    if (a->N <= FEW) {
        spike_linear_few_rows(a);
        return;
    }
    run_tasks(spike_linear_line, a, lines_of(a->M), a->threads);
    run_tasks(spike_linear_forward_tile, a, (a->N + TILE - 1) / TILE, a->threads);
}

KERNEL(spike_linear_backward)(const spike_linear_args *a) {
    run_tasks(spike_linear_backward_chunk, a, (a->N + a->chunk - 1) / a->chunk, a->threads);
}
