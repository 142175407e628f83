// The backward pass of one tile, from the last step to the first.
#pragma once

#include "tile.h"

namespace {

constexpr int64_t BLOCK_ROWS = 64;  // whose weight gradients are one product of that rank, from the first-level cache

// (3 Hp) rows for the hidden matrix, Hp for each matrix of the coupling gate, one for b'_n, one for a scalar gate; then
// (feature_columns, 4 Hp) for input weights and biases, transposed.
inline int64_t weight_rows(const Problem& p) { return 5 * padded(p.n_units) + 2 + 4 * feature_columns(p); }

// Rows whose weight gradients are taken together: of the GRU and of the coupling gate.
struct Gathered {
    int64_t filled = 0;
    float *gradient, *states, *partners, *features;
};

struct BackwardScratch {
    float *grad, *through, *zeros, *crossed, *own, *grad_features;  // MAX_ROWS rows
    Gathered gru, gate;  // gradients of a row: of q, r, z and the candidate (4 Hp); of the gate (Hp)
    static int64_t floats(const Problem& p) {
        const int64_t of_units = 5 * MAX_ROWS + 8 * BLOCK_ROWS, of_features = MAX_ROWS + 2 * BLOCK_ROWS;
        return of_units * padded(p.n_units) + of_features * feature_columns(p);
    }
    BackwardScratch(const Problem& p, float* at) {
        const int64_t Hp = padded(p.n_units), Fp = feature_columns(p);
        auto take = [&at](int64_t rows, int64_t n) { float* here = at; at += rows * n; return here; };
        grad = take(MAX_ROWS, Hp), through = take(MAX_ROWS, Hp), zeros = take(MAX_ROWS, Hp);
        crossed = take(MAX_ROWS, Hp), own = take(MAX_ROWS, Hp), grad_features = take(MAX_ROWS, Fp);
        gru.gradient = take(BLOCK_ROWS, 4 * Hp), gru.states = take(BLOCK_ROWS, Hp);
        gate.gradient = take(BLOCK_ROWS, Hp), gate.states = take(BLOCK_ROWS, Hp), gate.partners = take(BLOCK_ROWS, Hp);
        gru.features = take(BLOCK_ROWS, Fp), gate.features = take(BLOCK_ROWS, Fp), gru.partners = nullptr;
        std::memset(zeros, 0, sizeof(float) * MAX_ROWS * Hp);
    }
};

// Everything that one direction of one tile needs.
struct BackwardTile {
    const Problem& p;
    const Packed& w;
    const Rows& rows;
    BackwardScratch& s;
    Saved saved;
    int64_t d, H, Hp, Fp, other;  // `other`: from a row of the first half to its partner
    float *weights, *grad_x;

    BackwardTile(const Problem& p, const Packed& w, const Rows& rows, BackwardScratch& s, int64_t tile, int64_t d,
                 int64_t share)
        : p(p), w(w), rows(rows), s(s), saved(p, tile, d), d(d), H(p.n_units), Hp(padded(H)), Fp(feature_columns(p)),
          other(rows.size * Hp) {
        weights = p.grad_weights + (share * p.n_directions + d) * weight_rows(p) * Hp;
        grad_x = p.grad_x ? p.grad_x + share * p.grad_x_copy + d * p.grad_x_direction : nullptr;
    }

    const float* before(int64_t t) const { return t ? saved.h(t - 1) : s.zeros; }
    float* grad_input(int64_t row, int64_t t) const {
        return grad_x + rows.place(p, d, row, t) * p.grad_x_step + rows.sequence[row] * p.grad_x_sequence;
    }

    // dL/dh_t from outside: of the pooled states, and of the states themselves
    void add_outer(int64_t t) {
        for (int64_t half = 0; half < p.n_halves; ++half)
            for (int64_t r = 0; r < rows.count; ++r) {
                const int64_t row = half * rows.size + r, at = rows.first + r;
                float* g = s.grad + row * Hp;
                const float *states = p.grad_states[half], *pooled = p.grad_pooled[half];
                if (states) add(g, states + d * p.states_direction + t * p.states_step + at * p.states_row, 1.0f);
                if (!pooled) continue;
                const bool reads = p.mean ? rows.alive(row, t) : t == rows.length[row] - 1;
                if (reads)
                    add(g, pooled + d * p.pooled_direction + at * p.pooled_row,
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

    // From dL/dh_t (in s.grad) the gradients of the gates of one row, into `to` and, where projections are given, dL/dx;
    // z dL/dh_t into `through`.
    void gates_of_row(int64_t row, int64_t t, const float* hb, float* to) {
        const float *g = s.grad + row * Hp, *kept = saved.gates(t) + row * 3 * Hp, *h = saved.h(t) + row * Hp;
        float *through = s.through + row * Hp, *x = rows.real[row] && !w.input ? grad_input(row, t) : nullptr;
        for (int64_t u = 0; u < H; u += W) {
            const V r = load(kept + u), z = load(kept + Hp + u), q = load(kept + 2 * Hp + u), dh = load(g + u);
            // h = n + z (hb - n): where 1 - z is too small to tell n, neither does n matter
            const V left = 1.0f - z, n = clamped((load(h + u) - z * load(hb + u)) * reciprocal(at_least(left, 5e-8f)), 1);
            const V dn = dh * left * (1.0f - n * n), dr = dn * q * r * (1.0f - r);
            const V dz = dh * (load(hb + u) - load(h + u)) * z;
            store(to + u, dn * r), store(to + Hp + u, dr), store(to + 2 * Hp + u, dz), store(to + 3 * Hp + u, dn);
            store(through + u, dh * z);
            if (x) give(x + u, dr, H - u), give(x + H + u, dz, H - u), give(x + 2 * H + u, dn, H - u);
        }
    }
    void give(float* to, V value, int64_t n) const {
        if (p.grad_x_shared)
            add_part(to, value, n);
        else
            store_part(to, value, n);
    }

    // The GRU step of all rows: s.through becomes dL/dhb (0 for rows that have ended), s.grad what passes by it.
    void step_back(int64_t t) {
        const Alive alive(rows, t, p.n_halves);
        if (s.gru.filled + alive.n * MR > BLOCK_ROWS) flush_gru();
        float *da = s.gru.gradient + s.gru.filled * 4 * Hp, *hb = s.gru.states + s.gru.filled * Hp;
        for (int64_t b = 0; b < alive.n; ++b) gates_of_block(alive.row[b], t, hb + b * MR * Hp, da + b * MR * 4 * Hp);
        const int64_t of_states[] = {Hp, 2 * Hp, 0}, of_inputs[] = {Hp, 2 * Hp, 3 * Hp};  // r, z and q or n in da
        gates_product(s.through, Hp, da, of_states, w.gru, H, 3 * H, alive);
        for (int64_t b = 0; b < alive.n; ++b)
            for (int64_t row = alive.row[b]; row < alive.row[b] + MR; ++row)
                if (rows.alive(row, t)) std::memcpy(s.grad + row * Hp, s.through + row * Hp, sizeof(float) * Hp);
        if (w.input) {
            float* features = s.gru.features + s.gru.filled * Fp;
            for (int64_t b = 0; b < alive.n; ++b) rows.features(p, d, alive.row[b], t, features + b * MR * Fp);
            if (p.grad_x) features_back(t, da, of_inputs, alive);
        }
        s.gru.filled += alive.n * MR;
    }
    // What the gates of MR rows get, and what of dL/dh_t passes by them; 0 for rows that have ended.
    void gates_of_block(int64_t row, int64_t t, float* hb, float* da) {
        contracted(row, t, hb);
        for (int i = 0; i < MR; ++i) {
            if (rows.alive(row + i, t)) {
                gates_of_row(row + i, t, hb + i * Hp, da + i * 4 * Hp);
                continue;
            }
            std::memset(da + i * 4 * Hp, 0, sizeof(float) * 4 * Hp);
            std::memset(s.through + (row + i) * Hp, 0, sizeof(float) * Hp);
            if (!w.input) no_input_gradient(row + i, t);
        }
    }
    // c += the gates' gradients times their weights, for all blocks: a panel of weights serves all of them before the
    // next one is read.
    void gates_product(float* c, int64_t ldc, const float* da, const int64_t (&place)[3], const float* packed, int64_t N,
                       int64_t K_total, const Alive& alive) const {
        for (int64_t start = 0; start < vectors(N);) {
            const int width = panel_width(vectors(N) - start);
            for (int64_t gate = 0; gate < 3; ++gate) {
                const float* panel = packed + gate * H * width * W;
                for (int64_t b = 0; b < alive.n; ++b) {
                    float* to = c + alive.row[b] * ldc + start * W;
                    const float* from = da + b * MR * 4 * Hp + place[gate];
                    if (width == 3) block_product<3>(to, ldc, from, 4 * Hp, H, panel);
                    if (width == 2) block_product<2>(to, ldc, from, 4 * Hp, H, panel);
                    if (width == 1) block_product<1>(to, ldc, from, 4 * Hp, H, panel);
                }
            }
            packed += K_total * width * W;
            start += width;
        }
    }
    // The gradients of the features of all rows.
    void features_back(int64_t t, const float* da, const int64_t (&place)[3], const Alive& alive) {
        std::memset(s.grad_features, 0, sizeof(float) * rows.total(p) * Fp);
        gates_product(s.grad_features, Fp, da, place, w.input, p.n_features, n_projections(p), alive);
        const bool more = d && p.both_ways;
        for (int64_t b = 0; b < alive.n; ++b)
            for (int64_t row = alive.row[b]; row < alive.row[b] + MR; ++row) {
                if (!rows.real[row]) continue;
                float *to = grad_input(row, t), *from = s.grad_features + row * Fp;
                for (int64_t u = 0; u < p.n_features; u += W)
                    more ? add_part(to + u, load(from + u), p.n_features - u)
                         : store_part(to + u, load(from + u), p.n_features - u);
            }
    }
    // s.grad_features += the gradient of one gate's pre-activation times its input weights
    void input_product(const float* of_gate, int64_t pitch, int64_t gate) const {
        product(s.grad_features, Fp, of_gate, pitch, H, w.input, p.n_features, n_projections(p), gate * H);
    }
    void no_input_gradient(int64_t row, int64_t t) const {
        if (p.grad_x && !p.grad_x_shared && rows.real[row])
            std::memset(grad_input(row, t), 0, sizeof(float) * input_width(p));
    }

    // Weight gradients of the rows gathered so far. Those of input weights: (Fp, 4 Hp), transposed.
    float* input_weights(int64_t gate) const { return weights + (5 * Hp + 2 + gate) * Hp; }
    void flush_gru() {
        const Gathered& all = s.gru;
        const int64_t place[] = {Hp, 2 * Hp, 0};
        for (int64_t gate = 0; gate < 3; ++gate)
            rank_update(weights + gate * Hp * Hp, Hp, all.gradient + place[gate], 4 * Hp, H, all.states, Hp, H, all.filled);
        float* bias = weights + 5 * Hp * Hp;
        for (int64_t u = 0; u < H; u += W) {
            V total = load(bias + u);
            for (int64_t k = 0; k < all.filled; ++k) total += load(all.gradient + k * 4 * Hp + u);
            store(bias + u, total);
        }
        if (w.input)
            rank_update(input_weights(0), 4 * Hp, all.features, Fp, p.n_features + 1, all.gradient + Hp, 4 * Hp, 3 * Hp,
                        all.filled);
        s.gru.filled = 0;
    }
    void flush_gate() {
        const Gathered& all = s.gate;
        rank_update(weights + 3 * Hp * Hp, Hp, all.gradient, Hp, H, all.states, Hp, H, all.filled);
        if (p.coupling == DIFFUSIVE)
            rank_update(weights + 4 * Hp * Hp, Hp, all.gradient, Hp, H, all.partners, Hp, H, all.filled);
        if (w.input)
            rank_update(input_weights(3), 4 * Hp, all.features, Fp, p.n_features + 1, all.gradient, Hp, H, all.filled);
        s.gate.filled = 0;
    }

    // The gate's own gradient goes to the inputs of MR rows of one half, or of both where they share the gate.
    void give_gate(int64_t row, int64_t t, const float* grad_gate) {
        const bool both = p.coupling == SYMMETRIC;
        if (w.input) {
            float* features = s.gate.features + s.gate.filled * Fp;
            rows.features(p, d, row, t, features);
            if (both) rows.features(p, d, rows.size + row, t, features, true);
            if (!p.grad_x) return;
            std::memset(s.grad_features, 0, sizeof(float) * MR * Fp);
            input_product(grad_gate, Hp, 3);
        }
        for (int i = 0; i < MR; ++i) {
            give_gate_row(row + i, t, grad_gate + i * Hp, s.grad_features + i * Fp);
            if (both) give_gate_row(rows.size + row + i, t, grad_gate + i * Hp, s.grad_features + i * Fp);
        }
    }
    void give_gate_row(int64_t row, int64_t t, const float* grad_gate, const float* grad_features) const {
        if (!rows.real[row]) return;
        float* to = grad_input(row, t);
        for (int64_t u = 0; w.input && u < p.n_features; u += W)
            add_part(to + u, load(grad_features + u), p.n_features - u);
        for (int64_t u = 0; !w.input && u < H; u += W) give(to + 3 * H + u, load(grad_gate + u), H - u);
    }
    void gathered_gate() {
        s.gate.filled += MR;
        if (s.gate.filled == BLOCK_ROWS) flush_gate();
    }

    void couple_symmetric(int64_t r, int64_t t) {
        const float *h = before(t) + r * Hp, *kept = saved.coupling(t) + r * Hp, *g = s.through + r * Hp;
        const int64_t place = s.gate.filled * Hp;
        float *gg = s.gate.gradient + place, *e = s.gate.states + place, *through = s.crossed;
        for (int64_t at = 0; at < MR * Hp; at += W) {
            const V gate = load(kept + at), difference = load(h + at) - load(h + other + at);
            const V pull = 0.5f * (load(g + other + at) - load(g + at));
            store(gg + at, pull * difference * gate * (1.0f - gate));
            store(e + at, absolute(difference));
            store(through + at, splat(0.0f));
        }
        product(through, Hp, gg, Hp, H, w.gate, H, H);
        for (int64_t at = 0; at < MR * Hp; at += W) {
            const V difference = load(h + at) - load(h + other + at);
            const V pull = 0.5f * (load(g + other + at) - load(g + at));
            const V back = times_sign(load(through + at), difference) + pull * load(kept + at);
            shift(r * Hp + at, back);
        }
        give_gate(r, t, gg);
        gathered_gate();
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
        const int64_t place = s.gate.filled * Hp;
        float *gg = s.gate.gradient + place, *own = s.own, *crossed = s.crossed;
        std::memcpy(s.gate.states + place, h, sizeof(float) * MR * Hp);
        std::memcpy(s.gate.partners + place, h + away, sizeof(float) * MR * Hp);
        for (int64_t at = 0; at < MR * Hp; at += W) {
            const V gate = load(kept + at), pull = 0.5f * gate * load(g + at);
            store(gg + at, 0.5f * load(g + at) * (load(h + away + at) - load(h + at)) * gate * (1.0f - gate));
            store(own + at, -pull);
            store(crossed + at, pull);
        }
        product(own, Hp, gg, Hp, H, w.gate, H, H);
        product(crossed, Hp, gg, Hp, H, w.other, H, H);
        float* grad = s.grad + row * Hp;
        for (int64_t at = 0; at < MR * Hp; at += W) {
            store(grad + at, load(grad + at) + load(own + at));
            store(grad + away + at, load(grad + away + at) + load(crossed + at));
        }
        give_gate(row, t, gg);
        gathered_gate();
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
            for (int64_t row = 0; row < rows.total(p); row += MR)
                if (!rows.any_alive(row, t))
                    for (int i = 0; i < MR; ++i) no_input_gradient(row + i, t);
            step_back(t);
            if (p.coupling)
                for (int64_t r = 0; r < rows.size; r += MR) couple_back(r, t);
        }
        flush_gru();
        flush_gate();
    }
};

}  // namespace
