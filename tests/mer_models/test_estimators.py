"""What the harness relies on, for every classical estimator of the registry, and what they compute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from registered import every, passes

from bench.checks.check import Check
from bench.checks.estimators import EstimatorCase
from mer_models.registry import MODELS, ModelInfo

ESTIMATORS = [name for name, info in MODELS.items() if info.kind == "estimator"]


@pytest.fixture(params=ESTIMATORS)
def info(request: pytest.FixtureRequest) -> ModelInfo:
    return MODELS.get(request.param)


def fitted(info: ModelInfo, features: list[np.ndarray], y: np.ndarray, n_classes: int = 3, **params: Any) -> Any:
    estimator = info.build(n_classes=n_classes, **params)
    estimator.fit(*features, y=y, rng=np.random.default_rng(0))
    return estimator


@pytest.mark.slow
@pytest.mark.parametrize("check", every("model", lambda info: info.kind == "estimator", "estimators"))
def test_every_estimator_passes_its_checks(check: Check) -> None:
    passes(check)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [([2, 2, 1], 2), ([1, 2, 2, 1], 1), ([0, 1, 2], 0)],
    ids=["most frequent", "tie of 1 and 2", "tie of all"],
)
def test_majority_predicts_the_most_frequent_class(labels: list[int], expected: int) -> None:
    estimator = fitted(MODELS.get("majority"), [], np.array(labels))
    scores = estimator.scores()
    assert scores.shape == (1, 3)
    np.testing.assert_allclose(scores[0], [labels.count(label) / len(labels) for label in range(3)])
    assert (scores.argmax(axis=1) == expected).all()


def test_majority_of_several_labels_takes_each_by_itself() -> None:
    shown = np.array([[1, 1, 0, 1], [0, 1, 0, 1], [0, 1, 0, 1]])
    scores = fitted(MODELS.get("majority"), [], shown, n_classes=4).scores()
    assert (scores > 0).tolist() == [[False, True, False, True]]


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize(
    "params", [{}, {"kernel": "linear", "C": 0.01}, {"gamma": 0.001}, {"gamma": "auto"}, {"kernel": "poly"}]
)
def test_flow_svm_scores_as_scikit_learn(easy_flow: Any, n_classes: int, params: dict[str, Any]) -> None:
    from sklearn.svm import SVC

    x, y = easy_flow(60, n_classes, noise=150)
    test = easy_flow(40, n_classes, noise=150, seed=1)[0]
    scores = fitted(MODELS.get("flow_svm"), [x], y, n_classes, **params).scores(test)

    reference = SVC(**{"C": 28.0, **params}, break_ties=n_classes > 2).fit(x.reshape(60, -1) / 255.0, y)
    flat = test.reshape(40, -1) / 255.0
    decision = reference.decision_function(flat)
    if n_classes == 2:
        confidence = decision / (3 * (np.abs(decision) + 1))
        decision = np.stack([(decision <= 0) - confidence, (decision > 0) + confidence], axis=1)
    np.testing.assert_allclose(scores, decision, atol=1e-4)
    predicted = scores.argmax(axis=1)
    np.testing.assert_array_equal(predicted, reference.predict(flat))
    assert len(np.unique(predicted)) == n_classes, "a test in which every sample gets one class would prove nothing"


def test_flow_svm_scores_real_flow_as_scikit_learn(megc2019_flow: Path) -> None:
    import cv2
    from sklearn.svm import SVC

    files = sorted(megc2019_flow.glob("three_norm_u_v_os/*/u_test/*/*.png"))[::4]
    x = np.stack([cv2.imread(str(path)).transpose(2, 0, 1) for path in files]).astype(np.float32)
    y = np.array([int(path.parent.name) for path in files])
    train = np.arange(len(files)) % 3 > 0
    scores = fitted(MODELS.get("flow_svm"), [x[train]], y[train]).scores(x[~train])
    flat = x.reshape(len(x), -1) / 255.0
    reference = SVC(C=28.0, break_ties=True).fit(flat[train], y[train])
    np.testing.assert_allclose(scores, reference.decision_function(flat[~train]), atol=1e-4)
    np.testing.assert_array_equal(scores.argmax(axis=1), reference.predict(flat[~train]))


def test_flow_svm_takes_a_number_given_as_text(easy_flow: Any) -> None:
    x, y = easy_flow(30, noise=90)
    info = MODELS.get("flow_svm")
    np.testing.assert_array_equal(
        fitted(info, [x], y, gamma="0.01").scores(x), fitted(info, [x], y, gamma=0.01).scores(x)
    )


def test_flow_svm_fits_images_without_any_variance() -> None:
    x = np.full((6, 3, 28, 28), 128, dtype=np.float32)
    scores = fitted(MODELS.get("flow_svm"), [x], np.arange(6) % 3).scores(x)
    assert np.isfinite(scores).all()


DESCRIPTORS = ["biwoof_svm", "hoof_svm", "lbp_top_svm", "mdmo_svm"]


@pytest.mark.slow
@pytest.mark.parametrize("name", DESCRIPTORS)
@pytest.mark.parametrize("scale", ["none", "unit", "standard"])
def test_descriptor_svms_score_as_scikit_learn(name: str, scale: str) -> None:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
    from sklearn.svm import SVC

    info = MODELS.get(name)
    features, y = EstimatorCase(info).samples(45, noise=130)
    test = EstimatorCase(info).samples(30, noise=130, seed=1)[0]
    features[0][:, 0], test[0][:, 0] = 0.5, 0.9  # a value that never varies in training
    scaler = {"none": FunctionTransformer(), "unit": MinMaxScaler(), "standard": StandardScaler()}[scale]
    params = {key: value for key, value in info.params.items() if key != "scale"}
    scores = fitted(info, features, y, scale=scale).scores(*test)
    if scale != "none":
        # scikit-learn leaves a constant value's distance from training in; here it becomes nothing.
        test[0][:, 0] = 0.5
    reference = make_pipeline(scaler, SVC(**params, break_ties=True)).fit(features[0].astype(np.float64), y)
    expected = reference.decision_function(test[0].astype(np.float64))
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert len(np.unique(scores.argmax(axis=1))) == 3, "a test in which every sample gets one class proves nothing"


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_scaling_is_fitted_on_training_samples_alone(name: str) -> None:
    info = MODELS.get(name)
    features, y = EstimatorCase(info).samples(30)
    estimator = fitted(info, features, y, scale="unit")
    np.testing.assert_allclose(estimator.state()["offset"], features[0].min(axis=0))
    test = EstimatorCase(info).samples(6, seed=1)[0]
    before = estimator.scores(*test)
    estimator.scores(test[0] * 100)
    np.testing.assert_array_equal(estimator.scores(*test), before)
