// What a layer of recurrent memory keeps between its passes, and its weights as the products read them.
#pragma once

#include <cmath>

#include "matrix.h"
#include "memory_kernels.h"

namespace {

inline int64_t gate_blocks(const MemoryProblem& p) { return p.cell == LSTM ? 4 : p.cell == GRU ? 3 : 1; }
// Blocks of H that a step keeps: the gates, and for the gru the product inside the candidate before it.
inline int64_t step_blocks(const MemoryProblem& p) { return p.cell == RNN ? 1 : 4; }
inline int64_t room(const MemoryProblem& p) { return p.n_slots * p.n_units; }
// Input tokens of n updates with so many tokens of states.
inline int64_t input_tokens(const MemoryProblem& p, int64_t updates, int64_t tokens) { return p.tokens ? tokens : updates; }

// Numbers of rows: of steps, of steps that read a memory, of updates, of their tokens of states, and of input tokens.
struct Counts {
    int64_t steps, reads, updates, tokens, inputs;
    static Counts all(const MemoryProblem& p, const MemoryPlan& plan) {
        return {plan.n_step_rows, plan.n_read_rows, plan.n_updates, plan.n_token_rows,
                input_tokens(p, plan.n_updates, plan.n_token_rows)};
    }
    // What lies before window k of a tile.
    static Counts before(const MemoryProblem& p, const MemoryPlan& plan, int64_t k, int64_t tile) {
        const int64_t at = plan.at(k, tile), first = plan.n_step_rows - plan.n_read_rows;
        const int64_t steps = plan.step_at[at], updates = plan.update_at[at], tokens = plan.token_at[at];
        return {steps, steps > first ? steps - first : 0, updates, tokens, input_tokens(p, updates, tokens)};
    }
    static Counts one_update(const MemoryProblem& p) {
        return {0, 0, MEMORY_ROWS, MEMORY_ROWS * p.n_slots, input_tokens(p, MEMORY_ROWS, MEMORY_ROWS * p.n_slots)};
    }
};

// Arrays one behind the other, each so many floats for each row of its kind.
template <typename Arrays>
struct Layout {
    struct Part {
        float* Arrays::*member;
        int64_t Counts::*rows;
        int64_t width;
    };
    std::vector<Part> parts;

    int64_t floats(const Counts& n) const {
        int64_t total = 0;
        for (const Part& part : parts) total += aligned_floats(n.*part.rows * part.width);
        return total;
    }
    Arrays place(float* at, const Counts& n) const {
        Arrays arrays;
        for (const Part& part : parts) arrays.*part.member = at, at += aligned_floats(n.*part.rows * part.width);
        return arrays;
    }
    Arrays behind(Arrays arrays, const Counts& before) const {
        for (const Part& part : parts) arrays.*part.member += before.*part.rows * part.width;
        return arrays;
    }
    static int64_t aligned_floats(int64_t n) { return (n + 31) / 16 * 16; }  // and room behind for a whole vector
};

// Of the forward pass. A step: its inputs, gates (of the gru r, z, n, and the product inside n), h and c before it, and
// tanh(c) after it. `read_gate` is g_m, and g_m * v
// once backward has read it. An update: u, v, the memory after it, tanh of the one before it, both gates, and the rows of
// inputs. A token of states: h, [q, k, v], the shares of its attention, both normalised sums and their factors, C1, both
// layers of the MLP, tanh(M~). An input token: itself (where every row is one), and [k, v].
struct MemoryArrays {
    float *x, *gates, *before, *cells, *squashed, *read_gate;
    float *u, *v, *memory, *old, *update_gates, *rows;
    float *hidden, *mixed, *shares, *sum1, *rate1, *first, *inner, *outer, *sum2, *rate2, *fresh;
    float *token, *pairs;
};

inline int64_t most_tokens(const MemoryProblem& p) { return p.n_slots + (p.tokens ? p.n_slots : 1); }

inline Layout<MemoryArrays> kept_layout(const MemoryProblem& p) {
    using A = MemoryArrays;
    const int64_t H = p.n_units, D = p.n_features, lstm = p.cell == LSTM ? H : 0, attention = p.attention;
    return {{{&A::x, &Counts::steps, D}, {&A::gates, &Counts::steps, step_blocks(p) * H}, {&A::before, &Counts::steps, H},
             {&A::cells, &Counts::steps, lstm}, {&A::squashed, &Counts::steps, lstm},
             {&A::read_gate, &Counts::reads, room(p)}, {&A::u, &Counts::updates, H}, {&A::v, &Counts::updates, room(p)},
             {&A::memory, &Counts::updates, room(p)}, {&A::old, &Counts::updates, room(p)},
             {&A::update_gates, &Counts::updates, 2 * room(p)},
             {&A::rows, p.tokens ? &Counts::tokens : &Counts::updates, p.tokens ? D : p.n_slots * D},
             {&A::hidden, &Counts::tokens, H}, {&A::mixed, &Counts::tokens, attention ? 3 * H : H},
             {&A::shares, &Counts::tokens, attention * p.n_heads * most_tokens(p)}, {&A::sum1, &Counts::tokens, H},
             {&A::rate1, &Counts::tokens, 1}, {&A::first, &Counts::tokens, H}, {&A::inner, &Counts::tokens, H},
             {&A::outer, &Counts::tokens, H}, {&A::sum2, &Counts::tokens, H}, {&A::rate2, &Counts::tokens, 1},
             {&A::fresh, &Counts::tokens, H}, {&A::token, &Counts::inputs, p.tokens ? H : 0},
             {&A::pairs, &Counts::inputs, attention * 2 * H}}};
}

// Gradients of what the products gave, and of h and x from outside and from updates. For the gru `gates` are n, r, z, and
// the product inside n: the first three are those of the input matrix, the last three those of the hidden one.
struct MemoryGradients {
    float *gates, *read, *read_gate, *hidden, *x;
    float *update_gates, *slots, *query, *u;  // `slots`: the sum of the gates' over the slots; `query`: of v W_mh
    float *mixed, *normal1, *normal2, *outer, *inner;
    float *pairs, *token;
};

inline Layout<MemoryGradients> between_layout(const MemoryProblem& p) {
    using G = MemoryGradients;
    const int64_t H = p.n_units;
    return {{{&G::gates, &Counts::steps, step_blocks(p) * H}, {&G::read, &Counts::reads, H},
             {&G::read_gate, &Counts::reads, room(p)}, {&G::hidden, &Counts::steps, H}, {&G::x, &Counts::steps, p.n_features},
             {&G::update_gates, &Counts::updates, 2 * room(p)}, {&G::slots, &Counts::updates, 2 * H},
             {&G::query, &Counts::updates, room(p)}, {&G::u, &Counts::updates, H},
             {&G::mixed, &Counts::tokens, p.attention ? 3 * H : H}, {&G::normal1, &Counts::tokens, H},
             {&G::normal2, &Counts::tokens, H}, {&G::outer, &Counts::tokens, H}, {&G::inner, &Counts::tokens, H},
             {&G::pairs, &Counts::inputs, p.attention * 2 * H}, {&G::token, &Counts::inputs, p.tokens ? H : 0}}};
}

// Matrices of one pass, packed: transposed ones of the forward pass, or those of the backward pass.
struct MemoryPacked {
    float *input, *hidden, *gate_input, *gate_memory, *read, *token, *mixing, *pairs, *first, *second, *update_input,
        *update_memory;
};

struct PackedShape {
    float* MemoryPacked::*member;
    const float* source;
    int64_t outputs, inputs;
};

inline std::vector<PackedShape> packed_shapes(const MemoryProblem& p) {
    using P = MemoryPacked;
    const auto& w = p.weights;
    const int64_t H = p.n_units, D = p.n_features, S = room(p), G = gate_blocks(p) * H;
    return {{&P::input, w.input, G, D}, {&P::hidden, w.hidden, G, H}, {&P::gate_input, w.memory_gate_input, S, D},
            {&P::gate_memory, w.memory_gate_memory, S, S}, {&P::read, w.read, H, S},
            {&P::token, w.token, H, p.tokens ? D : p.n_slots * D}, {&P::mixing, w.mixing, p.attention ? 3 * H : H, H},
            {&P::pairs, w.mixing + H * H, p.attention ? 2 * H : 0, H}, {&P::first, w.first_layer, H, H},
            {&P::second, w.second_layer, H, H}, {&P::update_input, w.update_input, 2 * H, H},
            {&P::update_memory, w.update_memory, 2 * H, H}};
}

// Floats of either direction.
inline int64_t packed_size(const PackedShape& s) {
    const int64_t forward = s.inputs * padded(s.outputs), backward = s.outputs * padded(s.inputs);
    return Layout<MemoryPacked>::aligned_floats(forward > backward ? forward : backward);
}

inline MemoryPacked placed(const MemoryProblem& p, const float* at) {
    MemoryPacked packed;
    for (const PackedShape& s : packed_shapes(p)) packed.*s.member = const_cast<float*>(at), at += packed_size(s);
    return packed;
}

// Column k of W rows of a matrix (N, K) from row n on, zeros where there is none.
inline void copy_column(float* out, const float* matrix, int64_t n, int64_t N, int64_t k, int64_t K) {
    const float* from = matrix + n * K + k;
    if (n + W <= N) {
        for (int i = 0; i < W; ++i) out[i] = from[i * K];
    } else {
        for (int64_t i = 0; i < W; ++i) out[i] = n + i < N ? from[i * K] : 0.0f;
    }
}

// `pack` of a transposed matrix (N, K), which is read in its own order: half of a call for one row is this.
inline void pack_transposed(float* out, const float* matrix, int64_t K, int64_t N) {
    for (int64_t start = 0; start < vectors(N);) {
        const int width = panel_width(vectors(N) - start);
        for (int j = 0; j < width; ++j)
            for (int64_t k = 0; k < K; ++k) copy_column(out + (k * width + j) * W, matrix, (start + j) * W, N, k, K);
        out += K * width * W;
        start += width;
    }
}

// The hidden matrix for whole steps: for every vector of units the blocks of its gates side by side.
inline void pack_steps(float* out, const float* hidden, int64_t blocks, int64_t H) {
    for (int64_t unit = 0; unit < H; unit += W)
        for (int64_t k = 0; k < H; ++k)
            for (int64_t gate = 0; gate < blocks; ++gate, out += W)
                copy_column(out, hidden + gate * H * H, unit, H, k, H);
}

// The gru's input matrix with its last block first, as the gradients of the gates lie.
inline std::vector<float> candidate_first(const PackedShape& s, int64_t H) {
    std::vector<float> rows(s.source + 2 * H * s.inputs, s.source + 3 * H * s.inputs);
    rows.insert(rows.end(), s.source, s.source + 2 * H * s.inputs);
    return rows;
}

inline void pack_memory(const MemoryProblem& p, bool backward, float* at) {
    const MemoryPacked packed = placed(p, at);
    const bool writes = p.window < p.n_steps;  // else the plain backbone
    for (const PackedShape& s : packed_shapes(p)) {
        if (!writes && s.member != &MemoryPacked::input && s.member != &MemoryPacked::hidden) continue;
        float* to = packed.*s.member;
        if (backward && p.cell == GRU && s.member == &MemoryPacked::input)
            pack(to, candidate_first(s, p.n_units).data(), s.outputs, s.inputs, s.inputs, 1);
        else if (backward)
            pack(to, s.source, s.outputs, s.inputs, s.inputs, 1);
        else if (s.member == &MemoryPacked::hidden)
            pack_steps(to, s.source, gate_blocks(p), p.n_units);
        else
            pack_transposed(to, s.source, s.inputs, s.outputs);
    }
}

// f(u, how many are left) for whole vectors of n floats.
template <typename Work>
inline void for_vectors(int64_t n, const Work& f) {
    for (int64_t u = 0; u < n; u += W) f(u, n - u);
}

inline void multiply_rows(const float* a, int64_t lda, const float* packed, float* c, int64_t ldc, int64_t M, int64_t K,
                          int64_t N, bool add) {
    if (M && N) matrix_product({a, packed, c, lda, ldc, M, K, N, add});
}

inline void fill_rows(float* c, int64_t ldc, const float* row, int64_t M, int64_t N) {
    for (int64_t i = 0; i < M; ++i) std::memcpy(c + i * ldc, row, sizeof(float) * N);
}

// c = a B + bias, rows without gaps.
inline void linear(const float* a, const float* packed, const float* bias, float* c, int64_t M, int64_t K, int64_t N) {
    fill_rows(c, N, bias, M, N);
    multiply_rows(a, K, packed, c, N, M, K, N, true);
}

}  // namespace
