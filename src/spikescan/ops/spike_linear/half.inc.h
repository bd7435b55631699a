/* The gradient of the weight in half precision: gw += s^T g, gbias += the sums of g.
 *
 * Spikes of zero and one are exact in bfloat16. Where gradients may be rounded to it, the products of
 * all of them take half the time of picking their sums in float32. Bits of a column become numbers,
 * two to a word, as are the gradients of neighbouring rows; SOME columns with a group of lines have
 * their sums in registers.
 */
#if defined(__AVX512F__) && REAL_BYTES == 4
#define HALF
enum { SOME = 4, PAIRS = WORD / 2 };

/* Pair up to WORD rows, zero beyond, a group of lines of them; gbias += their sums. */
WITH_BFLOAT16 static void spike_linear_pair_rows(__m512i out[PAIRS][GROUP], const REAL *g, int64_t M,
                                                 int rows, place at, vec *gbias) {
    vec sum[GROUP] = {0};
    for (int p = 0; p < PAIRS; p++) {
        vec two[2][GROUP] = {0};
        for (int i = 0; i < 2 && 2 * p + i < rows; i++) {
            load_row(two[i], g + (2 * p + i) * M, 1, at);
            prefetch_row(g, (WORD + 2 * p + i) * M, 1, at); /* of the next rows */
        }
        for (int j = 0; j < GROUP; j++) {
            sum[j] += two[0][j] + two[1][j];
            out[p][j] = paired(two[0][j], two[1][j]);
        }
    }
    for (int j = 0; gbias && j < GROUP; j++) gbias[j] += sum[j];
}

/* gw, whose lines are K vectors apart, += some columns of bits times a group of lines of pairs. */
WITH_BFLOAT16 static void spike_linear_add_half(vec *gw, int64_t K, const uint64_t *turned, int some,
                                                __m512i pairs[PAIRS][GROUP]) {
    int32_t spikes[SOME][PAIRS] __attribute__((aligned(64)));
    vec sums[SOME][GROUP] = {0};
    for (int i = 0; i < SOME; i++) {
        const uint64_t bits = i < some ? turned[i] : 0;
        for (int h = 0; h < 2; h++)
            _mm512_store_si512(spikes[i] + h * LANES,
                               _mm512_maskz_set1_epi16((__mmask32)(bits >> 32 * h), 0x3f80)); /* one */
        for (int j = 0; j < GROUP && i < some; j++) sums[i][j] = gw[j * K + i];
    }
    for (int p = 0; p < PAIRS; p++)
        for (int i = 0; i < SOME; i++)
            for (int j = 0; j < GROUP; j++)
                sums[i][j] = (vec)_mm512_dpbf16_ps((__m512)sums[i][j],
                                                   (__m512bh)_mm512_set1_epi32(spikes[i][p]),
                                                   (__m512bh)pairs[p][j]);
    for (int i = 0; i < some; i++)
        for (int j = 0; j < GROUP; j++) gw[j * K + i] = sums[i][j];
}

static void spike_linear_half_columns(const spike_linear_args *a, const REAL *g, int rows,
                                      const uint64_t *turned, int64_t columns, REAL *gw, REAL *gbias) {
    const int64_t K = a->K, M = a->M;
    __m512i pairs[PAIRS][GROUP];
    for (int64_t m = 0; m < M; m += GROUP * LINE) {
        const int n = (int)(M - m < GROUP * LINE ? M - m : GROUP * LINE);
        const place at = {0, 0, n, (n + LANES - 1) / LANES};
        spike_linear_pair_rows(pairs, g + m, M, rows, at, gbias ? (vec *)(gbias + m) : NULL);
        for (int64_t k = 0; k < columns; k += SOME)
            spike_linear_add_half((vec *)(gw + (m / LINE * K + k) * LINE), K, turned + k,
                                  (int)(columns - k < SOME ? columns - k : SOME), pairs);
    }
}
#endif
