"""The lines that `general-en-small` is distilled on, of every kind at hand, without labels; and its vocabulary.

    python benchmarks/base_texts.py DATA --base general-en-small --lines 700000 --out lines.jsonl --out-base start
    python benchmarks/base_texts.py DATA --mixture topics --lines 300000 --out topics.jsonl

DATA holds `texts/KIND/SOURCE.jsonl.xz`, `wikipedia/train-0*.jsonl.xz`, `imdb/imdb.parquet` and
`tweets/tweets.jsonl.xz`. Kinds are drawn by shares and not by their size; no test review of IMDb is read, and no line
comes twice. A long text gives one or a few of its sentences, sometimes its beginning. The lines are in random order.
The mixture `topics` has longer passages, most of them of Wikipedia, forums, tweets and news.

`start` is the base with the 40,000 commonest tokens of the first half million lines, some articles and some reviews.
The teachers are all-mpnet-base-v2 and multilingual-e5-small (`benchmarks/e5_teacher.py`). The encoder stays as it is.
The shipped base was distilled on 385,024 lines of `kinds` with two blocks of context; these then grew to four blocks,
384 wide, and went on learning three times, on other lines of both mixtures, as its card tells. In one go, that is

    ulmfit distill lines.jsonl topics.jsonl --base start --teacher MPNET --teacher E5 --word-epochs 2 \\
        --context-blocks 4 --context-width 384 --epochs 0 --precision int8 --out distilled
"""

import argparse
import hashlib
import json
import lzma
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import pandas as pd

from ulmfit_lib import LanguageModel
from ulmfit_lib.artifact.architecture import DISTILLED
from ulmfit_lib.files import write_file
from ulmfit_lib.models.tensors import exchange_words
from ulmfit_lib.tokens.corpus import tokenize_corpus

KINDS = {  # of the lines, in no unit
    "dialogue_requests/bitext_customer_service": 2.0,
    "dialogue_requests/mit_restaurant": 0.4,
    "dialogue_requests/multidogo": 3.5,
    "dialogue_requests/sgd": 6.0,
    "dialogue_requests/taskmaster4": 1.5,
    "faq/dstc9_faq": 3.0,
    "questions/gsm8k": 0.4,
    "questions/ir_topics": 6.0,
    "questions/medical_forum_qa": 1.0,
    "questions/medquad_q": 1.0,
    "questions/opentriviaqa": 3.0,
    "questions/query_wellformedness": 3.0,
    "questions/squad_nqg": 1.5,
    "questions/wikitablequestions": 1.0,
    "questions/xquad_en": 0.1,
    "chitchat/topicalchat": 3.0,
    "complaints/cfpb_small": 0.05,
    "reviews/app_reviews": 5.0,
    "reviews/app_reviews2": 0.3,
    "reviews/mams_restaurant": 1.2,
    "reviews/rate_my_professors": 3.0,
    "reviews/skytrax": 0.4,
    "reviews/trustpilot_pet_insurance": 3.5,
    "books/classic_books": 1.5,
    "chat_forum/irc": 1.5,
    "chat_forum/reddit_college": 4.0,
    "chat_forum/reddit_posts": 1.0,
    "chat_forum/reddit_prodigy": 2.0,
    "commit_messages/git_logs": 0.5,
    "definitions/wordnet_glosses": 2.0,
    "emails/spamassassin_ham": 1.5,
    "essays/anarchist_faq": 0.5,
    "fiction_dialogue/wesnoth_en": 0.4,
    "government/18f_blog": 0.5,
    "government/digital_gov": 0.7,
    "howto/debian_handbook": 0.3,
    "issues/github_issues": 0.6,
    "issues/problem_reports": 1.2,
    "job_adverts/nhs_jobs": 0.7,
    "jokes/stupidstuff": 0.6,
    "legal/terms_of_service": 1.0,
    "medical/bio_ner_sentences": 1.5,
    "medical/medquad_a": 0.7,
    "mental_health/counsel_chat": 1.2,
    "mixed/brown_masc": 2.5,
    "news/abc_au": 3.0,
    "news/onestopenglish": 1.0,
    "news/senseval_rte": 2.5,
    "news_headlines/clickbait": 2.5,
    "quotes/fortunes": 1.5,
    "recipes/recipes": 0.7,
    "speeches/us_speeches": 1.2,
    "imdb": 10.0,
    "tweets": 12.0,
    "wikipedia": 5.0,
}
TOPICS = {
    "wikipedia": 50.0,
    "chat_forum/irc": 3.0,
    "chat_forum/reddit_college": 4.0,
    "chat_forum/reddit_posts": 1.5,
    "chat_forum/reddit_prodigy": 2.0,
    "commit_messages/git_logs": 1.5,
    "definitions/wordnet_glosses": 2.0,
    "emails/spamassassin_ham": 4.0,
    "government/18f_blog": 1.0,
    "government/digital_gov": 2.0,
    "howto/debian_handbook": 1.0,
    "issues/github_issues": 1.0,
    "issues/problem_reports": 3.0,
    "jokes/stupidstuff": 0.5,
    "legal/terms_of_service": 1.5,
    "medical/bio_ner_sentences": 4.0,
    "medical/medquad_a": 2.0,
    "mental_health/counsel_chat": 1.0,
    "mixed/brown_masc": 4.0,
    "news/abc_au": 3.0,
    "news/onestopenglish": 1.0,
    "news/senseval_rte": 4.0,
    "questions/ir_topics": 4.0,
    "questions/medical_forum_qa": 2.0,
    "quotes/fortunes": 2.0,
    "speeches/us_speeches": 1.0,
    "imdb": 4.0,
    "tweets": 12.0,
}


@dataclass(frozen=True)
class Mixture:
    """Which texts are drawn, and how much of the long ones is kept.

    Attributes:
        shares: by kind, of the lines, in no unit.
        shards: of Wikipedia.
        seed: of what is drawn.
        beginnings: share of the long texts that give their beginning.
        beginning_words: of a beginning, at most.
        longest: words of a run of sentences, drawn from these.
        goes_on: chance that a run of sentences takes the next one, too.
    """

    shares: dict[str, float]
    shards: tuple[int, ...]
    seed: int
    beginnings: float
    beginning_words: int
    longest: tuple[int, ...]
    goes_on: float


MIXTURES = {
    "kinds": Mixture(KINDS, (0, 5), 7, 0.06, 110, (28,) * 9 + (60,), 0.6),
    "topics": Mixture(TOPICS, (1, 2, 6), 11, 0.12, 150, (30, 45, 60), 1.0),
}
SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'(A-Z0-9])")
SHORT, LONGEST = 32, 80  # words: of a text that is kept whole; of some sentences
COUNTED_LINES, COUNTED_ARTICLES, COUNTED_REVIEWS = 500_000, 2500, 8000  # that the vocabulary is counted on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--mixture", choices=MIXTURES, default="kinds")
    parser.add_argument("--lines", type=int, default=700_000)
    parser.add_argument("--out", type=Path, required=True, help=".jsonl of text and kind")
    parser.add_argument("--base", default="general-en-small")
    parser.add_argument("--vocab-size", type=int, default=40_000)
    parser.add_argument("--out-base", type=Path, help="folder of the base with its new vocabulary")
    arguments = parser.parse_args()
    rows = draw_lines(arguments.data, arguments.lines, MIXTURES[arguments.mixture])
    write_file(arguments.out, "".join(json.dumps({"text": text, "kind": kind}) + "\n" for text, kind in rows).encode())
    print(f"{len(rows):,} lines in {arguments.out}")
    if arguments.out_base:
        base = LanguageModel.from_pretrained(arguments.base)
        with_vocabulary(base, arguments.data, [text for text, _ in rows], arguments.vocab_size).save(arguments.out_base)
        print(f"the base with its new vocabulary in {arguments.out_base}")


def draw_lines(data: Path, count: int, mixture: Mixture) -> list[tuple[str, str]]:
    """Lines and their kinds, in random order, no line twice."""
    rng = random.Random(mixture.seed)
    rows: list[tuple[str, str]] = []
    seen: set[bytes] = set()
    for kind, share in mixture.shares.items():
        wanted = round(count * share / sum(mixture.shares.values()))
        texts = list(read_source(data, kind, mixture, rng))
        rng.shuffle(texts)
        for text in texts:
            line = piece(text, mixture, rng)
            known = hashlib.md5(line.lower().encode()).digest()
            if wanted and len(line.split()) > 1 and known not in seen:
                seen.add(known)
                rows.append((line, kind))
                wanted -= 1
    rng.shuffle(rows)
    return rows


def read_source(data: Path, kind: str, mixture: Mixture, rng: random.Random) -> Iterator[str]:
    if kind == "imdb":
        yield from film_reviews(data)
    elif kind == "wikipedia":
        for shard in mixture.shards:
            for article in read_jsonl(data / f"wikipedia/train-0{shard}.jsonl.xz"):
                paragraphs = [one for one in article.split("\n") if len(one.split()) > 6]
                yield from rng.sample(paragraphs, min(5, len(paragraphs)))
    else:
        yield from read_jsonl(data / ("tweets/tweets.jsonl.xz" if kind == "tweets" else f"texts/{kind}.jsonl.xz"))


def film_reviews(data: Path) -> Iterator[str]:
    """All but the test reviews and their copies."""
    reviews = pd.read_parquet(data / "imdb/imdb.parquet")
    tests = set(reviews[reviews.split == "test"].text)
    for text in reviews[reviews.split != "test"].text:
        if text not in tests:
            yield text.replace("<br />", " ")


def read_jsonl(file: Path) -> Iterator[str]:
    with lzma.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["text"]


def piece(text: str, mixture: Mixture, rng: random.Random) -> str:
    """A short text as it is; of a long one its beginning or some of its sentences."""
    words = text.split()
    if len(words) <= SHORT:
        return " ".join(words)
    if rng.random() < mixture.beginnings:
        return " ".join(words[: mixture.beginning_words])
    sentences = SENTENCE_END.split(" ".join(words))
    place = rng.randrange(len(sentences))
    found = sentences[place]
    most = rng.choice(mixture.longest)
    for sentence in sentences[place + 1 :]:
        if len(found.split()) + len(sentence.split()) > most or rng.random() >= mixture.goes_on:
            break
        found += " " + sentence
    return " ".join(found.split()[:LONGEST])


def with_vocabulary(base: LanguageModel, data: Path, lines: list[str], size: int) -> LanguageModel:
    """The base, its vocabulary exchanged for the commonest tokens, without distilled vectors."""
    articles = islice(read_jsonl(data / "wikipedia/train-01.jsonl.xz"), COUNTED_ARTICLES)
    reviews = islice(film_reviews(data), COUNTED_REVIEWS)
    corpus = tokenize_corpus([*lines[:COUNTED_LINES], *articles, *reviews], base.tokenizer)
    vocabulary = base.vocabulary.refitted(corpus.types, corpus.counts, size=size)
    weights = {
        way: {
            name: tensor
            for name, tensor in exchange_words(some, base.vocabulary, vocabulary).items()
            if not name.startswith(DISTILLED)
        }
        for way, some in base.weights.items()
    }
    architecture = replace(base.architecture, distilled=0, words=0)
    return replace(base, architecture=architecture, vocabulary=vocabulary, weights=weights)


if __name__ == "__main__":
    main()
