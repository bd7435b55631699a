/* What all sources share: what a library exports, and how its kernels find threads. */
#ifndef SPIKESCAN_COMMON
#define SPIKESCAN_COMMON
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

typedef void (*task_fn)(const void *args, int64_t index);
/* Run `count` independent tasks on `threads` threads, the caller being one of them. */
void run_tasks(task_fn run, const void *args, int64_t count, int64_t threads);
#endif
