// The C interface of the recurrent memory: picks the kernels that recurrence.cpp has picked, and the threads.
#include <new>

#include "exported.h"
#include "memory_kernels.h"
#include "team.h"

namespace {

const MemoryKernels& chosen() { return CHOSEN_KERNELS(memory); }

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
    in_team_or_own(p.openmp, n, [&](int64_t thread) {
        k.run(p, plan, backward, packed.floats, tiles, memory.floats + thread * scratch);
    });
    if (!backward) return 0;
    MemoryQueue sums{k.n_sums(p, plan), {0}};
    in_team_or_own(p.openmp, threads_for(p, sums.n), [&](int64_t) { k.sums(p, plan, sums); });
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
