// A tile: some rows (pairs, with both halves) that run through all their steps before the next tile begins, so that
// their states stay in the first-level cache and the packed weights in the second.
#pragma once

#include "problem.h"
#include "product.h"

namespace {

constexpr int64_t TILE_ROWS = 32;   // of all halves together
constexpr int64_t MAX_ROWS = TILE_ROWS;

inline int64_t tile_size(const Problem& p) {
    const int64_t most = TILE_ROWS / p.n_halves, wanted = p.n_rows ? (p.n_rows + MR - 1) / MR * MR : MR;
    return wanted < most ? wanted : most;
}
inline int64_t n_tiles(const Problem& p) { return (p.n_rows + tile_size(p) - 1) / tile_size(p); }
inline int64_t n_projections(const Problem& p) { return (p.coupling >= SYMMETRIC ? 4 : 3) * p.n_units; }
// Floats of a row of x: features or projections.
inline int64_t input_width(const Problem& p) { return p.n_features ? p.n_features : n_projections(p); }
// Features and the constant 1 that biases multiply, in whole vectors.
inline int64_t feature_columns(const Problem& p) { return p.n_features ? padded(p.n_features + 1) : 0; }
inline int64_t gate_halves(const Problem& p) {
    return p.coupling == SYMMETRIC ? 1 : p.coupling == DIFFUSIVE ? 2 : 0;
}

// Weights of one direction, packed for the forward or for the backward pass.
struct Packed {
    const float *gru, *bias, *gate, *other;
    const float *input, *gate_input;  // null where projections are given; backward has all of them in `input`
    float strength;                   // of a scalar coupling
};

inline int64_t packed_floats(const Problem& p) {
    const int64_t Hp = padded(p.n_units), H = p.n_units;
    return 5 * H * Hp + Hp + 4 * Hp * feature_columns(p);
}

// The panels of the GRU interleave its three gates: they leave the registers only as states.
inline void pack_gru(float* out, const float* weights, int64_t H, int64_t K) {
    for (int64_t unit = 0; unit < H; unit += W)
        for (int64_t k = 0; k < K; ++k)
            for (int64_t gate = 0; gate < 3; ++gate)
                for (int64_t u = unit; u < unit + W; ++u) *out++ = u < H ? weights[(gate * H + u) * K + k] : 0.0f;
}

// Input weights and biases of one direction into `at`.
inline void pack_input(const Problem& p, int64_t d, bool backward, float* at, Packed& w) {
    const int64_t H = p.n_units, G = n_projections(p), K = p.n_features + 1;
    const float *weights = p.input + d * G * K, *gate = weights + 3 * H * K;
    w.input = at;
    if (backward) return pack(at, weights, G, p.n_features, K, 1);
    pack_gru(at, weights, H, K);
    w.gate_input = at += 3 * padded(H) * K;
    if (G > 3 * H) pack(at, gate, K, H, 1, K);
}

// Packs what one pass needs into `at`, packed_floats() of room.
inline Packed pack_direction(const Problem& p, int64_t d, bool backward, float* at) {
    const int64_t H = p.n_units, Hp = padded(H);
    Packed w{};
    auto take = [&at](int64_t n) { float* here = at; at += n; return here; };
    auto square = [&](const float* matrix) {
        float* to = take(H * Hp);
        pack(to, matrix + d * H * H, H, H, backward ? H : 1, backward ? 1 : H);
        return to;
    };
    float *bias = take(Hp), *gru = take(3 * H * Hp);
    for (int64_t u = 0; u < Hp; ++u) bias[u] = u < H ? p.candidate_bias[d * H + u] : 0.0f;
    const float* hidden = p.hidden + d * 3 * H * H;
    if (backward)
        pack(gru, hidden, 3 * H, H, H, 1);
    else
        pack_gru(gru, hidden, H, H);
    w.bias = bias, w.gru = gru;
    if (p.coupling == SCALAR) w.strength = 0.5f * sigmoid_of(splat(p.gate_bias[d]))[0];
    if (p.coupling >= SYMMETRIC) w.gate = square(p.gate_hidden);
    if (p.coupling == DIFFUSIVE) w.other = square(p.gate_other);
    if (p.n_features) pack_input(p, d, backward, at, w);
    return w;
}

// The rows of one tile: which sequence each reads and when it ends. Row i * size + p is half i of pair p; rows that
// fill the last block of MR have length 0.
struct Rows {
    int64_t size, count, first, n_steps;   // pairs of the tile (rounded up), pairs there are, the first, longest length
    int64_t length[MAX_ROWS], sequence[MAX_ROWS];
    bool real[MAX_ROWS];

    Rows(const Problem& p, int64_t tile) {
        size = tile_size(p);
        first = tile * size;
        count = p.n_rows - first < size ? p.n_rows - first : size;
        size = (count + MR - 1) / MR * MR;
        n_steps = 0;
        for (int64_t i = 0; i < p.n_halves; ++i)
            for (int64_t r = 0; r < size; ++r) {
                const int64_t row = i * size + r;
                real[row] = r < count;
                sequence[row] = real[row] ? p.sequence[i][first + r] : 0;
                length[row] = real[row] ? p.length[i][sequence[row]] : 0;
                if (length[row] > n_steps) n_steps = length[row];
            }
    }
    int64_t total(const Problem& p) const { return size * p.n_halves; }
    bool alive(int64_t row, int64_t t) const { return t < length[row]; }
    bool any_alive(int64_t row, int64_t t) const {
        for (int i = 0; i < MR; ++i)
            if (alive(row + i, t)) return true;
        return false;
    }
    // Where in its sequence a row that has not ended is at step t of a run.
    int64_t place(const Problem& p, int64_t d, int64_t row, int64_t t) const {
        return d && p.both_ways && alive(row, t) ? length[row] - 1 - t : t;
    }
    // The inputs of the next step come from memory that no prefetcher foresees: ask for them a step ahead.
    void fetch_inputs(const Problem& p, int64_t d, int64_t t) const {
        for (int64_t row = 0; row < total(p); ++row) {
            if (!alive(row, t)) continue;
            const float* x = input(p, d, row >= size, row, t);
            for (int64_t u = 0; u < input_width(p); u += 16) __builtin_prefetch(x + u);
        }
    }
    const float* input(const Problem& p, int64_t d, int64_t half, int64_t row, int64_t t) const {
        if (t >= p.x_steps[half] || !real[row]) return p.x_end + d * input_width(p);
        return p.x[half] + d * p.x_direction[half] + place(p, d, row, t) * p.x_step[half] +
               sequence[row] * p.x_sequence[half];
    }
    // Features of MR rows, 0 behind their ends, and the constant 1, feature_columns() a row; `more` adds them to what
    // is there.
    void features(const Problem& p, int64_t d, int64_t row, int64_t t, float* to, bool more = false) const {
        const int64_t F = p.n_features, columns = feature_columns(p);
        for (int i = 0; i < MR; ++i, to += columns) {
            const float* x = alive(row + i, t) ? input(p, d, row >= size, row + i, t) : p.x_end + d * F;
            const float constant = more ? to[F] + 1.0f : 1.0f;
            for (int64_t u = 0; u < columns; u += W)
                store(to + u, load_part(x + u, F - u) + (more ? load(to + u) : splat(0.0f)));
            to[F] = constant;
        }
    }
};

// The blocks of MR rows of which one has not ended.
struct Alive {
    int64_t n = 0, row[MAX_ROWS / MR];
    Alive(const Rows& rows, int64_t t, int64_t n_halves) {
        for (int64_t r = 0; r < rows.size * n_halves; r += MR)
            if (rows.any_alive(r, t)) row[n++] = r;
    }
};

// Where forward leaves, for one tile and direction, what backward reads: step by step h (rows, Hp), r | z | q (rows,
// 3 Hp), gate (gate rows, Hp). The candidate follows from two states and z.
struct Saved {
    float* base;
    int64_t rows, gate_rows, Hp, step;
    Saved(const Problem& p, int64_t tile, int64_t d) {
        Hp = padded(p.n_units);
        rows = tile_size(p) * p.n_halves;
        gate_rows = tile_size(p) * gate_halves(p);
        step = (4 * rows + gate_rows) * Hp;
        base = p.saved ? p.saved + (tile * p.n_directions + d) * p.n_steps * step : nullptr;
    }
    float* h(int64_t t) const { return base + t * step; }
    float* gates(int64_t t) const { return h(t) + rows * Hp; }
    float* coupling(int64_t t) const { return gates(t) + 3 * rows * Hp; }
};

}  // namespace
