"""
How people travel, from the fixes of their phones
=================================================

You learn how to turn fixes of a satellite receiver into channels of movement, how to test a classifier of modes of
transport by traveller, and what it adds to the mean speed. Trips are from :func:`skseqmetric.datasets.make_trips`,
channels from :func:`skseqmetric.from_fixes`, and the distance is :class:`skseqmetric.RandomConvolutionMetric`.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.pipeline import make_pipeline

from skseqmetric import RandomConvolutionMetric, from_fixes
from skseqmetric.datasets import make_trips

# %%
# Trips on a map
# --------------
# A trip is a list of fixes: time, latitude and longitude. Ten travellers go by five modes. Their phones have errors of
# some metres, lose fixes, and log about every five seconds, each in its own rhythm.

fixes, modes, travellers = make_trips(250, random_state=0)
names = ["walk", "bike", "bus", "car", "train"]
COLOURS = dict(zip(names, ("#009E73", "#E69F00", "#CC79A7", "#0072B2", "#D55E00"), strict=True))
DASHES = dict(zip(names, ("-", "-", "--", "-", "-."), strict=True))

fig, (town, near) = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
for trip, mode in sorted(zip(fixes, modes, strict=True), key=lambda row: -names.index(row[1])):
    for ax in (town, near):
        ax.plot(trip[:, 2], trip[:, 1], color=COLOURS[mode], ls=DASHES[mode], lw=1.3, alpha=0.85)
walker = fixes[int(np.flatnonzero(modes == "walk")[0])]
longitude, latitude = walker[:, 2].mean(), walker[:, 1].mean()
near.set(xlim=(longitude - 0.012, longitude + 0.012), ylim=(latitude - 0.008, latitude + 0.008))
for ax, title in ((town, "All trips"), (near, "Around one walk, with the error of its phone")):
    ax.set(title=title, xlabel="longitude (°)", ylabel="latitude (°)", aspect=1 / np.cos(np.radians(latitude)))
    ax.ticklabel_format(useOffset=False)
    ax.locator_params(nbins=5)
for mode in names:
    town.plot([], [], color=COLOURS[mode], ls=DASHES[mode], lw=2, label=mode)
town.legend(frameon=False, loc="best")
plt.show()

# %%
# From fixes to channels
# ----------------------
# `from_fixes` computes what does not depend on the place: the time since the fix before, the way to the east and to the
# north, the speed, and the change of heading. It works on the sphere, so that no map has to be chosen. Steps of less
# than 8 m have no heading here, because they may be errors. Gaps stay visible as long times between fixes.

X = from_fixes(fixes, min_distance=8)
fig, axes = plt.subplots(len(names), 2, figsize=(10, 7.5), sharex=True, sharey="row", layout="constrained")
for row, mode in zip(axes, names, strict=True):
    for ax, i in zip(row, np.flatnonzero(modes == mode)[:2], strict=True):
        time, lost = fixes[i][:, 0], X[i][:, 0] > 20
        ax.plot(time[1:], np.where(lost, np.nan, X[i][:, 3])[1:], color=COLOURS[mode], lw=1.4)
        for end, gap in zip(time[lost], X[i][lost, 0], strict=True):
            ax.axvspan(end - gap, end, color="0.88", lw=0)
    row[0].set_ylim(bottom=0)
    row[0].set_ylabel(f"{mode}\nspeed (m/s)")
for ax in axes[-1]:
    ax.set_xlabel("time (s); grey: no fixes")
plt.show()

# %%
# Travellers who are new
# ----------------------
# Two travellers at a time are left out, with their phones. A trip gets the mode whose mean embedding is the nearest.
# The baseline knows the mean speed of a trip alone.

means = make_pipeline(RandomConvolutionMetric(840, random_state=0), NearestCentroid())
by = {"groups": travellers, "cv": GroupKFold(5)}
predicted = cross_val_predict(means, X, modes, **by)
speeds = np.array([[x[1:, 3].mean()] for x in X])
by_speed = cross_val_predict(KNeighborsClassifier(9), speeds, modes, **by)
print(f"accuracy by channels: {np.mean(predicted == modes):.3f},  by the mean speed: {np.mean(by_speed == modes):.3f}")

fig, axes = plt.subplots(1, 2, figsize=(9.5, 4.4), sharey=True, layout="constrained")
for ax, answer, title in zip(axes, (by_speed, predicted), ("The mean speed", "Channels of movement"), strict=True):
    ConfusionMatrixDisplay.from_predictions(
        modes,
        answer,
        labels=names,
        normalize="true",
        values_format=".2f",
        cmap="Blues",
        ax=ax,
        im_kw={"vmin": 0, "vmax": 1},
        colorbar=False,
    )
    ax.set(title=f"{title}: {np.mean(answer == modes):.2f} right", xlabel="predicted", ylabel="")
axes[0].set_ylabel("true")
plt.show()

# sphinx_gallery_thumbnail_number = 1
