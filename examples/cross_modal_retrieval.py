"""Find pictures by the movement of a pen, and movements by pictures, for unseen writers.

One embedding holds both.

Run: python examples/cross_modal_retrieval.py [--out DIR]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from pen_writers import DIGITS, SYMBOLS, drawings, make_writer
from sklearn.manifold import TSNE

from skseqmetric import CrossModalTripletEmbedder
from skseqmetric.inspection import CrossModalMapDisplay, CrossModalRetrievalDisplay


def main() -> None:
    """Fit on some writers, search among the drawings of others, draw the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for the pictures")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    rng = np.random.default_rng(0)
    X, y, images = drawings([make_writer(rng) for _ in range(20)], SYMBOLS, 2, rng)
    X_new, y_new, _ = drawings([make_writer(rng) for _ in range(4)], SYMBOLS, 3, rng)
    _, y_gallery, gallery = drawings([make_writer(rng) for _ in range(3)], SYMBOLS, 2, rng)
    print(f"Training data: {len(X)} drawings by 20 made-up writers: movements (x, y, stroke) and 28 x 28 pictures.")
    print(f"Queries: {len(X_new)} drawings by 4 other writers.")
    print(f"Gallery: {len(gallery)} drawings by 3 more writers, 6 of each symbol.\n")

    # this loss draws a sequence and its image together even if the other images are already far
    embedder = CrossModalTripletEmbedder(loss="contrastive", max_epochs=12, random_state=0, verbose=1)
    start = time.perf_counter()
    embedder.fit(X, y, images=images)
    print(f"\nThe fit took {time.perf_counter() - start:.0f} s.")
    print(f"accuracy of symbols from the movement alone: {embedder.score(X_new, y_new):.3f}")
    found = embedder.kneighbors(X_new, 5, gallery=gallery, return_distance=False)
    report("pictures by movement", y_new, y_gallery[found])
    found = embedder.kneighbors(images=gallery, n_neighbors=5, gallery=X_new, return_distance=False)
    report("movements by picture", y_gallery, y_new[found])

    rows = [int(np.flatnonzero(y_new == symbol)[0]) for symbol in "258AGR"]
    sheet = CrossModalRetrievalDisplay.from_estimator(
        embedder, X_new, y_new, images=gallery, image_labels=y_gallery, rows=rows, strokes=2, cmap="gray_r"
    )
    sheet.figure_.savefig(out / "retrieval.png", dpi=120)
    some, shown = np.isin(y_new, DIGITS), np.isin(y_gallery, DIGITS)  # the eye separates ten colours, not twenty
    joint = CrossModalMapDisplay.from_estimator(
        embedder,
        [x for x, is_digit in zip(X_new, some, strict=True) if is_digit],
        y_new[some],
        images=gallery[shown],
        image_labels=y_gallery[shown],
        reducer=TSNE(init="pca", random_state=0),
    )
    joint.figure_.savefig(out / "joint_map.png", dpi=120)
    print(f"\nPictures: {out / 'retrieval.png'}, {out / 'joint_map.png'}")


def report(name: str, asked: np.ndarray, found: np.ndarray) -> None:
    """Recall: how often one of the nearest 1 and 5 is of the class of the query."""
    right = found == asked[:, np.newaxis]
    print(f"{name}: recall@1 {right[:, 0].mean():.3f}, recall@5 {right.any(axis=1).mean():.3f}")


if __name__ == "__main__":
    main()
