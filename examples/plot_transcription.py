"""
From pen strokes to text: transcription by CTC
==============================================

You learn how to read words from sequences when nobody has marked where a letter begins.
:class:`skseqmetric.CrossModalTranscriber` is trained by connectionist temporal classification (CTC): y is a list of
strings. The words are written by :func:`skseqmetric.datasets.make_words`.
"""

import matplotlib.pyplot as plt
import numpy as np
from pen_writers import drawings, make_writer

from skseqmetric import CrossModalTranscriber
from skseqmetric.datasets import make_words
from skseqmetric.metrics import character_error_rate, word_error_rate

# %%
# Words of unseen writers
# -----------------------
# Made-up writers draw four symbols. Words of two to four symbols stand side by side. Writers of the new words are not
# those of the training. The file ``pen_writers.py`` beside this one makes them.

SYMBOLS = [*"27SM"]
rng = np.random.default_rng(0)


def words(n_writers, n_words):
    """Return movements (T_i, 3) with x, y and the beginnings of strokes, and the words."""
    X, symbols, _ = drawings([make_writer(rng) for _ in range(n_writers)], SYMBOLS, 3, rng)
    writers = np.repeat(np.arange(n_writers), len(SYMBOLS) * 3)
    return make_words(X, symbols, writers, n_words=n_words, length=(2, 4), random_state=0)[:2]


X, y = words(10, 300)
X_new, y_new = words(5, 60)
print(f"{len(X)} words to train, such as {y[:4]}; {min(map(len, X))} to {max(map(len, X))} steps")

# %%
# Train
# -----
# The network is smaller than by default, and trains for 130 updates instead of 2500. ``fit`` could also take pictures
# of the words; here it gets none.

transcriber = CrossModalTranscriber(n_filters=48, n_units=32, n_layers=1, max_updates=130, random_state=0).fit(X, y)
read = transcriber.predict(X_new)
print(
    f"character error rate {character_error_rate(y_new, read):.3f}, word error rate {word_error_rate(y_new, read):.3f}"
)
print("some words:", [f"{true} as {answer}" for true, answer in zip(y_new[:5], read[:5], strict=True)])

# %%
# What the network sees
# ---------------------
# For two new words: the movement above, and below it the probability of every symbol over time. CTC adds a blank, which
# means that nothing new was read. A symbol is read once it is finished, or while it is drawn.

probabilities = [np.exp(rows) for rows in transcriber.predict_log_proba(X_new)]
names = ["blank", *transcriber.symbols_]
shown = [i for i in range(len(y_new)) if read[i] == y_new[i] and len(y_new[i]) == 4][:1]
shown += [i for i in range(len(y_new)) if read[i] != y_new[i]][:1]

fig, axes = plt.subplots(2, 2, figsize=(9.5, 5), height_ratios=[1, 1.1], layout="constrained")
for column, i in zip(axes.T, shown, strict=True):
    x, found = X_new[i], probabilities[i]
    for stroke in np.split(x[:, :2], np.flatnonzero(x[1:, 2]) + 1):
        column[0].plot(*stroke.T, color="black", lw=2)
    column[0].set(aspect="equal", xticks=[], yticks=[], title=f"written {y_new[i]}, read {read[i]}")
    image = column[1].imshow(
        found.T, aspect="auto", cmap="Blues", vmin=0, vmax=1, extent=(0, len(x), len(names) - 0.5, -0.5)
    )
    column[1].set_yticks(range(len(names)), names)
    column[1].set_xlabel("step of the pen")
fig.colorbar(image, ax=axes[1], label="probability")
plt.show()
