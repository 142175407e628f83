#include "dtw.h"

extern const DtwKernels dtw_generic{"generic", distance_bytes, distance_parts, distances, search_bytes, search};
