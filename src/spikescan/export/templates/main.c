/* Runs ${name}.c: on a file of numbers (- for standard input), a line of inputs and a line of outputs for
 * each step; or, without one, on the test vector. Returns 0 where all is well.
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

static int blank(int c) { return c == ' ' || c == '\t' || c == '\r'; }

/* The next character of a line that is no blank, which is a newline or EOF at the line's end. */
static int next(FILE *file) {
    int c;
    do c = getc(file);
    while (blank(c));
    return c;
}

/* Reads a line of numbers with blanks or commas between them, and keeps those that there is room for.
 * Returns how many there are, or -k where number k cannot be read.
 */
static long read_line(FILE *file, ${input_type} *in) {
    long got = 0;
    int c = next(file);
    if (c == '\n' || c == EOF) return 0;
    do {
        ${scan_type} x;
        ungetc(c, file);
        if (fscanf(file, "${scan}", &x) != 1) return -1 - got;
        c = getc(file);
        if (c != ',' && c != '\n' && c != EOF && !blank(c)) return -1 - got;
        if (got < ${NAME}_INPUTS) in[got] = x;
        got++;
        if (blank(c)) c = next(file);
        if (c == ',') {
            c = next(file);
            if (c == '\n' || c == EOF) return -1 - got;
        }
    } while (c != '\n' && c != EOF);
    return got;
}

static int run_file(FILE *file) {
    ${input_type} in[${NAME}_INPUTS];
    ${name}_init(&state);
    for (long line = 1;; line++) {
        const long got = read_line(file, in);
        /* An empty line may only be the last. */
        if (got == 0 && (feof(file) || getc(file) == EOF)) break;
        if (got < 0) {
            fprintf(stderr, "line %ld: expected ${due}, number %ld cannot be read\n", line, -got);
            return 1;
        }
        if (got != ${NAME}_INPUTS) {
            fprintf(stderr, "line %ld: expected ${due}, got %ld\n", line, got);
            return 1;
        }
        if (${name}_step(&state, in, out)) {
            fprintf(stderr, "line %ld: the input must be ${readable}\n", line);
            return 1;
        }
        for (int m = 0; m < ${NAME}_OUTPUTS; m++) printf("%.9g%c", (double)out[m], m + 1 < ${NAME}_OUTPUTS ? ',' : '\n');
    }
    if (!ferror(file)) return 0;
    fprintf(stderr, "the input cannot be read\n");
    return 1;
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
