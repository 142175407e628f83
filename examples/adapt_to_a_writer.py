"""Adapt a fitted model to a new writer with a few samples.

How many samples are enough? Does the model still read the old writers?

Run: python examples/adapt_to_a_writer.py [--out DIR]
"""

from __future__ import annotations

import argparse
import copy
import time
from pathlib import Path

import numpy as np
from matplotlib import pyplot
from pen_writers import DIGITS, Writer, drawings, make_writer

from skseqmetric import CrossModalTripletEmbedder

Drawings = tuple[list[np.ndarray], np.ndarray, np.ndarray]  # trajectories, symbols, pictures

SAMPLES = (1, 2, 4)  # of each digit by the new writer
N_REHEARSED = (0, 40)  # drawings of the first training set that are mixed in
N_PASSES = 6
RATE = 3e-4  # a tenth of the rate of the fit, so that the model keeps what it has learned


def main() -> None:
    """Fit on usual writers, adapt to three unusual ones, print the table, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for the picture")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    rng = np.random.default_rng(0)
    usual = [make_writer(rng) for _ in range(8)]
    first, old = drawings(usual, DIGITS, 4, rng), drawings(usual, DIGITS, 2, rng)
    print(
        f"Training data: {len(first[0])} digits by {len(usual)} made-up writers. The new writers lean back. They draw"
    )
    print("about half of the digits backwards. Their pictures look much the same, their movements do not.\n")
    start = time.perf_counter()
    fitted = CrossModalTripletEmbedder(max_epochs=12, random_state=0, verbose=1)
    fitted.fit(first[0], first[1], images=first[2])
    print(f"\nThe fit took {time.perf_counter() - start:.0f} s. 18 adaptations follow, of a few seconds each.\n")

    writers = [make_writer(rng, unusual=True) for _ in range(3)]
    # (rehearsed or not, samples, [new, old]): means over the writers
    scores = np.mean([adaptations(fitted, writer, first, old, rng) for writer in writers], axis=0)
    print(f"{'':<26}{'new samples only':^24}{f'with {N_REHEARSED[1]} old ones':^24}")
    print(f"{'samples of each digit':<26}" + f"{'new writer':>12}{'old writers':>12}" * 2)
    for n, row in zip((0, *SAMPLES), scores.swapaxes(0, 1), strict=True):
        print(f"{n:<26}" + "".join(f"{score:>12.3f}" for score in row.ravel()))
    draw(scores, out / "adaptation.png")
    print(f"\nAccuracy on other drawings, mean of {len(writers)} new writers. Picture: {out / 'adaptation.png'}")


def adaptations(
    fitted: CrossModalTripletEmbedder, writer: Writer, first: Drawings, old: Drawings, rng: np.random.Generator
) -> np.ndarray:
    """Accuracy on one new writer and on the old ones, before and after every adaptation."""
    samples, test = drawings([writer], DIGITS, max(SAMPLES), rng), drawings([writer], DIGITS, 20, rng)
    number = np.tile(np.arange(max(SAMPLES)), len(DIGITS))  # of a drawing among those of its digit
    few = [chosen(samples, np.flatnonzero(number < n)) for n in SAMPLES]
    models = [[fitted, *(adapted(fitted, new, first, n_rehearsed) for new in few)] for n_rehearsed in N_REHEARSED]
    return np.array([[[model.score(*part[:2]) for part in (test, old)] for model in row] for row in models])


def adapted(
    fitted: CrossModalTripletEmbedder, new: Drawings, first: Drawings, n_rehearsed: int
) -> CrossModalTripletEmbedder:
    """A copy that has seen the new drawings some times at a small learning rate, mixed with random old ones."""
    rng = np.random.default_rng(0)
    model = copy.deepcopy(fitted).set_params(learning_rate=RATE, verbose=0)
    for _ in range(N_PASSES):
        rehearsed = chosen(first, rng.choice(len(first[0]), n_rehearsed, replace=False))
        y, images = (np.concatenate([new[part], rehearsed[part]]) for part in (1, 2))
        model.partial_fit(new[0] + rehearsed[0], y, images=images)
    return model


def chosen(data: Drawings, rows: np.ndarray) -> Drawings:
    """The drawings at some rows."""
    return [data[0][i] for i in rows], data[1][rows], data[2][rows]


def draw(scores: np.ndarray, file: Path) -> None:
    """Accuracy over the number of samples: on the new and the old writers, with and without rehearsal."""
    figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    ticks = np.arange(scores.shape[1])
    ways = ("new samples only", f"with {N_REHEARSED[1]} old ones")
    for way, line, of_way in zip(ways, ("--", "-"), scores, strict=True):
        for who, form, of_who in zip(("new writer", "old writers"), ("o", "s"), of_way.T, strict=True):
            colour = "#D55E00" if form == "o" else "#0072B2"
            fill = colour if line == "-" else "white"
            axes.plot(ticks, of_who, form + line, color=colour, mfc=fill, lw=2, ms=7, label=f"{who}, {way}")
    axes.set_xticks(ticks, ["none", *SAMPLES])
    axes.set(xlabel="samples of each digit by the new writer", ylabel="accuracy on other drawings", ylim=(None, 1.02))
    axes.set_title("Adaptation to a new writer")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
