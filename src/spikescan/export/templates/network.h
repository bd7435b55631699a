/* A trained spiking network, one step at a time. Made by spikescan. */
#ifndef ${NAME}_H
#define ${NAME}_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers that a step reads, and numbers that it gives. */
#define ${NAME}_INPUTS ${inputs}
#define ${NAME}_OUTPUTS ${outputs}
/* Numbers carried from step to step; room for those of one step, for sources that fired; synapses. */
#define ${NAME}_STATE ${state}
#define ${NAME}_VALUES ${values}
#define ${NAME}_FIRED ${fired}
#define ${NAME}_SYNAPSES ${counts}
#define ${NAME}_KEYS ${keys}

/* All memory of one stream. */
typedef struct {
    /* Steps read so far. */
    int64_t clock;
    /* Keys of random numbers; give each stream its own after ${name}_init, where the network draws. */
    uint64_t keys[${NAME}_KEYS];
    /* For each synapse, sources that fired, and what they came to: ${counted}. */
    int64_t counts[${NAME}_SYNAPSES][2];
    float state[${NAME}_STATE];
    float values[${NAME}_VALUES];
    int32_t fired[${NAME}_FIRED];
} ${name}_state;

/* Before the first step, and to begin anew. */
void ${name}_init(${name}_state *state);

/* One step. Returns 0, or -1 where the input is not ${readable}: then nothing has changed. */
int ${name}_step(${name}_state *state, const ${input_type} in[${NAME}_INPUTS], float out[${NAME}_OUTPUTS]);

#ifdef __cplusplus
}
#endif
#endif
