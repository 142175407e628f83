// A layer of recurrent memory as the C interface (memory.cpp) sees it: one set of kernels per instruction set
// (memory_*.cpp).
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

enum Cell : int64_t { LSTM = 0, GRU = 1, RNN = 2 };

// The fields of `MemoryWeights` in their order, matrices as (outputs, inputs); gradients have the same shapes.
template <typename Floats>
struct MemoryTensors {
    Floats input, hidden, bias, memory_gate_input, memory_gate_memory, memory_gate_bias, read, token, mixing, mixing_bias,
        first_gain, first_shift, second_gain, second_shift, first_layer, first_layer_bias, second_layer, second_layer_bias,
        update_input, update_memory, update_bias, token_bias, candidate_bias;
};

// A mask of the units that take their new value, (rows, steps, H); or where it is null the share of them.
struct Keep {
    const float* mask;
    int64_t row, step;
    double share;
};

// B rows of T steps with D features, H units, S slots. compiled/_memory_problem.py mirrors it, and every field has eight
// bytes. Strides count floats, and the innermost axis of every array is contiguous.
struct MemoryProblem {
    int64_t n_rows, n_steps, n_features, n_units, cell;
    int64_t n_slots, stride, window, n_heads, attention, tokens;  // `tokens`: every input row is one, else all are one
    int64_t n_threads;
    void (*openmp)(void (*task)(void*), void* data, unsigned n_threads, unsigned flags);  // as in problem.h
    const float* x;
    int64_t x_row, x_step;
    const int64_t *lengths, *order;  // rows in the order in which tiles take them
    MemoryTensors<const float*> weights;
    Keep hidden, cells;
    const float* dropped;  // factors of the memory that is read, (rows, updates, S H), or null
    int64_t dropped_row, dropped_update;
    float* states;  // (rows, steps, H)
    int64_t states_row, states_step;
    float* kept;  // what backward reads, and changes; null where there is none
    // Backward: the gradient of the states; room for those of what lies between; results, grad_x (B, T, D) or null.
    const float* grad_states;
    int64_t grad_row, grad_step;
    float *between, *grad_x;
    MemoryTensors<float*> gradients;
};

constexpr int64_t MEMORY_ROWS = 16;  // of a tile: its states and gates stay in the caches from window to window

// Where the numbers of a tile and a window lie. Window after window, and tile after tile, stand the steps of a window and
// the rows of a step; after them the rows of an update, which is made where a step follows it.
struct MemoryPlan {
    int64_t n_tiles, n_windows, n_step_rows = 0, n_read_rows = 0, n_updates = 0, n_token_rows = 0;
    std::vector<int64_t> steps, step_at, update_at, token_at;  // of tile i; of window k and tile i

    explicit MemoryPlan(const MemoryProblem& p) : n_tiles((p.n_rows + MEMORY_ROWS - 1) / MEMORY_ROWS), n_windows(0) {
        for (int64_t i = 0; i < n_tiles; ++i) {
            int64_t longest = 0;
            for (int64_t r = 0; r < rows(p, i); ++r) {
                const int64_t length = p.lengths[p.order[i * MEMORY_ROWS + r]];
                longest = length > longest ? length : longest;
            }
            steps.push_back(longest);
            const int64_t windows = (longest + p.window - 1) / p.window;
            n_windows = windows > n_windows ? windows : n_windows;
        }
        for (int64_t k = 0; k < n_windows; ++k) {
            for (int64_t i = 0; i < n_tiles; ++i) place(p, k, i);
            if (!k) n_read_rows = -n_step_rows;
        }
        n_read_rows = n_windows ? n_read_rows + n_step_rows : 0;
    }

    static int64_t rows(const MemoryProblem& p, int64_t tile) {
        const int64_t left = p.n_rows - tile * MEMORY_ROWS;
        return left < MEMORY_ROWS ? left : MEMORY_ROWS;
    }
    // Steps of a tile in a window, at least 0.
    int64_t within(const MemoryProblem& p, int64_t k, int64_t tile) const {
        const int64_t left = steps[tile] - k * p.window;
        return left < 0 ? 0 : left < p.window ? left : p.window;
    }
    bool updates(const MemoryProblem& p, int64_t k, int64_t tile) const { return steps[tile] > (k + 1) * p.window; }
    int64_t at(int64_t k, int64_t tile) const { return k * n_tiles + tile; }

    // The step of slot s of update k; below 0 there is none.
    static int64_t step(const MemoryProblem& p, int64_t k, int64_t s) {
        return (k + 1) * p.window - (p.n_slots - s) * p.stride;
    }
    static int64_t missing(const MemoryProblem& p, int64_t k) {
        int64_t n = 0;
        while (n < p.n_slots && step(p, k, n) < 0) ++n;
        return n;
    }

private:
    void place(const MemoryProblem& p, int64_t k, int64_t tile) {
        const int64_t n = rows(p, tile);
        step_at.push_back(n_step_rows), update_at.push_back(n_updates), token_at.push_back(n_token_rows);
        n_step_rows += within(p, k, tile) * n;
        if (!updates(p, k, tile)) return;
        n_updates += n, n_token_rows += n * (p.n_slots - missing(p, k));
    }
};

// The next tile or product, for whichever thread is free.
struct MemoryQueue {
    int64_t n;
    std::atomic<int64_t> taken;
};

struct MemoryKernels {
    const char* name;
    int64_t (*kept_floats)(const MemoryProblem&, const MemoryPlan&);
    int64_t (*between_floats)(const MemoryProblem&, const MemoryPlan&);
    int64_t (*packed_floats)(const MemoryProblem&);
    void (*pack)(const MemoryProblem&, bool backward, float* packed);
    int64_t (*scratch_floats)(const MemoryProblem&);
    void (*run)(const MemoryProblem&, const MemoryPlan&, bool backward, const float* packed, MemoryQueue&, float* scratch);
    int64_t (*n_sums)(const MemoryProblem&, const MemoryPlan&);
    void (*sums)(const MemoryProblem&, const MemoryPlan&, MemoryQueue&);  // gradients of the weights, after `run`
};

extern const MemoryKernels memory_generic, memory_avx2, memory_avx512;
