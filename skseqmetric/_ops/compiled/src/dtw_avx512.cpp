#include "dtw.h"

extern const DtwKernels dtw_avx512{"avx512", distance_bytes, distance_parts, distances, search_bytes, search};
