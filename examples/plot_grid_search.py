"""
Grouped cross-validation, a grid search and learning curves
===========================================================

You learn how to choose parameters so that they hold for people the model has not met. The tools are scikit-learn's
own: ``GroupKFold``, ``GridSearchCV`` and ``learning_curve``. The estimators are
:class:`skseqmetric.SequenceKNeighborsClassifier`, :class:`skseqmetric.RandomConvolutionMetric` and
:class:`skseqmetric.DTWMetric`.
"""

import matplotlib.pyplot as plt
import numpy as np
from pen_writers import DIGITS, drawings, make_writer
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score, learning_curve

from skseqmetric import DTWMetric, RandomConvolutionMetric, SequenceKNeighborsClassifier

# %%
# Data in groups
# --------------
# Twelve made-up writers draw every digit twice. Half of them draw half of the digits backwards. Each one turns the
# tablet, and all hands shake. A sequence has x, y and the number of the stroke. The file ``pen_writers.py`` beside this
# one makes the writers.


def turned(x, angle, rng):
    """Return a drawing on a turned tablet, by a hand that shakes."""
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.column_stack([x[:, :2] @ turn + 0.3 * rng.normal(size=(len(x), 2)), x[:, 2]])


rng = np.random.default_rng(3)
n_writers, n_each = 12, 2
drawn, y, _ = drawings([make_writer(rng, unusual=k % 2 == 1) for k in range(n_writers)], DIGITS, n_each, rng)
groups = np.repeat(np.arange(n_writers), len(DIGITS) * n_each)
angles = 0.5 * rng.normal(size=n_writers)
X = [turned(x, angles[who], rng) for x, who in zip(drawn, groups, strict=True)]
print(f"{len(X)} drawings, {n_writers} writers")

# %%
# Why groups matter
# -----------------
# Folds that ignore the writer put drawings of one hand on both sides. Folds by writer do not. They answer the question
# that counts: how well is a new hand read? The answer is lower, and honest.

model = SequenceKNeighborsClassifier(RandomConvolutionMetric(420, random_state=0), n_neighbors=1)
mixed = cross_val_score(model, X, y, cv=KFold(4, shuffle=True, random_state=0))
apart = cross_val_score(model, X, y, cv=GroupKFold(4), groups=groups)
print(f"folds that mix writers: {mixed.mean():.3f},  folds by writer: {apart.mean():.3f}")

# %%
# A grid search
# -------------
# Parameters of the metric have the prefix ``metric__``. The groups go into ``fit`` of the search.

grid = {"metric__n_features": [84, 420, 1680], "metric__blend": [0.0, 0.2, 1.0]}
search = GridSearchCV(model, grid, cv=GroupKFold(4)).fit(X, y, groups=groups)
print("best:", search.best_params_, f"{search.best_score_:.3f}")

scores = np.asarray(search.cv_results_["mean_test_score"]).reshape(3, 3)  # blend, n_features: in order of their names
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4), width_ratios=[1, 1.4], layout="constrained")
for place, folds in enumerate((mixed, apart)):
    left.plot(np.full(4, place), folds, "o", color="#0072B2", ms=8, alpha=0.6)
    left.hlines(folds.mean(), place - 0.25, place + 0.25, color="black", lw=2)
    left.text(place + 0.28, folds.mean(), f"{folds.mean():.2f}", va="center")
left.set_xticks([0, 1], ["folds that\nmix writers", "folds\nby writer"])
left.set(xlim=(-0.5, 1.6), ylabel="accuracy of each fold", title="One model, two questions")
left.grid(axis="y", alpha=0.3)
image = right.imshow(scores, cmap="viridis")
right.set_xticks(range(3), grid["metric__n_features"])
right.set_yticks(range(3), grid["metric__blend"])
right.set(xlabel="n_features of a view", ylabel="blend", title="Grid search in folds by writer")
for (row, column), score in np.ndenumerate(scores):
    dark = score < scores.min() + 0.6 * np.ptp(scores)
    right.text(column, row, f"{score:.3f}", ha="center", va="center", color="white" if dark else "black", size="large")
fig.colorbar(image, ax=right, label="accuracy on new writers")
plt.show()

# %%
# Learning curves
# ---------------
# How much do more writers help? The curves are means over folds by writer, and bands are one standard deviation.

curves = {
    "learned: random convolutions": RandomConvolutionMetric(420, random_state=0),
    "not learned: dynamic time warping": DTWMetric(),
}
fig, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
for (name, metric), colour, marker in zip(curves.items(), ("#0072B2", "#D55E00"), "os", strict=True):
    contender = SequenceKNeighborsClassifier(metric, n_neighbors=1)
    sizes, _, tests = learning_curve(
        contender, X, y, groups=groups, cv=GroupKFold(4), train_sizes=[20, 40, 80, 120, 180], shuffle=False
    )
    writers = sizes / (len(DIGITS) * n_each)
    mean, deviation = tests.mean(axis=1), tests.std(axis=1)
    ax.plot(writers, mean, color=colour, marker=marker, label=name)
    ax.fill_between(writers, mean - deviation, mean + deviation, color=colour, alpha=0.15, lw=0)
    print(f"{name}: {mean[0]:.3f} with 1 writer, {mean[-1]:.3f} with 9")
ax.set(xlabel="writers in the training data (20 drawings each)", ylabel="accuracy on new writers")
ax.set_title("Learning curves in folds by writer")
ax.grid(alpha=0.3)
ax.legend(frameon=False, loc="lower right")
plt.show()

# sphinx_gallery_thumbnail_number = 2
