// The forward pass of a tile of an LSTM or a plain RNN.
#pragma once

#include "cell_tile.h"

namespace {

inline int64_t cell_forward_floats(const CellScan& p) {
    const CellSizes s(p);
    return CELL_ROWS * (2 * s.Kp + s.Hp + 5 * s.Hp);
}

// R rows of one vector of units, i, f, g and o side by side in registers. What is `kept` of a row: i, f, g, o and c.
struct LSTMStep {
    const CellSizes& s;
    const float *operands, *panel;
    int64_t unit;
    float *next, *kept;
    const float* kept_before;  // null at the first step
    bool keep;                 // the gates too, and not only c
    // not inlined: among a caller's values not all sums would stay in registers
    template <int R>
    __attribute__((noinline)) void operator()(int64_t row) const {
        const int64_t n = s.H - unit, pitch = 5 * s.Hp;
        V acc[R][4];
        for (int i = 0; i < R; ++i)
            for (int j = 0; j < 4; ++j) acc[i][j] = splat(0.0f);
        multiply(acc, operands + row * s.Kp, s.Kp, s.K, panel);
        for (int i = 0; i < R; ++i) {
            float* to = kept + (row + i) * pitch + unit;
            const V in = sigmoid_of(acc[i][0]), forget = sigmoid_of(acc[i][1]);
            const V fresh = tanh_of(acc[i][2]), out = sigmoid_of(acc[i][3]);
            const V before = kept_before ? load(kept_before + (row + i) * pitch + 4 * s.Hp + unit) : splat(0.0f);
            const V cell = rounded(forget * before) + in * fresh;
            store(to + 4 * s.Hp, cell);
            if (keep) store(to, in), store(to + s.Hp, forget), store(to + 2 * s.Hp, fresh), store(to + 3 * s.Hp, out);
            store_part(next + (row + i) * s.Kp + unit, rounded(out * tanh_of(cell)), n);
        }
    }
};

// R rows of up to four vectors of units.
struct RNNStep {
    const CellSizes& s;
    const float *operands, *panel;
    int64_t unit;
    float* next;
    template <int R, int NV>
    void block(int64_t row) const {
        V acc[R][NV];
        for (int i = 0; i < R; ++i)
            for (int j = 0; j < NV; ++j) acc[i][j] = splat(0.0f);
        multiply(acc, operands + row * s.Kp, s.Kp, s.K, panel);
        for (int i = 0; i < R; ++i)
            for (int j = 0; j < NV; ++j)
                store_part(next + (row + i) * s.Kp + unit + j * W, tanh_of(acc[i][j]), s.H - unit - j * W);
    }
    template <int R>
    void operator()(int64_t row) const {
        const int width = panel_vectors(vectors(s.H - unit));
        if (width == 4) block<R, 4>(row);
        if (width == 3) block<R, 3>(row);
        if (width == 2) block<R, 2>(row);
        if (width == 1) block<R, 1>(row);
    }
};

// One direction of one tile.
struct CellForward {
    const CellScan& p;
    const CellSizes s;
    const CellRows& rows;
    int64_t tile, d;
    const float* packed;
    float *operands[2], *kept;

    CellForward(const CellScan& p, const CellRows& rows, int64_t tile, int64_t d, const float* packed, float* scratch)
        : p(p), s(p), rows(rows), tile(tile), d(d), packed(packed) {
        operands[0] = scratch, operands[1] = scratch + CELL_ROWS * s.Kp;
        kept = operands[1] + CELL_ROWS * s.Kp;
    }
    // What backward reads of step t; without it one step's is enough, whose c each step replaces.
    float* kept_of(int64_t t) const {
        if (!p.saved) return kept;
        return p.saved + ((tile * p.n_directions + d) * p.n_steps + t) * s.rows * s.kept();
    }
    void read(int64_t t) const {
        float* to = operands[t % 2];
        const int64_t alive = rows.alive(t);
        for (int64_t r = 0; r < alive; ++r) {
            const float* x = p.x + rows.row[r] * p.x_row + rows.place(d, r, t) * p.x_step;
            copy_floats(to + r * s.Kp + s.H, x, s.F);
        }
    }
    void step(int64_t t) const {
        const int64_t alive = rows.alive(t);
        const float *from = operands[t % 2], *panel = packed;
        float* next = operands[(t + 1) % 2];
        if (s.G == 1) {
            for (int64_t unit = 0, width; unit < s.H; unit += width, panel += s.K * width) {
                width = panel_vectors(vectors(s.H - unit)) * W;
                in_blocks(alive, RNNStep{s, from, panel, unit, next});
            }
        } else {
            const float* before = t ? kept_of(t - 1) : nullptr;
            for (int64_t unit = 0; unit < s.H; unit += W, panel += s.K * 4 * W)
                in_blocks(alive, LSTMStep{s, from, panel, unit, next, kept_of(t), before, p.saved != nullptr});
        }
        for (int64_t r = 0; r < alive; ++r)
            copy_floats(states(r, rows.place(d, r, t)), next + r * s.Kp, s.H);
    }
    float* states(int64_t r, int64_t place) const {
        return p.states + rows.row[r] * p.states_row + place * p.states_step + d * s.H;
    }
    void run() const {
        std::memset(operands[0], 0, sizeof(float) * 2 * CELL_ROWS * s.Kp);
        for (int64_t r = 0; r < CELL_ROWS; ++r) operands[0][r * s.Kp + s.H + s.F] = operands[1][r * s.Kp + s.H + s.F] = 1.0f;
        for (int64_t t = 0; t < rows.n_steps; ++t) {
            read(t);
            step(t);
        }
        for (int64_t r = 0; r < rows.n; ++r)
            for (int64_t t = rows.length[r]; t < p.n_steps; ++t) std::memset(states(r, t), 0, sizeof(float) * s.H);
    }
};

}  // namespace
