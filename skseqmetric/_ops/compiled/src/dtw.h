// Distances of all pairs or of given ones, and the search for the nearest, on the recursion of warp.h.
#pragma once

#include <algorithm>
#include <cmath>

#include "warp.h"

namespace {

inline int64_t take_next(Queue& queue) { return queue.taken.fetch_add(1, std::memory_order_relaxed); }
inline int64_t steps_of(const Stacked& s, int64_t i) { return s.starts[i + 1] - s.starts[i]; }

// Parts of the scratch of a thread, each aligned to a cache line. Without memory it only counts.
struct Room {
    char* memory;
    int64_t bytes = 0;
    template <typename T>
    T* of(int64_t n) {
        T* here = memory ? reinterpret_cast<T*>(memory + bytes) : nullptr;
        bytes += (n * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
        return here;
    }
};

// ------------------------------------------------------------------------------------------------ distances

constexpr int64_t COLUMNS_OF_PART = 64;  // of a table: rows that share the interleaved ones of a part

struct DistanceScratch {
    double *rows, *columns, *above;
    DistanceScratch(const Distances& d, Room& room) {
        constexpr int N = Lanes<double>::N;
        rows = room.of<double>(Side<double>::numbers(d.right.longest, d.n_channels));
        columns = d.table ? nullptr : room.of<double>(Side<double>::numbers(d.left.longest, d.n_channels));
        above = room.of<double>(d.left.longest * N);
    }
};

int64_t distance_bytes(const Distances& d) {
    Room room{nullptr};
    DistanceScratch(d, room);
    return room.bytes;
}

inline int64_t groups(int64_t n) { return (n + Lanes<double>::N - 1) / Lanes<double>::N; }
inline int64_t stripes(const Distances& d) { return d.table ? (d.n_rows + COLUMNS_OF_PART - 1) / COLUMNS_OF_PART : 1; }
int64_t distance_parts(const Distances& d) { return groups(d.table ? d.n_columns : d.n_rows) * stripes(d); }

template <typename Columns>
inline int begin_group(const Distances& d, const int64_t* ids, int64_t first, int64_t n, Warp<double, Columns>& w) {
    const int used = static_cast<int>(n - first < Lanes<double>::N ? n - first : Lanes<double>::N);
    for (int l = 0; l < used; ++l) {
        w.rows.from[l] = d.right.values + d.right.starts[ids[first + l]] * d.n_channels;
        w.rows.steps[l] = steps_of(d.right, ids[first + l]);
    }
    w.rows.complete(used);
    return used;
}

template <typename Columns>
inline void run_group(Warp<double, Columns>& w, int used, double* out) {
    for (int l = 0; l < w.N; ++l) w.limits[l] = l < used ? infinity<double> : -1.0;
    w.run();
    for (int l = 0; l < used; ++l) out[l] = std::sqrt(w.found[l]);
}

// Some columns of the table in the lanes, against a stripe of its rows.
inline void table_part(const Distances& d, int64_t part, Warp<double, Shared<double>>& w) {
    const int64_t n_groups = groups(d.n_columns), c = part % n_groups * w.N, stripe = part / n_groups * COLUMNS_OF_PART;
    const int used = begin_group(d, d.columns, c, d.n_columns, w);
    for (int64_t r = stripe; r < d.n_rows && r < stripe + COLUMNS_OF_PART; ++r) {
        w.columns = d.left.values + d.left.starts[d.rows[r]] * d.n_channels;
        w.most_columns = steps_of(d.left, d.rows[r]);
        for (int l = 0; l < w.N; ++l) w.n_columns[l] = w.most_columns;
        run_group(w, used, d.out + r * d.n_columns + c);
    }
}

inline void pairs_part(const Distances& d, int64_t part, Warp<double, Apart<double>>& w, double* memory) {
    const int64_t p = part * w.N;
    const int used = begin_group(d, d.columns, p, d.n_rows, w);
    Side<double> left;
    left.begin(d.n_channels, memory);
    for (int l = 0; l < used; ++l) {
        left.from[l] = d.left.values + d.left.starts[d.rows[p + l]] * d.n_channels;
        left.steps[l] = steps_of(d.left, d.rows[p + l]);
    }
    left.complete(used);
    for (int l = 0; l < w.N; ++l) w.n_columns[l] = left.steps[l];
    left.step(0);
    interleave(left.from, left.sizes, 0, left.most * d.n_channels, memory);
    w.columns = memory, w.most_columns = left.most;
    run_group(w, used, d.out + p);
}

template <typename Columns>
inline Warp<double, Columns> unlimited(const Distances& d, const DistanceScratch& s) {
    Warp<double, Columns> w{};
    w.rows.begin(d.n_channels, s.rows);
    w.above = s.above, w.radius = d.radius;
    return w;
}

void distances(const Distances& d, Queue& queue, void* scratch) {
    Room room{static_cast<char*>(scratch)};
    const DistanceScratch s(d, room);
    auto shared = unlimited<Shared<double>>(d, s);
    auto apart = unlimited<Apart<double>>(d, s);
    for (int64_t part; (part = take_next(queue)) < queue.n;) {
        if (d.table)
            table_part(d, part, shared);
        else
            pairs_part(d, part, apart, s.columns);
    }
}

// ------------------------------------------------------------------------------------------------ search

// A reference that may be among the nearest: its scaled distance lies between two bounds.
struct Candidate {
    double low, high;
    int64_t index;
};
struct Neighbour {
    double distance;
    int64_t index;
    bool operator<(const Neighbour& o) const {
        return distance < o.distance || (distance == o.distance && index < o.index);
    }
};
struct Bound {
    float least;
    int32_t unused;
    int64_t index;
    bool operator<(const Bound& o) const { return least < o.least || (least == o.least && index < o.index); }
};
struct High {
    double value;
    bool operator<(const High& o) const { return value < o.value; }
};

struct SearchScratch {
    Bound* bounds;
    Candidate* candidates;
    Neighbour* neighbours;
    High* highs;  // a heap of the k smallest upper bounds
    float *low, *high;  // envelope
    float *rows, *above, *remaining;
    double *exact_rows, *exact_above;
    SearchScratch(const Search& s, Room& room) {
        const int64_t R = s.references.n, m = s.queries.longest, n = s.references.longest, C = s.n_channels;
        bounds = room.of<Bound>(R), candidates = room.of<Candidate>(R), neighbours = room.of<Neighbour>(R);
        highs = room.of<High>(s.k);
        low = room.of<float>(n * C + 16), high = room.of<float>(n * C + 16);
        rows = room.of<float>(Side<float>::numbers(n, C)), above = room.of<float>(m * Lanes<float>::N);
        remaining = room.of<float>((n + 1) * Lanes<float>::N);
        exact_rows = room.of<double>(Side<double>::numbers(n, C));
        exact_above = room.of<double>(m * Lanes<double>::N);
    }
};

int64_t search_bytes(const Search& s) {
    Room room{nullptr};
    SearchScratch(s, room);
    return room.bytes;
}

// The search of one query.
//
// Distances are computed in single precision first, of values less a centre and scaled to at most 1. With P aligned
// pairs of C channels, such a sum of squares S has a relative error below gamma, and the values it is computed from
// differ from the true ones, so that by the triangle inequality, for every path, the square root of its true sum lies
// within sqrt(P square_error) of that of S: low <= distance <= high. A reference is out where low is above the k-th
// smallest high. The others' distances are computed in double precision, which decides.
struct QuerySearch {
    const Search& s;
    const SearchScratch& m;
    int64_t query, steps, n_candidates = 0, n_highs = 0;
    double gamma, error;
    Warp<float, Shared<float>> fast{};
    Warp<double, Shared<double>> exact{};

    QuerySearch(const Search& search, const SearchScratch& memory, int64_t q)
        : s(search), m(memory), query(q), steps(steps_of(search.queries, q)) {
        const double longest = static_cast<double>(steps + s.references.longest);
        const double operations = longest + s.n_channels + 8;
        gamma = operations * 0x1p-24 / (1 - operations * 0x1p-24);
        if (!(gamma >= 0 && gamma < 0.5)) gamma = 1;
        error = std::sqrt(longest * s.square_error);
        begin(fast, s.queries.narrow, m.rows, m.above);
        begin(exact, s.queries.values, m.exact_rows, m.exact_above);
    }
    template <typename Real>
    void begin(Warp<Real, Shared<Real>>& w, const Real* values, Real* rows, Real* above) {
        w.rows.begin(s.n_channels, rows);
        w.columns = values + s.queries.starts[query] * s.n_channels, w.most_columns = steps;
        for (int l = 0; l < w.N; ++l) w.n_columns[l] = steps;
        w.above = above, w.radius = s.radius;
    }

    // The largest distance, scaled, that is still of interest.
    double bar() const { return n_highs < s.k ? infinity<double> : m.highs[0].value; }
    // The largest sum of squares in single precision that belongs to such a distance, rounded up.
    float fast_limit() const {
        if (gamma == 1) return infinity<float>;
        const double most = bar() + error;
        return static_cast<float>(most * most * (1 + gamma) * (1 + 0x1p-20));
    }
    void add(int64_t index, float squared) {
        const double slack = 1 + (steps + s.references.longest + s.n_channels + 8) * 0x1p-50;
        const double low = (std::sqrt(squared / (1 + gamma)) - error) / slack;
        const double high = gamma == 1 ? infinity<double> : (std::sqrt(squared / (1 - gamma)) + error) * slack;
        m.candidates[n_candidates++] = {low, high, index};
        if (n_highs < s.k) {
            m.highs[n_highs++] = {high};
            std::push_heap(m.highs, m.highs + n_highs);
        } else if (high < m.highs[0].value) {
            std::pop_heap(m.highs, m.highs + n_highs);
            m.highs[n_highs - 1] = {high};
            std::push_heap(m.highs, m.highs + n_highs);
        }
    }

    int64_t bound_all() {
        int64_t n = 0;
        for (int64_t r = 0; r < s.references.n; ++r)
            if (!s.exclude || s.exclude[query] != r) m.bounds[n++] = {0.0f, 0, r};
        return n;
    }
    template <typename Real>
    int load(Warp<Real, Shared<Real>>& w, const Real* values, int64_t left, Real limit) {
        const int used = static_cast<int>(left < w.N ? left : w.N);
        for (int l = 0; l < w.N; ++l) w.limits[l] = l < used ? limit : Real(-1);
        for (int l = 0; l < used; ++l) {
            w.rows.from[l] = values + s.references.starts[index_of(w, l)] * s.n_channels;
            w.rows.steps[l] = steps_of(s.references, index_of(w, l));
        }
        w.rows.complete(used);
        return used;
    }
    int64_t at_bound = 0, at_candidate = 0;
    int64_t index_of(const Warp<float, Shared<float>>&, int l) const { return m.bounds[at_bound + l].index; }
    int64_t index_of(const Warp<double, Shared<double>>&, int l) const { return m.candidates[at_candidate + l].index; }

    void find_candidates() {
        const int64_t n = bound_all();
        for (at_bound = 0; at_bound < n; at_bound += fast.N) {
            const int used = load(fast, s.references.narrow, n - at_bound, fast_limit());
            fast.run();
            for (int l = 0; l < used; ++l)
                if (fast.found[l] < infinity<float>) add(m.bounds[at_bound + l].index, fast.found[l]);
        }
    }
    void decide() {
        int64_t n = 0;
        for (int64_t i = 0; i < n_candidates; ++i)
            if (m.candidates[i].low <= bar()) m.candidates[n++] = m.candidates[i];
        const double most = bar() / s.scale * (1 + 0x1p-40);
        for (at_candidate = 0; at_candidate < n; at_candidate += exact.N) {
            const int used = load(exact, s.references.values, n - at_candidate, most * most);
            exact.run();
            for (int l = 0; l < used; ++l)
                m.neighbours[at_candidate + l] = {std::sqrt(exact.found[l]), m.candidates[at_candidate + l].index};
        }
        std::partial_sort(m.neighbours, m.neighbours + s.k, m.neighbours + n);
        for (int64_t i = 0; i < s.k; ++i) {
            s.distances[query * s.k + i] = m.neighbours[i].distance;
            s.indices[query * s.k + i] = m.neighbours[i].index;
        }
    }
};

void search(const Search& s, Queue& queue, void* scratch) {
    Room room{static_cast<char*>(scratch)};
    const SearchScratch memory(s, room);
    for (int64_t query; (query = take_next(queue)) < queue.n;) {
        QuerySearch one(s, memory, query);
        one.find_candidates();
        one.decide();
    }
}

}  // namespace
