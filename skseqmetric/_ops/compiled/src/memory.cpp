// The C interface of the recurrent memory: picks the kernels that recurrence.cpp has picked, and the threads.
#include <cstring>
#include <new>

#include "memory_kernels.h"
#include "threads.h"

#if defined(_WIN32)
#define EXPORT extern "C" __declspec(dllexport)
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif

extern "C" const char* skseq_kernels();

namespace {

const MemoryKernels& chosen() {
#if defined(SKSEQ_X86)
    for (const MemoryKernels* k : {&memory_avx512, &memory_avx2})
        if (!std::strcmp(k->name, skseq_kernels())) return *k;
#endif
    return memory_generic;
}

// work(thread) by n threads: the workers of torch's OpenMP where it gives them, else our own.
template <typename Work>
void by_threads(const MemoryProblem& p, int64_t n, const Work& work) {
    if (!p.openmp || n < 2) return in_threads(n, work);
    struct Task {
        const Work& work;
        std::atomic<int64_t> thread{0};
    } task{work};
    p.openmp([](void* data) { Task& t = *static_cast<Task*>(data); t.work(t.thread.fetch_add(1)); }, &task,
             static_cast<unsigned>(n), 0);
}

int64_t threads_for(const MemoryProblem& p, int64_t parts) {
    return p.n_threads < parts ? p.n_threads : parts > 1 ? parts : 1;
}

int run(const MemoryProblem& p, const MemoryKernels& k, bool backward) {
    const MemoryPlan plan(p);
    MemoryQueue tiles{plan.n_tiles, {0}};
    const int64_t n = threads_for(p, plan.n_tiles), scratch = aligned(k.scratch_floats(p));
    const Buffer packed(k.packed_floats(p)), memory(scratch * n);
    if (!packed.memory || !memory.memory) return 1;
    k.pack(p, backward, packed.floats);
    by_threads(p, n, [&](int64_t thread) {
        k.run(p, plan, backward, packed.floats, tiles, memory.floats + thread * scratch);
    });
    if (!backward) return 0;
    MemoryQueue sums{k.n_sums(p, plan), {0}};
    by_threads(p, threads_for(p, sums.n), [&](int64_t) { k.sums(p, plan, sums); });
    return 0;
}

}  // namespace

EXPORT int64_t skseq_memory_bytes() { return sizeof(MemoryProblem); }

// The floats that forward keeps for backward, and those of the gradients between.
EXPORT int64_t skseq_memory_kept(const MemoryProblem* p) { return chosen().kept_floats(*p, MemoryPlan(*p)); }
EXPORT int64_t skseq_memory_between(const MemoryProblem* p) { return chosen().between_floats(*p, MemoryPlan(*p)); }

// 0, or 1 where memory ran out.
EXPORT int skseq_memory(const MemoryProblem* p, int64_t backward) {
    try {
        return run(*p, chosen(), backward);
    } catch (const std::bad_alloc&) {
        return 1;
    }
}
