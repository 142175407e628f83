// Whole scans of reservoirs. Dense weights multiply rows of operands [x: N][u: F][1]; of sparse ones every entry serves
// the sequences of a tile, side by side in vectors, or of one sequence the entries of as many units as a vector holds.
// In all forms a unit adds its terms in the same order, so that a sequence has the same bits in any company.
#pragma once

#include <algorithm>
#include <cstring>

#include "panels.h"
#include "scans.h"

namespace {

constexpr int64_t DENSE_ROWS = 48;
#if defined(__AVX512F__)
constexpr int LANE_VECTORS = 2;  // the states of some hundred units and 32 sequences stay in the first-level cache
constexpr int64_t SINGLE_ROWS = 3;  // up to so many sequences, one by one is faster
#else
constexpr int LANE_VECTORS = 4;
constexpr int64_t SINGLE_ROWS = 0;  // without gathering from memory
#endif

enum class Form { DENSE, LANES, SINGLE };

inline Form reservoir_form(const ReservoirScan& p) {
    if (!p.sparse) return Form::DENSE;
    return p.n_rows <= SINGLE_ROWS ? Form::SINGLE : Form::LANES;
}

inline int64_t tile_rows_of(const ReservoirScan& p) {
    const Form form = reservoir_form(p);
    return form == Form::DENSE ? DENSE_ROWS : form == Form::LANES ? LANE_VECTORS * W : 1;
}

inline int64_t reservoir_tiles(const ReservoirScan& p) { return (p.n_rows + tile_rows_of(p) - 1) / tile_rows_of(p); }
inline int64_t reservoir_tasks(const ReservoirScan& p) { return p.n_reservoirs * reservoir_tiles(p); }

// What one entry of W adds: its weight times the state at a place.
struct Entry {
    int32_t at;
    float weight;
};

// Sizes of a scan's packed weights.
struct ReservoirSizes {
    int64_t N, F, K, Kp;
    explicit ReservoirSizes(const ReservoirScan& p) : N(p.n_units), F(p.n_features), K(N + F + 1), Kp(padded(K)) {}
};

inline int64_t row_entries(const float* row, int64_t N) {
    int64_t n = 0;
    for (int64_t k = 0; k < N; ++k) n += row[k] != 0.0f;
    return n;
}

// Weights of few entries for tiles of sequences: starts (N + 1) and entries.
struct LaneWeights {
    int64_t* starts;
    Entry* entries;
    static int64_t floats(const ReservoirScan& p) {  // one entry more, which packing may write
        const int64_t N = p.n_units;
        return 2 * (N + 1) + 2 * (row_entries(p.recurrent[0], N * N) + 1);
    }
    LaneWeights(const ReservoirScan& p, float* at)
        : starts(reinterpret_cast<int64_t*>(at)), entries(reinterpret_cast<Entry*>(at + 2 * (p.n_units + 1))) {}
    void pack(const ReservoirScan& p) const {
        const int64_t N = p.n_units;
        int64_t n = 0;
        for (int64_t u = 0; u < N; ++u) {
            const float* row = p.recurrent[0] + u * N;
            starts[u] = n;
            for (int64_t k = 0; k < N; ++k) {
                entries[n] = {static_cast<int32_t>(k), row[k]};
                n += row[k] != 0.0f;
            }
        }
        starts[N] = n;
    }
};

// The same for one sequence, whose states are table entries: a unit is a lane of a group, and states come in tables of
// two vectors. All lanes have as many terms of a table as the fullest one, of weight 0 where they have none.
struct SingleWeights {
    int64_t groups, tables;
    int64_t* starts;  // (groups tables + 1,)
    float *input, *leak, *weights;  // (groups, F + 1, W); (groups W,); terms of W floats
    uint8_t* places;

    // The layout in `at`, and its size.
    SingleWeights(const ReservoirScan& p, int64_t terms, float* at) {
        const float* first = at;
        auto take = [&at](int64_t n) { float* here = at; at += up_to(n, 16); return here; };
        groups = vectors(p.n_units), tables = (groups + 1) / 2;
        starts = reinterpret_cast<int64_t*>(take(2 * (groups * tables + 1)));
        input = take(groups * (p.n_features + 1) * W), leak = take(groups * W);
        weights = take(terms * W), places = reinterpret_cast<uint8_t*>(take((terms * W + 3) / 4));
        floats = at - first;
    }
    int64_t floats;

    static SingleWeights at(const ReservoirScan& p, float* packed) {
        const SingleWeights empty(p, 0, packed);
        return SingleWeights(p, empty.starts[empty.groups * empty.tables], packed);
    }
    static int64_t terms_of(const ReservoirScan& p, int64_t group, int64_t table) {
        int64_t most = 0;
        const int64_t first = table * 2 * W, n = std::min<int64_t>(2 * W, p.n_units - first);
        for (int64_t u = group * W; u < std::min(p.n_units, (group + 1) * W); ++u)
            most = std::max(most, row_entries(p.recurrent[0] + u * p.n_units + first, n));
        return most;
    }
    static int64_t all_terms(const ReservoirScan& p) {
        int64_t n = 0;
        for (int64_t g = 0; g < vectors(p.n_units); ++g)
            for (int64_t table = 0; table < (vectors(p.n_units) + 1) / 2; ++table) n += terms_of(p, g, table);
        return n;
    }
    static void pack(const ReservoirScan& p, float* at) {
        const int64_t terms = all_terms(p);
        SingleWeights w(p, terms, at);
        std::memset(at, 0, sizeof(float) * w.floats);
        for (int64_t u = 0; u < p.n_units; ++u) {
            w.leak[u] = p.leak[0][u];
            for (int64_t f = 0; f <= p.n_features; ++f)
                w.input[(u / W * (p.n_features + 1) + f) * W + u % W] = p.input[0][u * (p.n_features + 1) + f];
        }
        for (int64_t g = 0, n = 0; g < w.groups; ++g)
            for (int64_t table = 0; table < w.tables; ++table) {
                w.fill(p, g, table, n);
                w.starts[g * w.tables + table] = n, n += terms_of(p, g, table);
            }
        w.starts[w.groups * w.tables] = terms;
    }
    void fill(const ReservoirScan& p, int64_t group, int64_t table, int64_t first) const {
        const int64_t N = p.n_units, begin = table * 2 * W, end = std::min<int64_t>(N, begin + 2 * W);
        for (int64_t u = group * W; u < std::min(N, (group + 1) * W); ++u)
            for (int64_t k = begin, n = first; k < end; ++k) {
                if (p.recurrent[0][u * N + k] == 0.0f) continue;
                weights[n * W + u % W] = p.recurrent[0][u * N + k];
                places[n++ * W + u % W] = static_cast<uint8_t>(k - begin);
            }
    }
};

// Floats of the packed weights of the one reservoir that the scan has.
inline int64_t reservoir_packed(const ReservoirScan& p) {
    const ReservoirSizes s(p);
    const Form form = reservoir_form(p);
    if (form == Form::DENSE) return s.K * padded(s.N);
    return form == Form::SINGLE ? SingleWeights(p, SingleWeights::all_terms(p), nullptr).floats : LaneWeights::floats(p);
}

inline void pack_reservoir(const ReservoirScan& p, float* packed) {
    const ReservoirSizes s(p);
    const Form form = reservoir_form(p);
    if (form == Form::LANES) LaneWeights(p, packed).pack(p);
    if (form == Form::SINGLE) SingleWeights::pack(p, packed);
    if (form == Form::DENSE)
        pack_panels(packed, s.K, s.N, [&](int64_t k, int64_t n) {
            if (k < s.N) return p.recurrent[0][n * s.N + k];
            return p.input[0][n * (s.F + 1) + (k < s.N + s.F ? 1 + k - s.N : 0)];
        });
}

inline int64_t reservoir_scratch(const ReservoirScan& p) {
    const ReservoirSizes s(p);
    if (reservoir_form(p) == Form::DENSE) return DENSE_ROWS * (2 * s.Kp + padded(s.N));
    if (reservoir_form(p) == Form::SINGLE) return 3 * up_to(s.N, 2 * W);
    return (3 * s.N + s.F) * LANE_VECTORS * W;
}

// The rows of a tile of one reservoir, the longest first, and where their inputs and results lie.
struct ReservoirRows {
    const ReservoirScan& p;
    int64_t d, n, first, n_steps;
    ReservoirRows(const ReservoirScan& p, int64_t task) : p(p), d(task / reservoir_tiles(p)), n_steps(0) {
        const int64_t most = tile_rows_of(p);
        first = task % reservoir_tiles(p) * most;
        n = std::min(most, p.n_rows - first);
        n_steps = length(0);
    }
    int64_t row(int64_t r) const { return p.order[first + r]; }
    int64_t length(int64_t r) const { return std::min(p.lengths[row(r)], p.n_steps); }
    int64_t alive(int64_t t) const {
        int64_t found = n;
        while (found && length(found - 1) <= t) --found;
        return found;
    }
    const float* features(int64_t r, int64_t t) const {
        return p.x + d * p.x_reservoir + row(r) * p.x_row + t * p.x_step;
    }
    float* states(int64_t r, int64_t t) const {
        return p.states + d * p.states_reservoir + t * p.states_step + row(r) * p.states_row;
    }
    float* pooled(float* of, int64_t r) const { return of + row(r) * p.pooled_row + d * p.n_units; }
    float share(int64_t r) const { return 1.0f / static_cast<float>(length(r) > 0 ? length(r) : 1); }
    // Behind its end a sequence keeps its last state.
    void freeze() const {
        for (int64_t r = 0; p.states && r < n; ++r)
            for (int64_t t = length(r); t < p.n_steps; ++t)
                if (t)
                    std::memcpy(states(r, t), states(r, t - 1), sizeof(float) * p.n_units);
                else
                    std::memset(states(r, t), 0, sizeof(float) * p.n_units);
    }
};

// R rows of up to four vectors of units, with dense weights.
struct DenseStep {
    const ReservoirSizes& s;
    const float *operands, *panel, *leak;
    int64_t unit;
    float* next;
    template <int R, int NV>
    void block(int64_t row) const {
        V acc[R][NV];
        for (int i = 0; i < R; ++i)
            for (int j = 0; j < NV; ++j) acc[i][j] = splat(0.0f);
        multiply(acc, operands + row * s.Kp, s.Kp, s.K, panel);
        for (int i = 0; i < R; ++i)
            for (int j = 0; j < NV; ++j) {
                const int64_t u = unit + j * W, n = s.N - u;
                const V before = load_part(operands + (row + i) * s.Kp + u, n);
                const V after = before + load_part(leak + u, n) * (tanh_of(acc[i][j]) - before);
                store_part(next + (row + i) * s.Kp + u, after, n);
            }
    }
    template <int R>
    void operator()(int64_t row) const {
        const int width = panel_vectors(vectors(s.N - unit));
        if (width == 4) block<R, 4>(row);
        if (width == 3) block<R, 3>(row);
        if (width == 2) block<R, 2>(row);
        if (width == 1) block<R, 1>(row);
    }
};

inline void add_vectors(float* to, const float* from, int64_t n) {
    for (int64_t u = 0; u < n; u += W) add_part(to + u, load_part(from + u, n - u), n - u);
}

inline void write_mean(float* to, const float* sum, float share, int64_t n) {
    for (int64_t u = 0; u < n; u += W) store_part(to + u, share * load_part(sum + u, n - u), n - u);
}

inline void dense_tile(const ReservoirScan& p, const ReservoirRows& rows, const float* packed, float* scratch) {
    const ReservoirSizes s(p);
    float* operands[2] = {scratch, scratch + DENSE_ROWS * s.Kp};
    float* sums = scratch + 2 * DENSE_ROWS * s.Kp;
    const int64_t pitch = padded(s.N);
    std::memset(scratch, 0, sizeof(float) * reservoir_scratch(p));
    for (int64_t r = 0; r < DENSE_ROWS; ++r) operands[0][r * s.Kp + s.K - 1] = operands[1][r * s.Kp + s.K - 1] = 1.0f;
    for (int64_t t = 0; t < rows.n_steps; ++t) {
        const int64_t alive = rows.alive(t);
        float *from = operands[t % 2], *next = operands[(t + 1) % 2];
        for (int64_t r = 0; r < alive; ++r) copy_floats(from + r * s.Kp + s.N, rows.features(r, t), s.F);
        const float* panel = packed;
        for (int64_t unit = 0, width; unit < s.N; unit += width, panel += s.K * width) {
            width = panel_vectors(vectors(s.N - unit)) * W;
            in_blocks(alive, DenseStep{s, from, panel, p.leak[rows.d], unit, next});
        }
        for (int64_t r = 0; r < alive; ++r) {
            const float* x = next + r * s.Kp;
            if (p.states) copy_floats(rows.states(r, t), x, s.N);
            if (p.mean) add_vectors(sums + r * pitch, x, s.N);
            if (p.last && t == rows.length(r) - 1) copy_floats(rows.pooled(p.last, r), x, s.N);
        }
    }
    for (int64_t r = 0; p.mean && r < rows.n; ++r)
        write_mean(rows.pooled(p.mean, r), sums + r * pitch, rows.share(r), s.N);
}

// One step of NV vectors of sequences. States (N, NV W) and the features of a step (F, NV W) have them side by side.
template <int NV>
inline void lanes_step(const ReservoirScan& p, const LaneWeights& w, int64_t d, const float* x, float* next, float* sums,
                       const float* features, int64_t n_alive) {
    constexpr int64_t L = NV * W;
    V alive[NV] = {};
    for (int j = 0; j < NV; ++j)
        for (int i = 0; i < W; ++i) alive[j][i] = j * W + i < n_alive ? 1.0f : 0.0f;
    const int64_t N = p.n_units, F = p.n_features;
    const float *input = p.input[d], *leaks = p.leak[d];
    for (int64_t u = 0; u < N; ++u, input += F + 1) {
        V acc[NV];
        for (int j = 0; j < NV; ++j) acc[j] = splat(input[0]);
        for (int64_t f = 0; f < F; ++f)
            for (int j = 0; j < NV; ++j) acc[j] += input[1 + f] * load(features + f * L + j * W);
        for (int64_t k = w.starts[u]; k < w.starts[u + 1]; ++k) {
            const float *from = x + w.entries[k].at * L, weight = w.entries[k].weight;
            for (int j = 0; j < NV; ++j) acc[j] += weight * load(from + j * W);
        }
        for (int j = 0; j < NV; ++j) {
            const V before = load(x + u * L + j * W);
            const V after = before + leaks[u] * alive[j] * (tanh_of(acc[j]) - before);
            store(next + u * L + j * W, after);
            if (p.mean) store(sums + u * L + j * W, load(sums + u * L + j * W) + alive[j] * after);
        }
    }
}

template <int NV>
inline void lanes_tile(const ReservoirScan& p, const ReservoirRows& rows, const LaneWeights& w, float* scratch) {
    constexpr int64_t L = NV * W;
    const int64_t N = p.n_units, F = p.n_features;
    float *states[2] = {scratch, scratch + N * L}, *sums = scratch + 2 * N * L, *features = sums + N * L;
    std::memset(scratch, 0, sizeof(float) * (3 * N + F) * L);
    for (int64_t t = 0; t < rows.n_steps; ++t) {
        const int64_t alive = rows.alive(t);
        const float *x = states[t % 2];
        float* next = states[(t + 1) % 2];
        for (int64_t r = 0; r < alive; ++r) {
            const float* u = rows.features(r, t);
            for (int64_t f = 0; f < F; ++f) features[f * L + r] = u[f];
        }
        lanes_step<NV>(p, w, rows.d, x, next, sums, features, alive);
        for (int64_t r = 0; p.states && r < alive; ++r) {
            float* to = rows.states(r, t);
            for (int64_t u = 0; u < N; ++u) to[u] = next[u * L + r];
        }
    }
    const float* end = states[rows.n_steps % 2];
    for (int64_t r = 0; r < rows.n; ++r)
        for (int64_t u = 0; u < N; ++u) {
            if (p.last) rows.pooled(p.last, r)[u] = end[u * L + r];
            if (p.mean) rows.pooled(p.mean, r)[u] = rows.share(r) * sums[u * L + r];
        }
}

#if defined(__AVX512F__)
// One sequence alone.
inline void single_tile(const ReservoirScan& p, const ReservoirRows& rows, const SingleWeights& w, float* scratch) {
    const int64_t N = p.n_units, F = p.n_features, size = up_to(N, 2 * W);
    float *states[2] = {scratch, scratch + size}, *sums = scratch + 2 * size;
    std::memset(scratch, 0, sizeof(float) * 3 * size);
    for (int64_t t = 0; t < rows.n_steps; ++t) {
        const float *x = states[t % 2], *u = rows.features(0, t);
        float* next = states[(t + 1) % 2];
        for (int64_t g = 0; g < w.groups; ++g) {
            const float* input = w.input + g * (F + 1) * W;
            V acc = load(input);
            for (int64_t f = 0; f < F; ++f) acc += u[f] * load(input + (1 + f) * W);
            const int64_t* starts = w.starts + g * w.tables;
            for (int64_t table = 0; table < w.tables; ++table) {
                const V low = load(x + table * 2 * W), high = load(x + table * 2 * W + W);
                for (int64_t k = starts[table]; k < starts[table + 1]; ++k) {
                    const auto bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(w.places + k * W));
                    acc += load(w.weights + k * W) * _mm512_permutex2var_ps(low, _mm512_cvtepu8_epi32(bytes), high);
                }
            }
            const V before = load(x + g * W), after = before + load(w.leak + g * W) * (tanh_of(acc) - before);
            store(next + g * W, after);
        }
        if (p.mean) add_vectors(sums, next, N);
        if (p.states) copy_floats(rows.states(0, t), next, N);
    }
    if (p.last) copy_floats(rows.pooled(p.last, 0), states[rows.n_steps % 2], N);
    if (p.mean) write_mean(rows.pooled(p.mean, 0), sums, rows.share(0), N);
}
#else
inline void single_tile(const ReservoirScan&, const ReservoirRows&, const SingleWeights&, float*) {}
#endif

inline void reservoir_tile(const ReservoirScan& p, int64_t task, float* scratch) {
    const ReservoirRows rows(p, task);
    float* weights = p.packed[rows.d];
    switch (reservoir_form(p)) {
        case Form::DENSE: dense_tile(p, rows, weights, scratch); break;
        case Form::SINGLE: single_tile(p, rows, SingleWeights::at(p, weights), scratch); break;
        case Form::LANES:
            if (rows.n <= W)
                lanes_tile<1>(p, rows, LaneWeights(p, weights), scratch);
            else
                lanes_tile<LANE_VECTORS>(p, rows, LaneWeights(p, weights), scratch);
    }
    rows.freeze();
}

}  // namespace
