import pytest

from ulmfit_lib import progress
from ulmfit_lib.stages.fit_classifier import CLASSIFY
from ulmfit_lib.training.run import Run


def test_a_notebook_sees_the_loss_of_each_epoch_and_keeps_it(monkeypatch, fruit, tiny_lm):
    display = pytest.importorskip("IPython.display")
    shown = []

    class Handle:
        def update(self, html):
            shown.append(html.data)

    monkeypatch.setattr(display, "display", lambda html, display_id: (shown.append(html.data), Handle())[1])
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    monkeypatch.setattr(progress, "SECONDS_A_FRAME", 0)
    monkeypatch.setattr(progress, "SECONDS_BEFORE_A_BAR", 0)
    from ulmfit_lib import fit_classifier

    fit_classifier(
        fruit,
        lm=tiny_lm.only("forward"),
        strategy="fine-tune",
        valid=fruit,
        run=Run(device="cpu"),
        recipe=CLASSIFY.with_epochs(1),
    )
    moving, last = [one for one in shown if "loss 0." in one], shown[-1]
    assert any("<progress" in one and "s left" in one for one in moving)
    assert "<progress" not in last and "<td>1</td>" in last and "validation loss" in last


def test_outside_a_notebook_there_is_the_bar_of_the_terminal():
    assert not progress.in_notebook()
    with progress.bar(total=2, description="x", unit="row") as bar:
        assert not isinstance(bar, progress.NotebookBar)


def test_a_notebook_shows_notes_as_output_and_a_terminal_keeps_them_apart(monkeypatch, capsys):
    progress.note("first")
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    progress.note("second")
    assert capsys.readouterr() == ("second\n", "first\n")


def test_a_notebook_keeps_no_output_of_what_is_over_at_once_and_one_of_all_bars_in_a_cell(monkeypatch):
    display = pytest.importorskip("IPython.display")
    displays = []

    class Handle:
        def update(self, html):
            displays[-1] = html.data

    monkeypatch.setattr(display, "display", lambda html, display_id: (displays.append(html.data), Handle())[1])
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    for _ in progress.track(range(3), total=3, description="x", unit="row"):
        pass
    assert displays == []
    monkeypatch.setattr(progress, "SECONDS_A_FRAME", 0)
    monkeypatch.setattr(progress, "SECONDS_BEFORE_A_BAR", 0)
    for _ in range(2):
        for _ in progress.track(range(3), total=3, description="x", unit="row"):
            assert len(displays) <= 1
    assert displays == [""]
