"""The support vector machine behind every ``*_svm`` model: scaled inputs, several kernels, arrays as its state."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from mer_models._parts.checks import require, stored_arrays
from mer_models.contracts import Refused
from mer_models.search import loguniform

KERNELS = ("rbf", "linear", "poly")
SCALES = ("none", "unit", "standard")
REFUSED = (
    *(Refused("C", value, "a number above 0") for value in (0.0, -1.0)),
    Refused("kernel", "sigmoid", "one of: rbf, linear, poly"),
    *(Refused("gamma", value, "scale, auto or a number above 0") for value in ("wide", -1.0)),
)
"""What the options that every machine has refuse."""
REFUSED_SCALES = (Refused("scale", "rows", "one of: none, unit, standard"),)
SEARCH = {"C": loguniform(0.1, 1000.0), "kernel": ("rbf", "linear")}
"""What is tried of every machine where it is tuned."""
ARRAYS = ("classes", "support_vectors", "pair_coefficients", "intercepts", "gamma", "offset", "factor")

Solution = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Support vectors (s, d), coefficients (machines, s) and intercepts (machines,), all float64."""


class SupportVectorModel:
    """One machine for each pair of classes, or one for each label where a sample may show several; an Estimator.

    Parameters
    ----------
    name : of the model, for messages.
    C : weight of the margin violations, above 0.
    kernel : ``rbf``, ``linear`` or ``poly`` (of ``degree``, without a constant term).
    gamma : ``scale`` is 1 / (d * variance of the scaled training values), ``auto`` is 1 / d; else a number above 0. The
        linear kernel has none.
    degree : of the polynomial, 1 or more.
    scale : how each of the d values is scaled, fitted on the training samples: ``unit`` to 0..1, ``standard`` to mean 0
        and deviation 1 (a value that never varies becomes 0), or ``none``.

    Notes
    -----
    A sample's score for a class is the number of pairs that the class wins plus a confidence below 1/3 in size, as in
    scikit-learn's ``SVC.decision_function`` with ``decision_function_shape="ovr"``. With several labels a sample, it is
    the decision of the label's own machine. Scores are computed here, from the stored arrays alone: a model that was
    just fitted and one that was loaded from disk give the same bits, and a sample's score does not depend on which
    other samples are scored with it. A class without training samples scores -n_classes, so it is never predicted.
    """

    def __init__(
        self,
        n_classes: int,
        *,
        name: str,
        C: float,
        kernel: str,
        gamma: str | float,
        degree: int = 3,
        scale: str = "none",
    ) -> None:
        require(0 < C < float("inf"), f"{name}.C", C, "a number above 0")
        require(kernel in KERNELS, f"{name}.kernel", kernel, "one of: " + ", ".join(KERNELS))
        require(degree >= 1, f"{name}.degree", degree, "a whole number of at least 1")
        require(scale in SCALES, f"{name}.scale", scale, "one of: " + ", ".join(SCALES))
        self.n_classes = n_classes
        self.name = name
        self.C = C
        self.kernel = kernel
        self.degree = degree
        self.scale = scale
        self.gamma = _gamma(name, gamma)
        self._arrays: dict[str, np.ndarray] = {}

    def vectors(self, *features: np.ndarray) -> np.ndarray:
        """Return the samples as (n, d) float64, not yet scaled; here, the first feature flattened."""
        return features[0].reshape(len(features[0]), -1).astype(np.float64)

    def fit(self, *features: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> None:
        """Fit on training samples; ``y`` as in ``Estimator.fit``. The solution is unique, so ``rng`` is not used."""
        x = self.vectors(*features)
        offset, factor = _scaling(x, self.scale)
        x = (x - offset) * factor
        gamma = self._resolve_gamma(x)
        classes, solution = (
            (np.empty(0, dtype=np.int64), self._solve_labels(x, y, gamma))
            if y.ndim == 2
            else (np.unique(y), self._solve_pairs(x, y, gamma))
        )
        fitted = (classes, *solution, np.array([gamma]), offset, factor)
        self._arrays = {name: np.ascontiguousarray(array) for name, array in zip(ARRAYS, fitted, strict=True)}

    def scores(self, *features: np.ndarray) -> np.ndarray:
        """Return (n, n_classes) float32: pairs won plus confidence, or each label's decision."""
        classes = self._arrays["classes"]
        x = (self.vectors(*features) - self._arrays["offset"]) * self._arrays["factor"]
        decisions = np.array([self._decide(row) for row in x]).reshape(len(x), -1)
        if not len(classes):
            return decisions.astype(np.float32)
        scores = np.full((len(x), self.n_classes), -self.n_classes, dtype=np.float32)
        scores[:, classes] = _votes(decisions, len(classes))
        return scores

    def state(self) -> dict[str, np.ndarray]:
        """Return the fitted arrays.

        Returns
        -------
        classes : (k,) int64, the classes of the training samples; empty where a sample may show several.
        support_vectors : (s, d) float64, scaled.
        pair_coefficients, intercepts : (m, s) and (m,) float64 of m machines: the pairs (0, 1), (0, 2), ... (1, 2) ...,
            positive for the first class of the pair; or the labels.
        gamma : (1,) float64.
        offset, factor : (d,) or (1,) float64, the scaling.
        """
        return dict(self._arrays)

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Continue from what ``state`` returned; DataError where the arrays are another model's."""
        self._arrays = stored_arrays(self.name, state, ARRAYS)

    def _resolve_gamma(self, x: np.ndarray) -> float:
        if isinstance(self.gamma, float):
            return self.gamma
        spread = float(x.var()) if self.gamma == "scale" else 1.0
        return 1.0 / (x.shape[1] * spread) if spread > 0 else 1.0

    def _solve_pairs(self, x: np.ndarray, y: np.ndarray, gamma: float) -> Solution:
        from sklearn.svm import SVC

        if len(np.unique(y)) < 2:
            # One class alone leaves nothing to separate, and libsvm refuses it.
            return x[:0], np.empty((0, 0)), np.empty(0)
        machine = SVC(C=self.C, kernel=self.kernel, gamma=gamma, degree=self.degree).fit(x, y)
        # With two classes scikit-learn turns the signs: positive means the second class there, the first one here.
        sign = -1.0 if len(machine.classes_) == 2 else 1.0
        coefficients = sign * _pair_coefficients(machine.dual_coef_, machine.n_support_)
        return machine.support_vectors_, coefficients, sign * machine.intercept_

    def _solve_labels(self, x: np.ndarray, y: np.ndarray, gamma: float) -> Solution:
        """Return one machine a label, positive where it is shown; one that never varies decides as it always was."""
        labels = y.shape[1]
        vectors, blocks, intercepts = [x[:0]], [np.empty((labels, 0))], np.zeros(labels)
        for label in range(labels):
            shown = y[:, label]
            if len(np.unique(shown)) < 2:
                intercepts[label] = 1.0 if shown[0] else -1.0
                continue
            found, coefficients, intercept = self._solve_pairs(x, shown, gamma)
            block = np.zeros((labels, len(found)))
            block[label] = -coefficients[0]
            vectors.append(found)
            blocks.append(block)
            intercepts[label] = -intercept[0]
        return np.concatenate(vectors), np.concatenate(blocks, axis=1), intercepts

    def _decide(self, row: np.ndarray) -> np.ndarray:
        """Return each machine's decision for one scaled sample; plain sums, so no batch or thread count counts."""
        vectors, gamma = self._arrays["support_vectors"], self._arrays["gamma"]
        if self.kernel == "rbf":
            similarity = np.exp(-gamma * np.square(vectors - row).sum(axis=1))
        else:
            similarity = (vectors * row).sum(axis=1)
            if self.kernel == "poly":
                similarity = (gamma * similarity) ** self.degree
        return (self._arrays["pair_coefficients"] * similarity).sum(axis=1) + self._arrays["intercepts"]


def _scaling(x: np.ndarray, scale: str) -> tuple[np.ndarray, np.ndarray]:
    """Return what to subtract from each value and by what to multiply it then, both (d,), or (1,) for nothing."""
    if scale == "none":
        return np.zeros(1), np.ones(1)
    offset = x.min(axis=0) if scale == "unit" else x.mean(axis=0)
    width = np.ptp(x, axis=0) if scale == "unit" else x.std(axis=0)
    return offset, np.divide(1.0, width, out=np.zeros_like(width), where=width > 0)


def _votes(decisions: np.ndarray, present: int) -> np.ndarray:
    """Return (n, present): pairs won plus confidence, from the decisions (n, pairs)."""
    wins = np.zeros((len(decisions), present))
    confidences = np.zeros_like(wins)
    for pair, (first, second) in enumerate(combinations(range(present), 2)):
        decision = decisions[:, pair]
        wins[:, first] += decision >= 0
        wins[:, second] += decision < 0
        confidences[:, first] += decision
        confidences[:, second] -= decision
    return wins + confidences / (3 * (np.abs(confidences) + 1))


def _gamma(name: str, given: str | float) -> str | float:
    if given in ("scale", "auto"):
        return given
    try:
        value = float(given)
    except (TypeError, ValueError):
        value = float("nan")
    require(0 < value < float("inf"), f"{name}.gamma", given, "scale, auto or a number above 0")
    return value


def _pair_coefficients(dual: np.ndarray, n_support: np.ndarray) -> np.ndarray:
    """Unfold libsvm's dual coefficients (k-1, s), where each class skips itself, to one row a pair of classes."""
    ends = np.cumsum(n_support)
    span = [slice(end - count, end) for end, count in zip(ends, n_support, strict=True)]
    rows = []
    for first, second in combinations(range(len(n_support)), 2):
        row = np.zeros(dual.shape[1])
        row[span[first]] = dual[second - 1, span[first]]
        row[span[second]] = dual[first, span[second]]
        rows.append(row)
    return np.array(rows)
