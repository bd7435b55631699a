/* All kernels for one floating type: each recurrence is written once in its header, and compiled for
 * float in f32.c and for double in f64.c. Built several times with different CPU flags, see
 * hatch_build.py. */
#include "common.h"
#include "vector.h"
#include "surrogate.h"
#include "lif.h"
#include "resonate.h"
#include "linear.h"
#include "dsn.h"
#include "product.h"
#include "batch.h"
#include "turn.h"
#include "bernoulli.h"
