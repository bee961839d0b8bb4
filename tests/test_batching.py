import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from ulmfit_lib.tokens.documents import Documents, group_by_length, pad_texts
from ulmfit_lib.training.streams import LanguageModelStream


def documents(lengths):
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Documents(np.arange(offsets[-1], dtype=np.int32) + 10, offsets)


def test_targets_are_inputs_one_token_ahead_and_rows_go_on():
    batches = list(LanguageModelStream(documents([40, 25, 60]), batch_size=4, window=7, shuffle=False))
    rows = torch.cat([inputs for inputs, _ in batches], dim=1)
    assert torch.equal(rows[:, 1:], torch.cat([targets for _, targets in batches], dim=1)[:, :-1])
    assert torch.equal(rows[0], torch.arange(10, 10 + rows.shape[1]))


def test_each_epoch_has_its_own_order_and_start_skips_exactly():
    stream = LanguageModelStream(documents([20] * 30), batch_size=4, window=10, seed=3)
    first, second = list(stream), list(stream)
    assert len(first) == len(stream) and not torch.equal(first[0][0], second[0][0])
    resumed = LanguageModelStream(documents([20] * 30), batch_size=4, window=10, seed=3)
    resumed.epoch, resumed.start = 1, 5
    for (inputs, _), (expected, _) in zip(resumed, second[5:], strict=True):
        assert torch.equal(inputs, expected)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=40), st.integers(1, 5), st.booleans())
def test_a_stream_reads_the_shuffled_texts_end_to_end(lengths, batch_size, backward):
    texts = documents(lengths).backwards() if backward else documents(lengths)
    if texts.n_tokens < 2:
        return
    stream = LanguageModelStream(texts, batch_size=batch_size, window=3, seed=1)
    order = np.random.default_rng([1, 0]).permutation(len(lengths))
    whole = np.concatenate([texts[i] for i in order])
    whole = whole[: len(whole) // stream.batch_size * stream.batch_size].reshape(stream.batch_size, -1)
    batches = list(stream)
    assert torch.cat([inputs for inputs, _ in batches], 1).tolist() == whole[:, :-1].tolist()
    assert torch.cat([targets for _, targets in batches], 1).tolist() == whole[:, 1:].tolist()


def test_a_corpus_shorter_than_a_window_still_gives_a_batch():
    assert len(list(LanguageModelStream(documents([5]), batch_size=80, window=64))) == 1


@given(st.lists(st.integers(0, 60), min_size=1, max_size=60), st.booleans())
def test_every_text_comes_once_and_batches_stay_in_bounds(lengths, training):
    shuffle = np.random.default_rng(0) if training else None
    texts = documents(lengths)
    groups = group_by_length(texts.lengths, max_texts=7, max_tokens=100, shuffle=shuffle)
    batches = [pad_texts(texts, places, 1) for places in groups]
    assert sorted(i for batch in batches for i in batch.indices) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch.indices) <= (8 if not training else 15)
        if not training:
            assert batch.ids.size <= 100
        if training and len(lengths) > 1:
            assert len(batch.indices) > 1
        for row, i, length in zip(batch.ids, batch.indices, batch.lengths, strict=True):
            expected = documents(lengths)[i]
            assert length == max(1, len(expected)) and row[: len(expected)].tolist() == expected.tolist()
