// Two convolutions over time with GELU, one sequence at a time, so that all between its input and its output stays in the
// caches; and their gradients. A convolution is a product: rows of a window lie one behind the other, and the next window
// begins a stride further on.
#pragma once

#include "kernels.h"
#include "product.h"

namespace {

constexpr int64_t TAPS = 128;  // rows of weights at a time, so that a panel of them stays in the first-level cache

inline int64_t whole_blocks(int64_t rows) { return (rows + MR - 1) / MR * MR; }
inline int64_t steps_after(int64_t steps, int64_t stride) { return (steps - 1) / stride + 1; }

// c (M, N) += a (M, K) B for M a multiple of MR: rows of a lie lda apart, and may overlap.
inline void window_product(float* c, int64_t ldc, const float* a, int64_t lda, int64_t K, const float* packed, int64_t N,
                           int64_t M) {
    for (int64_t start = 0; start < vectors(N);) {
        const int width = panel_width(vectors(N) - start);
        for (int64_t k = 0; k < K; k += TAPS) {
            const int64_t taps = K - k < TAPS ? K - k : TAPS;
            const float* panel = packed + k * width * W;
            for (int64_t m = 0; m < M; m += MR) {
                float* to = c + m * ldc + start * W;
                const float* from = a + m * lda + k;
                if (width == 3) block_product<3>(to, ldc, from, lda, taps, panel);
                if (width == 2) block_product<2>(to, ldc, from, lda, taps, panel);
                if (width == 1) block_product<1>(to, ldc, from, lda, taps, panel);
            }
        }
        packed += K * width * W;
        start += width;
    }
}

// Sizes of one convolution: `in` and `out` are rows of numbers for a step, whole vectors but for the input itself.
struct Layer {
    int64_t in, channels, out, kernel, stride, in_front, steps;  // steps: of the longest output
    Layer(const Stem& p, int i) {
        channels = i ? p.n_filters : p.n_channels;
        in = i ? padded(channels) : channels;
        out = padded(p.n_filters), kernel = p.kernel[i], stride = p.stride[i], in_front = p.in_front[i];
        steps = steps_after(i ? steps_after(p.n_steps, p.stride[0]) : p.n_steps, stride);
    }
    int64_t taps() const { return kernel * in; }
    // Numbers of a padded input: what windows of whole blocks of outputs read, in the products and in their gradients.
    int64_t input_floats() const {
        const int64_t read = (whole_blocks(steps) - 1) * stride + kernel, written = in_front + steps * stride;
        return (read > written ? read : written) * in + MR + W;
    }
    int64_t output_floats() const { return whole_blocks(steps) * out; }
    // Of the gradient of the outputs: zeros in front, so that the first inputs too have all their windows.
    int64_t phases() const { return (kernel + stride - 1) / stride; }
    int64_t rows_of_phase() const { return whole_blocks((in_front + (steps - 1) * stride + stride) / stride + 1); }
    int64_t gradient_floats() const { return (phases() - 1 + rows_of_phase() + phases()) * out + W; }
    int64_t back_floats() const { return (rows_of_phase() + 1) * stride * in; }
    int64_t weight_floats() const { return whole_blocks(taps()) * out; }
};

// Weights (filters, channels, kernel) as torch has them, as a matrix (kernel, in; filters) in panels.
inline void pack_windows(const Layer& l, int64_t F, const float* weight, float* packed, float* rows) {
    for (int64_t k = 0; k < l.kernel; ++k)
        for (int64_t c = 0; c < l.in; ++c)
            for (int64_t f = 0; f < F; ++f)
                *rows++ = c < l.channels ? weight[(f * l.channels + c) * l.kernel + k] : 0.0f;
    pack(packed, rows - l.taps() * F, l.taps(), F, F, 1);
}

// For the gradient of inputs r, r + stride, ...: the windows that read them, the latest tap first, (taps, out; in).
inline void pack_phase(const Layer& l, int64_t F, int64_t phase, const float* weight, float* packed, float* rows) {
    const int64_t n = (l.kernel - phase + l.stride - 1) / l.stride;
    float* first = rows;
    for (int64_t q = n - 1; q >= 0; --q)
        for (int64_t f = 0; f < l.out; ++f)
            for (int64_t c = 0; c < l.channels; ++c)
                *rows++ = f < F ? weight[(f * l.channels + c) * l.kernel + phase + q * l.stride] : 0.0f;
    pack(packed, first, n * l.out, l.channels, l.channels, 1);
}

// What forward keeps of a sequence: the padded input of the second convolution and the slopes of both GELUs.
inline int64_t kept_floats(const Stem& p) {
    const Layer first(p, 0), second(p, 1);
    return second.input_floats() + first.output_floats() + second.output_floats();
}

struct StemSequence {
    const Stem& p;
    const Layer first, second;
    int64_t steps[3];  // of the sequence and behind each convolution
    const float* x;
    float *between, *first_slope, *second_slope;

    StemSequence(const Stem& p, int64_t i, float* kept) : p(p), first(p, 0), second(p, 1) {
        steps[0] = p.lengths[i];
        for (int layer = 0; layer < 2; ++layer) steps[layer + 1] = steps_after(steps[layer], p.stride[layer]);
        x = p.values + i * p.values_sequence;
        between = kept;
        first_slope = between + second.input_floats();
        second_slope = first_slope + first.output_floats();
    }

    void pad_input(float* to) const {
        std::memset(to, 0, sizeof(float) * first.input_floats());
        to += first.in_front * p.n_channels;
        for (int64_t t = 0; t < steps[0]; ++t)
            std::memcpy(to + t * p.n_channels, x + t * p.values_step, sizeof(float) * p.n_channels);
    }
    // The products of one convolution, on top of the biases.
    void convolve(const Layer& l, const float* input, int64_t n, const float* packed, const float* bias, float* to) const {
        const int64_t M = whole_blocks(n);
        for (int64_t t = 0; t < M; ++t)
            for (int64_t f = 0; f < l.out; f += W) store(to + t * l.out + f, load_part(bias + f, p.n_filters - f));
        window_product(to, l.out, input, l.stride * l.in, l.taps(), packed, p.n_filters, M);
    }

    // `input` and `product` are room for the padded input and for one layer's outputs.
    void forward(const float* const* packed, float* input, float* product, const float* factors, float* out) {
        pad_input(input);
        convolve(first, input, steps[1], packed[0], p.bias[0], product);
        std::memset(between, 0, sizeof(float) * second.input_floats());
        float* inside = between + second.in_front * second.in;
        for (int64_t at = 0; at < steps[1] * first.out; at += W) {
            V slope;
            store(inside + at, gelu_of(load(product + at), slope));
            store(first_slope + at, slope);
        }
        convolve(second, between, steps[2], packed[1], p.bias[1], product);
        for (int64_t t = 0; t < second.steps; ++t, out += p.n_filters) {
            for (int64_t f = 0; f < p.n_filters; f += W) {
                const int64_t at = t * second.out + f, n = p.n_filters - f;
                V slope = splat(0.0f), y = splat(0.0f);
                if (t < steps[2]) {
                    const V factor = factors ? load_part(factors + f, n) : splat(1.0f);
                    y = gelu_of(load(product + at), slope) * factor, slope = slope * factor;
                    store(second_slope + at, slope);
                }
                store_part(out + f, y, n);
            }
        }
    }

    // Gradients of a layer's weights and biases, from those of its products.
    void weights_back(const Layer& l, const float* input, const float* grad, int64_t n, float* weights, float* biases) const {
        for (int64_t t = 0; t < n; t += GRADIENT_ROWS) {
            const int64_t K = n - t < GRADIENT_ROWS ? n - t : GRADIENT_ROWS;
            rank_update(weights, l.out, input + t * l.stride * l.in, l.stride * l.in, l.taps(), grad + t * l.out, l.out,
                        l.out, K);
        }
        for (int64_t f = 0; f < l.out; f += W) {
            V total = load(biases + f);
            for (int64_t t = 0; t < n; ++t) total += load(grad + t * l.out + f);
            store(biases + f, total);
        }
    }
    static constexpr int64_t GRADIENT_ROWS = 64;

    void backward(const float* const* phases, float* input, float* of_products, float* of_inputs, const float* grad,
                  float* weights) const {
        std::memset(of_products, 0, sizeof(float) * second.gradient_floats());
        float* g = of_products + (second.phases() - 1) * second.out;
        for (int64_t t = 0; t < steps[2]; ++t)
            for (int64_t f = 0; f < p.n_filters; f += W) {
                const V outer = load_part(grad + t * p.grad_step + f, p.n_filters - f);
                store(g + t * second.out + f, outer * load(second_slope + t * second.out + f));
            }
        float* of_first = weights + second.weight_floats();
        float* biases = of_first + first.weight_floats();
        weights_back(second, between, g, steps[2], weights, biases + first.out);
        inputs_back(phases, of_products, of_inputs);
        float* inside = of_inputs + second.in_front * second.in;
        for (int64_t at = 0; at < steps[1] * first.out; at += W)
            store(inside + at, load(inside + at) * load(first_slope + at));
        pad_input(input);
        weights_back(first, input, inside, steps[1], of_first, biases);
    }
    // The gradient of the second convolution's padded input, inputs a stride apart together.
    void inputs_back(const float* const* phases, const float* of_products, float* to) const {
        const Layer& l = second;
        const int64_t needed = l.in_front + steps[1];
        for (int64_t phase = 0; phase < l.stride; ++phase) {
            const int64_t n = (l.kernel - phase + l.stride - 1) / l.stride;
            const int64_t M = whole_blocks((needed - phase + l.stride - 1) / l.stride);
            float* rows = to + phase * l.in;
            for (int64_t m = 0; m < M; ++m) std::memset(rows + m * l.stride * l.in, 0, sizeof(float) * l.in);
            if (phase < l.kernel && M > 0)
                window_product(rows, l.stride * l.in, of_products + (l.phases() - n) * l.out, l.out, n * l.out,
                               phases[phase], l.channels, M);
        }
    }
};

inline int64_t stem_gradients(const Stem& p) {
    const Layer first(p, 0), second(p, 1);
    return second.weight_floats() + first.weight_floats() + 2 * first.out;
}

// Everything a thread needs, laid out from `at`; returns its size.
struct StemScratch {
    const float* packed[2];
    const float* phases[MAX_STRIDE];
    float *input, *product, *of_inputs, *kept, *rows;
    static int64_t layout(const Stem& p, StemScratch* s, float* at) {
        const Layer l[2] = {Layer(p, 0), Layer(p, 1)};
        float* const start = at;
        auto take = [&at](int64_t n) { float* here = at; at += padded(n); return here; };
        StemScratch none, &to = s ? *s : none;
        const int64_t F = p.n_filters;
        to.rows = take((l[0].taps() + l[1].taps() + l[1].out) * padded(l[1].out));
        for (int i = 0; i < 2; ++i) to.packed[i] = take(l[i].taps() * padded(F));
        for (int64_t phase = 0; phase < l[1].stride; ++phase)
            to.phases[phase] = take(l[1].phases() * l[1].out * padded(l[1].channels));
        to.input = take(l[0].input_floats()), to.of_inputs = take(l[1].back_floats());
        const int64_t forward = l[0].output_floats() + l[1].output_floats(), backward = l[1].gradient_floats();
        to.product = take(forward > backward ? forward : backward), to.kept = take(kept_floats(p));
        return at - start;
    }
    void pack_for(const Stem& p, bool backward) {
        const Layer first(p, 0), second(p, 1);
        if (!backward) {
            pack_windows(first, p.n_filters, p.weight[0], const_cast<float*>(packed[0]), rows);
            return pack_windows(second, p.n_filters, p.weight[1], const_cast<float*>(packed[1]), rows);
        }
        for (int64_t phase = 0; phase < second.stride && phase < second.kernel; ++phase)
            pack_phase(second, p.n_filters, phase, p.weight[1], const_cast<float*>(phases[phase]), rows);
    }
};

inline void stem_sequence(const Stem& p, bool backward, int64_t i, int64_t share, StemScratch& s) {
    StemSequence one(p, i, p.kept ? p.kept + i * kept_floats(p) : s.kept);
    if (backward)
        one.backward(s.phases, s.input, s.product, s.of_inputs, p.grad + i * p.grad_sequence,
                     p.grad_weights + share * stem_gradients(p));
    else
        one.forward(s.packed, s.input, s.product, p.factors ? p.factors + i * p.n_filters : nullptr,
                    p.out + i * steps_after(steps_after(p.n_steps, p.stride[0]), p.stride[1]) * p.n_filters);
}

}  // namespace
