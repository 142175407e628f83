#include "kernels.inc"

extern const Kernels kernels_avx512{"avx512", W, n_tiles, saved_floats, scratch_floats, run,
                               packed_matrix, pack, matrix_product, matrix_update, convolution_floats, convolutions,
                               alignment_tasks, alignment_floats, alignment, packed_places, soft_slopes, soft_floats,
                               pack_sequences, soft_alignment, soft_alignment_back, kept_floats, stem_gradients,
                               stem_floats, stem, gates};
