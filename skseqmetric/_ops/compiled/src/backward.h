// The backward pass of one tile, from the last step to the first.
#pragma once

#include "tile.h"

namespace {

constexpr int64_t BLOCK_ROWS = 128;  // whose weight gradients are one product of that rank

// (3 Hp) rows for the hidden matrix, Hp for each matrix of the coupling gate, one for b'_n, one for a scalar gate.
inline int64_t weight_rows(const Problem& p) { return 5 * padded(p.n_units) + 2; }

struct BackwardScratch {
    float *grad, *through, *zeros, *gate, *crossed, *absolute;  // MAX_ROWS rows
    float *da, *hb;                                             // BLOCK_ROWS rows: of the GRU's products, and their input
    int64_t filled = 0;
    static int64_t floats(const Problem& p) { return (6 * MAX_ROWS + 4 * BLOCK_ROWS) * padded(p.n_units); }
    BackwardScratch(const Problem& p, float* at) {
        const int64_t Hp = padded(p.n_units);
        auto take = [&at, Hp](int64_t rows) { float* here = at; at += rows * Hp; return here; };
        grad = take(MAX_ROWS), through = take(MAX_ROWS), zeros = take(MAX_ROWS), gate = take(MAX_ROWS);
        crossed = take(MAX_ROWS), absolute = take(MAX_ROWS), da = take(3 * BLOCK_ROWS), hb = take(BLOCK_ROWS);
        std::memset(zeros, 0, sizeof(float) * MAX_ROWS * Hp);
    }
};

// Everything one direction of one tile needs at hand.
struct BackwardTile {
    const Problem& p;
    const Packed& w;
    const Rows& rows;
    BackwardScratch& s;
    Saved saved;
    int64_t d, H, Hp, other;  // `other`: from a row of the first half to its partner
    float *weights, *grad_x;

    BackwardTile(const Problem& p, const Packed& w, const Rows& rows, BackwardScratch& s, int64_t tile, int64_t d,
                 int64_t thread)
        : p(p), w(w), rows(rows), s(s), saved(p, tile, d), d(d), H(p.n_units), Hp(padded(H)), other(rows.size * Hp) {
        weights = p.grad_weights + (thread * p.n_directions + d) * weight_rows(p) * Hp;
        grad_x = p.grad_x + thread * p.grad_x_copy + d * p.grad_x_direction;
    }

    const float* before(int64_t t) const { return t ? saved.h(t - 1) : s.zeros; }
    float* grad_input(int64_t row, int64_t t) const {
        return grad_x + t * p.grad_x_step + rows.sequence[row] * p.grad_x_sequence;
    }

    // dL/dh_t from outside: of the read-out, and of the states themselves
    void add_outer(int64_t t) {
        for (int64_t half = 0; half < p.n_halves; ++half)
            for (int64_t r = 0; r < rows.count; ++r) {
                const int64_t row = half * rows.size + r, at = rows.first + r;
                float* g = s.grad + row * Hp;
                const float *states = p.grad_states[half], *readout = p.grad_readout[half];
                if (states) add(g, states + d * p.states_direction + t * p.states_step + at * p.states_row, 1.0f);
                if (!readout) continue;
                const bool reads = p.mean ? rows.alive(row, t) : t == rows.length[row] - 1;
                if (reads)
                    add(g, readout + d * p.readout_direction + at * p.readout_row,
                        p.mean ? 1.0f / static_cast<float>(rows.length[row]) : 1.0f);
            }
    }
    void add(float* to, const float* from, float factor) const {
        for (int64_t u = 0; u < H; u += W) store(to + u, load(to + u) + factor * load_part(from + u, H - u));
    }

    // The contracted states of MR rows again, from the states before and the gate kept.
    void contracted(int64_t row, int64_t t, float* hb) const {
        const float* h = before(t) + row * Hp;
        if (p.coupling == NONE) {
            std::memcpy(hb, h, sizeof(float) * MR * Hp);
            return;
        }
        const int64_t half = row >= rows.size;
        const float* partner = h + (half ? -other : other);
        const float* gate = saved.coupling(t) + (p.coupling == DIFFUSIVE ? row : row - half * rows.size) * Hp;
        for (int64_t at = 0; at < MR * Hp; at += W) {
            const V c = p.coupling == SCALAR ? splat(w.strength) : 0.5f * load(gate + at);
            store(hb + at, load(h + at) + c * (load(partner + at) - load(h + at)));
        }
    }

    // From dL/dh_t (in s.grad) the gradients of the gates of one row, into da and dL/dx; z dL/dh_t into `through`.
    void gates_of_row(int64_t row, int64_t t, const float* hb, float* da) {
        const float *g = s.grad + row * Hp, *kept = saved.gates(t) + row * 4 * Hp;
        float *through = s.through + row * Hp, *to = rows.real[row] ? grad_input(row, t) : nullptr;
        for (int64_t u = 0; u < H; u += W) {
            const V r = load(kept + u), z = load(kept + Hp + u), q = load(kept + 2 * Hp + u), dh = load(g + u);
            const V n = load(kept + 3 * Hp + u);
            const V dn = dh * (1.0f - z) * (1.0f - n * n), dr = dn * q * r * (1.0f - r);
            const V dz = dh * (load(hb + u) - n) * z * (1.0f - z);
            store(da + u, dr), store(da + Hp + u, dz), store(da + 2 * Hp + u, dn * r);
            store(through + u, dh * z);
            if (to) give(to + u, dr, H - u), give(to + H + u, dz, H - u), give(to + 2 * H + u, dn, H - u);
        }
    }
    void give(float* to, V value, int64_t n) const {
        if (p.grad_x_shared)
            add_part(to, value, n);
        else
            store_part(to, value, n);
    }

    // The GRU step of MR rows: s.through becomes dL/dhb (0 for rows that have ended), s.grad what passes by it.
    void step_back(int64_t row, int64_t t) {
        float *da = s.da + s.filled * 3 * Hp, *hb = s.hb + s.filled * Hp, *through = s.through + row * Hp;
        contracted(row, t, hb);
        for (int i = 0; i < MR; ++i) {
            if (rows.alive(row + i, t)) {
                gates_of_row(row + i, t, hb + i * Hp, da + i * 3 * Hp);
                continue;
            }
            std::memset(da + i * 3 * Hp, 0, sizeof(float) * 3 * Hp);
            std::memset(through + i * Hp, 0, sizeof(float) * Hp);
            no_input_gradient(row + i, t);
        }
        for (int64_t gate = 0; gate < 3; ++gate)
            product(through, Hp, da + gate * Hp, 3 * Hp, H, w.gru, H, 3 * H, gate * H);
        for (int i = 0; i < MR; ++i)
            if (rows.alive(row + i, t))
                std::memcpy(s.grad + (row + i) * Hp, through + i * Hp, sizeof(float) * Hp);
        s.filled += MR;
        if (s.filled == BLOCK_ROWS) flush();
    }
    void no_input_gradient(int64_t row, int64_t t) const {
        if (!p.grad_x_shared && rows.real[row]) std::memset(grad_input(row, t), 0, sizeof(float) * n_projections(p));
    }

    // Weight gradients of the block of rows gathered so far.
    void flush() {
        for (int64_t gate = 0; gate < 3; ++gate)
            rank_update(weights + gate * Hp * Hp, Hp, s.da + gate * Hp, 3 * Hp, H, s.hb, Hp, H, s.filled);
        float* bias = weights + 5 * Hp * Hp;
        for (int64_t u = 0; u < H; u += W) {
            V total = load(bias + u);
            for (int64_t k = 0; k < s.filled; ++k) total += load(s.da + k * 3 * Hp + 2 * Hp + u);
            store(bias + u, total);
        }
        s.filled = 0;
    }

    // The gate's own gradient goes to the inputs of MR rows.
    void give_gate(int64_t row, int64_t t, const float* grad_gate) const {
        for (int i = 0; i < MR; ++i) {
            if (!rows.real[row + i]) continue;
            float* to = grad_input(row + i, t) + 3 * H;
            for (int64_t u = 0; u < H; u += W) give(to + u, load(grad_gate + i * Hp + u), H - u);
        }
    }

    void couple_symmetric(int64_t r, int64_t t) {
        const float *h = before(t) + r * Hp, *kept = saved.coupling(t) + r * Hp, *g = s.through + r * Hp;
        float *gg = s.gate, *through = s.crossed, *e = s.absolute;
        for (int64_t at = 0; at < MR * Hp; at += W) {
            const V gate = load(kept + at), difference = load(h + at) - load(h + other + at);
            const V pull = 0.5f * (load(g + other + at) - load(g + at));
            store(gg + at, pull * difference * gate * (1.0f - gate));
            store(e + at, absolute(difference));
            store(through + at, splat(0.0f));
        }
        product(through, Hp, gg, Hp, H, w.gate, H, H);
        rank_update(weights + 3 * Hp * Hp, Hp, gg, Hp, H, e, Hp, H, MR);
        for (int64_t at = 0; at < MR * Hp; at += W) {
            const V difference = load(h + at) - load(h + other + at);
            const V pull = 0.5f * (load(g + other + at) - load(g + at));
            const V back = times_sign(load(through + at), difference) + pull * load(kept + at);
            shift(r * Hp + at, back);
        }
        give_gate(r, t, gg);
        give_gate(rows.size + r, t, gg);
    }
    // d e / d h^1 = 1, d e / d h^2 = -1
    void shift(int64_t at, V back) {
        store(s.grad + at, load(s.grad + at) + back);
        store(s.grad + other + at, load(s.grad + other + at) - back);
    }

    void couple_scalar(int64_t r, int64_t t) {
        const float *h = before(t) + r * Hp, *g = s.through + r * Hp;
        V total = splat(0.0f);
        for (int64_t at = 0; at < MR * Hp; at += W) {
            const V pull = load(g + other + at) - load(g + at);
            total += pull * (load(h + at) - load(h + other + at));
            shift(r * Hp + at, w.strength * pull);
        }
        // dc / db = c (1 - 2c) for c = sigma(b) / 2
        weights[(5 * Hp + 1) * Hp] += w.strength * (1.0f - 2.0f * w.strength) * sum_of(total);
    }

    void couple_diffusive(int64_t half, int64_t r, int64_t t) {
        const int64_t row = half * rows.size + r, away = half ? -other : other;
        const float *h = before(t) + row * Hp, *kept = saved.coupling(t) + row * Hp, *g = s.through + row * Hp;
        float *gg = s.gate, *own = s.absolute, *crossed = s.crossed;
        for (int64_t at = 0; at < MR * Hp; at += W) {
            const V gate = load(kept + at), pull = 0.5f * gate * load(g + at);
            store(gg + at, 0.5f * load(g + at) * (load(h + away + at) - load(h + at)) * gate * (1.0f - gate));
            store(own + at, -pull);
            store(crossed + at, pull);
        }
        product(own, Hp, gg, Hp, H, w.gate, H, H);
        product(crossed, Hp, gg, Hp, H, w.other, H, H);
        rank_update(weights + 3 * Hp * Hp, Hp, gg, Hp, H, h, Hp, H, MR);
        rank_update(weights + 4 * Hp * Hp, Hp, gg, Hp, H, h + away, Hp, H, MR);
        float* grad = s.grad + row * Hp;
        for (int64_t at = 0; at < MR * Hp; at += W) {
            store(grad + at, load(grad + at) + load(own + at));
            store(grad + away + at, load(grad + away + at) + load(crossed + at));
        }
        give_gate(row, t, gg);
    }

    void couple_back(int64_t r, int64_t t) {
        const bool first = rows.any_alive(r, t), second = rows.any_alive(rows.size + r, t);
        if (!first && !second) return;
        for (int64_t half = 0; half < 2; ++half)
            if (!(half ? second : first))
                std::memset(s.through + (half * rows.size + r) * Hp, 0, sizeof(float) * MR * Hp);
        if (p.coupling == SYMMETRIC) couple_symmetric(r, t);
        if (p.coupling == SCALAR) couple_scalar(r, t);
        if (p.coupling == DIFFUSIVE && first) couple_diffusive(0, r, t);
        if (p.coupling == DIFFUSIVE && second) couple_diffusive(1, r, t);
    }

    void run() {
        std::memset(s.grad, 0, sizeof(float) * rows.total(p) * Hp);
        for (int64_t t = p.n_steps - 1; t >= 0; --t) {
            add_outer(t);
            for (int64_t row = 0; row < rows.total(p); row += MR) {
                if (rows.any_alive(row, t)) {
                    step_back(row, t);
                    continue;
                }
                for (int i = 0; i < MR; ++i) no_input_gradient(row + i, t);
            }
            if (p.coupling)
                for (int64_t r = 0; r < rows.size; r += MR) couple_back(r, t);
        }
        flush();
    }
};

}  // namespace
