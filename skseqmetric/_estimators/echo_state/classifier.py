"""EchoStateClassifier: random reservoirs with a linear readout of classes."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Real
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if

from skseqmetric._base import class_methods, renamed, reported, shown_by, unchanged_if_refused
from skseqmetric._base.exporting import ExportedModel
from skseqmetric._estimators.echo_state.predictor import EchoStatePredictor
from skseqmetric._input import Piece, check_classes, pieces_of
from skseqmetric._tasks import Classes, class_factors, probabilities
from skseqmetric._tensors.steps import IGNORED, StepTargets
from skseqmetric._training.data import TrainingSet

MOST_CERTAIN = 1e6
"""Largest factor from scores to logits. It is reached if the readout fits the training data exactly."""

NEVER = -1e30
"""Score of a class that the logistic readout has not seen: finite, also in float32, and of probability 0."""

LOGISTIC_STEPS = 1000

NEVER = -1e30
"""Score of a class without weight: finite, and its probability is 0."""


def _has_ridge_readout(estimator: EchoStateClassifier) -> bool:
    if estimator.readout != "ridge":
        raise AttributeError(f'partial_fit needs readout="ridge", and it is {estimator.readout!r}.')
    return True


@renamed(summary="pooling", predict_steps="predict_prefixes")
class EchoStateClassifier(ClassifierMixin, EchoStatePredictor):
    r"""Classifier of sequences or of every step: a linear readout of fixed random recurrent networks.

    .. math::
        x_t = (1 - l)\, x_{t-1} + l \tanh(W_{in} [1; u_t] + W x_{t-1}), \qquad x_0 = 0, \\
        z = W_{out} s + b_{out} \in R^K

    Here s is the state of a step or the pooled state of a sequence. The prediction is the class with the largest score
    z. Only the readout is trained: by ridge regression with target 1 for the class and -1 for the others, or by
    logistic regression. Ridge regression needs only sums over the rows.

    Parameters
    ----------
    n_units : int, default=300
        Units N of a reservoir.
    spectral_radius : float or sequence of n_reservoirs floats, default=1.0
        Spectral radius rho of W, >= 0.
    leak : float or sequence of n_reservoirs floats, default=0.3
        Leak l, 0 < l <= 1. A state forgets within about 1 / l steps.
    density : float, default=0.1
        Share p of the entries of W that are not 0, 0 < p <= 1. On a CPU, products are sparse when this is faster: for
        p <= 0.25 and 100 units or more. Without the compiled kernels it is for p <= 0.15 and 150 units or more.
    input_scaling : float or sequence of n_reservoirs floats, default=0.3
        Absolute value of the entries of W_in that are not 0. Signs are random.
    bias_scaling : float or sequence of n_reservoirs floats, default=0.1
        The same for the column of W_in that multiplies the constant 1.
    input_density : float, default=1.0
        Share of the entries of W_in that are not 0.
    spectral_scaling : {"fast", "exact"}, default="fast"
        "fast" draws the entries of W uniformly in (-a, a) with :math:`a = \rho \sqrt{3 / (p N)}`. The circular law then
        gives about the spectral radius: for a radius of 1, eight draws at N = 300 had 0.99 to 1.06. "exact" rescales W
        to the spectral radius, and has to compute an eigenvalue.
    n_reservoirs : int, default=1
        Number of independent reservoirs that read the sequence in parallel. With different values of `leak` or
        `spectral_radius` they remember for different times.
    bidirectional : bool, default=True
        Whether the same number of further reservoirs reads every sequence backwards.
    pooling : {"last", "mean", "both"}, default="both"
        Pooling over time: the last state of a sequence, the mean of its states, or both concatenated.
    readout : {"ridge", "logistic"}, default="ridge"
        "ridge" is ridge regression. "logistic" is scikit-learn's logistic regression on standardised pooled states with
        C = 1 / alpha. It keeps the pooled states of all training sequences in memory. It needs target="sequence" and
        learning="final", and has no `partial_fit`.
    alpha : float, sequence of floats or "auto", default=0.01
        Ridge penalty, > 0, in units of squared states summed over the training rows. Generalised cross-validation
        chooses among several values. "auto" offers it a grid. The criterion counts every degree of freedom 1.4 times
        (Kim & Gu 2004). The choice costs an eigenvalue decomposition.
    target : {"sequence", "step"}, default="sequence"
        Whether y has one label per sequence or one per step.
    learning : {"final", "continuous"}, default="final"
        Only for target="sequence". "final" learns from the pooled states of the whole sequence. "continuous" learns
        from the state after every step, each with the label of the sequence. It is for data whose ends are unknown,
        and needs pooling="last" and bidirectional=False.
    class_weight : dict, "balanced" or None, default=None
        Factor of the weight of every class. "balanced" is inversely proportional to the summed weight of a class.
    ignore_label : object, default=None
        Label of steps without a label, with target="step". These steps are neither learned from nor scored.
    scaling : {"channel", None}, default="channel"
        Standardise every channel by its mean and standard deviation over all training steps, computed in float64. Use
        None for inputs that need no scaling, such as one-hot codes.
    missing : {"error", "interpolate", "mask"}, default="error"
        What becomes of missing values (NaN) in sequences. "error" refuses them. "interpolate" puts them on lines
        between observed values, and a channel without any in a sequence gets its training mean. "mask" then adds two
        channels for each: whether the value was observed, and the steps since the last one that was.
    device : str, default="auto"
        "auto" (CUDA if available, else the CPU), "cpu", "cuda", "cuda:1" or "mps".
    random_state : int, RandomState, Generator or None, default=None
        Seed of the random weights. They are drawn on the CPU and are the same on every device.
    verbose : int, default=0
        1 shows a progress bar for a fit, and for predictions and searches that take longer than half a second.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        Sorted labels.
    coef_ : ndarray of shape (K, F)
        Weights :math:`W_{out}` of the readout. With pooling="both" they have 2 F columns, first those of the last
        state.
    intercept_ : ndarray of shape (K,)
        Constant :math:`b_{out}` of the readout.
    alpha_ : float
        Ridge penalty of the readout.
    reservoirs_ : list of ReservoirWeights
        The reservoirs, forward ones first. Each has `input` (N, C + 1), whose first column is the bias, `recurrent`
        (N, N) and `leak`.
    n_states_ : int
        Size F of a state: N for every reservoir and direction.
    mean_, scale_ : ndarray of shape (C,)
        Scaling of the channels. The reservoirs read (x - mean_) / scale_.
    n_channels_ : int
        Channels C.
    channel_names_in_ : ndarray of shape (C,)
        Names of the channels. Only after fitting data frames.

    Notes
    -----
    A sequence of T steps costs :math:`T p N^2` multiply-adds for every reservoir and direction. All sequences of a
    batch run in parallel. The readout costs :math:`F^2` per row and :math:`F^3` once. With fewer rows n than features
    it costs :math:`n F` per row and :math:`n^3` once.

    Reservoir, leak and readout are those of [1]_ and [2]_. Mean pooling, both directions, probabilities and defaults
    are ours.

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
        missing: str = "error",
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
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
        self.missing = missing
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    _make_task = class_methods.make_task

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
    @reported
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Draw the reservoirs and learn the readout.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Training sequences.
        y : array-like of shape (n,), or with target="step" list of n arrays (T_i,)
            Class of every sequence, or of every step.
        sample_weight : array-like of shape (n,), optional
            Weight of every sequence and of each of its steps. A weight of 2 acts like two copies of the sequence.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            `check_sequences` does not accept X, there is a single class, parameters contradict each other, or the
            penalty is too small for float64.
        """
        self._check_parameters()
        with unchanged_if_refused(self), shown_by(self, fits=True):
            task, training = self._checked_data(X, y, sample_weight, self._make_task(), reset=True)
            _refuse_single_class(training)
            self._know(task)
            self._class_factors = self._factors_of(training)
            if self.readout == "logistic":
                self._fit_logistic(training)
            else:
                self._fit_readout([training])
        return self

    @available_if(_has_ridge_readout)
    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None) -> Self:
        """Learn from more sequences by recursive least squares. Earlier sequences keep their weight.

        With `scaling=None`, calls with the parts of a data set give the result of one `fit` on all of it. Otherwise the
        first call fixes the scaling, by its first piece. It also fixes a penalty that is chosen by cross-validation.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), array (n, T), or iterator
            Sequences. Or an iterator that yields pieces (X, y) or (X, y, sample_weight) of data that memory may not
            hold: one pass over them, one solution at its end.
        y : array-like of shape (n,), or with target="step" list of n arrays (T_i,)
            As in `fit`.
        classes : array-like of shape (K,), optional
            All labels of this and later calls, read by the first call. None: the labels of the first y.
        sample_weight : array-like of shape (n,), optional
            As in `fit`.

        Returns
        -------
        self
        """
        self._check_parameters()
        self._check_continues()
        if self.class_weight == "balanced":
            raise ValueError("partial_fit cannot know how frequent classes will be: pass class_weight as numbers.")
        learn = self._update_readout if hasattr(self, "coef_") else self._fit_readout
        with unchanged_if_refused(self), shown_by(self, fits=True):
            learn(self._pieces(pieces_of(X, y, sample_weight), classes, first=not hasattr(self, "coef_")))
        return self

    def _pieces(self, pieces: Iterator[Piece], classes: Any, *, first: bool) -> Iterator[TrainingSet]:
        """Check the pieces one by one, and know the labels of each when it is learned."""
        for X, y, sample_weight in pieces:
            task: Any = self._make_task()
            if not first:
                task = task.following(self._task)
            elif classes is not None:
                task = task.following(Classes(every_step=task.every_step, labels=check_classes(classes)))
            task, training = self._checked_data(X, y, sample_weight, task, reset=first)
            if first and classes is None:
                _refuse_single_class(training)
            self._know(task)
            self._class_factors, first = self._factors_of(training), False
            yield training

    def _factors_of(self, training: TrainingSet) -> np.ndarray:
        """Return one factor per class (K,), followed by a 0 for rows without a label."""
        codes, weights = _flat_codes(training)
        given = codes != IGNORED
        labels = self._task.labels
        counts = np.bincount(codes[given], weights[given], minlength=len(labels))
        return np.append(class_factors(self.class_weight, labels, counts), 0.0)

    def _fit_logistic(self, training: TrainingSet) -> None:
        """Fit logistic regression on standardised pooled states. Convert its coefficients to units of the states."""
        self._begin(training)
        parts = zip(*self._rows(training, torch.device("cpu")), strict=True)
        states, encoded, weights = (torch.cat(part).numpy() for part in parts)
        scaler = StandardScaler().fit(states, sample_weight=weights)
        solver = LogisticRegression(C=1 / self.alpha, max_iter=LOGISTIC_STEPS)
        solver.fit(scaler.transform(states), encoded.argmax(axis=1), sample_weight=weights)
        coef, intercept = solver.coef_, solver.intercept_
        if len(coef) == 1:
            coef, intercept = np.concatenate([-coef, coef]) / 2, np.append(-intercept, intercept) / 2
        # a class whose sequences all have weight 0 is never predicted
        self.coef_ = np.zeros((len(self.classes_), states.shape[1]))
        self.intercept_ = np.full(len(self.classes_), NEVER)
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
        # only the ridge readout has a variance
        if self._variance is None:
            return 1.0
        return 2 / self._variance if self._variance > 2 / MOST_CERTAIN else MOST_CERTAIN

    def _exportable(self) -> ExportedModel:
        return self._exported_task(self._sharpness)

    # ------------------------------------------------------------------ prediction
    predict = class_methods.predict
    decision_function = class_methods.decision_function
    score = class_methods.score

    def predict_proba(self, X: Any) -> Any:
        r"""Return class probabilities.

        The logistic readout models probabilities. The ridge readout returns
        :math:`\mathrm{softmax}(2 z / \sigma^2)`. This is the posterior if the scores of a class are normally
        distributed around its targets. Generalised cross-validation estimates the variance :math:`\sigma^2` in
        training. Use `CalibratedClassifierCV` if you need calibrated probabilities.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.

        Returns
        -------
        probabilities : ndarray of shape (n, K), or list of n arrays (T_i, K) with target="step"
            Columns as in `classes_`.
        """
        outputs = self._outputs(X)
        return probabilities(outputs, self._sharpness)


def _flat_codes(training: TrainingSet) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes of sequences or of all steps, and the weight of each."""
    targets = training.targets
    if not isinstance(targets, StepTargets):
        return targets, training.weights
    return targets.values, np.repeat(training.weights, targets.lengths)


def _refuse_single_class(training: TrainingSet) -> None:
    codes, weights = _flat_codes(training)
    if len(np.unique(codes[(weights > 0) & (codes != IGNORED)])) < 2:
        raise ValueError("Only one class has sequences of positive sample_weight: two are needed.")
