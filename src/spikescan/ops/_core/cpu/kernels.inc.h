/* All kernels for one floating type: each recurrence is written once in its header, and compiled for
 * float in f32.c and for double in f64.c. Built several times with different CPU flags, see
 * hatch_build.py. */
#include "../../spike/kernel.inc.h"
#include "../../lif/kernel.inc.h"
#include "../../resonate/kernel.inc.h"
#include "../../linear_scan/kernel.inc.h"
#include "../../dsn/kernel.inc.h"
#include "../../spike_linear/kernel.inc.h"
#include "../../batch_norm/kernel.inc.h"
#include "../../ssm/kernel.inc.h"
#include "../../bernoulli/kernel.inc.h"
