// A tile of an LSTM or a plain RNN: rows of similar lengths that run through all their steps before the next tile, so
// that their states stay in the first-level cache and the packed weights in the second.
#pragma once

#include "panels.h"
#include "scans.h"

namespace {

constexpr int64_t CELL_ROWS = 24;  // whole blocks of every instruction set

// Sizes that follow from a scan. A row of operands is [h: H][x: F][1], so that one product adds up everything.
struct CellSizes {
    int64_t H, F, G, K, Kp, Hp, Gw, Gp, rows;  // numbers of a row of gates: Gw of whole vectors, Gp apart in memory
    explicit CellSizes(const CellScan& p)
        : H(p.n_units), F(p.n_features), G(p.gates), K(H + F + 1), Kp(up_to(padded(K), BLOCK)), Hp(padded(H)), Gw(padded(G * H)), Gp(Gw) {
        if (Gp % 256 == 0) Gp += W;  // rows 1 KiB apart push each other out of the first-level cache
        rows = p.n_rows < CELL_ROWS ? up_to(p.n_rows, BLOCK) : CELL_ROWS;
    }
    int64_t kept() const { return G == 4 ? 5 * Hp : 0; }  // i, f, g, o and c of a row and step
};

inline int64_t cell_tiles(const CellScan& p) { return (p.n_rows + CELL_ROWS - 1) / CELL_ROWS; }

inline int64_t cell_saved(const CellScan& p) {
    const CellSizes s(p);
    return cell_tiles(p) * p.n_directions * p.n_steps * s.rows * s.kept();
}

// The rows of a tile, the longest first: at every step those that have not ended are the first ones.
struct CellRows {
    int64_t n, n_steps;
    int64_t row[CELL_ROWS], length[CELL_ROWS];
    CellRows(const CellScan& p, int64_t tile) : n(0), n_steps(0) {
        for (int64_t i = tile * CELL_ROWS; i < p.n_rows && n < CELL_ROWS; ++i, ++n) {
            row[n] = p.order[i];
            length[n] = p.lengths[row[n]] < p.n_steps ? p.lengths[row[n]] : p.n_steps;
        }
        if (n) n_steps = length[0];
    }
    int64_t alive(int64_t t) const {
        int64_t found = n;
        while (found && length[found - 1] <= t) --found;
        return found;
    }
    // Where in its sequence row r is at step t of a run.
    int64_t place(int64_t d, int64_t r, int64_t t) const { return d ? length[r] - 1 - t : t; }
};

// Weight of operand k for the number n = gate * H + unit.
struct CellWeights {
    const CellScan& p;
    const CellSizes& s;
    int64_t d;
    float operator()(int64_t k, int64_t n) const {
        if (k < s.H) return p.hidden[d][n * s.H + k];
        if (k < s.H + s.F) return p.input[d][n * s.F + k - s.H];
        return p.bias[d][n] + p.hidden_bias[d][n];
    }
};

// Forward an LSTM has panels of a vector of units with its four gates, an RNN those of four vectors of units. Backward
// has the transposed weights of states and, where their gradient is asked for, of features.
inline int64_t cell_packed(const CellScan& p, bool backward) {
    const CellSizes s(p);
    const int64_t forward = s.K * s.G * s.Hp, back = s.G * s.H * padded(s.H + s.F);
    return p.n_directions * (backward ? back : forward);
}

inline void pack_cell(const CellScan& p, bool backward, float* packed) {
    const CellSizes s(p);
    for (int64_t d = 0; d < p.n_directions; ++d) {
        float* out = packed + d * (cell_packed(p, backward) / p.n_directions);
        const CellWeights value{p, s, d};
        if (backward)
            pack_panels(out, s.G * s.H, s.H + (p.grad_x ? s.F : 0), [&](int64_t k, int64_t n) { return value(n, k); });
        else if (s.G == 1)
            pack_panels(out, s.K, s.H, value);
        else
            for (int64_t unit = 0; unit < s.H; unit += W)
                for (int64_t k = 0; k < s.K; ++k)
                    for (int64_t gate = 0; gate < 4; ++gate)
                        for (int64_t u = unit; u < unit + W; ++u) *out++ = u < s.H ? value(k, gate * s.H + u) : 0.0f;
    }
}

}  // namespace
