import gc
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ulmfit_lib.errors import ArtifactError, OptionError
from ulmfit_lib.tokens import words
from ulmfit_lib.tokens.corpus import tokenize_corpus
from ulmfit_lib.tokens.documents import encode_texts
from ulmfit_lib.tokens.rules import RULES, SPECIAL_TOKENS
from ulmfit_lib.tokens.splitting import RULES_FILE, Splitter, SplittingRules
from ulmfit_lib.tokens.subwords import SubwordTokenizer
from ulmfit_lib.tokens.tokenizer import detokenize, load_tokenizer
from ulmfit_lib.tokens.vocabulary import Vocabulary
from ulmfit_lib.tokens.words import WordTokenizer

ODD = [
    "",
    " ",
    "\t\n",
    "a",
    "soooooo goooood!!!!!",
    "very very very very bad",
    "ALL CAPS HERE",
    "I AM. Not SHOUTING",
    "<b>bold</b><br /><br />next",
    "caf&eacute; &amp; bar #39;s",
    "🎉🎉🎉🎉 wow 👩‍👩‍👧",
    "tab\tand  many   spaces",
    "no/slash\\back#hash",
    "don't can't U.S.A. e.g. 3.14 10,000 $5",
    "日本語のテキスト",
    "naïve façade",
    "x" * 2000,
    "word " * 50,
    "McDonald's iPhone",
    "...",
    "xxbos xxup odd",
    "a\u00a0b\u200bc",
    "Ünïcödé ÜBER",
    "A B C D",
]


@pytest.fixture(scope="module")
def fastai_tokens():
    from fastai.text.core import TokenizeWithRules
    from fastai.text.core import WordTokenizer as FastaiWords

    tokenize = TokenizeWithRules(FastaiWords())
    return lambda texts: [list(tokens) for tokens in tokenize(texts)]


def test_special_tokens_are_fastais():
    from fastai.text.core import defaults

    assert list(SPECIAL_TOKENS) == defaults.text_spec_tok


@settings(max_examples=500, deadline=None)
@given(
    st.text(
        alphabet=st.one_of(st.sampled_from('aAbBÉéΣıİ no!.…/#\\"\n\t\u00a0\u2028&;<>@39'), st.characters()), max_size=60
    )
)
def test_each_rule_is_fastais(text):
    from fastai.text.core import defaults

    assert [rule.__name__ for rule in RULES] == [rule.__name__ for rule in defaults.text_proc_rules]
    for ours, theirs in zip(RULES, defaults.text_proc_rules, strict=True):
        assert ours(text) == theirs(text)
        text = ours(text)


def test_odd_texts_give_fastais_tokens(fastai_tokens):
    assert list(WordTokenizer()(ODD)) == fastai_tokens(ODD)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=80), max_size=4))
def test_any_text_gives_fastais_tokens(fastai_tokens, texts):
    assert list(WordTokenizer()(texts)) == fastai_tokens(texts)


@pytest.fixture(scope="module")
def fresh_words():
    """A tokenizer that has seen nothing yet; spaCy loads only once."""
    tokenizer = WordTokenizer()

    def forget():
        tokenizer._forget()
        return tokenizer

    return forget


PIECES = [
    "no",
    "no",
    "No",
    "NO",
    "I",
    "A.",
    "a.m.",
    "8a.m.",
    "8",
    ":)",
    ":",
    ")",
    "great:)",
    "...",
    "...so",
    "so...",
    "/",
    "and/or",
    "&amp;",
    "&nbsp;",
    "x&nbsp;",
    "nbsp;",
    "&lt",
    "#39;",
    "\\n",
    "x\\nx\\nx",
    "<br />",
    "<br",
    "/>",
    "@.@",
    "@-@",
    "333",
    "3",
    "!!!",
    "don't",
    "cant",
    "Cannot",
    "U.S.",
    "$5",
    "10km",
    "\u2581",
    "\ue000",
    "\u0130",
    "\u03a3\u03a3",
    "xxbos",
    "xxrep",
    "\U0001f389",
    "-",
    "--",
    "'",
    "''",
    "'bout",
    "so''",
    "'cause",
    "film",
    "was",
    "(well-made),",
    "Dr.",
    "it's",
    "O'Neill's",
]
GAPS = [" ", " ", " ", "  ", "\n", " \n", "\n ", " \n ", "\n\n", "\t", "\u00a0", "\u2028", "", "\n \n"]


@pytest.mark.slow
def test_threads_that_share_a_tokenizer_get_the_tokens_of_their_own_texts():
    shared, texts = WordTokenizer(), [[f"word{n} x{n * k}, {k}th?" for n in range(300)] for k in range(8)]
    expected = [list(WordTokenizer()(some)) for some in texts]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(shared.index, texts))
    for one, tokens in zip(found, expected, strict=True):
        assert [one.types[i] for i in one.ids] == [token for text in tokens for token in text]


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(GAPS)), max_size=30))
@example([("no", " "), ("\\n", " \n"), ("no", " ")])
@example([("\\n", ""), ("no", " ")])
@example([("x\\nx\\nx", " "), ("x&nbsp;", " ")])
def test_pieces_that_meet_give_fastais_tokens(fastai_tokens, fresh_words, pairs):
    text = "".join(piece + gap for piece, gap in pairs)
    tokenizer = fresh_words()
    assert list(tokenizer([text])) == fastai_tokens([text])
    assert list(tokenizer([text, f"a {text}"])) == fastai_tokens([text, f"a {text}"])  # now that all pieces are known


def test_a_hundred_thousand_characters_without_a_space(fastai_tokens):
    text = "abcdefghij" * 10_000
    assert list(WordTokenizer()([text])) == fastai_tokens([text])


def test_an_unknown_language_is_named():
    with pytest.raises(OptionError, match="'klingon'"):
        WordTokenizer("klingon")


def test_a_corpus_counts_and_numericalizes(tmp_path):
    texts = ["good good film", "bad film", ""]
    corpus = tokenize_corpus(texts, WordTokenizer(), cache=tmp_path)
    assert len(corpus) == 3 and dict(zip(corpus.types, corpus.counts, strict=True))["film"] == 2
    vocabulary = Vocabulary.from_counts(corpus.types, corpus.counts, min_count=2)
    assert vocabulary.tokens[:9] == SPECIAL_TOKENS and "bad" not in vocabulary.index
    documents = corpus.numericalize(vocabulary)
    assert vocabulary.decode(documents[1]) == ["xxbos", "xxunk", "film"]
    encoded = encode_texts(texts, WordTokenizer(), vocabulary)
    assert all(np.array_equal(documents[i], encoded[i]) for i in range(len(texts)))
    assert documents.counts(len(vocabulary)).tolist() == encoded.counts(len(vocabulary)).tolist()
    assert vocabulary.decode(documents.backwards()[0])[-1] == "xxbos"


def test_the_second_run_tokenises_nothing(tmp_path):
    class Counting(WordTokenizer):
        texts = 0

        def index(self, texts):
            Counting.texts += len(texts)
            return super().index(texts)

    first = tokenize_corpus(["one text", "another"], Counting(), cache=tmp_path)
    second = tokenize_corpus(["one text", "another"], Counting(), cache=tmp_path)
    assert Counting.texts == 2 and np.array_equal(first.ids[:], second.ids[:]) and first.types == second.types
    tokenize_corpus(["one text", "another one"], Counting(), cache=tmp_path)
    assert Counting.texts == 4


def test_workers_give_the_same_corpus(tmp_path, monkeypatch):
    from ulmfit_lib.tokens import corpus as module

    texts = [f"text number {i} of some, with words like w{i % 50}!" for i in range(700)]
    alone = tokenize_corpus(texts, WordTokenizer(), cache=tmp_path / "a")
    monkeypatch.setattr(module, "PARALLEL_FROM", 0)
    together = tokenize_corpus(texts, WordTokenizer(), cache=tmp_path / "b")
    assert alone.types == together.types and np.array_equal(alone.ids[:], together.ids[:])


def test_a_vocabulary_survives_a_round_trip(tmp_path):
    vocabulary = Vocabulary([*SPECIAL_TOKENS, "a\nb", "ü", "xxfake", "xxfake"])
    vocabulary.save(tmp_path / "vocab.json")
    assert Vocabulary.load(tmp_path / "vocab.json") == vocabulary
    assert vocabulary.index["xxfake"] == 11
    (tmp_path / "vocab.json").write_text('{"a": 1}')
    with pytest.raises(ArtifactError, match="JSON list"):
        Vocabulary.load(tmp_path / "vocab.json")


def test_detokenize_reads_like_a_text():
    text = "It was SO good, don't you think?"
    assert detokenize(next(WordTokenizer()([text]))) == text


def test_subwords_cover_a_language_without_spaces(tmp_path):
    texts = ["とても良い映画でした。", "ひどい映画でした。", "また見たいです。"] * 20
    tokenizer = SubwordTokenizer.train(texts, size=60, language="ja")
    assert tokenizer.pieces()[:9] == list(SPECIAL_TOKENS)
    tokens = next(tokenizer(texts[:1]))
    assert "xxbos" in tokens and len(tokens) > 3
    tokenizer.save(tmp_path)
    again = load_tokenizer(tokenizer.config(), tmp_path)
    assert next(again(texts[:1])) == tokens
    (tmp_path / "subwords.model").write_bytes(b"nonsense")
    with pytest.raises(ArtifactError, match="SentencePiece"):
        load_tokenizer(tokenizer.config(), tmp_path)


def test_a_corpus_closes_its_file_when_nobody_needs_it(tmp_path, recwarn):
    warnings.simplefilter("always", ResourceWarning)
    corpus = tokenize_corpus(["a film", "a book"], WordTokenizer(), cache=tmp_path)
    assert len(corpus.ids[:]) > 0
    del corpus
    gc.collect()
    assert not [one for one in recwarn if issubclass(one.category, ResourceWarning)]


def test_a_stream_of_new_words_leaves_no_pieces_behind(monkeypatch):
    monkeypatch.setattr(words, "MOST_BYTES", 300_000)
    tokenizer, short = WordTokenizer(), ["A wonderful film."]
    first = [*tokenizer(short)]
    most_pieces = 0
    for number in range(40):
        tokenizer.index([" ".join(f"order-{number}x{i}.example.com/{i}?q={i}" for i in range(100))])
        most_pieces = max(most_pieces, len(tokenizer._table.numbers))
    assert 100 < most_pieces < 500
    assert [*tokenizer(short)] == first


def test_a_short_text_is_numbered_as_it_is_among_many():
    tokenizer = WordTokenizer()
    texts = [f"a film of number {i} and of film {i}" for i in range(50)]
    alone = tokenizer.index(texts[:1])
    tokenizer.index(texts)
    again = tokenizer.index(texts[:1])
    assert alone.types == again.types and alone.ids.tolist() == again.ids.tolist()


# spaCy's rules without spaCy

TWISTED = [
    *ODD,
    "  leading and   inner \n\n blanks \t ",
    "(\"I can't,\" she'd said:'') :) ;-) :-((( <3 x.y.z U.S.A.'s e.g.,i.e. a.m.!",
    "see https://example.org/a(b)_c?d=e#f, or mail ada@example.org. 10km/h 5$ €3.50 -7°C 3,000.50% v1.2-rc3",
    "well-known/unknown--dash…dots..end.Start a,b;c|d~e ^_^ o.O (╯°□°)╯ ¯\\(ツ)/¯ C++ C# don’t ’tis 'cause",
    "xxunk xxmaj word.xxbos 'xxrep' (xxup)",
]


@pytest.fixture(scope="module", params=["en", "de", "es", "ru"])
def both(request):
    """spaCy's own tokenizer, and ours by its rules."""
    from ulmfit_lib.tokens.splitting import import_spacy

    rules = SplittingRules.of_spacy(request.param)
    return import_spacy().blank(request.param).tokenizer, Splitter(rules)


def test_texts_are_split_as_spacy_splits_them(both):
    spacys, ours = both
    for text in TWISTED:
        assert ours(text) == [token.text for token in spacys(text)]


@settings(max_examples=300, deadline=None)
@given(
    text=st.text(
        alphabet=st.one_of(st.sampled_from("aAb's()\".,:;-/…@ \n\t!?1$%:)-_^<3"), st.characters()), max_size=40
    )
)
def test_any_text_is_split_as_spacy_splits_it(both, text):
    spacys, ours = both
    text = text.encode("utf-8", "replace").decode()
    assert ours(text) == [token.text for token in spacys(text)]


def test_a_saved_tokenizer_needs_no_spacy(tmp_path, monkeypatch):
    expected = list(WordTokenizer()(TWISTED))
    config = WordTokenizer().config()
    WordTokenizer().save(tmp_path)
    monkeypatch.setattr("ulmfit_lib.tokens.splitting.import_spacy", lambda: pytest.fail("spaCy was asked for"))
    again = load_tokenizer(config, tmp_path)
    assert list(again(TWISTED)) == expected and again.fingerprint() == WordTokenizer().fingerprint()
    assert list(pickle.loads(pickle.dumps(again))(TWISTED)) == expected


def test_rules_that_are_none_are_refused_with_the_name_of_their_file(tmp_path):
    config = WordTokenizer().config()
    for content in ("{}", '{"special_cases": {"ab": ["a", "c"]}}', '{"special_cases": {}, "prefix": {"pattern": "("}}'):
        (tmp_path / RULES_FILE).write_text(content)
        with pytest.raises(ArtifactError, match=RULES_FILE):
            load_tokenizer(config, tmp_path)
