"""EchoStateRegressor: random reservoirs with a linear readout of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin

from skseqmetric._base import number_methods, renamed, reported, shown_by, unchanged_if_refused
from skseqmetric._base.exporting import ExportedModel
from skseqmetric._estimators.echo_state.predictor import EchoStatePredictor
from skseqmetric._input import Piece, pieces_of
from skseqmetric._tasks import Task
from skseqmetric._training.data import TrainingSet


@renamed(summary="pooling", predict_steps="predict_prefixes")
class EchoStateRegressor(MultiOutputMixin, RegressorMixin, EchoStatePredictor):
    r"""Regressor of sequences or of every step: a linear readout of fixed random recurrent networks.

    .. math::
        x_t = (1 - l)\, x_{t-1} + l \tanh(W_{in} [1; u_t] + W x_{t-1}), \qquad x_0 = 0, \\
        y = W_{out} s + b_{out}, \qquad
        W_{out} = \arg\min_W \sum_i w_i \lVert y_i - W s_i - b \rVert^2 + \alpha \lVert W \rVert^2

    Here s is the state of a step or the pooled state of a sequence. Only the readout is trained, by ridge regression.
    It needs only sums over the rows, so that memory never holds the states of all training steps.

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
    alpha : float, sequence of floats or "auto", default=0.01
        Ridge penalty, > 0, in units of squared states summed over the training rows. Generalised cross-validation
        chooses among several values. "auto" offers it a grid. The criterion counts every degree of freedom 1.4 times
        (Kim & Gu 2004). The choice costs an eigenvalue decomposition.
    target : {"sequence", "step"}, default="sequence"
        Whether y has one target per sequence or one per step.
    learning : {"final", "continuous"}, default="final"
        Only for target="sequence". "final" learns from the pooled states of the whole sequence. "continuous" learns
        from the state after every step, each with the target of the sequence. It is for data whose ends are unknown,
        and needs pooling="last" and bidirectional=False.
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

    Settings published in [2]_ for language with one-hot words: `n_units=1000`, `scaling=None`, `pooling="last"`,
    `bidirectional=False`, `input_scaling=1`, `bias_scaling=1`, `input_density=0.1`. Final learning has spectral radius
    1.1, density 0.85, leak 0.05 and alpha 10^-3.5. Continuous learning has spectral radius 1.3, density 0.81, leak 0.04
    and alpha 10^-3.7. That work penalises the intercept like the other weights. We do not, so that the level of y does
    not matter.

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
        self.alpha = alpha
        self.target = target
        self.learning = learning
        self.scaling = scaling
        self.missing = missing
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    # ------------------------------------------------------------------ fitting
    @reported
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Draw the reservoirs and learn the readout.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Training sequences.
        y : array-like of shape (n,) or (n, K), or with target="step" list of n arrays (T_i,) or (T_i, K)
            Targets.
        sample_weight : array-like of shape (n,), optional
            Weight of every sequence and of each of its steps. A weight of 2 acts like two copies of the sequence.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            `check_sequences` does not accept X, y does not match X, parameters contradict each other, or the penalty is
            too small for float64.
        """
        self._check_parameters()
        with unchanged_if_refused(self), shown_by(self, fits=True):
            task, training = self._checked_data(X, y, sample_weight, self._make_task(), reset=True)
            self._know(task)
            self._fit_readout([training])
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn from more sequences by recursive least squares. Earlier sequences keep their weight.

        With `scaling=None`, calls with the parts of a data set give the result of one `fit` on all of it. Otherwise the
        first call fixes the scaling, by its first piece. It also fixes a penalty that is chosen by cross-validation.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), array (n, T), or iterator
            Sequences. Or an iterator that yields pieces (X, y) or (X, y, sample_weight) of data that memory may not
            hold: one pass over them, one solution at its end.
        y : array-like of shape (n,) or (n, K), or with target="step" list of n arrays (T_i,) or (T_i, K)
            As in `fit`.
        sample_weight : array-like of shape (n,), optional
            As in `fit`.

        Returns
        -------
        self
        """
        self._check_parameters()
        self._check_continues()
        learn = self._update_readout if hasattr(self, "coef_") else self._fit_readout
        with unchanged_if_refused(self), shown_by(self, fits=True):
            learn(self._pieces(pieces_of(X, y, sample_weight), first=not hasattr(self, "coef_")))
        return self

    def _pieces(self, pieces: Iterator[Piece], *, first: bool) -> Iterator[TrainingSet]:
        """Check the pieces one by one."""
        for X, y, sample_weight in pieces:
            task: Task = self._make_task() if first else self._make_task().following(self._task)
            task, training = self._checked_data(X, y, sample_weight, task, reset=first)
            self._know(task)
            first = False
            yield training

    _make_task = number_methods.make_task

    def _check_combinations(self) -> None:
        self._check_readout()

    def _encode(self, targets: np.ndarray) -> tuple[np.ndarray, float]:
        return targets, 1.0

    def _exportable(self) -> ExportedModel:
        return self._exported_task()

    # ------------------------------------------------------------------ prediction
    predict = number_methods.predict
    score = number_methods.score
