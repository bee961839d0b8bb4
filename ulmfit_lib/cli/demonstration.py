"""The command that shows in a few minutes what ``fit`` does: demo."""

from pathlib import Path

from ulmfit_lib.cli.fitting import print_fit, save_classifier
from ulmfit_lib.cli.options import Out, SeededCompute
from ulmfit_lib.cli.running import command


@command("demo", example="demo --out demo-model")
def demo(compute: SeededCompute, out: Out = Path("demo-model")) -> None:
    """Train a classifier on 400 invented reviews and try it on five more; takes a few minutes on a CPU."""
    from ulmfit_lib.artifact.catalogue import EMBEDDED
    from ulmfit_lib.data.reading import read_csv
    from ulmfit_lib.files import refuse_existing
    from ulmfit_lib.pipeline.fit import fit
    from ulmfit_lib.training.run import Run

    refuse_existing(out, overwrite=True)
    table = read_csv(EMBEDDED / "reviews.csv", text="review", label="sentiment")
    classifier = fit(table, run=Run(seed=compute.seed, device=compute.device))
    saved = save_classifier(classifier, out, table, precision="auto", overwrite=True)
    print_fit(classifier, out, saved, as_json=False)
    print("\nFive reviews that it was not trained on:")
    probabilities = classifier.predict_proba(DEMO_REVIEWS)
    labels, sure = classifier.decode(probabilities), classifier.confidence(probabilities)
    for text, label, confidence in zip(DEMO_REVIEWS, labels, sure, strict=True):
        print(f"  {label:8} {100 * confidence:3.0f} %  {text}")
    print(f"\nTo label your own texts: ulmfit predict {out} YOUR.csv --text COLUMN")


DEMO_REVIEWS = [
    "A wonderful film with a great cast, funny and warm. Loved every minute.",
    "The food was cold, the waiter was rude and we waited an hour. Never again.",
    "Great little speaker, the sound is excellent and the battery lasts for days.",
    "It broke after a week and they refused a refund. A useless product.",
    "Terrible acting, a stupid plot and a horrible ending. I was bored.",
]
