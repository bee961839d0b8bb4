import numpy as np

from ulmfit_lib import TextTable
from ulmfit_lib.data.near_copies import near_copies


def sentences(count, *, words=40, seed=0):
    draw = np.random.default_rng(seed)
    return [" ".join(f"w{n}" for n in draw.zipf(1.3, words) % 5000) for _ in range(count)]


def changed(text):
    """One word in the middle, the case and the marks are others."""
    words = text.split()
    words[len(words) // 2] = "otherwise"
    return ", ".join(words).upper() + "!!"


def test_copies_and_near_copies_are_one_group():
    texts = sentences(30)
    whole = [*texts, texts[3], changed(texts[4]), changed(texts[29]).lower()]
    groups = near_copies(whole, range(30))
    assert groups[3] == groups[30] and groups[4] == groups[31] and groups[29] == groups[32]
    assert len(set(groups.tolist())) == 30


def test_short_texts_must_have_the_same_words():
    texts = ["What is the capital of Spain ?", "What is the capital of France ?", "what is the capital of spain"]
    groups = near_copies(texts, range(3))
    assert groups[0] == groups[2] != groups[1]
    assert len(set(near_copies(["", "!", "?", "日本語", "日本語。"], range(5)).tolist())) == 4


def test_a_turn_of_phrase_brings_no_texts_together():
    opening = "this is one of the best films that i have ever seen in all of my life and "
    texts = [opening + text for text in sentences(40)]
    assert len(set(near_copies(texts, range(40)).tolist())) == 40


def test_no_copy_is_held_out_and_all_are_counted():
    texts = sentences(100)
    copies = [changed(text) for text in texts[:6]] + [texts[6]]
    labels = ["a", "b"] * 50
    table = TextTable.from_lists([*texts, *copies], [*labels, *labels[:3], None, None, None, None])
    train, test = table.split(0.2, seed=0)
    assert train.copies == test.copies == 14 and 18 <= len(test) <= 22
    assert {*texts[:7], *copies} <= set(train.texts)


def test_where_all_have_a_copy_those_alike_stay_together():
    texts = sentences(40)
    table = TextTable.from_lists([*texts, *map(changed, texts)], ["a", "b"] * 40)
    train, test = table.split(0.25, seed=0)
    assert len(test) == 20 and len(train) == 60
    groups = near_copies([*train.texts, *test.texts], range(80))
    assert not set(groups[:60].tolist()) & set(groups[60:].tolist())
