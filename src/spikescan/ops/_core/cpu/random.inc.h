/* Random numbers that belong to a key, a step and a channel; ops/_core/random.py has the same. */
#ifndef SPIKESCAN_RANDOM
#define SPIKESCAN_RANDOM
#include <stdint.h>

/* The finaliser of splitmix64 (Steele et al. 2014) on the n-th of its numbers. */
static uint64_t splitmix(uint64_t key, uint64_t n) {
    uint64_t z = key + n * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* An integer in [-2^23, 2^23) from the two words of a step, low and high, and of a channel, salt and
 * more: the rounds of triple32 (Wellons 2018), with 32 fresh bits of step or channel in each. All 128
 * are mixed, so that no two channels are coupled. */
static inline int32_t random_integer(uint32_t low, uint32_t high, uint32_t salt, uint32_t more) {
    uint32_t x = low ^ salt;
    x = (x ^ x >> 17) * 0xED5AD4BBu;
    x = ((x ^ x >> 11) + high) * 0xAC4C1B51u;
    x = ((x ^ x >> 15) + more) * 0x31848BABu;
    return (int32_t)x >> 8;
}
#endif
