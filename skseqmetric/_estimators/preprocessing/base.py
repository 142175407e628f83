"""The base class of the transformers that prepare sequences: their fits, their containers and their names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._set_output import _get_container_adapter, _wrap_data_with_container
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from skseqmetric._base import (
    CallbackSupportMixin,
    kept_plain,
    reported,
    save,
    shown,
    shown_by,
    unchanged_if_refused,
)
from skseqmetric._input import Sequences, check_sequences


@kept_plain
class SequencePreprocessor(
    TransformerMixin,
    CallbackSupportMixin,
    BaseEstimator,
    ABC,
    auto_wrap_output_keys=None,  # type: ignore[call-arg]  # lists of arrays are wrapped here
):
    """A transformer of sequences. A subclass says what it learns, what it makes of sequences, and the names of that.

    Sequences become a list of arrays. A table (n, T), whose rows are univariate, becomes a table where all rows come
    out equally long. `set_output` gives frames: one for each sequence, or one for a table.
    """

    _parameter_constraints: dict[str, list[Any]] = {"verbose": ["verbose"]}

    # ------------------------------------------------------------------ hooks
    @abstractmethod
    def _learn(self, sequences: Sequences) -> None:
        """Check that the parameters fit the data, and set what a fit leaves."""

    @abstractmethod
    def _applied(self, sequences: Sequences) -> list[np.ndarray] | np.ndarray:
        """Return new sequences, or an array with one row for each."""

    @abstractmethod
    def _names_out(self, names: list[str]) -> list[str]:
        """Return the names of the channels, or of the columns, that come out of channels of these names."""

    @abstractmethod
    def _columns_out(self, width: int) -> int | None:
        """Return the columns of the table that a table of this width becomes. None: it becomes a list."""

    # ------------------------------------------------------------------ fitting and applying
    @reported
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from the training sequences what `transform` needs.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Training sequences.
        y : None
            Not used.

        Returns
        -------
        self
        """
        self._learned(X)
        return self

    @reported
    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit, and transform the training sequences.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Training sequences.
        y : None
            Not used.

        Returns
        -------
        X_new : list of arrays, or array
            The same as `fit(X).transform(X)`.
        """
        return self._finished(self._learned(X), X)

    @shown
    def transform(self, X: Any) -> Any:
        """Return what the sequences become.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.

        Returns
        -------
        X_new : list of arrays, or array
            Sequences become new sequences, float32 or float64 as X. For a table, and for statistics, it is an array
            with one row a sequence. After `set_output` these are data frames.
        """
        check_is_fitted(self)
        return self._finished(check_sequences(X, estimator=self, reset=False), X)

    def _learned(self, X: Any) -> Sequences:
        self._validate_params()
        with unchanged_if_refused(self), shown_by(self, fits=True):
            sequences = check_sequences(X, estimator=self)
            self._learn(sequences)
        return sequences

    def _finished(self, sequences: Sequences, original: Any) -> Any:
        """Return the result in the container that `set_output` asks for."""
        found = self._applied(sequences)
        width = sequences.table_width
        if isinstance(found, list) and width is not None and self._columns_out(width) is not None:
            found = np.stack([x[:, 0] for x in found])
        if isinstance(found, np.ndarray):
            return _wrap_data_with_container("transform", found, original, self)
        adapter = _get_container_adapter("transform", self)
        if adapter is None:
            return found
        names = self.get_feature_names_out()
        return [adapter.create_container(x, None, columns=names) for x in found]

    # ------------------------------------------------------------------ names
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the channels, or of the columns, of the output.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the channels, or of the columns of a table. None: those of the fit, or x0, x1, ...

        Returns
        -------
        names : ndarray of str objects
        """
        check_is_fitted(self)
        if not hasattr(self, "n_features_in_"):
            return _as_objects(self._names_out(self._channel_names(input_features)))
        names = _check_feature_names_in(self, input_features)
        width = self._columns_out(len(names))
        if width is None:
            return _as_objects(self._names_out(["x0"]))
        return names if width == len(names) else _as_objects([f"step{i}" for i in range(width)])

    def _channel_names(self, given: Any) -> list[str]:
        n, fitted = self.n_channels_, getattr(self, "channel_names_in_", None)
        if given is None:
            return [f"x{i}" for i in range(n)] if fitted is None else [str(name) for name in fitted]
        names = [str(name) for name in given]
        if len(names) != n:
            raise ValueError(f"input_features should have length equal to number of channels ({n}), got {len(names)}")
        return names

    # ------------------------------------------------------------------ scikit-learn
    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_channels_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = hasattr(self, "_keeps_missing")
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    save = save

    def _check_loaded(self) -> None:
        """Raise ValueError if the parts of a model that was loaded do not fit each other."""
        column = vars(self).get("time_column_")
        if column is not None and not 0 <= column < self.n_channels_:
            raise ValueError(f"channel {column} holds the time stamps, and there are {self.n_channels_} channels.")


def _as_objects(names: list[str]) -> np.ndarray:
    return np.array(names, dtype=object)
