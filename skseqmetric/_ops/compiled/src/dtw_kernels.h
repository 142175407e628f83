// Dynamic time warping as the C interface (dtw.cpp) sees it: one set of kernels per instruction set (dtw_*.cpp).
#pragma once

#include <atomic>
#include <cstdint>

// n sequences stacked along time: steps starts[i] to starts[i + 1] of `values` belong to sequence i, and every step has
// n_channels numbers. `narrow` holds the same values less those of a centre, scaled, in single precision; or is null.
struct Stacked {
    const double* values;
    const float* narrow;
    const int64_t* starts;
    int64_t n, longest;
};

constexpr int64_t NO_BAND = -1;

// Distances of pairs. Where `table` is set, out[r * n_columns + c] is that of every row to every column; else out[p] is
// that of pair p, and there are n_rows of each.
struct Distances {
    Stacked left, right;
    const int64_t *rows, *columns;
    int64_t n_rows, n_columns, n_channels, radius;
    bool table;
    double* out;
};

// The k nearest references of every query, by (distance, index).
struct Search {
    Stacked queries, references;
    int64_t n_channels, radius, k;
    const int64_t* by_length;     // the references from the shortest to the longest
    const int64_t* exclude;       // a reference a query that may not be its neighbour, or null
    double scale, square_error;   // narrow = scale (values - centre), and per aligned pair of steps the largest squared error
    double* distances;
    int64_t* indices;
};

// The next piece of work, for whichever thread is free.
struct Queue {
    int64_t n;
    std::atomic<int64_t> taken;
};

struct DtwKernels {
    const char* name;
    int64_t (*distance_bytes)(const Distances&);  // scratch of a thread
    int64_t (*distance_parts)(const Distances&);  // what the queue counts
    void (*distances)(const Distances&, Queue&, void* scratch);
    int64_t (*search_bytes)(const Search&);
    void (*search)(const Search&, Queue&, void* scratch);  // the queue counts queries
};

extern const DtwKernels dtw_generic, dtw_avx2, dtw_avx512;
