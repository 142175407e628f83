#include "dtw.h"

extern const DtwKernels dtw_avx2{"avx2", distance_bytes, distance_parts, distances, search_bytes, search};
