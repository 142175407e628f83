// What every file of the C interface needs: the mark of an exported function, and the kernels that recurrence.cpp picked.
#pragma once

#include <cstring>
#include <initializer_list>

#if defined(_WIN32)
#define EXPORT extern "C" __declspec(dllexport)
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif

extern "C" const char* skseq_kernels();

namespace {

// Those among the kernels of x86 that have the name of the chosen instruction set, or the generic ones.
template <typename Kernels>
const Kernels& of_chosen_set(std::initializer_list<const Kernels*> of_x86, const Kernels& generic) {
    for (const Kernels* k : of_x86)
        if (!std::strcmp(k->name, skseq_kernels())) return *k;
    return generic;
}

}  // namespace

#if defined(SKSEQ_X86)
#define CHOSEN_KERNELS(family) of_chosen_set({&family##_avx512, &family##_avx2}, family##_generic)
#else
#define CHOSEN_KERNELS(family) family##_generic
#endif
