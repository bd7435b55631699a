/* A trained spiking network, one step at a time. Made by spikescan; its arrays are at the end.
 *
 * C99 with binary32 numbers, each operation rounded once. A product and a sum that are rounded together
 * make a spike differ: gcc and clang are told below, other compilers need an option like
 * -ffp-contract=off. main.c compares the test vector.
 */
#include "${name}.h"

#include <float.h>

#if defined(__FAST_MATH__) || FLT_EVAL_METHOD != 0
#error "compile without -ffast-math, for arithmetic in single precision (FLT_EVAL_METHOD 0)"
#endif
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

#define STEP_HAS(op) (${has})
enum { PADDED = 1, BYTES = 1 };

${source}
static const step_record records[] = {
${records}
};
static const float numbers[] = {
${numbers}
};
static const int8_t bytes[] = {
${bytes}
};
static const step_program program = {
    .records = records,
    .numbers = numbers,
    .bytes = bytes,
    .count = ${count},
    .inputs = ${NAME}_INPUTS,
    .outputs = ${NAME}_OUTPUTS,
    .input = ${input},
    .output = ${output},
    .values = ${NAME}_VALUES,
    .tile = 1,
    .vocabulary = ${vocabulary}};

void ${name}_init(${name}_state *state) {
    static const uint64_t keys[${NAME}_KEYS] = {${key_values}};
    state->clock = 0;
    for (int i = 0; i < ${NAME}_KEYS; i++) state->keys[i] = keys[i];
    for (int i = 0; i < ${NAME}_SYNAPSES; i++) state->counts[i][0] = state->counts[i][1] = 0;
    for (int i = 0; i < ${NAME}_STATE; i++) state->state[i] = 0;
}

int ${name}_step(${name}_state *state, const ${input_type} in[${NAME}_INPUTS], float out[${NAME}_OUTPUTS]) {
    step_stream s = {.state = state->state,
                     .keys = state->keys,
                     .clock = state->clock,
                     .counts = state->counts[0],
                     .values = state->values,
                     .fired = state->fired};
    if (step_check(&program, in, 1) >= 0) return -1;
    step_run(&program, &s, in, out, 1);
    state->clock = s.clock;
    return 0;
}
