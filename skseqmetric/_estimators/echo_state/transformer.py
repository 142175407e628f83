"""EchoStateTransformer: states of random reservoirs, pooled or at every step, as features."""

from __future__ import annotations

from typing import Any, Self

from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import StrOptions

from skseqmetric._base import exporting, renamed, reported, shown
from skseqmetric._estimators.echo_state.base import EchoStateEstimator
from skseqmetric._estimators.echo_state.exported import ExportedStates
from skseqmetric._tensors.inference import run_sequences


@renamed(summary="pooling")
class EchoStateTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, EchoStateEstimator):
    r"""States of fixed random recurrent networks, as features for any estimator.

    .. math::
        x_t = (1 - l)\, x_{t-1} + l \tanh(W_{in} [1; u_t] + W x_{t-1}), \qquad x_0 = 0

    The estimator learns only the scaling of the channels. With `pooling` a sequence becomes one row of numbers. With
    `pooling=None` it becomes a sequence of states.

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
    pooling : {"last", "mean", "both"} or None, default="both"
        Pooling over time: the last state of a sequence, the mean of its states, or both concatenated. None: all states,
        without pooling.
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
    batch run in parallel.

    The equation is that of [1]_ with the leak of [2]_. Several reservoirs, both directions, mean pooling and the
    defaults are ours.

    References
    ----------
    .. [1] H. Jaeger, "The 'echo state' approach to analysing and training recurrent neural networks", GMD Report 148,
       2001.
    .. [2] A. Variengien, X. Hinaut, "A Journey in ESN and LSTM Visualisations on a Language Task", arXiv 2012.01748,
       2020.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skseqmetric import EchoStateTransformer
    >>> from skseqmetric.datasets import make_shifted_sequences
    >>> X, y = make_shifted_sequences(60, n_classes=2, random_state=0)
    >>> pipeline = make_pipeline(EchoStateTransformer(50, random_state=0), LogisticRegression(max_iter=1000))
    >>> pipeline.fit(X[:40], y[:40]).predict(X[40:]).shape
    (20,)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **EchoStateEstimator._parameter_constraints,
        "pooling": [StrOptions({"last", "mean", "both"}), None],
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
        pooling: str | None = "both",
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
        self.scaling = scaling
        self.missing = missing
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @reported
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the scaling of the channels and draw the reservoirs.

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
        return self.fit_reservoir(X)

    @shown
    def transform(self, X: Any) -> Any:
        """Return the features of every sequence.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.

        Returns
        -------
        features : ndarray of shape (n, F) or (n, 2 F), float32, or list of n arrays (T_i, F)
            (n, 2 F) for pooling="both", with the last state first. A list for pooling=None.
        """
        if self.pooling is None:
            return self.hidden_states(X)
        flat, pooling = self._checked(X), self.pooling
        return run_sequences(flat, lambda values, lengths: self._pooled(values, lengths, pooling), self._n_features_out)

    def _exportable(self) -> exporting.ExportedModel:
        pooling = self.pooling
        axes = ("batch", "feature") if pooling else ("batch", "time", "feature")
        name = "features" if pooling else "states"
        run = ExportedStates(self._exported_states(pooling))
        return exporting.of_series(self, run, {name: axes}, lambda X: (self.transform(X),))

    @property
    def _n_features_out(self) -> int:
        return self.n_states_ * (2 if self.pooling == "both" else 1)

    def _check_combinations(self) -> None:
        """Do nothing: no parameters contradict each other."""

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "reservoirs_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # features are float32 for input of any dtype
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
