#include "memory.inc"

extern const MemoryKernels memory_avx2{"avx2", kept_floats, between_floats, packed_floats, pack_memory, scratch_floats,
                                       run_tiles, n_sums, run_sums};
