"""State maps for a grid of two parameters: the numbers against single maps, and what is drawn."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from skseqmetric.inspection import HyperparameterPanels, RecurrentStateMap

pyplot = pytest.importorskip("matplotlib.pyplot")
LENGTHS = (9, 12, 7)
GRID = {"leak": (0.1, 0.5, 1.0), "spectral_radius": (0.3, 0.9)}


class Reservoir(BaseEstimator):
    """A small echo state network, its weights drawn by `fit`."""

    def __init__(self, *, spectral_radius: float = 1.0, leak: float = 1.0, seed: int = 0) -> None:
        self.spectral_radius = spectral_radius
        self.leak = leak
        self.seed = seed

    def fit(self, X: Any) -> Self:
        rng = np.random.default_rng(self.seed)
        self.recurrent_ = self.spectral_radius * rng.normal(size=(6, 6)) / np.sqrt(6)
        self.input_ = rng.normal(size=(6, X[0].shape[1]))
        return self

    def hidden_states(self, X: Any) -> list[np.ndarray]:
        return [self._run(x) for x in X]

    def _run(self, inputs: np.ndarray) -> np.ndarray:
        x, states = np.zeros(6), []
        for u in inputs:
            x = (1 - self.leak) * x + self.leak * np.tanh(self.input_ @ u + self.recurrent_ @ x)
            states.append(x)
        return np.array(states, dtype=np.float32)


class Predictor(Reservoir):
    """One whose fit needs targets that there are not."""

    def fit(self, X: Any) -> Self:
        raise AssertionError("asked to learn")

    def fit_reservoir(self, X: Any) -> Self:
        return super().fit(X)


def panels_of(estimator: Any, X: Any, **options: Any) -> list[Any]:
    return HyperparameterPanels.from_estimator(estimator, X, **options).panels


@pytest.fixture
def X(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.normal(size=(length, 2)) for length in LENGTHS]


@pytest.fixture
def labels() -> list[np.ndarray]:
    return [np.array(["early"] * 5 + ["late"] * (length - 5)) for length in LENGTHS]


@pytest.mark.parametrize("network", [Reservoir(), Predictor()])
def test_every_setting_has_its_map_and_numbers(X: Any, labels: Any, network: Reservoir) -> None:
    panels = panels_of(network, X, param_grid=GRID, labels=labels, reducer=PCA(2), n_neighbors=4)
    settings = [(leak, radius) for leak in GRID["leak"] for radius in GRID["spectral_radius"]]
    assert [(p.params["leak"], p.params["spectral_radius"]) for p in panels] == settings
    for panel, (leak, radius) in zip(panels, settings, strict=True):
        states = Reservoir(leak=leak, spectral_radius=radius).fit(X).hidden_states(X)
        mapped = RecurrentStateMap(PCA(2)).fit(states)
        for own, expected in zip(panel.points, mapped.transform(states), strict=True):
            assert np.array_equal(own, expected)
        assert panel.trustworthiness == mapped.trustworthiness(states, n_neighbors=4)
        assert panel.purity == mapped.purity(states, labels, n_neighbors=4)
        assert panel.n_islands == mapped.n_islands()
    assert not hasattr(network, "recurrent_")
    assert network.get_params() == {"leak": 1.0, "spectral_radius": 1.0, "seed": 0}


def test_reducers_without_transform_and_their_own_copies(X: Any) -> None:
    reducer = TSNE(perplexity=5, init="pca", random_state=0, max_iter=250)
    panels = panels_of(Reservoir(), X, param_grid={"leak": (0.5,), "seed": (0, 1)}, reducer=reducer, n_neighbors=3)
    assert not hasattr(reducer, "embedding_")
    assert not np.array_equal(panels[0].points[0], panels[1].points[0])


def test_labels_are_relative_time_by_default(X: Any) -> None:
    (panel,) = panels_of(Reservoir(), X, param_grid={"leak": [1.0], "seed": [0]}, reducer=PCA(2), n_neighbors=3)
    for own, length in zip(panel.labels, LENGTHS, strict=True):
        assert own.tolist() == [10 + 20 * int(5 * (t + 0.5) / length) for t in range(length)]  # middles of fifths


def test_default_grid_is_spectral_radius_by_leak(X: Any) -> None:
    panels = panels_of(Reservoir(), X, reducer=PCA(2), n_neighbors=3)
    assert len(panels) == 16
    assert list(panels[0].params) == ["spectral_radius", "leak"]


def test_settings_side_by_side_are_the_same(X: Any, labels: Any) -> None:
    options = {"param_grid": GRID, "labels": labels, "reducer": PCA(2), "n_neighbors": 4}
    alone = panels_of(Reservoir(), X, **options)
    with parallel_config(backend="threading"):  # processes would take seconds to start
        together = panels_of(Reservoir(), X, n_jobs=2, **options)
    for one, other in zip(alone, together, strict=True):
        assert one.params == other.params
        assert one.trustworthiness == other.trustworthiness
        assert all(np.array_equal(a, b) for a, b in zip(one.points, other.points, strict=True))


@pytest.mark.parametrize("grid", [{"leak": [1.0]}, {"leak": [1.0], "seed": [0], "spectral_radius": [1.0]}])
def test_grid_is_of_two_parameters(X: Any, grid: Any) -> None:
    with pytest.raises(ValueError, match="must give two parameters"):
        panels_of(Reservoir(), X, param_grid=grid)


def test_wrong_grids_and_labels_are_refused(X: Any, labels: Any) -> None:
    with pytest.raises(ValueError, match="at least one value each"):
        panels_of(Reservoir(), X, param_grid={"leak": [], "seed": [0]})
    with pytest.raises(ValueError, match="Invalid parameter 'density'"):
        panels_of(Reservoir(), X, param_grid={"leak": [1.0], "density": [0.1]})
    with pytest.raises(ValueError, match=r"labels\[2\] has shape \(9,\), but sequence 2 has 7 steps"):
        panels_of(Reservoir(), X, param_grid=GRID, labels=[*labels[:2], labels[0]], reducer=PCA(2))


def test_table_of_settings(X: Any, labels: Any) -> None:
    pytest.importorskip("pandas")
    panels = panels_of(Reservoir(), X, param_grid=GRID, labels=labels, reducer=PCA(2), n_neighbors=4)
    frame = HyperparameterPanels(panels).to_frame()
    assert frame.columns.tolist() == ["leak", "spectral_radius", "trustworthiness", "n_islands", "purity"]
    assert frame["leak"].tolist() == [0.1, 0.1, 0.5, 0.5, 1.0, 1.0]
    assert frame["purity"].tolist() == [panel.purity for panel in panels]


def test_panels_are_drawn_with_one_legend(X: Any, labels: Any) -> None:
    display = HyperparameterPanels.from_estimator(
        Reservoir(), X, param_grid=GRID, labels=labels, reducer=PCA(2), n_neighbors=4
    )
    display.figure_.canvas.draw()
    assert display.axes_.shape == (3, 2)
    assert [ax.get_title() for ax in display.axes_[0]] == ["spectral_radius = 0.3", "spectral_radius = 0.9"]
    assert [ax.get_ylabel() for ax in display.axes_[:, 0]] == ["leak = 0.1", "leak = 0.5", "leak = 1"]
    (legend,) = display.figure_.legends
    assert [text.get_text() for text in legend.get_texts()] == ["early", "late"]
    assert legend.get_title().get_text() == "place"
    for panel, ax in zip(display.panels, display.axes_.flat, strict=True):
        drawn = np.concatenate([scatter.get_offsets() for scatter in ax.collections])
        assert sorted(drawn.tolist()) == sorted(np.concatenate(panel.points).tolist())
        assert f"T {panel.trustworthiness:.2f}" in ax.get_xlabel()
        assert f"purity {panel.purity:.2f}" in ax.get_xlabel()
        assert ax.get_legend() is None
    # 15 of 28 states are early
    assert f"about {(15 / 28) ** 2 + (13 / 28) ** 2:.2f} by chance" in display.figure_.get_supxlabel()


def test_points_have_the_colour_of_their_label(X: Any, labels: Any) -> None:
    display = HyperparameterPanels.from_estimator(
        Reservoir(), X, param_grid=GRID, labels=labels, reducer=PCA(2), n_neighbors=4
    )
    (legend,) = display.figure_.legends
    colours = {
        text.get_text(): handle.get_color()
        for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)
    }
    from matplotlib.colors import to_rgb

    panel, ax = display.panels[3], display.axes_.flat[3]
    places = dict(zip(map(tuple, np.concatenate(panel.points)), np.concatenate(labels), strict=True))
    for scatter in ax.collections:
        (label,) = {str(places[tuple(point)]) for point in scatter.get_offsets()}
        assert np.array_equal(scatter.get_facecolors()[0, :3], to_rgb(colours[label]))


def test_panels_in_a_given_figure(X: Any) -> None:
    (made,) = panels_of(Reservoir(), X, param_grid={"leak": [1.0], "seed": [0]}, reducer=PCA(2), n_neighbors=3)
    points = [np.array([[0.0, 0.0], [1.0, 0.0]]), np.zeros((1, 2))]
    labels = [np.array([10.0, 90.0]), np.array([50.0])]
    panel = made._replace(params={"a": "x", "b": None}, points=points, labels=labels, n_islands=1)
    figure = pyplot.figure(layout="constrained")
    display = HyperparameterPanels([panel], label_name="time").plot(figure=figure)
    figure.canvas.draw()
    assert display.figure_ is figure
    assert display.axes_[0, 0].get_title() == "b = None"
    assert "1 island\n" in display.axes_[0, 0].get_xlabel()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["10", "50", "90"]
