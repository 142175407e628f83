// Small matrix products on packed panels: the rows of a tile times weights that stay in the caches.
#pragma once

#include "simd.h"

namespace {

inline int64_t vectors(int64_t n) { return (n + W - 1) / W; }
inline int64_t padded(int64_t n) { return vectors(n) * W; }

// Panels of 3 vectors as long as they go, but two of 2 rather than 3 and 1.
inline int panel_width(int64_t vectors_left) {
    if (vectors_left == 4 || vectors_left == 2) return 2;
    return vectors_left < 3 ? static_cast<int>(vectors_left) : 3;
}

// B[k][n] = source[k * row + n * column] as panels (k, vectors of the panel), zeros where n lies behind the end.
inline void pack(float* out, const float* source, int64_t K, int64_t N, int64_t row, int64_t column) {
    for (int64_t start = 0; start < vectors(N);) {
        const int width = panel_width(vectors(N) - start);
        for (int64_t k = 0; k < K; ++k)
            for (int64_t n = start * W; n < (start + width) * W; ++n)
                *out++ = n < N ? source[k * row + n * column] : 0.0f;
        start += width;
    }
}

// acc[i] += sum over k of a[i * lda + k] * panel[k]
template <int NV, int R>
inline __attribute__((always_inline)) void multiply(V (&acc)[R][NV], const float* a, int64_t lda, int64_t K,
                                                    const float* panel) {
    for (int64_t k = 0; k < K; ++k) {
        V b[NV];
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) b[j] = load(panel + (k * NV + j) * W);
#pragma GCC unroll 8
        for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) acc[i][j] += a[i * lda + k] * b[j];
    }
}

template <int NV>
inline void block_product(float* c, int64_t ldc, const float* a, int64_t lda, int64_t K, const float* panel) {
    V acc[MR][NV];
    for (int i = 0; i < MR; ++i)
        for (int j = 0; j < NV; ++j) acc[i][j] = load(c + i * ldc + j * W);
    multiply(acc, a, lda, K, panel);
    for (int i = 0; i < MR; ++i)
        for (int j = 0; j < NV; ++j) store(c + i * ldc + j * W, acc[i][j]);
}

// c (MR, N) += a (MR, K) B, B packed from K_total rows of which those from k_first on are used
inline void product(float* c, int64_t ldc, const float* a, int64_t lda, int64_t K, const float* packed, int64_t N,
                    int64_t K_total, int64_t k_first = 0) {
    for (int64_t start = 0; start < vectors(N);) {
        const int width = panel_width(vectors(N) - start);
        const float* panel = packed + k_first * width * W;
        float* to = c + start * W;
        if (width == 3) block_product<3>(to, ldc, a, lda, K, panel);
        if (width == 2) block_product<2>(to, ldc, a, lda, K, panel);
        if (width == 1) block_product<1>(to, ldc, a, lda, K, panel);
        packed += K_total * width * W;
        start += width;
    }
}

template <int NV>
inline void block_update(float* c, int64_t ldc, const float* a, int64_t lda, const float* b, int64_t ldb, int64_t K) {
    V acc[MR][NV];
    for (int i = 0; i < MR; ++i)
        for (int j = 0; j < NV; ++j) acc[i][j] = load(c + i * ldc + j * W);
    for (int64_t k = 0; k < K; ++k) {
        V row[NV];
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) row[j] = load(b + k * ldb + j * W);
#pragma GCC unroll 8
        for (int i = 0; i < MR; ++i)
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) acc[i][j] += a[k * lda + i] * row[j];
    }
    for (int i = 0; i < MR; ++i)
        for (int j = 0; j < NV; ++j) store(c + i * ldc + j * W, acc[i][j]);
}

// c (M, N) += a^T b for a (K, M), b (K, N): the gradient of weights from K rows at once. M is rounded up to MR, N to W.
inline void rank_update(float* c, int64_t ldc, const float* a, int64_t lda, int64_t M, const float* b, int64_t ldb,
                        int64_t N, int64_t K) {
    for (int64_t start = 0; start < vectors(N);) {
        const int width = panel_width(vectors(N) - start);
        for (int64_t m = 0; m < M; m += MR) {
            float* to = c + m * ldc + start * W;
            if (width == 3) block_update<3>(to, ldc, a + m, lda, b + start * W, ldb, K);
            if (width == 2) block_update<2>(to, ldc, a + m, lda, b + start * W, ldb, K);
            if (width == 1) block_update<1>(to, ldc, a + m, lda, b + start * W, ldb, K);
        }
        start += width;
    }
}

}  // namespace
