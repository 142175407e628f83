"""The base class of every estimator whose network is trained by gradient descent."""

from __future__ import annotations

import copy
import os
import warnings
from abc import ABC, abstractmethod
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, NoReturn

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skseqmetric._base import exporting
from skseqmetric._base.state import kept_plain, plain_state, revived_state
from skseqmetric._input import (
    MISSING,
    Sequences,
    check_weights,
    lent_sequences,
    n_channels_read,
    token_codes,
    vocabularies_of,
)
from skseqmetric._networks.rebuilt import network_state, rebuilt
from skseqmetric._networks.stem import view_columns, view_names
from skseqmetric._networks.tokens import TokenForm, check_vocabulary
from skseqmetric._ops.ranks import RANKS
from skseqmetric._tasks import Blocks, Task
from skseqmetric._tensors.flat import FlatSequences, ReadSequences, scaled_sequences, tensor_of
from skseqmetric._tensors.inference import run_sequences, run_steps
from skseqmetric._tensors.resolve import device_or_cpu, draw_seed, on_cpu, resolve_device
from skseqmetric._tensors.scaling import LARGEST, channel_scaling
from skseqmetric._training.augmentation import Augment
from skseqmetric._training.batches import Columns, Plan, TargetBatches
from skseqmetric._training.callbacks import CallbackSupportMixin, EpochReporter
from skseqmetric._training.checkpoints import Streams, add_start, checkpoint_in, identity_of
from skseqmetric._training.data import TrainingSet
from skseqmetric._training.data_parallel import agreed_seed
from skseqmetric._training.loop import TrainingOptions, train
from skseqmetric._training.running import RUNNING, RunningFit
from skseqmetric._training.verbose import shown
from skseqmetric._training.views import choose_views


class Stage(NamedTuple):
    """The epochs of a fit, the number of the first one, and whether the network is new."""

    epochs: int
    first_epoch: int
    fresh: bool


class Objective(NamedTuple):
    """A module that maps a batch to the loss, and the further columns of the batch that it reads."""

    module: nn.Module
    columns: Columns | None = None


@kept_plain
class NetworkEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, CallbackSupportMixin, BaseEstimator, ABC):
    """An estimator that learns its parameters by gradient descent. Equal rows become one row of summed weight.

    A subclass names the class of its network and implements six hooks. They choose the task, check combinations of
    parameters, and define the network's arguments, the loss, the batches and the export. The public `fit` and
    `partial_fit` of a subclass call `_fit` and `_partial_fit`, and are decorated with `fitting`. After a fit,
    `type(module_)(**network_config_)` is the same network with new weights.
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "scaling": [StrOptions({"channel"}), None],
        "device": [str],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "min_batches": [Interval(Integral, 1, None, closed="left")],
        "max_updates": [Interval(Integral, 1, None, closed="left"), None],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "precision": [StrOptions({"float32", "bfloat16"})],
        "random_state": ["random_state", np.random.Generator],
        "warm_start": ["boolean"],
        "missing": [StrOptions(set(MISSING))],
        "verbose": ["verbose"],
        "callbacks": [list, tuple, None],
        "checkpoint": [str, os.PathLike, None],
        "augment": ["array-like", str, HasMethods(["__call__"]), None],
        "instance_channels": ["boolean", StrOptions({"auto"})],
    }
    _token_constraints: ClassVar[dict[str, list[Any]]] = {
        "tokens": ["boolean"],
        "n_token_features": [Interval(Integral, 1, None, closed="left")],
        "token_dropout": [Interval(Real, 0, None, closed="left")],
    }

    # parameters of the estimators that read tokens
    tokens: bool = False
    n_token_features: int
    token_dropout: float

    # models that were saved before there were these parameters have none
    missing: str = "error"
    checkpoint: str | os.PathLike[str] | None = None

    _network: ClassVar[type[nn.Module]]
    # parameters that only say how a fitted estimator answers
    _only_after_fits: ClassVar[frozenset[str]] = frozenset()

    _stored: ClassVar[dict[str, str]] = {
        "mean_": "float64 M",
        "scale_": "float64 M",
        "network_config_": "dict",
        "instance_channels_": "dict",
        "module_": "dict",
        "history_": "list",
        "n_iter_": "int",
        "vocabulary_": "dict|list",
        "classes_": "none|labels K",
        "symbols_": "labels K",
        "label_kind_": "str",
        "y_mean_": "float64 K",
        "y_scale_": "float64 K",
        "loss_": "str",
        "_token_counts": "list",
        "_seed": "int",
        "_task": "record Classes,Numbers,Symbols,Pairs",
        "_optimizer_state": "none|dict",
        "_n_features_out": "int",
    }

    _seed: int
    _task: Any
    # kept by partial_fit, so that the next call continues with the same moments
    _optimizer_state: dict[str, Any] | None
    # how often every token occurred in the data of the first fit, in the order of the codes
    _token_counts: list[tuple[int, ...]]

    # ------------------------------------------------------------------ hooks
    @abstractmethod
    def _make_task(self) -> Task:
        """Return the task that the parameters ask for."""

    @abstractmethod
    def _check_combinations(self, training: TrainingSet, task: Any, *, continued: bool) -> None:
        """Refuse parameters that contradict each other or the data.

        `continued` means that this fit continues to train an earlier network.
        """

    @abstractmethod
    def _network_config(self, training: TrainingSet, task: Any) -> dict[str, Any]:
        """Return all arguments of the network's class but `generator`."""

    @abstractmethod
    def _make_objective(self, training: TrainingSet, task: Any, generator: torch.Generator, stage: Stage) -> Objective:
        """Return the loss of `module_`. The network draws its random numbers from the generator."""

    @abstractmethod
    def _exportable(self) -> exporting.ExportedModel:
        """Return the fitted model for `export`. ValueError if it has a form that cannot be exported."""

    @abstractmethod
    def _plan_batches(self, training: TrainingSet, size: int, n_batches: int, rng: np.random.Generator) -> Plan:
        """Return a function that draws the batches of an epoch, as arrays of rows."""

    # ------------------------------------------------------------------ fitting
    def _fit(self, X: Any, y: Any, sample_weight: Any, groups: Any = None, images: Any = None) -> None:
        """Check the data and train with the full budget of updates under the one-cycle schedule."""
        continued = self.warm_start and "module_" in vars(self)
        task, augment = self._checked_task(self._task if continued else None, reset=not continued)
        task, training = self._checked_data(
            X, y, sample_weight, groups, images, task, reset=not continued, several_classes=True
        )
        seed, device = self._seed if continued else draw_seed(self.random_state), resolve_device(self.device)
        seed = self._open_checkpoint("fit", training, task, device, seed, continued=continued)
        validation = None
        if self.early_stopping:
            training, validation = training.split(self.validation_fraction, seed)
        training = self._begin(training, task, None if continued else seed, device)
        self._optimizer_state = None
        self._learn(training, validation, augment, (X, y), fresh=not continued)

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, declared: Any = None, images: Any = None) -> None:
        """Check the data and train for one epoch at a constant learning rate.

        `declared` is a task for the first call that knows more than y, such as all classes.
        """
        first = "module_" not in vars(self)
        task, augment = self._checked_task(declared if first else self._task, reset=first)
        task, training = self._checked_data(X, y, sample_weight, None, images, task, reset=first, several_classes=False)
        seed, device = draw_seed(self.random_state) if first else self._seed, resolve_device(self.device)
        seed = agreed_seed(self, "partial_fit", training, task, device, seed, continued=not first)
        training = self._begin(training, task, seed if first else None, device)
        self._optimizer_state = self._learn(training, None, augment, (X, y), fresh=first, epochs=1)

    def _checked_task(self, earlier: Task | None, *, reset: bool) -> tuple[Task, Augment]:
        """Check the parameters. Return the task, which may continue an earlier one, and the augmentation."""
        self._validate_params()
        task = self._make_task()
        if earlier is not None:
            task = task.following(earlier)
        tokens = self._reads_tokens(reset=reset)
        if tokens:
            self._refuse_views("tokens=True", "reads numbers")
        return task, Augment(self.augment, every_step=task.every_step, tokens=tokens)

    def _checked_data(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        groups: Any,
        images: Any,
        task: Task,
        *,
        reset: bool,
        several_classes: bool,
    ) -> tuple[Task, TrainingSet]:
        """Check all arguments of a fit once. Return the task that has seen y, and the merged data."""
        sequences = self._read(X, reset=reset)
        task, targets = task.check(y, sequences)
        weights = check_weights(sample_weight, len(sequences.lengths))
        pool = None if images is None else images.checked(task, targets)
        training = TrainingSet.merged(sequences, targets, weights, groups, pool, several_classes=several_classes)
        return task, training

    def _reads_tokens(self, *, reset: bool) -> bool:
        """Whether the sequences are tokens. After a fit the network decides, and not a parameter that was changed."""
        return bool(self.tokens) if reset else hasattr(self, "vocabulary_")

    def _read(self, X: Any, *, reset: bool) -> Sequences:
        """Check sequences of numbers, or of tokens. Return them with numbers or codes as values."""
        sequences = lent_sequences(X, estimator=self, reset=reset)
        if reset:
            self.__dict__.pop("vocabulary_", None)
        if reset and self.tokens:
            self._refuse_missing_tokens()
            vocabularies, self._token_counts = vocabularies_of(sequences)
            self.vocabulary_ = vocabularies if len(vocabularies) > 1 else vocabularies[0]
        return self._encoded(sequences)

    def _refuse_missing_tokens(self) -> None:
        if self.missing != "error":
            raise ValueError(f"missing={self.missing!r} is for numbers: with tokens=True no token may be missing.")

    def _encoded(self, sequences: Sequences) -> Sequences:
        """Return the sequences with codes in place of tokens."""
        if "vocabulary_" not in vars(self) or sequences.values.dtype.kind != "O":
            return sequences
        known = self.vocabulary_
        return token_codes(sequences, known if isinstance(known, list) else [known])

    def _begin(self, training: TrainingSet, task: Task, seed: int | None, device: torch.device) -> TrainingSet:
        """Make a new network and scaling from a seed, or keep the earlier ones. Return the data with its targets."""
        task = task.learn(training.targets, training.weights)
        targets, attributes = task.network_targets(training.targets), task.attributes
        self._check_combinations(training, task, continued=seed is None)
        if seed is None:
            # a network is trained in place, so that an error must put its weights back
            self._running().on_error(partial(_put_back, self.module_, copy.deepcopy(self.module_.state_dict())))
        else:
            self._start(training, task, seed, device)
        self._task = task
        self.__dict__.update(attributes)
        # a threshold is valid only for the distance that it was calibrated on
        self.__dict__.pop("threshold_", None)
        return replace(training, targets=targets)

    def _start(self, training: TrainingSet, task: Task, seed: int, device: torch.device) -> None:
        """Make a new network and delete everything that belongs to an earlier one."""
        for name in self._task.attributes if "_task" in vars(self) else ():
            self.__dict__.pop(name, None)
        n_channels = training.sequences.values.shape[1]
        self.mean_, self.scale_ = np.zeros(n_channels), np.ones(n_channels)
        if self.scaling is not None and not self._reads_tokens(reset=False):
            self.mean_, self.scale_ = channel_scaling(training.sequences, training.weights, training.numbers)
        self.network_config_ = self._network_config(training, task)
        views = self.network_config_["views"]
        self.instance_channels_ = view_names(views, n_channels) if views else {}
        network: Any = self._network(**self.network_config_, generator=torch.Generator("cpu").manual_seed(seed))
        self.module_: Any = network.to(device).eval()
        self._n_features_out: int = self.module_.n_outputs
        self._seed, self._optimizer_state = seed, None
        self.history_: list[dict[str, Any]] = []
        self.n_iter_ = 0

    def _open_checkpoint(
        self, method: str, training: TrainingSet, task: Task, device: torch.device, seed: int, *, continued: bool
    ) -> int:
        """Hold the checkpoint of this fit until it ends. Return the seed, which an earlier one may have decided.

        Processes that share the fit agree about it first.
        """
        seed = agreed_seed(self, method, training, task, device, seed, continued=continued)
        ranks = RANKS.get()
        folder = self.checkpoint if ranks is None else ranks.first(self.checkpoint)
        if folder is None:
            return seed
        decided = continued or self.random_state is not None
        identity = identity_of(self, method, training, task, device, seed if decided else None)
        if continued:
            rows = [{name: value for name, value in row.items() if name != "dur"} for row in self.history_]
            others = getattr(self, "loss_", None), vars(self).get("_moving"), rows, self.mean_, self.scale_
            identity = add_start(identity, self.module_, others)
        if ranks is not None:  # each draws noise of its own
            identity["processes"] = str(ranks.size)
        running = self._running()
        running.checkpoint = running.held.enter_context(checkpoint_in(folder, identity, seed, goes_on=continued))
        return running.checkpoint.seed

    def _views(self, training: TrainingSet, task: Task, *, whole: bool = True) -> tuple[int, ...]:
        """Return the columns of `instance_channels` that a new network reads beside the channels.

        whole : whether the network may read whole sequences. Otherwise "auto" means none.
        """
        if self._reads_tokens(reset=False):
            return ()
        if isinstance(self.instance_channels, str):
            return choose_views(training, task, self.mean_, self.scale_) if whole else ()
        return view_columns(len(self.mean_)) if self.instance_channels else ()

    def _refuse_views(self, remedy: str, why: str = "reads whole sequences") -> None:
        """Refuse `instance_channels=True` where a network cannot read them."""
        if not isinstance(self.instance_channels, str) and self.instance_channels:
            raise ValueError(f"instance_channels=True {why}: use False or 'auto' with {remedy}.")

    def _token_form(self) -> TokenForm | None:
        """Return what a new network knows of its tokens; None if it reads numbers."""
        if not self._reads_tokens(reset=False):
            return None
        return TokenForm(tuple(self._token_counts), self.n_token_features, self.token_dropout)

    def _learn(
        self,
        training: TrainingSet,
        validation: TrainingSet | None,
        augment: Augment,
        data: tuple[Any, Any],
        *,
        fresh: bool,
        epochs: int | None = None,
    ) -> dict[str, Any] | None:
        """Train with the full budget under the one-cycle schedule, or for `epochs` at a constant learning rate."""
        rng, generator = self._generators()
        size = self._resolved_batch_size()
        all_epochs, n_batches, updates = self._budget(len(training.weights), size)
        # calls of partial_fit share one count of epochs; every full fit starts at 0
        stage = Stage(self.max_epochs, self.n_iter_, fresh) if epochs else Stage(all_epochs, 0, fresh)
        plan = self._plan_batches(training, size, n_batches, rng)
        objective = self._make_objective(training, self._task, generator, stage)
        batches = self._batches(training, plan)
        batches.augment, batches.columns = partial(augment, generator=generator), objective.columns
        batches.left = None if epochs else updates
        held_out = None
        if validation is not None:
            validation = replace(validation, targets=self._task.network_targets(validation.targets))
            held_out = self._batches(validation, self._fixed_plan(validation, size))
        streams = Streams(rng, generator, batches, objective.columns)
        return self._minimise(objective, streams, held_out, epochs or all_epochs, None if epochs else updates, data)

    def _generators(self) -> tuple[np.random.Generator, torch.Generator]:
        # n_iter_ gives every call of partial_fit its own random numbers; a repeated fit draws the same again
        rng = np.random.default_rng([self._seed, self.n_iter_])
        return rng, torch.Generator(self._device).manual_seed(int(rng.integers(2**31 - 1)))

    def _resolved_batch_size(self) -> int:
        """Return the batch size: "auto" is 32, or 16 if every step has a target."""
        if isinstance(self.batch_size, str):
            return 16 if self._task.every_step else 32
        return self.batch_size

    def _budget(self, n_items: int, batch_size: int) -> tuple[int, int, int]:
        """Return epochs, batches per epoch, and updates of a full fit on n_items. The last epoch may be shorter."""
        n_batches = max(self.min_batches, -(-n_items // batch_size))
        updates = self.max_epochs * n_batches
        if self.max_updates is not None:
            updates = min(updates, self.max_updates)
        return -(-updates // n_batches), n_batches, updates

    def _batches(self, part: TrainingSet, plan: Plan) -> TargetBatches:
        targets, device = part.targets, self._device
        return TargetBatches(
            self._flat(part.sequences, part.numbers),
            tensor_of(targets).to(device) if isinstance(targets, np.ndarray) else targets.to(device),
            torch.from_numpy(part.weights.astype(np.float32)).to(device),
            plan,
        )

    def _fixed_plan(self, validation: TrainingSet, size: int) -> Plan:
        """Return a plan that has the same validation batches in every epoch."""
        n_batches = -(-len(validation.weights) // size)
        batches = self._plan_batches(validation, size, n_batches, np.random.default_rng([self._seed, 2**32]))()
        return lambda: batches

    def _minimise(
        self,
        objective: Objective,
        streams: Streams,
        validation: TargetBatches | None,
        epochs: int,
        n_updates: int | None,
        data: tuple[Any, Any],
    ) -> dict[str, Any] | None:
        """Run the training loop, extend `history_` and `n_iter_`, and return the state of the optimizer."""
        running = self._running()
        followed = vars(self).get("_skl_callbacks")  # set by set_callbacks, a pipeline or a search
        reporter = EpochReporter(self, *data, epochs, self._fitted_copy) if followed else None
        options = self._training_options(epochs, n_updates, validation is not None, reporter, streams)
        result = train(objective.module, streams.batches, validation, options, self._optimizer_state)
        rows = [{**row, "epoch": self.n_iter_ + row["epoch"]} for row in result.history]
        self.history_, self.n_iter_ = [*self.history_, *rows], self.n_iter_ + len(rows)
        if result.failure is not None:
            self._diverged(result.failure, streams.batches.sequences)
        running.keeps = (KeyboardInterrupt,)
        if reporter is not None:
            reporter.end()
        if result.interrupted:
            running.told = True
            running.keeps = (KeyboardInterrupt, ConvergenceWarning)  # a filter may make the warning an error
            warnings.warn(
                f"{type(self).__name__}: training was interrupted in epoch {len(rows) + 1} of {epochs}; the weights "
                "learned so far are kept and the estimator can be used.",
                ConvergenceWarning,
                stacklevel=7,
            )
        return result.optimizer_state

    def _running(self) -> RunningFit:
        """The fit in progress. Only a method that is decorated with `fitting` may call `_fit` and the like."""
        running = RUNNING.get()
        if running is None:
            raise RuntimeError(f"a fit of {type(self).__name__} is not decorated with `fitting`.")
        return running

    def _diverged(self, reason: str, seen: FlatSequences) -> NoReturn:
        """Raise FloatingPointError. The last finite weights are kept only if the training data have features then."""
        usable = all(bool((p.abs() < LARGEST).all()) for p in self.module_.parameters())
        if usable:
            try:
                run_sequences(seen, self.module_.features, self._n_features_out)
            except ValueError:
                usable = False
        if usable:
            self._running().keeps = (FloatingPointError,)
        kept = "The last finite weights are kept." if usable else "The estimator is as it was before this fit."
        raise FloatingPointError(f"{type(self).__name__}: {reason} {kept}")

    def _training_options(
        self,
        epochs: int,
        n_updates: int | None,
        early_stopping: bool,
        reporter: EpochReporter | None,
        streams: Streams,
    ) -> TrainingOptions:
        return TrainingOptions(
            max_epochs=epochs,
            n_updates=n_updates,
            early_stopping=early_stopping,
            device=self._device,
            callbacks=tuple(self.callbacks or ()),
            on_epoch_begin=None if reporter is None else reporter.begin_epoch,
            on_epoch_end=None if reporter is None else reporter.end_epoch,
            parts=getattr(streams.columns, "losses", None),
            checkpoint=self._running().checkpoint,
            streams=streams,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            n_iter_no_change=self.n_iter_no_change,
            tol=self.tol,
            precision=self.precision,
        )

    def _fitted_copy(self) -> dict[str, Any]:
        """Return the fitted attributes of this moment, for callbacks that use the estimator during training."""
        fitted = {name: value for name, value in vars(self).items() if name.endswith("_") and name[0] != "_"}
        return {**fitted, "module_": copy.deepcopy(self.module_).eval()}

    # ------------------------------------------------------------------ inference
    @property
    def _device(self) -> torch.device:
        return next(self.module_.parameters()).device

    def _flat(self, sequences: Sequences, numbers: np.ndarray | None = None) -> FlatSequences:
        """Return flat float32 values (x - mean_) / scale_ on the device."""
        return FlatSequences.from_sequences(self._encoded(sequences), self.mean_, self.scale_, self._device, numbers)

    def _scaled(self, sequences: Sequences) -> ReadSequences:
        """Return values (x - mean_) / scale_ for one pass over them."""
        return scaled_sequences(self._encoded(sequences), self.mean_, self.scale_, self._device)

    def _checked(self, X: Any) -> ReadSequences:
        """Check new sequences and return them scaled, to be read in batches."""
        check_is_fitted(self)
        return self._scaled(lent_sequences(X, estimator=self, reset=False))

    def transform(self, X: Any) -> np.ndarray:
        """Return the learned features of every sequence: its embedding, or its pooled states.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.

        Returns
        -------
        features : ndarray of shape (n, D), float32
        """
        return self._features(X)

    @shown
    def _features(self, X: Any) -> np.ndarray:
        return run_sequences(self._checked(X), self.module_.features, self._n_features_out)

    @shown
    def _outputs(self, X: Any) -> Blocks:
        """Return the outputs of the network: (n, K), or n arrays (T_i, K) if every step has a target."""
        flat = self._checked(X)
        if self._task.every_step:
            return run_steps(flat, lambda values, lengths: (self.module_(values, lengths), lengths))
        return run_sequences(flat, self.module_, self._task.n_outputs)

    # ------------------------------------------------------------------ scikit-learn
    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing != "error"
        # features and embeddings are float32 for input of any dtype
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "module_")

    def __getstate__(self) -> dict[str, Any]:
        state = plain_state(self, super().__getstate__())
        if "module_" in state:
            state["module_"] = network_state(self.module_, self.network_config_)
        # saved on the CPU, so that a model from a host with a GPU can be loaded on a host without one
        return {name: on_cpu(value) for name, value in state.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = revived_state(self, state)
        if isinstance(state.get("module_"), dict):
            state["module_"] = rebuilt(self._network, state["network_config_"], state["module_"])
        super().__setstate__(state)
        if hasattr(self, "module_"):
            self.module_.to(device_or_cpu(self.device))

    def _check_loaded(self) -> None:
        """Raise ValueError if the parts of a model that was loaded do not fit each other."""
        if "module_" not in vars(self):
            return
        config, task = self.network_config_, self._task
        if not config["n_channels"] == n_channels_read(self) == len(self.mean_) == len(self.scale_):
            raise ValueError(f"the network reads {config['n_channels']} channels, the estimator {self.n_channels_}.")
        if self._n_features_out != self.module_.n_outputs:
            raise ValueError(f"the network has {self.module_.n_outputs} features, and not {self._n_features_out}.")
        if task.every_step != (config.get("target", config.get("head")) == "step"):
            raise ValueError("the network answers for steps and its task for sequences, or the other way round.")
        heads = [config[name] for name in ("n_targets", "n_classes") if name in config]
        heads += [config["n_outputs"]] if config.get("head") in ("sequence", "step") else []
        if any(n_outputs != task.n_outputs for n_outputs in heads):
            raise ValueError(f"the network has other outputs than the {task.n_outputs} of its task.")
        check_vocabulary(vars(self).get("vocabulary_"), config.get("tokens"))


def _put_back(network: nn.Module, weights: dict[str, Any]) -> None:
    network.load_state_dict(weights)
    network.eval()
