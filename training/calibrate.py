"""Fitting the calibration: from held-out logits to probabilities that mean what they say."""

import numpy as np
from scipy.optimize import minimize

from models.calibration import Bools, Calibration, Floats, expected_f1_threshold, scores

MIN_SLOPE = 1e-3
"""Positive, so that calibration never reorders scores."""


def calibrate(logits: Floats, present: Bools) -> list[Calibration]:
    """Calibration of every label, from held-out logits and labels of shape (n, labels)."""
    fitted = []
    for column, truth in zip(logits.T, present.T, strict=True):
        slope, intercept = fit_platt(column, truth)
        threshold = expected_f1_threshold(scores(column, slope, intercept))
        fitted.append(Calibration(slope=slope, intercept=intercept, threshold=threshold))
    return fitted


def fit_platt(logits: Floats, present: Bools) -> tuple[float, float]:
    """Slope and intercept for one label, from held-out logits of shape (n,).

    Uses Platt's smoothed targets, (n₊+1)/(n₊+2) and 1/(n₋+2), so that a label that the model
    separates perfectly still gets finite numbers. Without both classes there is nothing to fit,
    and the logit's own sigmoid stands.
    """
    positives, negatives = int(present.sum()), int((~present).sum())
    if not positives or not negatives:
        return 1.0, 0.0
    targets = np.where(present, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    x = np.asarray(logits, np.float64)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        z = parameters[0] * x + parameters[1]
        residual = scores(z, 1.0, 0.0) - targets
        gradient = np.array([(residual * x).mean(), residual.mean()])
        return float((np.logaddexp(0.0, z) - targets * z).mean()), gradient

    bounds = [(MIN_SLOPE, None), (None, None)]
    fit = minimize(loss, [1.0, 0.0], jac=True, method="L-BFGS-B", bounds=bounds)
    return float(fit.x[0]), float(fit.x[1])
