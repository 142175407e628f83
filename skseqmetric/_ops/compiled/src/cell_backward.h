// The backward pass of a tile of an LSTM or a plain RNN, from the last step to the first.
#pragma once

#include "cell_tile.h"

namespace {

constexpr int64_t UPDATED_ROWS = 72;  // whose weight gradients are one product of that rank, from the first-level cache

inline int64_t cell_gradients(const CellScan& p) {
    const CellSizes s(p);
    return up_to(s.K, BLOCK) * s.Gw;
}

inline int64_t cell_backward_floats(const CellScan& p) {
    const CellSizes s(p);
    return CELL_ROWS * (padded(s.H + s.F) + 2 * s.Hp) + (UPDATED_ROWS + BLOCK) * s.Gp + UPDATED_ROWS * s.Kp;
}

// One direction of one tile.
struct CellBackward {
    const CellScan& p;
    const CellSizes s;
    const CellRows& rows;
    int64_t tile, d, Np, filled = 0;
    const float* packed;
    float *grad, *grad_cell, *zeros, *gates, *operands, *weights;

    CellBackward(const CellScan& p, const CellRows& rows, int64_t tile, int64_t d, int64_t share, const float* packed,
                 float* scratch)
        : p(p), s(p), rows(rows), tile(tile), d(d), Np(padded(s.H + s.F)), packed(packed) {
        auto take = [&scratch](int64_t n) { float* here = scratch; scratch += n; return here; };
        grad = take(CELL_ROWS * Np), grad_cell = take(CELL_ROWS * s.Hp), zeros = take(CELL_ROWS * s.Hp);
        gates = take((UPDATED_ROWS + BLOCK) * s.Gp), operands = take(UPDATED_ROWS * s.Kp);
        weights = p.grad_weights + (share * p.n_directions + d) * cell_gradients(p);
    }
    const float* kept(int64_t t, int64_t r) const {
        return p.saved + (((tile * p.n_directions + d) * p.n_steps + t) * s.rows + r) * s.kept();
    }
    const float* state(int64_t r, int64_t t) const {
        return p.states + rows.row[r] * p.states_row + rows.place(d, r, t) * p.states_step + d * s.H;
    }
    const float* outer(int64_t r, int64_t t) const {
        return p.grad_states + rows.row[r] * p.grad_row + rows.place(d, r, t) * p.grad_step + d * s.H;
    }

    // From dL/dh_t of a row the gradients of its gates before their functions, in the order i, f, g, o.
    __attribute__((noinline)) void lstm_gates(int64_t r, int64_t t, float* to) const {
        const int64_t H = s.H, Hp = s.Hp;
        const float *now = kept(t, r), *before = t ? kept(t - 1, r) + 4 * Hp : zeros, *from = outer(r, t);
        if (t)  // what the next step reads has long left the caches
            for (int64_t u = 0; u < 4 * Hp; u += 16) __builtin_prefetch(before - 4 * Hp + u);
        float *g = grad + r * Np, *gc = grad_cell + r * Hp;
        for (int64_t u = 0; u < H; u += W) {
            const V in = load(now + u), forget = load(now + Hp + u), fresh = load(now + 2 * Hp + u);
            const V out = load(now + 3 * Hp + u), squashed = tanh_of(load(now + 4 * Hp + u));
            const V dh = load_part(g + u, H - u) + load_part(from + u, H - u);
            const V dc = load(gc + u) + dh * out * (1.0f - squashed * squashed);
            store_part(to + u, dc * fresh * in * (1.0f - in), H - u);
            store_part(to + H + u, dc * load(before + u) * forget * (1.0f - forget), H - u);
            store_part(to + 2 * H + u, dc * in * (1.0f - fresh * fresh), H - u);
            store_part(to + 3 * H + u, dh * squashed * out * (1.0f - out), H - u);
            store(gc + u, dc * forget);
        }
    }
    void rnn_gates(int64_t r, int64_t t, float* to) const {
        const float *h = state(r, t), *from = outer(r, t), *g = grad + r * Np;
        for (int64_t u = 0; u < s.H; u += W) {
            const V now = load_part(h + u, s.H - u), dh = load_part(g + u, s.H - u) + load_part(from + u, s.H - u);
            store_part(to + u, dh * (1.0f - now * now), s.H - u);
        }
    }
    // What the gates of a row have read.
    void read(int64_t r, int64_t t, float* to) const {
        copy_floats(to, t ? state(r, t - 1) : zeros, s.H);
        copy_floats(to + s.H, p.x + rows.row[r] * p.x_row + rows.place(d, r, t) * p.x_step, s.F);
        to[s.H + s.F] = 1.0f;
    }
    void step(int64_t t) {
        const int64_t alive = rows.alive(t);
        if (filled + alive > UPDATED_ROWS) flush();
        float *da = gates + filled * s.Gp, *row = operands + filled * s.Kp;
        for (int64_t r = 0; r < alive; ++r) {
            s.G == 4 ? lstm_gates(r, t, da + r * s.Gp) : rnn_gates(r, t, da + r * s.Gp);
            read(r, t, row + r * s.Kp);
        }
        panel_product(grad, Np, da, s.Gp, alive, s.G * s.H, packed, s.H + (p.grad_x ? s.F : 0));
        if (p.grad_x)
            for (int64_t r = 0; r < alive; ++r) give(r, t);
        // a whole block has also written rows that have not begun
        std::memset(grad + alive * Np, 0, sizeof(float) * (up_to(alive, BLOCK) - alive) * Np);
        filled += alive;
    }
    void give(int64_t r, int64_t t) const {
        float* to = p.grad_x + (rows.row[r] * p.n_steps + rows.place(d, r, t)) * s.F;
        const float* from = grad + r * Np + s.H;
        for (int64_t u = 0; u < s.F; u += W) {
            const V value = load_part(from + u, s.F - u);
            d ? add_part(to + u, value, s.F - u) : store_part(to + u, value, s.F - u);
        }
    }
    void flush() {
        panel_update(weights, s.Gw, operands, s.Kp, s.K, gates, s.Gp, s.G * s.H, filled);
        filled = 0;
    }
    void run() {
        std::memset(grad, 0, sizeof(float) * cell_backward_floats(p));
        for (int64_t t = rows.n_steps - 1; t >= 0; --t) step(t);
        flush();
    }
};

}  // namespace
