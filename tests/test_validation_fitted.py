"""`check_sequences` in an estimator: what fit saw is what predict takes, in scikit-learn's own words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted

from skseqmetric import check_sequences

NAN = np.nan


def random_ragged(seed, lengths, n_channels):
    rng = np.random.default_rng(seed)
    return [rng.uniform(0, 100, (t, n_channels)) for t in lengths]


class SequenceEstimator(BaseEstimator):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        return tags


def features(sequences):
    """Moments and the middle step: enough to separate the blobs of scikit-learn's checks."""
    means = np.add.reduceat(sequences.values, sequences.offsets) / sequences.lengths[:, np.newaxis]
    ends = sequences.offsets + sequences.lengths - 1
    return np.hstack([means, sequences.values[sequences.offsets], sequences.values[ends]])


class Summary(TransformerMixin, SequenceEstimator):
    def fit(self, X, y=None):
        check_sequences(X, estimator=self)
        return self

    def transform(self, X):
        check_is_fitted(self)
        return features(check_sequences(X, estimator=self, reset=False))


class NearestSummary(ClassifierMixin, SequenceEstimator):
    def fit(self, X, y):
        self.neighbors_ = KNeighborsClassifier(1).fit(features(check_sequences(X, estimator=self)), y)
        self.classes_ = self.neighbors_.classes_
        return self

    def predict(self, X):
        check_is_fitted(self)
        return self.neighbors_.predict(features(check_sequences(X, estimator=self, reset=False)))


@pytest.mark.global_rng  # one of these checks shuffles with the global generator itself
@parametrize_with_checks([Summary(), NearestSummary()])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_fit_records_channels():
    estimator = Summary().fit(random_ragged(0, [3, 4], 5))
    assert estimator.n_channels_ == 5
    assert not hasattr(estimator, "n_features_in_")


def test_fit_records_the_width_and_names_of_a_table():
    estimator = Summary().fit(pd.DataFrame(np.ones((2, 3)), columns=["a", "b", "c"]))
    assert estimator.n_channels_ == 1
    assert estimator.n_features_in_ == 3
    assert estimator.feature_names_in_.tolist() == ["a", "b", "c"]
    # fitted again on sequences, it has forgotten the table
    estimator.fit(random_ragged(0, [3, 4], 5))
    assert not hasattr(estimator, "n_features_in_")
    assert not hasattr(estimator, "feature_names_in_")


def test_a_ready_table_is_recorded_and_compared():
    table = check_sequences(np.ones((2, 3)))
    estimator = Summary().fit(table)
    assert estimator.n_features_in_ == 3
    estimator.transform(table)
    with pytest.raises(ValueError, match="X has 4 features, but Summary is expecting 3 features as input"):
        estimator.transform(check_sequences(np.ones((2, 4))))


def test_wrong_channels_are_refused():
    estimator = Summary().fit(random_ragged(0, [3, 4], 5))
    with pytest.raises(ValueError, match=r"X has 2 channel\(s\), but Summary was fitted with 5 channel\(s\)\.$"):
        estimator.transform(random_ragged(0, [3, 4], 2))
    with pytest.raises(ValueError, match=r"fitted with 5 .*axes are swapped.*from_channels_first"):
        estimator.transform(np.ones((2, 5, 9)))
    with pytest.raises(ValueError, match=r"fitted with 5 .*single sequence .* passed as \[X\]"):
        estimator.transform(np.ones((9, 5)))


def test_wrong_width_is_refused_and_sequences_of_any_length_are_not():
    estimator = Summary().fit(np.ones((4, 3)))
    with pytest.raises(ValueError, match="X has 2 features, but Summary is expecting 3 features as input"):
        estimator.transform(np.ones((4, 2)))
    assert estimator.transform([np.ones((2, 1)), np.ones((7, 1))]).shape == (2, 3)


def test_a_refused_fit_records_nothing():
    estimator = Summary()
    with pytest.raises(ValueError, match="NaN"):
        estimator.fit(np.array([[1.0, NAN]]))
    assert vars(estimator) == {}
