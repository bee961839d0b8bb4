"""Ways to do stages 2 and 3, by name: hyperparameters as others published them, and our own for two cores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from ulmfit_lib.artifact.architecture import Architecture
from ulmfit_lib.errors import OptionError
from ulmfit_lib.models.dropouts import Dropouts
from ulmfit_lib.progress import counted, note
from ulmfit_lib.training.classifying import ClassifierPhase, ClassifierRecipe
from ulmfit_lib.training.language_modelling import LanguageModelRecipe
from ulmfit_lib.training.processes import my_share

BY_TIME = "auto"  # a strategy: what pays within the time
AnyRecipe = TypeVar("AnyRecipe", LanguageModelRecipe, ClassifierRecipe)
Settings = TypeVar("Settings", LanguageModelRecipe, ClassifierRecipe, Architecture)


@dataclass(frozen=True)
class Recipe:
    """Stage 2, stage 3, and whether stage 3 trains the encoder."""

    fit_lm: LanguageModelRecipe  # of the language model on the user's texts
    fit_classifier: ClassifierRecipe  # of the classifier
    strategy: str = "fine-tune"  # `linear-probe`, `fine-tune`, or `auto`: what pays within the time
    epochs_by_length: bool = False  # `fit` chooses the language model's epochs by the length of the texts
    with_baseline: bool = True  # TF-IDF + logistic regression joins what `fit` makes, and is compared with it
    # By class, words that say what it is about; they help where few texts have a label.
    descriptions: Mapping[str, str] = field(default_factory=dict)

    def changed(
        self,
        *,
        lm_epochs: int | None = None,
        class_weights: str | None = None,
        with_baseline: bool | None = None,
        descriptions: Mapping[str, str] | None = None,
    ) -> "Recipe":
        """The same with those values that are not None."""
        recipe = replace(self, fit_classifier=override(self.fit_classifier, class_weights=class_weights))
        if lm_epochs:
            recipe = replace(recipe, fit_lm=replace(recipe.fit_lm, epochs=lm_epochs), epochs_by_length=False)
        recipe = recipe if descriptions is None else replace(recipe, descriptions=descriptions)
        return recipe if with_baseline is None else replace(recipe, with_baseline=with_baseline)


def check_descriptions(descriptions: Mapping[str, str], classes: Sequence[str]) -> None:
    """Refuse descriptions of classes that do not exist."""
    if unknown := sorted(descriptions.keys() - set(classes)):
        raise OptionError(f"--describe {unknown[0]}: no such label; there are {', '.join(classes)}")


# Howard & Ruder 2018, section 4.1; epochs, which they tuned for each set, are ours.
PAPER_DROPOUTS = Dropouts(output=0.4, hidden=0.3, input=0.4, embedding=0.05, weight=0.5)
PAPER = Recipe(
    LanguageModelRecipe(
        epochs=15,
        lr=4e-3,
        decay=2.6,
        schedule="slanted-triangular",
        batch_size=64,
        window=70,
        betas=(0.7, 0.99),
        dropouts=PAPER_DROPOUTS,
        patience=3,
    ),
    ClassifierRecipe(
        pooling="concat",
        head_hidden=50,
        head_epochs=1,
        phase_epochs=1,
        epochs=5,
        lr=1e-2,
        batch_size=64,
        betas=(0.7, 0.99),
        dropouts=PAPER_DROPOUTS,
    ),
)

# The scripts that the paper's authors published: other rates, momenta, dropouts, and slants of the triangle.
SCRIPTS = Recipe(
    LanguageModelRecipe(
        frozen_epochs=1,
        epochs=15,
        lr=4e-3,
        layer_shares=(1 / 6, 1 / 3, 1.0),
        tied_share=0.5,
        schedule="slanted-triangular",
        batch_size=52,
        window=70,
        betas=(0.8, 0.99),
        clip=0.3,
        dropouts=Dropouts(input=0.25, output=0.1, weight=0.2, embedding=0.02, hidden=0.15),
        patience=3,
    ),
    ClassifierRecipe(
        pooling="concat",
        head_hidden=50,
        head_dropout=0.1,
        head_epochs=1,
        epochs=10,
        lr=1e-2,
        batch_size=48,
        phases=(ClassifierPhase(2, cut_frac=1 / 3, ratio=8),),
        cut_frac=1 / 8,
        ratio=8,
        betas=(0.8, 0.99),
        clip=25.0,
        dropouts=Dropouts(input=0.4, output=0.4, weight=0.5, embedding=0.05, hidden=0.3),
    ),
)

# fastai's text tutorial: one-cycle, and rates that fall as more groups join.
FASTAI = Recipe(
    LanguageModelRecipe(
        frozen_epochs=1,
        epochs=10,
        lr=2e-3,
        batch_size=64,
        window=72,
        betas=(0.8, 0.99),
        weight_decay=0.1,
        dropouts=Dropouts(output=0.1, input=0.25, weight=0.2, embedding=0.02, hidden=0.15),
    ),
    ClassifierRecipe(
        pooling="concat",
        head_hidden=50,
        head_epochs=1,
        lr=2e-2,
        schedule="one-cycle",
        betas=(0.8, 0.99),
        epochs=2,
        phases=(ClassifierPhase(2, share=0.5), ClassifierPhase(3, share=0.25)),
        last_share=0.05,
        batch_size=64,
        dropouts=Dropouts(output=0.4, input=0.4, weight=0.5, embedding=0.05, hidden=0.3),
        clip=0.0,
    ),
)

# Eisenschlos et al. 2019: one-cycle, all layers at once, smoothed labels; on a base of 15,000 subwords.
MULTIFIT = Recipe(
    LanguageModelRecipe(
        epochs=20,
        lr=4e-3,
        batch_size=50,
        window=70,
        betas=(0.8, 0.99),
        weight_decay=0.01,
        dropouts=Dropouts(),
        clip=0.0,
    ),
    ClassifierRecipe(
        pooling="concat",
        head_hidden=50,
        head_epochs=1,
        phase_epochs=0,
        epochs=8,
        lr=5e-3,
        schedule="one-cycle",
        betas=(0.8, 0.99),
        label_smoothing=0.1,
        dropouts=Dropouts(),
        clip=0.0,
    ),
)

# Ours: one pass and more over few texts; then MultiFiT's way with the labels, in fewer epochs where there are many.
# Chosen on IMDb's training rows and on stand-ins for other texts (benchmarks/few_labels.py, stand_ins.py).
CPU = Recipe(
    LanguageModelRecipe(
        frozen_epochs=1,
        epochs=4,
        lr=4e-3,
        decay=2.6,
        tied_share=0.5,
        schedule="slanted-triangular",
        betas=(0.8, 0.99),
        dropouts=Dropouts(output=0.1, input=0.15, weight=0.1, hidden=0.1),
        patience=2,
    ),
    replace(MULTIFIT.fit_classifier, pooling="all", max_steps=300),
    strategy=BY_TIME,
    epochs_by_length=True,
)

RECIPES = {"cpu": CPU, "paper": PAPER, "scripts": SCRIPTS, "fastai": FASTAI, "multifit": MULTIFIT}


def find_recipe(name: str | Recipe) -> Recipe:
    """A recipe by its name, or the one that is given; an OptionError where there is none of that name."""
    if isinstance(name, Recipe):
        return name
    if name not in RECIPES:
        raise OptionError(f"recipe {name!r}; known are {', '.join(RECIPES)}")
    return RECIPES[name]


def with_stage_settings(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """The recipe with single values changed, each given as ``stage.name=value``, such as ``fit_lm.lr=0.002``."""
    by_stage: dict[str, list[str]] = {"fit_lm": [], "fit_classifier": []}
    for setting in settings:
        stage, _, rest = setting.partition(".")
        if stage not in by_stage:
            raise OptionError(f"--set {setting}: name the stage: --set fit_lm.lr=0.002, fit_classifier.lr=0.001")
        by_stage[stage].append(rest)
    changed: dict[str, Any] = {
        name: with_settings(getattr(recipe, name), some, stage=f"{name}.") for name, some in by_stage.items()
    }
    own_epochs = any(setting.startswith("epochs=") for setting in by_stage["fit_lm"])
    return replace(recipe, **changed, epochs_by_length=recipe.epochs_by_length and not own_epochs)


def with_settings(recipe: AnyRecipe, settings: Sequence[str], *, stage: str = "") -> AnyRecipe:
    """The recipe with single values changed, each given as ``name=value``; ``stage`` goes before it in an error."""
    known = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
    numbers = {name: value for name, value in known.items() if type(value) in (int, float)}
    changes: dict[str, Any] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in numbers:
            raise OptionError(f"--set {stage}{setting}: give one of {', '.join(numbers)}, as in {stage}batch_size=32")
        try:
            changes[name] = type(numbers[name])(value)
        except ValueError as error:
            kind = "a whole number" if isinstance(numbers[name], int) else "a number"
            raise OptionError(f"--set {stage}{setting}: {value!r} is not {kind}") from error
    if "epochs" in changes and "max_steps" in known:
        changes = {"max_steps": 0, **changes}
    return replace(recipe, **changes)


def on_all_processes(recipe: AnyRecipe) -> AnyRecipe:
    """The same with the batch of all processes together, each of which has the recipe's; the rates stay."""
    sizes = {name: getattr(recipe, name) for name in ("batch_size", "batch_tokens") if hasattr(recipe, name)}
    return replace(recipe, **{name: size * my_share().of for name, size in sizes.items()})


def mention_processes(rows: int, lr: float) -> None:
    """Say what each of several processes does, and what they do together, with so many ``rows`` in a batch of all."""
    count = my_share().of
    if count > 1:
        note(
            f"{count} processes train together: a batch has at most {counted(rows, 'row')}, and each process at most "
            f"{-(-rows // count):,} of them; the highest learning rate is {lr:g} in each and in all, and does not grow "
            f"with their number"
        )


def override(settings: Settings, **values: Any) -> Settings:
    """The same settings with those values that are not None.

    >>> override(LanguageModelRecipe(), epochs=3, lr=None).epochs
    3
    """
    return replace(settings, **{name: value for name, value in values.items() if value is not None})
