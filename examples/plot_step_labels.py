"""
A label for every step, and a stream
====================================

You learn how to label every step of a long sequence, and how to do it while the steps come in.
:class:`skseqmetric.RecurrentClassifier`, :class:`skseqmetric.EchoStateClassifier` and
:class:`skseqmetric.NRNMClassifier` take ``target="step"``. Then y is a list of arrays as long as the sequences.
Nothing looks ahead, so a stream gets the same labels.
"""

import matplotlib.pyplot as plt
import numpy as np

from skseqmetric import EchoStateClassifier, RecurrentClassifier
from skseqmetric.metrics import step_accuracy, step_f1_score

# %%
# Machine states in one signal
# ----------------------------
# The data are made. A motor idles, runs, or runs with a fault, which adds a faster vibration. The load changes the
# amplitude. A sequence has 200 steps of 20 ms, and the state changes at random times.

STATES = np.array(["idle", "running", "fault"])
STEP = 0.02  # seconds


def machine(rng, n_steps=200):
    """Return a sequence (T, 2) of current and vibration, and the state of every step."""
    codes = np.zeros(n_steps, dtype=int)
    for change in np.sort(rng.choice(np.arange(15, n_steps - 15), 4, replace=False)):
        codes[change:] = rng.choice([c for c in range(3) if c != codes[change - 1]])
    t = np.arange(n_steps) * STEP
    load = 1 + 0.3 * np.sin(2 * np.pi * 0.3 * t + rng.uniform(0, 6))
    hum = np.sin(2 * np.pi * 4 * t + rng.uniform(0, 6))
    whine = np.sin(2 * np.pi * 11 * t + rng.uniform(0, 6))
    current = (codes > 0) * load + 0.2 * rng.normal(size=n_steps)
    vibration = (codes > 0) * load * hum + 0.7 * (codes == 2) * whine + 0.2 * rng.normal(size=n_steps)
    return np.column_stack([current, vibration]), STATES[codes]


rng = np.random.default_rng(0)
X, y = map(list, zip(*[machine(rng) for _ in range(60)], strict=True))
X_new, y_new = map(list, zip(*[machine(rng) for _ in range(30)], strict=True))

# %%
# Two networks
# ------------
# The first is a GRU, trained by gradient descent for 200 updates; the default is 1500. The recurrent weights of the
# second are random, and ridge regression reads its states.

labellers = {
    "trained GRU": RecurrentClassifier(cell="gru", target="step", max_updates=200, random_state=0),
    "echo state network": EchoStateClassifier(target="step", bidirectional=False, random_state=0),
}
for name, labeller in labellers.items():
    found = labeller.fit(X, y).predict(X_new)
    print(f"{name}: {step_accuracy(y_new, found):.3f} of the steps right, macro F1 {step_f1_score(y_new, found):.3f}")

# %%
# One machine, step by step
# -------------------------
# Both channels of a new sequence are above, labels are below. Errors cluster just after a change, when little of the
# new state has been read.

COLOURS = {"idle": "#999999", "running": "#0072B2", "fault": "#D55E00"}
example = 1
t = np.arange(len(X_new[example])) * STEP
rows = {"true": y_new[example]}
for name, labeller in labellers.items():
    rows[name] = labeller.predict([X_new[example]])[0]

fig, axes = plt.subplots(3, 1, figsize=(9, 6), sharex=True, height_ratios=[1.2, 1.2, 1.2], layout="constrained")
axes[0].plot(t, X_new[example][:, 0], color="black", lw=1)
axes[0].set_ylabel("current (A)")
axes[1].plot(t, X_new[example][:, 1], color="black", lw=1)
axes[1].set_ylabel("vibration (m/s²)")
for place, labels in enumerate(rows.values()):
    for state, colour in COLOURS.items():
        name = None if place else state
        axes[2].bar(t[labels == state], 0.8, STEP, -place - 0.4, align="edge", color=colour, label=name)
axes[2].set_yticks(-np.arange(3), list(rows))
axes[2].set(xlabel="time (s)", xlim=(0, t[-1] + STEP), ylim=(-2.5, 0.5))
fig.legend(*axes[2].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
plt.show()

# %%
# A stream
# --------
# ``predict_stream`` takes any iterable of steps and gives a label for each. ``predict_step`` is the same for one step:
# it returns the label and the state to pass on.

labeller = labellers["trained GRU"]
streamed = list(labeller.predict_stream(X_new[example]))
print("stream and batch agree:", streamed == list(rows["trained GRU"]))
label, state = labeller.predict_step(X_new[example][0])
label, state = labeller.predict_step(X_new[example][1], state)
print("second step:", label)

# %%
# How late is the answer? The curves show the share of right labels by the time since the last change of the state.


def age(labels):
    """Return for every step how many steps ago the state changed; the first stretch has no change before it."""
    changes = np.flatnonzero(labels[1:] != labels[:-1]) + 1
    since = np.full(len(labels), -1)
    for change in changes:
        since[change:] = np.arange(len(labels) - change)
    return since


ages = np.concatenate([age(labels) for labels in y_new])
fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for (name, labeller), colour, dash in zip(labellers.items(), ("#0072B2", "#D55E00"), ("-", "--"), strict=True):
    right = np.concatenate(labeller.predict(X_new)) == np.concatenate(y_new)
    shares = [100 * right[ages == a].mean() for a in range(25)]
    ax.plot(np.arange(25) * STEP * 1000, shares, dash, color=colour, lw=2, label=name)
ax.set(xlabel="time since the state changed (ms)", ylabel="right labels (%)", ylim=(0, 103))
ax.grid(alpha=0.3)
ax.legend(frameon=False, loc="lower right")
plt.show()
