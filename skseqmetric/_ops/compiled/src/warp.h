// The recursion of dynamic time warping for as many pairs at a time as a vector has lanes, row by row, with the borders
// of EAPruned (Herrmann & Webb 2021) around the cells that any lane still needs.
#pragma once

#include "dtw_kernels.h"
#include "lanes.h"

namespace {

template <typename Real>
inline typename Lanes<Real>::V at(const Real* p) {
    typename Lanes<Real>::V v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}

template <typename Real>
inline void put(Real* p, typename Lanes<Real>::V v) { __builtin_memcpy(p, &v, sizeof v); }

template <typename Real>
constexpr Real infinity = std::numeric_limits<Real>::infinity();

// `count` numbers of every lane from number `first` on, side by side: to[e * N + lane]; zeros behind the end of a lane.
template <typename Real>
inline void interleave(const Real* const* from, const int64_t* sizes, int64_t first, int64_t count, Real* to) {
    constexpr int N = Lanes<Real>::N;
    int64_t shortest = sizes[0];
    for (int l = 1; l < N; ++l) shortest = sizes[l] < shortest ? sizes[l] : shortest;
    int64_t e = first, whole = first + count < shortest ? first + count : shortest;
#if defined(__AVX2__) && !defined(__AVX512F__)
    if constexpr (N == 8) {
        for (; e + 8 <= whole; e += 8, to += 64) {
            __m256 r[8], t[8];
            for (int l = 0; l < 8; ++l) r[l] = _mm256_loadu_ps(from[l] + e);
            for (int l = 0; l < 8; l += 2) {
                t[l] = _mm256_unpacklo_ps(r[l], r[l + 1]);
                t[l + 1] = _mm256_unpackhi_ps(r[l], r[l + 1]);
            }
            for (int l = 0; l < 8; l += 4) {
                r[l] = _mm256_shuffle_ps(t[l], t[l + 2], 0x44);
                r[l + 1] = _mm256_shuffle_ps(t[l], t[l + 2], 0xEE);
                r[l + 2] = _mm256_shuffle_ps(t[l + 1], t[l + 3], 0x44);
                r[l + 3] = _mm256_shuffle_ps(t[l + 1], t[l + 3], 0xEE);
            }
            for (int l = 0; l < 4; ++l) {
                _mm256_storeu_ps(to + 8 * l, _mm256_permute2f128_ps(r[l], r[l + 4], 0x20));
                _mm256_storeu_ps(to + 8 * (l + 4), _mm256_permute2f128_ps(r[l], r[l + 4], 0x31));
            }
        }
    }
#endif
    for (; e < whole; ++e, to += N)
        for (int l = 0; l < N; ++l) to[l] = from[l][e];
    for (; e < first + count; ++e, to += N)
        for (int l = 0; l < N; ++l) to[l] = e < sizes[l] ? from[l][e] : Real(0);
}

// One side of the pairs of all lanes: sequence l has steps[l] steps of C numbers. They are interleaved as they are
// needed, so that what is abandoned early costs little.
template <typename Real>
struct Side {
    static constexpr int N = Lanes<Real>::N;
    static constexpr int64_t AHEAD = 8;  // steps: then the numbers make whole vectors
    const Real* from[N];
    int64_t steps[N], sizes[N], most, channels, ready;
    Real* interleaved;

    static int64_t numbers(int64_t longest, int64_t channels) { return (longest + AHEAD) * channels * N; }

    void begin(int64_t n_channels, Real* memory) { channels = n_channels, interleaved = memory; }
    // Lanes from `used` on repeat the first one.
    void complete(int used) {
        for (int l = used; l < N; ++l) from[l] = from[0], steps[l] = steps[0];
        most = ready = 0;
        for (int l = 0; l < N; ++l) {
            sizes[l] = steps[l] * channels;
            most = steps[l] > most ? steps[l] : most;
        }
    }
    const Real* step_all(int64_t i) {
        while (ready <= i) step(ready);
        return interleaved + i * channels * N;
    }
    const Real* step(int64_t i) {
        if (i >= ready) {
            interleave(from, sizes, ready * channels, AHEAD * channels, interleaved + ready * channels * N);
            ready += AHEAD;
        }
        return interleaved + i * channels * N;
    }
};

// The steps of the columns: one sequence for all lanes, or one a lane.
template <typename Real>
struct Shared {
    static constexpr int64_t WIDTH = 1;
    static typename Lanes<Real>::V of(const Real* p) { return Lanes<Real>::splat(*p); }
};
template <typename Real>
struct Apart {
    static constexpr int64_t WIDTH = Lanes<Real>::N;
    static typename Lanes<Real>::V of(const Real* p) { return at(p); }
};

// Squared distances of one step of the rows and of B steps of the columns, channel after channel.
template <typename Real, typename Columns, int B>
inline void costs(const Real* row, const Real* columns, int64_t channels, typename Lanes<Real>::V* sums) {
    typedef Lanes<Real> L;
    for (int b = 0; b < B; ++b) sums[b] = L::splat(Real(0));
    const int64_t next = channels * Columns::WIDTH;
    for (int64_t c = 0; c < channels; ++c) {
        const typename L::V y = at(row + c * L::N);
        for (int b = 0; b < B; ++b)
            sums[b] = L::plus_square(sums[b], y - Columns::of(columns + b * next + c * Columns::WIDTH));
    }
}

// Accumulated costs of one row of cells, from left to right; `above` holds those of the row before and then this row's.
template <typename Real, typename Columns>
struct Row {
    typedef Lanes<Real> L;
    typedef typename L::V V;
    const Real *step, *columns;
    int64_t channels, i;
    Real* above;
    // lanes differ in their bands outside of these columns
    int64_t common_first, common_last;
    typename L::I behind, ahead;
    V diagonal, left;

    template <int B>
    void cells(int64_t j, bool masked) {
        V sums[B];
        costs<Real, Columns, B>(step, columns + j * channels * Columns::WIDTH, channels, sums);
        for (int b = 0; b < B; ++b) {
            Real* cell = above + (j + b) * L::N;
            const V top = at(cell);
            left = sums[b] + L::least(L::least(top, diagonal), left);
            if (masked) left = outside(j + b);
            diagonal = top;
            put(cell, left);
        }
    }
    V outside(int64_t j) const {
        typename L::I offset;
        for (int l = 0; l < L::N; ++l) offset[l] = static_cast<typename L::Int>(j - i);
        return (offset >= -behind) & (offset <= ahead) ? left : L::splat(infinity<Real>);
    }
    void run(int64_t j, int64_t end) {
        while (j < end) {
            if (j + 4 <= end && j >= common_first && j + 3 <= common_last) {
                cells<4>(j, false);
                j += 4;
            } else {
                cells<1>(j, j < common_first || j > common_last);
                ++j;
            }
        }
    }
};

// The squared distance of every lane, or infinity where it is above its limit.
//
// A cell is alive where it is at most its lane's limit: costs are not negative, so that no path through another cell
// ends within it. Of a row, the columns from the first to the last cell that is alive in any lane are computed, those
// that such cells reach included; a row without one ends the search. What lies outside counts as infinite.
template <typename Real, typename Columns>
struct Warp {
    typedef Lanes<Real> L;
    typedef typename L::V V;
    static constexpr int N = L::N;

    Side<Real> rows;
    const Real* columns;           // interleaved where they lie apart
    int64_t n_columns[N], most_columns;
    int64_t radius;                // or NO_BAND
    Real limits[N];                // negative where a lane is not used
    const Real* remaining;         // costs that the rows from i on have at least, (rows + 1, N); or null
    Real* above;                   // most_columns * N numbers
    Real found[N];

    void run() {
        Row<Real, Columns> row;
        row.columns = columns, row.channels = rows.channels, row.above = above;
        int64_t far_behind, far_ahead, near_behind, near_ahead;
        band(row, far_behind, near_behind, far_ahead, near_ahead);
        for (int l = 0; l < N; ++l) found[l] = infinity<Real>;
        int64_t first = 0, end = 0, last_row = 0;  // columns that are alive in the row before
        for (int l = 0; l < N; ++l)
            if (limits[l] >= 0 && rows.steps[l] > last_row) last_row = rows.steps[l];
        for (int64_t i = 0; i < last_row; ++i) {
            const int64_t from = larger(first, i - far_behind), stop = smaller(most_columns, i + far_ahead + 1);
            if (from >= stop) return;
            row.step = rows.step(i), row.i = i;
            row.common_first = i - near_behind, row.common_last = i + near_ahead;
            row.left = L::splat(infinity<Real>);
            row.diagonal = L::splat(i == 0 ? Real(0) : infinity<Real>);
            if (from > first && from <= end) row.diagonal = at(above + (from - 1) * N);
            const V limit = limit_of(i);
            int64_t j = larger(from, smaller(end, stop));
            row.run(from, j);
            while (j < stop && L::any_within(L::least(row.left, row.diagonal), limit)) {
                const int64_t more = smaller(j + 4, stop);
                for (int64_t k = j; k < more; ++k) put(above + k * N, L::splat(infinity<Real>));
                row.run(j, more);
                j = more;
            }
            take(i, from, j);
            for (first = from; first < j && !L::any_within(at(above + first * N), limit);) ++first;
            if (first == j) return;
            for (end = j; !L::any_within(at(above + (end - 1) * N), limit);) --end;
        }
    }

private:
    static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
    static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

    // The band of a lane: columns from i - behind to i + ahead. The longer sequence may run ahead by the difference.
    void band(Row<Real, Columns>& row, int64_t& far_behind, int64_t& near_behind, int64_t& far_ahead,
              int64_t& near_ahead) const {
        const int64_t all = rows.most + most_columns, r = radius == NO_BAND || radius > all ? all : radius;
        far_behind = far_ahead = 0, near_behind = near_ahead = 2 * all;
        for (int l = 0; l < N; ++l) {
            const int64_t behind = r + larger(rows.steps[l] - n_columns[l], 0);
            const int64_t ahead = r + larger(n_columns[l] - rows.steps[l], 0);
            row.behind[l] = static_cast<typename L::Int>(behind), row.ahead[l] = static_cast<typename L::Int>(ahead);
            far_behind = larger(far_behind, behind), near_behind = smaller(near_behind, behind);
            far_ahead = larger(far_ahead, ahead), near_ahead = smaller(near_ahead, ahead);
        }
    }
    V limit_of(int64_t i) const {
        const V limit = at(limits);
        return remaining ? limit - at(remaining + (i + 1) * N) : limit;
    }
    // The distances of the lanes that end with this row, which are then no longer alive.
    void take(int64_t i, int64_t from, int64_t end) {
        for (int l = 0; l < N; ++l) {
            if (rows.steps[l] != i + 1 || limits[l] < 0) continue;
            const int64_t j = n_columns[l] - 1;
            if (from <= j && j < end && above[j * N + l] <= limits[l]) found[l] = above[j * N + l];
            limits[l] = -1;
        }
    }
};

}  // namespace
