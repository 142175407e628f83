// Places of sequences: packed across for products, squared lengths, and squared differences.
#pragma once

#include <algorithm>

#include "product.h"

namespace {

typedef double VD __attribute__((vector_size(4 * W)));  // half as many numbers as V has

// The least of a vector, in every lane.
inline V least_of(V v) {
#if defined(__AVX512F__)
    return _mm512_set1_ps(_mm512_reduce_min_ps(v));
#elif defined(__AVX2__)
    v = _mm256_min_ps(v, _mm256_permute2f128_ps(v, v, 1));
    v = _mm256_min_ps(v, _mm256_permute_ps(v, 0x4E));
    return _mm256_min_ps(v, _mm256_permute_ps(v, 0xB1));
#else
    float least = v[0];
    for (int i = 1; i < W; ++i) least = v[i] < least ? v[i] : least;
    return splat(least);
#endif
}

// A bit for every lane in which v exceeds both.
inline uint64_t above_both(V v, V a, V b) {
#if defined(__AVX512F__)
    return _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(v, a, _CMP_GT_OQ), v, b, _CMP_GT_OQ);
#elif defined(__AVX2__)
    const V above = _mm256_and_ps(_mm256_cmp_ps(v, a, _CMP_GT_OQ), _mm256_cmp_ps(v, b, _CMP_GT_OQ));
    return static_cast<uint32_t>(_mm256_movemask_ps(above));
#else
    uint64_t bits = 0;
    const VI above = (v > a) & (v > b);
    for (int i = 0; i < W; ++i) bits |= static_cast<uint64_t>(above[i] & 1) << i;
    return bits;
#endif
}

// The first n < W of a vector, zeros behind.
inline V load_first(const float* p, int64_t n) {
#if defined(__AVX2__) && !defined(__AVX512F__)
    static const int32_t mask[2 * W] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_maskload_ps(p, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(mask + W - n)));
#else
    return load_part(p, n);
#endif
}

constexpr int GROUP = 4;  // sums that are computed side by side

// The sum of each vector; all four are added in the same order.
#if defined(__AVX512F__)
inline __m256 folded(__m512 v) { return _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1)); }
#elif defined(__AVX2__)
inline __m256 folded(__m256 v) { return v; }
#endif

inline void sums_of(const V (&v)[GROUP], float* sums) {
#if defined(__AVX2__)
    const __m256 left = _mm256_hadd_ps(folded(v[0]), folded(v[1])), right = _mm256_hadd_ps(folded(v[2]), folded(v[3]));
    const __m256 both = _mm256_hadd_ps(left, right);
    _mm_storeu_ps(sums, _mm_add_ps(_mm256_castps256_ps128(both), _mm256_extractf128_ps(both, 1)));
#else
    for (int i = 0; i < GROUP; ++i) sums[i] = sum_of(v[i]);
#endif
}

// |x - y|^2 of four pairs of places: the same bits for both orders of x and y.
inline void squared_differences(const float* const (&x)[GROUP], const float* const (&y)[GROUP], int64_t D, float* out) {
    V total[GROUP] = {};
    int64_t d = 0;
#pragma GCC unroll 4
    for (; d + W <= D; d += W)
#pragma GCC unroll 4
        for (int i = 0; i < GROUP; ++i) {
            const V difference = load(x[i] + d) - load(y[i] + d);
            total[i] += difference * difference;
        }
    if (d < D)
#pragma GCC unroll 4
        for (int i = 0; i < GROUP; ++i) {
            const V difference = load_first(x[i] + d, D - d) - load_first(y[i] + d, D - d);
            total[i] += difference * difference;
        }
    sums_of(total, out);
}

// The same of one pair, in double precision.
inline double squared_difference(const float* x, const float* y, int64_t D) {
    double total = 0;
    for (int64_t d = 0; d < D; ++d) {
        const double difference = static_cast<double>(x[d]) - static_cast<double>(y[d]);
        total += difference * difference;
    }
    return total;
}

// |x|^2 of four places
inline void squares(const float* const (&x)[GROUP], int64_t D, float* out) {
    V total[GROUP] = {};
    int64_t d = 0;
#pragma GCC unroll 4
    for (; d + W <= D; d += W)
#pragma GCC unroll 4
        for (int i = 0; i < GROUP; ++i) total[i] += load(x[i] + d) * load(x[i] + d);
    if (d < D)
#pragma GCC unroll 4
        for (int i = 0; i < GROUP; ++i) total[i] += load_first(x[i] + d, D - d) * load_first(x[i] + d, D - d);
    sums_of(total, out);
}

// |x|^2 / 2 of n places; the largest of these.
inline float half_squares(const float* x, int64_t n, int64_t D, float* halves) {
    float largest = 0.0f, sums[GROUP];
    for (int64_t p = 0; p < n; p += GROUP) {
        const float* places[GROUP];
        for (int i = 0; i < GROUP; ++i) places[i] = x + std::min(p + i, n - 1) * D;
        squares(places, D, sums);
        for (int i = 0; i < GROUP && p + i < n; ++i) {
            halves[p + i] = 0.5f * sums[i];
            largest = std::max(halves[p + i], largest);
        }
    }
    return largest;
}

// The mean of n numbers, added in an order that n alone decides.
inline double mean_of(const double* x, int64_t n) {
    constexpr int H = W / 2;
    VD lanes = {};
    int64_t i = 0;
    for (; i + H <= n; i += H) {
        VD v;
        std::memcpy(&v, x + i, sizeof v);
        lanes += v;
    }
    double total = 0;
    for (int j = 0; j < H; ++j) total += lanes[j];
    for (; i < n; ++i) total += x[i];
    return total / static_cast<double>(n);
}

#if defined(__AVX2__)
// out[k * step + n] = source[n * row + k] for n, k < 8
inline void transpose_8(float* out, int64_t step, const float* source, int64_t row) {
    __m256 a[8], b[8];
    for (int i = 0; i < 4; ++i) {  // the halves of row i and row i + 4 that have the same k
        a[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(source + i * row)),
                                    _mm_loadu_ps(source + (i + 4) * row), 1);
        a[i + 4] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(source + i * row + 4)),
                                        _mm_loadu_ps(source + (i + 4) * row + 4), 1);
    }
    for (int i = 0; i < 8; i += 4) {
        b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]), b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
        b[i + 2] = _mm256_unpacklo_ps(a[i + 2], a[i + 3]), b[i + 3] = _mm256_unpackhi_ps(a[i + 2], a[i + 3]);
        _mm256_storeu_ps(out + (i + 0) * step, _mm256_shuffle_ps(b[i], b[i + 2], 0x44));
        _mm256_storeu_ps(out + (i + 1) * step, _mm256_shuffle_ps(b[i], b[i + 2], 0xEE));
        _mm256_storeu_ps(out + (i + 2) * step, _mm256_shuffle_ps(b[i + 1], b[i + 3], 0x44));
        _mm256_storeu_ps(out + (i + 3) * step, _mm256_shuffle_ps(b[i + 1], b[i + 3], 0xEE));
    }
}
#endif

// What `pack` does with places (n_places, D), of which one stands in every lane.
inline void pack_places(float* out, const float* places, int64_t n_places, int64_t D) {
#if defined(__AVX2__)
    for (int64_t start = 0; start < vectors(n_places);) {
        const int width = panel_width(vectors(n_places) - start) * W;
        for (int64_t n = 0; n < width; n += 8) {
            const int64_t place = start * W + n;
            const float* source = places + place * D;
            int64_t k = 0;
            for (; k + 8 <= D && place + 8 <= n_places; k += 8) transpose_8(out + k * width + n, width, source + k, D);
            for (; k < D; ++k)
                for (int i = 0; i < 8; ++i) out[k * width + n + i] = place + i < n_places ? source[i * D + k] : 0.0f;
        }
        out += D * width, start += width / W;
    }
#else
    pack(out, places, D, n_places, 1, D);
#endif
}

}  // namespace
