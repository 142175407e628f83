"""
Novelty: sequences of a kind that was never seen
================================================

You learn how to tell that a sequence belongs to none of the known classes. The score is its distance to the nearest
known sequences. The threshold comes from known sequences that were held out, because training sequences lie too close
together under a learned distance. The distance is :class:`skseqmetric.RandomConvolutionMetric`; the neighbours come
from :class:`skseqmetric.SequenceKNeighborsClassifier`.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

from skseqmetric import DTWMetric, RandomConvolutionMetric, SequenceKNeighborsClassifier
from skseqmetric.datasets import load_japanese_vowels

# %%
# Six known speakers, three strangers
# -----------------------------------
# Two thirds of the training utterances of speakers 1 to 6 are the references. The other third is held out for the
# threshold. New utterances of all nine speakers follow.

train, test = load_japanese_vowels(split="train"), load_japanese_vowels(split="test")
known = np.flatnonzero(train.target < 6)
held_out = known[::3]
references = np.setdiff1d(known, held_out)
strange = test.target >= 6
print(f"{len(references)} references, {len(held_out)} held out, {len(strange)} new: {strange.sum()} of strangers")


def take(data, rows):
    """Return some sequences and their labels."""
    return [data.data[i] for i in rows], data.target[rows]


def novelty(metric, sequences):
    """Return the mean distance to the three nearest references."""
    neighbours = SequenceKNeighborsClassifier(metric, n_neighbors=3).fit(*take(train, references))
    return [neighbours.kneighbors(X)[0].mean(axis=1) for X in sequences]


# %%
# Scores and a threshold
# ----------------------
# The threshold lets 5 % of the held-out utterances of known speakers be called strange.

sets = take(train, references)[0], take(train, held_out)[0], test.data
metrics = {
    "learned: random convolutions": RandomConvolutionMetric(random_state=0),
    "not learned: time warping": DTWMetric(),
}
scores = {name: novelty(metric, sets) for name, metric in metrics.items()}
of_references, of_held_out, of_new = scores["learned: random convolutions"]
threshold = np.quantile(of_held_out, 0.95)
called = of_new > threshold
print(f"strangers found: {called[strange].mean():.1%}, known speakers called strange: {called[~strange].mean():.1%}")

# %%
# The dotted outline shows why the references cannot set the threshold: each is its own nearest neighbour and helped to
# learn the distance. The curves on the right hold for every threshold.

STRANGE = {"color": "#D55E00", "alpha": 0.6, "hatch": "///", "edgecolor": "white"}
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.5), width_ratios=[1.3, 1], layout="constrained")
bins = np.linspace(0, of_new.max(), 36)
left.hist(of_new[~strange], bins, density=True, color="#0072B2", alpha=0.6, label="new, known speakers")
left.hist(of_new[strange], bins, density=True, label="new, strangers", **STRANGE)
left.hist(of_references, bins, density=True, histtype="step", color="black", ls=":", lw=1.5, label="references")
left.axvline(threshold, color="black", ls="--", lw=1.5, label="threshold (held-out, 95 %)")
left.set(xlabel="mean distance to the 3 nearest references (no unit)", ylabel="density", ylim=(0, 17))
left.set_title("How strange is an utterance?")
left.legend(framealpha=0.95, loc="upper left")
for (name, (_, _, new)), colour, dash in zip(scores.items(), ("#0072B2", "#D55E00"), ("-", "--"), strict=True):
    false, true, _ = roc_curve(strange, new)
    area = f"{name}\n(area {roc_auc_score(strange, new):.3f})"
    right.plot(100 * false, 100 * true, color=colour, ls=dash, lw=2, label=area)
right.plot(100 * called[~strange].mean(), 100 * called[strange].mean(), "ko", ms=8, label="the threshold")
right.set(xlabel="known speakers called strange (%)", ylabel="strangers found (%)", title="All thresholds")
right.grid(alpha=0.3)
right.legend(frameon=False, loc="lower right")
plt.show()
