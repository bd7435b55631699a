/* Many streams of one folded network, each with its own state and clock, on threads. */
#include "../_core/cpu/vector.inc.h"
#include "step.inc.h"

typedef struct {
    /* step_records, and what they point into */
    const void *records, *numbers;
    const void *bytes;
    /* x (S, T, inputs), or (S, T) int64 tokens; lengths (S); keys (S, keys of a stream) */
    const void *x;
    const int64_t *lengths;
    const int64_t *keys;
    /* state (S, state of a stream), clock (S), counts (S, 2 for each synapse); y (S, T, outputs) */
    void *state, *y;
    int64_t *clock, *counts;
    /* room of each stream: values of a tile, sources of a step */
    void *values, *fired;
    int64_t has_lengths;
    int64_t S, T, count, inputs, outputs, input, output, width, tile, vocabulary;
    int64_t state_size, keys_size, counts_size, fired_size, threads;
    /* set: the first stream whose input cannot be read and its step, or -1 */
    int64_t bad_stream, bad_step;
} program_args;

LAYOUT(program, records, numbers, bytes, x, lengths, keys, state, y, clock, counts, values, fired,
       has_lengths, S, T, count, inputs, outputs, input, output, width, tile, vocabulary, state_size,
       keys_size, counts_size, fired_size, threads, bad_stream, bad_step)

INLINE step_program program_of(const program_args *a) {
    return (step_program){.records = a->records,
                          .numbers = a->numbers,
                          .bytes = a->bytes,
                          .count = (int32_t)a->count,
                          .inputs = (int32_t)a->inputs,
                          .outputs = (int32_t)a->outputs,
                          .input = (int32_t)a->input,
                          .output = (int32_t)a->output,
                          .values = (int32_t)a->width,
                          .tile = (int32_t)a->tile,
                          .vocabulary = (int32_t)a->vocabulary};
}

INLINE const void *input_of(const program_args *a, int64_t i) {
    return a->vocabulary ? (const void *)((const int64_t *)a->x + i * a->T)
                         : (const void *)((const float *)a->x + i * a->T * a->inputs);
}

static void program_stream(const void *args, int64_t i) {
    const program_args *a = args;
    const step_program p = program_of(a);
    step_stream s = {.state = (float *)a->state + i * a->state_size,
                     .keys = (const uint64_t *)a->keys + i * a->keys_size,
                     .clock = a->clock[i],
                     .counts = a->counts + i * a->counts_size,
                     .values = (float *)a->values + i * a->width * a->tile,
                     .fired = (int32_t *)a->fired + i * a->fired_size};
    step_run(&p, &s, input_of(a, i), (float *)a->y + i * a->T * a->outputs,
             a->has_lengths ? a->lengths[i] : a->T);
    a->clock[i] = s.clock;
}

/* Nothing runs, and no state changes, where any input cannot be read. */
KERNEL(program_run)(program_args *a) {
    const step_program p = program_of(a);
    for (int64_t i = 0; i < a->S; i++) {
        const int64_t bad = step_check(&p, input_of(a, i), a->has_lengths ? a->lengths[i] : a->T);
        if (bad < 0) continue;
        a->bad_stream = i, a->bad_step = bad;
        return;
    }
    a->bad_stream = -1;
    run_tasks(program_stream, a, a->S, a->threads);
}
