"""
A burst that must be remembered: the attention of a memory
==========================================================

You learn what the memory of :class:`skseqmetric.NRNMClassifier` is for, and how to see what it attends to. The class
of a sequence is told by one short burst. The rest is noise. The same network without its memory is the control.
:class:`skseqmetric.inspection.AttentionDisplay` draws the attention of each block.
"""

import matplotlib.pyplot as plt
import numpy as np

from skseqmetric import NRNMClassifier
from skseqmetric.inspection import AttentionDisplay

# %%
# A burst in noise
# ----------------
# The data are made. The signs of two channels during eight steps give four classes. The burst lies anywhere in the
# first half of 128 steps.

N_STEPS, BURST = 128, 8


def bursts(n, rng):
    """Return n sequences (T, 2), their classes, and the step at which the burst begins."""
    y, begins = rng.integers(0, 4, n), rng.integers(0, 56, n)
    X = rng.normal(size=(n, N_STEPS, 2))
    for x, label, begin in zip(X, y, begins, strict=True):
        x[begin : begin + BURST] = 0.3 * x[begin : begin + BURST] + 3 * np.array(
            [label % 2 * 2 - 1, label // 2 * 2 - 1]
        )
    return X, y, begins


rng = np.random.default_rng(0)
X, y, _ = bursts(400, rng)
X_new, y_new, begins = bursts(300, rng)

# %%
# With and without memory
# -----------------------
# The last state decides (``pooling="last"``), so that the burst must be kept until the end. Convolutions make one
# recurrent step of four input steps. A block of eight recurrent steps is written to the memory at once. Both networks
# are small and train for 150 updates; the default is 1500.

settings = {
    "n_units": 16,
    "n_filters": 16,
    "max_recurrent_steps": 32,
    "pooling": "last",
    "instance_channels": False,
    "augment": None,
    "max_updates": 150,
    "learning_rate": 0.02,
    "random_state": 0,
}
network = NRNMClassifier(n_slots=8, stride=1, **settings).fit(X, y)
control = NRNMClassifier(window=None, **settings).fit(X, y)
print(f"with memory {network.score(X_new, y_new):.3f}, without {control.score(X_new, y_new):.3f}, by chance 0.25")

# %%
# One sequence
# ------------
# Below the sequence is the attention, in the mean over four heads. A column is a recurrent step, named by its first
# input step. White lines separate the blocks, which attend to their own steps. The attention to the inputs of a block
# is not drawn: it is what a row lacks to 1. In the block of the burst the states look less at each other, and more at
# the inputs.

states = network.memory_states(X_new)
n_slots = states.steps[0].shape[1]

example = int(np.argmin(np.abs(begins - 44)))
fig, (above, below) = plt.subplots(2, 1, figsize=(9, 5.6), height_ratios=[1, 1.3], layout="constrained")
for channel, colour, dash, name in zip(X_new[example].T, ("#0072B2", "#D55E00"), ("-", "--"), "ab", strict=True):
    above.plot(channel, dash, color=colour, lw=1.2, label=f"channel {name}")
above.axvspan(begins[example] - 0.5, begins[example] + BURST - 0.5, color="#999999", alpha=0.3, label="burst")
above.set(xlabel="step", ylabel="value (no unit)", xlim=(0, N_STEPS - 1), title="One sequence")
above.legend(frameon=False, ncols=3, loc="lower right")
AttentionDisplay.from_estimator(network, X_new[example], ax=below)
plt.show()

# %%
# All sequences
# -------------
# The mean over 300 sequences shows what one picture cannot: heads differ. Some attend more to the burst than to the
# noise of its block, some less. The dotted line is uniform attention inside the block.

fig, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
offsets = np.arange(-6, 12)
for k, (colour, marker) in enumerate(zip(("#0072B2", "#D55E00", "#009E73", "#CC79A7"), "osD^", strict=True)):
    sums, counts = np.zeros(len(offsets)), np.zeros(len(offsets))
    for maps, steps, begin in zip(states.attention, states.steps, begins, strict=True):
        received = maps[:, k, :n_slots, :n_slots].mean(axis=1)
        places = np.floor((steps - begin) / 4).astype(int) + 6
        kept = (places >= 0) & (places < len(offsets))
        relative = received / received.mean(axis=1, keepdims=True)
        np.add.at(sums, places[kept], relative[kept])
        np.add.at(counts, places[kept], 1)
    ax.plot(4 * offsets, sums / counts, color=colour, marker=marker, label=f"head {k}")
ax.axhline(1, color="black", ls=":")
ax.axvspan(0, BURST, color="#999999", alpha=0.25, lw=0)
ax.text(BURST / 2, ax.get_ylim()[1], "burst", ha="center", va="top")
ax.set(xlabel="steps since the burst began", ylabel="attention received\n(1: uniform)")
ax.grid(alpha=0.3)
ax.legend(frameon=False, ncols=2)
plt.show()
