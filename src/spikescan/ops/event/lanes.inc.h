/* The vectors of the step, and functions of them.
 *
 * After vector.inc.h they are that header's; alone this is C99 with one lane, for processors without
 * vectors.
 */
#ifndef SPIKESCAN_LANES
#define SPIKESCAN_LANES
#include <stddef.h>
#include <stdint.h>

#ifdef SPIKESCAN_VECTOR
#define BITS_AS_INT(x) ((mask)(x))
#define BITS_AS_REAL(x) ((vec)(x))
/* Two bytes a word, and sums of them, which may wrap around; vectors of integers. */
typedef int16_t words __attribute__((vector_size(VBYTES), aligned(VBYTES), may_alias));
typedef uint16_t wrapping __attribute__((vector_size(VBYTES), aligned(VBYTES), may_alias));
typedef int32_t ints __attribute__((vector_size(VBYTES), aligned(VBYTES), may_alias));
typedef uint32_t unsigned_ints __attribute__((vector_size(VBYTES), aligned(VBYTES), may_alias));
#define INTS_AS_VEC(x) __builtin_convertvector(x, vec)
/* Vectors of sums that fit into the registers. */
#if VBYTES == 64
enum { WIDE = 16 };
#else
enum { WIDE = 8 };
#endif
#else
#define INLINE static inline
#define LANES 1
typedef float vec;
typedef int32_t mask;
enum { WIDE = 8 };
INLINE vec splat(float x) { return x; }
INLINE vec select(mask m, vec yes, vec no) { return m ? yes : no; }
INLINE uint64_t bits_of(mask m) { return m != 0; }
INLINE mask BITS_AS_INT(float x) {
    const union {
        vec real;
        mask bits;
    } both = {.real = x};
    return both.bits;
}
INLINE vec BITS_AS_REAL(int32_t m) {
    const union {
        mask bits;
        vec real;
    } both = {.bits = m};
    return both.real;
}
#endif
#define VEC(p) (*(vec *)(p))
#define CONST_VEC(p) (*(const vec *)(p))

/* One bit a lane that is not zero. */
INLINE uint64_t bits_of_nonzero(vec x) {
#if defined(SPIKESCAN_VECTOR) && defined(__AVX512F__)
    return _mm512_cmp_ps_mask((__m512)x, _mm512_setzero_ps(), _CMP_NEQ_UQ);
#else
    return bits_of(x != splat(0));
#endif
}

/* Write k + i for each bit i, in ascending order, with room for a vector; returns how many. */
INLINE int32_t list_lanes(int32_t *list, uint64_t bits, int32_t k) {
#if defined(SPIKESCAN_VECTOR) && defined(__AVX512F__)
    /* Without branches, of which spikes would make the processor guess many wrong. */
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i at = _mm512_add_epi32(lane, _mm512_set1_epi32(k));
    _mm512_storeu_si512(list, _mm512_maskz_compress_epi32((__mmask16)bits, at));
    return __builtin_popcountll(bits);
#elif defined(SPIKESCAN_VECTOR)
    int32_t n = 0;
    for (; bits; bits &= bits - 1) list[n++] = k + __builtin_ctzll(bits);
    return n;
#else
    *list = k;
    return (int32_t)bits;
#endif
}

/* Smaller numbers are zero in the state: they would decay to subnormal ones, which are slow. */
INLINE vec flush(vec x) {
    const vec small = splat(0x1p-100f);
    return select((x < small) & (x > splat(-0x1p-100f)), splat(0), x);
}

/* exp(x) for x <= 0, 0 below -87: x = k ln2 + r, a Taylor polynomial in r, k added to the exponent. */
INLINE vec step_exp(vec x) {
    static const float inverse_factorial[] = {1.0f / 5040, 1.0f / 720, 1.0f / 120, 1.0f / 24,
                                              1.0f / 6,    0.5f,       1,          1};
    const mask tiny = x < splat(-87);
    x = select(tiny, splat(-87), x);
    const vec magic = splat(12582912), shifted = x * splat(1.4426950408889634f) + magic, k = shifted - magic;
    const vec r = (x - k * splat(0.693359375f)) - k * splat(-2.12194440e-4f);
    vec y = splat(0);
    for (int i = 0; i < 8; i++) y = y * r + splat(inverse_factorial[i]);
    const mask up = (BITS_AS_INT(shifted) - BITS_AS_INT(magic)) * (1 << 23);
    return select(tiny, splat(0), BITS_AS_REAL(BITS_AS_INT(y) + up));
}

/* log(1 + y) for 0 <= y <= 1, as 2 atanh(r). */
INLINE vec step_log1p(vec y) {
    static const float twice_inverse[] = {2.0f / 15, 2.0f / 13, 2.0f / 11, 2.0f / 9,
                                          2.0f / 7,  2.0f / 5,  2.0f / 3,  2};
    const vec r = y / (splat(2) + y), square = r * r;
    vec sum = splat(0);
    for (int i = 0; i < 8; i++) sum = sum * square + splat(twice_inverse[i]);
    return r * sum;
}

/* x Phi(x), Phi by Abramowitz and Stegun 7.1.26. */
INLINE vec step_gelu(vec x) {
    static const float tail_of[] = {1.061405429f, -1.453152027f, 1.421413741f, -0.284496736f, 0.254829592f};
    const vec size = select(x < splat(0), -x, x) * splat(0.7071067811865476f);
    const vec t = splat(1) / (splat(1) + splat(0.3275911f) * size);
    vec tail = splat(0);
    for (int i = 0; i < 5; i++) tail = (tail + splat(tail_of[i])) * t;
    const vec below = (splat(0.5f) * tail) * step_exp(-(size * size));
    return x * select(x < splat(0), below, splat(1) - below);
}
#endif
