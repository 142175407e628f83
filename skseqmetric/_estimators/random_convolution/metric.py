"""RandomConvolutionMetric: ridge regression on random convolutions, as a Euclidean distance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions

from skseqmetric._base import CallbackSupportMixin, exporting, reported, shown_by, unchanged_if_refused
from skseqmetric._estimators.random_convolution.exported import ExportedFeatures
from skseqmetric._estimators.random_convolution.features import ConvolutionFeatures, check_views, pieces
from skseqmetric._estimators.random_convolution.targets import Meaning
from skseqmetric._files import record
from skseqmetric._input import (
    MISSING,
    Piece,
    Sequences,
    check_pairs,
    check_weights,
    chosen,
    lent_sequences,
    n_channels_read,
    owned,
    pieces_of,
)
from skseqmetric._metrics.euclidean import embedded_nearest, embedded_rows, embedded_tile
from skseqmetric._metrics.protocol import Metric, register_metric
from skseqmetric._metrics.search import prepared_references
from skseqmetric._ops.products import SteadyProduct
from skseqmetric._ops.random_convolution import N_KERNELS
from skseqmetric._ops.ridge_metric import (
    FeatureSums,
    Form,
    KernelForm,
    Part,
    embedding_map,
    pair_directions,
)
from skseqmetric._tensors.flat import tensor_of
from skseqmetric._tensors.modes import answering
from skseqmetric._tensors.resolve import device_or_cpu, draw_seed, resolve_device
from skseqmetric._training.data import TrainingSet

_KEPT = 2**22  # values of training sequences that are kept for partial_fit
_PAIR_PENALTY = 30  # times alpha: given pairs are few of all, and say less than classes
_PAIR_DIRECTIONS = 512  # principal directions in which fit_pairs compares differences


@record(embeddings="float32 n E", lengths="int64 n")
@dataclass(frozen=True)
class Embedded:
    """The embeddings of sequences, which are computed once."""

    embeddings: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    def joined(self, other: Embedded) -> Embedded:
        """Return these sequences and then those of the other."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Embedded(*(np.concatenate(pair) for pair in pairs))

    def taken(self, rows: np.ndarray) -> Embedded:
        """Return a copy of some sequences."""
        return Embedded(self.embeddings[rows], self.lengths[rows])


@record(features="float32 n P", targets="float64 n K", weights="float64 n")
@dataclass(frozen=True)
class SeenRows:
    """The rows of earlier calls, while they are few: features (n, P), targets (n, K) and weights (n,)."""

    features: np.ndarray
    targets: np.ndarray
    weights: np.ndarray

    def joined(self, other: SeenRows) -> SeenRows:
        """Return these rows and those of the other."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return SeenRows(*(np.concatenate(pair) for pair in pairs))

    def summed(self) -> FeatureSums:
        """Return sums over the rows."""
        sums = FeatureSums(self.features.shape[1], self.targets.shape[1])
        size = max(1, 2**22 // self.features.shape[1])
        for part in (slice(start, start + size) for start in range(0, len(self.weights), size)):
            sums.add(self.features[part].copy(), self.targets[part], self.weights[part])
        return sums


@register_metric("random_convolution", random_state=0)
class RandomConvolutionMetric(ClassNamePrefixFeaturesOutMixin, TransformerMixin, CallbackSupportMixin, Metric):
    r"""Distance on fixed random convolutions, learned from classes, numbers, pairs or nothing in closed form.

    The features of a sequence are the shares of steps at which random convolutions exceed their biases, as
    `RandomConvolutionTransformer` computes them. With the standardised features f, ridge regression of the targets
    gives the directions W, and the leading principal directions of the training data are V:

    .. math::
        d^2(X, Y) = (1 - b) \frac{|W^\top (f_X - f_Y)|^2}{u_1} + b \frac{|V^\top (f_X - f_Y)|^2}{u_2}

    with :math:`u_1` and :math:`u_2` the means of the terms over all pairs of training sequences. Targets are one column
    for each class, or the numbers themselves. Without y the second term is all. The distance is Euclidean in the
    embedding, which `transform` returns. There is no training loop: a fit takes about as long as computing the features
    a few times.

    Parameters
    ----------
    n_features : int, default=5000
        Features of each view, >= 84, rounded down to a multiple of 84.
    views : "auto" or list of str, default="auto"
        What the convolutions read, as in `RandomConvolutionTransformer`: the channels and their differences from step
        to step. "auto" adds the same two in relative time if the lengths of the training sequences differ.
    alpha : float, default=0.1
        Penalty of ridge regression, relative to the mean of the eigenvalues of :math:`F F^\top`, where the rows of F
        are the standardised features of different sequences, times the roots of their weights. A fixed one is safe with
        one sequence a class, where a choice by cross-validation is not.
    blend : float, default=0.2
        Share b of the principal directions in the mean squared distance, 0 to 1.
    n_components : int, default=64
        Largest number of principal directions.
    class_weight : dict, "balanced" or None, default=None
        Factors of the weights of sequences by their class. "balanced": inversely proportional to the weight of the
        class in the training data. None: 1.
    target : {"auto", "classes", "numbers"}, default="auto"
        What y is. "auto": numbers if y has several columns or floats that are not whole, else classes.
    random_state : int, RandomState, Generator or None, default=None
        Seed of the convolutions. An int gives the same metric again, whatever the order of the sequences.
    missing : {"error", "interpolate", "mask"}, default="error"
        What becomes of missing values (NaN) in sequences. "error" refuses them. "interpolate" puts them on lines
        between observed values, and a channel without any in a sequence gets its training mean. "mask" then adds two
        channels for each: whether the value was observed, and the steps since the last one that was.
    device : str, default="auto"
        Where features are computed: "auto" (CUDA if available, else the CPU), "cpu", "cuda", "cuda:1" or "mps".
    verbose : int, default=0
        1 shows a progress bar for a fit, and for predictions and searches that take longer than half a second.

    Attributes
    ----------
    convolutions_ : ConvolutionFeatures
        The convolutions: for every view in `banks` the `dilations`, `channels` and `biases`.
    components_ : ndarray of shape (D, P), float32
        Rows that map features of shape (P,), less `feature_mean_`, to the embedding.
    feature_mean_ : ndarray of shape (P,), float32
        Means of the features over the training sequences.
    mean_, scale_ : ndarray of shape (C,)
        Scaling of the channels. Convolutions read (x - mean_) / scale_.
    classes_ : ndarray of shape (K,)
        Labels seen in `fit` and `partial_fit`. Only after learning from classes.
    n_channels_ : int
        Channels C.
    channel_names_in_ : ndarray of shape (C,)
        Names of the channels. Only after fitting data frames.
    threshold_ : float
        Set by `calibrate_threshold`.

    See Also
    --------
    RandomConvolutionTransformer : The features alone, for any classifier.
    SyncGRUMetric : A distance learned by a recurrent network.

    Notes
    -----
    For n training sequences with P features in all, a fit costs n T P for the features. Up to P / 2 sequences it costs
    :math:`n^2 P` more, in memory of about 4 n P bytes. Above, it costs :math:`n P^2 + P^3 / 3`, in memory of about
    :math:`4 P^2` bytes for any n: 400 MB for sequences of one length, and 1.6 GB for others. A sequence is embedded in
    T P comparisons and P D products.

    The features are those of [1]_ with the pooling of [2]_; the differences as a second view are from [3]_. The metric
    on them, the penalty that is fixed, the principal directions and relative time are ours.

    References
    ----------
    .. [1] A. Dempster, F. Petitjean, G. I. Webb, "ROCKET: exceptionally fast and accurate time series classification
       using random convolutional kernels", Data Mining and Knowledge Discovery 34, 2020.
    .. [2] A. Dempster, D. F. Schmidt, G. I. Webb, "MiniRocket: A Very Fast (Almost) Deterministic Transform for Time
       Series Classification", KDD 2021.
    .. [3] C. W. Tan, A. Dempster, C. Bergmeir, G. I. Webb, "MultiRocket: multiple pooling operators and
       transformations for fast and effective time series classification", Data Mining and Knowledge Discovery 36, 2022.

    Examples
    --------
    >>> from skseqmetric import RandomConvolutionMetric, SequenceKNeighborsClassifier
    >>> from skseqmetric.datasets import make_shifted_sequences
    >>> X, y = make_shifted_sequences(60, n_classes=2, random_state=0)
    >>> metric = RandomConvolutionMetric(random_state=0)
    >>> knn = SequenceKNeighborsClassifier(metric, n_neighbors=1).fit(X[:40], y[:40])
    >>> knn.predict(X[40:]).shape
    (20,)
    """

    _stored: ClassVar[dict[str, str]] = {
        "convolutions_": "record ConvolutionFeatures",
        "components_": "float32 D P",
        "feature_mean_": "float32 P",
        "mean_": "float64 M",
        "scale_": "float64 M",
        "classes_": "labels K",
        "_meaning": "record Meaning",
        "_seen": "none|record TrainingSet,SeenRows,FeatureSums",
        "_seed": "int",
        "_weight_unit": "number",
        "_n_features_out": "size D",
    }

    _parameter_constraints: dict[str, list[Any]] = {
        "n_features": [Interval(Integral, N_KERNELS, None, closed="left")],
        "views": [StrOptions({"auto"}), list, tuple],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "blend": [Interval(Real, 0, 1, closed="both")],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "target": [StrOptions({"auto", "classes", "numbers"})],
        "random_state": ["random_state", np.random.Generator],
        "device": [str],
        "missing": [StrOptions(set(MISSING))],
        "verbose": ["verbose"],
    }

    _seed: int
    _weight_unit: float
    _meaning: Meaning
    _seen: TrainingSet | SeenRows | FeatureSums | None

    _is_euclidean = True
    _reads_lent = True

    def __init__(
        self,
        n_features: int = 5000,
        *,
        views: Any = "auto",
        alpha: float = 0.1,
        blend: float = 0.2,
        n_components: int = 64,
        class_weight: Any = None,
        target: str = "auto",
        random_state: Any = None,
        missing: str = "error",
        device: str = "auto",
        verbose: int = 0,
    ) -> None:
        self.n_features = n_features
        self.views = views
        self.alpha = alpha
        self.blend = blend
        self.n_components = n_components
        self.class_weight = class_weight
        self.target = target
        self.random_state = random_state
        self.missing = missing
        self.device = device
        self.verbose = verbose

    # ------------------------------------------------------------------ fitting
    @reported
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn the distance from classes, from numbers, or from the sequences alone.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Training sequences.
        y : array-like of shape (n,) or (n, n_outputs), optional
            Class of every sequence, or numbers; see `target`. None: the distance is that of the principal directions.
        sample_weight : array-like of shape (n,), optional
            Weight of every sequence. A weight of 2 acts like two copies of the sequence. A weight of 0 acts like
            leaving it out. A common factor of all weights changes nothing.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            `check_sequences` does not accept X, y does not fit the sequences or has a single class, or `alpha` is too
            small.
        """
        self._check_parameters()
        with unchanged_if_refused(self), shown_by(self, fits=True):
            meaning, training = self._checked(X, y, sample_weight, None)
            convolutions = self._drawn(training)
            targets = meaning.rows(training.targets)
            form: Form
            if len(training) <= convolutions.n_features_out // 2:
                form = KernelForm(self._features_of(convolutions, training), targets, training.weights)
                few = training.sequences.values.size <= _KEPT
                kept = replace(training, sequences=owned(training.sequences)) if few else None
            else:
                form, kept = self._summed(convolutions, training, targets).form(), None
            self._learn(form, convolutions, meaning)
            self._seen = kept
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn from more sequences. The result is that of one fit to all of them with the convolutions of the first.

        The first call draws the convolutions and learns the scaling of the channels, from its first piece. Later calls
        may bring new classes.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), array (n, T), or iterator
            Sequences. Equal sequences in two calls count as two. Or an iterator that yields pieces (X, y) or (X, y,
            sample_weight) of data that memory may not hold: one pass over them, one solution at its end.
        y : array-like of shape (n,) or (n, n_outputs), optional
            As in `fit`.
        sample_weight : array-like of shape (n,), optional
            As in `fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As in `fit`. Or `class_weight` is "balanced", y is of another kind than before, or the metric was fitted by
            `fit_pairs`, or by `fit` to more sequences than it keeps: 2^22 values, or half as many sequences as
            features.

        Notes
        -----
        Every call solves the equations anew: it costs as much as a fit to all sequences so far, but for the features.
        Few sequences are better passed together, or by an iterator. The metric keeps the features of all sequences
        until they are half as many as features, and then :math:`P^2` sums.
        """
        self._check_parameters()
        if self.class_weight == "balanced":
            raise ValueError("partial_fit cannot know how frequent classes will be: pass class_weight as numbers.")
        first = not hasattr(self, "components_")
        if not first and self._seen is None:
            raise ValueError(
                "this metric keeps nothing of the sequences it was fitted to, so that it cannot learn from more: they "
                "were too many, or pairs. Begin with partial_fit on a metric that is not fitted, such as its clone."
            )
        with unchanged_if_refused(self), shown_by(self, fits=True):
            self._learn_pieces(pieces_of(X, y, sample_weight), first=first)
        return self

    def _learn_pieces(self, pieces: Iterator[Piece], *, first: bool) -> None:
        """Learn from what was seen and from all pieces, with one solution at the end."""
        known: Any = None if first else self._meaning
        convolutions: Any = None if first else self.convolutions_
        seen: Any = None if first else self._seen
        is_own = False  # what earlier calls left is copied, because an error must leave it as it was
        for X, y, sample_weight in pieces:
            meaning, training = self._checked(X, y, sample_weight, known)
            convolutions = self._drawn(training) if convolutions is None else convolutions
            if seen is not None and not (is_own and meaning.n_columns == known.n_columns):
                seen = self._rows_seen(seen, convolutions, known, meaning)
            seen, known, is_own = self._with_rows(convolutions, meaning, training, seen), meaning, True
        self._learn_seen(convolutions, known, seen)

    def fit_pairs(self, X: Any, pairs: Any, same: Any) -> Self:
        r"""Learn the distance from weak supervision: pairs that are known to belong together or not.

        The directions W solve a generalised eigenproblem, :math:`(S_D - S_S) w = m (F^\top F + s I) w` with m > 0, for
        the mean outer products :math:`S_D` and :math:`S_S` of the differences of different and of same pairs. It would
        be ridge regression of classes if all pairs were given. The penalty s is 30 times as large, as most are not.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Training sequences. Those in no pair count for the scaling and the principal directions.
        pairs : array-like of int, shape (P, 2)
            Rows of X.
        same : array-like of shape (P,)
            +1 if both sequences belong together, -1 if not.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            `check_sequences` does not accept X, or pairs and `same` are not as described.
        """
        self._check_parameters()
        with unchanged_if_refused(self), shown_by(self, fits=True):
            sequences = lent_sequences(X, estimator=self)
            pairs, same = check_pairs(pairs, same, len(sequences))
            weights, nothing = np.ones(len(sequences)), np.zeros((len(sequences), 0))
            training = TrainingSet(sequences, nothing, weights, numbers=np.arange(len(sequences)))
            convolutions = self._drawn(training)
            form: Form
            if len(training) <= convolutions.n_features_out // 2:
                form = KernelForm(self._features_of(convolutions, training), nothing, weights)
            else:
                form = self._summed(convolutions, training, nothing).form()
            principal = form.principal(max(_PAIR_DIRECTIONS, self.n_components), [self._seed, 1])
            taught = self._taught_by_pairs(form, convolutions, sequences, principal, pairs, same > 0)
            self._keep(form, convolutions, taught, principal)
            self.__dict__.pop("classes_", None)
            self._meaning, self._seen = Meaning("nothing"), None
        return self

    def _taught_by_pairs(
        self,
        form: Form,
        convolutions: ConvolutionFeatures,
        sequences: Sequences,
        principal: tuple[np.ndarray, np.ndarray],
        pairs: np.ndarray,
        same: np.ndarray,
    ) -> Part:
        """Return the directions that tell different pairs from same ones."""
        used, places = np.unique(pairs, return_inverse=True)
        columns = principal[0] * form.inverse[:, np.newaxis].astype(np.float32)
        coordinates = np.empty((len(used), columns.shape[1]))
        for part, found in self._pieces(convolutions, chosen(sequences, used), used):
            found -= form.mean.astype(np.float32)
            coordinates[part] = found @ columns
        left, right = places.reshape(pairs.shape).T
        differences = coordinates[left] - coordinates[right]
        penalty = _PAIR_PENALTY * self.alpha * form.mean_eigenvalue
        turned = pair_directions(differences[same], differences[~same], principal[1], penalty, self.n_components)
        spread = float(principal[1] @ np.square(turned).sum(1))
        return Part(principal[0] @ turned.astype(np.float32), spread)

    def _check_parameters(self) -> None:
        self._validate_params()
        resolve_device(self.device)

    def _checked(self, X: Any, y: Any, sample_weight: Any, earlier: Meaning | None) -> tuple[Meaning, TrainingSet]:
        """Check all arguments. Return the meaning of y, and the data with equal rows merged."""
        sequences = lent_sequences(X, estimator=self, reset=earlier is None)
        meaning = Meaning.of(y, self.target)
        if earlier is not None:
            meaning = meaning.following(earlier)
        meaning, targets = meaning.check(y, sequences, self)
        weights = check_weights(sample_weight, len(sequences))
        # only ratios of weights matter, and their sum may be too large
        unit = _unit(weights) if earlier is None else self._weight_unit
        weights /= unit
        weights = weights * meaning.factors(self.class_weight, targets, weights)
        several = meaning.kind == "classes" and earlier is None
        training = TrainingSet.merged(sequences, targets, weights, None, None, several_classes=several)
        if earlier is None:
            merged = _unit(training.weights)
            training, self._weight_unit = replace(training, weights=training.weights / merged), unit * merged
        return meaning.learn(training.targets, training.weights), training

    def _drawn(self, training: TrainingSet) -> ConvolutionFeatures:
        self._seed = draw_seed(self.random_state)
        return ConvolutionFeatures.draw(
            training.sequences,
            self.n_features,
            np.random.default_rng(self._seed),
            views=check_views(self.views),
            weights=training.weights,
            numbers=training.numbers,
        )

    def _features_of(self, convolutions: ConvolutionFeatures, training: TrainingSet) -> np.ndarray:
        """Return the features (n, P) of all sequences."""
        out = np.empty((len(training), convolutions.n_features_out), dtype=np.float32)
        for rows, found in self._pieces(convolutions, training.sequences, training.numbers):
            out[rows] = found
        return out

    def _pieces(
        self,
        convolutions: ConvolutionFeatures,
        sequences: Sequences,
        numbers: np.ndarray | None = None,
        *,
        learning: bool = True,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield rows of the sequences with their features. `numbers` are those of messages."""
        device = device_or_cpu(self.device)
        for rows, piece in pieces(sequences, convolutions.n_features_out, learning=learning):
            yield rows, convolutions.features(piece, device, rows if numbers is None else numbers[rows])

    def _summed(
        self,
        convolutions: ConvolutionFeatures,
        training: TrainingSet,
        targets: np.ndarray,
        sums: FeatureSums | None = None,
    ) -> FeatureSums:
        """Return sums over the training set, added to earlier ones in place."""
        sums = FeatureSums(convolutions.n_features_out, targets.shape[1]) if sums is None else sums
        for part, found in self._pieces(convolutions, training.sequences, training.numbers):
            sums.add(found, targets[part], training.weights[part])
        return sums

    def _rows_seen(
        self, seen: Any, convolutions: ConvolutionFeatures, earlier: Meaning, meaning: Meaning
    ) -> SeenRows | FeatureSums:
        """Return a copy of what was seen, with a column for every target there is now. It may be changed."""
        places = meaning.places_of(earlier)
        if isinstance(seen, FeatureSums):
            return seen.with_targets(places, meaning.n_columns)
        if isinstance(seen, TrainingSet):
            seen = SeenRows(self._features_of(convolutions, seen), earlier.rows(seen.targets), seen.weights)
        targets = np.zeros((len(seen.weights), meaning.n_columns))
        targets[:, places] = seen.targets
        return SeenRows(seen.features, targets, seen.weights)

    def _with_rows(
        self,
        convolutions: ConvolutionFeatures,
        meaning: Meaning,
        training: TrainingSet,
        seen: SeenRows | FeatureSums | None,
    ) -> SeenRows | FeatureSums:
        """Return what was seen with more: rows while they are few, and then their sums."""
        targets = meaning.rows(training.targets)
        n_rows = len(training) + (len(seen.weights) if isinstance(seen, SeenRows) else 0)
        if not isinstance(seen, FeatureSums) and n_rows <= convolutions.n_features_out // 2:
            rows = SeenRows(self._features_of(convolutions, training), targets, training.weights)
            return rows if seen is None else seen.joined(rows)
        sums = seen.summed() if isinstance(seen, SeenRows) else seen
        return self._summed(convolutions, training, targets, sums)

    def _learn_seen(self, convolutions: ConvolutionFeatures, meaning: Meaning, seen: SeenRows | FeatureSums) -> None:
        if isinstance(seen, SeenRows):
            self._learn(KernelForm(seen.features.copy(), seen.targets, seen.weights), convolutions, meaning)
        else:
            self._learn(seen.form(), convolutions, meaning)
            seen.restore()
        self._seen = seen

    def _learn(self, form: Form, convolutions: ConvolutionFeatures, meaning: Meaning) -> None:
        principal = form.principal(self.n_components, [self._seed, 1])
        self._keep(form, convolutions, form.ridge(self.alpha * form.mean_eigenvalue), principal)
        self._meaning = meaning
        self.__dict__.pop("classes_", None)
        if meaning.kind == "classes":
            self.classes_ = meaning.labels

    def _keep(
        self,
        form: Form,
        convolutions: ConvolutionFeatures,
        taught: Part,
        principal: tuple[np.ndarray, np.ndarray],
    ) -> None:
        directions, variances = (part[..., : self.n_components] for part in principal)
        columns = embedding_map(taught, Part(directions, float(variances.sum())), self.blend, form.total)
        self.convolutions_, self.feature_mean_ = convolutions, form.mean.astype(np.float32)
        self.mean_, self.scale_ = convolutions.mean, convolutions.scale
        self.components_ = np.ascontiguousarray((columns * form.inverse[:, np.newaxis].astype(np.float32)).T)
        self._product = SteadyProduct(tensor_of(self.components_))
        self._n_features_out = len(self.components_)
        # a threshold is valid only for the distance that it was calibrated on
        self.__dict__.pop("threshold_", None)

    # ------------------------------------------------------------------ distances
    def transform(self, X: Any) -> np.ndarray:
        """Return the embedding of every sequence. Distances are Euclidean in it.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.

        Returns
        -------
        embeddings : ndarray of shape (n, D), float32
            One number for each class or column of numbers, then one for each principal direction.
        """
        return self._prepared(X).embeddings

    export = exporting.export

    def _exportable(self) -> exporting.ExportedModel:
        run = ExportedFeatures(self.convolutions_, shift=self.feature_mean_, components=self.components_)
        outputs: exporting.Axes = {"embedding": ("batch", "component")}
        return exporting.of_series(self, run, outputs, lambda X: (self.transform(X),), distance="euclidean")

    def _prepare(self, sequences: Sequences) -> Embedded:
        out = np.empty((len(sequences), self._n_features_out), dtype=np.float32)
        for part, found in self._pieces(self.convolutions_, sequences, learning=False):
            found -= self.feature_mean_
            out[part] = _products(self._product, found)
        return Embedded(out, sequences.lengths)

    def _tile(self, left: Embedded, rows: np.ndarray, right: Embedded, columns: np.ndarray) -> np.ndarray:
        return embedded_tile(left.embeddings, rows, right.embeddings, columns)

    def _rows(self, left: Embedded, rows: np.ndarray, right: Embedded, columns: np.ndarray) -> np.ndarray:
        return embedded_rows(left.embeddings, rows, right.embeddings, columns)

    def _embeddings(self, prepared: Embedded) -> np.ndarray:
        return prepared.embeddings

    def _nearest(
        self, queries: Embedded, references: Embedded, k: int, *, exclude: np.ndarray | None, n_candidates: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        return embedded_nearest(queries.embeddings, prepared_references(self, references), k, exclude)

    # ------------------------------------------------------------------ scikit-learn
    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # embeddings are float32 for input of any dtype
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "components_")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_product"}

    def _check_loaded(self) -> None:
        """Raise ValueError if the parts of a model that was loaded do not fit each other."""
        if "components_" not in vars(self):
            return
        n_features = self.convolutions_.n_features_out
        if len(self.feature_mean_) != n_features or len(self.convolutions_.mean) != n_channels_read(self):
            raise ValueError("its features or channels are not those of its convolutions.")

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "components_"):
            self._product = SteadyProduct(tensor_of(self.components_))


def _unit(weights: np.ndarray) -> float:
    """Return the power of 4 below the largest weight. A division by it changes no digit of a weight or its root."""
    return float(4.0 ** np.floor(np.log2(weights.max()) / 2))


@answering
def _products(product: SteadyProduct, rows: np.ndarray) -> np.ndarray:
    return product(torch.from_numpy(rows)).numpy()
