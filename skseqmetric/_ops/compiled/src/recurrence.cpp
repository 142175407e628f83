// The C interface that Python loads: picks the kernels, shares the tiles out among threads.
#include <atomic>
#include <new>

#include "exported.h"
#include "kernels.h"
#include "pair_lists.h"
#include "team.h"

namespace {

#if defined(SKSEQ_X86)
bool usable(const Kernels* k) {
    // every instruction set that setup.py compiles these kernels with
    if (k == &kernels_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma");
    if (k == &kernels_avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return true;
}
const Kernels* const sets[] = {&kernels_avx512, &kernels_avx2, &kernels_generic};
#else
bool usable(const Kernels*) { return true; }
const Kernels* const sets[] = {&kernels_generic};
#endif

const Kernels* best() {
    for (const Kernels* k : sets)
        if (usable(k)) return k;
    return nullptr;
}

std::atomic<const Kernels*> chosen{best()};

constexpr int64_t PART_ROWS = 16;  // whole vectors of every kernel
constexpr int64_t WORTH_SHARING = 1 << 20;  // multiplications of a part: fewer take no longer than waking a worker

// work(first, rows) for all of M rows of so many multiplications each, shared out where workers are awake.
template <typename Work>
void in_parts(int64_t M, int64_t each, int64_t n_threads, decltype(Problem::openmp) openmp, const Work& work) {
    int64_t n = M * each / WORTH_SHARING;
    n = n < n_threads ? n : n_threads;
    if (!openmp || n < 2 || M < 2 * PART_ROWS) return work(0, M);
    const int64_t share = (M + n - 1) / n;
    const int64_t rows = (share + PART_ROWS - 1) / PART_ROWS * PART_ROWS;
    std::atomic<int64_t> next{0};
    in_team(openmp, n, [&](int64_t) {
        for (int64_t first; (first = next.fetch_add(rows)) < M;) work(first, M - first < rows ? M - first : rows);
    });
}

// status(), or 1 where memory ran out.
template <typename Work>
int with_memory(const Work& status) {
    try {
        return status();
    } catch (const std::bad_alloc&) {
        return 1;
    }
}

// 0, or 1 where memory ran out.
int run(const Problem& p, bool backward) {
    const Kernels& k = *chosen.load();
    const int64_t tiles = k.tiles(p);
    Shares shares{backward ? p.n_shares : tiles};
    const int64_t n_threads = p.n_threads < shares.n ? p.n_threads : (shares.n > 1 ? shares.n : 1);
    const int64_t scratch = aligned(k.scratch_floats(p, backward));
    const Buffer memory(scratch * n_threads);
    if (!memory.memory) return 1;
    in_team_or_own(p.openmp, n_threads, [&](int64_t thread) {
        k.run(p, backward, shares, memory.floats + thread * scratch);
    });
    return 0;
}

}  // namespace

EXPORT int64_t skseq_problem_bytes() { return sizeof(Problem); }

// The name of field i of Problem, whose offset and size are written to `place`; null behind the last one.
EXPORT const char* skseq_problem_field(int64_t i, int64_t* place) {
    if (i >= static_cast<int64_t>(sizeof(PROBLEM_FIELDS) / sizeof(Field))) return nullptr;
    place[0] = PROBLEM_FIELDS[i].offset, place[1] = PROBLEM_FIELDS[i].bytes;
    return PROBLEM_FIELDS[i].name;
}

EXPORT const char* skseq_kernels() { return chosen.load()->name; }
EXPORT int64_t skseq_width() { return chosen.load()->width; }
EXPORT int64_t skseq_tiles(const Problem* p) { return chosen.load()->tiles(*p); }
EXPORT int64_t skseq_saved_floats(const Problem* p) { return chosen.load()->saved_floats(*p); }
EXPORT int skseq_forward(const Problem* p) { return run(*p, false); }
EXPORT int skseq_backward(const Problem* p) { return run(*p, true); }

EXPORT int64_t skseq_packed_matrix(int64_t K, int64_t N) { return chosen.load()->packed_matrix(K, N); }

EXPORT void skseq_pack_matrix(float* out, const float* source, int64_t K, int64_t N, int64_t row, int64_t column) {
    chosen.load()->pack_matrix(out, source, K, N, row, column);
}

EXPORT void skseq_product(const float* a, const float* packed, float* c, int64_t lda, int64_t ldc, int64_t M, int64_t K,
                          int64_t N, int64_t add, int64_t n_threads, decltype(Problem::openmp) openmp) {
    in_parts(M, K * N, n_threads, openmp, [=](int64_t first, int64_t rows) {
        chosen.load()->product({a + first * lda, packed, c + first * ldc, lda, ldc, rows, K, N, add});
    });
}

EXPORT void skseq_update(const float* a, const float* b, float* c, int64_t lda, int64_t ldb, int64_t M, int64_t K,
                         int64_t N, int64_t n_threads, decltype(Problem::openmp) openmp) {
    in_parts(M, K * N, n_threads, openmp, [=](int64_t first, int64_t rows) {
        chosen.load()->update({a + first, b, c + first * N, lda, ldb, rows, K, N});
    });
}

// 0, or 1 where memory ran out.
EXPORT int skseq_convolutions(const float* values, const int64_t* offsets, const int64_t* dilations,
                              const int64_t* n_biases, const int64_t* starts, const int32_t* channels,
                              const int32_t* order, const float* biases, float* shares, int64_t n_sequences,
                              int64_t n_channels, int64_t n_dilations, int64_t n_features, int64_t longest,
                              int64_t largest_dilation, int64_t n_threads, decltype(Problem::openmp) openmp) {
    const Convolutions p{values,   offsets,     dilations,  n_biases,    starts,     channels, order,           biases,
                         shares,   n_sequences, n_channels, n_dilations, n_features, longest,  largest_dilation};
    const Kernels& k = *chosen.load();
    return in_shares(n_sequences, n_threads, k.convolution_floats(p), openmp,
                     [&](Shares& sequences, float* scratch) { k.convolutions(p, sequences, scratch); });
}

EXPORT int64_t skseq_packed_places(int64_t P, int64_t D) { return chosen.load()->packed_places(P, D); }
EXPORT int64_t skseq_soft_slopes(int64_t P) { return chosen.load()->soft_slopes(P); }

EXPORT void skseq_pack_sequences(float* out, const float* states, int64_t n, int64_t P, int64_t D) {
    chosen.load()->pack_sequences(out, states, n, P, D);
}

// 0, or 1 where memory ran out.
EXPORT int skseq_soft_alignment(const float* states, const float* packed, const int64_t* rows, const int64_t* columns,
                       const float* tau, float* out, float* slopes, int64_t first, int64_t n_pairs, int64_t n,
                       int64_t P, int64_t D, int64_t n_threads, decltype(Problem::openmp) openmp) {
    return with_memory([&] {
        const PairLists pairs(rows, columns, first, n_pairs, n);
        std::vector<float> room(pairs.square || !out ? n_pairs : 0);
        const Kernels& k = *chosen.load();
        float* by_tau = slopes ? slopes + n_pairs * (k.soft_slopes(P) - 1) : nullptr;
        const SoftAlignment a{states, packed, pairs.rows, pairs.columns, room.empty() ? out : room.data(), slopes, by_tau,
                          n_pairs, P, D, *tau};
        const int status = in_shares((n_pairs + SOFT_PAIRS - 1) / SOFT_PAIRS, n_threads, k.soft_floats(P),
                                     openmp, [&](Shares& shares, float* scratch) { k.soft_alignment(a, shares, scratch); });
        if (pairs.square && out) pairs.spread(room.data(), out);
        return status;
    });
}

// 0, or 1 where memory ran out.
EXPORT int skseq_soft_alignment_back(const float* states, const float* packed, const float* slopes, const float* outer,
                            const int64_t* rows, const int64_t* columns, float* grad, float* grad_tau, int64_t first,
                            int64_t n_pairs, int64_t n, int64_t P, int64_t D, int64_t n_threads,
                            decltype(Problem::openmp) openmp) {
    return with_memory([&] {
        const PairLists pairs(rows, columns, first, n_pairs, n);
        const BySequence lists(pairs);
        std::vector<float> room(pairs.square ? n_pairs : 0);
        if (pairs.square) pairs.gather(room.data(), outer), outer = room.data();
        const Kernels& k = *chosen.load();
        const SoftGradient g{states, packed, slopes, outer, pairs.rows, pairs.columns,
                                  lists.starts.data(), lists.entries.data(), grad, P, D};
        const float* by_tau = slopes + n_pairs * (k.soft_slopes(P) - 1);
        double total = 0;
        for (int64_t pair = 0; pair < n_pairs; ++pair) total += double(outer[pair]) * by_tau[pair];
        *grad_tau += static_cast<float>(total);
        const int64_t threads = n_threads * SOFT_PAIRS < n_pairs ? n_threads : 1 + n_pairs / SOFT_PAIRS;
        return in_shares(n, threads, P, openmp,
                         [&](Shares& shares, float* scratch) { k.soft_alignment_back(g, shares, scratch); });
    });
}

// 0, or 1 where memory ran out.
EXPORT int skseq_alignment(const float* rows, const float* lanes, const int64_t* row, const int64_t* lane,
                           double* distances, int64_t* row_matches, int64_t* lane_matches, double* row_costs,
                           double* lane_costs, int64_t n_rows, int64_t n_lanes, int64_t n_pairs, int64_t P, int64_t Q,
                           int64_t D, int64_t row_step, int64_t lane_step, int64_t n_threads,
                           decltype(Problem::openmp) openmp) {
    const Alignment a{rows,   lanes,   row,     lane, distances, row_matches, lane_matches, row_costs, lane_costs,
                      n_rows, n_lanes, n_pairs, P,    Q,         D,           row_step,     lane_step};
    if (row ? !n_pairs : !n_rows || !n_lanes) return 0;
    const Kernels& k = *chosen.load();
    Shares tasks{k.alignment_tasks(a)};
    const int64_t n = n_threads < tasks.n ? n_threads : tasks.n, scratch = aligned(k.alignment_floats(a));
    const Buffer memory(scratch * n);
    if (!memory.memory) return 1;
    const auto work = [&](int64_t thread) { k.alignment(a, tasks, memory.floats + thread * scratch); };
    if (openmp && n > 1)
        in_team(openmp, n, work);
    else
        in_threads(n, work);
    return 0;
}

namespace {

// The fields of a Stem in the order of kernels.h, addresses as numbers.
Stem stem_of(const int64_t* v) {
    const auto floats = [](int64_t address) { return reinterpret_cast<float*>(address); };
    return {v[0], v[1], v[2], v[3], v[4], v[5], {v[6], v[7]}, {v[8], v[9]}, {v[10], v[11]}, floats(v[12]),
            reinterpret_cast<const int64_t*>(v[13]), {floats(v[14]), floats(v[15])}, {floats(v[16]), floats(v[17])},
            floats(v[18]), floats(v[19]), floats(v[20]), floats(v[21]), v[22], v[23], v[24], floats(v[25])};
}

}  // namespace

EXPORT int64_t skseq_stem_kept(const int64_t* fields) {
    const Stem p = stem_of(fields);
    return p.n_sequences * chosen.load()->stem_kept(p);
}
EXPORT int64_t skseq_stem_gradients(const int64_t* fields) { return chosen.load()->stem_gradients(stem_of(fields)); }

// 0, or 1 where memory ran out.
EXPORT int skseq_stem(const int64_t* fields, int64_t backward, int64_t n_threads, decltype(Problem::openmp) openmp) {
    const Stem p = stem_of(fields);
    const Kernels& k = *chosen.load();
    if (!p.n_sequences) return 0;
    Shares shares{backward ? p.n_shares : p.n_sequences};
    const int64_t n = n_threads < shares.n ? n_threads : shares.n, scratch = aligned(k.stem_floats(p));
    const Buffer memory(scratch * n);
    if (!memory.memory) return 1;
    const auto work = [&](int64_t thread) { k.stem(p, backward, shares, memory.floats + thread * scratch); };
    if (openmp && n > 1)
        in_team(openmp, n, work);
    else
        in_threads(n, work);
    return 0;
}

EXPORT void skseq_gates(const float* x, float* sigmoid, float* tanh, int64_t n) {
    chosen.load()->gates(x, sigmoid, tanh, n);
}

// Another set of kernels from now on (for tests); 1 where the processor or the build does not have it.
EXPORT int skseq_use(const char* name) {
    for (const Kernels* k : sets) {
        const char *a = k->name, *b = name;
        while (*a && *a == *b) ++a, ++b;
        if (*a != *b || !usable(k)) continue;
        chosen = k;
        return 0;
    }
    return 1;
}
