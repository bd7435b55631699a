#define REAL float
#define REAL_BYTES 4
#define MASK_INT int32_t
#define SUFFIX f32
#include "../../event/streams.inc.h"
