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

// counts[i] += the sum of count[i]: no lane has counted beyond 16 bits within a tile.
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

template <int NB>
inline void add_counts(const VI (&count)[NB], int32_t* counts) {
#if defined(__AVX512F__) || defined(__AVX2__)
    for (int i = 0; i < NB; i += 4) {
        const Whole a = (Whole)count[i], b = i + 1 < NB ? (Whole)count[i + 1 < NB ? i + 1 : 0] : Whole{};
        const Whole c = i + 2 < NB ? (Whole)count[i + 2 < NB ? i + 2 : 0] : Whole{};
        const Whole d = i + 3 < NB ? (Whole)count[i + 3 < NB ? i + 3 : 0] : Whole{};
        const __m128i four = sums_of(pairs_of(pairs_of(a, b), pairs_of(c, d)));
        int32_t sums[4];
        std::memcpy(sums, &four, sizeof sums);
        for (int j = 0; j < 4 && i + j < NB; ++j) counts[i + j] += sums[j];
    }
#else
    for (int i = 0; i < NB; ++i)
        for (int j = 0; j < W; ++j) counts[i] += count[i][j];
#endif
}

// Counts the steps at which base + the taps that are not yet in it exceeds each of NB biases.
template <int NB, int N_TAPS>
inline void count_steps(const float* base, const float* const (&tap)[3], int64_t n, const float* biases, int32_t* counts) {
    V bias[NB];
    VI count[NB];
    for (int i = 0; i < NB; ++i) bias[i] = splat(biases[i]), count[i] = VI{};
    for (int64_t t = 0; t < n; t += W) {
        V v = load(base + t);
        for (int i = 3 - N_TAPS; i < 3; ++i) v = v + load(tap[i] + t);
        for (int i = 0; i < NB; ++i) count_above(count[i], v, bias[i]);
    }
    add_counts<NB>(count, counts);
}

template <int N_TAPS>
inline void count_few(const float* base, const float* const (&tap)[3], int64_t n, const float* biases, int64_t n_biases,
                      int32_t* counts) {
    switch (n_biases) {
        case 1: return count_steps<1, N_TAPS>(base, tap, n, biases, counts);
        case 2: return count_steps<2, N_TAPS>(base, tap, n, biases, counts);
        case 3: return count_steps<3, N_TAPS>(base, tap, n, biases, counts);
        case 4: return count_steps<4, N_TAPS>(base, tap, n, biases, counts);
        case 5: return count_steps<5, N_TAPS>(base, tap, n, biases, counts);
        case 6: return count_steps<6, N_TAPS>(base, tap, n, biases, counts);
        case 7: return count_steps<7, N_TAPS>(base, tap, n, biases, counts);
        default: return count_steps<8, N_TAPS>(base, tap, n, biases, counts);
    }
}

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
        const float* x = s.x + c * s.width + s.around + first - 4 * dilation;
        for (int64_t t = 0; t < n; t += W) {
            V total = load(x + t);
            for (int i = 1; i < N_PLACES; ++i) total = total + load(x + t + i * dilation);
            store(sums + t, -total);
        }
        for (int64_t t = T - first; t < n; ++t) sums[t] = -__builtin_inff();
        return sums;
    }

    void set_channels(const int32_t* channels, int64_t size) {
        base = sums_of_channel(channels[0]);
        tripled = s.tripled + channels[0] * s.width + s.around + first;
        if (size == 1) return;
        const int64_t reach = rounded(4 * dilation);
        const float *sums = base, *taps = tripled;
        for (int64_t i = 1; i < size; ++i) {
            const float *more = sums_of_channel(channels[i]), *others = s.tripled + channels[i] * s.width + s.around + first;
            for (int64_t t = 0; t < n; t += W) store(s.group_sums + t, load(sums + t) + load(more + t));
            for (int64_t t = -reach; t < n + reach; t += W)
                store(s.group_tripled + s.around + t, load(taps + t) + load(others + t));
            sums = s.group_sums, taps = s.group_tripled + s.around;
        }
        base = sums, tripled = taps;
    }

    // Kernels that read the same channels.
    void run_group(const int32_t* kernels, int size, int64_t n_biases, const float* biases, int32_t* counts) {
        for (int start = 0, stop; start < size; start = stop) {
            const Kernel& k = KERNELS.k[kernels[start]];
            for (stop = start + 1; stop < size && same_taps(k, KERNELS.k[kernels[stop]]);) ++stop;
            const bool shared = stop - start > 1;
            if (shared)
                for (int64_t t = 0; t < n; t += W)
                    store(s.prefix + t, (load(base + t) + load(tap(k, 0) + t)) + load(tap(k, 1) + t));
            for (int i = start; i < stop; ++i) {
                const int64_t place = kernels[i] * n_biases;
                run_kernel(KERNELS.k[kernels[i]], shared, n_biases, biases + place, counts + place);
            }
        }
    }

    static bool same_taps(const Kernel& a, const Kernel& b) { return a.tap[0] == b.tap[0] && a.tap[1] == b.tap[1]; }

    const float* tap(const Kernel& k, int i) const { return tripled + (k.tap[i] - 4) * dilation; }

    void run_kernel(const Kernel& k, bool shared, int64_t n_biases, const float* biases, int32_t* counts) {
        const float* const taps[3] = {tap(k, 0), tap(k, 1), tap(k, 2)};
        if (n_biases <= MOST) {
            if (shared) return count_few<1>(s.prefix, taps, n, biases, n_biases, counts);
            return count_few<3>(base, taps, n, biases, n_biases, counts);
        }
        for (int64_t t = 0; t < n; t += W) {
            const V before = shared ? load(s.prefix + t) : (load(base + t) + load(taps[0] + t)) + load(taps[1] + t);
            store(s.convolved + t, before + load(taps[2] + t));
        }
        for (int64_t i = 0; i < n_biases; i += MOST)
            count_few<0>(s.convolved, taps, n, biases + i, n_biases - i < MOST ? n_biases - i : MOST, counts + i);
    }
};

}  // namespace
