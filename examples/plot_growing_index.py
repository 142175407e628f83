"""
References that come and go
===========================

You learn how an index recognises gestures that nobody knew when its distance was learned. References are added one by
one, found by their names, and removed again. :class:`skseqmetric.SequenceIndex` needs no fit for any of this.
"""

import matplotlib.pyplot as plt
import numpy as np

from skseqmetric import RandomConvolutionMetric, SequenceIndex
from skseqmetric.datasets import make_shifted_sequences

# %%
# A distance from some gestures, an index of others
# --------------------------------------------------
# The distance is learned from gestures 0 to 9. The index then gets examples of gestures 10 to 19, in any order. The
# name of each example says which gesture it is. After each addition the index is asked for 100 others.

X, y = make_shifted_sequences(
    400, n_classes=20, n_channels=2, length=(30, 60), shift=0.1, warp=0.9, noise=0.15, random_state=0
)
known, new = np.flatnonzero(y < 10), np.flatnonzero(y >= 10)
metric = RandomConvolutionMetric(random_state=0).fit([X[i] for i in known], y[known])

asked, examples = [X[i] for i in new[:100]], new[100:140]
truth = y[new[:100]]
index, names = SequenceIndex(metric), {}
right = np.empty((len(examples), len(asked)), dtype=bool)
for n, i in enumerate(examples):
    name = f"gesture {y[i]}, number {n}"
    names[name] = y[i]
    index.add([X[i]], ids=[name])
    _, found = index.search(asked, k=1)
    right[n] = [names[nearest] == label for nearest, label in zip(found[:, 0], truth, strict=True)]
print(f"{len(index)} references: {right[-1].mean():.2f} of the answers are right")

# %%
# Each line below is one gesture. It rises when the first examples of the gesture arrive (dots).

labels = np.unique(truth)
colors = plt.get_cmap("viridis")(np.linspace(0, 0.9, len(labels)))
fig, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
for label, color in zip(labels, colors, strict=True):
    line = right[:, truth == label].mean(axis=1)
    first = int(np.flatnonzero(y[examples] == label)[0])
    ax.plot(np.arange(1, len(line) + 1), line, color=color, lw=1, alpha=0.6)
    ax.plot(first + 1, line[first], "o", color=color, ms=6)
ax.plot(np.arange(1, len(right) + 1), right.mean(axis=1), color="black", lw=2.5, label="all gestures")
ax.set(xlabel="references in the index", ylabel="share of right answers", ylim=(-0.03, 1.03))
ax.grid(alpha=0.3)
ax.legend(loc="lower right")
plt.show()

# %%
# Gestures that are taken away
# ----------------------------
# All examples of gesture 12 are removed by their names. The nearest reference of its paths is then farther away.
# ``search_radius`` tells them from the others: within this distance most of the other paths have references, and few
# paths of gesture 12 have.

before = index.search(asked, k=1)[0][:, 0]
index.remove([name for name, label in names.items() if label == 12])
after = index.search(asked, k=1)[0][:, 0]
radius = np.quantile(before, 0.9)
empty = np.array([len(found) == 0 for found in index.search_radius(asked, radius)[1]])
removed = truth == 12
print(f"nothing near: {empty[removed].mean():.2f} of gesture 12, {empty[~removed].mean():.2f} of the others")

fig, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
ax.scatter(before[~removed], after[~removed], s=14, color="#999999", label="other gestures")
ax.scatter(before[removed], after[removed], s=22, color="#D55E00", label="gesture 12")
ax.axhline(radius, color="#0072B2", lw=1)
ax.annotate("radius", (before.max(), radius), color="#0072B2", va="bottom", ha="right")
ax.set(xlabel="distance to the nearest reference, before", ylabel="after the removal")
ax.legend(loc="upper left")
plt.show()
