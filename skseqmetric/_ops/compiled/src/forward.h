// The forward pass of one tile.
#pragma once

#include <cmath>

#include "tile.h"

namespace {

// Buffers of one thread, MAX_ROWS rows of Hp floats each.
struct ForwardScratch {
    float *state[2], *contracted, *sum, *gate, *difference;
    float* features;
    static int64_t floats(const Problem& p) {
        return MAX_ROWS * (6 * padded(p.n_units) + feature_columns(p));
    }
    ForwardScratch(const Problem& p, float* at) {
        const int64_t block = MAX_ROWS * padded(p.n_units);
        auto take = [&at, block]() { float* here = at; at += block; return here; };
        state[0] = take(), state[1] = take(), contracted = take(), sum = take(), gate = take(), difference = take();
        features = at;
    }
};

// What the inputs of MR rows add to the coupling gate: their own, or of both halves where one gate serves both.
inline void gate_inputs(const Problem& p, const Packed& w, const Rows& rows, int64_t d, int64_t t, int64_t row,
                        float* gate, float* features) {
    const int64_t H = p.n_units, Hp = padded(H), K = p.n_features + 1;
    const bool both = p.coupling == SYMMETRIC;
    if (w.gate_input) {
        rows.features(p, d, row, t, features);
        if (both) rows.features(p, d, rows.size + row, t, features, true);
        std::memset(gate, 0, sizeof(float) * MR * Hp);
        return product(gate, Hp, features, feature_columns(p), K, w.gate_input, H, K);
    }
    for (int64_t i = 0; i < MR; ++i) {
        const int64_t r = row + i;
        const float* x = rows.input(p, d, r >= rows.size, r, t) + 3 * H;
        const float* other = both ? rows.input(p, d, 1, rows.size + r, t) + 3 * H : nullptr;
        for (int64_t u = 0; u < H; u += W) {
            const V own = load_part(x + u, H - u);
            store(gate + i * Hp + u, other ? own + load_part(other + u, H - u) : own);
        }
    }
}

// hb^i = h^i + c (h^j - h^i), c = sigma(x^1 + x^2 + U |h^1 - h^2|) / 2, for MR pairs; sigma goes to `gate`.
inline void contract_symmetric(const Problem& p, const Packed& w, const Rows& rows, int64_t d, int64_t t, int64_t r,
                               const float* h, float* gate, ForwardScratch& s) {
    const int64_t H = p.n_units, Hp = padded(H), other = rows.size * Hp;
    float* hb = s.contracted + r * Hp;
    h += r * Hp, gate += r * Hp;
    gate_inputs(p, w, rows, d, t, r, gate, s.features);
    for (int64_t at = 0; at < MR * Hp; at += W) store(s.difference + at, absolute(load(h + at) - load(h + other + at)));
    product(gate, Hp, s.difference, Hp, H, w.gate, H, H);
    for (int64_t at = 0; at < MR * Hp; at += W) {
        const V c = sigmoid_of(load(gate + at)), e = load(h + at) - load(h + other + at), pull = 0.5f * c * e;
        store(gate + at, c);
        store(hb + at, load(h + at) - pull);
        store(hb + other + at, load(h + other + at) + pull);
    }
}

// hb^i = h^i + c^i (h^j - h^i), c^i = sigma(x^i + U h^i + V h^j) / 2, for MR rows of one half.
inline void contract_diffusive(const Problem& p, const Packed& w, const Rows& rows, int64_t d, int64_t t, int64_t half,
                               int64_t r, const float* h, float* gate, ForwardScratch& s) {
    const int64_t H = p.n_units, Hp = padded(H), row = half * rows.size + r;
    const float *own = h + row * Hp, *partner = h + ((1 - half) * rows.size + r) * Hp;
    float* hb = s.contracted + row * Hp;
    gate += row * Hp;
    gate_inputs(p, w, rows, d, t, row, gate, s.features);
    product(gate, Hp, own, Hp, H, w.gate, H, H);
    product(gate, Hp, partner, Hp, H, w.other, H, H);
    for (int64_t at = 0; at < MR * Hp; at += W) {
        const V c = sigmoid_of(load(gate + at));
        store(gate + at, c);
        store(hb + at, load(own + at) + 0.5f * c * (load(partner + at) - load(own + at)));
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

// Both halves of a tile drawn together, into s.contracted; where neither of MR pairs is alive nothing is done.
inline void contract(const Problem& p, const Packed& w, const Rows& rows, int64_t d, int64_t t, const float* h,
                     float* gate, ForwardScratch& s) {
    for (int64_t r = 0; r < rows.size; r += MR) {
        if (!rows.any_alive(r, t) && !rows.any_alive(rows.size + r, t)) continue;
        if (p.coupling == SYMMETRIC) contract_symmetric(p, w, rows, d, t, r, h, gate, s);
        if (p.coupling == SCALAR) contract_scalar(w.strength, rows, padded(p.n_units), r, h, s.contracted);
        if (p.coupling == DIFFUSIVE)
            for (int64_t half = 0; half < 2; ++half)
                if (rows.any_alive(half * rows.size + r, t)) contract_diffusive(p, w, rows, d, t, half, r, h, gate, s);
    }
}

// What the step of MR rows reads: contracted states, and pointers to projections or contiguous features.
struct StepInputs {
    const float* hb;
    const float* x[MR];
    const float* features;
};

// The GRU step of MR rows for one vector of units: three accumulators a row, the gate functions applied in registers.
inline void step_block(const Problem& p, const Packed& w, const StepInputs& in, int64_t unit, float* out,
                       float* gates) {
    const int64_t H = p.n_units, Hp = padded(H), n = H - unit, K = p.n_features + 1;
    V acc[MR][3], fresh[MR];  // r, z, q; the candidate's own projection
    const V bias = load(w.bias + unit);
    if (w.input) {
        for (int i = 0; i < MR; ++i) acc[i][0] = acc[i][1] = acc[i][2] = splat(0.0f);
        multiply(acc, in.features, feature_columns(p), K, w.input + unit * 3 * K);
        for (int i = 0; i < MR; ++i) fresh[i] = acc[i][2], acc[i][2] = bias;
    } else {
        for (int i = 0; i < MR; ++i) {
            acc[i][0] = load_part(in.x[i] + unit, n);
            acc[i][1] = load_part(in.x[i] + H + unit, n);
            acc[i][2] = bias;
        }
    }
    multiply(acc, in.hb, Hp, H, w.gru + unit * 3 * H);
    for (int i = 0; i < MR; ++i) {
        const V r = sigmoid_of(acc[i][0]), z = sigmoid_of(acc[i][1]), q = acc[i][2];
        const V own = w.input ? fresh[i] : load_part(in.x[i] + 2 * H + unit, n);
        const V candidate = tanh_of(own + r * q);
        store(out + i * Hp + unit, candidate + z * (load(in.hb + i * Hp + unit) - candidate));
        if (gates) {
            float* to = gates + i * 3 * Hp + unit;
            store(to, r), store(to + Hp, z), store(to + 2 * Hp, q);
        }
    }
}

// New states of all rows from the contracted ones; a row that has ended keeps its old state. The weights of a vector of
// units serve all rows before the next ones are read: together they would not fit the first-level cache.
inline void step(const Problem& p, const Packed& w, const Rows& rows, int64_t d, int64_t t, const float* h,
                 float* out, float* gates, ForwardScratch& s) {
    const int64_t H = p.n_units, Hp = padded(H);
    const float* hb = p.coupling ? s.contracted : h;
    StepInputs inputs[MAX_ROWS / MR];
    const Alive alive(rows, t, p.n_halves);
    for (int64_t b = 0; b < alive.n; ++b) {
        const int64_t row = alive.row[b];
        StepInputs& in = inputs[b];
        in.hb = hb + row * Hp, in.features = s.features + b * MR * feature_columns(p);
        if (w.input) rows.features(p, d, row, t, s.features + b * MR * feature_columns(p));
        for (int i = 0; i < MR && !w.input; ++i) in.x[i] = rows.input(p, d, row >= rows.size, row + i, t);
    }
    for (int64_t unit = 0; unit < H; unit += W)
        for (int64_t b = 0; b < alive.n; ++b)
            step_block(p, w, inputs[b], unit, out + alive.row[b] * Hp, gates ? gates + alive.row[b] * 3 * Hp : nullptr);
    for (int64_t i = 0; i < rows.total(p); ++i)
        if (!rows.alive(i, t)) std::memcpy(out + i * Hp, h + i * Hp, sizeof(float) * Hp);
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

inline void write_pooled(const Problem& p, const Rows& rows, int64_t d, const float* out) {
    const int64_t H = p.n_units, Hp = padded(H);
    for (int64_t half = 0; half < p.n_halves; ++half)
        for (int64_t r = 0; r < rows.count; ++r)
            std::memcpy(p.pooled[half] + d * p.pooled_direction + (rows.first + r) * p.pooled_row,
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
        if (p.coupling) contract(p, w, rows, d, t, h, saved.base ? saved.coupling(t) : s.gate, s);
        step(p, w, rows, d, t, h, out, saved.base ? saved.gates(t) : nullptr, s);
        h = out;
        if (p.mean && (p.pooled[0] || p.squared))
            for (int64_t row = 0; row < rows.total(p); ++row)
                if (rows.alive(row, t))
                    for (int64_t u = 0; u < Hp; u += W)
                        store(s.sum + row * Hp + u, load(s.sum + row * Hp + u) + load(h + row * Hp + u));
        if (p.states[0]) write_states(p, rows, d, t, h);
    }
    if (p.states[0])
        for (int64_t t = rows.n_steps; t < p.n_steps; ++t) write_states(p, rows, d, t, h);
    if (p.mean) finish_mean(p, rows, s.sum);
    if (p.pooled[0]) write_pooled(p, rows, d, p.mean ? s.sum : h);
    if (p.squared) add_squared(p, rows, d, p.mean ? s.sum : h);
}

}  // namespace
