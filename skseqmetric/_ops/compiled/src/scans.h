// Whole scans of LSTM, plain RNN and reservoirs as the C interface (scans.cpp) sees them: one set of kernels per
// instruction set (scans_*.cpp). Every field has 8 bytes, since Python passes them as an array of numbers.
#pragma once

#include "kernels.h"

constexpr int MOST_DIRECTIONS = 2;

// LSTM or plain RNN with tanh: B rows, T steps, F features, H units, G = 4 or 1 gates in the order i, f, g, o. The
// second direction reads every row from its end. The numbers of a step are contiguous; strides count floats.
struct CellScan {
    int64_t gates, n_directions, n_rows, n_steps, n_features, n_units;
    const float* x;
    int64_t x_row, x_step;
    const int64_t *lengths, *order;  // `order`: the rows from the longest to the shortest
    // Of every direction: (G H, F), (G H, H) and twice (G H,).
    const float *input[MOST_DIRECTIONS], *hidden[MOST_DIRECTIONS], *bias[MOST_DIRECTIONS], *hidden_bias[MOST_DIRECTIONS];
    // Direction d of a row's step at row * states_row + step * states_step + d * H, in time order, 0 behind the end.
    float* states;
    int64_t states_row, states_step;
    float* saved;  // what backward reads again, saved_floats() of them; or null
    const float* grad_states;
    int64_t grad_row, grad_step;
    // Gradients: of x (B, T, F), zero at first, or null where it is not asked for; of the weights, for every share and
    // direction the transposed matrix (H + F + 1, padded G H) of hidden weights, input weights and biases.
    float* grad_x;
    int64_t n_shares;
    float* grad_weights;
};

// D reservoirs: x <- x + l (tanh(W_in [1; u] + W x) - x), each on features of its own in the order of its run.
struct ReservoirScan {
    int64_t n_reservoirs, n_rows, n_steps, n_features, n_units, sparse;
    const float* x;
    int64_t x_reservoir, x_row, x_step;
    const int64_t *lengths, *order;
    const float *const *input, *const *recurrent, *const *leak;  // of every reservoir (N, F + 1), (N, N) and (N,)
    float* const* packed;  // of every reservoir what pack_reservoir has made of them
    // Results, each may be null: states (d, t, row), the last one kept behind the end; last state and mean (row, d N).
    float* states;
    int64_t states_reservoir, states_step, states_row;
    float *last, *mean;
    int64_t pooled_row;
};

struct ScanKernels {
    const char* name;
    // Tiles of rows; floats of packed weights, of what backward reads again, and of a thread's scratch.
    int64_t (*cell_tiles)(const CellScan&);
    int64_t (*cell_packed)(const CellScan&, bool backward);
    int64_t (*cell_saved)(const CellScan&);
    int64_t (*cell_scratch)(const CellScan&, bool backward);
    int64_t (*cell_gradients)(const CellScan&);  // floats of a share and direction
    void (*pack_cell)(const CellScan&, bool backward, float* packed);
    void (*cell)(const CellScan&, bool backward, const float* packed, Shares&, float* scratch);
    // Tiles of rows of one reservoir each; the form of packed weights, and their size for a scan of one reservoir.
    int64_t (*reservoir_tasks)(const ReservoirScan&);
    int64_t (*reservoir_form)(const ReservoirScan&);
    int64_t (*reservoir_packed)(const ReservoirScan&);
    int64_t (*reservoir_scratch)(const ReservoirScan&);
    void (*pack_reservoir)(const ReservoirScan&, float* packed);
    void (*reservoir)(const ReservoirScan&, Shares&, float* scratch);
};

extern const ScanKernels scans_generic, scans_avx2, scans_avx512;
