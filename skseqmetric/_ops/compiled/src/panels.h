// Products of the rows of a scan with weights in panels of four vectors: blocks of rows that fill the registers.
#pragma once

#include <cstring>

#include "product.h"

namespace {

#if defined(__AVX512F__)
constexpr int BLOCK = 6;  // rows whose 4 vectors each, 4 vectors of weights and one number fill 32 registers
#else
constexpr int BLOCK = 2;  // 16 registers
#endif
constexpr int PANEL = 4;  // vectors

inline int64_t up_to(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

// block(row, integral constant of rows) for all rows: whole blocks, and then few rows one by one or many as a block.
// Buffers have room for whole blocks.
template <typename Work>
inline void in_blocks(int64_t n_rows, const Work& work) {
    int64_t row = 0;
    for (; n_rows - row >= BLOCK; row += BLOCK) work.template operator()<BLOCK>(row);
    if (n_rows - row > 2) return work.template operator()<BLOCK>(row);
    for (; row < n_rows; ++row) work.template operator()<1>(row);
}

inline void copy_floats(float* to, const float* from, int64_t n) {
    for (int64_t u = 0; u < n; u += W) store_part(to + u, load_part(from + u, n - u), n - u);
}

// Panels of four vectors as long as they go, but 3 and 2 rather than 4 and 1.
inline int panel_vectors(int64_t left) { return left == 5 ? 3 : left < PANEL ? static_cast<int>(left) : PANEL; }

// value(k, n) of a (K, N) matrix as panels (k, vectors of the panel), zeros where n lies behind the end.
template <typename Value>
inline void pack_panels(float* out, int64_t K, int64_t N, const Value& value) {
    for (int64_t first = 0, end; first < N; first = end) {
        end = first + panel_vectors(vectors(N - first)) * W;
        for (int64_t k = 0; k < K; ++k)
            for (int64_t n = first; n < end; ++n) *out++ = n < N ? value(k, n) : 0.0f;
    }
}

// Not inlined, as the block of an update: among a caller's values not all sums would stay in registers.
template <int R, int NV>
__attribute__((noinline)) void panel_block(float* c, int64_t ldc, const float* a, int64_t lda, int64_t K, const float* panel) {
    V acc[R][NV];
    for (int i = 0; i < R; ++i)
        for (int j = 0; j < NV; ++j) acc[i][j] = splat(0.0f);
    multiply(acc, a, lda, K, panel);
    for (int i = 0; i < R; ++i)
        for (int j = 0; j < NV; ++j) store(c + i * ldc + j * W, acc[i][j]);
}

struct PanelProduct {
    float* c;
    int64_t ldc;
    const float* a;
    int64_t lda, K;
    const float* panel;
    int width;
    template <int R>
    void operator()(int64_t row) const {
        float* to = c + row * ldc;
        const float* from = a + row * lda;
        if (width == 4) panel_block<R, 4>(to, ldc, from, lda, K, panel);
        if (width == 3) panel_block<R, 3>(to, ldc, from, lda, K, panel);
        if (width == 2) panel_block<R, 2>(to, ldc, from, lda, K, panel);
        if (width == 1) panel_block<R, 1>(to, ldc, from, lda, K, panel);
    }
};

// c (M, N) = a (M, K) B with B from pack_panels; rows of c have room for whole vectors.
inline void panel_product(float* c, int64_t ldc, const float* a, int64_t lda, int64_t M, int64_t K, const float* packed,
                          int64_t N) {
    for (int64_t first = 0, width; first < N; first += width * W, packed += K * width * W) {
        width = panel_vectors(vectors(N - first));
        in_blocks(M, PanelProduct{c + first, ldc, a, lda, K, packed, static_cast<int>(width)});
    }
}

// R rows and NV vectors of c += a^T b, for a (K, R) and b (K, NV W).
template <int R, int NV>
__attribute__((noinline)) void update_block(float* c, int64_t ldc, const float* a, int64_t lda, const float* b, int64_t ldb, int64_t K) {
    V acc[R][NV];
    for (int i = 0; i < R; ++i)
        for (int j = 0; j < NV; ++j) acc[i][j] = load(c + i * ldc + j * W);
    for (int64_t k = 0; k < K; ++k) {
        V row[NV];
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) row[j] = load(b + k * ldb + j * W);
#pragma GCC unroll 8
        for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) acc[i][j] += a[k * lda + i] * row[j];
    }
    for (int i = 0; i < R; ++i)
        for (int j = 0; j < NV; ++j) store(c + i * ldc + j * W, acc[i][j]);
}

struct PanelUpdate {
    float* c;
    int64_t ldc;
    const float* a;
    int64_t lda;
    const float* b;
    int64_t ldb, K;
    int width;
    template <int R>
    void operator()(int64_t row) const {
        float* to = c + row * ldc;
        const float* from = a + row;
        if (width == 4) update_block<R, 4>(to, ldc, from, lda, b, ldb, K);
        if (width == 3) update_block<R, 3>(to, ldc, from, lda, b, ldb, K);
        if (width == 2) update_block<R, 2>(to, ldc, from, lda, b, ldb, K);
        if (width == 1) update_block<R, 1>(to, ldc, from, lda, b, ldb, K);
    }
};

// c (M, N) += a^T b for a (K, M), b (K, N). M is rounded up to whole blocks and N to vectors.
inline void panel_update(float* c, int64_t ldc, const float* a, int64_t lda, int64_t M, const float* b, int64_t ldb,
                         int64_t N, int64_t K) {
    for (int64_t first = 0, width; first < N; first += width * W) {
        width = panel_vectors(vectors(N - first));
        in_blocks(M, PanelUpdate{c + first, ldc, a, lda, b + first, ldb, K, static_cast<int>(width)});
    }
}

}  // namespace
