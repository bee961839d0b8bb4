import numpy as np
import pytest

from ulmfit_lib.tokens import pieces

TEXTS = ["to be or not to be", "", " two  spaces ", "née über \n", "to"]


@pytest.mark.parametrize("texts", [TEXTS, ["one"], [""]])
def test_texts_are_cut_alike_with_and_without_arrow(texts, monkeypatch):
    found = []
    for there in (True, False):
        monkeypatch.setattr(pieces, "HAS_ARROW", there)
        found.append(pieces.cut_at_spaces(texts))
    assert found[0].distinct == found[1].distinct
    for one, other in zip(found[0][1:], found[1][1:], strict=True):
        np.testing.assert_array_equal(one, other)
    cut = [found[0].distinct[place] for place in found[0].places]
    assert cut == [piece for text in texts for piece in text.split(" ")]


@pytest.mark.parametrize("there", [True, False])
def test_half_a_surrogate_pair_is_refused(there, monkeypatch):
    monkeypatch.setattr(pieces, "HAS_ARROW", there)
    with pytest.raises(UnicodeEncodeError):
        pieces.cut_at_spaces(["a \ud800"])
