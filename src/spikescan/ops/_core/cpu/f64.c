#define REAL double
#define REAL_BYTES 8
#define MASK_INT int64_t
#define SUFFIX f64
#include "kernels.inc.h"
