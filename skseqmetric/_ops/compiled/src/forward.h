// The forward pass of one tile.
#pragma once

#include <cmath>

#include "tile.h"

namespace {

// Buffers of one thread, MAX_ROWS rows of Hp floats each.
struct ForwardScratch {
    float *state[2], *contracted, *sum, *gates, *gate, *difference, *squared;
    static int64_t floats(const Problem& p) { return 11 * MAX_ROWS * padded(p.n_units) + MAX_ROWS; }
    ForwardScratch(const Problem& p, float* at) {
        const int64_t block = MAX_ROWS * padded(p.n_units);
        auto take = [&at, block](int64_t n) { float* here = at; at += n * block; return here; };
        state[0] = take(1), state[1] = take(1), contracted = take(1), sum = take(1), gates = take(3), gate = take(2);
        difference = take(1), squared = take(1);
    }
};

// hb^i = h^i + c (h^j - h^i), c = sigma(x^1 + x^2 + U |h^1 - h^2|) / 2, for MR pairs; sigma goes to `gate`.
inline void contract_symmetric(const Problem& p, const Packed& w, const Rows& rows, int64_t d, int64_t t, int64_t r,
                               const float* h, float* hb, float* gate, float* difference) {
    const int64_t H = p.n_units, Hp = padded(H), other = rows.size * Hp;
    h += r * Hp, hb += r * Hp, gate += r * Hp;
    for (int i = 0; i < MR; ++i) {
        const float *x1 = rows.input(p, d, 0, r + i, t) + 3 * H, *x2 = rows.input(p, d, 1, rows.size + r + i, t) + 3 * H;
        for (int64_t u = 0; u < H; u += W) {
            const int64_t at = i * Hp + u;
            store(difference + at, absolute(load(h + at) - load(h + other + at)));
            store(gate + at, load_part(x1 + u, H - u) + load_part(x2 + u, H - u));
        }
    }
    product(gate, Hp, difference, Hp, H, w.gate, H, H);
    for (int64_t at = 0; at < MR * Hp; at += W) {
        const V s = sigmoid_of(load(gate + at)), e = load(h + at) - load(h + other + at), pull = 0.5f * s * e;
        store(gate + at, s);
        store(hb + at, load(h + at) - pull);
        store(hb + other + at, load(h + other + at) + pull);
    }
}

// hb^i = h^i + c^i (h^j - h^i), c^i = sigma(x^i + U h^i + V h^j) / 2, for MR rows of one half.
inline void contract_diffusive(const Problem& p, const Packed& w, const Rows& rows, int64_t d, int64_t t, int64_t half,
                               int64_t r, const float* h, float* hb, float* gate) {
    const int64_t H = p.n_units, Hp = padded(H), row = half * rows.size + r;
    const float *own = h + row * Hp, *partner = h + ((1 - half) * rows.size + r) * Hp;
    hb += row * Hp, gate += row * Hp;
    for (int i = 0; i < MR; ++i) {
        const float* x = rows.input(p, d, half, row + i, t) + 3 * H;
        for (int64_t u = 0; u < H; u += W) store(gate + i * Hp + u, load_part(x + u, H - u));
    }
    product(gate, Hp, own, Hp, H, w.gate, H, H);
    product(gate, Hp, partner, Hp, H, w.other, H, H);
    for (int64_t at = 0; at < MR * Hp; at += W) {
        const V s = sigmoid_of(load(gate + at));
        store(gate + at, s);
        store(hb + at, load(own + at) + 0.5f * s * (load(partner + at) - load(own + at)));
    }
}

inline void contract_scalar(float strength, const Rows& rows, int64_t Hp, int64_t r, const float* h, float* hb) {
    const int64_t other = rows.size * Hp;
    for (int64_t at = r * Hp; at < (r + MR) * Hp; at += W) {
        const V pull = strength * (load(h + at) - load(h + other + at));
        store(hb + at, load(h + at) - pull);
        store(hb + other + at, load(h + other + at) + pull);
    }
}

// Both halves of a tile drawn together; where neither of MR pairs is alive nothing is done.
inline void contract(const Problem& p, const Packed& w, const Rows& rows, int64_t d, int64_t t, const float* h,
                     float* hb, float* gate, float* difference) {
    for (int64_t r = 0; r < rows.size; r += MR) {
        if (!rows.any_alive(r, t) && !rows.any_alive(rows.size + r, t)) continue;
        if (p.coupling == SYMMETRIC) contract_symmetric(p, w, rows, d, t, r, h, hb, gate, difference);
        if (p.coupling == SCALAR) contract_scalar(w.strength, rows, padded(p.n_units), r, h, hb);
        if (p.coupling == DIFFUSIVE)
            for (int64_t half = 0; half < 2; ++half)
                if (rows.any_alive(half * rows.size + r, t)) contract_diffusive(p, w, rows, d, t, half, r, h, hb, gate);
    }
}

// The GRU step of MR rows for one vector of units: three accumulators a row, the gate functions applied in registers.
inline void step_block(const Problem& p, const Packed& w, const float* const* x, int64_t unit, const float* hb,
                       float* out, float* gates) {
    const int64_t H = p.n_units, Hp = padded(H), n = H - unit;
    V acc[MR][3];
    const V bias = load(w.bias + unit);
    for (int i = 0; i < MR; ++i) {
        acc[i][0] = load_part(x[i] + unit, n);
        acc[i][1] = load_part(x[i] + H + unit, n);
        acc[i][2] = bias;
    }
    multiply(acc, hb, Hp, H, w.gru + unit * 3 * H);
    for (int i = 0; i < MR; ++i) {
        const V r = sigmoid_of(acc[i][0]), z = sigmoid_of(acc[i][1]), q = acc[i][2];
        const V candidate = tanh_of(load_part(x[i] + 2 * H + unit, n) + r * q);
        store(out + i * Hp + unit, candidate + z * (load(hb + i * Hp + unit) - candidate));
        if (gates) {
            float* to = gates + i * 4 * Hp + unit;
            store(to, r), store(to + Hp, z), store(to + 2 * Hp, q), store(to + 3 * Hp, candidate);
        }
    }
}

// New states of all rows from the contracted ones; a row that has ended keeps its old state.
inline void step(const Problem& p, const Packed& w, const Rows& rows, int64_t d, int64_t t, const float* h,
                 const float* hb, float* out, float* gates) {
    const int64_t H = p.n_units, Hp = padded(H);
    for (int64_t row = 0; row < rows.total(p); row += MR) {
        const bool any = rows.any_alive(row, t);
        if (any) {
            const float* x[MR];
            for (int i = 0; i < MR; ++i) x[i] = rows.input(p, d, row >= rows.size, row + i, t);
            for (int64_t unit = 0; unit < H; unit += W)
                step_block(p, w, x, unit, hb + row * Hp, out + row * Hp, gates ? gates + row * 4 * Hp : nullptr);
        }
        for (int64_t i = row; i < row + MR; ++i)
            if (!rows.alive(i, t)) std::memcpy(out + i * Hp, h + i * Hp, sizeof(float) * Hp);
    }
}

inline void write_states(const Problem& p, const Rows& rows, int64_t d, int64_t t, const float* h) {
    const int64_t H = p.n_units, Hp = padded(H);
    for (int64_t half = 0; half < p.n_halves; ++half)
        for (int64_t r = 0; r < rows.count; ++r)
            std::memcpy(p.states[half] + d * p.states_direction + t * p.states_step + (rows.first + r) * p.states_row,
                        h + (half * rows.size + r) * Hp, sizeof(float) * H);
}

// The sum over a row's steps becomes their mean.
inline void finish_mean(const Problem& p, const Rows& rows, float* sum) {
    const int64_t Hp = padded(p.n_units);
    for (int64_t row = 0; row < rows.total(p); ++row) {
        const float share = 1.0f / static_cast<float>(rows.length[row] > 0 ? rows.length[row] : 1);
        for (int64_t u = 0; u < Hp; u += W) store(sum + row * Hp + u, share * load(sum + row * Hp + u));
    }
}

inline void write_readout(const Problem& p, const Rows& rows, int64_t d, const float* out) {
    const int64_t H = p.n_units, Hp = padded(H);
    for (int64_t half = 0; half < p.n_halves; ++half)
        for (int64_t r = 0; r < rows.count; ++r)
            std::memcpy(p.readout[half] + d * p.readout_direction + (rows.first + r) * p.readout_row,
                        out + (half * rows.size + r) * Hp, sizeof(float) * H);
}

inline void add_squared(const Problem& p, const Rows& rows, int64_t d, const float* out) {
    const int64_t H = p.n_units, Hp = padded(H);
    for (int64_t r = 0; r < rows.count; ++r) {
        const float *a = out + r * Hp, *b = out + (rows.size + r) * Hp;
        V total = splat(0.0f);
        for (int64_t u = 0; u < H; u += W) {
            const V e = load_part(a + u, H - u) - load_part(b + u, H - u);
            total += e * e;
        }
        p.squared[rows.first + r] = (d ? p.squared[rows.first + r] : 0.0f) + sum_of(total);
    }
}

inline void forward_direction(const Problem& p, const Packed& w, const Rows& rows, int64_t tile, int64_t d,
                              ForwardScratch& s) {
    const int64_t Hp = padded(p.n_units), size = rows.total(p) * Hp;
    const Saved saved(p, tile, d);
    std::memset(s.state[0], 0, sizeof(float) * size);
    std::memset(s.sum, 0, sizeof(float) * size);
    const float* h = s.state[0];
    for (int64_t t = 0; t < rows.n_steps; ++t) {
        rows.fetch_inputs(p, d, t + 1);
        float* out = saved.base ? saved.h(t) : s.state[(t + 1) % 2];
        if (p.coupling) contract(p, w, rows, d, t, h, s.contracted, saved.base ? saved.coupling(t) : s.gate, s.difference);
        step(p, w, rows, d, t, h, p.coupling ? s.contracted : h, out, saved.base ? saved.gates(t) : nullptr);
        h = out;
        if (p.mean && (p.readout[0] || p.squared))
            for (int64_t row = 0; row < rows.total(p); ++row)
                if (rows.alive(row, t))
                    for (int64_t u = 0; u < Hp; u += W)
                        store(s.sum + row * Hp + u, load(s.sum + row * Hp + u) + load(h + row * Hp + u));
        if (p.states[0]) write_states(p, rows, d, t, h);
    }
    if (p.states[0])
        for (int64_t t = rows.n_steps; t < p.n_steps; ++t) write_states(p, rows, d, t, h);
    if (p.mean) finish_mean(p, rows, s.sum);
    if (p.readout[0]) write_readout(p, rows, d, p.mean ? s.sum : h);
    if (p.squared) add_squared(p, rows, d, p.mean ? s.sum : h);
}

}  // namespace
