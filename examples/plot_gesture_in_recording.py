"""
A gesture in a long recording
=============================

You learn how :func:`skseqmetric.find_subsequences` finds every place of a gesture in a long recording, where it is
drawn at other sizes and paces, in a drift, and between other gestures. The distance is learned from windows of another
recording: those on gestures, those beside them, and those of everything else.
"""

import matplotlib.pyplot as plt
import numpy as np

from skseqmetric import DTWMetric, RandomConvolutionMetric, find_subsequences
from skseqmetric.datasets import make_shifted_sequences

# %%
# Two recordings
# --------------
# A hand drifts, and draws one of four gestures now and then. Gesture 0 is the one that we look for. The first recording
# has labels. The second one is searched.

KINDS, N = 4, 60
paths, labels = make_shifted_sequences(
    2 * N, n_classes=KINDS, n_channels=2, length=(60, 120), warp=0.6, noise=0.1, random_state=3
)
rng = np.random.default_rng(0)


def record(paths, labels):
    """Return a recording (T, 2) and its gestures (label, start, stop)."""
    values = 0.05 * rng.standard_normal((300 * len(paths), 2)).cumsum(axis=0)
    values += 0.1 * rng.standard_normal(values.shape)
    gestures = []
    for slot, (path, label) in enumerate(zip(paths, labels, strict=True)):
        start = 300 * slot + int(rng.integers(180))
        values[start : start + len(path)] += rng.uniform(0.6, 1.4) * path
        gestures.append((int(label), start, start + len(path)))
    return values, gestures


known, known_gestures = record(paths[:N], labels[:N])
new, new_gestures = record(paths[N:], labels[N:])
true = [(start, stop) for label, start, stop in new_gestures if label == 0]
print(f"{len(new)} steps with {len(new_gestures)} gestures, {len(true)} of them of kind 0")

# %%
# A distance for this search
# --------------------------
# A search compares gestures with everything that a recording holds. So the metric learns from windows of everything:
# gestures with their labels, windows that cover only part of a gesture, and windows of the drift.


def window(centre, width):
    """Return a window of the known recording."""
    start = int(np.clip(centre - width / 2, 0, len(known) - width))
    return known[start : start + width]


X, y = [], []
for label, start, stop in known_gestures:
    length, centre = stop - start, (start + stop) / 2
    X += [known[start:stop], window(centre + rng.uniform(-0.1, 0.1) * length, round(rng.uniform(0.8, 1.25) * length))]
    y += [label, label]
    X += [window(centre + side * 0.8 * length, length) for side in (-1, 1)]
    y += [-1, -1]
    X.append(window(centre + 150, 90))
    y.append(-2)
metric = RandomConvolutionMetric(1680, random_state=0).fit(X, y)

# %%
# The search
# ----------
# Every gesture 0 of the known recording is an example. The distance of a window is that to the nearest of them. Windows
# have several lengths around those of the examples. Matches do not share more than half of their steps.

examples = [known[start:stop] for label, start, stop in known_gestures if label == 0]
pattern = np.zeros(len(examples))
(found,) = find_subsequences(metric, examples, [new], labels=pattern, n_matches=30)
for match in found[:3]:
    print(f"steps {match['start']} to {match['stop']}, distance {match['distance']:.2f}, like example {match['query']}")


def is_right(match):
    """Say whether the middle of a match is inside a true gesture of kind 0."""
    return any(start <= (match["start"] + match["stop"]) / 2 < stop for start, stop in true)


# %%
# Where it is
# -----------
# Bars are the best matches, as many as there are gestures 0. Grey spans are the true places.

best = found[: len(true)]
fig, axes = plt.subplots(3, 1, figsize=(9, 5), sharey=True, layout="constrained")
for part, ax in enumerate(axes):
    begin, end = part * len(new) // 3, (part + 1) * len(new) // 3
    ax.plot(np.arange(begin, end), new[begin:end], lw=0.7)
    for start, stop in true:
        if begin <= start < end:
            ax.axvspan(start, stop, color="0.8")
    for match in best[(best["start"] >= begin) & (best["start"] < end)]:
        ax.plot([match["start"], match["stop"]], [4.5, 4.5], lw=5, color="#009E73" if is_right(match) else "#D55E00")
    ax.set(xlim=(begin, end))
axes[-1].set_xlabel("step")
plt.show()

# %%
# Beside warping
# --------------
# Any fitted metric searches. Warping learns nothing, so that part of another gesture may be nearer to an example than
# the same gesture at another size. Its distance grows with the length, so that one length is fairer than several.

warping = DTWMetric(window=0.1).fit(examples)
few = examples[:4]
(warped,) = find_subsequences(warping, few, [new], labels=np.zeros(len(few)), n_matches=30, lengths=90)

fig, ax = plt.subplots(figsize=(5, 3), layout="constrained")
for name, matches, color in (("learned metric", found, "#0072B2"), ("time warping", warped, "#E69F00")):
    right = np.cumsum([is_right(match) for match in matches])
    ranks = np.arange(1, len(right) + 1)
    ax.plot(right / len(true), right / ranks, "o-", ms=3, color=color, label=name)
    print(f"{name}: {right[len(true) - 1]} of the first {len(true)} matches are right")
ax.set(xlabel="recall", ylabel="precision", ylim=(0, 1.05))
ax.legend(frameon=False)
plt.show()
