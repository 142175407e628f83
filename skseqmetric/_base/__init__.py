"""The template of estimators that are trained by gradient descent."""
