import copy
import pickle
import pickletools
import threading

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sklearn
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import has_fit_parameter

from ulmfit_lib import UlmfitClassifier, UlmfitVectorizer
from ulmfit_lib.errors import ArtifactError, DataError, OptionError
from ulmfit_lib.estimators.base import as_seed
from ulmfit_lib.progress import is_quiet, quietly


@pytest.fixture(scope="module")
def quick(lm_folder):
    """A classifier that learns in a fraction of a second."""
    return UlmfitClassifier(base=str(lm_folder), direction="forward", device="cpu")


@pytest.fixture(scope="module")
def fitted(quick, fruit):
    return clone(quick).fit(fruit.texts, fruit.labels)


@pytest.fixture(scope="module")
def vectorizer(lm_folder):
    return UlmfitVectorizer(base=str(lm_folder), direction="forward", device="cpu")


@pytest.fixture(scope="module", params=["classifier", "vectorizer"])
def estimator(request, quick, vectorizer):
    return quick if request.param == "classifier" else vectorizer


def apply(estimator, X):
    return estimator.predict_proba(X) if hasattr(estimator, "predict_proba") else estimator.transform(X)


def test_a_clone_has_the_same_parameters_and_nothing_learnt(estimator, fruit):
    copy = clone(clone(estimator).fit(fruit.texts, fruit.labels))
    assert copy.get_params() == estimator.get_params()
    assert [name for name in vars(copy) if name.endswith("_")] == []


def test_making_one_changes_none_of_its_parameters(estimator):
    given = {name: object() for name in estimator.get_params()}
    assert all(value is given[name] for name, value in type(estimator)(**given).get_params().items())


def test_a_parameter_that_is_set_is_used_and_an_unknown_one_refused(estimator, fruit):
    changed = clone(estimator).set_params(base="nowhere")
    with pytest.raises(ArtifactError, match="nowhere"):
        changed.fit(fruit.texts, fruit.labels)
    with pytest.raises(ValueError, match="Invalid parameter 'basis'"):
        changed.set_params(basis="nowhere")


def test_a_fit_that_fails_leaves_what_was_learnt_before(estimator, fruit):
    new, one = clone(estimator).set_params(device="tpu"), clone(estimator).fit(fruit.texts, fruit.labels)
    for known in (new, one.set_params(device="tpu")):
        with pytest.raises(OptionError, match="tpu"):
            known.fit(fruit.texts, [label.upper() for label in fruit.labels])
    with pytest.raises(NotFittedError):
        apply(new, ["a film"])
    assert np.isfinite(apply(one.set_params(device="cpu"), ["a film"])).all()


@pytest.mark.parametrize("changed", [{"lm_epochs": -1}, {"lm_epochs": 1.5}, {"random_state": -1}, {"direction": "up"}])
def test_a_parameter_out_of_range_is_a_value_error(estimator, fruit, changed):
    with pytest.raises(ValueError):
        clone(estimator).set_params(**changed).fit(fruit.texts, fruit.labels)


def test_a_random_state_is_a_seed_a_generator_or_none():
    assert as_seed(7) == as_seed(np.int64(7)) == 7
    assert as_seed(np.random.RandomState(1)) == as_seed(np.random.RandomState(1)) != as_seed(np.random.RandomState(2))
    assert as_seed(None) != as_seed(None)


def test_nothing_can_be_asked_before_fit(estimator):
    with pytest.raises(NotFittedError):
        apply(clone(estimator), ["a film"])


@pytest.mark.slow
def test_fit_returns_itself_and_fitting_again_forgets_what_was_learnt(estimator, fruit):
    one = clone(estimator)
    assert one.fit(fruit.texts[:24], fruit.labels[:24]) is one
    again = apply(one.fit(fruit.texts, fruit.labels), fruit.texts[:3])
    np.testing.assert_array_equal(again, apply(clone(estimator).fit(fruit.texts, fruit.labels), fruit.texts[:3]))


def test_lists_arrays_series_and_frames_of_the_same_texts_give_the_same(estimator, fruit):
    one, texts = clone(estimator).fit(fruit.texts, fruit.labels), fruit.texts[:3]
    expected = apply(one, texts)
    column = np.array(texts, object)[:, None]
    same = [tuple(texts), np.array(texts), np.array(texts, object), column, [[text] for text in texts]]
    same += [pd.Series(texts, index=[7, 5, 3]), pd.Series(texts, dtype="string"), pd.DataFrame({"t": texts})]
    same += [pd.Series(texts, dtype="category"), pd.Series(texts, dtype="string[pyarrow]"), pa.array(texts)]
    same += [pa.table({"t": texts})]
    for X in same:
        np.testing.assert_array_equal(apply(one, X), expected)
    assert apply(one, []).shape == (0, expected.shape[1])


@pytest.mark.parametrize(
    ("X", "said"),
    [
        ("a film", "put it in"),
        (["a film", None], r"row 1 \(from 0\) is None"),
        ([3.5], "a float"),
        (np.array([["a", "b"]], object), r"the shape \(1, 2\)"),
        (pd.DataFrame({"t": ["a"], "u": ["b"]}), "choose it"),
        (pd.Series(["a", np.nan]), "leave the row out"),
        (pd.Series(["a", None], dtype="string"), r"row 1 \(from 0\) is <NA>"),
        ([["a"], ["b", "c"]], r"row 1 \(from 0\) has 2 columns"),
        (None, "of the type NoneType"),
        ({"a", "b"}, "of the type set"),
    ],
)
def test_what_is_no_column_of_texts_is_refused_in_a_sentence(fitted, X, said):
    with pytest.raises(DataError, match=said):
        fitted.predict(X)


@pytest.mark.slow
def test_a_frames_column_is_remembered_and_another_one_refused(estimator, fruit):
    one = clone(estimator).fit(pd.DataFrame({"review": fruit.texts}), fruit.labels)
    assert one.n_features_in_ == 1 and list(one.feature_names_in_) == ["review"]
    with pytest.raises(DataError, match="fitted to the column 'review'"):
        apply(one, pd.DataFrame({"title": ["a film"]}))
    with pytest.raises(ValueError, match=r"the shape \(1, 2\)"):
        apply(one, pd.DataFrame({"review": ["a film"], "title": ["b"]}))
    assert not hasattr(one.fit(fruit.texts, fruit.labels), "feature_names_in_")


@pytest.mark.slow
def test_labels_of_any_kind_come_back_as_they_were(quick, fruit):
    numbers = np.where(np.array(fruit.labels) == "positive", 10, 2)  # "10" sorts before "2"
    one = clone(quick).fit(fruit.texts, numbers)
    assert one.classes_.tolist() == [2, 10] and one.predict(fruit.texts).tolist() == numbers.tolist()
    assert one.score(fruit.texts, numbers) == 1.0
    probabilities = one.predict_proba(fruit.texts)
    assert (one.classes_[probabilities.argmax(1)] == numbers).all()
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert clone(quick).fit(fruit.texts, numbers == 10).predict(fruit.texts[:1]).dtype == bool


def test_labels_that_do_not_fit_are_refused_in_a_sentence(quick, fruit):
    with pytest.raises(DataError, match="48 texts and y 47 labels"):
        clone(quick).fit(fruit.texts, fruit.labels[:-1])
    with pytest.raises(DataError, match="a classifier needs two"):
        clone(quick).fit(fruit.texts, ["same"] * 48)
    with pytest.raises(DataError, match=r"y: row 1 \(from 0\) has no label; .*unlabelled"):
        clone(quick).fit(fruit.texts, [fruit.labels[0], None, *fruit.labels[2:]])
    with pytest.raises(DataError, match="unlabelled: a single string"):
        clone(quick).fit(fruit.texts, fruit.labels, unlabelled="a film")
    with pytest.raises(OptionError, match="'balanced' or None"):
        clone(quick).set_params(class_weight={"positive": 2}).fit(fruit.texts, fruit.labels)
    with pytest.raises(ValueError, match="continuous"):
        clone(quick).fit(fruit.texts, np.linspace(0, 1, 48))


def test_sample_weights_are_refused_in_a_sentence_and_not_promised_to_scikit_learn(quick, fruit):
    with pytest.raises(OptionError, match="counts every row once"):
        clone(quick).fit(fruit.texts, fruit.labels, sample_weight=np.ones(48))
    with pytest.raises(OptionError, match="no parameter 'groups'"):
        clone(quick).fit(fruit.texts, fruit.labels, groups=np.ones(48))
    assert not has_fit_parameter(quick, "sample_weight")


@pytest.mark.slow
def test_texts_without_a_label_are_read(quick, fruit, reviews):
    one = clone(quick).set_params(lm_epochs=1).fit(fruit.texts, fruit.labels, unlabelled=reviews.texts)
    assert one.model_.training.stages[-2].name == "fine-tune"
    assert one.report_.sentence and one.score(fruit.texts, fruit.labels) > 0.9


def globals_of(pickled):
    """The modules whose names a pickle calls."""
    strings = [argument for code, argument, _ in pickletools.genops(pickled) if isinstance(argument, str)]
    return {one.split(".")[0] for one in strings if "." not in one or one.replace(".", "").isidentifier()}


def test_a_pickle_holds_the_safe_folder_and_says_the_same(estimator, fruit):
    one = clone(estimator).fit(fruit.texts, fruit.labels)
    pickled = pickle.dumps(one)
    assert b"model.safetensors" in pickled and "torch" not in globals_of(pickled)
    for again in (pickle.loads(pickled), copy.deepcopy(one)):
        np.testing.assert_array_equal(apply(again, fruit.texts), apply(one, fruit.texts))


def test_a_language_model_that_is_a_parameter_is_pickled_safely_too(vectorizer, tiny_lm):
    pickled = pickle.dumps(clone(vectorizer).set_params(base=tiny_lm))
    assert "torch" not in globals_of(pickled)
    assert pickle.loads(pickled).base.sha256() == tiny_lm.sha256()


@pytest.mark.slow
def test_a_language_model_can_be_a_parameter_that_is_copied_and_searched_for(estimator, tiny_lm, lm_folder, fruit):
    one = clone(estimator).set_params(base=tiny_lm)
    expected = apply(clone(estimator).fit(fruit.texts, fruit.labels), fruit.texts)
    np.testing.assert_array_equal(apply(clone(one).fit(fruit.texts, fruit.labels), fruit.texts), expected)
    grid = pickle.dumps({"base": [tiny_lm, str(lm_folder)]})  # as a search keeps it, and hands it to processes
    assert "torch" not in globals_of(grid) and pickle.loads(grid)["base"][0].sha256() == tiny_lm.sha256()


def test_a_damaged_model_inside_a_pickle_is_refused(fitted):
    unpack, (kind, files) = fitted.model_.__reduce__()
    weights = bytearray(files["model.safetensors"])
    weights[-1] ^= 1
    with pytest.raises(ArtifactError, match=r"model\.safetensors"):
        unpack(kind, {**files, "model.safetensors": bytes(weights)})
    with pytest.raises(ArtifactError, match="no saved model has"):
        unpack(kind, {**files, "../outside": b""})


def test_processes_of_joblib_say_the_same(fitted, fruit):
    parts = [fruit.texts[:24], fruit.texts[24:]]
    found = Parallel(n_jobs=2)(delayed(fitted.predict_proba)(part) for part in parts)
    np.testing.assert_allclose(np.concatenate(found), fitted.predict_proba(fruit.texts), atol=1e-6)


def test_a_thread_that_is_silent_silences_no_other_and_ends_with_itself():
    heard, entered, left = [], threading.Event(), threading.Event()

    def work():
        with quietly():
            entered.set()
            left.wait()
            heard.append(is_quiet())

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait()
    with quietly():
        left.set()
        thread.join()
        heard.append(is_quiet())
    assert heard == [True, True] and not is_quiet()


@pytest.mark.slow
def test_scikit_learns_searches_calibration_and_pipelines_take_it(quick, vectorizer, fruit):
    texts, labels = np.array(fruit.texts, object), np.array(fruit.labels)
    assert cross_val_score(quick, texts, labels, cv=2).mean() > 0.9
    search = GridSearchCV(quick, {"with_baseline": [True, False]}, cv=2, scoring="neg_log_loss").fit(texts, labels)
    assert set(search.best_params_) == {"with_baseline"} and np.isfinite(search.cv_results_["mean_test_score"]).all()
    calibrated = CalibratedClassifierCV(quick, cv=2, ensemble=False).fit(texts, labels)
    assert calibrated.score(texts, labels) > 0.9
    pipeline = make_pipeline(vectorizer, LogisticRegression(C=100, max_iter=1000)).fit(texts, labels)
    assert pipeline.score(texts, labels) > 0.9
    assert pipeline.set_params(ulmfitvectorizer__pooling="concat")[0].pooling == "concat"
    words = make_pipeline(TfidfVectorizer(), LogisticRegression())
    assert VotingClassifier([("a", quick), ("b", words)], voting="soft").fit(texts, labels).score(texts, labels) > 0.9


def test_scikit_learn_hands_texts_without_a_label_through_a_pipeline(quick, fruit):
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(clone(quick).set_fit_request(unlabelled=True))
        with pytest.raises(DataError, match="unlabelled: row 0"):
            pipeline.fit(fruit.texts, fruit.labels, unlabelled=[None])
        with pytest.raises(TypeError, match="sample_weight"):
            pipeline.fit(fruit.texts, fruit.labels, sample_weight=np.ones(48))


def test_columns_of_texts_and_numbers_stand_side_by_side(vectorizer, fruit):
    frame = pd.DataFrame({"review": fruit.texts, "stars": np.arange(48.0)})
    for column in ("review", ["review"]):
        both = ColumnTransformer([("text", vectorizer, column), ("number", StandardScaler(), ["stars"])])
        found = both.set_output(transform="pandas").fit_transform(frame)
        width = clone(vectorizer).fit(fruit.texts).transform(fruit.texts[:1]).shape[1]
        assert found.shape == (48, width + 1)
        assert list(found.columns[[0, -1]]) == ["text__ulmfitvectorizer0", "number__stars"]


def test_a_vectorizer_can_read_the_texts_first(vectorizer, fruit):
    before = clone(vectorizer).fit_transform(fruit.texts)
    after = clone(vectorizer).set_params(lm_epochs=1).fit_transform(fruit.texts)
    assert before.shape == after.shape and not np.allclose(before, after)
    np.testing.assert_allclose(np.linalg.norm(after, axis=1), 1, rtol=1e-5)
