/* All kernels of one CPU level: each recurrence is written once in its header and compiled here
 * for float and for double. Built several times with different CPU flags (see hatch_build.py). */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

#include "cpu.h"
#include "threads.h"

#define REAL float
#define MASK_INT int32_t
#define SUFFIX f32
#define PAIRS_64(a, b) PAIR16(a, b)
#define PAIRS_32(a, b) PAIR8(a, b)
#define PAIRS_16(a, b) PAIR4(a, b)
#include "vector.h"
#include "surrogate.h"
#include "lif.h"
#include "resonate.h"
#include "linear.h"
#include "dsn.h"
#include "product.h"
#include "batch.h"
#undef REAL
#undef MASK_INT
#undef SUFFIX
#undef PAIRS_64
#undef PAIRS_32
#undef PAIRS_16

#define REAL double
#define MASK_INT int64_t
#define SUFFIX f64
#define PAIRS_64(a, b) PAIR8(a, b)
#define PAIRS_32(a, b) PAIR4(a, b)
#define PAIRS_16(a, b) PAIR2(0, a, b)
#include "vector.h"
#include "surrogate.h"
#include "lif.h"
#include "resonate.h"
#include "linear.h"
#include "dsn.h"
#include "product.h"
#include "batch.h"
