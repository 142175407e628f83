// One set of kernels per instruction set: kernels_*.cpp compile the same source, and recurrence.cpp takes the best one
// the processor has. Everything else is in unnamed namespaces, so that no function of one set is linked into another.
#pragma once

#include <atomic>

#include "problem.h"

// c (M, N) = a (M, K) B, or c += a B, with B packed by pack_matrix.
struct MatrixProduct {
    const float *a, *packed;
    float* c;
    int64_t lda, ldc, M, K, N, add;
};

// c (M, N) = a^T b for a (K, M), b (K, N): M and N are multiples of `width`.
struct MatrixUpdate {
    const float *a, *b;
    float* c;
    int64_t lda, ldb, M, K, N;
};

// Shares of steps (n_sequences, n_features) at which random convolutions exceed their biases, from sequences that lie one
// behind the other: the steps offsets[i] to offsets[i + 1] of `values`, of so many channels each. 84 kernels a dilation;
// the arrays are those of a bank, and `order` (n_dilations, 84) puts kernels side by side that read the same channels.
struct Convolutions {
    const float* values;
    const int64_t* offsets;
    const int64_t *dilations, *n_biases, *starts;
    const int32_t *channels, *order;
    const float* biases;
    float* shares;
    int64_t n_sequences, n_channels, n_dilations, n_features, longest, largest_dilation;
};

// Least costs |x_p - y_q|^2 of all places of row sequences (n_rows, P, D) and lane sequences (n_lanes, Q, D), of every
// pair or, where `row` is not null, of the n_pairs pairs (row[k], lane[k]). The distance of row i and lane j is written to
// distances[i * row_step + j * lane_step], that of pair k to distances[k]; and of pairs, unless they are null, what
// matches (n_pairs, P) and (n_pairs, Q) and its costs.
struct Alignment {
    const float *rows, *lanes;
    const int64_t *row, *lane;
    double* distances;
    int64_t *row_matches, *lane_matches;
    double *row_costs, *lane_costs;
    int64_t n_rows, n_lanes, n_pairs, P, Q, D, row_step, lane_step;
};

// Soft distances of pairs (rows[k], columns[k]) of sequences with states (P, D), and what their gradients need, or not
// where `slopes` is null: of every pair soft_slopes(P) - 1 floats, and one in `by_tau`. pack_sequences makes `packed`.
struct SoftAlignment {
    const float *states, *packed;
    const int64_t *rows, *columns;
    float *squared, *slopes, *by_tau;
    int64_t n_pairs, P, D;
    float tau;
};

// Adds to the gradient of the states what the pairs' gradients `outer` give. The entries starts[b] to starts[b + 1] are
// 2 k where the sequence b is the first of the pair k, and 2 k + 1 where it is the second.
struct SoftGradient {
    const float *states, *packed, *slopes, *outer;
    const int64_t *rows, *columns, *starts, *entries;
    float* grad;
    int64_t P, D;
};

constexpr int64_t MAX_STRIDE = 64;

// Two convolutions over time with GELU: values of n_sequences lie `values_sequence` apart, their steps `values_step`.
// Weights are (filters, channels, kernel). The result `out` is (sequences, steps, filters), times factors (sequences,
// filters) where they are given; `kept` is room for what backward reads. Gradients of the weights: shares one after
// the other, each (second's weights; first's; both biases), as matrices (kernel, channels; filters).
struct Stem {
    int64_t n_sequences, n_steps, n_channels, n_filters, values_sequence, values_step;
    int64_t kernel[2], stride[2], in_front[2];
    const float* values;
    const int64_t* lengths;
    const float *weight[2], *bias[2];
    const float* factors;
    float *out, *kept;
    const float* grad;
    int64_t grad_sequence, grad_step, n_shares;
    float* grad_weights;
};

// Every n-th tile is one share, which the next thread that is free takes: one that the machine holds up holds up no
// other. What is summed is summed within a share, and shares in their order: the same result every time.
struct Shares {
    int64_t n;
    std::atomic<int64_t> taken{0};
    int64_t next() { return taken.fetch_add(1); }
};

constexpr int64_t SOFT_PAIRS = 32;

struct Kernels {
    const char* name;
    int64_t width;  // floats of a vector: units are padded to a multiple of it
    int64_t (*tiles)(const Problem&);
    int64_t (*saved_floats)(const Problem&);
    int64_t (*scratch_floats)(const Problem&, bool backward);
    // Share after share until none is left.
    void (*run)(const Problem&, bool backward, Shares&, float* scratch);
    // B[k][n] = source[k * row + n * column] into packed_matrix(K, N) floats, and products with it.
    int64_t (*packed_matrix)(int64_t K, int64_t N);
    void (*pack_matrix)(float* out, const float* source, int64_t K, int64_t N, int64_t row, int64_t column);
    void (*product)(const MatrixProduct&);
    void (*update)(const MatrixUpdate&);
    // Sequences, one after the other until none is left.
    int64_t (*convolution_floats)(const Convolutions&);
    void (*convolutions)(const Convolutions&, Shares&, float* scratch);
    // Blocks of pairs, one after the other until none is left.
    int64_t (*alignment_tasks)(const Alignment&);
    int64_t (*alignment_floats)(const Alignment&);
    void (*alignment)(const Alignment&, Shares&, float* scratch);
    // Sequences of `packed_places` floats each; shares of SOFT_PAIRS pairs; single sequences.
    int64_t (*packed_places)(int64_t P, int64_t D);
    int64_t (*soft_slopes)(int64_t P);
    int64_t (*soft_floats)(int64_t P);
    void (*pack_sequences)(float* out, const float* states, int64_t n, int64_t P, int64_t D);
    void (*soft_alignment)(const SoftAlignment&, Shares&, float* scratch);
    void (*soft_alignment_back)(const SoftGradient&, Shares&, float* scratch);
    // Floats of a sequence that backward reads again, of the gradients of one share, of a thread; share after share.
    int64_t (*stem_kept)(const Stem&);
    int64_t (*stem_gradients)(const Stem&);
    int64_t (*stem_floats)(const Stem&);
    void (*stem)(const Stem&, bool backward, Shares& shares, float* scratch);
    // The gate functions alone, so that their error can be measured.
    void (*gates)(const float* x, float* sigmoid, float* tanh, int64_t n);
};

extern const Kernels kernels_generic, kernels_avx2, kernels_avx512;
