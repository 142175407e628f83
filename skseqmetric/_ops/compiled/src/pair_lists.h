// The pairs of a call as lists, and the pairs of a sequence.
#pragma once

#include <cstdint>
#include <vector>

namespace {

// Given pairs (rows[k], columns[k]); or where they are null all pairs i < j of n sequences, tile by tile, from the pair
// `first` on. What belongs to a pair then lies in a square (n, n), at both of its places.
struct PairLists {
    static constexpr int64_t TILE = 32;  // sequences whose packed places stay in the second-level cache
    std::vector<int64_t> memory;
    const int64_t *rows, *columns;
    const int64_t n_pairs, n;
    const bool square;

    PairLists(const int64_t* rows, const int64_t* columns, int64_t first, int64_t n_pairs, int64_t n)
        : rows(rows), columns(columns), n_pairs(n_pairs), n(n), square(!rows) {
        if (!square) return;
        memory.reserve(2 * n_pairs);
        for (int64_t i = 0; i < n; i += TILE)
            for (int64_t j = i; j < n; j += TILE) list_tile(i, j, first);
        for (int64_t k = 0; k < n_pairs; ++k) memory.push_back(memory[k] % n), memory[k] /= n;
        this->rows = memory.data(), this->columns = memory.data() + n_pairs;
    }

    // The numbers i n + j of a tile's pairs, but for as many as are still before the first one.
    void list_tile(int64_t top, int64_t left, int64_t& before) {
        const int64_t bottom = top + TILE < n ? top + TILE : n, right = left + TILE < n ? left + TILE : n;
        const int64_t side = bottom - top, all = top == left ? side * (side - 1) / 2 : side * (right - left);
        if (before >= all) {
            before -= all;
            return;
        }
        for (int64_t i = top; i < bottom; ++i)
            for (int64_t j = top == left ? i + 1 : left; j < right; ++j) {
                if (before > 0) {
                    --before;
                    continue;
                }
                if (static_cast<int64_t>(memory.size()) == n_pairs) return;
                memory.push_back(i * n + j);
            }
    }

    void spread(const float* values, float* out) const {
        for (int64_t k = 0; k < n_pairs; ++k) out[rows[k] * n + columns[k]] = out[columns[k] * n + rows[k]] = values[k];
    }

    void gather(float* out, const float* values) const {
        for (int64_t k = 0; k < n_pairs; ++k) out[k] = values[rows[k] * n + columns[k]] + values[columns[k] * n + rows[k]];
    }
};

// The entries starts[b] to starts[b + 1] are 2 k where the sequence b is the first of the pair k, and 2 k + 1 where it is
// the second, in ascending order.
struct BySequence {
    std::vector<int64_t> starts, entries;

    explicit BySequence(const PairLists& p) : starts(p.n + 2), entries(2 * p.n_pairs) {
        int64_t* next = starts.data() + 1;
        for (int64_t k = 0; k < p.n_pairs; ++k) ++next[p.rows[k] + 1], ++next[p.columns[k] + 1];
        for (int64_t i = 0; i < p.n; ++i) next[i + 1] += next[i];
        for (int64_t k = 0; k < p.n_pairs; ++k) {
            entries[next[p.rows[k]]++] = 2 * k;
            entries[next[p.columns[k]]++] = 2 * k + 1;
        }
    }
};

}  // namespace
