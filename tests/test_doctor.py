import json
import random
from dataclasses import replace

import pytest

from ulmfit_lib import LanguageModel, TextTable
from ulmfit_lib.artifact.record import Stage
from ulmfit_lib.artifact.report import Report
from ulmfit_lib.evaluation.metrics import LanguageModelScore, Scores
from ulmfit_lib.insight.diagnosis import diagnose_model
from ulmfit_lib.insight.doctor import diagnose_data
from ulmfit_lib.insight.text_checks import check_leak

ABOUT = {
    "food": ["soup", "waiter", "dessert", "kitchen", "menu", "bread", "table", "cheese", "chef", "lunch"],
    "film": ["actor", "scene", "camera", "director", "plot", "screen", "script", "ending", "role", "cinema"],
    "travel": ["train", "hotel", "beach", "airport", "ticket", "island", "road", "luggage", "city", "map"],
}
SAID = [
    "was better than we had thought",
    "took a long time this year",
    "is what people remember most",
    "made everyone talk for hours",
    "has changed a lot since then",
    "seemed rather old to me",
]
GERMAN = [
    "wunderbar",
    "Speisekarte",
    "Kellner",
    "Nachtisch",
    "Regisseur",
    "Schauspieler",
    "Drehbuch",
    "Bahnhof",
    "Gepäck",
    "Hauptstadt",
    "gemütlich",
    "verspätet",
    "überraschend",
    "langweilig",
    "Frühstück",
]


def sentence(label, rng):
    one, two, three = rng.sample(ABOUT[label], 3)
    first, second = rng.sample(SAID, 2)
    return (
        f"The {one} near the {two} {first}, and the {three} {second} ({rng.choice('abcdefgh')}{rng.choice('xyzuvw')})"
    )


def rows(n=90, labels=("food", "film", "travel"), seed=0):
    rng = random.Random(seed)
    return [(sentence(label, rng), label) for label in (labels[i % len(labels)] for i in range(n))]


def table(pairs):
    pairs = list(pairs)
    return TextTable.from_lists([text for text, _ in pairs], [label for _, label in pairs])


def shuffled():
    pairs, labels = rows(), [label for _, label in rows()]
    random.Random(2).shuffle(labels)
    return table([(text, label) for (text, _), label in zip(pairs, labels, strict=True)])


def hidden():
    rng = random.Random(3)
    return table([(text, "cuisine" if label == "food" and rng.random() < 0.4 else label) for text, label in rows(120)])


def foreign():
    rng = random.Random(4)
    return table([(" ".join(rng.sample(GERMAN, 9)), label) for _, label in rows()])


def copies():
    pairs = rows(6, seed=5)
    return table([(f"{text} and so on, as we all said before {i}", label) for i in range(15) for text, label in pairs])


def misread():
    read = [f"The café of naïve Zoë: {text} — “so”".encode().decode("cp1252", "replace") for text, _ in rows()]
    return table(zip(read, [label for _, label in rows()], strict=True))


def wrong_column():
    return table([(f"2024-03-{i % 28 + 1:02}", label) for i, (_, label) in enumerate(rows())])


def leaking():
    return table([(f"{label[:2].upper()}-{1000 + 7 * i} {text}", label) for i, (text, label) in enumerate(rows())])


MADE_TO_FAIL = {
    "language": foreign,
    "labels say nothing": shuffled,
    "classes alike": hidden,
    "few labels": lambda: table(rows(20)),
    "copies": copies,
    "encoding": misread,
    "wrong column": wrong_column,
    "leak": leaking,
}


@pytest.fixture(scope="module")
def base():
    return LanguageModel.from_pretrained("wiki-en-small").only("forward")


@pytest.mark.slow
@pytest.mark.parametrize("cause", MADE_TO_FAIL)
def test_the_doctor_names_what_was_made_to_fail(cause, base):
    found = diagnose_data(MADE_TO_FAIL[cause](), base=base, device="cpu")
    assert found.cause == cause, found.sentences()


@pytest.mark.slow
def test_the_doctor_finds_nothing_wrong_with_sound_data(base):
    found = diagnose_data(table(rows()), base=base, device="cpu")
    assert found.cause is None, found.sentences()
    assert "Nothing is wrong" in found.sentences()[-1]


def test_numbers_that_are_sorted_by_label_are_a_leak():
    pairs = sorted(rows(), key=lambda pair: pair[1])
    numbered = table((f"{100 + i} {text}", label) for i, (text, label) in enumerate(pairs))
    assert check_leak(numbered).cause == "leak"
    assert check_leak(table(pairs)) is None


@pytest.mark.slow
def test_the_doctor_names_the_column_of_the_texts_and_forecasts_what_fit_takes(ulmfit, write_csv, lm_folder):
    pairs = [(f"2024-03-{i % 28 + 1:02}", label, text) for i, (text, label) in enumerate(rows(60))]
    data = write_csv(pairs, header=("day", "topic", "comment"))
    columns = ["--text", "day", "--label", "topic", "--base", lm_folder]
    code, out, _ = ulmfit("doctor", data, *columns)
    assert code == 0 and "--text comment" in out
    code, out, _ = ulmfit("doctor", data, "--text", "comment", *columns[2:], "--json")
    assert code == 0 and json.loads(out)["forecast"]["megabytes"] > 100


def scores(accuracy, low, confusion=((9, 1), (1, 9))):
    names = [f"class {i}" for i in range(len(confusion))]
    rest = {"macro_f1": accuracy, "log_loss": 0.5, "calibration_error": 0.1, "reliability": []}
    return Scores(n=20, accuracy=accuracy, low=low, high=1, classes=names, confusion=confusion, **rest)


@pytest.mark.parametrize(
    ("cause", "report"),
    [
        (None, Report("", 20, 0.5, {"ensemble": scores(0.9, 0.8), "baseline": scores(0.8, 0.6)})),
        ("few labels", Report("", 20, 0.5, {"ensemble": scores(0.6, 0.4)}, labelled_rows=80)),
        ("labels say nothing", Report("", 20, 0.5, {"ensemble": scores(0.5, 0.4)}, labelled_rows=8000)),
        (
            "no better than TF-IDF",
            Report("", 20, 0.5, {"ensemble": scores(0.8, 0.6), "baseline": scores(0.9, 0.8)}),
        ),
        (
            "classes alike",
            Report("", 20, 0.4, {"ensemble": scores(0.7, 0.6, ((9, 1, 0), (8, 2, 0), (0, 0, 10)))}, labelled_rows=300),
        ),
    ],
)
def test_a_trained_classifiers_record_tells_which_stage_is_at_fault(tiny_classifier, cause, report):
    stages = tuple(stage for stage in tiny_classifier.training.stages if stage.name != "fine-tune")
    training = replace(tiny_classifier.training, report=report, stages=stages)
    found = diagnose_model(replace(tiny_classifier, training=training))
    assert found.cause == cause
    read = Stage(
        "fine-tune",
        texts=9,
        unknown_share=0.5,
        validation=LanguageModelScore(30.0, 90.0, 0.5, 100, 60),
        history={"forward": [{"perplexity": 50.0}, {"perplexity": 49.9}]},
    )
    again = diagnose_model(replace(tiny_classifier, training=training.then(read)))
    assert again.cause == "language"
    again = diagnose_model(replace(tiny_classifier, training=training.then(replace(read, unknown_share=0.01))))
    assert "reading" in {one.cause for one in again.findings}
