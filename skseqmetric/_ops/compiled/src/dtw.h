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
        low = room.of<float>((3 * n + m) * C), high = room.of<float>((3 * n + m) * C);
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

    int64_t enveloped = 0;  // steps of the references that the envelope in memory is for, 0: none yet

    // Of every step of a reference of n steps, the least and the largest value of each channel among the steps of the
    // query that its band allows.
    void envelop(int64_t n) {
        if (enveloped == n || (enveloped && s.radius == NO_BAND && enveloped >= n)) return;
        const int64_t C = s.n_channels;
        enveloped = s.radius == NO_BAND ? s.references.longest : n;
        const int64_t most = s.radius == NO_BAND ? n + steps : s.radius;
        int64_t behind = most + (n > steps ? n - steps : 0), ahead = most + (steps > n ? steps - n : 0);
        if (s.radius == NO_BAND) return box(enveloped);
        if (behind > n - 1) behind = n - 1;
        if (ahead > steps - 1) ahead = steps - 1;
        const int64_t rows = n + behind + ahead;
        for (int64_t i = 0; i < rows; ++i) {
            const int64_t j = i - behind;
            for (int64_t c = 0; c < C; ++c) {
                const bool inside = j >= 0 && j < steps;
                m.low[i * C + c] = inside ? fast.columns[j * C + c] : infinity<float>;
                m.high[i * C + c] = inside ? fast.columns[j * C + c] : -infinity<float>;
            }
        }
        int64_t width = 1;
        const int64_t window = behind + ahead + 1;
        for (; 2 * width <= window; width *= 2) shift((rows - 2 * width + 1) * C, width * C);
        if (width < window) shift(n * C, (window - width) * C);
    }
    void shift(int64_t count, int64_t by) {
        for (int64_t e = 0; e < count; ++e) {
            m.low[e] = m.low[e] < m.low[e + by] ? m.low[e] : m.low[e + by];
            m.high[e] = m.high[e] > m.high[e + by] ? m.high[e] : m.high[e + by];
        }
    }
    void box(int64_t rows) {
        const int64_t C = s.n_channels;
        for (int64_t c = 0; c < C; ++c) {
            float low = infinity<float>, high = -infinity<float>;
            for (int64_t j = 0; j < steps; ++j) {
                const float x = fast.columns[j * C + c];
                low = x < low ? x : low, high = x > high ? x : high;
            }
            for (int64_t i = 0; i < rows; ++i) m.low[i * C + c] = low, m.high[i * C + c] = high;
        }
    }
    float cell(const float* x, const float* y) const {
        float sum = 0;
        for (int64_t c = 0; c < s.n_channels; ++c) sum += (x[c] - y[c]) * (x[c] - y[c]);
        return sum;
    }
    typedef Lanes<float> F;
    F::V gaps(F::V sum, const float* y, int64_t e) const {
        const F::V value = at(y + e);
        return F::plus_square(sum, F::most(F::most(at(m.low + e) - value, value - at(m.high + e)), F::splat(0.0f)));
    }
    // Rows between the first and the last by LB_Keogh, and the cells that every path begins and ends with.
    float bound(int64_t r) {
        const int64_t n = steps_of(s.references, r), C = s.n_channels;
        const float* y = s.references.narrow + s.references.starts[r] * C;
        const float *x = fast.columns, *x_end = x + (steps - 1) * C, *y_end = y + (n - 1) * C;
        float sum = cell(x, y) + (n > 1 || steps > 1 ? cell(x_end, y_end) : 0.0f);
        if (n < 3) return sum;
        envelop(n);
        F::V first = F::splat(0.0f), second = first;
        int64_t e = C;
        const int64_t end = (n - 1) * C;
        for (; e + 2 * F::N <= end; e += 2 * F::N) first = gaps(first, y, e), second = gaps(second, y, e + F::N);
        for (; e + F::N <= end; e += F::N) first = gaps(first, y, e);
        for (; e < end; ++e) {
            const float below = m.low[e] - y[e], above = y[e] - m.high[e], gap = below > above ? below : above;
            sum += gap > 0 ? gap * gap : 0.0f;
        }
        first = first + second;
        for (int l = 0; l < F::N; ++l) sum += first[l];
        return sum;
    }
    int64_t bound_all() {
        int64_t n = 0;
        for (int64_t i = 0; i < s.references.n; ++i) {
            const int64_t r = s.by_length[i];
            if (!s.exclude || s.exclude[query] != r) m.bounds[n++] = {bound(r), 0, r};
        }
        std::sort(m.bounds, m.bounds + n);
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

    // What the rows from i on cost at least, by LB_Keogh and the last cell, of every lane.
    void remain(int used) {
        bool alike = s.radius == NO_BAND;
        if (!alike) {
            alike = true;
            for (int l = 1; l < used; ++l) alike = alike && fast.rows.steps[l] == fast.rows.steps[0];
        }
        fast.remaining = alike && fast.limits[0] < infinity<float> ? m.remaining : nullptr;
        if (!fast.remaining) return;
        envelop(fast.rows.most);
        const int64_t C = s.n_channels;
        F::V sum = F::splat(0.0f);
        put(m.remaining + fast.rows.most * F::N, sum);
        for (int64_t i = fast.rows.most - 1; i > 0; --i) {
            F::V gap = F::splat(0.0f);
            const float* y = fast.rows.step_all(i);
            for (int64_t c = 0; c < C; ++c) {
                const F::V value = at(y + c * F::N);
                gap = F::plus_square(gap, F::most(F::most(F::splat(m.low[i * C + c]) - value,
                                                          value - F::splat(m.high[i * C + c])), F::splat(0.0f)));
            }
            for (int l = 0; l < F::N; ++l)
                if (i >= fast.rows.steps[l] - 1)
                    gap[l] = i > fast.rows.steps[l] - 1
                                 ? 0.0f
                                 : cell(fast.columns + (steps - 1) * C, fast.rows.from[l] + i * C);
            sum = sum + gap;
            put(m.remaining + i * F::N, sum);
        }
    }

    void find_candidates() {
        const int64_t n = bound_all();
        for (at_bound = 0; at_bound < n; at_bound += fast.N) {
            if (m.bounds[at_bound].least > fast_limit()) break;
            const int used = load(fast, s.references.narrow, n - at_bound, fast_limit());
            remain(used);
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
