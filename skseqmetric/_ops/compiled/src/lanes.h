// Vectors of float and of double for kernels that give every lane a problem of its own. Sources that include this file
// are compiled with -ffp-contract=off: a multiplication and an addition are fused where the source says so, and nowhere
// else, so that doubles have the same bits from every instruction set.
#pragma once

#include <cstdint>
#include <limits>

#if defined(__AVX512F__) || defined(__AVX2__) || defined(__SSE2__)
#if defined(__GNUC__) && !defined(__clang__)
// false alarms of GCC 12 about its own header
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int LANE_BYTES = 64;
#elif defined(__AVX2__)
constexpr int LANE_BYTES = 32;
#else
constexpr int LANE_BYTES = 16;
#endif

template <typename Real>
struct Lanes;

template <>
struct Lanes<float> {
    static constexpr int N = LANE_BYTES / 4;
    typedef float V __attribute__((vector_size(LANE_BYTES), may_alias));
    typedef int32_t I __attribute__((vector_size(LANE_BYTES)));
    typedef int32_t Int;

#if defined(__AVX512F__)
    static V splat(float x) { return (V)_mm512_set1_ps(x); }
    static V least(V a, V b) { return (V)_mm512_min_ps((__m512)a, (__m512)b); }
    static V most(V a, V b) { return (V)_mm512_max_ps((__m512)a, (__m512)b); }
    static bool any_within(V a, V b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LE_OQ) != 0; }
    static V plus_square(V sum, V d) { return (V)_mm512_fmadd_ps((__m512)d, (__m512)d, (__m512)sum); }
#elif defined(__AVX2__)
    static V splat(float x) { return (V)_mm256_set1_ps(x); }
    static V least(V a, V b) { return (V)_mm256_min_ps((__m256)a, (__m256)b); }
    static V most(V a, V b) { return (V)_mm256_max_ps((__m256)a, (__m256)b); }
    static bool any_within(V a, V b) {
        return _mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_LE_OQ)) != 0;
    }
    static V plus_square(V sum, V d) { return (V)_mm256_fmadd_ps((__m256)d, (__m256)d, (__m256)sum); }
#else
    static V splat(float x) { return V{x, x, x, x}; }
    static V plus_square(V sum, V d) { return sum + d * d; }
#if defined(__SSE2__)
    static V least(V a, V b) { return (V)_mm_min_ps((__m128)a, (__m128)b); }
    static V most(V a, V b) { return (V)_mm_max_ps((__m128)a, (__m128)b); }
    static bool any_within(V a, V b) { return _mm_movemask_ps(_mm_cmple_ps((__m128)a, (__m128)b)) != 0; }
#else
    static V least(V a, V b) { return a < b ? a : b; }
    static V most(V a, V b) { return a > b ? a : b; }
    static bool any_within(V a, V b) {
        const I within = a <= b;
        return (within[0] | within[1] | within[2] | within[3]) != 0;
    }
#endif
#endif
};

template <>
struct Lanes<double> {
    static constexpr int N = LANE_BYTES / 8;
    typedef double V __attribute__((vector_size(LANE_BYTES), may_alias));
    typedef int64_t I __attribute__((vector_size(LANE_BYTES)));
    typedef int64_t Int;

    static V plus_square(V sum, V d) { return sum + d * d; }  // rounded twice, as tslearn does
#if defined(__AVX512F__)
    static V splat(double x) { return (V)_mm512_set1_pd(x); }
    static V least(V a, V b) { return (V)_mm512_min_pd((__m512d)a, (__m512d)b); }
    static bool any_within(V a, V b) { return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_LE_OQ) != 0; }
#elif defined(__AVX2__)
    static V splat(double x) { return (V)_mm256_set1_pd(x); }
    static V least(V a, V b) { return (V)_mm256_min_pd((__m256d)a, (__m256d)b); }
    static bool any_within(V a, V b) {
        return _mm256_movemask_pd(_mm256_cmp_pd((__m256d)a, (__m256d)b, _CMP_LE_OQ)) != 0;
    }
#else
    static V splat(double x) { return V{x, x}; }
#if defined(__SSE2__)
    static V least(V a, V b) { return (V)_mm_min_pd((__m128d)a, (__m128d)b); }
    static bool any_within(V a, V b) { return _mm_movemask_pd(_mm_cmple_pd((__m128d)a, (__m128d)b)) != 0; }
#else
    static V least(V a, V b) { return a < b ? a : b; }
    static bool any_within(V a, V b) {
        const I within = a <= b;
        return (within[0] | within[1]) != 0;
    }
#endif
#endif
};

}  // namespace
