#include "memory.inc"

extern const MemoryKernels memory_generic{"generic", kept_floats, between_floats, packed_floats, pack_memory, scratch_floats,
                                       run_tiles, n_sums, run_sums};
