/* Run `count` independent tasks on `threads` threads, the caller being one of them.
 *
 * Threads live for one call only: there is no pool to lock, to outlive a fork or to share between
 * two Python threads. A thread that cannot be started costs speed, never a result.
 */
#include <stdatomic.h>
#include <stdint.h>

typedef void (*task_fn)(const void *args, int64_t index);
typedef struct {
    task_fn run;
    const void *args;
    int64_t count;
    atomic_llong next;
} task_queue;

static void drain(task_queue *q) {
    for (int64_t i; (i = atomic_fetch_add(&q->next, 1)) < q->count;) q->run(q->args, i);
}

enum { MAX_THREADS = 256 };

#ifdef _WIN32
#include <windows.h>
static DWORD WINAPI worker(LPVOID q) { drain(q); return 0; }
typedef HANDLE thread_t;
static int thread_start(thread_t *t, task_queue *q) {
    return (*t = CreateThread(NULL, 0, worker, q, 0, NULL)) != NULL;
}
static void thread_join(thread_t t) { WaitForSingleObject(t, INFINITE); CloseHandle(t); }
#else
#include <pthread.h>
static void *worker(void *q) { drain(q); return NULL; }
typedef pthread_t thread_t;
static int thread_start(thread_t *t, task_queue *q) { return !pthread_create(t, NULL, worker, q); }
static void thread_join(thread_t t) { pthread_join(t, NULL); }
#endif

static void run_tasks(task_fn run, const void *args, int64_t count, int64_t threads) {
    task_queue q = {.run = run, .args = args, .count = count};
    atomic_init(&q.next, 0);
    if (threads > count) threads = count;
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    thread_t started[MAX_THREADS];
    int n = 0;
    while (n < threads - 1 && thread_start(&started[n], &q)) n++;
    drain(&q);
    for (int i = 0; i < n; i++) thread_join(started[i]);
}
