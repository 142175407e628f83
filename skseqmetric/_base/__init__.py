"""The base class of estimators that are trained by gradient descent."""

from skseqmetric._base import class_methods, exporting, number_methods, streaming
from skseqmetric._base.model_files import load, save
from skseqmetric._base.network_estimator import NetworkEstimator, Objective, Stage
from skseqmetric._base.renamed import renamed, with_defaults
from skseqmetric._base.state import kept_plain, plain_state, revived_state
from skseqmetric._base.stored import holds
from skseqmetric._training.callbacks import CallbackSupportMixin, reported
from skseqmetric._training.running import finished_despite_ctrl_c, fitting, unchanged_if_refused
from skseqmetric._training.verbose import shown, shown_by

__all__ = [
    "CallbackSupportMixin",
    "NetworkEstimator",
    "Objective",
    "Stage",
    "class_methods",
    "exporting",
    "finished_despite_ctrl_c",
    "fitting",
    "holds",
    "kept_plain",
    "load",
    "number_methods",
    "plain_state",
    "renamed",
    "reported",
    "revived_state",
    "save",
    "shown",
    "shown_by",
    "streaming",
    "unchanged_if_refused",
    "with_defaults",
]
