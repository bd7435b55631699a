/* What the machine offers: the CPU level to load, and large pages for large outputs. */
#define _GNU_SOURCE
#include "common.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <cpuid.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif
static uint64_t enabled_registers(void) {
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return ((uint64_t)hi << 32) | lo;
}
/* 0: SSE2; 1: AVX2 and BMI; 2: AVX-512 F, BW, DQ, VL. The operating system must save the registers too. */
EXPORT int spikescan_cpu_level(void) {
    uint32_t a, b, c, d;
    if (!__get_cpuid_count(1, 0, &a, &b, &c, &d) || !(c & (1u << 27))) return 0;
    const uint64_t saved = enabled_registers();
    if ((saved & 0x6) != 0x6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    const int avx2 = (b >> 5) & (b >> 3) & 1;
    const uint32_t avx512 = (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31);
    if (avx2 && (b & avx512) == avx512 && (saved & 0xe6) == 0xe6) return 2;
    return avx2;
}
/* Linux lends a process the tiles of AMX when it asks for them, and then saves them with its threads. */
static int lends_tiles(void) {
#ifdef __linux__
    enum { TILE_DATA = 18, ARCH_REQ_XCOMP_PERM = 0x1023 };
    return (enabled_registers() >> 17 & 3) == 3 && !syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA);
#else
    return 0;
#endif
}
/* Which instructions there are for products of bfloat16 numbers, 1: those of AVX512-BF16; 2: those and
 * AMX's; 3: others, for torch alone. */
EXPORT int spikescan_cpu_bfloat16(void) {
    uint32_t a, b, c, d, most;
    if (spikescan_cpu_level() < 2 || !__get_cpuid_count(7, 0, &most, &b, &c, &d)) return 0;
    const int tiles = (d >> 22) & (d >> 24) & 1;
    if (most < 1 || !__get_cpuid_count(7, 1, &a, &b, &c, &d) || !((a >> 5) & 1)) return tiles ? 3 : 0;
    return tiles && lends_tiles() ? 2 : 1;
}
#else
EXPORT int spikescan_cpu_level(void) { return 0; }
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#define BF16 (1ul << 14) /* HWCAP2_BF16, which older headers lack */
EXPORT int spikescan_cpu_bfloat16(void) { return getauxval(AT_HWCAP2) & BF16 ? 3 : 0; }
#else
EXPORT int spikescan_cpu_bfloat16(void) { return 0; }
#endif
#endif

#ifdef __linux__
#include <sys/mman.h>
/* Fresh memory costs a page fault every 4 KiB; asking for 2 MiB pages makes that negligible. */
EXPORT void spikescan_advise_huge(void *p, int64_t bytes) {
    const uintptr_t page = 2u << 20, first = ((uintptr_t)p + page - 1) & ~(page - 1);
    const uintptr_t end = ((uintptr_t)p + (uintptr_t)bytes) & ~(page - 1);
    if (end > first) madvise((void *)first, end - first, MADV_HUGEPAGE);
}
#else
EXPORT void spikescan_advise_huge(void *p, int64_t bytes) {
    (void)p;
    (void)bytes;
}
#endif
