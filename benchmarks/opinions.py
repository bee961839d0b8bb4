"""Gives the texts of `benchmarks/teaching_texts.py` opinions, from -1 to 1, without a label of anybody's.

    python benchmarks/opinions.py sentences.jsonl --reviews imdb.parquet --out opinions.jsonl

Some reviewers write a rating into their review. A judge, TF-IDF and a head on frozen vectors, learns it from the
unlabelled reviews that have one, the rating itself taken out, and judges the other unlabelled reviews; its accuracy on
reviews that it has not learnt from is printed. A passage has its review's opinion. Tweets and made-up texts have the
opinion that the passages' say of such words; texts of Wikipedia, titles and questions have none, which is 0.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from teaching_texts import unlabelled_reviews, write_rows
from written_ratings import without_rating

from ulmfit_lib import LanguageModel

Floats = npt.NDArray[np.float64]
BAD, GOOD = 0.48, 0.62  # ratings between these are neither
WRITTEN = 0.7  # how much a written rating counts beside the judge's opinion of the words around it
OPINIONATED = ("tweets", "made up")
PASSAGES = 24_000  # that the opinion of short texts is learnt from
STRETCH = 1.5  # short texts say little, so that their opinions come out small


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path, help=".jsonl with text, kind and review")
    parser.add_argument("--reviews", type=Path, required=True, help=".parquet with label and text")
    parser.add_argument("--base", default="general-en-small", help="whose backward vectors the judge sees")
    parser.add_argument("--out", type=Path, required=True, help=".jsonl to write")
    arguments = parser.parse_args()
    lm = LanguageModel.from_pretrained(arguments.base)
    of_reviews = judge_reviews(unlabelled_reviews(arguments.reviews), lm)
    rows = [json.loads(line) for line in arguments.texts.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row["review"] is None or without_rating(row["text"]) is None]
    for row in rows:
        row["opinion"] = 0.0 if row["review"] is None else float(of_reviews[row["review"]])
    passages = [row for row in rows if row["review"] is not None][:PASSAGES]
    short = make_pipeline(StandardScaler(), Ridge(alpha=20_000))
    short.fit(vectors([row["text"] for row in passages], lm), [row["opinion"] for row in passages])
    asked = [row for row in rows if row["kind"] in OPINIONATED]
    if asked:
        said = short.predict(vectors([row["text"] for row in asked], lm))
        for row, opinion in zip(asked, said, strict=True):
            row["opinion"] = float(np.clip(STRETCH * opinion, -1, 1))
    write_rows(arguments.out, rows)
    print(f"{arguments.out}: {len(rows):,} texts")


def judge_reviews(reviews: list[str], lm: LanguageModel) -> Floats:
    """The opinion of every review, (n_reviews,)."""
    found = [without_rating(review) for review in reviews]
    texts = [review if one is None else one[1] for review, one in zip(reviews, found, strict=True)]
    ratings = np.array([np.nan if one is None else one[0] for one in found])
    clear = np.flatnonzero((ratings < BAD) | (ratings > GOOD))
    good = ratings[clear] > BAD
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=3, sublinear_tf=True).fit(texts[i] for i in clear)
    views = [words.transform(texts), StandardScaler().fit_transform(vectors(texts, lm))]

    def judged(learnt: npt.NDArray[np.int64], asked: npt.NDArray[np.int64], truth: npt.NDArray[np.bool_]) -> Floats:
        scores = np.zeros(len(asked))
        for view, strength, weight in zip(views, (10, 1e-3), (1, 0.5), strict=True):
            judge = LogisticRegression(C=strength, max_iter=1000, class_weight="balanced").fit(view[learnt], truth)
            scores += weight * judge.decision_function(view[asked])
        return scores

    unseen = np.zeros(len(clear))
    for learnt, asked in KFold(5, shuffle=True, random_state=0).split(clear):
        unseen[asked] = judged(clear[learnt], clear[asked], good[learnt])
    print(
        f"{len(clear):,} of {len(reviews):,} reviews give a clear rating; of those that the judge has not learnt "
        f"from, it is right about {np.mean((unseen > 0) == good):.1%}"
    )
    scores = judged(clear, np.arange(len(texts)), good)
    scores[clear] = unseen
    certain = LogisticRegression(C=100).fit(unseen[:, None], good)
    opinions = 2 * certain.predict_proba(scores[:, None])[:, 1] - 1
    written = ~np.isnan(ratings)
    opinions[written] = WRITTEN * (2 * ratings[written] - 1) + (1 - WRITTEN) * opinions[written]
    return np.asarray(opinions, np.float64)


def vectors(texts: list[str], lm: LanguageModel) -> npt.NDArray[np.float32]:
    """(n_texts, width) of the frozen backward encoder."""
    return lm.only("backward").embed(texts, pooling="distilled+all")


if __name__ == "__main__":
    main()
