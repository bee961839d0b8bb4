"""An agent's tools, called by the protocol's own client."""

import asyncio
import json

import pytest

mcp = pytest.importorskip("mcp")


@pytest.fixture
def call(tmp_path):
    """Call some tools of a server that sees ``tmp_path / "open"``; returns each result."""
    from ulmfit_lib.cli.mcp_tools import build_server

    (tmp_path / "open").mkdir()

    def run(*calls):
        async def talk():
            heard = []

            async def listen(*progress):
                heard.append(progress)

            async with mcp.Client(build_server(tmp_path / "open")) as client:
                found = [await client.call_tool(name, given, progress_callback=listen) for name, given in calls]
            return found, heard

        return asyncio.run(talk())

    return run


def said(result):
    return " ".join(one.text for one in result.content)


@pytest.mark.slow
def test_an_agent_goes_from_a_csv_to_labels_in_three_calls(call, tmp_path, monkeypatch, tiny_lm, write_csv, fruit):
    from ulmfit_lib.pipeline import fit_file as module

    write_csv(zip(fruit.texts, fruit.labels, strict=True), name="open/data.csv")
    whole = module.fit_file
    monkeypatch.setattr("ulmfit_lib.cli.mcp_tools.SECONDS", 0.05)
    monkeypatch.setattr(module, "fit_file", lambda *a, **b: whole(*a, **b, base=lm, strategy="linear-probe"))
    lm = tmp_path / "lm"
    tiny_lm.save(lm)
    (looked, fitted, labelled, report, why, next_ones), heard = call(
        ("look_at_file", {"file": "data.csv"}),
        ("fit", {"file": "data.csv", "text": "review", "label": "sentiment", "model": "m"}),
        ("predict", {"model": "m", "texts": ["the film was great great"]}),
        ("report", {"model": "m"}),
        ("explain", {"model": "m", "text": "the film was great great"}),
        ("suggest_labels", {"model": "m", "file": "data.csv", "text": "review", "n": 3}),
    )
    assert json.loads(said(looked))["columns"] == ["review", "sentiment"] and json.loads(said(looked))["rows"] == 48
    assert not fitted.is_error and "48 labelled rows" in said(fitted), said(fitted)
    assert "saved in m " in said(fitted)  # as the agent named it
    assert '"positive"' in said(labelled) and "48 labelled rows" in said(report)
    assert "great" in said(why) and '"row"' in said(next_ones)
    assert heard, "a training gives signs of life"


def test_paths_stay_in_the_folder(call, tmp_path):
    (tmp_path / "secret.csv").write_text("text\nhidden\n")
    (tmp_path / "open" / "link.csv").symlink_to(tmp_path / "secret.csv")
    files = ("../secret.csv", str(tmp_path / "secret.csv"), "link.csv", "a/../../secret.csv", "\0")
    found, _ = call(*(("look_at_file", {"file": file}) for file in files))
    for result in found:
        assert result.is_error and "hidden" not in said(result)
        assert "leads out of the folder" in said(result) or "cannot be a path" in said(result)


def test_a_mistake_is_a_sentence_without_the_folders_own_path(call, tmp_path):
    ((result, model), _) = call(("look_at_file", {"file": "no.csv"}), ("report", {"model": "no"}))
    assert result.is_error and "no.csv" in said(result) and str(tmp_path) not in said(result)
    assert model.is_error and "no such folder" in said(model)


def test_the_command_wants_a_folder(ulmfit, tmp_path):
    code, _, err = ulmfit("mcp", tmp_path / "nowhere")
    assert code == 2 and "no such folder" in err
