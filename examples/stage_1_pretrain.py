"""Stage 1: a language model from texts. Here from 404 short reviews, to see how it works; really from Wikipedia."""

from pathlib import Path

from ulmfit_lib import pretrain, read_table
from ulmfit_lib.artifact.architecture import Architecture
from ulmfit_lib.artifact.cards import Card
from ulmfit_lib.stages.pretrain import LanguageModelConfig
from ulmfit_lib.training.language_modelling import LanguageModelRecipe

HERE = Path(__file__).parent


def main() -> None:
    reviews = read_table(HERE / "reviews.csv", text="review")
    recipe = LanguageModelRecipe(epochs=10, lr=5e-3, batch_size=8, window=32)
    config = LanguageModelConfig(Architecture(32, 64, 2))
    model = pretrain(reviews.texts, config=config, recipe=recipe, card=Card("toy"))
    validation = model.training.last.validation
    assert validation is not None
    print(f"validation perplexity: {validation.perplexity:.0f}")
    print(model.generate("The food", max_tokens=20, seed=1))


if __name__ == "__main__":
    main()
