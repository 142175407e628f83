"""
An echo state network and an LSTM on one system
===============================================

You learn when random recurrent weights are enough and when training them pays. Both networks predict the output of a
nonlinear system with memory at every step. :class:`skseqmetric.EchoStateRegressor` learns its readout alone, in
closed form. :class:`skseqmetric.RecurrentRegressor` trains all weights of an LSTM. Their interface is the same.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

from skseqmetric import EchoStateRegressor, RecurrentRegressor

# %%
# A system with memory
# --------------------
# NARMA systems are a usual test of reservoirs. The input u is random. The output depends on the last five inputs and
# outputs:
#
# .. math:: y_{t+1} = 0.3 \, y_t + 0.05 \, y_t \sum_{i=0}^{4} y_{t-i} + 1.5 \, u_{t-4} u_t + 0.1


def narma(rng, n_steps=200, order=5, washout=50):
    """Return the input (T, 1) of the system and its next output at every step (T,)."""
    u, y = rng.uniform(0, 0.5, n_steps + washout + 1), np.zeros(n_steps + washout + 1)
    for t in range(order, n_steps + washout):
        y[t + 1] = 0.3 * y[t] + 0.05 * y[t] * y[t - order + 1 : t + 1].sum() + 1.5 * u[t - order + 1] * u[t] + 0.1
    return u[washout:-1, np.newaxis], y[washout + 1 :]


rng = np.random.default_rng(0)
X, y = map(list, zip(*[narma(rng) for _ in range(80)], strict=True))
X_new, y_new = map(list, zip(*[narma(rng) for _ in range(20)], strict=True))

# %%
# More units, or more updates
# ---------------------------
# The echo state network grows from 50 to 800 units. Its leak and spectral radius are set for this system, because the
# defaults forget too slowly. The LSTM keeps its 20 units and trains for longer.


def error(network):
    """Return the root mean square error on new sequences, divided by the deviation of the output."""
    found, true = np.concatenate(network.predict(X_new)), np.concatenate(y_new)
    return np.sqrt(np.mean((found - true) ** 2)) / true.std()


def measure(network):
    """Return the fitted network, the seconds of its fit, and its error."""
    start = time.perf_counter()
    network.fit(X, y)
    return network, time.perf_counter() - start, error(network)


RecurrentRegressor(target="step", max_updates=1).fit(
    X[:4], y[:4]
)  # the first training loads what later ones find loaded
step = {"target": "step", "random_state": 0}
results = {
    "echo state network": {
        f"{n} units": measure(EchoStateRegressor(n, leak=1.0, spectral_radius=0.9, bidirectional=False, **step))
        for n in (50, 100, 200, 400, 800)
    },
    "LSTM": {f"{n} updates": measure(RecurrentRegressor(max_updates=n, **step)) for n in (100, 200, 400)},
}
for name, runs in results.items():
    print(name + ":", ", ".join(f"{setting} {error:.3f}" for setting, (_, _, error) in runs.items()))

fig, ax = plt.subplots(figsize=(8, 4.6), layout="constrained")
for (name, runs), colour, marker in zip(results.items(), ("#009E73", "#D55E00"), "os", strict=True):
    _, seconds, errors = zip(*runs.values(), strict=True)
    ax.plot(seconds, errors, marker + "-", color=colour, label=name, ms=7)
    for x, y_, setting in zip(seconds, errors, runs, strict=True):
        ax.annotate(setting, (x, y_), (5, 6), textcoords="offset points", fontsize="small", color=colour)
ax.set(
    xscale="log", ylim=(0, 0.68), xlabel="seconds of fit", ylabel="error on new sequences\n(1: the mean as the answer)"
)
ax.margins(x=0.22)
ax.grid(alpha=0.3)
ax.legend(frameon=False, loc="lower left")
plt.show()

# %%
# What they predict
# -----------------
# One new sequence under the largest echo state network and the longest training. Both follow the output closely; the
# first steps are the worst, because earlier inputs are unknown.

fig, (above, below) = plt.subplots(2, 1, figsize=(9, 5), sharex=True, height_ratios=[2, 1], layout="constrained")
above.plot(y_new[0][:100], color="black", lw=2.5, label="true output")
for (name, runs), colour, dash in zip(results.items(), ("#009E73", "#D55E00"), ("-", "--"), strict=True):
    network = list(runs.values())[-1][0]
    found = network.predict(X_new[:1])[0]
    above.plot(found[:100], dash, color=colour, lw=1.5, label=name)
    below.plot(np.abs(found - y_new[0])[:100], dash, color=colour, lw=1.2)
above.set_ylabel("output y (no unit)")
above.legend(frameon=False, ncols=3, loc="upper right")
above.margins(y=0.2)
below.set(xlabel="step", ylabel="absolute error", xlim=(0, 99), ylim=(0, None))
plt.show()
