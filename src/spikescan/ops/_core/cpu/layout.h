/* What Python reads of a kernel in place of a copy: the fields of its arguments, and its constants.
 *
 *   LAYOUT(lif, x, beta, ..)        the fields of lif_args, all of them
 *   CONSTANTS(lif, SPAN, ..)        enumerators, by name
 */
#ifndef SPIKESCAN_LAYOUT
#define SPIKESCAN_LAYOUT
#include "common.h"

/* A field at `value` bytes from the start, or a constant. The list of a kernel ends without a name;
 * that of fields gives the size of the whole there. */
typedef struct {
    const char *name, *type;
    int64_t value, size;
} named;

/* EACH_OF(M, op, a, b, ..) is M(op, a) M(op, b) ..; it is enough for 80 names. */
#define AGAIN ()
#define RESCAN(...) RESCAN_3(RESCAN_3(RESCAN_3(RESCAN_3(__VA_ARGS__))))
#define RESCAN_3(...) RESCAN_2(RESCAN_2(RESCAN_2(RESCAN_2(__VA_ARGS__))))
#define RESCAN_2(...) RESCAN_1(RESCAN_1(RESCAN_1(RESCAN_1(__VA_ARGS__))))
#define RESCAN_1(...) __VA_ARGS__
#define EACH_OF(M, op, ...) RESCAN(NEXT_OF(M, op, __VA_ARGS__))
#define NEXT_OF(M, op, name, ...) M(op, name) __VA_OPT__(NEXT_OF_NAME AGAIN(M, op, __VA_ARGS__))
#define NEXT_OF_NAME() NEXT_OF

/* REAL is a tensor of the kernel's own floating type; strides are three numbers. */
#define TYPE_OF(field)                                                    \
    _Generic((field),                                                     \
        double: "double",                                                 \
        double *: "float64",                                              \
        const double *: "float64",                                        \
        int64_t: "int64_t",                                               \
        int64_t *: sizeof(field) == sizeof(void *) ? "int64" : "strides", \
        const int64_t *: "int64",                                         \
        uint64_t *: "int64",                                              \
        uint8_t *: "uint8",                                               \
        void *: "REAL",                                                   \
        const void *: "REAL")
#define FIELD(op, name) \
    {#name, TYPE_OF(((op##_args *)0)->name), offsetof(op##_args, name), sizeof(((op##_args *)0)->name)},
#define CONSTANT(op, name) {#name, "int64_t", name, sizeof(int64_t)},

#define LAYOUT(op, ...)                              \
    EXPORT const named CAT(spikescan_##op##_layout_, \
                           SUFFIX)[] = {EACH_OF(FIELD, op, __VA_ARGS__){NULL, NULL, sizeof(op##_args), 0}};
#define CONSTANTS(op, ...)                              \
    EXPORT const named CAT(spikescan_##op##_constants_, \
                           SUFFIX)[] = {EACH_OF(CONSTANT, op, __VA_ARGS__){NULL, NULL, 0, 0}};
#endif
