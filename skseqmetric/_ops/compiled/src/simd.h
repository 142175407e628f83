// Vectors of the widest kind the file is compiled for, and the gate functions on them.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX512F__) || defined(__AVX2__)
#if defined(__GNUC__) && !defined(__clang__)
// false alarms of GCC 12 about its own header
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int W = 16;   // floats of a vector
constexpr int MR = 8;   // rows of a register block: MR * 3 accumulators and 3 vectors of weights fit 32 registers
#elif defined(__AVX2__)
constexpr int W = 8;
constexpr int MR = 4;   // 16 registers
#else
constexpr int W = 4;    // SSE2, NEON
constexpr int MR = 4;   // never more than W
#endif

typedef float V __attribute__((vector_size(4 * W)));
typedef float VU __attribute__((vector_size(4 * W), aligned(4), may_alias));
typedef int32_t VI __attribute__((vector_size(4 * W)));

inline V load(const float* p) { return *reinterpret_cast<const VU*>(p); }
inline void store(float* p, V v) { *reinterpret_cast<VU*>(p) = v; }

inline V splat(float x) {
#if defined(__AVX512F__)
    return _mm512_set1_ps(x);
#elif defined(__AVX2__)
    return _mm256_set1_ps(x);
#else
    V v;
    for (int i = 0; i < W; ++i) v[i] = x;
    return v;
#endif
}

// The first n of a vector, zeros behind.
inline V load_part(const float* p, int64_t n) {
    if (n >= W) return load(p);
    if (n <= 0) return splat(0.0f);
#if defined(__AVX512F__)
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
#else
    float whole[W] = {};
    std::memcpy(whole, p, sizeof(float) * n);
    return load(whole);
#endif
}

inline void store_part(float* p, V v, int64_t n) {
    if (n >= W) return store(p, v);
    if (n <= 0) return;
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), v);
#else
    float whole[W];
    store(whole, v);
    std::memcpy(p, whole, sizeof(float) * n);
#endif
}

inline void add_part(float* p, V v, int64_t n) { store_part(p, load_part(p, n) + v, n); }

inline float sum_of(V v) {
    float total = 0;
    for (int i = 0; i < W; ++i) total += v[i];
    return total;
}

// Within [-limit, limit]; NaN stays NaN.
inline V clamped(V x, float limit) {
#if defined(__AVX512F__)
    return _mm512_min_ps(_mm512_set1_ps(limit), _mm512_max_ps(_mm512_set1_ps(-limit), x));
#elif defined(__AVX2__)
    return _mm256_min_ps(_mm256_set1_ps(limit), _mm256_max_ps(_mm256_set1_ps(-limit), x));
#else
    const V high = splat(limit), low = splat(-limit);
    x = low > x ? low : x;
    return high < x ? high : x;
#endif
}

// max(x, limit); NaN stays NaN.
inline V at_least(V x, float limit) {
#if defined(__AVX512F__)
    return _mm512_max_ps(_mm512_set1_ps(limit), x);
#elif defined(__AVX2__)
    return _mm256_max_ps(_mm256_set1_ps(limit), x);
#else
    const V low = splat(limit);
    return low > x ? low : x;
#endif
}

// The lesser one; `b` where `a` is not a number.
inline V lesser(V a, V b) {
#if defined(__AVX512F__)
    return _mm512_min_ps(a, b);
#elif defined(__AVX2__)
    return _mm256_min_ps(a, b);
#else
    return a < b ? a : b;
#endif
}

// v, rounded: compilers may fuse a product with a later sum in one copy of a function and not in another, and the same
// numbers would then give other bits in other company.
inline V rounded(V v) {
#if defined(__AVX512F__)
    asm("" : "+v"(v));
#elif defined(__SSE2__)
    asm("" : "+x"(v));
#elif defined(__aarch64__)
    asm("" : "+w"(v));
#endif
    return v;
}

// 1 / x for x in [1e-8, 1e8]: an estimate and as many Newton steps as it needs.
inline V reciprocal(V x) {
#if defined(__AVX512F__)
    const V y = _mm512_rcp14_ps(x);
    return y * (2.0f - x * y);
#elif defined(__AVX2__)
    const V y = _mm256_rcp_ps(x);
    return y * (2.0f - x * y);
#else
    return 1.0f / x;
#endif
}

// tanh x = x P(x^2) / Q(x^2), a minimax fit of our own on [0, 7.8] (5e-9 relative before rounding). Rounded to float
// the error is below 5e-7 relative, near 0 as well, and the result stays inside (-1, 1); beyond 7.8 it is constant.
inline V tanh_of(V x) {
    x = clamped(x, 7.8f);
    const V y = x * x;
    const V p = 1.0f + y * (0.13456735f + y * (0.0035863854f + y * (2.2152411e-05f + y * 1.562821e-08f)));
    const V q = 1.0f + y * (0.46790063f + y * (0.026220005f + y * (0.00034360302f + y * 8.6757615e-07f)));
    return rounded(x * p * reciprocal(q));
}

inline V sigmoid_of(V x) { return 0.5f + 0.5f * tanh_of(0.5f * x); }

// e^x for x <= 0, relative error below 2e-7; 0 where it is below the smallest normal number. NaN stays NaN.
inline V exp_of(V x) {
    const V big = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer, whose bits are then the last ones
    const V shifted = at_least(x, -126.0f * 0.6931472f) * 1.44269504f + big, n = shifted - big;
    const V r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    V y = 1.0f + r * (1.0f + r * (0.5f + r * (0.16666665f + r * (0.041665795f + r * (0.0083334519f + r * 0.0013981999f)))));
    y *= (V)(((VI)shifted << 23) + 0x3f800000);
    const VI small = x < splat(-126.0f * 0.6931472f);
    return (V)((VI)y & ~small);
}

// x Phi(x) with the normal distribution function Phi, and its derivative. The tail of Phi is e^(-x^2 / 2) times a
// polynomial in 1 / (1 + a |x|), a minimax fit of our own (3e-8 relative before rounding); errors are below 4e-7.
inline V gelu_of(V x, V& slope) {
    const VI sign = (VI)splat(-0.0f);
    const V size = (V)((VI)x & ~sign), t = reciprocal(1.0f + 0.26516504f * size);
    const V density = exp_of(-0.5f * size * size);
    V q = splat(0.029776306822896004f);
    q = q * t - 0.1389855295419693f, q = q * t + 0.20684100687503815f, q = q * t - 0.10435943305492401f;
    q = q * t + 0.12996166944503784f, q = q * t + 0.06358788162469864f, q = q * t + 0.10195736587047577f;
    q = q * t + 0.1054193302989006f, q = q * t + 0.10580138862133026f;
    const V tail = q * t * density;
    const VI below = x < splat(0.0f);
    const V share = (V)(((VI)tail & below) | ((VI)(1.0f - tail) & ~below));
    slope = share + 0.39894228f * x * density;
    return rounded(x * share);
}

inline V absolute(V x) {
    const VI mask = (VI)splat(-0.0f);
    return (V)((VI)x & ~mask);
}

// |x|' = sign x, 0 at 0 as in torch.
inline V times_sign(V value, V x) {
    const VI mask = (VI)splat(-0.0f);
    const VI not_zero = x != splat(0.0f);
    return (V)((((VI)value) ^ ((VI)x & mask)) & not_zero);
}

}  // namespace
