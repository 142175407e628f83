// A tile of rows through all windows, forward and backward.
#pragma once

#include <algorithm>

#include "memory_steps.h"
#include "memory_update.h"

namespace {

constexpr int64_t CHUNK_ROWS = 256;  // of steps whose products are computed together

inline int64_t chunk_steps(int64_t n_rows) { return CHUNK_ROWS / n_rows; }

struct MemoryScratch {
    float *x, *gates, *read_gate, *product, *read, *squashed, *query, *h[2], *c[2], *memory, *grad_hidden, *grad_rows, *spare,
        *update;

    static int64_t layout(const MemoryProblem& p, MemoryScratch* s, float* at) {
        const int64_t H = p.n_units, D = p.n_features, S = p.n_slots, R = MEMORY_ROWS;
        int64_t total = 0;
        const auto take = [&](int64_t n) {
            float* here = at ? at + total : nullptr;
            total += Layout<MemoryArrays>::aligned_floats(n);
            return here;
        };
        MemoryScratch room_of;
        MemoryScratch& to = s ? *s : room_of;
        to.x = take(CHUNK_ROWS * D), to.gates = take(CHUNK_ROWS * step_blocks(p) * H);
        to.read_gate = take(CHUNK_ROWS * S * H), to.product = take(CHUNK_ROWS * S * H), to.read = take(CHUNK_ROWS * H);
        to.squashed = take(R * H), to.query = take(R * S * H), to.memory = take(R * S * H);
        for (int i = 0; i < 2; ++i) to.h[i] = take(R * H), to.c[i] = take(R * H);
        to.grad_hidden = take(R * S * H), to.grad_rows = take(R * S * D), to.spare = take(R * S * H + 2 * S);
        to.update = take(kept_layout(p).floats(Counts::one_update(p)));
        return total;
    }
};

// The rows of a tile, and where their numbers lie.
struct MemoryTile {
    const MemoryProblem& p;
    const MemoryPlan& plan;
    MemoryPacked w;
    const MemoryScratch& s;
    const Layout<MemoryArrays> layout;
    int64_t tile, n, n_steps, H, D, room, width;  // `width`: of the gates of a step
    int64_t row[MEMORY_ROWS], length[MEMORY_ROWS];

    MemoryTile(const MemoryProblem& p, const MemoryPlan& plan, const MemoryPacked& w, const MemoryScratch& s, int64_t tile)
        : p(p), plan(plan), w(w), s(s), layout(kept_layout(p)), tile(tile), n(MemoryPlan::rows(p, tile)),
          n_steps(plan.steps[tile]), H(p.n_units), D(p.n_features), room(p.n_slots * H), width(step_blocks(p) * H) {
        for (int64_t r = 0; r < n; ++r) row[r] = p.order[tile * MEMORY_ROWS + r], length[r] = p.lengths[row[r]];
    }

    int64_t n_windows() const { return (n_steps + p.window - 1) / p.window; }
    Counts before(int64_t k) const { return Counts::before(p, plan, k, tile); }
    MemoryArrays kept(int64_t k) const {
        return layout.behind(layout.place(p.kept, Counts::all(p, plan)), before(k));
    }
    // Factors of the memory that row r reads after update k, or null.
    const float* dropped(int64_t r, int64_t k) const {
        return p.dropped ? p.dropped + row[r] * p.dropped_row + k * p.dropped_update : nullptr;
    }
};

struct MemoryForward : MemoryTile {
    using MemoryTile::MemoryTile;

    void run() {
        h = p.kept ? kept(0).before : s.h[0], c = p.kept && p.cell == LSTM ? kept(0).cells : s.c[0];
        std::memset(h, 0, sizeof(float) * n * H);
        std::memset(c, 0, sizeof(float) * n * (p.cell == LSTM ? H : 0));
        for (int64_t k = 0; k < n_windows(); ++k) {
            window(k);
            if (plan.updates(p, k, tile)) update(k);
        }
        for (int64_t t = n_steps; t < p.n_steps; ++t) write_states(t);
    }

private:
    float *h, *c;
    const float *memory = nullptr, *v = nullptr;

    void window(int64_t k) {
        const int64_t first = k * p.window, most = chunk_steps(n), n_within = plan.within(p, k, tile);
        const MemoryArrays a = p.kept ? kept(k) : MemoryArrays{};
        const MemoryArrays next = p.kept && plan.updates(p, k, tile) ? kept(k + 1) : MemoryArrays{};
        for (int64_t begin = 0; begin < n_within; begin += most) {
            const int64_t size = std::min(most, n_within - begin), at = begin * n;
            float* gates = p.kept ? a.gates + at * width : s.gates;
            float* x = p.kept ? a.x + at * D : s.x;
            project(first + begin, size, x, gates);
            if (k) read(x, p.kept ? a.read_gate + at * room : s.read_gate, size);
            for (int64_t i = 0; i < size; ++i) {
                const int64_t t = first + begin + i, after = (begin + i + 1) * n * H;
                const bool inside = begin + i + 1 < n_within;
                float *new_h = h == s.h[0] ? s.h[1] : s.h[0], *new_c = c == s.c[0] ? s.c[1] : s.c[0];
                if (p.kept && (inside || next.before)) {
                    new_h = inside ? a.before + after : next.before;
                    if (p.cell == LSTM) new_c = inside ? a.cells + after : next.cells;
                }
                float* squashed = p.kept ? a.squashed + (begin + i) * n * H : s.squashed;
                step({gates + i * n * width, squashed, k ? s.read + i * n * H : nullptr, h, c, new_h, new_c, t, row});
            }
        }
    }

    // The inputs of so many steps, 0 past an end, and what the gates get of them.
    void project(int64_t first, int64_t size, float* x, float* gates) {
        const int64_t blocks = gate_blocks(p) * H;
        for (int64_t i = 0; i < size; ++i)
            for (int64_t r = 0; r < n; ++r) {
                float* to = x + (i * n + r) * D;
                if (first + i < length[r])
                    std::memcpy(to, p.x + row[r] * p.x_row + (first + i) * p.x_step, sizeof(float) * D);
                else
                    std::memset(to, 0, sizeof(float) * D);
            }
        fill_rows(gates, width, p.weights.bias, size * n, blocks);
        multiply_rows(x, D, w.input, gates, width, size * n, D, blocks, true);
    }

    // Equation 8 and its use.
    void read(const float* x, float* gate, int64_t size) {
        for (int64_t i = 0; i < size; ++i) std::memcpy(gate + i * n * room, s.query, sizeof(float) * n * room);
        multiply_rows(x, D, w.gate_input, gate, room, size * n, D, room, true);
        for (int64_t i = 0; i < size; ++i)
            for_vectors(n * room, [&](int64_t u, int64_t left) {
                const int64_t at = i * n * room + u;
                const V open = sigmoid_of(load_part(gate + at, left));
                store_part(gate + at, open, left);
                store_part(s.product + at, open * load_part(v + u, left), left);
            });
        multiply_rows(s.product, room, w.read, s.read, H, size * n, room, H, false);
    }

    void step(const MemoryStep& step) {
        memory_step(p, step, w.hidden, n);
        for (int64_t r = 0; r < n; ++r) {
            if (step.t < length[r]) continue;
            std::memcpy(step.new_h + r * H, step.h + r * H, sizeof(float) * H);
            if (p.cell == LSTM) std::memcpy(step.new_c + r * H, step.c + r * H, sizeof(float) * H);
        }
        h = step.new_h, c = step.new_c;
        write_states(step.t);
    }

    void write_states(int64_t t) const {
        for (int64_t r = 0; r < n; ++r)
            std::memcpy(p.states + row[r] * p.states_row + t * p.states_step, h + r * H, sizeof(float) * H);
    }

    void update(int64_t k) {
        const MemoryArrays a = p.kept ? kept(k) : layout.place(s.update, Counts::one_update(p));
        const UpdateForward update(p, w, a, n, k);
        for (int64_t r = 0; r < n; ++r)
            for (int64_t i = 0; i < p.n_slots; ++i) gather(update, r, i, MemoryPlan::step(p, k, i));
        update.run(memory);
        for (int64_t r = 0; r < n; ++r) {
            const float *factors = dropped(r, k), *from = a.memory + r * room;
            for_vectors(room, [&](int64_t u, int64_t left) {
                const V value = load_part(from + u, left);
                store_part(a.v + r * room + u, factors ? value * load_part(factors + u, left) : value, left);
            });
        }
        linear(a.v, w.gate_memory, p.weights.memory_gate_bias, s.query, n, room, room);
        v = a.v, memory = a.memory;
        if (p.kept) return;
        std::memcpy(s.memory, a.memory, sizeof(float) * n * room);
        memory = s.memory;
    }

    // The row of slot i: its state and its input, 0 where there is no step.
    void gather(const UpdateForward& update, int64_t r, int64_t i, int64_t t) const {
        const int64_t token = r * update.present + i - update.missing;
        float* to = update.a.rows + (p.tokens ? token : r * p.n_slots + i) * D;
        if (t >= 0)
            std::memcpy(update.a.hidden + token * H, p.states + row[r] * p.states_row + t * p.states_step, sizeof(float) * H);
        if (t >= 0 && t < length[r])
            std::memcpy(to, p.x + row[r] * p.x_row + t * p.x_step, sizeof(float) * D);
        else if (t >= 0 || !p.tokens)
            std::memset(to, 0, sizeof(float) * D);
    }
};

struct MemoryBackward : MemoryTile {
    const Layout<MemoryGradients> between_parts;

    MemoryBackward(const MemoryProblem& p, const MemoryPlan& plan, const MemoryPacked& w, const MemoryScratch& s, int64_t tile)
        : MemoryTile(p, plan, w, s, tile), between_parts(between_layout(p)) {}

    void run() {
        std::memset(s.h[0], 0, sizeof(float) * n * H);
        std::memset(s.c[0], 0, sizeof(float) * n * H);
        std::memset(s.memory, 0, sizeof(float) * n * room);
        for (int64_t k = 0; k < n_windows(); ++k) gather(k);
        for (int64_t k = n_windows() - 1; k >= 0; --k) {
            if (plan.updates(p, k, tile)) update(k);
            steps(k);
            products(k);
        }
        if (!p.grad_x) return;
        for (int64_t k = 0; k < n_windows(); ++k) scatter(k);
        for (int64_t r = 0; r < n; ++r)
            for (int64_t t = length[r]; t < p.n_steps; ++t)
                std::memset(p.grad_x + (row[r] * p.n_steps + t) * D, 0, sizeof(float) * D);
    }

private:
    MemoryGradients between(int64_t k) const {
        return between_parts.behind(between_parts.place(p.between, Counts::all(p, plan)), before(k));
    }
    const float* grad_state(int64_t r, int64_t t) const {
        return p.grad_states + row[r] * p.grad_row + t * p.grad_step;
    }

    // What comes from outside: past its end a sequence repeats its last state.
    void gather(int64_t k) const {
        const MemoryGradients g = between(k);
        const int64_t first = k * p.window, size = plan.within(p, k, tile);
        std::memset(g.x, 0, sizeof(float) * size * n * D);
        for (int64_t i = 0; i < size; ++i)
            for (int64_t r = 0; r < n; ++r) {
                float* to = g.hidden + (i * n + r) * H;
                std::memset(to, 0, sizeof(float) * H);
                if (first + i < length[r]) std::memcpy(to, grad_state(r, first + i), sizeof(float) * H);
                if (first + i != length[r] - 1) continue;
                for (int64_t t = length[r]; t < p.n_steps; ++t) add_row(to, grad_state(r, t), 1.0f, H);
            }
    }

    void scatter(int64_t k) const {
        const MemoryGradients g = between(k);
        const int64_t first = k * p.window, size = plan.within(p, k, tile);
        for (int64_t i = 0; i < size; ++i)
            for (int64_t r = 0; r < n; ++r)
                if (first + i < length[r])
                    std::memcpy(p.grad_x + (row[r] * p.n_steps + first + i) * D, g.x + (i * n + r) * D, sizeof(float) * D);
    }

    void update(int64_t k) const {
        const MemoryArrays a = kept(k);
        const MemoryGradients g = between(k);
        const UpdateBackward update{{p, w, a, n, k}, g, s.memory, s.grad_hidden, s.grad_rows, s.spare};
        update.run(k ? kept(k - 1).memory : nullptr);
        for (int64_t i = update.missing; i < p.n_slots; ++i) {
            const int64_t t = MemoryPlan::step(p, k, i), at = t % p.window * n;
            const MemoryGradients to = between(t / p.window);
            for (int64_t r = 0; r < n; ++r) {
                const int64_t token = r * update.present + i - update.missing;
                add_row(to.hidden + (at + r) * H, s.grad_hidden + token * H, 1.0f, H);
                add_row(to.x + (at + r) * D, s.grad_rows + (p.tokens ? token : r * p.n_slots + i) * D, 1.0f, D);
            }
        }
    }

    void steps(int64_t k) const {
        const MemoryArrays a = kept(k);
        const MemoryGradients g = between(k);
        const int64_t hidden = p.cell == GRU ? H : 0, blocks = gate_blocks(p) * H;
        for (int64_t i = plan.within(p, k, tile) - 1; i >= 0; --i) {
            const int64_t t = k * p.window + i;
            for (int64_t r = 0; r < n; ++r) {
                const int64_t at = i * n + r;
                float *grad_gates = g.gates + at * width, *read = k ? g.read + at * H : nullptr;
                if (t >= length[r]) {
                    std::memset(grad_gates, 0, sizeof(float) * width);
                    if (k) std::memset(read, 0, sizeof(float) * H);
                    continue;
                }
                add_row(s.h[0] + r * H, g.hidden + at * H, 1.0f, H);
                step_back(p, {a.gates + at * width, a.squashed + at * H, a.before + at * H, a.cells + at * H, grad_gates, read,
                              s.h[0] + r * H, s.c[0] + r * H, t, row[r]});
            }
            multiply_rows(g.gates + i * n * width + hidden, width, w.hidden, s.h[0], H, n, blocks, H, true);
        }
    }

    // What the products of a window gave, for its inputs and for the memory that it reads.
    void products(int64_t k) const {
        const MemoryArrays a = kept(k);
        const MemoryGradients g = between(k);
        const int64_t n_within = plan.within(p, k, tile), most = chunk_steps(n);
        float* grad_v = s.product;
        std::memset(grad_v, 0, sizeof(float) * n * room);
        std::memset(s.query, 0, sizeof(float) * n * room);
        for (int64_t begin = 0; begin < n_within; begin += most) {
            const int64_t size = std::min(most, n_within - begin), at = begin * n;
            if (k) read(k, a, g, at, size, grad_v);
            if (!p.grad_x) continue;
            multiply_rows(g.gates + at * width, width, w.input, g.x + at * D, D, size * n, gate_blocks(p) * H, D, true);
            if (k) multiply_rows(g.read_gate + at * room, room, w.gate_input, g.x + at * D, D, size * n, room, D, true);
        }
        if (!k) return;
        std::memcpy(between(k - 1).query, s.query, sizeof(float) * n * room);
        multiply_rows(s.query, room, w.gate_memory, grad_v, room, n, room, room, true);
        for (int64_t r = 0; r < n; ++r) {
            const float* factors = dropped(r, k - 1);
            for_vectors(room, [&](int64_t u, int64_t left) {
                const V grad = load_part(grad_v + r * room + u, left);
                add_part(s.memory + r * room + u, factors ? grad * load_part(factors + u, left) : grad, left);
            });
        }
    }

    void read(int64_t k, const MemoryArrays& a, const MemoryGradients& g, int64_t at, int64_t size, float* grad_v) const {
        const float* v = kept(k - 1).v;
        multiply_rows(g.read + at * H, H, w.read, g.read_gate + at * room, room, size * n, H, room, false);
        for (int64_t i = 0; i < size; ++i)
            for_vectors(n * room, [&](int64_t u, int64_t left) {
                float *open_at = a.read_gate + (at + i * n) * room + u, *grad_at = g.read_gate + (at + i * n) * room + u;
                const V open = load_part(open_at, left), grad = load_part(grad_at, left), read = open * load_part(v + u, left);
                const V by_gate = grad * (read - read * open);
                add_part(grad_v + u, grad * open, left), add_part(s.query + u, by_gate, left);
                store_part(grad_at, by_gate, left), store_part(open_at, read, left);
            });
    }
};

}  // namespace
