"""Several metrics as one."""

from skseqmetric._estimators.ensemble.metric import MetricEnsemble

__all__ = ["MetricEnsemble"]
