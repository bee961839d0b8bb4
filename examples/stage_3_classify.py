"""Stage 3: a classifier head on the fine-tuned language model (run stage_2_fine_tune.py first)."""

import sys
from pathlib import Path

from ulmfit_lib import LanguageModel, fit_classifier, read_table

HERE = Path(__file__).parent


def main(lm: str = "models/reviews-lm", out: str = "models/reviews") -> None:
    reviews = read_table(HERE / "reviews.csv", text="review", label="sentiment")
    train, test = reviews.split(test_fraction=0.2, seed=42)
    classifier = fit_classifier(train, lm=LanguageModel.load(lm), strategy="fine-tune")
    scores = classifier.evaluate(test)
    print(f"right for {100 * scores.accuracy:.0f} % of {scores.n} held-out reviews")
    print(classifier.predict(["Loved every minute.", "Cold soup and a rude waiter."]))
    classifier.save(out, overwrite=True)
    print(f"saved in {out}")


if __name__ == "__main__":
    main(*sys.argv[1:])
