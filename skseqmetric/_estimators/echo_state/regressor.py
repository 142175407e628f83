"""EchoStateRegressor: a reservoir with a linear read-out of numbers."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin

from skseqmetric._base import renamed, unchanged_if_refused
from skseqmetric._estimators.echo_state.predictor import EchoStatePredictor
from skseqmetric._tasks import Numbers, Task


@renamed(summary="pooling", predict_steps="predict_prefixes")
class EchoStateRegressor(MultiOutputMixin, RegressorMixin, EchoStatePredictor):
    r"""Numbers for sequences, or for their steps: a linear read-out of a fixed random recurrent network.

    .. math::
        x_t = (1 - l)\, x_{t-1} + l \tanh(W_{in} [1; u_t] + W x_{t-1}), \qquad x_0 = 0, \\
        y = W_{out} s + b_{out}, \qquad
        W_{out} = \arg\min_W \sum_i w_i \lVert y_i - W s_i - b \rVert^2 + \alpha \lVert W \rVert^2

    with s the state of a step or the pooled states of a sequence. Only the read-out is learned, by
    ridge regression from sums over the rows: the states of all training steps are never held at once.

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
    alpha : float, sequence of floats or "auto", default=0.01
        Ridge penalty, > 0, in units of squared states summed over the rows learned from. Of several, and of a grid of
        its own with "auto", generalised cross-validation takes the best, with 1.4 for every degree of freedom (Kim & Gu
        2004); that costs an eigenvalue decomposition.
    target : {"sequence", "step"}, default="sequence"
        Whether y holds one row of numbers a sequence or one a step.
    learning : {"final", "continuous"}, default="final"
        With target="sequence": learn from the pooled states of the whole sequence or, with the same row of numbers,
        from the state after every step, for data whose ends are unknown. "continuous" needs pooling="last" and
        bidirectional=False.
    scaling : {"channel", None}, default="channel"
        Standardise every channel by its mean and standard deviation over the training steps, in float64. None for
        inputs that have a scale of their own, such as one-hot codes.
    device : str, default="auto"
        "auto" (CUDA where there is one, else CPU), "cpu", "cuda", "cuda:1", "mps".
    random_state : int, RandomState, Generator or None, default=None
        Seed of the weights, which are drawn on the CPU: the same model on every device.

    Attributes
    ----------
    coef_ : ndarray of shape (K, F)
        The read-out :math:`W_{out}`; of "both" with 2 F columns, those of the last state first.
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

    Published settings for language ([2]_, one-hot words, `scaling=None`, `pooling="last"`, `bidirectional=False`,
    `input_scaling=1`, `bias_scaling=1`, `input_density=0.1`): 1000 units; final learning with spectral radius 1.1,
    density 0.85, leak 0.05, alpha 10^-3.5; continuous learning with 1.3, 0.81, 0.04, 10^-3.7. There the intercept is
    penalised like the other weights; here it is not, so that the level of y does not matter.

    References
    ----------
    .. [1] H. Jaeger, "The 'echo state' approach to analysing and training recurrent neural networks", GMD Report 148,
       2001.
    .. [2] A. Variengien, X. Hinaut, "A Journey in ESN and LSTM Visualisations on a Language Task", arXiv 2012.01748,
       2020.

    Examples
    --------
    >>> import numpy as np
    >>> from skseqmetric import EchoStateRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(t, 1)) for t in rng.integers(10, 20, 80)]
    >>> y = [np.convolve(x[:, 0], [0.5, 0.3, 0.2])[: len(x)] for x in X]
    >>> regressor = EchoStateRegressor(100, target="step", bidirectional=False, random_state=0).fit(X[:60], y[:60])
    >>> regressor.score(X[60:], y[60:]) > 0.9
    True
    """

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
        alpha: Any = 0.01,
        target: str = "sequence",
        learning: str = "final",
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
        self.alpha = alpha
        self.target = target
        self.learning = learning
        self.scaling = scaling
        self.device = device
        self.random_state = random_state

    # ------------------------------------------------------------------ fitting
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Draw the reservoirs and learn the read-out.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Training sequences.
        y : array-like of shape (n,) or (n, K), or with target="step" list of n arrays (T_i,) or (T_i, K)
            What to predict.
        sample_weight : array-like of shape (n,), optional
            Weight of every sequence and of each of its steps. A weight of 2 is the same as writing the sequence twice.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For input outside the contract (see `check_sequences`), targets that do not match it, parameters that
            contradict each other, or a penalty too small for float64.
        """
        self._check_parameters()
        with unchanged_if_refused(self):
            task, training = self._checked_data(X, y, sample_weight, self._make_task(), reset=True)
            self._know(task)
            self._fit_readout(training)
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn from more sequences, by recursive least squares; what was learned before counts as much.

        Called piece by piece with `scaling=None` the result is that of one `fit` of everything. Otherwise the scaling
        is that of the first piece, and so is a penalty that is chosen.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self
        """
        self._check_parameters()
        self._check_continues()
        first = not hasattr(self, "coef_")
        with unchanged_if_refused(self):
            task: Task = self._make_task() if first else self._make_task().following(self._task)
            task, training = self._checked_data(X, y, sample_weight, task, reset=first)
            self._know(task)
            if first:
                self._fit_readout(training)
        if not first:
            self._update_readout(training)
        return self

    def _make_task(self) -> Numbers:
        return Numbers(every_step=self.target == "step")

    def _check_combinations(self) -> None:
        self._check_readout()

    def _encode(self, targets: np.ndarray) -> tuple[np.ndarray, float]:
        return targets, 1.0

    # ------------------------------------------------------------------ prediction
    def predict(self, X: Any) -> Any:
        """Numbers in the units of y, float64: (n,) or (n, K), or with target="step" a list of n arrays."""
        outputs = self._outputs(X)
        return self._task.answer(outputs)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Coefficient of determination R^2, mean over outputs; with target="step" over all steps of all sequences."""
        answers = self.predict(X)
        return self._task.score(y, answers, sample_weight)
