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

}  // namespace
