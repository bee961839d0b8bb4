"""Stage 2: an embedded language model goes on reading your texts, labelled or not."""

import sys
from pathlib import Path

from ulmfit_lib import LanguageModel, fit_lm, read_table

HERE = Path(__file__).parent


def main(out: str = "models/reviews-lm") -> None:
    reviews = read_table(HERE / "reviews.csv", text="review", label="sentiment")
    train, test = reviews.split(test_fraction=0.2, seed=42)
    base = LanguageModel.from_pretrained("general-en-small")
    model = fit_lm(train.texts, base=base, epochs=4)
    print(f"perplexity of texts that neither has read: {base.perplexity(test.texts):.0f} before, ", end="")
    print(f"{model.perplexity(test.texts):.0f} after")
    model.save(out, overwrite=True)
    print(f"saved in {out}")


if __name__ == "__main__":
    main(*sys.argv[1:])
