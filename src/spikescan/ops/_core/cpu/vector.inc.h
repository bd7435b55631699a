/* Vectors, loads and stores for one floating type at one CPU level.
 *
 * Everything is written with the compiler's vector extensions, so the same lines become SSE2, AVX2,
 * AVX-512 or NEON code. The words of all kernels:
 *
 *   REAL, LANES        the floating type; how many of it fill a vector
 *   vec, mask          a vector of REAL; what comparing two gives, all bits of a lane or none
 *   loose              a vector anywhere in memory, aligned to its numbers alone
 *   splat, select      a number in all lanes; one of two vectors, lane by lane
 *   block              BLOCK neighbouring channels or fewer, NVEC vectors, that a task carries
 *                      through time together
 *   place (at)         where a task works: batch row b, channels d .. d + n, nv vectors
 *   span               SPAN steps, of which a forward pass keeps the state it began with
 *   columns            COLUMNS vectors that go through a span together
 *   row                one step of a block; row_of finds it, load_row and store_row move it
 *   around             store past the cache; plain: the usual case, with sizes that are known
 *   x, s, u, v         input, spikes, membrane before and after reset; g* is the gradient of *
 *   has_*, want_*      whether a tensor is there; whether it is asked for. Pointers do not tell
 *   membrane, gmembrane    u at every step, and its gradient
 *   thresholds, threshold  those of each channel; the one of all, where there are none of each
 *   checkpoints        the state every SPAN steps, where `save` asks for them
 *   v0, v              a state before the first step and after the last; gv0, gv their gradients
 */
#ifndef SPIKESCAN_VECTOR
#define SPIKESCAN_VECTOR
#include "layout.h"
#ifndef REAL /* unless the build asks for double: see hatch_build.py */
#define REAL float
#define REAL_BYTES 4
#define MASK_INT int32_t
#define SUFFIX f32
#endif
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
/* The exported kernel `name` of this floating type. */
#define KERNEL(name) EXPORT void CAT(spikescan_##name##_, SUFFIX)
/* A membrane checkpoint is kept every SPAN steps and the span recomputed in the backward pass. */
enum { SPAN = 64 };
/* Rows that a pass without spans asks for ahead of the one it reads. */
enum { AHEAD = 24 };
/* Vectors that are carried through a span together: as many as leave what they carry in registers. */
#ifndef COLUMNS
#define COLUMNS 4
#endif
/* Outputs of at least this many bytes are written around the cache: they would only evict it. */
enum { STREAM_BYTES = 4 << 20 };

INLINE int64_t spans_of(int64_t steps) { return (steps + SPAN - 1) / SPAN; }

/* Where a task works: batch row b, channels d .. d + n, which fill nv vectors. */
typedef struct {
    int64_t b, d;
    int n, nv;
} place;

#define LANES ((int)(VBYTES / sizeof(REAL)))
#define BLOCK ((int)(512 / sizeof(REAL)))
#define NVEC (BLOCK / LANES)

/* The exported kernel `name`: BODY for each block, with its arguments `a` and its place `at`. */
#define BLOCK_KERNEL(name, ARGS, BODY)                        \
    static void name##_task(const void *args, int64_t i) {    \
        const ARGS *a = args;                                 \
        const place at = place_of(i, a->B, a->D, a->threads); \
        BODY;                                                 \
    }                                                         \
    KERNEL(name)(const ARGS *a) { run_tasks(name##_task, a, tasks_of(a->B, a->D, a->threads), a->threads); }

/* The channels of a batch row are shared out in blocks: narrower ones where threads would idle. */
INLINE int64_t block_for(int64_t B, int64_t D, int64_t threads) {
    int64_t block = BLOCK;
    while (block > LANES && B * ((D + block - 1) / block) < threads) block /= 2;
    return block;
}
INLINE int64_t tasks_of(int64_t B, int64_t D, int64_t threads) {
    const int64_t block = block_for(B, D, threads);
    return B * ((D + block - 1) / block);
}
/* Task i; tasks of one row are neighbours. */
INLINE place place_of(int64_t i, int64_t B, int64_t D, int64_t threads) {
    const int64_t block = block_for(B, D, threads), blocks = (D + block - 1) / block;
    const int64_t d = i % blocks * block;
    const int n = (int)(D - d < block ? D - d : block);
    return (place){i / blocks, d, n, (n + LANES - 1) / LANES};
}
/* LIF and PRF go through a span COLUMNS vectors at a time: what these carry through time fits into
 * registers, and what a backward pass keeps of the span into the first cache level. */
INLINE place columns_of(place at, int j) {
    const int rest = at.n - j * LANES, n = rest < COLUMNS * LANES ? rest : COLUMNS * LANES;
    return (place){at.b, at.d + j * LANES, n, (n + LANES - 1) / LANES};
}

typedef REAL vec __attribute__((vector_size(VBYTES), aligned(VBYTES), may_alias));
typedef MASK_INT mask __attribute__((vector_size(VBYTES), aligned(VBYTES), may_alias));
/* A vector anywhere in memory. Not memcpy: gcc copies 32 bytes in halves, and a processor that then
 * reads them as one vector waits until both halves have left its store buffer. */
typedef REAL loose __attribute__((vector_size(VBYTES), aligned(sizeof(REAL)), may_alias));

INLINE vec splat(REAL x) { return x - (vec){0}; }

INLINE vec select(mask m, vec yes, vec no) { return (vec)((m & (mask)yes) | (~m & (mask)no)); }

/* One bit a lane of a comparison. */
INLINE uint64_t bits_of(mask m) {
#if defined(__AVX512DQ__)
    return sizeof(REAL) == 4 ? _mm512_movepi32_mask((__m512i)m) : _mm512_movepi64_mask((__m512i)m);
#elif defined(__AVX__)
    return (uint64_t)(sizeof(REAL) == 4 ? _mm256_movemask_ps((__m256)m) : _mm256_movemask_pd((__m256d)m));
#elif defined(__SSE2__)
    return (uint64_t)(sizeof(REAL) == 4 ? _mm_movemask_ps((__m128)m) : _mm_movemask_pd((__m128d)m));
#else
    uint64_t bits = 0;
    for (int i = 0; i < LANES; i++) bits |= (uint64_t)(m[i] & 1) << i;
    return bits;
#endif
}

/* Row t of a block in a tensor of these strides; what is absent stays NULL. */
INLINE const REAL *row_of(const void *p, const int64_t *stride, place at, int64_t t) {
    return p ? (const REAL *)p + at.b * stride[0] + t * stride[1] + at.d * stride[2] : NULL;
}

/* One row of a block: its channels from `p`, `stride` elements apart; the rest reads as zero. */
INLINE void load_row(vec *out, const REAL *p, ptrdiff_t stride, place at) {
    if (stride == 1 && at.n == at.nv * LANES) {
        for (int j = 0; j < at.nv; j++) out[j] = *(const loose *)(p + j * LANES);
        return;
    }
    const int whole = stride == 1 ? at.n / LANES : 0;
    for (int j = 0; j < at.nv; j++) {
        if (j < whole) out[j] = *(const loose *)(p + j * LANES);
        else out[j] = splat(0);
    }
    for (int i = whole * LANES; i < at.n; i++) ((REAL *)out)[i] = p[i * stride];
}

/* Ask early for a row that will be read: the hardware does not foresee rows that are pieces of
 * longer ones, nor a walk backwards. It goes to the second cache level, since the first is full of
 * the span at work. An address outside of the tensor is no error. */
INLINE void prefetch_row(const REAL *p, int64_t offset, ptrdiff_t stride, place at) {
    const uintptr_t row = (uintptr_t)p + (uintptr_t)offset * sizeof(REAL);
    for (int i = 0; stride == 1 && i < at.nv * LANES; i += (int)(64 / sizeof(REAL)))
        __builtin_prefetch((const void *)(row + (uintptr_t)i * sizeof(REAL)), 0, 2);
}

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

/* `around` writes past the cache; it needs whole, aligned vectors. */
INLINE void store_row(REAL *p, const vec *v, place at, int around) {
    if (at.n == at.nv * LANES && !around) {
        for (int j = 0; j < at.nv; j++) *(loose *)(p + j * LANES) = v[j];
        return;
    }
    const int whole = at.n / LANES;
    for (int j = 0; j < at.nv && j < whole; j++) {
        if (around) stream(p + j * LANES, v[j]);
        else *(loose *)(p + j * LANES) = v[j];
    }
    for (int i = whole * LANES; i < at.n; i++) p[i] = ((const REAL *)v)[i];
}

/* Whether rows of an output of `total` elements may be written around the cache. */
INLINE int streams(const REAL *p, int64_t D, int64_t total, place at) {
    return total * (int64_t)sizeof(REAL) >= STREAM_BYTES && at.n % LANES == 0 && (uintptr_t)p % VBYTES == 0 &&
           D * sizeof(REAL) % VBYTES == 0;
}

/* Rows first .. end of an output beyond a sequence's length hold zero. */
INLINE void zero_rows(REAL *p, int64_t first, int64_t end, int64_t D, place at) {
    for (int64_t t = first; t < end; t++) memset(p + t * D, 0, sizeof(REAL) * (size_t)at.n);
}
#endif
