// The recurrent steps of one tile, forward and backward.
#pragma once

#include "memory_arrays.h"

namespace {

constexpr int STEP_ROWS = W == 16 ? 4 : 2;  // times 4 gates: accumulators that fit the registers

// From old to new by a share of the way, exact at both ends.
inline V towards(V old, V fresh, V keep) {
    const V way = fresh - old, from_old = old + keep * way, from_new = fresh - (1.0f - keep) * way;
    const VI near = keep < splat(0.5f);
    return (V)(((VI)from_old & near) | ((VI)from_new & ~near));
}

// The units that take their new value, of one row and step.
inline const float* mask_of(const Keep& keep, int64_t row, int64_t t) {
    return keep.mask ? keep.mask + row * keep.row + t * keep.step : nullptr;
}
inline V kept_share(const Keep& keep, const float* mask, int64_t u, int64_t left) {
    return mask ? load_part(mask + u, left) : splat(static_cast<float>(keep.share));
}

// One step of the rows of a tile: arrays of rows, those of H floats without gaps. `read` is null before the first update.
struct MemoryStep {
    float *gates, *squashed;
    const float *read, *h, *c;
    float *new_h, *new_c;
    int64_t t;
    const int64_t* row;  // in the problem
};

template <int64_t CELL, int R>
inline void memory_cell(const MemoryProblem& p, const MemoryStep& s, const float* packed, int64_t first, int64_t unit) {
    constexpr int G = CELL == LSTM ? 4 : CELL == GRU ? 3 : 1;
    const int64_t H = p.n_units, left = H - unit, width = (CELL == RNN ? 1 : 4) * H;
    V acc[R][G];
    for (int i = 0; i < R; ++i) {
        const float* gates = s.gates + (first + i) * width + unit;
        for (int g = 0; g < G; ++g) acc[i][g] = load_part(gates + g * H, left);
        if (CELL == GRU) acc[i][2 % G] = load_part(p.weights.candidate_bias + unit, left);
    }
    multiply(acc, s.h + first * H, H, H, packed);
    for (int i = 0; i < R; ++i) {
        const int64_t at = (first + i) * H + unit;
        float* gates = s.gates + (first + i) * width + unit;
        const V before = load_part(s.h + at, left), read = s.read ? load_part(s.read + at, left) : splat(0.0f);
        V fresh;
        if (CELL == LSTM) {
            const V f = sigmoid_of(acc[i][0]), in = sigmoid_of(acc[i][1 % G]), o = sigmoid_of(acc[i][2 % G]);
            const V g = tanh_of(acc[i][3 % G]), old = load_part(s.c + at, left), c = f * old + in * g + read;
            const V squashed = tanh_of(c);
            const float* mask = mask_of(p.cells, s.row[first + i], s.t);
            store_part(gates, f, left), store_part(gates + H, in, left), store_part(gates + 2 * H, o, left);
            store_part(gates + 3 * H, g, left), store_part(s.squashed + at, squashed, left);
            store_part(s.new_c + at, towards(old, c, kept_share(p.cells, mask, unit, left)), left);
            fresh = o * squashed;
        } else if (CELL == GRU) {
            const V r = sigmoid_of(acc[i][0]), z = sigmoid_of(acc[i][1 % G]), q = acc[i][2 % G];
            const V n = tanh_of(load_part(gates + 2 * H, left) + r * q + read);
            store_part(gates, r, left), store_part(gates + H, z, left), store_part(gates + 2 * H, n, left);
            store_part(gates + 3 * H, q, left);
            fresh = n + z * (before - n);
        } else {
            fresh = tanh_of(acc[i][0] + read);
            store_part(gates, fresh, left);
        }
        const float* mask = mask_of(p.hidden, s.row[first + i], s.t);
        store_part(s.new_h + at, towards(before, fresh, kept_share(p.hidden, mask, unit, left)), left);
    }
}

template <int64_t CELL>
inline void memory_step(const MemoryProblem& p, const MemoryStep& s, const float* packed, int64_t n_rows) {
    constexpr int64_t G = CELL == LSTM ? 4 : CELL == GRU ? 3 : 1;
    const int64_t H = p.n_units, whole = n_rows / STEP_ROWS * STEP_ROWS;
    for (int64_t unit = 0; unit < H; unit += W, packed += H * G * W) {
        for (int64_t row = 0; row < whole; row += STEP_ROWS) memory_cell<CELL, STEP_ROWS>(p, s, packed, row, unit);
        for (int64_t row = whole; row < n_rows; ++row) memory_cell<CELL, 1>(p, s, packed, row, unit);
    }
}

inline void memory_step(const MemoryProblem& p, const MemoryStep& s, const float* packed, int64_t n_rows) {
    if (p.cell == LSTM) return memory_step<LSTM>(p, s, packed, n_rows);
    if (p.cell == GRU) return memory_step<GRU>(p, s, packed, n_rows);
    memory_step<RNN>(p, s, packed, n_rows);
}

// The gradients of one row at one step: of what its products gave, and of h and c, which become those before the step
// but for the way through the hidden matrix. `read` is null where nothing was read.
struct StepBack {
    const float *gates, *squashed, *before, *old;
    float *grad_gates, *read, *grad_h, *grad_c;
    int64_t t, row;
};

inline void lstm_back(const MemoryProblem& p, const StepBack& s, int64_t u, int64_t left, V new_h) {
    const int64_t H = p.n_units;
    const V f = load_part(s.gates + u, left), in = load_part(s.gates + H + u, left);
    const V o = load_part(s.gates + 2 * H + u, left), g = load_part(s.gates + 3 * H + u, left);
    const V old = load_part(s.old + u, left), squashed = load_part(s.squashed + u, left);
    const V grad_c = load_part(s.grad_c + u, left);
    const V to_new = grad_c * kept_share(p.cells, mask_of(p.cells, s.row, s.t), u, left);
    const V c = to_new + new_h * (o - o * squashed * squashed);
    store_part(s.grad_gates + u, c * old * (f - f * f), left);
    store_part(s.grad_gates + H + u, c * g * (in - in * in), left);
    store_part(s.grad_gates + 2 * H + u, new_h * squashed * (o - o * o), left);
    store_part(s.grad_gates + 3 * H + u, c * (in - in * g * g), left);
    if (s.read) store_part(s.read + u, c, left);
    store_part(s.grad_c + u, c * f + (grad_c - to_new), left);
}

// Returns the way of the gradient past the candidate.
inline V gru_back(const MemoryProblem& p, const StepBack& s, int64_t u, int64_t left, V new_h) {
    const int64_t H = p.n_units;
    const V r = load_part(s.gates + u, left), z = load_part(s.gates + H + u, left);
    const V n = load_part(s.gates + 2 * H + u, left), q = load_part(s.gates + 3 * H + u, left);
    const V by_n = (new_h - new_h * z) * (1.0f - n * n);
    store_part(s.grad_gates + u, by_n, left);
    store_part(s.grad_gates + H + u, by_n * q * (r - r * r), left);
    store_part(s.grad_gates + 2 * H + u, new_h * (load_part(s.before + u, left) - n) * (z - z * z), left);
    store_part(s.grad_gates + 3 * H + u, by_n * r, left);
    if (s.read) store_part(s.read + u, by_n, left);
    return new_h * z;
}

inline void step_back(const MemoryProblem& p, const StepBack& s) {
    const float* mask = mask_of(p.hidden, s.row, s.t);
    for_vectors(p.n_units, [&](int64_t u, int64_t left) {
        const V grad = load_part(s.grad_h + u, left), new_h = grad * kept_share(p.hidden, mask, u, left);
        V past = grad - new_h;
        if (p.cell == LSTM) {
            lstm_back(p, s, u, left, new_h);
        } else if (p.cell == GRU) {
            past += gru_back(p, s, u, left, new_h);
        } else {
            const V n = load_part(s.gates + u, left), by_sum = new_h * (1.0f - n * n);
            store_part(s.grad_gates + u, by_sum, left);
            if (s.read) store_part(s.read + u, by_sum, left);
        }
        store_part(s.grad_h + u, past, left);
    });
}

}  // namespace
