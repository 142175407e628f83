"""
Recordings with gaps and mixed rates
====================================

You learn how raw recordings become one model: gaps are filled, rates are made equal, idle ends are trimmed, and
recordings are cut into windows. The windows of a person are never on both sides of a test, and their answers are
voted back to the recording. The steps are :class:`skseqmetric.SequenceImputer`, :class:`skseqmetric.SequenceResampler`,
:class:`skseqmetric.SequenceCropper` and :class:`skseqmetric.SequenceWindower`.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skseqmetric import (
    RandomConvolutionMetric,
    SequenceCropper,
    SequenceFeatures,
    SequenceImputer,
    SequenceKNeighborsClassifier,
    SequenceResampler,
    SequenceWindower,
    windows_to_cases,
)

# %%
# Recordings as they come
# -----------------------
# Eight people do four activities. Each has a sensor of another rate. It rests for some seconds before and after, and
# radio contact is lost now and then. A recording has three columns: time stamps in seconds, and two channels.

ACTIVITIES = {"walking": (0.95, 1.0), "stairs": (0.8, 0.9), "running": (1.35, 2.5), "rowing": (0.5, 1.6)}
RATES = (25, 50, 100)  # Hz


def recording(activity, pace, rate, rng):
    """Return time stamps and two channels (T, 3), with lost steps as NaN."""
    frequency, amplitude = ACTIVITIES[activity]
    t = np.arange(0, 24, 1 / rate)
    angle = 2 * np.pi * frequency * pace * t + rng.uniform(0, 6)
    waves = np.column_stack([np.sin(angle) + 0.5 * np.sin(2 * angle + 0.5), np.cos(angle)])
    starts, ends = rng.uniform(1, 5), rng.uniform(19, 23)
    waves *= amplitude * rng.normal(1, 0.1) * ((t > starts) & (t < ends))[:, None]
    waves += rng.normal(0, 0.35, waves.shape) * ((t > starts) & (t < ends))[:, None] + rng.normal(0, 0.02, waves.shape)
    for begin in rng.uniform(0, 23, 10):
        waves[(t >= begin) & (t < begin + rng.uniform(0.1, 0.5)), rng.integers(2)] = np.nan
    return np.column_stack([t, waves])


rng = np.random.default_rng(0)
n_people = 8
paces = np.exp(rng.normal(0, 0.12, n_people))
rows = [(who, activity) for who in range(n_people) for activity in ACTIVITIES for _ in range(2)]
X = [recording(activity, paces[who], RATES[who % 3], rng) for who, activity in rows]
y, people = np.array([activity for _, activity in rows]), np.array([who for who, _ in rows])

# %%
# Clean them
# ----------
# Time stamps are a channel, so each step finds them. The resampler takes them away: its steps are at equal distances.

RATE = 20
clean = make_pipeline(SequenceImputer(time_channel=0), SequenceResampler(rate=RATE, time_channel=0))
trimmed = SequenceCropper(threshold=0.02, smoothing=RATE)
even = clean.fit_transform(X)
active = trimmed.fit_transform(even)
print("steps before:", sorted({len(x) for x in X}), " after:", sorted({len(x) for x in even}))

fig, axes = plt.subplots(3, 1, figsize=(9, 5), sharex=True, layout="constrained")
for ax, i in zip(axes, (0, 8, 16), strict=True):
    first = int(np.argmax(np.all(even[i][: len(even[i]) - len(active[i]) + 1] == active[i][0], axis=1)))
    ax.plot(np.arange(len(even[i])) / RATE, even[i][:, 0], color="#D55E00", lw=1, label="filled, 20 Hz")
    ax.plot(X[i][:, 0], X[i][:, 1], color="#0072B2", lw=1.5, label="as recorded")
    ax.axvspan(first / RATE, (first + len(active[i])) / RATE, color="#009E73", alpha=0.15, label="kept")
    ax.set_ylabel(f"{RATES[people[i] % 3]} Hz")
axes[0].legend(frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1, 1), fontsize="small")
axes[0].set_title("Walking of three people: channel 1", loc="left", fontsize="medium")
axes[-1].set_xlabel("time (s)")
plt.show()

# %%
# Cut them into windows
# ---------------------
# A window has three seconds. It has the label, the person and the number of its recording.

windower = SequenceWindower(3 * RATE, stride=3 * RATE).fit(active)
windows = windower.transform_with_targets(active, y, groups=people)
print(len(X), "recordings,", len(windows.X), "windows")

# %%
# Test by person, and vote
# ------------------------
# Each person is left out once. A learned distance and a cheap baseline see the same windows. A vote corrects single
# windows. It cannot help where most windows of a recording are wrong, which is how a new person is mistaken.

MODELS = {
    "random convolutions, 3-NN": SequenceKNeighborsClassifier(
        RandomConvolutionMetric(840, random_state=0), n_neighbors=3
    ),
    "summary statistics, linear": make_pipeline(
        SequenceFeatures(), StandardScaler(), LogisticRegression(max_iter=1000)
    ),
}
scores = {}
for name, model in MODELS.items():
    answers = cross_val_predict(model, windows.X, windows.y, groups=windows.groups, cv=LeaveOneGroupOut())
    voted = windows_to_cases(answers, windows.case_ids)
    scores[name] = accuracy_score(windows.y, answers), accuracy_score(y[voted.case_ids], voted.answers)
    print(f"{name}: windows {scores[name][0]:.3f}, recordings {scores[name][1]:.3f}")

fig, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
places = np.arange(len(MODELS))
for shift, part, colour, label in ((-0.2, 0, "#56B4E9", "a window"), (0.2, 1, "#0072B2", "a recording, by vote")):
    bars = ax.barh(places + shift, [score[part] for score in scores.values()], 0.38, color=colour, label=label)
    ax.bar_label(bars, fmt="%.2f", padding=3)
ax.set(yticks=places, yticklabels=list(MODELS), xlim=(0, 1.12), xlabel="accuracy, people left out")
ax.invert_yaxis()
ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
plt.show()
