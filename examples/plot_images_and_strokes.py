"""
Pictures beside pen strokes
===========================

You learn how to put movements of a pen and pictures into one embedding, and how to search across the two.
:class:`skseqmetric.CrossModalTripletEmbedder` is trained on both. Afterwards a movement finds pictures, a picture
finds movements, and the movement alone is classified. :class:`skseqmetric.inspection.CrossModalRetrievalDisplay` and
:class:`skseqmetric.inspection.CrossModalMapDisplay` draw it.
"""

import matplotlib.pyplot as plt
import numpy as np
from pen_writers import drawings, make_writer
from sklearn.manifold import TSNE

from skseqmetric import CrossModalTripletEmbedder
from skseqmetric.inspection import CrossModalMapDisplay, CrossModalRetrievalDisplay

# %%
# Movements and pictures
# ----------------------
# Made-up writers draw six symbols. A movement has x, y and stroke, and its picture has 28 by 28 pixels. Writers of
# queries and of the gallery are new. The file ``pen_writers.py`` beside this one makes them.

SYMBOLS = [*"2348AM"]
rng = np.random.default_rng(0)
X, y, images = drawings([make_writer(rng) for _ in range(16)], SYMBOLS, 2, rng)
X_new, y_new, _ = drawings([make_writer(rng) for _ in range(3)], SYMBOLS, 2, rng)
_, y_gallery, gallery = drawings([make_writer(rng) for _ in range(3)], SYMBOLS, 2, rng)
print(f"{len(X)} pairs to train, {len(X_new)} movements as queries, {len(gallery)} pictures in the gallery")

# %%
# Train on both
# -------------
# The network is smaller than by default, and trains for 120 updates instead of 1500.

embedder = CrossModalTripletEmbedder(
    loss="contrastive", n_filters=32, n_units=24, n_layers=1, max_updates=120, random_state=0
)
embedder.fit(X, y, images=images)
print(f"symbols read from the movement alone: {embedder.score(X_new, y_new):.3f}")

# %%
# Search across
# -------------
# Each query has its six nearest pictures of the gallery. Frames mark pictures of the same symbol.

found = embedder.kneighbors(X_new, 1, gallery=gallery, return_distance=False)
print(f"nearest picture of a movement is right: {np.mean(y_gallery[found[:, 0]] == y_new):.3f}")
found = embedder.kneighbors(images=gallery, n_neighbors=1, gallery=X_new, return_distance=False)
print(f"nearest movement of a picture is right: {np.mean(y_new[found[:, 0]] == y_gallery):.3f}")

rows = [int(np.flatnonzero(y_new == symbol)[0]) for symbol in "238AM"]
CrossModalRetrievalDisplay.from_estimator(
    embedder, X_new, y_new, images=gallery, image_labels=y_gallery, rows=rows, strokes=2, cmap="gray_r"
)
plt.show()

# %%
# One map of both
# ---------------
# Filled points are movements, open squares are pictures. Where the two of a symbol lie together, the embedding knows
# that they are the same thing. Gaps between them are left by the short training.

fig, ax = plt.subplots(figsize=(8, 5.5), layout="constrained")
reducer = TSNE(init="pca", perplexity=12, random_state=0)
CrossModalMapDisplay.from_estimator(
    embedder, X_new, y_new, images=gallery, image_labels=y_gallery, reducer=reducer, ax=ax
)
plt.show()
