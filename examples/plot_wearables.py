"""
Activities of people that the model has not met
===============================================

You learn how to test a classifier of wearable data by subject, and where it errs. The windows are made in this
example: an accelerometer at the wrist, six activities, and people who wear and move it differently. The classifier is
:class:`skseqmetric.SequenceKNeighborsClassifier` with :class:`skseqmetric.RandomConvolutionMetric`.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import LeaveOneGroupOut, StratifiedKFold, cross_val_predict

from skseqmetric import RandomConvolutionMetric, SequenceKNeighborsClassifier

# %%
# Windows of a wrist
# ------------------
# A person has a pace, a strength and a way to wear the sensor. A window lasts two to four seconds at 25 steps a second.
# Every activity is a mixture of a base frequency and its harmonics, on top of gravity.

RATE = 25  # steps a second
ACTIVITIES = {  # frequency (Hz), amplitudes of x, y, z (m/s²), weight of the second harmonic, noise (m/s²)
    "standing": (0.3, (0.15, 0.15, 0.1), 0.0, 0.15),
    "typing": (3.0, (0.2, 0.4, 0.3), 0.5, 0.35),
    "walking": (0.95, (1.8, 1.2, 1.5), 0.5, 0.5),
    "stairs": (0.8, (1.6, 1.3, 1.9), 0.7, 0.5),
    "running": (1.35, (5.5, 3.5, 4.5), 0.6, 1.0),
    "rowing": (0.5, (4.0, 1.0, 0.8), 0.3, 0.5),
}


def person(rng):
    """Return the pace and strength of a person, and how the sensor is turned at the wrist."""
    angles = rng.normal(0, 0.35, 3)
    turn = np.eye(3)
    for axis, angle in enumerate(angles):
        i, j = [k for k in range(3) if k != axis]
        one = np.eye(3)
        one[[i, i, j, j], [i, j, i, j]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
        turn = turn @ one
    return np.exp(rng.normal(0, 0.09)), np.exp(rng.normal(0, 0.2)), turn, rng.normal(0, 0.8, 3)


def window(activity, who, rng):
    """Return one window (T, 3) in m/s²."""
    frequency, amplitudes, harmonic, noise = ACTIVITIES[activity]
    pace, strength, turn, phases = who
    t = np.arange(rng.integers(2 * RATE, 4 * RATE)) / RATE
    angle = 2 * np.pi * frequency * pace * rng.normal(1, 0.03) * t + rng.uniform(0, 2 * np.pi)
    curves = [np.sin(angle + p) + harmonic * np.sin(2 * angle + 2 * p + 0.5) for p in phases]
    x = strength * np.array(amplitudes) * np.transpose(curves) + [0, 0, 9.8]
    return x @ turn.T + noise * rng.normal(size=(len(t), 3))


rng = np.random.default_rng(0)
n_people, n_windows = 10, 8
people = [person(rng) for _ in range(n_people)]
rows = [(who, activity) for who in range(n_people) for activity in ACTIVITIES for _ in range(n_windows)]
X = [window(activity, people[who], rng) for who, activity in rows]
y = np.array([activity for _, activity in rows])
groups = np.array([who for who, _ in rows])

COLOURS, DASHES = ("#0072B2", "#D55E00", "#009E73"), ("-", "--", "-.")
fig, axes = plt.subplots(2, len(ACTIVITIES), figsize=(10, 4), sharex=True, sharey=True, layout="constrained")
for row, who in zip(axes, (0, 1), strict=True):
    for ax, activity in zip(row, ACTIVITIES, strict=True):
        x = X[int(np.flatnonzero((y == activity) & (groups == who))[0])]
        for channel, colour, dash, name in zip(x.T, COLOURS, DASHES, "xyz", strict=True):
            ax.plot(np.arange(len(x)) / RATE, channel, color=colour, ls=dash, lw=1.2, label=name)
    row[0].set_ylabel(f"person {who + 1}\nacceleration (m/s²)")
for ax, activity in zip(axes[0], ACTIVITIES, strict=True):
    ax.set_title(activity, fontsize="medium")
axes[0, 0].legend(frameon=False, ncols=3, fontsize="small", handlelength=1.3, columnspacing=0.8)
fig.supxlabel("time (s)")
plt.show()

# %%
# Test by subject
# ---------------
# Each person is left out once. A test that mixes all windows of everybody looks better than it should.

model = SequenceKNeighborsClassifier(RandomConvolutionMetric(840, random_state=0), n_neighbors=3)
mixed = cross_val_predict(model, X, y, cv=StratifiedKFold(5, shuffle=True, random_state=0))
predicted = cross_val_predict(model, X, y, cv=LeaveOneGroupOut(), groups=groups)
print(f"accuracy with windows mixed: {np.mean(mixed == y):.3f},  with people left out: {np.mean(predicted == y):.3f}")

# %%
# Where it errs
# -------------
# Rows of the matrix are what a person did, columns are what the model says. Walking and stairs differ least in their
# frequencies, and they are confused. The mean hides that some people are recognised worse than others.

fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.6), width_ratios=[1.5, 1], layout="constrained")
ConfusionMatrixDisplay.from_predictions(
    y,
    predicted,
    labels=list(ACTIVITIES),
    normalize="true",
    values_format=".2f",
    cmap="Blues",
    xticks_rotation=40,
    ax=left,
    im_kw={"vmin": 0, "vmax": 1},
    colorbar=False,
)
left.set(title="Share of the windows of each activity", xlabel="predicted", ylabel="true")
accuracies = [np.mean((predicted == y)[groups == who]) for who in range(n_people)]
right.barh(range(1, n_people + 1), accuracies, color="#0072B2")
right.axvline(np.mean(accuracies), color="black", ls="--")
right.set(xlabel="accuracy", ylabel="person left out", xlim=(0, 1), yticks=range(1, n_people + 1))
right.invert_yaxis()
right.set_title(f"Each person (dashed: mean {np.mean(accuracies):.2f})")
plt.show()

# sphinx_gallery_thumbnail_number = 2
