// What a call of the extension computes, as Python fills it in (compiled/_library.py mirrors it field by field).
#pragma once

#include <cstddef>
#include <cstdint>

enum Coupling : int64_t { NONE = 0, SCALAR = 1, SYMMETRIC = 2, DIFFUSIVE = 3 };

// D directions, T steps, P rows: sequences (one half) or pairs of sequences (two halves), H units, G projections.
// Strides count floats; the innermost axis of every array is contiguous.
struct Problem {
    // GOMP_parallel of the OpenMP runtime whose threads are to do the work; null for threads of our own
    void (*openmp)(void (*task)(void*), void* data, unsigned n_threads, unsigned flags);
    int64_t n_directions, n_steps, n_rows, n_halves, n_units, coupling, mean, n_threads;

    // Whether directions after the first read what the first reads, every sequence from its end, and add their
    // gradients of the inputs to those of the first.
    int64_t both_ways;

    // Half i, row p reads sequence[i][p]: its projections (d, t) at x[i] + d * x_direction[i] + t * x_step[i] +
    // s * x_sequence[i] where t < x_steps[i], else those of zero features, x_end (D, G); its length is length[i][s].
    // Where n_features > 0, x and x_end hold so many features instead, and `input` (D, G, n_features + 1) projects
    // them: weights and, last, biases.
    int64_t n_features;
    const float* input;
    const float* x[2];
    int64_t x_direction[2], x_step[2], x_sequence[2], x_steps[2];
    const float* x_end;
    const int64_t* sequence[2];
    const int64_t* length[2];

    // (D, 3H, H) in the order r, z, n; (D, H); (D, H, H) twice; (D,): what the coupling does not use may be null
    const float *hidden, *candidate_bias, *gate_hidden, *gate_other, *gate_bias;

    // Results, each may be null. Of every half, states (d, t, row) and pooled states (d, row); squared (row,) over all units.
    float* states[2];
    int64_t states_direction, states_step, states_row;
    float* pooled[2];
    int64_t pooled_direction, pooled_row;
    float* squared;

    // What backward reads again: saved_floats() of them.
    float* saved;

    // Gradients of the results (null: zero) in the layouts above, then what backward computes: grad_x (copies, D, T,
    // sequences, G), one copy a share where rows share sequences, or (D, T, sequences, n_features), null where it is
    // not asked for; and grad_weights (n_shares, D, weight_rows, Hp). The tiles of a share are one thread's, whichever.
    int64_t n_shares;
    const float *grad_states[2], *grad_pooled[2];
    float* grad_x;
    int64_t grad_x_copy, grad_x_direction, grad_x_step, grad_x_sequence, grad_x_shared;
    float* grad_weights;
};

// Every field of Problem, where it lies and its size, so that Python can check its copy of the struct.
struct Field {
    const char* name;
    int64_t offset, bytes;
};

#define FIELD(name) {#name, offsetof(Problem, name), sizeof(Problem::name)}
constexpr Field PROBLEM_FIELDS[] = {
    FIELD(openmp), FIELD(n_directions), FIELD(n_steps), FIELD(n_rows), FIELD(n_halves), FIELD(n_units),
    FIELD(coupling), FIELD(mean), FIELD(n_threads), FIELD(both_ways), FIELD(n_features), FIELD(input), FIELD(x), FIELD(x_direction),
    FIELD(x_step), FIELD(x_sequence), FIELD(x_steps), FIELD(x_end), FIELD(sequence), FIELD(length), FIELD(hidden),
    FIELD(candidate_bias), FIELD(gate_hidden), FIELD(gate_other), FIELD(gate_bias), FIELD(states),
    FIELD(states_direction), FIELD(states_step), FIELD(states_row), FIELD(pooled), FIELD(pooled_direction),
    FIELD(pooled_row), FIELD(squared), FIELD(saved), FIELD(n_shares), FIELD(grad_states), FIELD(grad_pooled),
    FIELD(grad_x), FIELD(grad_x_copy), FIELD(grad_x_direction), FIELD(grad_x_step), FIELD(grad_x_sequence),
    FIELD(grad_x_shared), FIELD(grad_weights),
};
#undef FIELD
