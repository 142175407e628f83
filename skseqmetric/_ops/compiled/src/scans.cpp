// The C interface of whole scans: picks the kernels that recurrence.cpp has picked, packs the weights once for all
// threads, and shares the tiles out among them.
#include <cstring>

#include "exported.h"
#include "scans.h"
#include "team.h"

namespace {

const ScanKernels& chosen() { return CHOSEN_KERNELS(scans); }

// The fields of a struct in their order, addresses as numbers.
template <typename Scan>
Scan scan_of(const int64_t* fields) {
    static_assert(sizeof(Scan) % sizeof(int64_t) == 0 && sizeof(void*) == sizeof(int64_t));
    Scan scan;
    std::memcpy(&scan, fields, sizeof(Scan));
    return scan;
}

}  // namespace

// Numbers of the structs, so that Python can check its lists of them.
EXPORT int64_t skseq_cell_fields() { return sizeof(CellScan) / sizeof(int64_t); }
EXPORT int64_t skseq_reservoir_fields() { return sizeof(ReservoirScan) / sizeof(int64_t); }

EXPORT int64_t skseq_cell_tiles(const int64_t* fields) { return chosen().cell_tiles(scan_of<CellScan>(fields)); }
EXPORT int64_t skseq_cell_saved(const int64_t* fields) { return chosen().cell_saved(scan_of<CellScan>(fields)); }
EXPORT int64_t skseq_cell_gradients(const int64_t* fields) { return chosen().cell_gradients(scan_of<CellScan>(fields)); }

// 0, or 1 where memory ran out.
EXPORT int skseq_cell(const int64_t* fields, int64_t backward, int64_t n_threads, decltype(Problem::openmp) openmp) {
    const CellScan p = scan_of<CellScan>(fields);
    const ScanKernels& k = chosen();
    const Buffer packed(k.cell_packed(p, backward));
    if (!packed.memory) return 1;
    k.pack_cell(p, backward, packed.floats);
    return in_shares(backward ? p.n_shares : k.cell_tiles(p), n_threads, k.cell_scratch(p, backward), openmp,
                     [&](Shares& shares, float* scratch) { k.cell(p, backward, packed.floats, shares, scratch); });
}

// 0, or 1 where memory ran out.
EXPORT int skseq_reservoir_scan(const int64_t* fields, int64_t n_threads, decltype(Problem::openmp) openmp) {
    const ReservoirScan p = scan_of<ReservoirScan>(fields);
    const ScanKernels& k = chosen();
    return in_shares(k.reservoir_tasks(p), n_threads, k.reservoir_scratch(p), openmp,
                     [&](Shares& tasks, float* scratch) { k.reservoir(p, tasks, scratch); });
}

// The form of packed weights for as many sequences.
EXPORT int64_t skseq_reservoir_form(int64_t sparse, int64_t n_rows) {
    ReservoirScan p{};
    p.sparse = sparse, p.n_rows = n_rows;
    return chosen().reservoir_form(p);
}
EXPORT int64_t skseq_reservoir_packed(const int64_t* fields) {
    return chosen().reservoir_packed(scan_of<ReservoirScan>(fields));
}
EXPORT void skseq_pack_reservoir(const int64_t* fields, float* packed) {
    chosen().pack_reservoir(scan_of<ReservoirScan>(fields), packed);
}
