// Work shared out among the threads of a call: our own or those of an OpenMP runtime.
#pragma once

#include <atomic>

#include "kernels.h"
#include "threads.h"

namespace {

// What in_threads does, by the workers of an OpenMP runtime, as many of them as it grants.
template <typename Work>
void in_team(decltype(Problem::openmp) parallel, int64_t n, const Work& work) {
    struct Task {
        const Work& work;
        std::atomic<int64_t> thread{0};
    } task{work};
    const auto run = [](void* data) {
        Task& task = *static_cast<Task*>(data);
        task.work(task.thread.fetch_add(1));
    };
    parallel(run, &task, static_cast<unsigned>(n), 0);
}

// work(0), ..., work(n - 1) by the workers of an OpenMP runtime where there is one, else by threads of our own.
template <typename Work>
void in_team_or_own(decltype(Problem::openmp) openmp, int64_t n, const Work& work) {
    if (openmp && n > 1)
        in_team(openmp, n, work);
    else
        in_threads(n, work);
}

// work(shares, scratch) by every thread until no share is left; 0, or 1 where memory ran out.
template <typename Work>
int in_shares(int64_t n_shares, int64_t n_threads, int64_t floats, decltype(Problem::openmp) openmp, const Work& work) {
    Shares shares{n_shares};
    const int64_t n = n_threads < n_shares ? n_threads : n_shares, scratch = aligned(floats);
    if (!n) return 0;
    const Buffer memory(scratch * n);
    if (!memory.memory) return 1;
    in_team_or_own(openmp, n, [&](int64_t thread) { work(shares, memory.floats + thread * scratch); });
    return 0;
}

}  // namespace
