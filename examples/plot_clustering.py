"""
Clusters and a map of gestures
==============================

You learn how to find groups among sequences that have no labels, and how to draw them as a map. Without labels
:class:`skseqmetric.RandomConvolutionMetric` keeps the principal directions of its features.
:class:`skseqmetric.SequenceNeighborsTransformer` turns any distance into a graph of neighbours, which scikit-learn's
``SpectralClustering`` cuts. :class:`skseqmetric.DTWMetric` fits into the same place.
"""

import matplotlib.pyplot as plt
import numpy as np
from pen_writers import drawings, make_writer
from sklearn.cluster import SpectralClustering
from sklearn.manifold import TSNE
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline

from skseqmetric import DTWMetric, RandomConvolutionMetric, SequenceNeighborsTransformer

# %%
# Gestures of a pen
# -----------------
# Eight made-up writers draw ten gestures twice. The file ``pen_writers.py`` beside this one makes them. The names of
# the gestures are used for the score alone.

SYMBOLS = [*"1234578SMK"]
rng = np.random.default_rng(0)
X, y, _ = drawings([make_writer(rng) for _ in range(8)], SYMBOLS, 2, rng)
print(f"{len(X)} drawings with the channels x, y and stroke, {min(map(len, X))} to {max(map(len, X))} steps")

# %%
# From sequences to clusters
# --------------------------
# A pipeline joins the graph of the sixteen nearest neighbours and its cut. ``fit_predict`` gets sequences alone. The
# adjusted Rand index is 1 if the clusters are the gestures, and about 0 by chance.

metrics = {"random convolutions": RandomConvolutionMetric(1680, random_state=0), "dynamic time warping": DTWMetric()}
clusters = {}
for name, metric in metrics.items():
    graph = SequenceNeighborsTransformer(metric, n_neighbors=16)
    cut = SpectralClustering(len(SYMBOLS), affinity="precomputed_nearest_neighbors", n_neighbors=16, random_state=0)
    clusters[name] = make_pipeline(graph, cut).fit_predict(X)
    print(f"{name:<22} adjusted Rand index {adjusted_rand_score(y, clusters[name]):.2f}")

# %%
# A map of gestures
# -----------------
# Each drawing stands at its place in a map by t-SNE, which reads the matrix of distances. Colours are the clusters. One
# shape in two colours is a group that was split. Two shapes in one colour are groups that were merged.

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#B8A800", "#000000", "#999999", "#5D3A9B"]


def draw_map(ax, matrix, found):
    """Draw every gesture at its place."""
    points = TSNE(metric="precomputed", init="random", perplexity=15, random_state=0).fit_transform(matrix)
    points = (points - points.min(axis=0)) / np.ptp(points, axis=0)
    for x, point, cluster in zip(X, points, found, strict=True):
        size = 0.042 / np.ptp(x[:, :2], axis=0).max()
        xy = point + (x[:, :2] - x[:, :2].mean(axis=0)) * size
        for stroke in np.unique(x[:, 2]):
            ax.plot(*xy[x[:, 2] == stroke].T, color=COLOURS[cluster], lw=1.6)
    ax.set(xticks=[], yticks=[], xlabel="t-SNE axis 1 (no unit)", ylabel="t-SNE axis 2 (no unit)")


for name, metric in metrics.items():
    fig, ax = plt.subplots(figsize=(8, 6), layout="constrained")
    draw_map(ax, metric.fit(X).pairwise_distances(X), clusters[name])
    ax.set_title(f"{name}: adjusted Rand index {adjusted_rand_score(y, clusters[name]):.2f}")
    plt.show()
