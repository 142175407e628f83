// One step of a reservoir: a product with weights that no cache close to the core holds, tanh and leak applied to it in
// registers.
#pragma once

#include "kernels.h"
#include "product.h"

namespace {

constexpr int64_t RESERVOIR_ROWS = 96;  // whose states stay in the second-level cache while the weights pass by

// R rows from `row` on, NV vectors of units from `unit` on; the last may reach behind the end.
template <int R, int NV>
inline void reservoir_block(const ReservoirStep& s, const float* panel, int64_t row, int64_t unit) {
    const int64_t N = s.n_units;
    const float* x = s.x + row * N;
    float* projected = s.projected + row * N;
    V acc[R][NV];
    for (int i = 0; i < R; ++i)
        for (int j = 0; j < NV; ++j) acc[i][j] = load_part(projected + i * N + unit + j * W, N - unit - j * W);
    multiply(acc, x, N, N, panel);
    for (int i = 0; i < R; ++i)
        for (int j = 0; j < NV; ++j) {
            const int64_t u = unit + j * W;
            const V before = load_part(x + i * N + u, N - u), leak = load_part(s.leak + u, N - u);
            store_part(projected + i * N + u, before + leak * (tanh_of(acc[i][j]) - before), N - u);
        }
}

template <int R>
inline void reservoir_rows(const ReservoirStep& s, int64_t first, int64_t last) {
    const int64_t N = s.n_units;
    const float* panel = s.packed;
    for (int64_t start = 0; start < vectors(N);) {
        const int width = panel_width(vectors(N) - start);
        for (int64_t row = first; row < last; row += R) {
            if (width == 3) reservoir_block<R, 3>(s, panel, row, start * W);
            if (width == 2) reservoir_block<R, 2>(s, panel, row, start * W);
            if (width == 1) reservoir_block<R, 1>(s, panel, row, start * W);
        }
        panel += N * width * W;
        start += width;
    }
}

constexpr int SPARSE_VECTORS = 4;  // of sequences that a unit is computed for at once: an entry is read once for all

// NV vectors of sequences from `first` on, of which there are so many. Their states are gathered before, so that an entry
// finds them in one place and not on a page of its own.
template <int NV>
inline void sparse_block(const SparseStep& s, int64_t first, int64_t n, float* gathered) {
    for (int64_t u = 0; u < s.n_units; ++u)
        for (int j = 0; j < NV; ++j) store(gathered + (u * NV + j) * W, load_part(s.x + u * s.ldx + first + j * W, n - j * W));
    for (int64_t u = 0; u < s.n_units; ++u) {
        float* projected = s.projected + u * s.ldp + first;
        V acc[NV];
        for (int j = 0; j < NV; ++j) acc[j] = load_part(projected + j * W, n - j * W);
        for (int32_t k = s.starts[u]; k < s.starts[u + 1]; ++k) {
            const float* x = gathered + s.columns[k] * static_cast<int64_t>(NV * W);
            const float weight = s.values[k];
            for (int j = 0; j < NV; ++j) acc[j] += weight * load(x + j * W);
        }
        const float leak = s.leak[u];
        for (int j = 0; j < NV; ++j) {
            const V before = load(gathered + (u * NV + j) * W), after = before + leak * (tanh_of(acc[j]) - before);
            store_part(projected + j * W, after, n - j * W);
            store_part(s.x + u * s.ldx + first + j * W, after, n - j * W);
        }
    }
}

}  // namespace
