// Products with weights that many calls share: packed once, for the rows of a window or of a step.
#pragma once

#include "kernels.h"
#include "product.h"

namespace {

constexpr int64_t UPDATE_ROWS = 128;  // of a sum over rows at a time, so that they stay in the first-level cache

// R rows of c = a B (or c += a B) from `row` on, NV vectors of columns from `column` on.
template <int R, int NV>
inline void matrix_block(const MatrixProduct& p, const float* panel, int64_t row, int64_t column) {
    const float* a = p.a + row * p.lda;
    float* c = p.c + row * p.ldc + column;
    const int64_t left = p.N - column;
    V acc[R][NV];
    for (int i = 0; i < R; ++i)
        for (int j = 0; j < NV; ++j) acc[i][j] = p.add ? load_part(c + i * p.ldc + j * W, left - j * W) : splat(0.0f);
    multiply(acc, a, p.lda, p.K, panel);
    for (int i = 0; i < R; ++i)
        for (int j = 0; j < NV; ++j) store_part(c + i * p.ldc + j * W, acc[i][j], left - j * W);
}

template <int R>
inline void matrix_rows(const MatrixProduct& p, int64_t first, int64_t last) {
    const float* panel = p.packed;
    for (int64_t start = 0; start < vectors(p.N);) {
        const int width = panel_width(vectors(p.N) - start);
        for (int64_t row = first; row < last; row += R) {
            if (width == 3) matrix_block<R, 3>(p, panel, row, start * W);
            if (width == 2) matrix_block<R, 2>(p, panel, row, start * W);
            if (width == 1) matrix_block<R, 1>(p, panel, row, start * W);
        }
        panel += p.K * width * W;
        start += width;
    }
}

inline void matrix_product(const MatrixProduct& p) {
    const int64_t whole = p.M / MR * MR;
    matrix_rows<MR>(p, 0, whole);
    matrix_rows<1>(p, whole, p.M);
}

}  // namespace
