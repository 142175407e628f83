"""
What units encode: an LSTM and an echo state network
====================================================

You learn what single units of two recurrent networks know about a sentence, and which units an output reads. Both
networks learn the same language. :class:`skseqmetric.inspection.UnitEncodingDisplay` measures both in the same way, and
:class:`skseqmetric.inspection.UnitActivityDisplay` shows at which words units move.
"""

import matplotlib.pyplot as plt

from skseqmetric import EchoStateRegressor, RecurrentRegressor
from skseqmetric.datasets import decode_meanings, exact_error, make_cross_situational, sentence_factors
from skseqmetric.inspection import UnitActivityDisplay, UnitEncodingDisplay

# %%
# Two networks, one language
# --------------------------
# :func:`skseqmetric.datasets.make_cross_situational` makes sentences such as "on the left there is a red cup and this
# is a bowl". The weights of the LSTM are trained. Those of the echo state network are random, and only its readout is
# trained.

corpus = make_cross_situational(4, random_state=0)
networks = {
    "LSTM": RecurrentRegressor(20, scaling=None, max_epochs=22, random_state=0),
    "echo state network": EchoStateRegressor(
        200,
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
    ),
}
for name, network in networks.items():
    network.fit(corpus.train.X, corpus.train.y)
    wrong = exact_error(corpus.test.meanings, decode_meanings(network.predict(corpus.test.X), 4))
    print(f"{name}: {wrong:.1%} of the new sentences are not understood exactly")

# %%
# Structure and content
# ---------------------
# :func:`skseqmetric.datasets.sentence_factors` describes every word of a sentence. Its structure is the place in the
# sentence, the kind of the word, and the fields that the clause has named. Its content is what the first and the second
# clause have said. A linear model explains each unit by these factors, and is tried on sentences that it has not seen.
# The bars divide what all factors explain.

X, sentences = corpus.test.X[:150], corpus.test.sentences[:150]
display = UnitEncodingDisplay.from_estimators(
    networks, X, factors=sentence_factors(sentences), output_names=corpus.target_names, n_splits=3
)
plt.show()
for name, shares in display.group_shares().items():
    print(f"{name}:", ", ".join(f"{group} {share:.2f}" for group, share in shares.items()))

# %%
# The echo state network spends most of its variance on structure: with every word it knows better where in the sentence
# it is. The LSTM spends most on content.
#
# Each unit is a point here. Units at the top know what the sentence is about, units to the right know where in the
# sentence they are.

fig, ax = plt.subplots(figsize=(6, 5.6), layout="constrained")
display.plot("units", ax=ax)
plt.show()

# %%
# At the last word
# ----------------
# Both networks answer at END. There the place is always the same, and structure has nothing left to explain. The sum of
# the factors explains most of the LSTM and less than half of the echo state network, whose random units mix them.

at_end = UnitEncodingDisplay.from_estimators(
    networks,
    corpus.test.X[:400],
    factors=sentence_factors(corpus.test.sentences[:400]),
    final=True,
    n_splits=3,
)
plt.show()
for name, shares in at_end.group_shares().items():
    print(f"at END, {name}:", ", ".join(f"{group} {share:.2f}" for group, share in shares.items()))

# %%
# What an output reads
# --------------------
# The part of a unit in an output is its weight times the deviation of its state. The ten largest parts for "first
# object: cup" are most of the output of the LSTM, and a small part of that of the echo state network.

cup = corpus.target_names.index("1 object cup")
display.plot("output", output=cup)
plt.show()
for name, shares in display.group_shares(cup).items():
    print(f"in what it reads, {name}:", ", ".join(f"{group} {share:.2f}" for group, share in shares.items()))

# %%
# The next picture counts the units behind each output: all units if they have equal parts, one unit if it does all.

display.plot("readout")
plt.show()

# %%
# At which words they move
# ------------------------
# The same ten units at every word. Each occurrence of a word counts, and BEGIN is left out, as in the published code.

fig, axes = plt.subplots(2, 1, figsize=(9, 7), layout="constrained")
content = dict.fromkeys([*corpus.objects, *corpus.positions, *corpus.colors], "content")
structure = dict.fromkeys(sorted(set(corpus.vocabulary) - set(content)), "structure")
for ax, (name, network) in zip(axes, networks.items(), strict=True):
    UnitActivityDisplay.from_estimator(
        network,
        X,
        kind="specific",
        step_labels=sentences,
        output_names=corpus.target_names,
        output=cup,
        groups={**content, **structure},
        pooling="step",
        leave_out=["BEGIN"],
        ax=ax,
    )
    ax.set_title(f"{name}: the ten units of the largest weights on '1 object cup'")
    ax.set(xlabel="", ylabel="change of the ten units")
plt.show()
