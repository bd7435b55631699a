/* Threads that share out the tasks of a kernel.
 *
 * On the OpenMP threads of torch where Python found them: they wait for work by spinning, and other
 * threads would have to share their cores with them. Otherwise, and in a forked child, where those
 * threads are gone, on threads that live for one call only. There is no state but where OpenMP is;
 * a thread that cannot be started costs speed, never a result.
 */
#define _GNU_SOURCE
#include "common.h"
#include <stdatomic.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef struct {
    task_fn run;
    const void *args;
    int64_t count;
    atomic_llong next;
} task_queue;

static void drain(void *queue) {
    task_queue *q = queue;
    for (int64_t i; (i = atomic_fetch_add(&q->next, 1)) < q->count;) q->run(q->args, i);
#ifdef __SSE2__
    _mm_sfence(); /* streaming stores are not ordered with later reads by other threads until fenced */
#endif
}

enum { MAX_THREADS = 256 };

#ifdef _WIN32
#include <windows.h>
static DWORD WINAPI worker(LPVOID q) {
    drain(q);
    return 0;
}
typedef HANDLE thread_t;
static int thread_start(thread_t *t, task_queue *q) {
    return (*t = CreateThread(NULL, 0, worker, q, 0, NULL)) != NULL;
}
static void thread_join(thread_t t) {
    WaitForSingleObject(t, INFINITE);
    CloseHandle(t);
}
#else
#include <pthread.h>
#include <unistd.h>
static void *worker(void *q) {
    drain(q);
    return NULL;
}
typedef pthread_t thread_t;
static int thread_start(thread_t *t, task_queue *q) { return !pthread_create(t, NULL, worker, q); }
static void thread_join(thread_t t) { pthread_join(t, NULL); }
#endif

/* GOMP_parallel(body, data, threads, flags) of the OpenMP runtime, and the process it lives in. */
static void (*openmp)(void (*)(void *), void *, unsigned, unsigned);
static int64_t openmp_process;
static int64_t this_process(void) {
#ifdef _WIN32
    return 0;
#else
    return getpid();
#endif
}
EXPORT void spikescan_use_openmp(void *gomp_parallel) {
    openmp = gomp_parallel;
    openmp_process = this_process();
}

void run_tasks(task_fn run, const void *args, int64_t count, int64_t threads) {
    task_queue q = {.run = run, .args = args, .count = count};
    atomic_init(&q.next, 0);
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    if (count > 1 && threads > 1 && openmp && openmp_process == this_process()) {
        /* Always all threads: fewer would make OpenMP end the others and start them again later. */
        openmp(drain, &q, (unsigned)threads, 0);
        return;
    }
    if (threads > count) threads = count;
    thread_t started[MAX_THREADS];
    int n = 0;
    while (n < threads - 1 && thread_start(&started[n], &q)) n++;
    drain(&q);
    for (int i = 0; i < n; i++) thread_join(started[i]);
}
