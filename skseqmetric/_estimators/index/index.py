"""A set of references that grows, shrinks, is searched and is saved, under a fitted metric."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from threading import Lock
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skseqmetric._base import plain_state, revived_state, save, shown
from skseqmetric._estimators.index.contents import Contents
from skseqmetric._estimators.index.names import Places, checked_ids
from skseqmetric._input import lent_sequences
from skseqmetric._metrics.hooks import embedded, is_euclidean, kept, prepare
from skseqmetric._metrics.indexing.approximation import ENGINES, FEWEST, Approximation
from skseqmetric._metrics.indexing.library import faiss_library, has_faiss
from skseqmetric._metrics.indexing.references import embeddings_of
from skseqmetric._metrics.parts import check_growing
from skseqmetric._metrics.search import recall_at_k

_MANY = 2**17
"""References from which "auto" is approximate."""


class _Writer:
    """Who writes has its lock, and finds references by their ids."""

    def __init__(self) -> None:
        self.lock = Lock()
        self._places: Places | None = None

    def places(self, contents: Contents) -> Places:
        """Return where the references are. They are found out once, at the first writing after loading."""
        if self._places is None:
            self._places = Places(contents.names, contents.numbers)
        return self._places


class SequenceIndex(BaseEstimator):
    r"""References that grow and shrink, under a metric that stays as it is: a search for the nearest of them.

    `add` takes sequences with ids and `remove` takes them away. No fit is needed for either. `search` finds the
    K nearest, and `search_radius` all up to a distance. Answers have the same bits as those of a new index of the same
    references in the same order.

    Parameters
    ----------
    metric : metric estimator
        A fitted metric, as it is or in a `FrozenEstimator`. It must not be fitted again while the index is in use.
    backend : {"exact", "hnsw", "ivf", "auto"}, default="exact"
        How the nearest are found. "exact": among all references. "hnsw": among a shortlist from a graph of the
        embeddings [1]_. "ivf": among a shortlist from lists of the embeddings near to the same centres [2]_. Both need
        faiss, ``pip install "skseqmetric[ann]"``, and a metric with an embedding. "auto": "hnsw" from 131,072
        references on if both are there, else "exact".
    n_candidates : int or None, default=None
        Length of the shortlist, and how widely "hnsw" and "ivf" look for it. "hnsw" follows the links of so many
        references, and "ivf" reads so many lists. Exact distances decide on the neighbours among them. None: four times
        the neighbours, and at least 64. For
        "exact" None means all references. A number then takes the shortlist by exact distances of the embeddings. This
        changes nothing if the metric is the Euclidean distance of embeddings.
    verbose : int, default=0
        1 shows a progress bar for additions and searches that take longer than half a second.

    Attributes
    ----------
    ids : ndarray of shape (n,)
        The ids of the references in the order of their addition: int64, or text of dtype object.
    backend_ : {"exact", "hnsw", "ivf"}
        How a search finds the nearest now. Up to 1,000 references it is "exact".

    See Also
    --------
    SequenceKNeighborsClassifier : Predict classes from the nearest references.
    merge_neighbors : Join the answers of several indexes.
    load : Read an index from a file.

    Notes
    -----
    Distances are float64, and those of `metric.pairwise_distances` to the bit, whatever the backend is. "hnsw" and
    "ivf" may miss neighbours: `recall` says how many. Their answers depend on the order of addition.

    Any number of threads may search while one adds or removes. A search answers from the references of the moment when
    it began. Additions and removals wait for each other. Several processes share an index by a file: `save` replaces
    it in one step, and a process sees the new content when it calls `load` again. Loaded embeddings stay in the file.

    With R references of D numbers an exact search costs O(R D) for each query, and 4 D + 4 bytes a reference for a
    Euclidean metric. Ids that do not follow each other take 8 bytes more. "hnsw" takes about 4 D + 150 bytes more, and
    "ivf" 4 D + 12. Adding copies a logarithmic number of earlier references on average. `remove` copies what is left,
    so that one call should remove many. When three tenths of the vectors of "hnsw" or "ivf" belong to removed
    references, `remove` makes the shortlist anew. Embeddings of a metric on CUDA lie there, and so does the exact
    search of them.

    References
    ----------
    .. [1] Y. A. Malkov, D. A. Yashunin, "Efficient and robust approximate nearest neighbor search using hierarchical
       navigable small world graphs", IEEE Transactions on Pattern Analysis and Machine Intelligence 42 (4), 2020.
    .. [2] H. Jégou, M. Douze, C. Schmid, "Product quantization for nearest neighbor search", IEEE Transactions on
       Pattern Analysis and Machine Intelligence 33 (1), 2011.

    Examples
    --------
    >>> from skseqmetric import DTWMetric, SequenceIndex
    >>> metric = DTWMetric().fit([[[0.0]], [[1.0]]])
    >>> index = SequenceIndex(metric).add([[[0.0]], [[1.0], [1.0]], [[4.0]]], ids=["zero", "one", "four"])
    >>> index.search([[[0.5]], [[3.0]]], k=1)
    (array([[0.5],
           [1. ]]), array([['zero'],
           ['four']], dtype=object))
    >>> index.remove(["four"]).search([[[3.0]]], k=1)[1]
    array([['one']], dtype=object)
    >>> len(index)
    2
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "metric": [HasMethods(["fit", "pairwise_distances"])],
        "backend": [StrOptions({"exact", "auto", *ENGINES})],
        "n_candidates": [Interval(Integral, 1, None, closed="left"), None],
        "verbose": ["verbose"],
    }

    _stored: ClassVar[dict[str, str]] = {"_contents": "none|record StoredContents"}

    def __init__(
        self, metric: Any, *, backend: str = "exact", n_candidates: int | None = None, verbose: int = 0
    ) -> None:
        self.metric = metric
        self.backend = backend
        self.n_candidates = n_candidates
        self.verbose = verbose
        self._contents: Contents | None = None
        self._writer = _Writer()

    # ------------------------------------------------------------------ the references

    @shown
    def add(self, X: Any, ids: Any = None) -> Self:
        """Add sequences.

        Parameters
        ----------
        X : list of n (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.
        ids : array-like of shape (n,), optional
            Ids that the index does not have yet: whole numbers of 64 bits, or text, but not both in one index. None:
            whole numbers, each one more than the largest that the index ever had.

        Returns
        -------
        self

        Raises
        ------
        NotFittedError
            The metric is not fitted.
        ValueError
            `check_sequences` does not accept X, an id is taken, or ids are of another kind. The index is then as it
            was before.
        ImportError
            The backend needs faiss.
        """
        self._validate_params()
        metric = self._fitted_metric()
        prepared = kept(prepare(metric, lent_sequences(X, estimator=metric, reset=False)))
        if not is_euclidean(metric):
            check_growing(metric, prepared)
        new = self._embeddings_of_new(metric, prepared)
        with self._writer.lock:
            before = self._held(metric)
            places = self._writer.places(before)
            names = self._new_names(ids, len(prepared), before, places)
            after = self._approximated(metric, before.with_references(names, prepared), new)
            places.with_names(after.names, after.numbers, len(names))
            self._contents = after
        return self

    @shown
    def remove(self, ids: Any) -> Self:
        """Remove sequences.

        Parameters
        ----------
        ids : array-like of shape (m,)
            Ids that the index has, each once.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            An id is not in the index, or comes twice. The index is then as it was before.
        """
        metric = self._fitted_metric()
        with self._writer.lock:
            before = self._held(metric)
            places = self._writer.places(before)
            names = checked_ids(ids, None, texts=before.has_texts)
            rows = places.rows(names, before.names, before.numbers)
            if (rows < 0).any():
                missing = names[rows < 0]
                others = f", nor {len(missing) - 1} more of ids" if len(missing) > 1 else ""
                raise ValueError(
                    f"the id {missing[:1].tolist()[0]!r} is not in the index{others}: nothing was removed."
                )
            after = self._approximated(metric, before.without(rows), None)
            places.without(names)
            self._contents = after
        return self

    def __len__(self) -> int:
        return 0 if self._contents is None else len(self._contents)

    def __contains__(self, name: Any) -> bool:
        contents = self._contents
        if contents is None:
            return False
        try:
            wanted = checked_ids([name], 1, texts=contents.has_texts)
        except ValueError:
            return False
        return bool(np.isin(wanted, contents.names.array)[0])

    @property
    def ids(self) -> np.ndarray:
        """The ids of the references (n,) in the order of their addition."""
        return np.zeros(0, dtype=np.int64) if self._contents is None else self._contents.names.array.copy()

    @property
    def backend_(self) -> str:
        """How a search finds the nearest now: "exact", "hnsw" or "ivf"."""
        approximation = None if self._contents is None else self._contents.approximation
        return "exact" if approximation is None else approximation.backend

    def _held(self, metric: Any) -> Contents:
        """Return the contents of this moment."""
        return Contents.empty(metric) if self._contents is None else self._contents

    def _fitted_metric(self) -> Any:
        metric = self.metric.estimator if isinstance(self.metric, FrozenEstimator) else self.metric
        if not hasattr(metric, "_prepare"):
            raise ValueError(f"metric={metric!r} is no metric of skseqmetric: derive its class from Metric.")
        check_is_fitted(metric)
        return metric

    def _embeddings_of_new(self, metric: Any, prepared: Any) -> np.ndarray | None:
        """Return the embeddings of new sequences, if the backend may need them."""
        if self.backend in ENGINES:
            faiss_library(self.backend)
            return embeddings_of(metric, prepared)
        may_be_approximate = self.backend == "auto" and has_faiss() and embedded(metric, prepared) is not None
        return embeddings_of(metric, prepared) if may_be_approximate else None

    def _new_names(self, ids: Any, n: int, contents: Contents, places: Places) -> np.ndarray:
        if ids is None:
            if contents.has_texts:
                raise ValueError("the ids of this index are text: pass the ids of the new sequences too.")
            return np.arange(contents.next_name, contents.next_name + n)
        names = checked_ids(ids, n, texts=contents.has_texts)
        taken = places.rows(names, contents.names, contents.numbers) >= 0
        if taken.any():
            raise ValueError(
                f"the id {names[taken][:1].tolist()[0]!r} is in the index already: remove it first, or choose another. "
                "Nothing was added."
            )
        return names

    def _approximated(self, metric: Any, contents: Contents, new: np.ndarray | None) -> Contents:
        """Return contents whose approximation, if there is to be one, knows all references."""
        backend = self._backend_for(metric, contents)
        old = contents.approximation
        if backend == "exact":
            return contents if old is None else replace(contents, approximation=None)
        numbers = contents.numbers
        n_new = 0 if new is None else len(new)
        if old is not None and old.suits(backend, numbers, n_new):
            if new is not None:
                old.add(new, numbers)
            return contents
        return replace(contents, approximation=Approximation.of(backend, contents.references.embeddings(), numbers))

    def _backend_for(self, metric: Any, contents: Contents) -> str:
        if len(contents) <= FEWEST:
            return "exact"
        if self.backend != "auto":
            return self.backend
        return "hnsw" if len(contents) >= _MANY and has_faiss() and contents.references.is_embedded else "exact"

    # ------------------------------------------------------------------ search

    @shown
    def search(self, X: Any, k: int = 5) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest references.

        Parameters
        ----------
        X : list of Q (T_i, C) arrays, array (Q, T, C), or array (Q, T)
            Queries.
        k : int, default=5
            Neighbours K.

        Returns
        -------
        distances : ndarray of shape (Q, K), float64
        ids : ndarray of shape (Q, K)
            Ids of references. Each row is sorted by distance, and references at the same distance by the order of
            their addition.

        Raises
        ------
        ValueError
            `check_sequences` does not accept X, there are fewer references than neighbours, or `n_candidates` is less
            than the neighbours.
        """
        contents = self._contents_with(k)
        return self._nearest(contents, self._queries(X), k)

    @shown
    def search_radius(self, X: Any, radius: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Find all references up to a distance. This search is exact, whatever the backend is.

        Parameters
        ----------
        X : list of Q (T_i, C) arrays, array (Q, T, C), or array (Q, T)
            Queries.
        radius : float
            Largest distance, >= 0.

        Returns
        -------
        distances : list of Q ndarrays (m_q,), float64
        ids : list of Q ndarrays (m_q,)
            Ids of the m_q references of each query, in the order of `search`.

        Raises
        ------
        ValueError
            `check_sequences` does not accept X, or the radius is negative or not finite.
        """
        radius, contents = check_radius(radius), self._contents_with(0)
        return self._within(contents, self._queries(X), radius)

    @shown
    def recall(self, X: Any, k: int = 5) -> float:
        """Return the share of the exact neighbours that `search` finds.

        Parameters
        ----------
        X : list of Q (T_i, C) arrays, array (Q, T, C), or array (Q, T)
            Queries, which should be like those to come. An exact search is made for all of them, so pass a sample.
        k : int, default=5
            Neighbours K.

        Returns
        -------
        recall : float in [0, 1]
            Share of the exact K nearest references that `search` returns. It is 1 for "exact" without `n_candidates`.
        """
        contents, queries = self._contents_with(k), self._queries(X)
        lengths = None, self._shortlist_length(k, contents)
        exact, found = (contents.nearest(queries, k, length)[1] for length in lengths)
        return recall_at_k(exact, found)

    def _nearest(self, contents: Contents, queries: Any, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return distances and ids (Q, k) of the nearest to prepared queries."""
        distances, rows = contents.nearest(queries, k, self._shortlist_length(k, contents))
        return distances, contents.names.at(rows)

    def _within(self, contents: Contents, queries: Any, radius: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return distances and ids of all references up to a distance from prepared queries."""
        distances, rows = contents.within(queries, radius)
        return distances, [contents.names.at(found) for found in rows]

    def _queries(self, X: Any) -> Any:
        """Return queries as the metric prepares them."""
        metric = self._fitted_metric()
        return prepare(metric, lent_sequences(X, estimator=metric, reset=False))

    def _contents_with(self, k: Any) -> Contents:
        """Return the contents of this moment, which have k references."""
        if not isinstance(k, Integral) or int(k) < 0:
            raise ValueError(f"k={k!r} must be an integer >= 1.")
        least = max(1, int(k))
        contents = Contents.empty(self._fitted_metric()) if self._contents is None else self._contents
        if len(contents) < least:
            raise ValueError(f"the index has {len(contents)} references, and {least} were asked for: add more.")
        return contents

    def _shortlist_length(self, k: int, contents: Contents) -> int | None:
        """Return the length of the shortlist, or None if the search is exact."""
        if self.n_candidates is None:
            return contents.shortlist_length(k)
        if self.n_candidates < k:
            raise ValueError(f"n_candidates={self.n_candidates} is less than the {k} neighbours that are asked for.")
        return self.n_candidates

    # ------------------------------------------------------------------ files

    save = save

    def __getstate__(self) -> dict[str, Any]:
        state = {**super().__getstate__()}
        contents = state.pop("_contents")
        del state["_writer"]
        return plain_state(self, {**state, "_contents": None if contents is None else contents.stored()})

    def __setstate__(self, state: dict[str, Any]) -> None:
        revived = {**revived_state(self, state)}
        stored = revived.pop("_contents")
        super().__setstate__(revived)
        self._writer = _Writer()
        self._contents = None if stored is None else Contents.restored(self._fitted_metric(), stored)

    def _check_loaded(self) -> None:
        """Raise ValueError if the parts of an index that was loaded do not fit each other: done by then."""


def check_radius(radius: Any) -> float:
    """Return a radius that is a finite number >= 0."""
    if not isinstance(radius, Real) or not 0 <= float(radius) < np.inf:
        raise ValueError(f"radius={radius!r} must be a finite number >= 0.")
    return float(radius)
