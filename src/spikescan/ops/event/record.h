/* What a folded network is in memory. */
#ifndef SPIKESCAN_RECORD
#define SPIKESCAN_RECORD
#include <stdint.h>

/* Rows of values, state and numbers are padded to whole vectors of PADDED; rows of bytes to BYTES. An
 * exported network says that it is not padded, and which operations it has. */
#ifndef STEP_HAS
#define STEP_HAS(op) 1
enum { PADDED = 16, BYTES = 64 };
#endif
/* Vectors of neurons that go through a tile together. */
enum { TOGETHER = 4 };
/* So many bytes of magnitude 127 at most add up in 16 bits. */
enum { SHORT_ROOM = 256 };
/* The operations; those of stream/encode.py. */
enum {
    DENSE,
    LOOKUP,
    SYNAPSE,
    SYNAPSE_8,
    AFFINE,
    RESIDUAL,
    GELU,
    MEAN,
    SPATIAL,
    LIF,
    PRF,
    ALIF,
    DSN,
    DIAGONAL,
    LOW_RANK,
    DRAW
};
/* Variants: resets of LIF; what drives a synapse; what a draw gives. */
enum { NO_RESET, SOFT_RESET, HARD_RESET };
enum { BINARY, WHOLE, REAL_SOURCE };
enum { SAMPLE, PROBABILITY };

typedef struct {
    int32_t op, variant;
    /* Offsets of rows in a step's values: what is read, what is added to it (or -1), the result. */
    int32_t input, other, out;
    /* Channels that are read and written. */
    int32_t inputs, width;
    /* Offsets in the state, the numbers and the bytes. */
    int32_t state, numbers, bytes;
    /* Modes, taps; power (0: not a whole number) and levels of a DSN; key of a draw; counter of a synapse. */
    int32_t count, power, levels, slot;
} step_record;

typedef struct {
    const step_record *records;
    const float *numbers;
    const int8_t *bytes;
    /* Records; channels of the input and the output; where they are in the values. */
    int32_t count, inputs, outputs, input, output;
    /* Floats of a step's values; steps of a tile; tokens, or 0 for real input. */
    int32_t values, tile, vocabulary;
} step_program;

/* What a stream owns. */
typedef struct {
    float *state;
    const uint64_t *keys;
    int64_t clock;
    /* For each synapse: sources that fired, and what they came to. */
    int64_t *counts;
    /* Room: values of a tile, sources of a step. */
    float *values;
    int32_t *fired;
} step_stream;

static inline int32_t padded(int32_t width) { return (width + PADDED - 1) / PADDED * PADDED; }
#endif
