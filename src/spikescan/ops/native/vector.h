/* Vectors, loads and stores for one floating type at one CPU level.
 *
 * Included once with REAL=float and once with REAL=double. Everything is written with the
 * compiler's vector extensions, so the same lines become SSE2, AVX2, AVX-512 or NEON code.
 * A "block" is BLOCK neighbouring channels that a task carries through time together.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef SPIKESCAN_VECTOR_ONCE
#define SPIKESCAN_VECTOR_ONCE
#if defined(__AVX512F__)
#include <immintrin.h>
#define VBYTES 64
#elif defined(__AVX__)
#include <immintrin.h>
#define VBYTES 32
#elif defined(__SSE2__)
#include <emmintrin.h>
#define VBYTES 16
#else
#define VBYTES 16
#endif
#define INLINE static inline __attribute__((always_inline))
#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)
/* A membrane checkpoint is kept every SPAN steps and the span recomputed in the backward pass. */
enum { SPAN = 64 };
/* Outputs of at least this many bytes are written around the cache: they would only evict it. */
enum { STREAM_BYTES = 8 << 20 };

INLINE int64_t spans_of(int64_t steps) { return (steps + SPAN - 1) / SPAN; }

/* Where task i works: batch row b, channels d .. d + n. Tasks of one row are neighbours. */
typedef struct { int64_t b, d; int n; } place;
INLINE int64_t blocks_of(int64_t D, int block) { return (D + block - 1) / block; }
INLINE place place_of(int64_t i, int64_t D, int block) {
    const int64_t blocks = blocks_of(D, block), d = i % blocks * block;
    return (place){i / blocks, d, (int)(D - d < block ? D - d : block)};
}
/* Streaming stores are not ordered with later reads by other threads until fenced. */
INLINE void fence(void) {
#ifdef __SSE2__
    _mm_sfence();
#endif
}
#endif

#define LANES ((int)(VBYTES / sizeof(REAL)))
#define BLOCK ((int)(256 / sizeof(REAL)))
#define NVEC (BLOCK / LANES)

#define vec CAT(vec_, SUFFIX)
#define mask CAT(mask_, SUFFIX)
typedef REAL vec __attribute__((vector_size(VBYTES), aligned(VBYTES), may_alias));
typedef MASK_INT mask __attribute__((vector_size(VBYTES), aligned(VBYTES), may_alias));

#define splat CAT(splat_, SUFFIX)
INLINE vec splat(REAL x) { return x - (vec){0}; }

#define select CAT(select_, SUFFIX)
INLINE vec select(mask m, vec yes, vec no) {
    return (vec)((m & (mask)yes) | (~m & (mask)no));
}

/* One row of a block: `n` channels from `p`, `stride` elements apart; the rest reads as zero. */
#define load_row CAT(load_row_, SUFFIX)
INLINE void load_row(vec *out, const REAL *p, ptrdiff_t stride, int n) {
    if (stride == 1 && n == BLOCK) {
        memcpy(out, p, sizeof(REAL) * BLOCK);
        return;
    }
    REAL *o = (REAL *)out;
    for (int i = 0; i < BLOCK; i++) o[i] = i < n ? p[i * stride] : 0;
}

#define stream CAT(stream_, SUFFIX)
INLINE void stream(REAL *p, vec v) {
#if defined(__AVX512F__)
    _mm512_stream_si512((void *)p, (__m512i)v);
#elif defined(__AVX__)
    _mm256_stream_si256((__m256i *)p, (__m256i)v);
#elif defined(__SSE2__)
    _mm_stream_si128((__m128i *)p, (__m128i)v);
#else
    memcpy(p, &v, sizeof v);
#endif
}

/* `around` writes past the cache; it needs a full, aligned block. */
#define store_row CAT(store_row_, SUFFIX)
INLINE void store_row(REAL *p, const vec *v, int n, int around) {
    if (around) {
        for (int j = 0; j < NVEC; j++) stream(p + j * LANES, v[j]);
    } else if (n == BLOCK) {
        memcpy(p, v, sizeof(REAL) * BLOCK);
    } else {
        memcpy(p, v, sizeof(REAL) * (size_t)n);
    }
}

/* Whether rows of an output of `total` elements may be written around the cache. */
#define streams CAT(streams_, SUFFIX)
INLINE int streams(const REAL *p, int64_t D, int64_t total, int n) {
    return total * (int64_t)sizeof(REAL) >= STREAM_BYTES && n == BLOCK &&
           (uintptr_t)p % VBYTES == 0 && D * sizeof(REAL) % VBYTES == 0;
}

/* Rows first .. end of an output beyond a sequence's length hold zero. */
#define zero_rows CAT(zero_rows_, SUFFIX)
INLINE void zero_rows(REAL *p, int64_t first, int64_t end, int64_t D, int n) {
    for (int64_t t = first; t < end; t++) memset(p + t * D, 0, sizeof(REAL) * (size_t)n);
}
