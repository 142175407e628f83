"""
Maps of the states of a recurrent network
=========================================

You learn what a recurrent network has in mind while it reads. The method is RSSviz: the state after every word of
many sentences becomes a point of one map. :class:`skseqmetric.EchoStateRegressor` reads sentences about cups and
bowls. :class:`skseqmetric.inspection.RecurrentStateDisplay` draws the map, and
:class:`skseqmetric.inspection.UnitActivityDisplay` looks at single units.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.manifold import TSNE

from skseqmetric import EchoStateRegressor
from skseqmetric.datasets import decode_meanings, exact_error, make_cross_situational, rate_meanings, sentence_roles
from skseqmetric.inspection import RecurrentStateDisplay, RecurrentStateMap, UnitActivityDisplay

# %%
# Sentences and a network
# -----------------------
# :func:`skseqmetric.datasets.make_cross_situational` makes sentences such as "on the left there is a red cup and this
# is a bowl". The network learns their meaning. It has 300 units; published settings have 1000.

corpus = make_cross_situational(4, random_state=0)
network = EchoStateRegressor(
    300,
    spectral_radius=1.1,
    leak=0.05,
    density=0.85,
    input_scaling=1.0,
    bias_scaling=1.0,
    input_density=0.1,
    bidirectional=False,
    pooling="last",
    alpha=10**-3.5,
    scaling=None,
    random_state=0,
)
network.fit(corpus.train.X, corpus.train.y)
wrong = exact_error(corpus.test.meanings, decode_meanings(network.predict(corpus.test.X), 4))
print(f"new sentences that are not understood exactly: {wrong:.1%}")

# %%
# The map
# -------
# Sixty new sentences give some hundred states. The map is made by t-SNE here, because it starts at once; UMAP is the
# default. Colours say where in the sentence a state lies.

shown = np.random.default_rng(0).permutation(len(corpus.test.X))[:60]
X, sentences = [corpus.test.X[i] for i in shown], [corpus.test.sentences[i] for i in shown]
meanings = corpus.test.meanings[shown]


def judge(outputs, i):
    """Compare the meaning at every state with that of the whole sentence: 0 invalid, 1 valid, 2 exact."""
    decoded = decode_meanings(outputs, 4)
    return rate_meanings(np.broadcast_to(meanings[i], decoded.shape), decoded)


fig, ax = plt.subplots(figsize=(8, 5.5), layout="constrained")
display = RecurrentStateDisplay.from_estimator(
    network,
    X,
    map=RecurrentStateMap(TSNE(init="pca", random_state=0)),
    places=[sentence_roles(words) for words in sentences],
    step_names=sentences,
    judge=judge,
    layer="places",
    ax=ax,
)
plt.show()

# %%
# Two sentences
# -------------
# A sentence is a path through the map, one point a word.

lengths = np.array([len(words) for words in sentences])
two = [int(np.argmin(lengths)), int(np.argmax(lengths))]
fig, ax = plt.subplots(figsize=(9, 6), layout="constrained")
display.plot_trajectories(two, ax=ax)
plt.show()

# %%
# Where it is wrong
# -----------------
# Each state is compared with the meaning of the whole sentence, which the network cannot know before the end. Large
# markers are final states.

fig, ax = plt.subplots(figsize=(8, 5.5), layout="constrained")
display.plot_errors(ax=ax, mark=0)
plt.show()
for example in display.difficult_examples(3):
    print(f"{example.wrong_share:4.0%} of the states wrong: {' '.join(sentences[example.sequence])}")

# %%
# Units that know a cup
# ---------------------
# The bars show how far the ten units with the largest weights on the output "first object: cup" move at each word.

fig, ax = plt.subplots(figsize=(9, 4.5), layout="constrained")
UnitActivityDisplay.from_estimator(
    network,
    X,
    step_labels=sentences,
    output_names=corpus.target_names,
    kind="specific",
    output=corpus.target_names.index("1 object cup"),
    ax=ax,
)
plt.show()
