"""
Pairs instead of labels, and a calibrated threshold
===================================================

You learn how to train from pairs that belong together or not, and how to turn a distance into a decision. No label is
needed: ``fit_pairs`` of :class:`skseqmetric.SyncGRUMetric` reads +1 and -1. ``calibrate_threshold`` then chooses the
distance up to which two sequences count as the same. :class:`skseqmetric.RandomConvolutionMetric` has both methods
too.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import roc_auc_score

from skseqmetric import DTWMetric, SyncGRUMetric
from skseqmetric.datasets import load_japanese_vowels

# %%
# Pairs of utterances
# -------------------
# A pair is the same if one speaker says both. Pairs for training and for the threshold share no utterance. The last
# pairs are of new utterances.

X, speaker = load_japanese_vowels(split="train", return_X_y=True)
X_new, speaker_new = load_japanese_vowels(split="test", return_X_y=True)
rng = np.random.default_rng(0)


def some_pairs(rows, speakers, n):
    """Draw n pairs of the same speaker and n of different ones: pairs (2 n, 2), and +1 or -1 for each."""
    pairs = rng.choice(rows, size=(40 * n, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    same = speakers[pairs[:, 0]] == speakers[pairs[:, 1]]
    chosen = np.concatenate([np.flatnonzero(same)[:n], np.flatnonzero(~same)[:n]])
    return pairs[chosen], np.where(same[chosen], 1, -1)


rows = rng.permutation(len(X))
pairs, same = some_pairs(rows[:180], speaker, 1500)
pairs_held, same_held = some_pairs(rows[180:], speaker, 400)
pairs_new, same_new = some_pairs(np.arange(len(X_new)), speaker_new, 1000)

# %%
# Learn, calibrate, decide
# ------------------------
# The network trains for 150 updates; the default is 1250. The threshold comes from pairs that the metric was not fitted
# on. Two strategies are shown. The second wants that 99 % of the different pairs are told apart, as a lock would.

metric = SyncGRUMetric(coupling=None, max_updates=150, random_state=0).fit_pairs(X, pairs, same)
thresholds = {}
for name, strategy in {
    "balanced accuracy": {"strategy": "balanced_accuracy"},
    "a strict lock": {"strategy": "max_tpr", "min_rate": 0.99},
}.items():
    metric.calibrate_threshold(X, pairs_held, same_held, **strategy)
    thresholds[name] = metric.threshold_
    says_same = metric.predict_pairs(X_new, pairs_new) > 0
    print(
        f"{name:<18} threshold {metric.threshold_:.2f}: of new pairs, {says_same[same_new > 0].mean():.1%} of the same "
        f"accepted, {says_same[same_new < 0].mean():.1%} of the different accepted"
    )

# %%
# What was learned
# ----------------
# On the left, distances of new pairs under the learned distance, with both thresholds. On the right, time warping,
# which learns nothing: its two histograms overlap more. The area is the chance that a pair of one speaker is nearer
# than a pair of two.

warping = DTWMetric().fit(X)
DIFFERENT = {"color": "#D55E00", "alpha": 0.6, "hatch": "///", "edgecolor": "white"}
fig, axes = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
for ax, judge, title in zip(axes, (metric, warping), ("learned from pairs", "dynamic time warping"), strict=True):
    distances = -judge.score_pairs(X_new, pairs_new)
    bins = np.linspace(0, np.quantile(distances, 0.995), 41)
    ax.hist(distances[same_new > 0], bins, color="#0072B2", alpha=0.6, label="same speaker")
    ax.hist(distances[same_new < 0], bins, label="two speakers", **DIFFERENT)
    area = roc_auc_score(same_new, -distances)
    ax.set(xlabel="distance (no unit)", title=f"{title} (area {area:.3f})", ylim=(0, 205))
for (name, value), dash in zip(thresholds.items(), ("--", ":"), strict=True):
    axes[0].axvline(value, color="black", ls=dash, lw=1.8, label=f"threshold: {name}")
axes[0].set_ylabel("number of new pairs")
axes[0].legend(framealpha=0.95, loc="upper left")
plt.show()

# %%
# Every threshold is a compromise. Held-out pairs choose it; the curves show what it means for new pairs. These were
# spoken on other occasions, so that shares are not exactly those of the held-out pairs.

distances = -metric.score_pairs(X_new, pairs_new)
grid = np.linspace(0, distances.max(), 300)
fig, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
accepted = [100 * np.mean(distances[same_new > 0] <= t) for t in grid]
refused = [100 * np.mean(distances[same_new < 0] > t) for t in grid]
ax.plot(grid, accepted, color="#0072B2", lw=2, label="same pairs that are accepted")
ax.plot(grid, refused, color="#D55E00", lw=2, ls="--", label="different pairs that are refused")
for (name, value), dash in zip(thresholds.items(), ("--", ":"), strict=True):
    ax.axvline(value, color="black", ls=dash, label=f"threshold: {name}")
ax.set(xlabel="threshold on the learned distance (no unit)", ylabel="share of new pairs (%)", ylim=(0, 103))
ax.grid(alpha=0.3)
ax.legend(framealpha=0.95, loc="center right")
plt.show()
