// The C interface of dynamic time warping: picks the kernels that recurrence.cpp has picked, and the threads.
#include "dtw_kernels.h"
#include "exported.h"
#include "threads.h"

namespace {

const DtwKernels& chosen() { return CHOSEN_KERNELS(dtw); }

Stacked stacked(const double* values, const float* narrow, const int64_t* starts, int64_t n) {
    int64_t longest = 0;
    for (int64_t i = 0; i < n; ++i) longest = starts[i + 1] - starts[i] > longest ? starts[i + 1] - starts[i] : longest;
    return {values, narrow, starts, n, longest};
}

// work(problem, queue, scratch) by threads that share the queue; 0, or 1 where memory ran out.
template <typename Problem>
int in_queue(const Problem& problem, int64_t parts, int64_t bytes, int64_t n_threads,
             void (*work)(const Problem&, Queue&, void*)) {
    Queue queue{parts, {0}};
    n_threads = n_threads < parts ? n_threads : parts > 1 ? parts : 1;
    const int64_t floats = aligned(bytes / static_cast<int64_t>(sizeof(float)));
    const Buffer memory(floats * n_threads);
    if (!memory.memory) return 1;
    in_threads(n_threads, [&](int64_t thread) { work(problem, queue, memory.floats + thread * floats); });
    return 0;
}

}  // namespace

// Distances of rows of `left` to columns of `right`: (n_rows, n_columns), or (n_rows,) of pairs where n_columns is
// negative. 0, or 1 where memory ran out.
EXPORT int skseq_dtw(double* out, const double* left, const int64_t* left_starts, int64_t n_left, const double* right,
                     const int64_t* right_starts, int64_t n_right, const int64_t* rows, int64_t n_rows,
                     const int64_t* columns, int64_t n_columns, int64_t n_channels, int64_t radius,
                     int64_t n_threads) {
    const Distances d{stacked(left, nullptr, left_starts, n_left),
                      stacked(right, nullptr, right_starts, n_right),
                      rows, columns, n_rows, n_columns, n_channels, radius, n_columns >= 0, out};
    if (!n_rows || !n_columns) return 0;
    const DtwKernels& k = chosen();
    return in_queue(d, k.distance_parts(d), k.distance_bytes(d), n_threads, k.distances);
}

// The k nearest references of every query, (n_queries, k) each. 0, or 1 where memory ran out.
EXPORT int skseq_dtw_nearest(double* distances, int64_t* indices, const double* queries, const float* narrow_queries,
                             const int64_t* query_starts, int64_t n_queries, const double* references,
                             const float* narrow_references, const int64_t* reference_starts, int64_t n_references,
                             const int64_t* by_length, const int64_t* exclude, int64_t k, int64_t n_channels, int64_t radius,
                             const double* scale_and_error, int64_t n_threads) {
    const Search s{stacked(queries, narrow_queries, query_starts, n_queries),
                   stacked(references, narrow_references, reference_starts, n_references),
                   n_channels, radius, k, by_length, exclude, scale_and_error[0], scale_and_error[1], distances, indices};
    if (!n_queries) return 0;
    const DtwKernels& kernels = chosen();
    return in_queue(s, n_queries, kernels.search_bytes(s), n_threads, kernels.search);
}
