// Matching of places: of every place of two sequences, the nearest place of the other one and its cost |x_p - y_q|^2.
//
// Products of all places tell which costs may be least: half a cost is |x_p|^2 / 2 + |y_q|^2 / 2 - x_p.y_q, which
// cancels. What is within its rounding error of the least is computed anew from differences, in double precision, and the
// least of these counts. So the result does not depend on how the products were rounded, nor on which side is which.
//
// Places of one side stand in lanes: they are packed across, once for many sequences of the other side. Names: P places
// of a row sequence, Q of a lane sequence, D numbers of a place.
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "kernels.h"
#include "product.h"

namespace {

constexpr int64_t LANE_FLOATS = 1 << 16;  // of the lane sequences of a task, so that they stay in the second-level cache
constexpr int64_t TASK_ROWS = 64;         // row sequences of a task: packing is little work beside them
constexpr int64_t TASK_PAIRS = 64;

typedef double VD __attribute__((vector_size(4 * W)));  // half as many numbers as V has
typedef float VH __attribute__((vector_size(2 * W)));
typedef float VHU __attribute__((vector_size(2 * W), aligned(4), may_alias));

inline VD load_wide(const float* p) { return __builtin_convertvector(VH(*reinterpret_cast<const VHU*>(p)), VD); }

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

inline float least_of(V v) {
    float least = v[0];
    for (int i = 1; i < W; ++i) least = v[i] < least ? v[i] : least;
    return least;
}

// A bit for every lane in which v exceeds both.
inline uint32_t above_both(V v, V a, V b) {
#if defined(__AVX512F__)
    return _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(v, a, _CMP_GT_OQ), v, b, _CMP_GT_OQ);
#elif defined(__AVX2__)
    return static_cast<uint32_t>(
        _mm256_movemask_ps(_mm256_and_ps(_mm256_cmp_ps(v, a, _CMP_GT_OQ), _mm256_cmp_ps(v, b, _CMP_GT_OQ))));
#else
    uint32_t bits = 0;
    const VI above = (v > a) & (v > b);
    for (int i = 0; i < W; ++i) bits |= (above[i] & 1u) << i;
    return bits;
#endif
}

// |x - y|^2: the same for both orders of x and y.
inline double squared_difference(const float* x, const float* y, int64_t D) {
    constexpr int H = W / 2;
    VD even = {}, odd = {};
    int64_t d = 0;
    for (; d + W <= D; d += W) {
        const VD a = load_wide(x + d) - load_wide(y + d), b = load_wide(x + d + H) - load_wide(y + d + H);
        even += a * a, odd += b * b;
    }
    even += odd;
    double total = 0;
    for (int i = 0; i < H; ++i) total += even[i];
    for (; d < D; ++d) {
        const double a = static_cast<double>(x[d]) - static_cast<double>(y[d]);
        total += a * a;
    }
    return total;
}

// |x|^2 / 2
inline float half_square(const float* x, int64_t D) {
    V total = splat(0.0f);
    for (int64_t d = 0; d < D; d += W) {
        const V v = load_part(x + d, D - d);
        total += v * v;
    }
    return 0.5f * sum_of(total);
}

struct Near {
    int32_t p, q;
};

// The buffers of a thread.
struct AlignmentScratch {
    float *packed, *lane_halves;  // of all lane sequences of a task
    float *row_halves, *halves, *row_least, *column_least;
    Near* near;
    double *row_costs, *lane_costs;
    int64_t *row_matches, *lane_matches;

    static int64_t layout(const Alignment& a, int64_t lanes, AlignmentScratch* s, float* memory) {
        const int64_t width = padded(a.Q);
        int64_t used = 0;
        const auto take = [&](auto AlignmentScratch::*place, int64_t n, int64_t floats) {
            if (s) s->*place = reinterpret_cast<std::remove_reference_t<decltype(s->*place)>>(memory + used);
            used += padded(n * floats + 16) / 16 * 16;
        };
        take(&AlignmentScratch::packed, lanes * a.D * width, 1);
        take(&AlignmentScratch::lane_halves, lanes * width, 1);
        take(&AlignmentScratch::row_halves, a.P, 1);
        take(&AlignmentScratch::halves, a.P * width, 1);
        take(&AlignmentScratch::row_least, a.P * W, 1);
        take(&AlignmentScratch::column_least, width, 1);
        take(&AlignmentScratch::near, a.P * a.Q, 2);
        take(&AlignmentScratch::row_costs, a.P, 2);
        take(&AlignmentScratch::lane_costs, a.Q, 2);
        take(&AlignmentScratch::row_matches, a.P, 2);
        take(&AlignmentScratch::lane_matches, a.Q, 2);
        return used;
    }
};

class Aligner {
public:
    Aligner(const Alignment& problem, const AlignmentScratch& scratch)
        : a(problem), s(scratch), width(padded(problem.Q)) {
        // Half a cost is wrong by at most D + D / W + W + 3 roundings of half the squares, and by what underflows.
        doubt = 2 * (2 * a.D + W + 8) * 0x1p-24f;
        underflow = (a.D + 8) * 0x1p-123f;
    }

    void pack_lane(int64_t lane, int64_t slot) {
        const float* y = a.lanes + lane * a.Q * a.D;
        pack(s.packed + slot * a.D * width, y, a.D, a.Q, 1, a.D);
        float* halves = s.lane_halves + slot * width;
        for (int64_t q = 0; q < width; ++q) halves[q] = q < a.Q ? half_square(y + q * a.D, a.D) : INFINITY;
    }

    void take_row(int64_t row) {
        x = a.rows + row * a.P * a.D;
        for (int64_t p = 0; p < a.P; ++p) s.row_halves[p] = half_square(x + p * a.D, a.D);
    }

    // The distance of the row taken to a lane sequence that is packed.
    double distance(int64_t lane, int64_t slot) {
        compute_halves(slot);
        return least_costs(a.lanes + lane * a.Q * a.D, find_near(slot));
    }

    // What the last distance was made of, as that of pair k.
    void write_matches(int64_t k) const {
        std::copy_n(s.row_matches, a.P, a.row_matches + k * a.P);
        std::copy_n(s.lane_matches, a.Q, a.lane_matches + k * a.Q);
        std::copy_n(s.row_costs, a.P, a.row_costs + k * a.P);
        std::copy_n(s.lane_costs, a.Q, a.lane_costs + k * a.Q);
    }

private:
    const Alignment& a;
    const AlignmentScratch& s;
    const int64_t width;
    float doubt, underflow;
    const float* x = nullptr;

    // Half of every cost, and the least of each row and column.
    void compute_halves(int64_t slot) {
        for (int64_t i = 0; i < a.P * W; i += W) store(s.row_least + i, splat(INFINITY));
        for (int64_t q = 0; q < width; q += W) store(s.column_least + q, splat(INFINITY));
        const float* panel = s.packed + slot * a.D * width;
        const float* lane_halves = s.lane_halves + slot * width;
        for (int64_t start = 0; start < vectors(a.Q);) {
            const int n = panel_width(vectors(a.Q) - start);
            if (n == 3) panel_halves<3>(panel, lane_halves, start * W);
            if (n == 2) panel_halves<2>(panel, lane_halves, start * W);
            if (n == 1) panel_halves<1>(panel, lane_halves, start * W);
            panel += a.D * n * W, start += n;
        }
    }

    template <int NV>
    void panel_halves(const float* panel, const float* lane_halves, int64_t column) {
        int64_t p = 0;
        for (; p + MR <= a.P; p += MR) block_halves<MR, NV>(panel, lane_halves, p, column);
        if (p < a.P && a.P >= MR) return block_halves<MR, NV>(panel, lane_halves, a.P - MR, column);
        for (; p < a.P; ++p) block_halves<1, NV>(panel, lane_halves, p, column);
    }

    template <int R, int NV>
    void block_halves(const float* panel, const float* lane_halves, int64_t p, int64_t column) {
        V acc[R][NV];
        for (int i = 0; i < R; ++i)
            for (int j = 0; j < NV; ++j) acc[i][j] = splat(0.0f);
        multiply(acc, x + p * a.D, a.D, a.D, panel);
        for (int i = 0; i < R; ++i) {
            V least = load(s.row_least + (p + i) * W);
            for (int j = 0; j < NV; ++j) {
                const int64_t q = column + j * W;
                const V half = (s.row_halves[p + i] + load(lane_halves + q)) - acc[i][j];
                store(s.halves + (p + i) * width + q, half);
                least = lesser(half, least);
                store(s.column_least + q, lesser(half, load(s.column_least + q)));
            }
            store(s.row_least + (p + i) * W, least);
        }
    }

    // The places in the table of those costs that may be least in their row or column; their number.
    int64_t find_near(int64_t slot) {
        const float* lane_halves = s.lane_halves + slot * width;
        const float most_row = most(s.row_halves, a.P), most_lane = most(lane_halves, a.Q);
        for (int64_t q = 0; q < width; q += W) {
            const V limit = load(s.column_least + q) + doubt * (load(lane_halves + q) + most_row) + underflow;
            store(s.column_least + q, limit);
        }
        int64_t n = 0;
        for (int64_t p = 0; p < a.P; ++p) {
            const float least = least_of(load(s.row_least + p * W));
            const V limit = splat(least + doubt * (s.row_halves[p] + most_lane) + underflow);
            for (int64_t q = 0; q < a.Q; q += W) {
                const V half = load(s.halves + p * width + q);
                const uint32_t inside = a.Q - q < W ? (1u << (a.Q - q)) - 1 : (1u << (W - 1)) * 2 - 1;
                uint32_t bits = ~above_both(half, limit, load(s.column_least + q)) & inside;
                for (; bits; bits &= bits - 1) s.near[n++] = {static_cast<int32_t>(p), static_cast<int32_t>(q + __builtin_ctz(bits))};
            }
        }
        return n;
    }

    static float most(const float* halves, int64_t n) {
        float most = 0.0f;
        for (int64_t i = 0; i < n; ++i) most = halves[i] > most ? halves[i] : most;
        return most;
    }

    double least_costs(const float* y, int64_t n_near) {
        for (int64_t p = 0; p < a.P; ++p) s.row_costs[p] = INFINITY, s.row_matches[p] = 0;
        for (int64_t q = 0; q < a.Q; ++q) s.lane_costs[q] = INFINITY, s.lane_matches[q] = 0;
        for (int64_t i = 0; i < n_near; ++i) {
            const int64_t p = s.near[i].p, q = s.near[i].q;
            const double cost = squared_difference(x + p * a.D, y + q * a.D, a.D);
            if (cost < s.row_costs[p]) s.row_costs[p] = cost, s.row_matches[p] = q;
            if (cost < s.lane_costs[q]) s.lane_costs[q] = cost, s.lane_matches[q] = p;
        }
        return mean(s.row_costs, a.P) + mean(s.lane_costs, a.Q);
    }

    static double mean(const double* costs, int64_t n) {
        double total = 0;
        for (int64_t i = 0; i < n; ++i) total += costs[i];
        return total / static_cast<double>(n);
    }
};

// Lane sequences of a task: as many as the cache holds, packed and not, and tasks of one size.
inline int64_t task_lanes(const Alignment& a) {
    if (a.row) return 1;
    const int64_t most = std::max<int64_t>(1, LANE_FLOATS / (a.D * (padded(a.Q) + a.Q) + 1));
    const int64_t n_blocks = (a.n_lanes + most - 1) / most;
    return (a.n_lanes + n_blocks - 1) / n_blocks;
}

inline int64_t lane_blocks(const Alignment& a) { return (a.n_lanes + task_lanes(a) - 1) / task_lanes(a); }

inline void align_pairs(const Alignment& a, Aligner& aligner, int64_t first, int64_t last) {
    for (int64_t k = first; k < last; ++k) {
        if (k == first || a.lane[k] != a.lane[k - 1]) aligner.pack_lane(a.lane[k], 0);
        if (k == first || a.row[k] != a.row[k - 1]) aligner.take_row(a.row[k]);
        a.distances[k] = aligner.distance(a.lane[k], 0);
        if (a.row_matches) aligner.write_matches(k);
    }
}

inline void align_block(const Alignment& a, Aligner& aligner, int64_t task) {
    const int64_t lanes = task_lanes(a), block = task % lane_blocks(a), chunk = task / lane_blocks(a);
    const int64_t lane = block * lanes, last_lane = std::min(lane + lanes, a.n_lanes);
    for (int64_t j = lane; j < last_lane; ++j) aligner.pack_lane(j, j - lane);
    for (int64_t i = chunk * TASK_ROWS; i < std::min((chunk + 1) * TASK_ROWS, a.n_rows); ++i) {
        aligner.take_row(i);
        for (int64_t j = lane; j < last_lane; ++j)
            a.distances[i * a.row_step + j * a.lane_step] = aligner.distance(j, j - lane);
    }
}

}  // namespace
