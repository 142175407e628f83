"""
Quickstart: a learned distance in four lines
============================================

You learn how to classify sequences of unequal length by their nearest neighbours, and how to look at the distance
that was learned. The data are real: nine men say the vowels /ae/. The classifier is
:class:`skseqmetric.SequenceKNeighborsClassifier`. Its distance is :class:`skseqmetric.RandomConvolutionMetric`.
"""

import matplotlib.pyplot as plt
import numpy as np

from skseqmetric import RandomConvolutionMetric, SequenceKNeighborsClassifier
from skseqmetric.datasets import load_japanese_vowels
from skseqmetric.inspection import EmbeddingDisplay

# %%
# The data
# --------
# A sequence is an array with steps down and channels across. Here a step is 6.4 ms, and the twelve channels are
# cepstrum coefficients. Lengths differ. :func:`skseqmetric.datasets.load_japanese_vowels` reads them.

train, test = load_japanese_vowels(split="train"), load_japanese_vowels(split="test")
print(f"{len(train.data)} utterances to train, {len(test.data)} to test")
print("shapes of the first three:", [x.shape for x in train.data[:3]])

fig, axes = plt.subplots(2, 3, figsize=(8, 4), sharex=True, sharey=True, layout="constrained")
for ax, i in zip(axes.T.flat, (0, 1, 60, 61, 210, 211), strict=True):
    image = ax.imshow(train.data[i].T, cmap="PuOr", vmin=-1.5, vmax=1.5, aspect="auto", origin="lower")
    ax.set_title(train.target_names[train.target[i]], fontsize="medium")
axes[0, 0].set(xlim=(-0.5, 28.5), xticks=[0, 10, 20], yticks=[0, 5, 10])
fig.supxlabel("step (6.4 ms)")
fig.supylabel("cepstrum coefficient")
fig.colorbar(image, ax=axes, label="value (no unit)")
plt.show()

# %%
# Fit and score
# -------------
# The distance is learned in closed form, in a second or less. Then every new utterance asks its nearest neighbour.

model = SequenceKNeighborsClassifier(RandomConvolutionMetric(random_state=0), n_neighbors=1)
model.fit(train.data, train.target)
print(f"accuracy on new utterances: {model.score(test.data, test.target):.3f}")

# %%
# The learned distance
# --------------------
# :class:`skseqmetric.inspection.EmbeddingDisplay` makes a map in which near points are similar utterances. None of
# these utterances was in the training data. The nine speakers are nine clouds, with few strays.

speakers = test.target_names[test.target]
fig, ax = plt.subplots(figsize=(8, 5), layout="constrained")
EmbeddingDisplay.from_estimator(model.metric_, test.data, speakers, ax=ax)
ax.get_legend().remove()  # the names in the map are enough
ax.set_title("New utterances in the learned embedding")
plt.show()

# %%
# Distances themselves come from ``pairwise_distances``. Rows and columns are sorted by speaker, so that small distances
# lie in squares on the diagonal.

order = np.argsort(test.target, kind="stable")
distances = model.metric_.pairwise_distances([test.data[i] for i in order])
edges = np.flatnonzero(np.diff(test.target[order])) + 0.5
fig, ax = plt.subplots(figsize=(6.5, 5.2), layout="constrained")
image = ax.imshow(distances, cmap="viridis", interpolation="nearest")
ax.hlines(edges, -0.5, len(order) - 0.5, color="white", lw=0.8)
ax.vlines(edges, -0.5, len(order) - 0.5, color="white", lw=0.8)
middles = [np.flatnonzero(test.target[order] == k).mean() for k in range(9)]
ax.set_xticks(middles, range(1, 10))
ax.set_yticks(middles, range(1, 10))
ax.set(xlabel="speaker", ylabel="speaker", title="Distances between new utterances")
fig.colorbar(image, label="learned distance (no unit)")
plt.show()

# sphinx_gallery_thumbnail_number = 2
