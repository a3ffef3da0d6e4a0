"""Flattened optical flow and a support vector machine: the classical baseline "OF+SVM"."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from mer_models._checks import require, stored_arrays
from mer_models.registry import Resources, register_model

KERNELS = ("rbf", "linear")
ARRAYS = ("classes", "support_vectors", "pair_coefficients", "intercepts", "gamma")


@register_model(
    "flow_svm",
    features=("flow_uvs_28",),
    paper=(
        "OF+SVM baseline (SVM with C = 28 on flattened flow) of T. Varanka, Y. Li, W. Peng, G. Zhao: "
        "Data Leakage and Evaluation Issues in Micro-Expression Analysis, "
        "IEEE Transactions on Affective Computing, arXiv:2211.11425"
    ),
    resources=Resources(cpus=1, gpu=0.0, pack=64),
)
class FlowSVM:
    """Support vector machine on the flattened flow image, one machine for each pair of classes.

    Input : flow_uvs_28, (n, 3, 28, 28) float32 with values 0..255; divided by 255 and flattened to (n, 2352) here.
    The published baseline flattens 32x32x3 maps; this one takes the 28x28x3 maps that the other flow models take.

    C : weight of the margin violations, > 0. kernel : ``rbf`` or ``linear``.
    gamma : width of the rbf kernel; ``scale`` is 1 / (2352 * variance of the training values), ``auto`` is 1 / 2352,
        otherwise a number > 0.

    A sample's score for a class is its number of won pairs plus a confidence below 1/3 in size, as in scikit-learn's
    ``SVC.decision_function`` with ``decision_function_shape="ovr"``. It is computed here, from the stored
    arrays alone, so that an estimator just fitted and one loaded from disk give the same bits, and so that a
    sample's score does not depend on which samples are scored with it. A class without training samples
    scores -n_classes and so is never predicted.
    """

    def __init__(self, n_classes: int, C: float = 28.0, kernel: str = "rbf", gamma: str | float = "scale") -> None:
        require(0 < C < float("inf"), "flow_svm.C", C, "a number above 0")
        require(kernel in KERNELS, "flow_svm.kernel", kernel, "one of: " + ", ".join(KERNELS))
        self.n_classes = n_classes
        self.C = C
        self.kernel = kernel
        self.gamma = _gamma(gamma)
        self._arrays: dict[str, np.ndarray] = {}

    def fit(self, *features: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> None:
        """Fit on training samples; y : (n,) int64 class indices. The solution is unique: ``rng`` is not used."""
        x = _flatten(features[0])
        classes = np.unique(y)
        gamma = self._resolve_gamma(x)
        # One class alone leaves nothing to separate, and libsvm refuses it.
        support_vectors, pair_coefficients, intercepts = (
            self._solve(x, y, gamma) if len(classes) > 1 else (x[:0], np.empty((0, 0)), np.empty(0))
        )
        fitted = (classes, support_vectors, pair_coefficients, intercepts, np.array([gamma]))
        self._arrays = {name: np.ascontiguousarray(array) for name, array in zip(ARRAYS, fitted, strict=True)}

    def scores(self, *features: np.ndarray) -> np.ndarray:
        """Return (n, n_classes) float32: pairs won plus confidence; -n_classes for a class absent from training."""
        arrays = self._arrays
        decisions = np.array([self._decide(row) for row in _flatten(features[0])]).reshape(len(features[0]), -1)
        present = len(arrays["classes"])
        wins = np.zeros((len(decisions), present))
        confidences = np.zeros_like(wins)
        for pair, (first, second) in enumerate(combinations(range(present), 2)):
            decision = decisions[:, pair]
            wins[:, first] += decision >= 0
            wins[:, second] += decision < 0
            confidences[:, first] += decision
            confidences[:, second] -= decision
        scores = np.full((len(decisions), self.n_classes), -self.n_classes, dtype=np.float32)
        scores[:, arrays["classes"]] = wins + confidences / (3 * (np.abs(confidences) + 1))
        return scores

    def state(self) -> dict[str, np.ndarray]:
        """Return the fitted arrays.

        classes (k,) int64, those of the training samples; support_vectors (s, 2352) float64; pair_coefficients
        (k(k-1)/2, s) and intercepts (k(k-1)/2,) float64, pairs ordered (0, 1), (0, 2), ... (1, 2) ..., positive
        for the first class of the pair; gamma (1,) float64.
        """
        return dict(self._arrays)

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Take up what ``state`` returned; DataError where the arrays are another model's."""
        self._arrays = stored_arrays("flow_svm", state, ARRAYS)

    def _resolve_gamma(self, x: np.ndarray) -> float:
        if isinstance(self.gamma, float):
            return self.gamma
        spread = float(x.var()) if self.gamma == "scale" else 1.0
        return 1.0 / (x.shape[1] * spread) if spread > 0 else 1.0

    def _solve(self, x: np.ndarray, y: np.ndarray, gamma: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        from sklearn.svm import SVC

        machine = SVC(C=self.C, kernel=self.kernel, gamma=gamma).fit(x, y)
        # With two classes scikit-learn turns the signs: positive means the second class there, the first one here.
        sign = -1.0 if len(machine.classes_) == 2 else 1.0
        coefficients = sign * _pair_coefficients(machine.dual_coef_, machine.n_support_)
        return machine.support_vectors_, coefficients, sign * machine.intercept_

    def _decide(self, row: np.ndarray) -> np.ndarray:
        """Return the decision of each pair for one flattened sample; plain sums, so no batch or thread count counts."""
        vectors = self._arrays["support_vectors"]
        if self.kernel == "rbf":
            similarity = np.exp(-self._arrays["gamma"] * np.square(vectors - row).sum(axis=1))
        else:
            similarity = (vectors * row).sum(axis=1)
        return (self._arrays["pair_coefficients"] * similarity).sum(axis=1) + self._arrays["intercepts"]


def _flatten(flow: np.ndarray) -> np.ndarray:
    """Return (n, 2352) float64 in 0..1."""
    return flow.reshape(len(flow), -1).astype(np.float64) / 255.0


def _gamma(given: str | float) -> str | float:
    if given in ("scale", "auto"):
        return given
    try:
        value = float(given)
    except (TypeError, ValueError):
        value = float("nan")
    require(0 < value < float("inf"), "flow_svm.gamma", given, "scale, auto or a number above 0")
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
