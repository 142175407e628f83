// Gradients of the weights of a layer of recurrent memory: products of what was kept with the gradients between.
#pragma once

#include "memory_arrays.h"

namespace {

constexpr int64_t SUM_ROWS = 64;  // of a gradient: what one thread takes at a time

// The sum over n rows of a^T b, or of a where b is null, or of a * b elementwise where there is one output a row.
struct Term {
    const float* a;
    int64_t lda;
    const float* b;
    int64_t ldb, n;
};

// `M` outputs of `N` numbers each, the sum of one or two terms.
struct Sum {
    float* out;
    int64_t M, N;
    std::vector<Term> terms;
};

template <int R, int NV>
inline void sum_block(const Term& t, int64_t first, int64_t last, int64_t m, int64_t column, float* out, int64_t N) {
    V acc[R][NV];
    const int64_t left = N - column;
    for (int i = 0; i < R; ++i)
        for (int j = 0; j < NV; ++j) acc[i][j] = load_part(out + (m + i) * N + column + j * W, left - j * W);
    const float *a = t.a + m, *b = t.b + column;
    for (int64_t k = first; k < last; ++k) {
        V row[NV];
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) row[j] = load(b + k * t.ldb + j * W);  // behind a row: another one, or spare room
#pragma GCC unroll 8
        for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) acc[i][j] += a[k * t.lda + i] * row[j];
    }
    for (int i = 0; i < R; ++i)
        for (int j = 0; j < NV; ++j) store_part(out + (m + i) * N + column + j * W, acc[i][j], left - j * W);
}

template <int NV>
inline void sum_panel(const Term& t, int64_t first, int64_t last, int64_t M, int64_t column, float* out, int64_t N) {
    const int64_t whole = M / MR * MR;
    for (int64_t m = 0; m < whole; m += MR) sum_block<MR, NV>(t, first, last, m, column, out, N);
    for (int64_t m = whole; m < M; ++m) sum_block<1, NV>(t, first, last, m, column, out, N);
}

inline void add_products(const Term& t, int64_t M, float* out, int64_t N) {
    for (int64_t first = 0; first < t.n; first += UPDATE_ROWS) {
        const int64_t last = t.n - first < UPDATE_ROWS ? t.n : first + UPDATE_ROWS;
        for (int64_t start = 0; start < vectors(N);) {
            const int width = panel_width(vectors(N) - start);
            if (width == 3) sum_panel<3>(t, first, last, M, start * W, out, N);
            if (width == 2) sum_panel<2>(t, first, last, M, start * W, out, N);
            if (width == 1) sum_panel<1>(t, first, last, M, start * W, out, N);
            start += width;
        }
    }
}

inline void add_columns(const Term& t, int64_t N, float* out) {
    for (int64_t k = 0; k < t.n; ++k)
        for_vectors(N, [&](int64_t u, int64_t left) {
            const V value = load_part(t.a + k * t.lda + u, left);
            add_part(out + u, t.b ? value * load_part(t.b + k * t.ldb + u, left) : value, left);
        });
}

struct WeightSums {
    std::vector<Sum> sums;

    // Rows of a matrix (M, N) from the gradients of its products and what was multiplied.
    void matrix(float* out, int64_t M, int64_t N, std::vector<Term> terms) {
        for (int64_t m = 0; m < M; m += SUM_ROWS) {
            sums.push_back({out + m * N, M - m < SUM_ROWS ? M - m : SUM_ROWS, N, terms});
            for (Term& term : terms) term.a += SUM_ROWS;
        }
    }
    void vector(float* out, int64_t N, std::vector<Term> terms) { sums.push_back({out, 0, N, terms}); }

    WeightSums(const MemoryProblem& p, const MemoryPlan& plan) {
        const Counts n = Counts::all(p, plan);
        const MemoryArrays a = kept_layout(p).place(p.kept, n);
        const MemoryGradients g = between_layout(p).place(p.between, n);
        of_steps(p, a, g, n);
        of_reads(p, a, g, n);
        of_updates(p, a, g, n);
        of_mixing(p, a, g, n);
    }

private:
    void of_steps(const MemoryProblem& p, const MemoryArrays& a, const MemoryGradients& g, const Counts& n) {
        const int64_t H = p.n_units, D = p.n_features, width = step_blocks(p) * H;
        const auto gates = [&](int64_t block, const float* b, int64_t ldb) {
            return std::vector<Term>{{g.gates + block * H, width, b, ldb, n.steps}};
        };
        const auto& to = p.gradients;
        if (p.cell != GRU) {
            matrix(to.input, width, D, gates(0, a.x, D));
            vector(to.bias, width, gates(0, nullptr, 0));
            return matrix(to.hidden, width, H, gates(0, a.before, H));
        }
        matrix(to.input, 2 * H, D, gates(1, a.x, D));
        matrix(to.input + 2 * H * D, H, D, gates(0, a.x, D));
        vector(to.bias, 2 * H, gates(1, nullptr, 0));
        vector(to.bias + 2 * H, H, gates(0, nullptr, 0));
        matrix(to.hidden, 3 * H, H, gates(1, a.before, H));
        vector(to.candidate_bias, H, gates(3, nullptr, 0));
    }

    void of_reads(const MemoryProblem& p, const MemoryArrays& a, const MemoryGradients& g, const Counts& n) {
        const int64_t H = p.n_units, D = p.n_features, R = room(p);
        const auto& to = p.gradients;
        matrix(to.memory_gate_input, R, D, {{g.read_gate, R, a.x + (n.steps - n.reads) * D, D, n.reads}});
        matrix(to.memory_gate_memory, R, R, {{g.query, R, a.v, R, n.updates}});
        vector(to.memory_gate_bias, R, {{g.query, R, nullptr, 0, n.updates}});
        matrix(to.read, H, R, {{g.read, H, a.read_gate, R, n.reads}});
    }

    void of_updates(const MemoryProblem& p, const MemoryArrays& a, const MemoryGradients& g, const Counts& n) {
        const int64_t H = p.n_units, D = p.n_features, S = p.n_slots;
        const auto& to = p.gradients;
        matrix(to.update_input, 2 * H, H, {{g.slots, 2 * H, a.u, H, n.updates}});
        vector(to.update_bias, 2 * H, {{g.slots, 2 * H, nullptr, 0, n.updates}});
        matrix(to.update_memory, 2 * H, H, {{g.update_gates, 2 * H, a.old, H, n.updates * S}});
        if (p.tokens) return matrix(to.token, H, D, {{g.token, H, a.rows, D, n.tokens}});
        matrix(to.token, H, S * D, {{g.u, H, a.rows, S * D, n.updates}});
        vector(to.token_bias, H, {{g.u, H, nullptr, 0, n.updates}});
    }

    void of_mixing(const MemoryProblem& p, const MemoryArrays& a, const MemoryGradients& g, const Counts& n) {
        const int64_t H = p.n_units, blocks = p.attention ? 3 : 1, L = blocks * H;
        const auto& to = p.gradients;
        const Term inputs{g.pairs, 2 * H, p.tokens ? a.token : a.u, H, n.inputs}, alone{g.pairs, 2 * H, nullptr, 0, n.inputs};
        matrix(to.mixing, H, H, {{g.mixed, L, a.hidden, H, n.tokens}});
        vector(to.mixing_bias, H, {{g.mixed, L, nullptr, 0, n.tokens}});
        if (p.attention) {
            matrix(to.mixing + H * H, 2 * H, H, {{g.mixed + H, L, a.hidden, H, n.tokens}, inputs});
            vector(to.mixing_bias + H, 2 * H, {{g.mixed + H, L, nullptr, 0, n.tokens}, alone});
        }
        const auto norm = [&](const float* grad, const float* normal) {
            return std::vector<Term>{{grad, H, normal, H, n.tokens}};
        };
        vector(to.second_gain, H, norm(g.normal2, a.sum2)), vector(to.second_shift, H, norm(g.normal2, nullptr));
        vector(to.first_gain, H, norm(g.normal1, a.sum1)), vector(to.first_shift, H, norm(g.normal1, nullptr));
        matrix(to.first_layer, H, H, norm(g.inner, a.first)), vector(to.first_layer_bias, H, norm(g.inner, nullptr));
        matrix(to.second_layer, H, H, norm(g.outer, a.inner)), vector(to.second_layer_bias, H, norm(g.outer, nullptr));
    }
};

inline void compute_sum(const Sum& sum) {
    std::memset(sum.out, 0, sizeof(float) * (sum.M ? sum.M : 1) * sum.N);
    for (const Term& term : sum.terms) {
        if (sum.M)
            add_products(term, sum.M, sum.out, sum.N);
        else
            add_columns(term, sum.N, sum.out);
    }
}

}  // namespace
