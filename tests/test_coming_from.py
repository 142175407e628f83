"""Every line of docs/coming_from.md runs: ours, and theirs where their library is installed."""

from __future__ import annotations

import importlib
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, is_classifier, is_regressor

from skseqmetric import to_padded
from tests.test_readme import DOCS, run_page

PAGE = DOCS / "coming_from.md"
PLACES = {  # where the names of their lines come from
    "tslearn": ["neighbors", "metrics", "preprocessing", "svm", "clustering", "barycenters", "utils"],
    "reservoirpy": ["", "nodes", "observables"],
}


def rows_of(library: str) -> list[tuple[str, str]]:
    """Their lines and ours, as cells of the table in the section of a library."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {library}\n")[1].split("\n## ")[0]
    cells = [line.strip("|").split(" | ") for line in section.split("\n") if line.startswith("| ")]
    return [(theirs, ours) for theirs, ours in cells[2:]]


def run(line: str, names: dict[str, Any], X: Any) -> Any:
    """The value of a line. An estimator for labels or numbers that it does not fit is fitted."""
    value = eval(line, dict(names))
    if isinstance(value, BaseEstimator) and "fit(" not in line and (is_classifier(value) or is_regressor(value)):
        value.fit(X, names["y"] if is_classifier(value) else names["numbers"]).predict(X)
    return value


def lines_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The names that the blocks of the page define, with fewer convolutions by default, so that the lines are quick."""
    with pytest.MonkeyPatch.context() as patch:
        found, _ = run_page(PAGE, tmp_path_factory.mktemp("coming_from"), patch)
    fewer = {name: partial(found[name], 84) for name in ("RandomConvolutionMetric", "RandomConvolutionTransformer")}
    return found | fewer


@pytest.mark.parametrize("library", ["tslearn", "aeon", "metric-learn", "reservoirpy"])
def test_our_lines_run(library: str, names: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = rows_of(library)
    assert len(rows) > 8
    for _, ours in rows:
        assert lines_in(ours) or ours.startswith("not needed")
        for line in lines_in(ours):
            run(line, names, names["E" if library == "aeon" else "X"])


@pytest.mark.filterwarnings("ignore")  # theirs are not ours to mend
@pytest.mark.global_rng
@pytest.mark.parametrize(
    "library",
    [
        pytest.param("tslearn", marks=pytest.mark.long),  # which compiles its distances
        pytest.param("reservoirpy", marks=pytest.mark.slow),
    ],
)
def test_their_lines_run(library: str, names: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    found = {"Z": to_padded(names["X"]), "Z_new": to_padded(names["X_new"])}
    if library == "reservoirpy":
        importlib.import_module(library).set_seed(0)  # a readout without a penalty fails for some reservoirs
    for place in PLACES[library]:
        found |= vars(importlib.import_module(f"{library}.{place}".rstrip(".")))
    for theirs, _ in rows_of(library):
        for line in lines_in(theirs):
            run(line, names | found, found["Z"])


def test_the_distances_are_what_the_page_says(names: Any) -> None:
    """Ours is the root of the least sum of squared differences along a path, which aeon returns."""
    x, z = (np.asarray(names["E"][i]) for i in (0, 1))
    sums = np.full((len(x) + 1, len(z) + 1), np.inf)
    sums[0, 0] = 0
    for i, j in np.ndindex(len(x), len(z)):
        before = min(sums[i, j], sums[i, j + 1], sums[i + 1, j])
        sums[i + 1, j + 1] = before + np.square(x[i] - z[j]).sum()
    (line,) = [ours for theirs, ours in rows_of("aeon") if "`dtw_distance" in theirs]
    assert run(lines_in(line)[0], names, names["E"]) == pytest.approx(sums[-1, -1])
