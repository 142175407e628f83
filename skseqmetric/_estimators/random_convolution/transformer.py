"""RandomConvolutionTransformer: shares of steps at which random convolutions exceed their biases, as features."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skseqmetric._base import (
    CallbackSupportMixin,
    exporting,
    kept_plain,
    reported,
    save,
    shown,
    shown_by,
    unchanged_if_refused,
)
from skseqmetric._estimators.random_convolution.columns import ColumnMoments
from skseqmetric._estimators.random_convolution.exported import ExportedFeatures
from skseqmetric._estimators.random_convolution.features import ConvolutionFeatures, check_views, pieces
from skseqmetric._input import MISSING, check_weights, lent_sequences, n_channels_read
from skseqmetric._ops.random_convolution import N_KERNELS
from skseqmetric._tensors.resolve import device_or_cpu, draw_seed, resolve_device


@kept_plain
class RandomConvolutionTransformer(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, CallbackSupportMixin, BaseEstimator
):
    r"""Shares of steps at which random convolutions exceed their biases, as features for any estimator.

    A kernel has nine weights: 2 at three places (a, b, c) and -1 at the six others, which makes 84 kernels. It reads
    every d-th step of a set S of channels, and zeros outside the sequence:

    .. math::
        v_t = \sum_{c \in S} \Big( 3 \sum_{i \in (a, b, c)} x_{t + (i - 4) d,\, c}
              - \sum_{i=0}^{8} x_{t + (i - 4) d,\, c} \Big), \qquad
        f = \frac{1}{T} \, \big| \{ t : v_t > b \} \big|

    The channels x are standardised. A feature f is in [0, 1], and has a kernel, a dilation d, channels S and a bias b.
    All are drawn at random, without labels. The dilations are even on a logarithmic scale, from 1 to (L - 1) / 8 for
    the median training length L, at most 32. A set S has :math:`2^u` channels, rounded down, with u uniform in
    :math:`[0, \log_2(\min(C, 9) + 1))`. A bias is a quantile of the convolution of one training sequence. The levels
    of the quantiles are the multiples of the golden ratio, modulo 1.

    Sequences may have any number of steps, also other numbers than those of the training. Each is read by itself: its
    features are the same in every bit in any batch, and for any number of threads.

    Parameters
    ----------
    n_features : int, default=5000
        Features of each view, >= 84, rounded down to a multiple of 84.
    views : "auto" or list of str, default="auto"
        What the convolutions read. Every view has features of its own.

        - "channels": the standardised channels.
        - "differences": their differences :math:`x_t - x_{t-1}`.
        - "relative": the channels in relative time, that is L steps evenly from the first to the last, linear between
          steps.
        - "relative_differences": the differences of these.

        "auto" takes the first two, and all four if training sequences differ in length.
    standardize : bool, default=True
        Whether columns that are constant over the training sequences are left out, and the others are standardised.
        If all columns are constant, none is left out. False: the shares themselves.
    missing : {"error", "interpolate", "mask"}, default="error"
        What becomes of missing values (NaN) in sequences. "error" refuses them. "interpolate" puts them on lines
        between observed values, and a channel without any in a sequence gets its training mean. "mask" then adds two
        channels for each: whether the value was observed, and the steps since the last one that was.
    device : str, default="auto"
        "auto" (CUDA if available, else the CPU), "cpu", "cuda", "cuda:1" or "mps".
    random_state : int, RandomState, Generator or None, default=None
        Seed of the kernels' channels and biases. They are drawn on the CPU and are the same on every device.
    verbose : int, default=0
        1 shows a progress bar for a fit, and for predictions and searches that take longer than half a second.

    Attributes
    ----------
    convolutions_ : ConvolutionFeatures
        L (`n_steps`), and for every view in `banks` the `dilations`, `channels` and `biases`.
    mean_, scale_ : ndarray of shape (C,)
        Scaling of the channels. The convolutions read (x - mean_) / scale_.
    columns_ : ndarray of shape (P,)
        Which of the features `transform` returns.
    column_mean_, column_scale_ : ndarray of shape (P,)
        Scaling of these columns. 0 and 1 with `standardize=False`.
    n_channels_ : int
        Channels C.
    channel_names_in_ : ndarray of shape (C,)
        Names of the channels. Only after fitting data frames.

    See Also
    --------
    EchoStateTransformer : States of random recurrent networks as features.

    Notes
    -----
    A sequence of T steps costs T additions for every kernel and dilation and T comparisons for every feature. Nothing
    is trained, and memory beyond the features is bounded.

    Kernels, dilations, biases and the share are those of MiniROCKET [2]_, after ROCKET [1]_; that differences are read
    too is from MultiROCKET [3]_. There are three changes. Channels are standardised over the training data. Relative
    time is ours. Biases lie beside their quantiles by 8e-6 of the largest convolution, in turn above and below, so
    that rounding does not decide about data with many equal values.

    References
    ----------
    .. [1] A. Dempster, F. Petitjean, G. I. Webb, "ROCKET: exceptionally fast and accurate time series classification
       using random convolutional kernels", Data Mining and Knowledge Discovery 34, 1454-1495, 2020.
    .. [2] A. Dempster, D. F. Schmidt, G. I. Webb, "MiniRocket: a very fast (almost) deterministic transform for time
       series classification", KDD 2021, 248-257.
    .. [3] C. W. Tan, A. Dempster, C. Bergmeir, G. I. Webb, "MultiRocket: multiple pooling operators and
       transformations for fast and effective time series classification", Data Mining and Knowledge Discovery 36,
       1623-1646, 2022.

    Examples
    --------
    >>> from sklearn.linear_model import RidgeClassifierCV
    >>> from sklearn.pipeline import make_pipeline
    >>> from skseqmetric import RandomConvolutionTransformer
    >>> from skseqmetric.datasets import make_shifted_sequences
    >>> X, y = make_shifted_sequences(60, n_classes=2, random_state=0)
    >>> pipeline = make_pipeline(RandomConvolutionTransformer(840, random_state=0), RidgeClassifierCV())
    >>> pipeline.fit(X[:40], y[:40]).predict(X[40:]).shape
    (20,)
    """

    _stored: ClassVar[dict[str, str]] = {
        "convolutions_": "record ConvolutionFeatures",
        "mean_": "float64 M",
        "scale_": "float64 M",
        "columns_": "int64 D",
        "column_mean_": "float64 D",
        "column_scale_": "float64 D",
    }

    _parameter_constraints: dict[str, list[Any]] = {
        "n_features": [Interval(Integral, N_KERNELS, None, closed="left")],
        "views": [StrOptions({"auto"}), list, tuple],
        "standardize": ["boolean"],
        "device": [str],
        "random_state": ["random_state", np.random.Generator],
        "missing": [StrOptions(set(MISSING))],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_features: int = 5000,
        *,
        views: Any = "auto",
        standardize: bool = True,
        missing: str = "error",
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_features = n_features
        self.views = views
        self.standardize = standardize
        self.missing = missing
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn the scaling of the channels, draw the convolutions, and learn the scaling of the columns.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Training sequences.
        y : None
            Not used.
        sample_weight : array-like of shape (n,), float or None, default=None
            Weights of the sequences. One of weight 2 counts like two sequences, and one of weight 0 not at all.

        Returns
        -------
        self
        """
        self._learn(X, y, sample_weight, keep=False)
        return self

    def fit_transform(self, X: Any, y: Any = None, sample_weight: Any = None) -> np.ndarray:
        """Fit, and return the features of the training sequences. They are computed once.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Training sequences.
        y : None
            Not used.
        sample_weight : array-like of shape (n,), float or None, default=None
            Weights of the sequences.

        Returns
        -------
        features : ndarray of shape (n, P), float32
            The same as `fit(X).transform(X)`.
        """
        kept = self._learn(X, y, sample_weight, keep=True)
        out = np.empty((sum(map(len, kept)), len(self.columns_)), dtype=np.float32)
        start = 0
        for rows in kept:
            out[start : start + len(rows)] = self._scaled(rows)
            start += len(rows)
        return out

    @shown
    def transform(self, X: Any) -> np.ndarray:
        """Return the features of every sequence.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.

        Returns
        -------
        features : ndarray of shape (n, P), float32
        """
        check_is_fitted(self)
        sequences = lent_sequences(X, estimator=self, reset=False)
        out = np.empty((len(sequences), len(self.columns_)), dtype=np.float32)
        for numbers, piece in pieces(sequences, self.convolutions_.n_features_out, learning=False):
            out[numbers] = self._scaled(self.convolutions_.features(piece, device_or_cpu(self.device), numbers))
        return out

    @reported
    def _learn(self, X: Any, y: Any, sample_weight: Any, keep: bool) -> list[np.ndarray]:
        """Fit; return all features in parts if they are to be kept."""
        self._validate_params()
        device, views = resolve_device(self.device), check_views(self.views)
        kept = []
        with unchanged_if_refused(self), shown_by(self, fits=True):
            sequences = lent_sequences(X, estimator=self)
            weights = check_weights(sample_weight, len(sequences))
            weights /= weights.max()  # their sum may not fit into float64
            rng = np.random.default_rng(draw_seed(self.random_state))
            drawn = ConvolutionFeatures.draw(sequences, self.n_features, rng, views=views, weights=weights)
            moments = ColumnMoments()
            for numbers, piece in pieces(sequences, drawn.n_features_out, learning=True):
                if keep or self.standardize:
                    rows = drawn.features(piece, device, numbers)
                    moments.add(rows, weights[numbers])
                    kept += [rows] if keep else []
            self.convolutions_, self.mean_, self.scale_ = drawn, drawn.mean, drawn.scale
            self._set_columns(moments)
        return kept

    def _set_columns(self, moments: ColumnMoments) -> None:
        n = self.convolutions_.n_features_out
        self.columns_, self.column_mean_, self.column_scale_ = np.arange(n), np.zeros(n), np.ones(n)
        if not self.standardize:
            return
        mean, scale = moments.moments()
        if scale.any():
            self.columns_ = np.flatnonzero(scale)
            scale = scale[self.columns_]
        self.column_mean_, self.column_scale_ = mean[self.columns_], np.where(scale > 0, scale, 1)

    def _scaled(self, rows: np.ndarray) -> np.ndarray:
        """Return the columns of `transform` from features (n, P)."""
        if not self.standardize:
            return rows
        rows = rows if len(self.columns_) == rows.shape[1] else rows[:, self.columns_]
        return (rows - self.column_mean_.astype(np.float32)) / self.column_scale_.astype(np.float32)

    export = exporting.export

    def _exportable(self) -> exporting.ExportedModel:
        scaled: dict[str, np.ndarray] = {}
        if self.standardize:
            shift, scale = self.column_mean_.astype(np.float32), self.column_scale_.astype(np.float32)
            scaled = {"columns": self.columns_, "shift": shift, "scale": scale}
        run = ExportedFeatures(self.convolutions_, **scaled)
        return exporting.of_series(self, run, {"features": ("batch", "feature")}, lambda X: (self.transform(X),))

    @property
    def _n_features_out(self) -> int:
        return len(self.columns_)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "columns_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing != "error"
        # features are float32 for input of any dtype
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    save = save

    def _check_loaded(self) -> None:
        """Raise ValueError if the parts of a model that was loaded do not fit each other."""
        if "columns_" not in vars(self):
            return
        columns, n_features = self.columns_, self.convolutions_.n_features_out
        if (
            (columns < 0).any()
            or (columns >= n_features).any()
            or len(self.convolutions_.mean) != n_channels_read(self)
        ):
            raise ValueError("its columns or channels are not those of its convolutions.")
