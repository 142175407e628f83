// Matching of places: of every place of two sequences, the nearest place of the other one and its cost |x_p - y_q|^2.
//
// Half a cost is |x_p|^2 / 2 + |y_q|^2 / 2 - x_p.y_q, from products. It cancels where places are near for their size.
// A least cost that keeps its digits counts as it is: every product is summed in the order of the numbers, whatever
// stands beside it, so that its bits are the same on either side and in any company. Where the least cost of a place
// has lost digits, whatever is within rounding of it is computed anew from differences, and the least of these counts.
//
// Places of one side stand in lanes: a sequence is packed once for many of the other side, and stays in the first-level
// cache with them. Names: P places of a row sequence, Q of a lane sequence, D numbers of a place.
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "kernels.h"
#include "places.h"

namespace {

constexpr int64_t TASK_FLOATS = 1 << 16;  // of the row sequences of a task: they stay in the second-level cache
constexpr int64_t TASK_LANES = 64, TASK_PAIRS = 64;
constexpr int ROW_BITS = 64;  // costs of a row whose marks fit a word
constexpr int EXPECTED = 3;   // marks of a word that are written without asking how many there are

// Costs beyond these have lost digits in single precision.
constexpr float LEAST_COST = 0x1p-100f, MOST_COST = 0x1p100f;

// Half a cost from products keeps its digits from this share on of the halves of squares that it is what remains of.
constexpr float REMAINS = 0x1p-4f;

// The buffers of a thread.
struct AlignmentScratch {
    float *row_halves, *largest_halves;  // of all row sequences of a task
    float *packed, *lane_halves, *halves, *row_lanes, *row_least, *column_least, *row_limits, *column_limits;
    uint64_t* near;
    int64_t* place_at;  // of place i: i * D
    double *near_costs, *row_costs, *lane_costs, *row_near, *lane_near;

    static int64_t layout(const Alignment& a, int64_t rows, AlignmentScratch* s, float* memory) {
        const int64_t width = padded(a.Q);
        int64_t used = 0;
        const auto take = [&](auto AlignmentScratch::*place, int64_t n) {
            using Pointer = std::remove_reference_t<decltype(s->*place)>;
            if (s) s->*place = reinterpret_cast<Pointer>(memory + used);
            const int64_t floats = n * static_cast<int64_t>(sizeof(std::remove_pointer_t<Pointer>)) / 4;
            used += (floats + 15) / 16 * 16;
        };
        take(&AlignmentScratch::row_halves, rows * a.P);
        take(&AlignmentScratch::largest_halves, rows);
        take(&AlignmentScratch::packed, a.D * width);
        take(&AlignmentScratch::lane_halves, width);
        take(&AlignmentScratch::halves, a.P * width);
        take(&AlignmentScratch::row_lanes, a.P * W);
        take(&AlignmentScratch::row_least, a.P);
        take(&AlignmentScratch::column_least, width);
        take(&AlignmentScratch::row_limits, a.P);
        take(&AlignmentScratch::column_limits, width);
        take(&AlignmentScratch::near, a.P * a.Q + GROUP);
        take(&AlignmentScratch::place_at, std::max(a.P, a.Q));
        take(&AlignmentScratch::near_costs, a.P * a.Q + GROUP);
        take(&AlignmentScratch::row_costs, a.P);
        take(&AlignmentScratch::lane_costs, a.Q);
        take(&AlignmentScratch::row_near, a.P);
        take(&AlignmentScratch::lane_near, a.Q);
        return used;
    }
};

class Aligner {
public:
    Aligner(const Alignment& problem, const AlignmentScratch& scratch)
        : a(problem), s(scratch), width(padded(problem.Q)) {
        // Half a cost from products is wrong by at most D + D / W + W + 6 roundings of half the squares, that from
        // differences by 2 D / W + 18; twice the sum, and what may underflow.
        doubt = 2 * (a.D + 3 * (a.D / W + 1) + W + 32) * 0x1p-24f;
        underflow = (a.D + 8) * 0x1p-123f;
        for (int64_t i = 0; i < std::max(a.P, a.Q); ++i) s.place_at[i] = i * a.D;
    }

    void take_lane(int64_t lane) {
        y = a.lanes + lane * a.Q * a.D;
        pack_places(s.packed, y, a.Q, a.D);
        largest_lane_half = half_squares(y, a.Q, a.D, s.lane_halves);
        std::fill(s.lane_halves + a.Q, s.lane_halves + width, INFINITY);
        std::fill(s.column_limits + a.Q, s.column_limits + width, -INFINITY);
    }

    void prepare_row(int64_t row, int64_t slot) {
        s.largest_halves[slot] = half_squares(a.rows + row * a.P * a.D, a.P, a.D, s.row_halves + slot * a.P);
    }

    // The distance of a row prepared to the lane taken. With `matches` write_matches can follow.
    double distance(int64_t row, int64_t slot, bool matches = false) {
        x = a.rows + row * a.P * a.D;
        row_halves = s.row_halves + slot * a.P;
        compute_halves();
        for (int64_t p = 0; p < a.P; ++p) s.row_least[p] = least_of(load(s.row_lanes + p * W))[0];
        const int64_t lost = keep(s.row_least, row_halves, largest_lane_half, a.P, matches, s.row_costs, s.row_limits) +
                             keep(s.column_least, s.lane_halves, s.largest_halves[slot], a.Q, matches, s.lane_costs,
                                  s.column_limits);
        if (lost || matches) {
            find_near();
            compute_near();
            restore(s.row_costs, s.row_near, a.P), restore(s.lane_costs, s.lane_near, a.Q);
        }
        return mean_of(s.row_costs, a.P) + mean_of(s.lane_costs, a.Q);
    }

    // What the last distance was made of, as that of pair k: the first among equally near places matches.
    void write_matches(int64_t k) const {
        std::copy_n(s.row_costs, a.P, a.row_costs + k * a.P);
        std::copy_n(s.lane_costs, a.Q, a.lane_costs + k * a.Q);
        int64_t *of_row = a.row_matches + k * a.P, *of_lane = a.lane_matches + k * a.Q;
        std::fill_n(of_row, a.P, 0), std::fill_n(of_lane, a.Q, 0);
        for (int64_t i = n_near; i-- > 0;) {
            const int64_t p = row_of(s.near[i]), q = lane_of(s.near[i]);
            if (s.near_costs[i] == s.row_near[p]) of_row[p] = q;
            if (s.near_costs[i] == s.lane_near[q]) of_lane[q] = p;
        }
    }

private:
    const Alignment& a;
    const AlignmentScratch& s;
    const int64_t width;
    float doubt, underflow, largest_lane_half = 0.0f;
    const float *x = nullptr, *y = nullptr, *row_halves = nullptr;
    int64_t n_near = 0;

    static int64_t row_of(uint64_t near) { return static_cast<int64_t>(near >> 32); }
    static int64_t lane_of(uint64_t near) { return static_cast<int64_t>(near & 0xFFFFFFFF); }

    // Half of every cost, and the least of each row (in one of its lanes) and column.
    void compute_halves() {
        for (int64_t i = 0; i < a.P * W; i += W) store(s.row_lanes + i, splat(INFINITY));
        for (int64_t q = 0; q < width; q += W) store(s.column_least + q, splat(INFINITY));
        const float* panel = s.packed;
        for (int64_t start = 0; start < vectors(a.Q);) {
            const int n = panel_width(vectors(a.Q) - start);
            if (n == 3) panel_halves<3>(panel, start * W);
            if (n == 2) panel_halves<2>(panel, start * W);
            if (n == 1) panel_halves<1>(panel, start * W);
            panel += a.D * n * W, start += n;
        }
    }

    template <int NV>
    void panel_halves(const float* panel, int64_t column) {
        int64_t p = 0;
        for (; p + MR <= a.P; p += MR) block_halves<MR, NV>(panel, p, column);
        if (p < a.P && a.P >= MR) return block_halves<MR, NV>(panel, a.P - MR, column);
        for (; p < a.P; ++p) block_halves<1, NV>(panel, p, column);
    }

    template <int R, int NV>
    void block_halves(const float* panel, int64_t p, int64_t column) {
        V acc[R][NV] = {}, in_column[NV];
        multiply(acc, x + p * a.D, a.D, a.D, panel);
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) in_column[j] = load(s.column_least + column + j * W);
#pragma GCC unroll 8
        for (int i = 0; i < R; ++i) {
            V in_row = load(s.row_lanes + (p + i) * W);
            float* halves = s.halves + (p + i) * width + column;
#pragma GCC unroll 4
            for (int j = 0; j < NV; ++j) {
                const V half = (row_halves[p + i] + load(s.lane_halves + column + j * W)) - acc[i][j];
                store(halves + j * W, half);
                in_row = lesser(half, in_row), in_column[j] = lesser(half, in_column[j]);
            }
            store(s.row_lanes + (p + i) * W, in_row);
        }
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) store(s.column_least + column + j * W, in_column[j]);
    }

    // Costs from the least halves of n places, or a negative number where these have lost digits; how many have. `largest`
    // is the largest half of a square on the other side. Of those places, halves up to `limits` may be the least one.
    // Of the others none need be looked at, unless `all` are to have a match.
    int64_t keep(const float* least, const float* halves, float largest, int64_t n, bool all, double* costs,
                 float* limits) const {
        int64_t lost = 0;
        for (int64_t i = 0; i < n; ++i) {
            const float both = halves[i] + largest;
            const bool kept = (least[i] >= REMAINS * both) & (least[i] >= LEAST_COST) & (least[i] <= MOST_COST);
            costs[i] = kept ? 2.0f * least[i] : -1.0f;
            limits[i] = kept & !all ? -INFINITY : least[i] + (doubt * both + underflow);
            lost += !kept;
        }
        return lost;
    }

    static void restore(double* costs, const double* near, int64_t n) {
        for (int64_t i = 0; i < n; ++i) costs[i] = costs[i] < 0 ? near[i] : costs[i];
    }

    // The places in the table of those costs that may be least in their row or column.
    void find_near() {
        uint64_t* next = s.near;
        for (int64_t p = 0; p < a.P; ++p) {
            const V limit = splat(s.row_limits[p]);
            for (int64_t q = 0; q < a.Q; q += ROW_BITS)
                next = write_near(next, near_bits(p, q, limit), static_cast<uint64_t>(p) << 32 | q);
        }
        n_near = next - s.near;
    }

    // A bit for each cost of row p, from column `first` on, that does not exceed its limits beyond doubt.
    uint64_t near_bits(int64_t p, int64_t first, V limit) const {
        const float *half = s.halves + p * width + first, *limits = s.column_limits + first;
        const int64_t n = std::min<int64_t>(a.Q - first, ROW_BITS);
        uint64_t above = 0;
        for (int64_t q = 0; q < n; q += W) above |= above_both(load(half + q), limit, load(limits + q)) << q;
        return ~above & (~uint64_t{0} >> (ROW_BITS - n));
    }

    static uint64_t* write_near(uint64_t* out, uint64_t bits, uint64_t base) {
        uint64_t* const end = out + __builtin_popcountll(bits);
        for (int i = 0; i < EXPECTED; ++i, bits &= bits - 1) out[i] = base + __builtin_ctzll(bits | uint64_t{1} << 63);
        for (out += EXPECTED; bits; bits &= bits - 1) *out++ = base + __builtin_ctzll(bits);
        return end;
    }

    // The costs of those places, and the least of each row and column.
    void compute_near() {
        std::fill_n(s.row_near, a.P, INFINITY), std::fill_n(s.lane_near, a.Q, INFINITY);
        if (!n_near) return;
        for (int64_t i = n_near; i < n_near + GROUP - 1; ++i) s.near[i] = s.near[n_near - 1];
        const uint64_t* near = s.near;
        double *costs = s.near_costs, *row_near = s.row_near, *lane_near = s.lane_near;
        for (int64_t i = 0; i < n_near; i += GROUP) {
            compute_group(near + i, costs + i);
#pragma GCC unroll 4
            for (int j = 0; j < GROUP; ++j) {
                double &row = row_near[row_of(near[i + j])], &lane = lane_near[lane_of(near[i + j])];
                row = costs[i + j] < row ? costs[i + j] : row, lane = costs[i + j] < lane ? costs[i + j] : lane;
            }
        }
    }

    void compute_group(const uint64_t* near, double* costs) const {
        const float *of_row[GROUP], *of_lane[GROUP];
        float single[GROUP];
#pragma GCC unroll 4
        for (int j = 0; j < GROUP; ++j)
            of_row[j] = x + s.place_at[row_of(near[j])], of_lane[j] = y + s.place_at[lane_of(near[j])];
        squared_differences(of_row, of_lane, a.D, single);
        int within = 0;
#pragma GCC unroll 4
        for (int j = 0; j < GROUP; ++j) {
            costs[j] = single[j];
            within += (single[j] > LEAST_COST) & (single[j] < MOST_COST);
        }
        if (within == GROUP) return;
        for (int j = 0; j < GROUP; ++j)
            if (!(single[j] > LEAST_COST && single[j] < MOST_COST))
                costs[j] = squared_difference(of_row[j], of_lane[j], a.D);
    }
};

// Row sequences of a task: as many as the cache holds, in tasks of one size.
inline int64_t task_rows(const Alignment& a) {
    if (a.row) return 1;
    const int64_t most = std::max<int64_t>(1, TASK_FLOATS / (a.P * a.D + 1)), n = (a.n_rows + most - 1) / most;
    return (a.n_rows + n - 1) / n;
}

inline int64_t row_blocks(const Alignment& a) { return (a.n_rows + task_rows(a) - 1) / task_rows(a); }

inline void align_pairs(const Alignment& a, Aligner& aligner, int64_t first, int64_t last) {
    for (int64_t k = first; k < last; ++k) {
        if (k == first || a.lane[k] != a.lane[k - 1]) aligner.take_lane(a.lane[k]);
        if (k == first || a.row[k] != a.row[k - 1]) aligner.prepare_row(a.row[k], 0);
        a.distances[k] = aligner.distance(a.row[k], 0, a.row_matches);
        if (a.row_matches) aligner.write_matches(k);
    }
}

inline void align_block(const Alignment& a, Aligner& aligner, int64_t task) {
    const int64_t rows = task_rows(a), first = task % row_blocks(a) * rows, last = std::min(first + rows, a.n_rows);
    const int64_t lane = task / row_blocks(a) * TASK_LANES;
    for (int64_t i = first; i < last; ++i) aligner.prepare_row(i, i - first);
    for (int64_t j = lane; j < std::min(lane + TASK_LANES, a.n_lanes); ++j) {
        aligner.take_lane(j);
        for (int64_t i = first; i < last; ++i)
            a.distances[i * a.row_step + j * a.lane_step] = aligner.distance(i, i - first);
    }
}

}  // namespace
