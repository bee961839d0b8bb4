import json
import os
import re
import shlex
import signal
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest

from ulmfit_lib.cli.running import COMMANDS, TOPICS, app
from ulmfit_lib.version import __version__

REVIEW = ["--text", "review"]
LABELS = [*REVIEW, "--label", "sentiment"]
ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def models(tiny_lm, tiny_classifier, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    tiny_lm.save(folder / "lm")
    tiny_classifier.save(folder / "classifier")
    return folder


def test_the_three_stages_follow_each_other(ulmfit, models, write_csv, fruit, tmp_path):
    data = write_csv(zip(fruit.texts, fruit.labels, strict=True))
    lm, out = tmp_path / "new" / "lm", tmp_path / "new" / "clf"
    code, stdout, _ = ulmfit("fit-lm", data, *REVIEW, "--base", models / "lm", "--epochs", 1, "--out", lm)
    assert code == 0 and "perplexity" in stdout and str(lm) in stdout
    arguments = ["fit-classifier", data, *LABELS, "--lm", lm, "--strategy", "linear-probe", "--out", out]
    assert ulmfit(*arguments)[0] == 0
    code, stdout, _ = ulmfit("evaluate", out, data, *LABELS, "--json")
    scores = json.loads(stdout)
    assert code == 0 and {"accuracy", "macro_f1", "log_loss", "n"} <= scores.keys() and scores["n"] == 48
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["clf", "lm"]


def test_fit_reports_and_delivers(ulmfit, models, write_csv, fruit, tmp_path):
    data = write_csv([*zip(fruit.texts, fruit.labels, strict=True), ("no label", "")])
    arguments = [data, *LABELS, "--base", models / "lm", "--lm-epochs", 1, "--json", "--out", tmp_path / "model"]
    code, stdout, stderr = ulmfit("fit", *arguments)
    report = json.loads(stdout)
    assert code == 0 and report["held_out_rows"] == 48 and "minutes" in stderr
    assert report["base"].endswith("as asked for") and len(report["base_has_read"]) == 1
    assert ulmfit("fit", *arguments)[0] == 2  # the place is taken


@pytest.mark.slow
@pytest.mark.parametrize(("flag", "trained"), [("--with-baseline", True), ("--no-baseline", False)])
def test_fit_trains_the_baseline_unless_told_not_to(ulmfit, models, write_csv, fruit, tmp_path, flag, trained):
    data, out = write_csv(zip(fruit.texts, fruit.labels, strict=True)), tmp_path / "model"
    quickly = ["--base", models / "lm", "--lm-epochs", 1, "--strategy", "linear-probe", flag, "--json"]
    code, stdout, stderr = ulmfit("fit", data, *LABELS, *quickly, "--out", out)
    assert code == 0, stderr
    assert ("baseline" in json.loads(stdout)) == trained


def test_ctrl_c_says_how_to_go_on(ulmfit, models, write_csv, fruit, tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    stop = "ulmfit_lib.stages.fit_lm.train_directions"
    monkeypatch.setattr(stop, lambda *_, **__: os.kill(os.getpid(), signal.SIGINT))
    data, out = write_csv(zip(fruit.texts, fruit.labels, strict=True)), tmp_path / "lm"
    code, _, stderr = ulmfit("fit-lm", data, *REVIEW, "--base", models / "lm", "--out", out)
    assert code == 130 and "Stopped." in stderr and "Traceback" not in stderr and not out.exists()
    assert signal.getsignal(signal.SIGINT) is before


def test_pretrain_reads_several_files(ulmfit, write_csv, reviews, tmp_path):
    files = [write_csv([(text, "") for text in reviews.texts[i : i + 40]], name=f"{i}.csv") for i in (0, 40)]
    size = ["--embedding", 8, "--hidden", 8, "--layers", 1, "--batch-size", 4]
    code, stdout, _ = ulmfit("pretrain", *files, *REVIEW, *size, "--out", tmp_path / "wiki", "--precision", "int8")
    assert code == 0 and "read 72 texts" in stdout
    code, stdout, _ = ulmfit("generate", tmp_path / "wiki", "--prompt", "The", "--max-tokens", 5)
    assert code == 0 and stdout.startswith("The")


def test_predict_keeps_every_row_and_follows_a_shuffle(ulmfit, models, write_csv, fruit, tmp_path):
    rows = [(text, str(i)) for i, text in enumerate(fruit.texts)] + [("  ", "blank")]
    data, shuffled = write_csv(rows, header=("review", "id")), write_csv(rows[::-1], "b.csv", ("review", "id"))
    results = []
    for source in (data, shuffled):
        out = tmp_path / f"{source.stem}-out.csv"
        code, _, stderr = ulmfit("predict", models / "classifier", source, *REVIEW, "--out", out)
        assert code == 0 and "1 row has no text" in stderr
        results.append(pd.read_csv(out, keep_default_na=False, dtype=str).set_index("id"))
    pd.testing.assert_frame_equal(results[0], results[1].loc[results[0].index])
    assert results[0].loc["blank", "prediction"] == "" and len(results[0]) == 49
    assert set(results[0]["prediction"][:-1]) == {"positive", "negative"}


@pytest.mark.parametrize("suffix", [".tsv", ".jsonl", ".parquet"])
def test_predictions_come_in_other_formats(ulmfit, models, write_csv, tmp_path, suffix):
    from ulmfit_lib import read_table

    out = tmp_path / f"out{suffix}"
    assert ulmfit("predict", models / "classifier", write_csv([("great", "x")]), *REVIEW, "--out", out)[0] == 0
    assert read_table(out, text="review", label="prediction").labels[0] in ("positive", "negative")


def test_models_and_info_describe(ulmfit, models):
    listed = json.loads(ulmfit("models", "--json")[1])
    assert "wiki-en-small" in [row["name"] for row in listed]
    assert "wiki-en-small" in ulmfit("models")[1]
    assert json.loads(ulmfit("info", models / "classifier", "--json")[1])["classes"] == ["negative", "positive"]
    assert "language model" in ulmfit("info", models / "lm")[1]


def test_a_model_that_was_added_is_listed_beside_those_that_are_embedded_or_can_be_downloaded(
    ulmfit, models, tmp_path, monkeypatch
):
    monkeypatch.setenv("ULMFIT_CACHE", str(tmp_path / "cache"))
    assert ulmfit("models", "add", models / "lm", "--name", "house")[0] == 0
    listed = {row["name"]: row for row in json.loads(ulmfit("models", "--json")[1])}
    assert listed["house"]["where"] == "cached" and listed["wt103"]["where"] == "downloadable"
    embedded = listed["wiki-en-small"]
    assert embedded["where"] == "embedded" and len(embedded["sha256"]) == 64 and "CC BY-SA" in embedded["licence"]


def test_language_models_are_compared_by_name_and_by_folder_with_the_texts_that_they_find_hardest(
    ulmfit, models, write_csv, reviews, tmp_path, monkeypatch
):
    monkeypatch.setenv("ULMFIT_CACHE", str(tmp_path / "cache"))
    assert ulmfit("models", "add", models / "lm", "--name", "house")[0] == 0
    data = write_csv([[text, ""] for text in reviews.texts[:30]])
    code, out, _ = ulmfit("evaluate-lm", "house", models / "lm", "--on", data, *REVIEW, "--json")
    first, second = json.loads(out)
    assert code == 0 and first["perplexity_per_word"] == second["perplexity_per_word"]
    hardest = first["hardest"]
    assert [one["text"] for one in hardest] == [reviews.texts[one["row"] - 1] for one in hardest]
    assert hardest[0]["perplexity_per_word"] >= hardest[-1]["perplexity_per_word"] > first["perplexity_per_word"]
    assert "row " in ulmfit("evaluate-lm", "house", "--on", data, *REVIEW)[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["models", "add", "nowhere"], "nowhere"),
        (["models", "download", "bert"], "'bert'"),
        (["models", "download", "--from-file", "wt103.tgz"], "neither fwd nor bwd"),
        (["models", "download", "--from-file", "wt103-fwd.tgz"], "cannot be unpacked"),
        (["models", "import", "a.pth", "b.pkl", "--out", "c"], "b.pkl"),
        (["models", "import", "a.pth", "b.pkl", "--out", "c", "--direction", "both"], "'both'"),
        (["pretrain", "a.jsonl", "--out", "c", "--base", "wiki-en-small", "--language", "de"], "--language"),
        (["pretrain", "a.xml.bz2", "--out", "c"], "a.xml.bz2: no such file"),
        (["evaluate-lm", "wiki-en-small", "--on", "a.csv", "--text", "review"], "a.csv: no such file"),
    ],
)
def test_bad_requests_about_language_models_exit_2(ulmfit, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ULMFIT_CACHE", str(tmp_path / "cache"))
    code, _, err = ulmfit(*arguments)
    assert code == 2 and said in err and err.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] in ([], ["cache"])


@pytest.mark.parametrize("number", [1, 2])
def test_what_is_counted_agrees_with_its_number(ulmfit, models, write_csv, number):
    data = write_csv([("great", "positive"), *[("", "negative")] * number])
    said = ["1 row has no text", "2 rows have no text"][number - 1]
    assert said in ulmfit("predict", models / "classifier", data, *REVIEW)[2]
    _, stdout, stderr = ulmfit("evaluate", models / "classifier", data, *LABELS)
    assert stdout.startswith("1 row:") and ["1 row without", "2 rows without"][number - 1] in stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fit", "a.csv", "--recipe", "magic"], "not one of 'cpu', 'paper', 'scripts', 'fastai', 'multifit'"),
        (["fit", "a.csv", "--direction", "up"], "'up' is not one of 'forward', 'backward', 'both'"),
        (
            ["fit", "a.csv", "--strategy", "magic"],
            "'magic' is not one of 'auto', 'fine-tune', 'contrast', 'linear-probe'",
        ),
        (["fit", "a.csv", "--class-weights", "no"], "--class-weights"),
        (
            ["fit-classifier", "a.csv", "--strategy", "auto"],
            "'auto' is not one of 'fine-tune', 'contrast', 'linear-probe'",
        ),
        (["pretrain", "a.csv", "--tokens", "bytes"], "'bytes' is not one of 'words', 'subwords'"),
        (["pretrain", "a.csv", "--precision", "int4"], "'int4' is not one of 'float32', 'float16', 'int8'"),
        (["generate", "wiki-en-small", "--top-p", "2"], "--top-p"),
        (["generate"], "missing argument"),
        (["fit", "a.csv"], "missing option '--text'"),
        (["fit", "a.csv", "--text", "review", "--out"], "'--out' requires an argument"),
        (["info", "a", "b"], "unexpected extra argument"),
        (["predict", "m", "a.csv", "--txt", "a"], "--txt"),
        (["fti"], "no such command 'fti'. Did you mean 'fit'?"),
        (["models", "fti"], "no such command 'fti'"),
    ],
)
def test_a_wrong_command_line_is_refused_in_one_sentence(ulmfit, arguments, said):
    code, stdout, stderr = ulmfit(*arguments)
    assert code == 2 and said in stderr and not stdout
    assert stderr.startswith("Error: ") and stderr.count("\n") == 1 and "--help`" in stderr


def test_the_choices_offered_are_those_that_exist():
    from ulmfit_lib.artifact.format import DIRECTIONS
    from ulmfit_lib.artifact.tensors import PRECISIONS
    from ulmfit_lib.cli import options
    from ulmfit_lib.training.recipes import RECIPES

    assert get_args(options.RecipeName) == tuple(RECIPES)
    assert get_args(options.Precision) == PRECISIONS
    assert get_args(options.Direction) == (*DIRECTIONS, "both")


def test_the_version_is_said(ulmfit):
    code, said, _ = ulmfit("--version")
    assert code == 0 and said == f"ulmfit, version {__version__}\n"


def test_the_help_gives_the_default_of_an_argument(ulmfit):
    assert "[default: wt103]" in ulmfit("models", "download", "--help")[1]


def commands():
    """Every command of the command line, with the words that call it."""
    for name in app.list_commands(None):
        command = app.get_command(None, name)
        yield name, command
        for inner, other in getattr(command, "commands", {}).items():
            yield f"{name} {inner}", other


def example_of(command):
    return shlex.split(command.epilog.removeprefix("Example:  ulmfit "))


def test_each_command_is_looked_for_in_the_module_that_has_it():
    sources = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "ulmfit_lib" / "cli").glob("*.py")}
    found = {name: re.findall(r'^@command\(\s*"([a-z-]+)"', source, re.MULTILINE) for name, source in sources.items()}
    assert {module: tuple(names) for module, names in found.items() if names} == COMMANDS


def test_the_help_lists_each_command_once_under_what_it_is_about(ulmfit):
    listed = [name for names in TOPICS.values() for name in names]
    assert sorted(listed) == sorted(name for names in COMMANDS.values() for name in names)
    said = ulmfit("--help")[1]
    assert re.findall("^  ([a-z-]+)  ", said, re.MULTILINE) == listed
    assert "\nCommands:\n  add" in ulmfit("models", "--help")[1]


@pytest.mark.parametrize(("name", "command"), commands(), ids=[name for name, _ in commands()])
def test_every_commands_help_ends_with_an_example_that_parses(ulmfit, name, command):
    code, stdout, _ = ulmfit(*name.split(), "--help")
    assert code == 0 and " ".join(stdout.split()).endswith(" ".join(command.epilog.split()))
    example, depth = example_of(command), len(name.split())
    assert example[:depth] == name.split()
    assert all((ROOT / word).is_file() for word in example if word.startswith("examples/"))
    assert command.make_context(name, example[depth:]).params


@pytest.mark.slow
def test_examples_that_follow_each_other_work_as_typed(ulmfit, models, tmp_path, monkeypatch):
    (tmp_path / "examples").symlink_to(EXAMPLES)
    for name, source in (("reviews", "classifier"), ("reviews-lm", "lm")):
        (tmp_path / "models").mkdir(exist_ok=True)
        (tmp_path / "models" / name).symlink_to(models / source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ULMFIT_CACHE", str(tmp_path / "cache"))
    cheap = {"models", "models add", "info", "generate", "evaluate-lm", "predict", "evaluate"}
    cheap |= {"explain", "suggest-labels", "diagnose", "embed", "similar"}
    for name, command in commands():
        if name in cheap:
            code, _, stderr = ulmfit(*example_of(command))
            assert code == 0, f"{name}: {stderr}"
    assert (tmp_path / "predictions.csv").is_file()


GOOD = [(f"{word} film {i}", label) for i in range(10) for word, label in (("good", "pos"), ("bad", "neg"))]


@pytest.mark.parametrize(
    ("rows", "arguments", "said"),
    [
        (GOOD, ["--text", "reviw"], "no column 'reviw'"),
        (GOOD, ["--encoding", "utf-99"], "utf-99"),
        ([], [], "no rows"),
        ([(text, "pos") for text, _ in GOOD], [], "needs two"),
        ([*GOOD, ("so so", "meh")], [], "'meh' occurs once, in row 21"),
        ([(label, f"{text} indeed number {i}, I would say") for i, (text, label) in enumerate(GOOD * 2)], [], "swap"),
        (GOOD, ["--base", "nowhere"], "nowhere: no such model"),
        (GOOD, ["--strategy", "magic"], "magic"),
        (GOOD, ["--direction", "up"], "'up'"),
        (GOOD, ["--test-fraction", "2"], "between 0 and 1"),
        (GOOD, ["--device", "quantum"], "quantum"),
        (GOOD, ["--with-baseline", "maybe"], "maybe"),
    ],
)
def test_bad_input_exits_2_with_one_sentence_and_leaves_nothing(
    ulmfit, models, write_csv, tmp_path, rows, arguments, said
):
    data, out = write_csv(rows), tmp_path / "result" / "model"
    given = {"--text": "review", "--label": "sentiment", "--base": str(models / "lm"), "--out": str(out)}
    given.update(zip(arguments[::2], arguments[1::2], strict=True))
    code, stdout, stderr = ulmfit("fit", data, *(part for pair in given.items() for part in pair))
    assert code == 2 and said in stderr and "Traceback" not in stderr and not stdout
    assert stderr.strip().splitlines()[-1].startswith("Error: ")
    assert not out.exists() and not out.parent.exists()
