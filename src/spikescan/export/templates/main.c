/* Runs ${name}.c: on a file of numbers (- for standard input), a line of outputs for each step; or,
 * without one, on the test vector. Returns 0 where all is well.
 */
#include <stdio.h>
#include <string.h>

#include "${name}.h"
#include "test_vector.h"

static ${name}_state state;
static float out[${NAME}_OUTPUTS];

static int run_test_vector(void) {
    ${name}_init(&state);
    for (long t = 0; t < STEPS; t++) {
        const float *due = test_out + t * ${NAME}_OUTPUTS;
        if (${name}_step(&state, test_in + t * ${NAME}_INPUTS, out)) {
            printf("step %ld: the input cannot be read\n", t);
            return 1;
        }
        if (memcmp(out, due, sizeof out)) {
            printf("step %ld: the output differs\n", t);
            return 1;
        }
    }
    printf("all %ld steps of the test vector are right, bit for bit\n", (long)STEPS);
    return 0;
}

/* The next number, with a comma behind it where there is one: 1, or 0 at the end, or -1. */
static int next(FILE *file, ${scan_type} *x) {
    const int got = fscanf(file, " ${scan}", x);
    if (got != 1) return got == EOF ? 0 : -1;
    (void)!fscanf(file, " ,"); /* matches nothing where there is none */
    return 1;
}

static int run_file(FILE *file) {
    ${input_type} in[${NAME}_INPUTS];
    ${name}_init(&state);
    for (long t = 0;; t++) {
        for (int k = 0; k < ${NAME}_INPUTS; k++) {
            ${scan_type} x;
            const int got = next(file, &x);
            if (got == 0 && k == 0) return 0;
            if (got != 1) {
                fprintf(stderr, "step %ld: expected %d numbers\n", t, ${NAME}_INPUTS);
                return 1;
            }
            in[k] = x;
        }
        if (${name}_step(&state, in, out)) {
            fprintf(stderr, "step %ld: the input must be ${readable}\n", t);
            return 1;
        }
        for (int m = 0; m < ${NAME}_OUTPUTS; m++) printf("%.9g%c", (double)out[m], m + 1 < ${NAME}_OUTPUTS ? ',' : '\n');
    }
}

int main(int argc, char **argv) {
    FILE *file;
    int failed;
    if (argc < 2) return run_test_vector();
    file = strcmp(argv[1], "-") ? fopen(argv[1], "r") : stdin;
    if (!file) {
        fprintf(stderr, "cannot read %s\n", argv[1]);
        return 1;
    }
    failed = run_file(file);
    if (file != stdin) fclose(file);
    return failed;
}
