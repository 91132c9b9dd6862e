"""Fitting the calibration: from held-out logits to probabilities that mean what they say."""

import numpy as np
from scipy.optimize import minimize

from models.calibration import Bools, Calibration, Floats, expected_f1_threshold, scores

MIN_SLOPE = 1e-3
"""Positive, so that calibration never reorders scores."""


def calibrate(logits: Floats, present: Bools, weights: Floats) -> list[Calibration]:
    """Calibration of every label, from held-out logits and labels of shape (n, labels).

    `weights`, of shape (n,), say how often each passage counts.
    """
    fitted = []
    for column, truth in zip(logits.T, present.T, strict=True):
        slope, intercept = fit_platt(column, truth, weights)
        threshold = expected_f1_threshold(scores(column, slope, intercept), weights)
        fitted.append(Calibration(slope=slope, intercept=intercept, threshold=threshold))
    return fitted


def fit_platt(logits: Floats, present: Bools, weights: Floats) -> tuple[float, float]:
    """Slope and intercept for one label, from held-out logits and their weights of shape (n,).

    Uses Platt's smoothed targets, (n₊+1)/(n₊+2) and 1/(n₋+2) with n the weight of each class, so
    that a label that the model separates perfectly still gets finite numbers. Without both classes
    there is nothing to fit, and the logit's own sigmoid stands.
    """
    positives, negatives = float(weights[present].sum()), float(weights[~present].sum())
    if not positives or not negatives:
        return 1.0, 0.0
    targets = np.where(present, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    x = np.asarray(logits, np.float64)
    share = weights / weights.sum()

    def loss(parameters: Floats) -> tuple[float, Floats]:
        z = parameters[0] * x + parameters[1]
        residual = (scores(z, 1.0, 0.0) - targets) * share
        gradient = np.array([(residual * x).sum(), residual.sum()])
        return float(((np.logaddexp(0.0, z) - targets * z) * share).sum()), gradient

    bounds = [(MIN_SLOPE, None), (None, None)]
    fit = minimize(loss, [1.0, 0.0], jac=True, method="L-BFGS-B", bounds=bounds)
    return float(fit.x[0]), float(fit.x[1])
