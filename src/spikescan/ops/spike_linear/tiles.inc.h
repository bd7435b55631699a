/* Both gradients in half precision by the tiles of AMX, where the processor has them.
 *
 *   gs = gy w, both rounded to bfloat16, their products added in float32
 *   gw_k = sum_n s_nk g_n, where g is the sum of three bfloat16 numbers, which hold a float32 number
 *
 * A tile holds 16 rows of 64 bytes. An instruction adds to 16 x 16 sums the products of a left tile,
 * 16 rows of 32 terms, with a right one, whose 16 rows hold two terms each of 16 columns. Sums are done
 * four tiles at a time, two rows of two, so that each tile that is read is used twice.
 */
#if REAL_BYTES == 4 && defined(__AVX512F__) && __has_include(<amxbf16intrin.h>)
enum { TILES = 1 };
#define WITH_TILES __attribute__((target("avx512bf16,amx-tile,amx-bf16")))
/* Rows, or columns, of a tile of sums. */
enum { SIDE = 16 };
/* Rows of gs that a task makes. */
enum { RAISED = 64 };
/* bfloat16 numbers that hold a float32 number. */
enum { PIECES = 3 };

/* All eight tiles whole: 0 to 3 are sums, 4 and 5 left ones, 6 and 7 right ones. */
WITH_TILES INLINE void begin_tiles(void) {
    struct {
        uint8_t palette, start, none[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } shape = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        shape.bytes[i] = 64;
        shape.rows[i] = SIDE;
    }
    _tile_loadconfig(&shape);
}

/* The next 16 bits of a number, which leave it. */
WITH_TILES INLINE __m256bh next_piece(__m512 *x) {
    const __m256bh piece = _mm512_cvtneps_pbh(*x);
    *x = _mm512_sub_ps(*x, (__m512)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)piece), 16));
    return piece;
}

INLINE int64_t blocks_of(int64_t n, int64_t side) { return (n + side - 1) / side; }

/* RAISED rows of gs. */
WITH_TILES static void spike_linear_product_tiles(const void *args, int64_t task) {
    const spike_linear_args *a = args;
    const int64_t M = a->M, K = a->K, first = task * RAISED, blocks = blocks_of(M, TERMS);
    const int rows = (int)(a->N - first < RAISED ? a->N - first : RAISED);
    const REAL *g = (const REAL *)a->gy + first * M;
    __m512i left[RAISED * LONGEST / TERMS];
    vec sums[2 * SIDE][GROUP];
    for (int i = 0; i < RAISED; i++) {
        /* Missing rows are others once more, and not stored. */
        round_row(left + i * blocks, g + (i < rows ? i : 0) * M, M);
        if (i < rows) prefetch_rows(g + (i + RAISED) * M, M);
    }
    begin_tiles();
    for (int64_t k = 0; k < K; k += PANEL) {
        const place at = panel_at(k, K);
        const __m512i *w = (const __m512i *)a->panels + k / PANEL * blocks * SIDE * GROUP;
        const int around = streams((REAL *)a->gs + k, K, a->N * K, at);
        for (int i = 0; i < rows; i += 2 * SIDE) {
            for (int j = 0; j < at.nv; j += 2) {
                _tile_zero(0);
                _tile_zero(1);
                _tile_zero(2);
                _tile_zero(3);
                for (int64_t b = 0; b < blocks; b++) {
                    _tile_loadd(4, left + i * blocks + b, blocks * 64);
                    _tile_loadd(5, left + (i + SIDE) * blocks + b, blocks * 64);
                    _tile_loadd(6, w + b * SIDE * GROUP + j, GROUP * 64);
                    _tile_loadd(7, w + b * SIDE * GROUP + j + 1, GROUP * 64);
                    _tile_dpbf16ps(0, 4, 6);
                    _tile_dpbf16ps(1, 4, 7);
                    _tile_dpbf16ps(2, 5, 6);
                    _tile_dpbf16ps(3, 5, 7);
                }
                _tile_stored(0, &sums[0][j], GROUP * 64);
                _tile_stored(1, &sums[0][j + 1], GROUP * 64);
                _tile_stored(2, &sums[SIDE][j], GROUP * 64);
                _tile_stored(3, &sums[SIDE][j + 1], GROUP * 64);
            }
            REAL *gs = (REAL *)a->gs + (first + i) * K + k;
            for (int r = 0; r < 2 * SIDE && i + r < rows; r++) store_row(gs + r * K, sums[r], at, around);
        }
    }
    _tile_release();
}

/* Add what WORD rows, of which none is odd, give to the weight and the bias. */
WITH_TILES static void spike_linear_learn_tiles(const spike_linear_args *a, int64_t first, REAL *gw,
                                                REAL *gbias) {
    const int64_t K = a->K, M = a->M, words = words_of(K), room = a->room;
    const int rows = (int)(a->N - first < WORD ? a->N - first : WORD);
    const REAL *g = (const REAL *)a->gy + first * M;
    enum { PAIRS = WORD / 2, HALVES = WORD / TERMS };
    __m512i left[LONGEST][HALVES], right[PIECES][PAIRS][2];
    const __m512i ones = _mm512_set1_epi16(0x3f80);
    begin_tiles();
    for (int64_t w = 0; gw && w < words; w++) {
        uint64_t turned[WORD];
        for (int i = 0; i < WORD; i++) turned[i] = i < rows ? a->bits[(first + i) * words + w] : 0;
        transpose_bits(turned);
        for (int k = 0; k < WORD && w * WORD + k < room; k++)
            for (int h = 0; h < HALVES; h++)
                left[w * WORD + k][h] = _mm512_maskz_mov_epi16((uint32_t)(turned[k] >> (h * TERMS)), ones);
    }
    for (int64_t m = 0; m < M; m += 2 * LINE) {
        const int n = (int)(M - m < 2 * LINE ? M - m : 2 * LINE);
        const place at = {0, 0, n, 2};
        vec sum[2] = {0};
        for (int p = 0; p < PAIRS; p++) {
            vec two[2][2] = {0};
            for (int i = 0; i < 2 && 2 * p + i < rows; i++) {
                load_row(two[i], g + (2 * p + i) * M + m, 1, at);
                prefetch_row(g + m, (WORD + 2 * p + i) * M, 1, at);
            }
            for (int j = 0; j < 2; j++) {
                __m512 even = (__m512)two[0][j], odd = (__m512)two[1][j];
                sum[j] += two[0][j] + two[1][j];
                for (int piece = 0; piece < PIECES; piece++)
                    right[piece][p][j] = two_rows(next_piece(&even), next_piece(&odd));
            }
        }
        for (int j = 0; gbias && j < 2; j++) ((vec *)(gbias + m))[j] += sum[j];
        REAL *out = gw ? gw + m * room : NULL;
        for (int64_t k = 0; gw && k < room; k += 2 * SIDE) {
            _tile_loadd(0, out + k * LINE, 64);
            _tile_loadd(1, out + (room + k) * LINE, 64);
            _tile_loadd(2, out + (k + SIDE) * LINE, 64);
            _tile_loadd(3, out + (room + k + SIDE) * LINE, 64);
            for (int h = 0; h < HALVES; h++) {
                _tile_loadd(4, &left[k][h], HALVES * 64);
                _tile_loadd(5, &left[k + SIDE][h], HALVES * 64);
                for (int piece = 0; piece < PIECES; piece++) {
                    _tile_loadd(6, &right[piece][h * SIDE][0], 2 * 64);
                    _tile_loadd(7, &right[piece][h * SIDE][1], 2 * 64);
                    _tile_dpbf16ps(0, 4, 6);
                    _tile_dpbf16ps(1, 4, 7);
                    _tile_dpbf16ps(2, 5, 6);
                    _tile_dpbf16ps(3, 5, 7);
                }
            }
            _tile_stored(0, out + k * LINE, 64);
            _tile_stored(1, out + (room + k) * LINE, 64);
            _tile_stored(2, out + (k + SIDE) * LINE, 64);
            _tile_stored(3, out + (room + k + SIDE) * LINE, 64);
        }
    }
    _tile_release();
}
#else
enum { TILES = 0 };
#endif
