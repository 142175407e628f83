"""
Offline handwriting
===================

You learn how to read images of words, without any movement of a pen, and what movements seen in training add.
:class:`skseqmetric.CrossModalTranscriber` has a branch for each modality. ``predict`` reads movements, and
``predict_images`` reads image strips. Both are trained by CTC, and the shared embedding ties them together.
"""

import matplotlib.pyplot as plt
import numpy as np
from pen_writers import drawings, make_writer

from skseqmetric import CrossModalTranscriber
from skseqmetric.datasets import make_words
from skseqmetric.metrics import character_error_rate

# %%
# Words, as movements and as strips
# ---------------------------------
# Made-up writers write words of one to three symbols. A strip has 16 rows of pixels. Writers of the new words are new.

SYMBOLS = [*"27SM"]
rng = np.random.default_rng(0)


def words(n_writers, n_words):
    """Return movements (T_i, 3), words, and strips (n, 16, 36)."""
    X, symbols, _ = drawings([make_writer(rng) for _ in range(n_writers)], SYMBOLS, 3, rng)
    writers = np.repeat(np.arange(n_writers), len(SYMBOLS) * 3)
    return make_words(X, symbols, writers, n_words=n_words, length=(1, 3), image_height=16, random_state=0)[:3]


X, y, strips = words(10, 300)
X_new, y_new, strips_new = words(5, 150)
print(f"{len(X)} words to train, strips of {strips.shape[1]} x {strips.shape[2]} pixels")

# %%
# Train twice
# -----------
# The weights (0, 1, 0) leave only the loss of the images, so that the movements teach nothing. By default three losses
# count: movements, images, and their common embedding. The networks are smaller than by default. They train for 340
# updates instead of 2500, at a higher learning rate: CTC leaves its blanks sooner then.

settings = {"n_filters": 16, "n_units": 24, "n_layers": 1, "batch_size": 16, "random_state": 0}
settings |= {"max_updates": 340, "learning_rate": 1e-2}
alone = CrossModalTranscriber(loss_weights=(0, 1, 0), **settings).fit(X, y, images=strips)
both = CrossModalTranscriber(**settings).fit(X, y, images=strips)
errors = {
    "images, trained alone": character_error_rate(y_new, alone.predict_images(strips_new)),
    "images, trained with movements": character_error_rate(y_new, both.predict_images(strips_new)),
    "movements, trained with images": character_error_rate(y_new, both.predict(X_new)),
}
for name, error in errors.items():
    print(f"{name}: character error rate {error:.3f}")

# %%
# One run of one seed says little: ``benchmarks/run_cross_modal.py --part offline`` repeats it on pen digits.
#
# What the image branch sees
# --------------------------
# Above, strips of new writers. Below, the probability of every symbol at every second column of pixels. A symbol is
# read where its column is dark, and the blank stands between symbols.

read = both.predict_images(strips_new)
long = [i for i in range(len(y_new)) if len(y_new[i]) == 3]
shown = [i for i in long if read[i] == y_new[i]][:2] + [i for i in long if read[i] != y_new[i]][:1]
names = ["blank", *both.symbols_]
fig, axes = plt.subplots(2, len(shown), squeeze=False, figsize=(9.5, 3.6), height_ratios=[1, 1.1], layout="constrained")
for (top, bottom), i in zip(axes.T, shown, strict=True):
    shares = np.exp(both.predict_log_proba_images(strips_new[i : i + 1])[0])
    extent = (0, strips_new.shape[2], len(names) - 0.5, -0.5)
    top.imshow(strips_new[i], cmap="gray_r", aspect="auto", interpolation="nearest")
    top.set(xticks=[], yticks=[], title=f"written {y_new[i]}, read {read[i]}")
    image = bottom.imshow(shares.T, aspect="auto", cmap="Blues", vmin=0, vmax=1, extent=extent)
    bottom.set_yticks(range(len(names)), names)
    bottom.set_xlabel("column of pixels")
fig.colorbar(image, ax=axes[1], label="probability")
plt.show()
