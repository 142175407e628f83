"""EchoStateClassifier: a reservoir with a linear read-out of classes."""

from __future__ import annotations

from numbers import Real
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if

from skseqmetric._base import renamed, unchanged_if_refused
from skseqmetric._estimators.echo_state.predictor import EchoStatePredictor
from skseqmetric._tasks import Classes, class_factors, decision, probabilities
from skseqmetric._tensors.steps import IGNORED, StepTargets
from skseqmetric._training.data import TrainingSet

MOST_CERTAIN = 1e6
"""Bound of the factor between scores and logits, for training data that are met exactly."""

LOGISTIC_STEPS = 1000


def _has_ridge_readout(estimator: EchoStateClassifier) -> bool:
    if estimator.readout != "ridge":
        raise AttributeError(f'partial_fit needs readout="ridge", and it is {estimator.readout!r}.')
    return True


@renamed(summary="pooling", predict_steps="predict_prefixes")
class EchoStateClassifier(ClassifierMixin, EchoStatePredictor):
    r"""Classes of sequences, or of their steps: a linear read-out of a fixed random recurrent network.

    .. math::
        x_t = (1 - l)\, x_{t-1} + l \tanh(W_{in} [1; u_t] + W x_{t-1}), \qquad x_0 = 0, \\
        z = W_{out} s + b_{out} \in R^K

    with s the state of a step or the pooled states of a sequence, and the class of the largest score
    z. Only the read-out is learned: ridge regression on targets of 1 for the class and -1 for the others, from sums
    over the rows, or logistic regression.

    Parameters
    ----------
    n_units : int, default=300
        Units N of a reservoir.
    spectral_radius : float or sequence of n_reservoirs floats, default=1.0
        Spectral radius rho of W, >= 0.
    leak : float or sequence of n_reservoirs floats, default=0.3
        Leak l, 0 < l <= 1: a state forgets within about 1 / l steps.
    density : float, default=0.1
        Share p of the entries of W that are not 0, 0 < p <= 1. On a CPU products are sparse where that is faster: up to
        0.25 from 100 units on, without the compiled kernels up to 0.15 from 150 on.
    input_scaling : float or sequence of n_reservoirs floats, default=0.3
        Entries of W_in are this, its negative or 0.
    bias_scaling : float or sequence of n_reservoirs floats, default=0.1
        Likewise for the column of W_in that the constant 1 enters by.
    input_density : float, default=1.0
        Share of the entries of W_in that are not 0.
    spectral_scaling : {"fast", "exact"}, default="fast"
        "fast": entries of W uniform in (-a, a) with :math:`a = \rho \sqrt{3 / (p N)}`, which gives the spectral radius
        by the circular law: 0.99 to 1.06 for 1 in eight draws at N = 300. "exact": W is divided by its own, at the cost
        of an eigenvalue.
    n_reservoirs : int, default=1
        Independent reservoirs that read the sequence side by side; with values of `leak` or `spectral_radius` of their
        own they remember for different times.
    bidirectional : bool, default=True
        As many reservoirs more read the sequence from its end.
    pooling : {"last", "mean", "both"}, default="both"
        Pooling over time: the last state of a sequence, the mean of its states, or both side by side.
    readout : {"ridge", "logistic"}, default="ridge"
        "logistic": scikit-learn's logistic regression on standardised pooled states with C = 1 / alpha. It holds the
        pooled states of all training sequences, needs target="sequence" with learning="final", and has no
        `partial_fit`.
    alpha : float, sequence of floats or "auto", default=0.01
        Ridge penalty, > 0, in units of squared states summed over the rows learned from. Of several, and of a grid of
        its own with "auto", generalised cross-validation takes the best, with 1.4 for every degree of freedom (Kim & Gu
        2004); that costs an eigenvalue decomposition.
    target : {"sequence", "step"}, default="sequence"
        Whether y holds one label a sequence or one a step.
    learning : {"final", "continuous"}, default="final"
        With target="sequence": learn from the pooled states of the whole sequence or, with the same label, from the
        state after every step, for data whose ends are unknown. "continuous" needs pooling="last" and
        bidirectional=False.
    class_weight : dict, "balanced" or None, default=None
        Factor of the weight of every class; "balanced": inversely proportional to its summed weight.
    ignore_label : object, default=None
        With target="step" a label that means "none": such steps are neither learned from nor scored.
    scaling : {"channel", None}, default="channel"
        Standardise every channel by its mean and standard deviation over the training steps, in float64. None for
        inputs that have a scale of their own, such as one-hot codes.
    device : str, default="auto"
        "auto" (CUDA where there is one, else CPU), "cpu", "cuda", "cuda:1", "mps".
    random_state : int, RandomState, Generator or None, default=None
        Seed of the weights, which are drawn on the CPU: the same model on every device.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        Labels.
    coef_ : ndarray of shape (K, F)
        The read-out :math:`W_{out}`, of scores; of "both" with 2 F columns, those of the last state first.
    intercept_ : ndarray of shape (K,)
        Its constant :math:`b_{out}`.
    alpha_ : float
        The penalty in use.
    reservoirs_ : list of ReservoirWeights
        The reservoirs, forward ones first: `input` (N, C + 1), its first column the bias, `recurrent` (N, N), `leak`.
    n_states_ : int
        Numbers F of a state, N for every reservoir and direction.
    mean_, scale_ : ndarray of shape (C,)
        The scaling of the channels.
    n_channels_ : int
        Channels C.

    Notes
    -----
    Cost of a sequence of T steps: :math:`T p N^2` multiply-adds for every reservoir and direction; all sequences of a
    batch take a step together. The read-out costs :math:`F^2` a row and
    :math:`F^3` once; where rows n are fewer than features, :math:`n F` a row and :math:`n^3`.

    Reservoir, leak and read-out are those of [1]_ and [2]_; the mean of the states, both directions, probabilities and
    defaults are ours.

    References
    ----------
    .. [1] H. Jaeger, "The 'echo state' approach to analysing and training recurrent neural networks", GMD Report 148,
       2001.
    .. [2] A. Variengien, X. Hinaut, "A Journey in ESN and LSTM Visualisations on a Language Task", arXiv 2012.01748,
       2020.

    Examples
    --------
    >>> from skseqmetric import EchoStateClassifier
    >>> from skseqmetric.datasets import load_japanese_vowels
    >>> X, y = load_japanese_vowels(split="train", return_X_y=True)
    >>> X_new, y_new = load_japanese_vowels(split="test", return_X_y=True)
    >>> EchoStateClassifier(100, random_state=0).fit(X, y).score(X_new, y_new) > 0.95
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **EchoStatePredictor._parameter_constraints,
        "readout": [StrOptions({"ridge", "logistic"})],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "ignore_label": [object],
    }

    def __init__(
        self,
        n_units: int = 300,
        *,
        spectral_radius: Any = 1.0,
        leak: Any = 0.3,
        density: float = 0.1,
        input_scaling: Any = 0.3,
        bias_scaling: Any = 0.1,
        input_density: float = 1.0,
        spectral_scaling: str = "fast",
        n_reservoirs: int = 1,
        bidirectional: bool = True,
        pooling: str = "both",
        readout: str = "ridge",
        alpha: Any = 0.01,
        target: str = "sequence",
        learning: str = "final",
        class_weight: Any = None,
        ignore_label: Any = None,
        scaling: str | None = "channel",
        device: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.n_units = n_units
        self.spectral_radius = spectral_radius
        self.leak = leak
        self.density = density
        self.input_scaling = input_scaling
        self.bias_scaling = bias_scaling
        self.input_density = input_density
        self.spectral_scaling = spectral_scaling
        self.n_reservoirs = n_reservoirs
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.readout = readout
        self.alpha = alpha
        self.target = target
        self.learning = learning
        self.class_weight = class_weight
        self.ignore_label = ignore_label
        self.scaling = scaling
        self.device = device
        self.random_state = random_state

    def _make_task(self) -> Classes:
        return Classes(every_step=self.target == "step", class_weight=self.class_weight, ignore_label=self.ignore_label)

    def _check_combinations(self) -> None:
        self._check_readout()
        if self.readout == "ridge":
            return
        if self._wanted_form.every_step or not isinstance(self.alpha, Real):
            raise ValueError(
                'readout="logistic" needs target="sequence", learning="final" and one number for alpha; choose alpha '
                "by GridSearchCV."
            )

    # ------------------------------------------------------------------ fitting
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Draw the reservoirs and learn the read-out.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Training sequences.
        y : array-like of shape (n,), or with target="step" list of n arrays (T_i,)
            Class of every sequence, or of every step.
        sample_weight : array-like of shape (n,), optional
            Weight of every sequence and of each of its steps. A weight of 2 is the same as writing the sequence twice.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For input outside the contract (see `check_sequences`), a single class, parameters that contradict each
            other, or a penalty too small for float64.
        """
        self._check_parameters()
        with unchanged_if_refused(self):
            task, training = self._checked_data(X, y, sample_weight, self._make_task(), reset=True)
            _refuse_single_class(training)
            self._know(task)
            self._class_factors = self._factors_of(training)
            if self.readout == "logistic":
                self._fit_logistic(training)
            else:
                self._fit_readout(training)
        return self

    @available_if(_has_ridge_readout)
    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None) -> Self:
        """Learn from more sequences, by recursive least squares; what was learned before counts as much.

        Called piece by piece with `scaling=None` the result is that of one `fit` of everything. Otherwise the scaling
        is that of the first piece, and so is a penalty that is chosen.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array-like of shape (K,), optional
            All labels that are to come, in the first call; those of y where None.

        Returns
        -------
        self
        """
        self._check_parameters()
        self._check_continues()
        if self.class_weight == "balanced":
            raise ValueError("partial_fit cannot know how frequent classes will be: pass class_weight as numbers.")
        first = not hasattr(self, "coef_")
        with unchanged_if_refused(self):
            task: Any = self._make_task()
            if not first:
                task = task.following(self._task)
            elif classes is not None:
                task = task.following(Classes(every_step=task.every_step, labels=np.unique(classes)))
            task, training = self._checked_data(X, y, sample_weight, task, reset=first)
            if first and classes is None:
                _refuse_single_class(training)
            self._know(task)
            self._class_factors = self._factors_of(training)
            if first:
                self._fit_readout(training)
        if not first:
            self._update_readout(training)
        return self

    def _factors_of(self, training: TrainingSet) -> np.ndarray:
        """One factor a class, (K,), and a 0 behind them, for rows without a label."""
        codes, weights = _flat_codes(training)
        given = codes != IGNORED
        labels = self._task.labels
        counts = np.bincount(codes[given], weights[given], minlength=len(labels))
        return np.append(class_factors(self.class_weight, labels, counts), 0.0)

    def _fit_logistic(self, training: TrainingSet) -> None:
        """scikit-learn's solver on standardised pooled states of all sequences; coefficients in units of the states."""
        self._begin(training)
        parts = zip(*self._rows(training, torch.device("cpu")), strict=True)
        states, encoded, weights = (torch.cat(part).numpy() for part in parts)
        scaler = StandardScaler().fit(states, sample_weight=weights)
        solver = LogisticRegression(C=1 / self.alpha, max_iter=LOGISTIC_STEPS)
        solver.fit(scaler.transform(states), encoded.argmax(axis=1), sample_weight=weights)
        coef, intercept = solver.coef_, solver.intercept_
        if len(coef) == 1:
            coef, intercept = np.concatenate([-coef, coef]) / 2, np.append(-intercept, intercept) / 2
        # a class whose sequences all have weight 0 is never said
        self.coef_ = np.zeros((len(self.classes_), states.shape[1]))
        self.intercept_ = np.full(len(self.classes_), -np.inf)
        self.coef_[solver.classes_] = coef / scaler.scale_
        self.intercept_[solver.classes_] = intercept - coef @ (scaler.mean_ / scaler.scale_)
        self.alpha_, self._variance = float(self.alpha), None

    def _encode(self, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        encoded = np.full((len(targets), self._task.n_outputs), -1.0)
        encoded[np.arange(len(targets)), targets] = 1.0
        encoded[targets == IGNORED] = np.nan
        return encoded, self._class_factors[targets]

    @property
    def _sharpness(self) -> float:
        """Factor from scores to logits."""
        # a variance is what the ridge read-out leaves
        return 1.0 if self._variance is None else min(2 / self._variance, MOST_CERTAIN)

    # ------------------------------------------------------------------ prediction
    def predict(self, X: Any) -> Any:
        """Classes: (n,), or with target="step" a list of n arrays (T_i,)."""
        outputs = self._outputs(X)
        return self._task.answer(outputs)

    def decision_function(self, X: Any) -> Any:
        """Scores (n, K), or (n,) for the second of two classes against the first; with target="step" a list."""
        return decision(self._outputs(X))

    def predict_proba(self, X: Any) -> Any:
        r"""Class probabilities (n, K), columns as in `classes_`; with target="step" a list of n arrays (T_i, K).

        Those of the logistic read-out are its own. Those of the ridge read-out are
        :math:`\mathrm{softmax}(2 z / \sigma^2)`: the posterior, were the scores of a class normal around its targets.
        The variance :math:`\sigma^2` is what generalised cross-validation finds in training. Where that matters,
        calibrate (`CalibratedClassifierCV`).
        """
        outputs = self._outputs(X)
        return probabilities(outputs, self._sharpness)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of the sequences, or of the labelled steps, that are predicted rightly, by weight."""
        answers = self.predict(X)
        return self._task.score(y, answers, sample_weight)


def _flat_codes(training: TrainingSet) -> tuple[np.ndarray, np.ndarray]:
    """Codes of sequences or of all steps, and the weight of each."""
    targets = training.targets
    if not isinstance(targets, StepTargets):
        return targets, training.weights
    return targets.values, np.repeat(training.weights, targets.lengths)


def _refuse_single_class(training: TrainingSet) -> None:
    codes, weights = _flat_codes(training)
    if len(np.unique(codes[(weights > 0) & (codes != IGNORED)])) < 2:
        raise ValueError("Only one class has sequences of positive sample_weight: two are needed.")
