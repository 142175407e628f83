#include "scans.inc"

extern const ScanKernels scans_generic{"generic", cell_tiles, cell_packed, cell_saved, cell_scratch, cell_gradients, pack_cell, cell,
                              reservoir_tasks, form_of_reservoir, reservoir_packed, reservoir_scratch,
                              pack_reservoir, reservoir};
