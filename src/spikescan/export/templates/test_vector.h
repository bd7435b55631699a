/* Input of ${steps} steps, and the output that belongs to each. */
#define STEPS ${steps}
static const ${input_type} test_in[] = {
${x}
};
static const float test_out[] = {
${y}
};
