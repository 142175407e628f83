// Shares of steps at which random convolutions exceed their biases: one sequence after the other, all of it in cache.
//
// Zeros lie around the steps of every channel, so that a tap is an address. The 84 kernels differ in three weights: one
// sum of nine taps serves all of them, and those with two taps in common share these as well. Comparisons are counted in
// registers. Nothing but additions is computed, in the order of the other forms, so that all agree in every bit.
#pragma once

#include "kernels.h"
#include "simd.h"

namespace {

constexpr int N_KERNELS = 84, N_PLACES = 9;
constexpr int64_t TILE = 2048;  // steps whose convolutions stay in the first-level cache
constexpr int WORTH_SHARING_TAPS = 4;  // kernels with the same first tap
constexpr int MOST = 8;         // biases that are compared in one pass

// Places of the three weights of 2, in lexicographic order.
struct Kernel {
    int8_t tap[3];
};

struct AllKernels {
    Kernel k[N_KERNELS];
    constexpr AllKernels() : k{} {
        int n = 0;
        for (int a = 0; a < N_PLACES; ++a)
            for (int b = a + 1; b < N_PLACES; ++b)
                for (int c = b + 1; c < N_PLACES; ++c, ++n) {
                    k[n].tap[0] = static_cast<int8_t>(a);
                    k[n].tap[1] = static_cast<int8_t>(b);
                    k[n].tap[2] = static_cast<int8_t>(c);
                }
    }
};
constexpr AllKernels KERNELS;

inline int64_t rounded(int64_t n) { return (n + W - 1) / W * W; }

inline void count_above(VI& count, V v, V bias) {
#if defined(__AVX512F__)
    count = (VI)_mm512_mask_add_epi32((__m512i)count, _mm512_cmp_ps_mask(v, bias, _CMP_GT_OQ), (__m512i)count,
                                      _mm512_set1_epi32(1));
#else
    count -= v > bias;
#endif
}

// counts[i] += the sum of count[i]; within a tile no lane has counted beyond 16 bits.
#if defined(__AVX512F__)
inline __m512i pairs_of(__m512i a, __m512i b) {
    return _mm512_madd_epi16(_mm512_packs_epi32(a, b), _mm512_set1_epi16(1));
}
inline __m128i sums_of(__m512i v) {
    const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}
typedef __m512i Whole;
#elif defined(__AVX2__)
inline __m256i pairs_of(__m256i a, __m256i b) {
    return _mm256_madd_epi16(_mm256_packs_epi32(a, b), _mm256_set1_epi16(1));
}
inline __m128i sums_of(__m256i v) {
    return _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}
typedef __m256i Whole;
#endif

template <int N>
inline void add_counts(const VI (&count)[N], int32_t* counts) {
#if defined(__AVX512F__) || defined(__AVX2__)
    constexpr int whole = N / 4 * 4;
    for (int i = 0; i < whole; i += 4) {
        const __m128i sums = sums_of(pairs_of(pairs_of((Whole)count[i], (Whole)count[i + 1]),
                                              pairs_of((Whole)count[i + 2], (Whole)count[i + 3])));
        __m128i* place = reinterpret_cast<__m128i*>(counts + i);
        _mm_storeu_si128(place, _mm_add_epi32(_mm_loadu_si128(place), sums));
    }
    if constexpr (N > whole) {
        const Whole a = (Whole)count[whole], b = (Whole)count[whole + 1 < N ? whole + 1 : whole];
        const Whole c = (Whole)count[whole + 2 < N ? whole + 2 : whole];
        const __m128i sums = sums_of(pairs_of(pairs_of(a, b), pairs_of(c, c)));
        counts[whole] += _mm_cvtsi128_si32(sums);
        if constexpr (N > whole + 1) counts[whole + 1] += _mm_extract_epi32(sums, 1);
        if constexpr (N > whole + 2) counts[whole + 2] += _mm_extract_epi32(sums, 2);
    }
#else
    for (int i = 0; i < N; ++i)
        for (int j = 0; j < W; ++j) counts[i] += count[i][j];
#endif
}

// Counts the steps at which a convolution exceeds each of NB biases, for NK kernels that differ in the last tap: sums, of
// which the taps before the last N_TAPS are a part already, and these taps.
template <int NB, int NK, int N_TAPS>
inline void count_steps(const float* sums, const float* first, const float* second, const float* const* last, int64_t n,
                        const float* biases, int32_t* counts) {
    V bias[NK * NB];
    VI count[NK * NB];
    const float* taps[NK];
    for (int k = 0; k < NK; ++k) taps[k] = last[k];
    for (int i = 0; i < NK * NB; ++i) bias[i] = splat(biases[i]), count[i] = VI{};
    for (int64_t t = 0; t < n; t += W) {
        V shared = load(sums + t);
        if constexpr (N_TAPS > 2) shared = shared + load(first + t);
        if constexpr (N_TAPS > 1) shared = shared + load(second + t);
        for (int k = 0; k < NK; ++k) {
            const V v = N_TAPS > 0 ? shared + load(taps[k] + t) : shared;
            for (int i = 0; i < NB; ++i) count_above(count[k * NB + i], v, bias[k * NB + i]);
        }
    }
    add_counts<NK * NB>(count, counts);
}

// Comparisons that the registers hold the counts of.
constexpr int together(int n_biases) { return n_biases <= 2 ? 4 : n_biases <= 4 ? 2 : 1; }

// The buffers of a thread.
struct ConvolutionScratch {
    int64_t around, width, tile;  // zeros on each side of a channel; floats of a channel; of the sums of a tile
    float *x, *tripled;           // (C, width): the steps of every channel, and three times them
    float *sums;                  // (C, tile): minus the sums of nine taps, minus infinity behind the end
    float *group_sums, *group_tripled, *prefix, *convolved;
    int32_t *counts, *summed;     // (P,); (C,): the tile that the sums of a channel belong to

    static int64_t layout(const Convolutions& p, ConvolutionScratch* s, float* memory) {
        const int64_t around = rounded(4 * p.largest_dilation), longest = rounded(p.longest);
        const int64_t width = longest + 2 * around + W, tile = longest < TILE ? longest : TILE;
        const int64_t C = p.n_channels;
        int64_t n = 0;
        const auto take = [&](int64_t floats) {
            float* at = memory + n;
            n += rounded(floats);
            return at;
        };
        float* x = take(C * width);
        float* tripled = take(C * width);
        float* sums = take(C * tile);
        float* group_sums = take(tile);
        float* group_tripled = take(tile + 2 * around + W);
        float* prefix = take(tile);
        float* convolved = take(tile);
        int32_t* counts = reinterpret_cast<int32_t*>(take(p.n_features));
        int32_t* summed = reinterpret_cast<int32_t*>(take(C));
        if (s) *s = {around, width, tile, x, tripled, sums, group_sums, group_tripled, prefix, convolved, counts, summed};
        return n;
    }
};

// One sequence of T steps.
class SequenceShares {
  public:
    SequenceShares(const Convolutions& p, const ConvolutionScratch& s, int64_t sequence)
        : p(p), s(s), T(p.offsets[sequence + 1] - p.offsets[sequence]) {
        read(p.values + p.offsets[sequence] * p.n_channels);
        std::memset(s.counts, 0, sizeof(int32_t) * p.n_features);
        std::memset(s.summed, 0, sizeof(int32_t) * p.n_channels);
    }

    void write(float* out) {
        int32_t* counts = s.counts;
        const float* biases = p.biases;
        for (int64_t d = 0; d < p.n_dilations; ++d) {
            for (int64_t first = 0; first < T; first += s.tile) run_tile(d, first, biases, counts);
            counts += N_KERNELS * p.n_biases[d];
            biases += N_KERNELS * p.n_biases[d];
        }
        const float n_steps = static_cast<float>(T);
        for (int64_t i = 0; i < p.n_features; ++i) out[i] = static_cast<float>(s.counts[i]) / n_steps;
    }

  private:
    const Convolutions& p;
    const ConvolutionScratch& s;
    const int64_t T;
    int64_t dilation = 0, first = 0, n = 0;  // of the tile: its first step, and how many vectors' worth of steps
    int32_t tiles = 0;
    const float *base = nullptr, *tripled = nullptr;  // of the group: sums from the tile's first step on, and taps

    void read(const float* values) {
        const int64_t C = p.n_channels, end = s.around + T;
        for (int64_t c = 0; c < C; ++c) {
            float *x = s.x + c * s.width, *tripled = s.tripled + c * s.width;
            std::memset(x, 0, sizeof(float) * s.around);
            for (int64_t t = 0; t < T; ++t) x[s.around + t] = values[t * C + c];
            std::memset(x + end, 0, sizeof(float) * (s.width - end));
            for (int64_t t = 0; t < s.width; t += W) {
                const V v = load(x + t);
                store(tripled + t, (v + v) + v);
            }
        }
    }

    void run_tile(int64_t d, int64_t from, const float* biases, int32_t* counts) {
        dilation = p.dilations[d], first = from, ++tiles;
        n = rounded(T - first < s.tile ? T - first : s.tile);
        const int32_t* order = p.order + d * N_KERNELS;
        const int64_t* starts = p.starts + d * N_KERNELS;
        for (int start = 0, stop; start < N_KERNELS; start = stop) {
            for (stop = start + 1; stop < N_KERNELS && same_channels(starts, order[start], order[stop]);) ++stop;
            set_channels(p.channels + starts[order[start]], starts[order[start] + 1] - starts[order[start]]);
            run_group(order + start, stop - start, p.n_biases[d], biases, counts);
        }
    }

    void run_group(const int32_t* kernels, int size, int64_t n_biases, const float* biases, int32_t* counts) {
        switch (n_biases) {
            case 1: return run_group<1>(kernels, size, n_biases, biases, counts);
            case 2: return run_group<2>(kernels, size, n_biases, biases, counts);
            case 3: return run_group<3>(kernels, size, n_biases, biases, counts);
            case 4: return run_group<4>(kernels, size, n_biases, biases, counts);
            case 5: return run_group<5>(kernels, size, n_biases, biases, counts);
            case 6: return run_group<6>(kernels, size, n_biases, biases, counts);
            case 7: return run_group<7>(kernels, size, n_biases, biases, counts);
            case 8: return run_group<8>(kernels, size, n_biases, biases, counts);
            default: return run_group<MOST + 1>(kernels, size, n_biases, biases, counts);
        }
    }

    bool same_channels(const int64_t* starts, int32_t i, int32_t j) const {
        const int64_t size = starts[i + 1] - starts[i];
        return size == starts[j + 1] - starts[j] &&
               !std::memcmp(p.channels + starts[i], p.channels + starts[j], sizeof(int32_t) * size);
    }

    // Minus the sums of nine taps of a channel.
    const float* sums_of_channel(int32_t c) {
        float* sums = s.sums + c * s.tile;
        if (s.summed[c] == tiles) return sums;
        s.summed[c] = tiles;
        add_nine(s.x + c * s.width + s.around + first - 4 * dilation, dilation, n, sums);
        for (int64_t t = T - first; t < n; ++t) sums[t] = -__builtin_inff();
        return sums;
    }

    static void add_nine(const float* x, int64_t dilation, int64_t n, float* out) {
        for (int64_t t = 0; t < n; t += W) {
            V total = load(x + t);
            for (int i = 1; i < N_PLACES; ++i) total = total + load(x + t + i * dilation);
            store(out + t, -total);
        }
    }

    void set_channels(const int32_t* channels, int64_t size) {
        const float *sums[N_PLACES], *taps[N_PLACES];  // a kernel reads at most nine channels
        for (int64_t i = 0; i < size; ++i) {
            sums[i] = sums_of_channel(channels[i]);
            taps[i] = s.tripled + channels[i] * s.width + s.around + first;
        }
        base = sums[0], tripled = taps[0];
        if (size == 1) return;
        const int64_t reach = rounded(4 * dilation);
        add_rows(sums, size, 0, n, s.group_sums);
        add_rows(taps, size, -reach, n + reach, s.group_tripled + s.around);
        base = s.group_sums, tripled = s.group_tripled + s.around;
    }

    // out[t] = the sum of rows[i][t], from the first to the last, for t from `start` to `stop` or a little further.
    static void add_rows(const float* const* rows, int64_t size, int64_t start, int64_t stop, float* out) {
        constexpr int UNROLLED = 4;
        int64_t t = start;
        for (; t + UNROLLED * W <= stop; t += UNROLLED * W) {
            V total[UNROLLED];
            for (int j = 0; j < UNROLLED; ++j) total[j] = load(rows[0] + t + j * W);
            for (int64_t i = 1; i < size; ++i)
                for (int j = 0; j < UNROLLED; ++j) total[j] = total[j] + load(rows[i] + t + j * W);
            for (int j = 0; j < UNROLLED; ++j) store(out + t + j * W, total[j]);
        }
        for (; t < stop; t += W) {
            V total = load(rows[0] + t);
            for (int64_t i = 1; i < size; ++i) total = total + load(rows[i] + t);
            store(out + t, total);
        }
    }

    // Kernels that read the same channels, in their order.
    template <int NB>
    void run_group(const int32_t* kernels, int size, int64_t n_biases, const float* biases, int32_t* counts) {
        for (int start = 0, stop; start < size; start = stop) {
            const int a = KERNELS.k[kernels[start]].tap[0];
            for (stop = start + 1; stop < size && KERNELS.k[kernels[stop]].tap[0] == a;) ++stop;
            if (stop - start < WORTH_SHARING_TAPS) {
                for (int i = start; i < stop; ++i)
                    run_kernels<NB, 1, 3>(base, kernels[i], n_biases, biases, counts);
                continue;
            }
            add_tap(base, tap(a), n, s.prefix);
            for (int i = start; i < stop;)
                i += run_some<NB>(kernels[i], same_second(kernels + i, stop - i), n_biases, biases, counts);
        }
    }

    // As many of the kernels that differ in the last tap alone as the registers have room for; how many.
    template <int NB>
    int run_some(int32_t kernel, int n_kernels, int64_t n_biases, const float* biases, int32_t* counts) {
        constexpr int most = together(NB);
        if constexpr (most >= 4) {
            if (n_kernels >= 4) return run_kernels<NB, 4, 2>(s.prefix, kernel, n_biases, biases, counts);
            if (n_kernels == 3) return run_kernels<NB, 3, 2>(s.prefix, kernel, n_biases, biases, counts);
        }
        if constexpr (most >= 2)
            if (n_kernels >= 2) return run_kernels<NB, 2, 2>(s.prefix, kernel, n_biases, biases, counts);
        return run_kernels<NB, 1, 2>(s.prefix, kernel, n_biases, biases, counts);
    }

    static void add_tap(const float* sums, const float* tap, int64_t n, float* out) {
        for (int64_t t = 0; t < n; t += W) store(out + t, load(sums + t) + load(tap + t));
    }

    // How many kernels from the first on follow each other and differ in the last tap alone.
    static int same_second(const int32_t* kernels, int size) {
        int n = 1;
        while (n < size && kernels[n] == kernels[0] + n && KERNELS.k[kernels[n]].tap[1] == KERNELS.k[kernels[0]].tap[1])
            ++n;
        return n;
    }

    const float* tap(int place) const { return tripled + (place - 4) * dilation; }

    template <int NB, int NK, int N_TAPS>
    int run_kernels(const float* sums, int32_t kernel, int64_t n_biases, const float* biases, int32_t* counts) {
        const Kernel& k = KERNELS.k[kernel];
        const float *first = tap(k.tap[0]), *second = tap(k.tap[1]);
        const float* last[NK];
        for (int i = 0; i < NK; ++i) last[i] = tap(k.tap[2] + i);
        biases += kernel * n_biases, counts += kernel * n_biases;
        if constexpr (NB <= MOST)
            count_steps<NB, NK, N_TAPS>(sums, first, second, last, n, biases, counts);
        else
            count_many<N_TAPS>(sums, first, second, last[0], n_biases, biases, counts);
        return NK;
    }

    template <int N_TAPS>
    void count_many(const float* sums, const float* first, const float* second, const float* last, int64_t n_biases,
                    const float* biases, int32_t* counts) {
        float* convolved = s.convolved;
        for (int64_t t = 0, end = n; t < end; t += W) {
            V v = load(sums + t);
            if constexpr (N_TAPS > 2) v = v + load(first + t);
            store(convolved + t, (v + load(second + t)) + load(last + t));
        }
        int64_t i = 0;
        for (; i + MOST <= n_biases; i += MOST)
            count_steps<MOST, 1, 0>(s.convolved, first, second, &last, n, biases + i, counts + i);
        for (; i + 2 <= n_biases; i += 2)
            count_steps<2, 1, 0>(s.convolved, first, second, &last, n, biases + i, counts + i);
        if (i < n_biases) count_steps<1, 1, 0>(s.convolved, first, second, &last, n, biases + i, counts + i);
    }
};

}  // namespace
