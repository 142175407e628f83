"""
New gestures from one example, and what matched what
====================================================

You learn how a distance that was trained on some gestures recognises others by one example of each.
:class:`skseqmetric.SyncGRUMetric` matches the states of two sequences, wherever in time they lie.
:class:`skseqmetric.inspection.AlignmentDisplay` shows which steps matched, and from which steps a distance comes.
"""

import matplotlib.pyplot as plt
import numpy as np

from skseqmetric import DTWMetric, RandomConvolutionMetric, SyncGRUMetric
from skseqmetric.datasets import make_shifted_sequences
from skseqmetric.inspection import AlignmentDisplay

# %%
# Known and new gestures
# ----------------------
# Gestures are made: closed paths in the plane, at a pace that varies, from a start that varies, by a hand that shakes.
# Ten shapes are for the training. Ten others are new, and drawn here from their start (dot).

X, y = make_shifted_sequences(
    400, n_classes=20, n_channels=2, length=(50, 100), shift=0.1, warp=0.9, noise=0.1, random_state=0
)
known, new = np.flatnonzero(y < 10), np.flatnonzero(y >= 10)
X_known, y_known = [X[i] for i in known], y[known]
X_new, y_new = [X[i] for i in new], y[new]

fig, axes = plt.subplots(2, 5, figsize=(8, 3.6), sharex=True, sharey=True, layout="constrained")
for ax, label in zip(axes.flat, np.unique(y_new), strict=True):
    path = X_new[int(np.flatnonzero(y_new == label)[0])]
    ax.plot(*path.T, color="#0072B2", lw=1.2)
    ax.plot(*path[0], "o", color="#D55E00", ms=7)
    ax.set(xticks=[], yticks=[], aspect="equal", title=f"gesture {label}")
plt.show()

# %%
# One example of each
# -------------------
# In each of 200 trials one path of every new gesture is the example, and all others ask for the nearest one. The
# networks train for 100 updates; the default is 1250.

metrics = {
    "matched states": SyncGRUMetric(max_updates=100, random_state=0),
    "pooled states": SyncGRUMetric(coupling=None, max_updates=100, random_state=0),
    "random convolutions": RandomConvolutionMetric(random_state=0),
    "time warping": DTWMetric(),
}


def one_shot(distances, labels, n_trials=200):
    """Return the accuracy of every trial."""
    rng, accuracies = np.random.default_rng(0), []
    for _ in range(n_trials):
        examples = np.array([rng.choice(np.flatnonzero(labels == label)) for label in np.unique(labels)])
        queries = np.setdiff1d(np.arange(len(labels)), examples)
        nearest = examples[distances[np.ix_(queries, examples)].argmin(axis=1)]
        accuracies.append(np.mean(labels[nearest] == labels[queries]))
    return np.array(accuracies)


trials = {name: one_shot(m.fit(X_known, y_known).pairwise_distances(X_new), y_new) for name, m in metrics.items()}
for name, accuracies in trials.items():
    print(f"{name:<22}{accuracies.mean():.3f}")

fig, ax = plt.subplots(figsize=(8, 3), layout="constrained")
for place, accuracies in enumerate(list(trials.values())[::-1]):
    low, middle, high = np.quantile(accuracies, [0.05, 0.5, 0.95])
    ax.plot([low, high], [place, place], color="#0072B2", lw=5, alpha=0.4, solid_capstyle="round")
    ax.plot(middle, place, "o", color="#0072B2", ms=9)
ax.set_yticks(range(len(trials)), list(trials)[::-1])
ax.set(xlabel="accuracy on new gestures: median, and 5 to 95 % of the trials", xlim=(None, 1.01))
ax.grid(axis="x", alpha=0.3)
plt.show()

# %%
# What matched what
# -----------------
# ``alignment`` returns the matching of a pair. Each line below joins a place of one path to its nearest place on the
# other. Dark lines join states that are alike. Above are two paths of one new gesture, below two gestures.

metric = metrics["matched states"]
first = 0
same, other = np.flatnonzero(y_new == y_new[first])[2], np.flatnonzero(y_new != y_new[first])[0]
pairs = {"one gesture": X_new[same], "two gestures": X_new[other]}
found = dict(zip(pairs, metric.alignment([X_new[first]] * 2, list(pairs.values())), strict=True))
largest = max(alignment.costs.max() for alignment in found.values())
scale = plt.Normalize(0, 1.2 * np.sqrt(max(alignment.match_costs[0].max() for alignment in found.values())))


def at(path, places):
    """Return the path at places between its steps, (P, 2)."""
    return np.column_stack([np.interp(places, np.arange(len(path)), channel) for channel in path.T])


fig, axes = plt.subplots(2, 1, figsize=(8, 7), layout="constrained")
for ax, (name, path) in zip(axes, pairs.items(), strict=True):
    moved, match = path + [5, 0], found[name]
    ends = at(X_new[first], match.positions[0]), at(moved, match.positions[1])[match.matches[0]]
    for one, two, cost in zip(*ends, match.match_costs[0], strict=True):
        ax.plot(*np.transpose([one, two]), color=plt.cm.plasma(scale(np.sqrt(cost))), lw=1.4)
    for drawn in (X_new[first], moved):
        ax.plot(*drawn.T, color="black", lw=1.3)
        ax.plot(*drawn[0], "o", color="black", ms=7)
    ax.set(xticks=[], yticks=[], aspect="equal", title=f"{name}: distance {match.distance:.2f}")
fig.colorbar(plt.cm.ScalarMappable(scale, plt.cm.plasma), ax=axes, label="distance of matched states (no unit)")
plt.show()

# %%
# The display has more to say. Lines join the steps over time, and bars show the share of every step in the distance.
# The matrix has all costs; rings and crosses are the matches from both sides.

for name, path in pairs.items():
    fig, ax = plt.subplots(figsize=(9.5, 4.6), layout="constrained")
    display = AlignmentDisplay.from_estimator(
        metric, X_new[first], path, ax=ax, max_cost=largest, channel_names=["horizontal", "vertical"]
    )
    display.axes_["x"].set_title(f"{name}: {display.axes_['x'].get_title()}")
    plt.show()

# sphinx_gallery_thumbnail_number = 3
