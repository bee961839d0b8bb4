import json
import pickle

import numpy as np
import pytest
from hub_server import Hub

from ulmfit_lib import LanguageModel, TextClassifier, from_pretrained
from ulmfit_lib.artifact.record import TrainingRecord
from ulmfit_lib.artifact.report import Report
from ulmfit_lib.errors import ArtifactError, OptionError
from ulmfit_lib.evaluation.metrics import RatingScores
from ulmfit_lib.hub.client import hub_api
from ulmfit_lib.hub.fetching import SAVED, find_folder
from ulmfit_lib.hub.pushing import hub_card, push_to_hub
from ulmfit_lib.hub.repository import Repository
from ulmfit_lib.training.run import Run

constants = pytest.importorskip("huggingface_hub.constants")
ModelCard = pytest.importorskip("huggingface_hub").ModelCard
TOKEN = "hf_neverprinted"
TEXTS = ["the film was great great", "the film was terrible terrible"]


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """Start with an empty cache, again each time that it is called."""

    def empty(name="hub"):
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / name))
        return tmp_path / name

    empty()
    return empty


@pytest.fixture
def hub(cache, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    for name in ("HF_HUB_OFFLINE", "ULMFIT_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    server = Hub(TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def classifier_folder(tiny_lm, fruit, tmp_path_factory):
    """What ``fit`` saves: with TF-IDF, and a report."""
    from ulmfit_lib import fit

    path = tmp_path_factory.mktemp("hub") / "fruit"
    fit(fruit, base=tiny_lm, strategy="linear-probe", minutes=1, run=Run(device="cpu")).save(path)
    return path


def files_of(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.slow
def test_a_pushed_classifier_gives_the_same_probabilities_elsewhere(hub, cache, classifier_folder):
    sent = push_to_hub(classifier_folder, "ada/fruit")
    cache("elsewhere")
    found = from_pretrained("ada/fruit")
    expected = TextClassifier.load(classifier_folder).predict_proba(TEXTS)
    np.testing.assert_array_equal(found.predict_proba(TEXTS), expected)
    assert sent == f"hf:ada/fruit@{hub.repos['ada/fruit'].branches['main']}"


def test_a_pushed_language_model_becomes_the_base_of_others_by_its_commit(hub, lm_folder, ulmfit, write_csv, tmp_path):
    sent = push_to_hub(lm_folder, "ada/lm")
    data = write_csv([[text, label] for text in TEXTS for label in ("a", "b")])
    code, _, said = ulmfit(
        "fit-classifier",
        data,
        "--text",
        "review",
        "--label",
        "sentiment",
        "--lm",
        "hf:ada/lm",
        "--strategy",
        "linear-probe",
        "--out",
        tmp_path / "model",
    )
    assert code == 0, said
    assert TextClassifier.load(tmp_path / "model").base["name"] == sent
    push_to_hub(tmp_path / "model", "ada/on-lm")
    card = ModelCard(hub.repos["ada/on-lm"].files("main")[1]["README.md"].decode())
    assert card.data.base_model == "ada/lm"
    assert isinstance(from_pretrained("ada/lm"), LanguageModel)


def test_an_exported_classifier_can_be_pushed_and_served_under_its_name(hub, cache, tiny_classifier, tmp_path):
    from ulmfit_lib.models.exporting import export_checked
    from ulmfit_lib.server.models import Models

    pytest.importorskip("onnx")
    tiny_classifier.save(tmp_path / "model")
    export_checked(tmp_path / "model", tmp_path / "exported", precision="float32", texts=TEXTS)
    push_to_hub(tmp_path / "exported", "ada/exported")
    cache("elsewhere")
    np.testing.assert_allclose(
        from_pretrained("ada/exported").predict_proba(TEXTS), tiny_classifier.predict_proba(TEXTS), atol=1e-4
    )
    assert list(Models([find_folder("hf:ada/exported")], threads=1, waiting=1).by_name) == ["exported"]


@pytest.mark.slow
def test_commands_take_a_model_on_the_hub_where_they_take_a_folder(hub, cache, classifier_folder, ulmfit, write_csv):
    code, said, _ = ulmfit("push", classifier_folder, "ada/fruit", "--message", "first")
    assert code == 0 and "hf:ada/fruit@" in said
    data = write_csv([[text, label] for text, label in zip(TEXTS, ("positive", "negative"), strict=True)])
    columns = ["--text", "review", "--label", "sentiment"]
    for command in (
        ["predict", "hf:ada/fruit", TEXTS[0]],
        ["predict", "hf:ada/fruit", data, *columns[:2]],
        ["evaluate", "hf:ada/fruit", data, *columns],
        ["explain", "hf:ada/fruit", TEXTS[0]],
        ["info", "hf:ada/fruit"],
        ["diagnose", "hf:ada/fruit"],
        ["similar", "hf:ada/fruit", data, *columns[:2], "--to", TEXTS[0]],
    ):
        code, _, said = ulmfit(*command)
        assert code == 0, (command, said)


def test_a_repository_is_private_unless_it_is_told_to_be_public(hub, lm_folder):
    push_to_hub(lm_folder, "ada/quiet")
    push_to_hub(lm_folder, "ada/loud", public=True)
    assert hub.repos["ada/quiet"].private and not hub.repos["ada/loud"].private
    before = hub.repos["ada/loud"].branches["main"]
    with pytest.raises(ArtifactError, match="everybody can read this repository"):
        push_to_hub(lm_folder, "ada/loud")
    assert hub.repos["ada/loud"].branches["main"] == before


def test_words_of_texts_in_tfidf_become_public_only_when_allowed(hub, classifier_folder):
    with pytest.raises(OptionError, match="words and pairs of words"):
        push_to_hub(classifier_folder, "ada/fruit", public=True)
    assert not hub.repos
    push_to_hub(classifier_folder, "ada/fruit", public=True, words=True)
    assert "baseline_terms.json" in hub.repos["ada/fruit"].files("main")[1]


def test_only_files_of_the_model_are_sent_and_they_are_named_before(hub, lm_folder, tmp_path, ulmfit):
    folder = tmp_path / "lm"
    LanguageModel.load(lm_folder).save(folder)
    (folder / "reviews.csv").write_text("my secret text", encoding="utf-8")
    code, _, said = ulmfit("push", folder, "ada/lm")
    sent = hub.repos["ada/lm"].files("main")[1]
    assert code == 0 and set(sent) == {".gitattributes", *files_of(lm_folder)}
    assert "no part of the model: reviews.csv" in said and all(name in said for name in files_of(lm_folder))
    assert TOKEN not in said and not any(b"my secret text" in content for content in sent.values())


def test_what_a_smaller_model_no_longer_has_is_deleted(hub, cache, classifier_folder, tiny_classifier, tmp_path):
    tiny_classifier.save(tmp_path / "plain")
    push_to_hub(classifier_folder, "ada/fruit")
    push_to_hub(tmp_path / "plain", "ada/fruit")
    assert set(hub.repos["ada/fruit"].files("main")[1]) == {".gitattributes", *files_of(tmp_path / "plain")}


def test_a_damaged_folder_is_not_sent(hub, lm_folder, tmp_path):
    folder = tmp_path / "lm"
    LanguageModel.load(lm_folder).save(folder)
    (folder / "training.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"training\.json"):
        push_to_hub(folder, "ada/lm")
    assert not hub.repos


def test_the_card_has_the_hubs_metadata(hub, classifier_folder):
    push_to_hub(classifier_folder, "ada/fruit", licence="mit")
    text = hub.repos["ada/fruit"].files("main")[1]["README.md"].decode()
    card, report = ModelCard(text), TextClassifier.load(classifier_folder).training.report
    data = card.data.to_dict()
    assert data["license"] == "mit" and data["language"] == "en" and data["pipeline_tag"] == "text-classification"
    assert "base_model" not in data  # `tiny` is nothing that the hub knows
    accuracy = next(one for one in card.data.eval_results if one.metric_type == "accuracy")
    low, high = report.ensemble.low, report.ensemble.high
    assert accuracy.metric_value == round(report.ensemble.accuracy, 4)
    assert f"{low:.3f} to {high:.3f}" in accuracy.metric_name
    assert report.sentence in text and "## pretrain" in text and "hf:ada/fruit" in text


def test_the_card_has_the_scores_of_every_kind_of_label_and_the_licence_of_the_record():
    report = Report("", 10, 0.5, {}, ratings={"ensemble": RatingScores(10, 0.51234, 0.8)})
    training = TrainingRecord(licence="MIT; it has read reviews", report=report)
    config = {"kind": "classifier", "tokenizer": {"language": "de"}, "base": None}
    card = ModelCard(hub_card("# stars", config=config, training=training, repository=Repository("a/b"), licence=None))
    assert {one.metric_type: one.metric_value for one in card.data.eval_results} == {"mae": 0.5123, "spearmanr": 0.8}
    assert card.data.license == "mit" and card.data.language == "de" and card.data.metrics == ["mae", "spearmanr"]


def test_a_card_that_comes_back_keeps_what_people_wrote_into_it(hub, cache, lm_folder, tmp_path):
    push_to_hub(lm_folder, "ada/lm", licence="apache-2.0")
    card = hub.repos["ada/lm"].files("main")[1]["README.md"].decode()
    LanguageModel.load(lm_folder).save(tmp_path / "lm")
    (tmp_path / "lm" / "README.md").write_text(card.replace("- ulmfit", "- mine"), encoding="utf-8-sig")
    push_to_hub(tmp_path / "lm", "ada/again")
    again = ModelCard(hub.repos["ada/again"].files("main")[1]["README.md"].decode())
    assert again.data.license == "apache-2.0" and again.data.tags == ["mine", "awd-lstm"]
    assert again.text.count("## Use") == 1 and "hf:ada/again" in again.text and "hf:ada/lm" not in again.text


@pytest.mark.parametrize("name", ["model.pkl", "EVIL.PKL", "notes.txt", "../config.json"])
def test_a_repository_with_a_file_that_is_no_part_of_a_model_is_refused_unread(hub, cache, lm_folder, name):
    hub.add("eve/lm", {**files_of(lm_folder), name: pickle.dumps("boo")})
    with pytest.raises(ArtifactError, match=name):
        from_pretrained("eve/lm")
    assert not hub.downloads() and not cache().exists()
    with pytest.raises(ArtifactError, match=name):
        push_to_hub(lm_folder, "eve/lm", public=True)
    hub.add("eve/lm", {**files_of(lm_folder), "a\x1b[2J": b""})
    with pytest.raises(ArtifactError, match=r"'a\\x1b\[2J'"):
        from_pretrained("eve/lm")


def test_a_repository_of_another_kind_of_model_is_refused(hub):
    hub.add("eve/bert", {"config.json": b"{}"})
    with pytest.raises(ArtifactError, match="no model that ulmfit_lib saved"):
        from_pretrained("eve/bert")


def test_a_repository_that_changes_after_it_was_looked_at_is_refused_and_its_pickles_unread(hub, cache, lm_folder):
    hub.add("eve/lm", files_of(lm_folder))
    hub.soon["eve/lm"] = {**files_of(lm_folder), "evil.pkl": pickle.dumps("boo")}
    with pytest.raises(ArtifactError, match="it changed while it was being downloaded"):
        from_pretrained("eve/lm")
    assert not any("evil" in path for path in hub.downloads()) and not list(cache().rglob("*.pkl"))


def test_a_file_that_arrives_truncated_is_refused(hub, lm_folder, cache):
    files = files_of(lm_folder)
    hub.add("ada/lm", files)
    hub.announced["vocab.json"] = len(files["vocab.json"]) + 100
    with pytest.raises(ArtifactError, match=r"ada/lm: this failed: .*size"):
        from_pretrained("ada/lm")


def test_a_file_that_was_truncated_on_the_hub_is_refused_by_its_seal(hub, lm_folder):
    files = files_of(lm_folder)
    shorter = json.dumps(json.loads(files["training.json"]), indent=None).encode()
    hub.add("ada/lm", {**files, "training.json": shorter})
    with pytest.raises(ArtifactError, match=r"training\.json: it is not as it was written"):
        from_pretrained("ada/lm")


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "ULMFIT_OFFLINE", None])
def test_without_a_network_the_cache_answers_and_says_so(hub, lm_folder, monkeypatch, capsys, variable):
    sent = push_to_hub(lm_folder, "ada/lm")
    from_pretrained("ada/lm")
    hub.stop()
    if variable:
        monkeypatch.setenv(variable, "1")
    asked = len(hub.asked)
    model = from_pretrained("ada/lm")
    assert model.training.name == sent and len(hub.asked) == asked
    assert f"commit {sent[-40:]} is taken from the cache" in capsys.readouterr().err
    with pytest.raises(ArtifactError, match="the cache has no whole copy of it"):
        from_pretrained("ada/other")


def test_a_revision_is_what_it_was_when_it_was_pinned(hub, cache, lm_folder, tiny_classifier, tmp_path):
    first = push_to_hub(lm_folder, "ada/model")
    tiny_classifier.save(tmp_path / "classifier")
    push_to_hub(tmp_path / "classifier", "ada/model", branch="next")
    assert isinstance(from_pretrained("ada/model", revision="next"), TextClassifier)
    push_to_hub(tmp_path / "classifier", "ada/model")
    assert isinstance(from_pretrained("ada/model"), TextClassifier)
    assert isinstance(from_pretrained(first), LanguageModel)
    with pytest.raises(ArtifactError, match="no such branch, tag or commit"):
        from_pretrained("ada/model@v9")


def test_what_the_hub_refuses_is_said_in_a_sentence_without_the_token(hub, lm_folder, monkeypatch, ulmfit):
    push_to_hub(lm_folder, "ada/lm")
    monkeypatch.setenv("HF_TOKEN", TOKEN + "wrong")
    for command in (["push", lm_folder, "ada/new"], ["generate", "hf:ada/lm"]):
        code, _, said = ulmfit(*command)
        assert code == 2 and "your token does not allow this" in said and TOKEN not in said


@pytest.mark.parametrize(
    "answer", [b"<html>Log in</html>", [1], {}, {"id": "ada/lm", "siblings": []}, {"id": "ada/lm", "sha": "../x"}]
)
def test_a_server_that_is_no_hub_is_named_in_a_sentence(hub, answer):
    hub.instead["/api/"] = 200, answer
    with pytest.raises(ArtifactError, match=f"what {hub.address} answers is not what a hub answers"):
        from_pretrained("ada/lm")


@pytest.mark.parametrize("status", [429, 503])
def test_while_the_hub_cannot_answer_the_cache_does(hub, cache, lm_folder, capsys, status):
    push_to_hub(lm_folder, "ada/lm")
    from_pretrained("ada/lm")
    hub.instead["/api/"] = status, {"error": "too much\x1b[2J"}
    assert isinstance(from_pretrained("ada/lm"), LanguageModel)
    assert f"the hub cannot answer now ({status}: too much[2J), so commit" in capsys.readouterr().err
    cache("elsewhere")
    with pytest.raises(ArtifactError, match="the cache has no whole copy of it"):
        from_pretrained("ada/lm")


def test_a_file_that_the_hub_refuses_is_refused_for_the_hubs_reason(hub, lm_folder):
    push_to_hub(lm_folder, "ada/lm")
    hub.instead["/resolve/"] = 403, {"error": "no"}
    with pytest.raises(ArtifactError, match="your token does not allow this"):
        from_pretrained("ada/lm")


def test_a_token_that_cannot_be_sent_is_not_printed(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN + "\x01")
    with pytest.raises(ArtifactError) as refused:
        from_pretrained("ada/lm")
    assert TOKEN not in str(refused.value)


def test_the_hubs_attempts_are_its_own_affair_unless_somebody_asks_to_see_them(hub, monkeypatch):
    from huggingface_hub.utils import logging

    before = logging.get_verbosity()
    with hub_api(Repository("ada/lm")):
        assert logging.get_verbosity() == logging.ERROR
    assert logging.get_verbosity() == before
    monkeypatch.setenv("HF_HUB_VERBOSITY", "info")
    with hub_api(Repository("ada/lm")):
        assert logging.get_verbosity() == before


def test_a_card_that_cannot_be_read_or_is_a_link_is_refused_before_anything_is_sent(hub, lm_folder, tmp_path):
    folder = tmp_path / "lm"
    LanguageModel.load(lm_folder).save(folder)
    card = folder / "README.md"
    for content, said in (
        (b"\xff", "not written in UTF-8"),
        (b"---\na: [\n---\n", "no metadata"),
        (b"---\n- a\n---\n", "no metadata"),
    ):
        card.write_bytes(content)
        with pytest.raises(ArtifactError, match=said):
            push_to_hub(folder, "ada/lm")
    (tmp_path / "secret").write_text("mine", encoding="utf-8")
    card.unlink()
    card.symlink_to(tmp_path / "secret")
    with pytest.raises(ArtifactError, match="a link to a file elsewhere"):
        push_to_hub(folder, "ada/lm")
    assert not hub.repos


def test_a_model_in_the_cache_can_be_pushed_elsewhere(hub, lm_folder):
    push_to_hub(lm_folder, "ada/lm")
    push_to_hub(find_folder("hf:ada/lm"), "ada/copy")
    assert set(hub.repos["ada/copy"].files("main")[1]) == {".gitattributes", *files_of(lm_folder)}


@pytest.mark.parametrize("branch", ["", "a b", "../x"])
def test_a_branch_that_cannot_be_is_refused_before_anything_is_sent(hub, lm_folder, branch):
    with pytest.raises(OptionError, match="a branch, a tag or a commit"):
        push_to_hub(lm_folder, "ada/lm", branch=branch)
    assert not hub.repos


@pytest.mark.parametrize("name", ["reviews", "ada/", "ada/re views", "a/b/c", "ada/../x", "ada/x@", "ada/x@../main"])
def test_a_name_that_no_repository_can_have_is_refused(name):
    with pytest.raises(OptionError, match="is needed"):
        Repository.parse(name)


def test_without_huggingface_hub_a_sentence_says_what_to_install(monkeypatch, ulmfit, lm_folder):
    import sys

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for command in (["predict", "hf:ada/reviews", "a text"], ["push", lm_folder, "ada/lm"]):
        code, _, said = ulmfit(*command)
        assert code == 2 and "pip install 'ulmfit-lib[hub]'" in said


def test_every_file_that_a_model_can_have_may_be_on_the_hub(classifier_folder, lm_folder, tiny_lm, tmp_path):
    assert {*files_of(classifier_folder), *files_of(lm_folder)} <= set(SAVED)
