"""
Hyper-parameters of a reservoir before any training
===================================================

You learn how to choose the spectral radius and the leak of an echo state network by its states alone.
:class:`skseqmetric.inspection.HyperparameterPanels` draws a small map of the states for every setting, with three
measures below it. :class:`skseqmetric.EchoStateClassifier` then shows whether the maps foretell the accuracy.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.manifold import TSNE

from skseqmetric import EchoStateClassifier
from skseqmetric.inspection import HyperparameterPanels

# %%
# A task with memory
# ------------------
# The data are made. A sequence has three noisy pulses, up or down. Its class is the direction of the first one, so that
# the network must remember it.


def pulses(n, rng):
    """Return n sequences (T, 1), their classes, and for every step how many pulses have begun."""
    X, y, phases = [], [], []
    for _ in range(n):
        signs, starts = rng.choice([-1, 1], 3), np.cumsum(rng.integers(5, 9, 3))
        x = 0.15 * rng.normal(size=starts[-1] + 6)
        for start, sign in zip(starts, signs, strict=True):
            x[start : start + 3] += sign
        X.append(x[:, np.newaxis])
        y.append("up" if signs[0] > 0 else "down")
        count = np.searchsorted(starts, np.arange(len(x)), side="right")
        phases.append(np.array([f"pulse {c}, first {y[-1]}" if c else "before the pulses" for c in count]))
    return X, np.array(y), phases


rng = np.random.default_rng(0)
X, y, phases = pulses(200, rng)
X_new, y_new, _ = pulses(400, rng)
print(f"{len(X)} sequences of {min(map(len, X))} to {max(map(len, X))} steps")

# %%
# Maps before training
# --------------------
# Nothing is trained here: the weights are random, and every panel shows the states of the same twelve sequences.
# Colours tell how many pulses have begun, and the direction of the first one. A good reservoir keeps colours apart. The
# maps are made by t-SNE, which starts at once; UMAP is the default.

grid = {"spectral_radius": [0.3, 1.0], "leak": [0.05, 0.3, 1.0]}
reservoir = EchoStateClassifier(60, bidirectional=False, pooling="last", random_state=0)
panels = HyperparameterPanels.from_estimator(
    reservoir,
    X[:12],
    param_grid=grid,
    labels=phases[:12],
    label_name="what was read",
    reducer=TSNE(init="pca", perplexity=20, max_iter=500, random_state=0),
)
plt.show()

# %%
# Do the maps foretell the accuracy?
# ----------------------------------
# Purity is the share of neighbours in a map that have the same colour. Each setting is now trained and scored on new
# sequences.

purities, accuracies = [], []
for panel in panels.panels:
    purities.append(panel.purity)
    accuracies.append(clone(reservoir).set_params(**panel.params).fit(X, y).score(X_new, y_new))
    print(panel.params, f"purity {purities[-1]:.2f}, accuracy {accuracies[-1]:.3f}")

fig, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
markers = dict(zip(grid["spectral_radius"], "so", strict=True))
colours = dict(zip(grid["leak"], ("#0072B2", "#E69F00", "#D55E00"), strict=True))
for panel, purity, accuracy in zip(panels.panels, purities, accuracies, strict=True):
    radius, leak = panel.params["spectral_radius"], panel.params["leak"]
    ax.plot(purity, accuracy, markers[radius], color=colours[leak], ms=10, label=f"radius {radius}, leak {leak}")
ax.axhline(0.5, color="black", ls=":", label="chance")
ax.set(xlabel="purity of the map before training", ylabel="accuracy after training")
ax.margins(0.1)
ax.grid(alpha=0.3)
fig.legend(loc="outside right center", frameon=False)
plt.show()
