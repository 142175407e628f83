"""
Two metrics as one
==================

You learn why two distances together can err less than either. :class:`skseqmetric.MetricEnsemble` adds the squared
distances of its members, each in its own unit. Here :class:`skseqmetric.RandomConvolutionMetric` sees local texture,
and :class:`skseqmetric.SyncGRUMetric` sees what follows what. The classes need both.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.signal import lfilter

from skseqmetric import MetricEnsemble, RandomConvolutionMetric, SyncGRUMetric

# %%
# Classes of order and texture
# ----------------------------
# The data are made. Three events follow each other at random times; one of them points down. The noise between them is
# rough, medium or smooth. Nine classes are all pairs of the place of the dip and the texture of the noise.

TEXTURES = ("rough", "medium", "smooth")


def made(n, rng, n_steps=100):
    """Return n sequences (T, 1) and their classes, 3 * order + texture."""
    y, X = np.arange(n) % 9, []
    for order, texture in zip(y // 3, y % 3, strict=True):
        noise = lfilter([1], [1, -(0.0, 0.5, 0.8)[texture]], rng.normal(size=n_steps + 50))[50:]
        x = 0.4 * noise / noise.std()
        for k, place in enumerate(np.sort(rng.choice(8, 3, replace=False))):
            x[12 * place : 12 * place + 10] += (-2 if k == order else 2) * np.hanning(10)
        X.append(x[:, np.newaxis])
    return X, y


rng = np.random.default_rng(0)
X, y = made(180, rng)
X_new, y_new = made(180, rng)

fig, axes = plt.subplots(3, 3, figsize=(9, 4.8), sharex=True, sharey=True, layout="constrained")
for label, ax in enumerate(axes.flat):
    ax.plot(X[label], color="#0072B2", lw=1.2)
    ax.set_title(f"dip {label // 3 + 1}, {TEXTURES[label % 3]}", fontsize="medium")
fig.supxlabel("step")
fig.supylabel("value (no unit)")
plt.show()

# %%
# Members and their sum
# ---------------------
# Each member is fitted once, the network for 100 updates instead of 1250. ``scales_`` are the units of the members: the
# root mean squares of their distances.

members = [
    ("convolution", RandomConvolutionMetric(random_state=0)),
    ("alignment", SyncGRUMetric(max_updates=100, random_state=0)),
]
ensemble = MetricEnsemble(members).fit(X, y)
print("units of the members:", np.round(ensemble.scales_, 2), " weights:", ensemble.weights_)

parts = [
    (metric.pairwise_distances(X_new, X) / scale) ** 2
    for metric, scale in zip(ensemble.metrics_, ensemble.scales_, strict=True)
]


def nearest_class(weight):
    """Return the class of the nearest training sequence, with a weight of the second member from 0 to 1."""
    return y[((1 - weight) * parts[0] + weight * parts[1]).argmin(axis=1)]


weights = np.linspace(0, 1, 21)
accuracies = [np.mean(nearest_class(weight) == y_new) for weight in weights]
judges = {"random convolutions": 0.0, "matched states": 1.0, "both, equal weights": 0.5}
for name, weight in judges.items():
    print(f"{name:<22}{np.mean(nearest_class(weight) == y_new):.3f}")

# %%
# Who sees what
# -------------
# The left panel shows all weights; ``weights="cv"`` would choose among some of them by cross-validation. On the right,
# an answer is split into its two halves. The convolutions lose the order. The sum keeps most of the order, and is best
# at the texture.

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
left.plot(weights, accuracies, "-", color="black", lw=1.5)
looks = {
    "random convolutions": ("#0072B2", "o"),
    "matched states": ("#D55E00", "D"),
    "both, equal weights": ("#009E73", "s"),
}
for place, (name, weight) in enumerate(judges.items()):
    colour, marker = ("#0072B2", "#D55E00", "#009E73")[place], "oDs"[place]
    found = nearest_class(weight)
    left.plot(weight, np.mean(found == y_new), marker, color=colour, ms=10, label=name)
    halves = [np.mean(found // 3 == y_new // 3), np.mean(found % 3 == y_new % 3), np.mean(found == y_new)]
    bars = right.bar(np.arange(3) + 0.27 * (place - 1), halves, 0.25, color=colour, label=name)
    right.bar_label(bars, fmt="%.2f", fontsize="small")
left.set(xlabel="weight of matched states", ylabel="accuracy on new sequences")
left.grid(alpha=0.3)
left.legend(frameon=False, loc="lower right")
right.set_xticks(range(3), ["place of the dip", "texture", "both: the class"])
right.set(ylabel="share of right answers", ylim=(0, 1.08))
plt.show()

# sphinx_gallery_thumbnail_number = 2
