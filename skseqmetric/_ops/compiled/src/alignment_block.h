// Distances of pairs by soft minima over the costs between their places, and their gradients; `_ops/alignment.py` has
// the equations. The slopes d d^2 / d c of a pair do not depend on the loss, so that the way back is two products.
#pragma once

#include "kernels.h"
#include "matrix.h"

namespace {

// e^x for x <= 0, exactly 1 at 0: faster than exp_of, for shares. 2^r has a minimax fit of our own, and an error of 1e-7
// relative. Below -69 it is constant, small enough to be no share and large enough that no product with it is denormal.
inline V share_of(V x) {
    constexpr float WHOLE = 12582912.0f;  // 1.5 * 2^23: a sum with it is rounded to a whole number, its last bits
    x = at_least(x * 1.4426950f, -100.0f);
    const V shifted = x + WHOLE;
    const V r = x - (shifted - WHOLE);
    const V p = 1.0f + r * (0.69314700f + r * (0.24022243f + r * (0.055507336f + r * (0.009671513f + r * 0.0013264727f))));
    return (V)((VI)p + ((VI)shifted << 23));
}

// out[i][j] = in[j][i] of a square of n numbers a side, or of as many blocks of 8 as hold them; rows of ld numbers.
inline void turn(float* out, const float* in, int64_t n, int64_t ld) {
#if defined(__AVX2__)
    for (int64_t i = 0; i < n; i += 8)
        for (int64_t j = 0; j < n; j += 8) {
            __m256 a[8], b[8];
            for (int k = 0; k < 8; ++k) a[k] = _mm256_loadu_ps(in + (j + k) * ld + i);
            for (int k = 0; k < 8; k += 2) {
                b[k] = _mm256_unpacklo_ps(a[k], a[k + 1]);
                b[k + 1] = _mm256_unpackhi_ps(a[k], a[k + 1]);
            }
            for (int k = 0; k < 8; k += 4) {
                a[k] = _mm256_shuffle_ps(b[k], b[k + 2], 0x44);
                a[k + 1] = _mm256_shuffle_ps(b[k], b[k + 2], 0xee);
                a[k + 2] = _mm256_shuffle_ps(b[k + 1], b[k + 3], 0x44);
                a[k + 3] = _mm256_shuffle_ps(b[k + 1], b[k + 3], 0xee);
            }
            for (int k = 0; k < 4; ++k) {
                _mm256_storeu_ps(out + (i + k) * ld + j, _mm256_permute2f128_ps(a[k], a[k + 4], 0x20));
                _mm256_storeu_ps(out + (i + k + 4) * ld + j, _mm256_permute2f128_ps(a[k], a[k + 4], 0x31));
            }
        }
#else
    for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < n; ++j) out[i * ld + j] = in[j * ld + i];
#endif
}

// A sequence as the right side of products: squared lengths of its places, panels of its places, its places as rows.
struct PackedPlaces {
    int64_t columns, rows, floats;  // where the last two begin, and where all ends
    PackedPlaces(int64_t P, int64_t D) : columns(padded(P)), rows(columns + D * padded(P)), floats(rows + P * padded(D)) {}
};

inline void pack_sequence(float* out, const float* x, int64_t P, int64_t D) {
    const PackedPlaces at(P, D);
    std::memset(out, 0, sizeof(float) * at.columns);
    std::memset(out + at.rows, 0, sizeof(float) * (at.floats - at.rows));
    pack(out + at.columns, x, D, P, 1, D);
    for (int64_t p = 0; p < P; ++p) {
        std::memcpy(out + at.rows + p * padded(D), x + p * D, sizeof(float) * D);
        V squares = splat(0.0f);
        for (int64_t d = 0; d < D; d += W) squares += load_part(x + p * D + d, D - d) * load_part(x + p * D + d, D - d);
        out[p] = sum_of(squares);
    }
}

// What is kept of a pair for the way back: slopes (P, P), and their sums by row and by column.
struct PairSlopes {
    int64_t ld, rows, columns, floats;
    explicit PairSlopes(int64_t P) : ld(padded(P)), rows(P * ld), columns(rows + ld), floats(columns + ld) {}
};

struct SoftScratch {
    float *costs[2], *slopes[2], *turned, *minima[2], *spreads[2];  // [0]: a row is a place of the first sequence
    static int64_t floats(int64_t P) { return 5 * square(P) + 4 * padded(P); }
    SoftScratch(int64_t P, float* memory) {
        std::memset(memory, 0, sizeof(float) * floats(P));  // what lies behind the places is computed with
        float* next = memory;
        for (int i = 0; i < 2; ++i) costs[i] = next, slopes[i] = next + square(P), next += 2 * square(P);
        turned = next, next += square(P);
        for (int i = 0; i < 2; ++i) minima[i] = next, spreads[i] = next + padded(P), next += 2 * padded(P);
    }
    static int64_t square(int64_t P) { return (P + 15) / 16 * 16 * padded(P); }  // whole blocks of `turn`
};

// The soft minimum over n rows of costs in every column: their cost, the slopes d f / d c and d f / d tau.
template <bool SLOPES>
inline void soft_minima(const float* costs, int64_t n, int64_t ld, float tau, float* minima, float* slopes,
                        float* spreads) {
    for (int64_t column = 0; column < ld; column += W) {
        const float* c = costs + column;
        float* slope = slopes + column;
        V least = load(c);
        for (int64_t i = 1; i < n; ++i) least = lesser(load(c + i * ld), least);
        V total = splat(0.0f), above = total, spread = total;
        for (int64_t i = 0; i < n; ++i) {
            const V over = load(c + i * ld) - least, share = share_of(over * -tau);
            total += share;
            above += share * over;
            if (SLOPES) store(slope + i * ld, share);
        }
        const V one = 1.0f / total;
        above *= one;
        const V minimum = least + above;
        store(minima + column, minimum);
        if (!SLOPES) continue;
        for (int64_t i = 0; i < n; ++i) {
            const V share = load(slope + i * ld) * one, over = load(c + i * ld) - minimum, weighted = share * over;
            spread -= weighted * over;
            store(slope + i * ld, share - tau * weighted);
        }
        store(spreads + column, spread);
    }
}

inline float sum_of_first(const float* values, int64_t n) {
    V total = splat(0.0f);
    for (int64_t i = 0; i < n; i += W) total += load_part(values + i, n - i);
    return sum_of(total);
}

// Slopes by both minima, [0] by those over the first sequence, and their sums.
inline void write_slopes(const SoftScratch& s, int64_t P, float* out) {
    const PairSlopes at(P);
    turn(s.turned, s.slopes[1], P, at.ld);
    std::memset(out + at.columns, 0, sizeof(float) * at.ld);
    for (int64_t p = 0; p < P; ++p) {
        V total = splat(0.0f);
        for (int64_t q = 0; q < P; q += W) {
            const float *one = s.slopes[0] + p * at.ld + q, *other = s.turned + p * at.ld + q;
            const V slope = load_part(one, P - q) + load_part(other, P - q);
            store(out + p * at.ld + q, slope);
            store(out + at.columns + q, load(out + at.columns + q) + slope);
            total += slope;
        }
        out[at.rows + p] = sum_of(total);
    }
}

template <bool SLOPES>
inline void align_pair(const SoftAlignment& a, const SoftScratch& s, int64_t pair) {
    const int64_t P = a.P, ld = padded(P), i = a.rows[pair], j = a.columns[pair];
    const PackedPlaces at(P, a.D);
    const float *lengths = a.packed + i * at.floats, *second = a.packed + j * at.floats;
    matrix_product({a.states + i * P * a.D, second + at.columns, s.costs[0], a.D, ld, P, a.D, ld, 0});
    for (int64_t p = 0; p < P; ++p)
        for (int64_t q = 0; q < ld; q += W) {
            float* c = s.costs[0] + p * ld + q;
            store(c, at_least((lengths[p] + load(second + q)) - 2.0f * load(c), 0.0f));
        }
    turn(s.costs[1], s.costs[0], P, ld);
    for (int way = 0; way < 2; ++way)
        soft_minima<SLOPES>(s.costs[way], P, ld, a.tau, s.minima[way], s.slopes[way], s.spreads[way]);
    a.squared[pair] = (sum_of_first(s.minima[0], P) + sum_of_first(s.minima[1], P)) / P;
    if (!SLOPES) return;
    write_slopes(s, P, a.slopes + pair * PairSlopes(P).floats);
    a.by_tau[pair] = (sum_of_first(s.spreads[0], P) + sum_of_first(s.spreads[1], P)) / P;
}

// R rows and NV vectors of c += factor S B, or S^T B.
template <int R, int NV, bool TURNED>
inline void slope_block(float* c, int64_t D, const float* s, int64_t P, const float* b, float factor, int64_t left) {
    const int64_t lds = padded(P), ldb = padded(D);
    V acc[R][NV];
    for (int i = 0; i < R; ++i)
        for (int j = 0; j < NV; ++j) acc[i][j] = splat(0.0f);
    for (int64_t k = 0; k < P; ++k) {
        V row[NV];
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) row[j] = load(b + k * ldb + j * W);
#pragma GCC unroll 8
        for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) acc[i][j] += (TURNED ? s[k * lds + i] : s[i * lds + k]) * row[j];
    }
    for (int i = 0; i < R; ++i)
        for (int j = 0; j < NV; ++j) {
            float* to = c + i * D + j * W;
            store_part(to, load_part(to, left - j * W) + factor * acc[i][j], left - j * W);
        }
}

template <int R, bool TURNED>
inline void slope_rows(float* c, int64_t first, int64_t last, const float* s, int64_t P, int64_t D, const float* b,
                       float factor) {
    for (int64_t start = 0; start < vectors(D);) {
        const int width = panel_width(vectors(D) - start);
        const int64_t d = start * W;
        for (int64_t p = first; p < last; p += R) {
            const float* from = s + (TURNED ? p : p * padded(P));
            if (width == 3) slope_block<R, 3, TURNED>(c + p * D + d, D, from, P, b + d, factor, D - d);
            if (width == 2) slope_block<R, 2, TURNED>(c + p * D + d, D, from, P, b + d, factor, D - d);
            if (width == 1) slope_block<R, 1, TURNED>(c + p * D + d, D, from, P, b + d, factor, D - d);
        }
        start += width;
    }
}

// c (P, D) += factor S y, or S^T y.
template <bool TURNED>
inline void slope_product(float* c, const float* s, int64_t P, int64_t D, const float* y, float factor) {
    const int64_t whole = P / MR * MR;
    slope_rows<MR, TURNED>(c, 0, whole, s, P, D, y, factor);
    slope_rows<1, TURNED>(c, whole, P, s, P, D, y, factor);
}

// The gradient of one sequence's states by all its pairs, in their order: 2 (sum of slopes) x - 2 S y.
inline void sequence_gradient(const SoftGradient& g, int64_t sequence, float* sums) {
    const int64_t P = g.P, D = g.D;
    const PackedPlaces packed(P, D);
    const PairSlopes at(P);
    float* out = g.grad + sequence * P * D;
    if (g.starts[sequence] == g.starts[sequence + 1]) return;
    std::memset(sums, 0, sizeof(float) * P);
    for (int64_t n = g.starts[sequence]; n < g.starts[sequence + 1]; ++n) {
        const int64_t pair = g.entries[n] / 2, second = g.entries[n] % 2;
        const float outer = 2.0f * g.outer[pair] / P, *s = g.slopes + pair * at.floats;
        if (outer == 0.0f) continue;  // many losses are of few pairs
        const float* sum = s + (second ? at.columns : at.rows);
        for (int64_t p = 0; p < P; ++p) sums[p] += outer * sum[p];
        const float* y = g.packed + (second ? g.rows : g.columns)[pair] * packed.floats + packed.rows;
        second ? slope_product<true>(out, s, P, D, y, -outer) : slope_product<false>(out, s, P, D, y, -outer);
    }
    const float* x = g.states + sequence * P * D;
    for (int64_t p = 0; p < P; ++p)
        for (int64_t d = 0; d < D; ++d) out[p * D + d] += sums[p] * x[p * D + d];
}

}  // namespace
