"""Every benchmark in its quick form, but the one that needs Ray."""

import json
import time
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
NAMES = (
    "accuracy",
    "base_parts",
    "contrast",
    "decisions",
    "explanations",
    "few_labels",
    "label_budget",
    "label_loop",
    "light",
    "memory",
    "parallel_tokens",
    "peers",
    "pretraining",
    "readers",
    "scaling",
    "scope",
    "scope-contrast",
    "serving",
    "several_processes",
    "speed",
    "token_parity",
    "tuning",
    "verdicts",
    "zero_labels",
)


@pytest.fixture(scope="module")
def quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        import quick

        yield quick


@pytest.fixture(scope="module")
def folder(quick, tmp_path_factory):
    path = tmp_path_factory.mktemp("texts")
    quick.write_texts(path)
    return path


def test_every_quick_form_is_of_a_benchmark_that_there_is(quick):
    assert set(NAMES) == set(quick.FAST)
    assert all(quick.script_of(name).is_file() for name in (*quick.FAST, *quick.WITH_RAY))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_benchmark_runs_and_says_where(quick, folder, capsys, name):
    clocks = time.perf_counter, time.monotonic
    quick.run(name, folder)
    assert (time.perf_counter, time.monotonic) == clocks
    result = json.loads(capsys.readouterr().out)
    assert {"machine", "versions", "date"} <= result.keys()
