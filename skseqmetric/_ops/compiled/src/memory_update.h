// One update of the memory of a tile, forward and backward: attention over the tokens of a block, two normalised layers,
// and the gates (equations 1 to 6 of _ops/reference/memory.py).
#pragma once

#include "memory_arrays.h"

namespace {

constexpr float NORM_FLOOR = 1e-5f;

inline float total_of(V v) {
    float lane[W];
    store(lane, v);
    for (int n = W / 2; n; n /= 2)
        for (int i = 0; i < n; ++i) lane[i] += lane[i + n];
    return lane[0];
}

inline float dot(const float* a, const float* b, int64_t n) {
    V sum = splat(0.0f);
    for_vectors(n, [&](int64_t u, int64_t left) { sum += load_part(a + u, left) * load_part(b + u, left); });
    return total_of(sum);
}

inline float sum_of_row(const float* a, int64_t n) {
    V sum = splat(0.0f);
    for_vectors(n, [&](int64_t u, int64_t left) { sum += load_part(a + u, left); });
    return total_of(sum);
}

// to += by * from
inline void add_row(float* to, const float* from, float by, int64_t n) {
    for_vectors(n, [&](int64_t u, int64_t left) { add_part(to + u, by * load_part(from + u, left), left); });
}

inline void relu_rows(float* a, int64_t n) {
    for_vectors(n, [&](int64_t u, int64_t left) { store_part(a + u, at_least(load_part(a + u, left), 0.0f), left); });
}

// Zero where the rectified value is.
inline void where_positive(float* grad, const float* value, int64_t n) {
    for_vectors(n, [&](int64_t u, int64_t left) {
        const VI positive = load_part(value + u, left) > splat(0.0f);
        store_part(grad + u, (V)((VI)load_part(grad + u, left) & positive), left);
    });
}

// The updates of the rows of one tile that are made at the same time; slots before `missing` have no row.
struct Update {
    const MemoryProblem& p;
    const MemoryPacked& w;
    const MemoryArrays& a;
    int64_t n, missing;  // rows of the tile
    int64_t H, S, present, inputs;  // tokens of states and of inputs of a row

    Update(const MemoryProblem& p, const MemoryPacked& w, const MemoryArrays& a, int64_t n, int64_t k)
        : p(p), w(w), a(a), n(n), missing(MemoryPlan::missing(p, k)), H(p.n_units), S(p.n_slots),
          present(S - missing), inputs(p.tokens ? present : 1) {}

    int64_t n_tokens() const { return n * present; }
    int64_t n_inputs() const { return n * inputs; }
    const float* input_token() const { return p.tokens ? a.token : a.u; }
    const float* key(int64_t r, int64_t token) const {
        if (token < present) return a.mixed + (r * present + token) * 3 * H + H;
        return a.pairs + (r * inputs + token - present) * 2 * H;
    }
    float* shares(int64_t r, int64_t i, int64_t head) const {
        return a.shares + ((r * present + i) * p.n_heads + head) * most_tokens(p);
    }
};

struct UpdateForward : Update {
    using Update::Update;

    // From the rows of states and inputs that lie in `a`, and the memory before, null for zeros.
    void run(const float* memory) const {
        if (!present) return keep(memory);
        const auto& weights = p.weights;
        read_inputs();
        mix();
        for (int64_t i = 0; i < n_tokens(); ++i)
            normalise(a.sum1 + i * H, a.rate1[i], weights.first_gain, weights.first_shift, a.first + i * H);
        linear(a.first, w.first, weights.first_layer_bias, a.inner, n_tokens(), H, H);
        relu_rows(a.inner, n_tokens() * H);
        linear(a.inner, w.second, weights.second_layer_bias, a.outer, n_tokens(), H, H);
        relu_rows(a.outer, n_tokens() * H);
        for_vectors(n_tokens() * H, [&](int64_t u, int64_t left) {
            store_part(a.sum2 + u, load_part(a.first + u, left) + load_part(a.outer + u, left), left);
        });
        for (int64_t i = 0; i < n_tokens(); ++i)
            normalise(a.sum2 + i * H, a.rate2[i], weights.second_gain, weights.second_shift, a.fresh + i * H);
        for_vectors(n_tokens() * H, [&](int64_t u, int64_t left) {
            store_part(a.fresh + u, tanh_of(load_part(a.fresh + u, left)), left);
        });
        open(memory);
        write(memory);
    }

private:
    void keep(const float* memory) const {
        if (memory)
            std::memcpy(a.memory, memory, sizeof(float) * n * S * H);
        else
            std::memset(a.memory, 0, sizeof(float) * n * S * H);
    }

    // Equation 1.
    void read_inputs() const {
        const int64_t D = p.n_features;
        if (!p.tokens) return linear(a.rows, w.token, p.weights.token_bias, a.u, n, S * D, H);
        multiply_rows(a.rows, D, w.token, a.token, H, n_tokens(), D, H, false);
        std::memset(a.u, 0, sizeof(float) * n * H);
        for (int64_t i = 0; i < n_tokens(); ++i)
            add_row(a.u + i / present * H, a.token + i * H, 1.0f / static_cast<float>(present), H);
    }

    // Equation 2, and the sum that is normalised.
    void mix() const {
        const float* bias = p.weights.mixing_bias;
        linear(a.hidden, w.mixing, bias, a.mixed, n_tokens(), H, p.attention ? 3 * H : H);
        std::memcpy(a.sum1, a.hidden, sizeof(float) * n_tokens() * H);
        if (!p.attention) return add_row(a.sum1, a.mixed, 1.0f, n_tokens() * H);
        linear(input_token(), w.pairs, bias + H, a.pairs, n_inputs(), H, 2 * H);
        for (int64_t r = 0; r < n; ++r)
            for (int64_t i = 0; i < present; ++i)
                for (int64_t head = 0; head < p.n_heads; ++head) attend(r, i, head);
    }

    void attend(int64_t r, int64_t i, int64_t head) const {
        const int64_t size = H / p.n_heads, at = head * size, n_keys = present + inputs;
        const float *query = a.mixed + (r * present + i) * 3 * H + at, scale = 1.0f / std::sqrt(static_cast<float>(size));
        float* share = shares(r, i, head);
        float most = -INFINITY, total = 0.0f;
        for (int64_t j = 0; j < n_keys; ++j) {
            share[j] = scale * dot(query, key(r, j) + at, size);
            most = share[j] > most ? share[j] : most;
        }
        for_vectors(n_keys, [&](int64_t j, int64_t left) {
            store_part(share + j, exp_of(load_part(share + j, left) - most), left);
        });
        for (int64_t j = 0; j < n_keys; ++j) total += share[j];
        for (int64_t j = 0; j < n_keys; ++j) {
            share[j] /= total;
            add_row(a.sum1 + (r * present + i) * H + at, key(r, j) + H + at, share[j], size);
        }
    }

    void normalise(float* x, float& rate, const float* gain, const float* shift, float* out) const {
        const float size = static_cast<float>(H), mean = sum_of_row(x, H) / size;
        for_vectors(H, [&](int64_t u, int64_t left) { store_part(x + u, load_part(x + u, left) - mean, left); });
        rate = 1.0f / std::sqrt(dot(x, x, H) / size + NORM_FLOOR);
        for_vectors(H, [&](int64_t u, int64_t left) {
            const V normal = rate * load_part(x + u, left);
            store_part(x + u, normal, left);
            store_part(out + u, normal * load_part(gain + u, left) + load_part(shift + u, left), left);
        });
    }

    // Equation 5.
    void open(const float* memory) const {
        const int64_t row = 2 * S * H;
        fill_rows(a.update_gates, row, p.weights.update_bias, n, 2 * H);
        multiply_rows(a.u, H, w.update_input, a.update_gates, row, n, H, 2 * H, true);
        for (int64_t r = 0; r < n; ++r)
            for (int64_t s = 1; s < S; ++s)
                std::memcpy(a.update_gates + r * row + s * 2 * H, a.update_gates + r * row, sizeof(float) * 2 * H);
        if (memory) {
            for_vectors(n * S * H, [&](int64_t u, int64_t left) {
                store_part(a.old + u, tanh_of(load_part(memory + u, left)), left);
            });
            multiply_rows(a.old, H, w.update_memory, a.update_gates, 2 * H, n * S, H, 2 * H, true);
        } else {
            std::memset(a.old, 0, sizeof(float) * n * S * H);
        }
        for_vectors(n * row, [&](int64_t u, int64_t left) {
            store_part(a.update_gates + u, sigmoid_of(load_part(a.update_gates + u, left)), left);
        });
    }

    // Equation 6.
    void write(const float* memory) const {
        for (int64_t i = 0; i < n * S; ++i) {
            const float *gates = a.update_gates + i * 2 * H, *old = memory ? memory + i * H : nullptr;
            const float* fresh = i % S < missing ? nullptr : a.fresh + (i / S * present + i % S - missing) * H;
            for_vectors(H, [&](int64_t u, int64_t left) {
                V to = splat(0.0f);
                if (fresh) to = load_part(gates + u, left) * load_part(fresh + u, left);
                if (old) to += load_part(gates + H + u, left) * load_part(old + u, left);
                store_part(a.memory + i * H + u, to, left);
            });
        }
    }
};

struct UpdateBackward : Update {
    const MemoryGradients& g;
    float *grad_memory, *grad_hidden, *grad_rows, *spare;  // (n S, H) twice, as `rows` of `a`, (n S, H)

    // Turns the gradient of the memory into that of the memory before, and gives those of the rows of the block.
    void run(const float* memory) const {
        if (!present) return nothing();
        close(memory);
        std::memset(g.slots, 0, sizeof(float) * n * 2 * H);
        for (int64_t i = 0; i < n * S; ++i) add_row(g.slots + i / S * 2 * H, g.update_gates + i * 2 * H, 1.0f, 2 * H);
        multiply_rows(g.slots, 2 * H, w.update_input, g.u, H, n, 2 * H, H, false);
        const int64_t all = n_tokens() * H;
        for (int64_t i = 0; i < n_tokens(); ++i)
            through_norm(g.normal2 + i * H, a.sum2 + i * H, a.rate2[i], p.weights.second_gain, g.normal1 + i * H);
        std::memcpy(g.outer, g.normal1, sizeof(float) * all);
        where_positive(g.outer, a.outer, all);
        multiply_rows(g.outer, H, w.second, g.inner, H, n_tokens(), H, H, false);
        where_positive(g.inner, a.inner, all);
        multiply_rows(g.inner, H, w.first, g.normal1, H, n_tokens(), H, H, true);
        for (int64_t i = 0; i < n_tokens(); ++i)
            through_norm(g.normal1 + i * H, a.sum1 + i * H, a.rate1[i], p.weights.first_gain, grad_hidden + i * H);
        mix();
        read_inputs();
    }

private:
    // The gates wrote nothing, and nothing was read.
    void nothing() const {
        std::memset(g.update_gates, 0, sizeof(float) * n * S * 2 * H);
        std::memset(g.slots, 0, sizeof(float) * n * 2 * H);
        std::memset(g.u, 0, sizeof(float) * n * H);
        // no product may meet what is not a number
        std::memset(a.old, 0, sizeof(float) * n * S * H);
        std::memset(a.u, 0, sizeof(float) * n * H);
        if (p.tokens) return;
        std::memset(a.rows, 0, sizeof(float) * n * S * p.n_features);
        if (p.attention) std::memset(g.pairs, 0, sizeof(float) * n_inputs() * 2 * H);
    }

    // Equations 6 and 5.
    void close(const float* memory) const {
        for (int64_t i = 0; i < n * S; ++i) {
            const bool written = i % S >= missing;
            const int64_t token = (i / S * present + i % S - missing) * H;
            const float *gates = a.update_gates + i * 2 * H, *old = memory ? memory + i * H : nullptr;
            float *to = g.update_gates + i * 2 * H, *grad = grad_memory + i * H;
            for_vectors(H, [&](int64_t u, int64_t left) {
                const V by = load_part(grad + u, left), fresh = load_part(gates + u, left), stay = load_part(gates + H + u, left);
                V by_fresh = splat(0.0f), by_stay = splat(0.0f);
                if (written) {
                    const V value = load_part(a.fresh + token + u, left);
                    by_fresh = by * value * (fresh - fresh * fresh);
                    store_part(g.normal2 + token + u, by * fresh * (1.0f - value * value), left);
                }
                if (old) by_stay = by * load_part(old + u, left) * (stay - stay * stay);
                store_part(to + u, by_fresh, left), store_part(to + H + u, by_stay, left);
                store_part(grad + u, by * stay, left);
            });
        }
        if (!memory) return;
        multiply_rows(g.update_gates, 2 * H, w.update_memory, spare, H, n * S, 2 * H, H, false);
        for_vectors(n * S * H, [&](int64_t u, int64_t left) {
            const V old = load_part(a.old + u, left);
            add_part(grad_memory + u, load_part(spare + u, left) * (1.0f - old * old), left);
        });
    }

    // The gradient of what was normalised from that of the result.
    void through_norm(const float* grad, const float* normal, float rate, const float* gain, float* out) const {
        const float size = static_cast<float>(H);
        for_vectors(H, [&](int64_t u, int64_t left) {
            store_part(out + u, load_part(grad + u, left) * load_part(gain + u, left), left);
        });
        const float mean = sum_of_row(out, H) / size, along = dot(out, normal, H) / size;
        for_vectors(H, [&](int64_t u, int64_t left) {
            store_part(out + u, rate * (load_part(out + u, left) - mean - along * load_part(normal + u, left)), left);
        });
    }

    void mix() const {
        const int64_t blocks = p.attention ? 3 * H : H;
        if (p.attention) {
            std::memset(g.mixed, 0, sizeof(float) * n_tokens() * 3 * H);
            std::memset(g.pairs, 0, sizeof(float) * n_inputs() * 2 * H);
            for (int64_t r = 0; r < n; ++r)
                for (int64_t i = 0; i < present; ++i)
                    for (int64_t head = 0; head < p.n_heads; ++head) attend(r, i, head);
        } else {
            std::memcpy(g.mixed, grad_hidden, sizeof(float) * n_tokens() * H);
        }
        multiply_rows(g.mixed, blocks, w.mixing, grad_hidden, H, n_tokens(), blocks, H, true);
    }

    float* grad_key(int64_t r, int64_t token) const {
        if (token < present) return g.mixed + (r * present + token) * 3 * H + H;
        return g.pairs + (r * inputs + token - present) * 2 * H;
    }

    void attend(int64_t r, int64_t i, int64_t head) const {
        const int64_t size = H / p.n_heads, at = head * size, n_keys = present + inputs, row = r * present + i;
        const float *query = a.mixed + row * 3 * H + at, *grad = grad_hidden + row * H + at, *share = shares(r, i, head);
        const float scale = 1.0f / std::sqrt(static_cast<float>(size));
        float mean = 0.0f;
        for (int64_t j = 0; j < n_keys; ++j) {
            spare[j] = dot(grad, key(r, j) + H + at, size);
            mean += share[j] * spare[j];
        }
        for (int64_t j = 0; j < n_keys; ++j) {
            const float score = scale * share[j] * (spare[j] - mean);
            add_row(g.mixed + row * 3 * H + at, key(r, j) + at, score, size);
            add_row(grad_key(r, j) + at, query, score, size);
            add_row(grad_key(r, j) + H + at, grad, share[j], size);
        }
    }

    // Equation 1.
    void read_inputs() const {
        const int64_t D = p.n_features;
        if (!p.tokens) {
            if (p.attention) multiply_rows(g.pairs, 2 * H, w.pairs, g.u, H, n, 2 * H, H, true);
            return multiply_rows(g.u, H, w.token, grad_rows, S * D, n, H, S * D, false);
        }
        std::memset(g.token, 0, sizeof(float) * n_tokens() * H);
        for (int64_t i = 0; i < n_tokens(); ++i)
            add_row(g.token + i * H, g.u + i / present * H, 1.0f / static_cast<float>(present), H);
        if (p.attention) multiply_rows(g.pairs, 2 * H, w.pairs, g.token, H, n_tokens(), 2 * H, H, true);
        multiply_rows(g.token, H, w.token, grad_rows, D, n_tokens(), H, D, false);
    }
};

}  // namespace
