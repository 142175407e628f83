// Memory and threads of one call.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

// Aligned to a cache line and to every vector.
struct Buffer {
    void* memory;
    float* floats;
    explicit Buffer(int64_t n) : memory(std::malloc(sizeof(float) * n + 64)) {
        const auto address = reinterpret_cast<uintptr_t>(memory);
        floats = reinterpret_cast<float*>((address + 63) / 64 * 64);
    }
    ~Buffer() { std::free(memory); }
};

// Floats of one thread, so that the next thread's begin on a cache line of their own.
inline int64_t aligned(int64_t n) { return (n + 63) / 16 * 16; }

// work(0), ..., work(n - 1), each in a thread of its own where there are threads to be had.
template <typename Work>
void in_threads(int64_t n, const Work& work) {
    std::vector<std::thread> others;
    int64_t started = 1;
    try {
        for (; started < n; ++started) others.emplace_back(work, started);
    } catch (...) {  // the rest is done here
    }
    work(0);
    for (int64_t thread = started; thread < n; ++thread) work(thread);
    for (std::thread& other : others) other.join();
}

}  // namespace
