"""The card of a model on the hub: the model's own card under metadata that the hub reads."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ulmfit_lib.artifact.format import LANGUAGE_MODEL
from ulmfit_lib.artifact.record import TrainingRecord
from ulmfit_lib.artifact.report import ENSEMBLE
from ulmfit_lib.artifact.seal import CARD
from ulmfit_lib.errors import ArtifactError
from ulmfit_lib.hub.client import LIBRARY, import_hub
from ulmfit_lib.hub.repository import Repository, is_on_hub

USE = "\n## Use\n"  # where the card's last section starts
METRICS = {  # as a report calls them -> as the hub does
    "accuracy": "accuracy",
    "macro_f1": "f1",
    "micro_f1": "f1",
    "mean_absolute_error": "mae",
    "spearman": "spearmanr",
    "perplexity": "perplexity",
}
LICENCES = ("mit", "apache-2.0", "bsd-3-clause", "gpl-3.0", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0")


def hub_card(
    card: str, *, config: Mapping[str, Any], training: TrainingRecord, repository: Repository, licence: str | None
) -> str:
    """A model's card, the text of its README.md, as the hub shows it.

    What the card's metadata says already, because somebody wrote it there, stays. Without a ``licence`` in the hub's
    words, such as ``mit``, it is what the model's record says.
    """
    hub = import_hub()
    entries = _metadata(config, training, model_name=repository.name.split("/")[1]).to_dict()
    if card.startswith("---"):
        written = _read(card)
        card, entries = written.text, {**entries, **written.data.to_dict()}
    if licence:
        entries["license"] = licence
    metadata = hub.ModelCardData(**entries, ignore_metadata_errors=True).to_yaml().strip()
    text = card.partition(USE)[0].strip()
    return f"---\n{metadata}\n---\n\n{text}\n{USE}\n{_use(config['kind'], repository)}"


def _read(card: str) -> Any:
    import yaml

    try:
        return import_hub().ModelCard(card, ignore_metadata_errors=True)
    except (ValueError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        raise ArtifactError(f"{CARD}: what stands between its two lines of --- is no metadata ({said})") from error


def _metadata(config: Mapping[str, Any], training: TrainingRecord, *, model_name: str) -> Any:
    task = "text-generation" if config["kind"] == LANGUAGE_MODEL else "text-classification"
    base = (config.get("base") or {}).get("name", "")
    language = config.get("tokenizer", {}).get("language")
    scores = _scores(training)
    metrics = sorted({METRICS[name] for _, name, *_ in scores})
    results = [
        import_hub().EvalResult(
            task_type=task,
            dataset_type="private",
            dataset_name=where,
            metric_type=METRICS[name],
            metric_name=name.replace("_", " ") + interval,
            metric_value=round(value, 4),
        )
        for where, name, value, interval in scores
    ]
    return import_hub().ModelCardData(
        language="multilingual" if language == "xx" else language,  # spaCy's code for many
        license=_licence(training),
        library_name=LIBRARY,
        pipeline_tag=task,
        tags=["ulmfit", "awd-lstm"],
        metrics=metrics or None,
        base_model=Repository.parse(base).name if is_on_hub(base) else None,  # the hub knows no other names
        model_name=model_name,
        eval_results=results or None,
    )


def _scores(training: TrainingRecord) -> list[tuple[str, str, float, str]]:
    """Of each score that the hub has a name for: on which rows, its name and value, and its interval in words."""
    found: dict[str, Any] = {}
    if training.report:
        report, rows = training.report, "labelled rows, held out or cross-validated"
        found = (report.ratings or report.tags or report.scores)[ENSEMBLE].as_dict()
    elif training.last.validation:
        rows = "texts that were held out from its training"
        found = asdict(training.last.validation)
    entries = []
    for name, value in found.items():
        if name in METRICS:
            low, high = found.get(f"{name}_95", (None, None))
            interval = "" if low is None else f" (95 % interval {low:.3f} to {high:.3f})"
            entries.append((f"{found['n']:,} {rows}" if "n" in found else rows, name, value, interval))
    return entries


def _licence(training: TrainingRecord) -> str | None:
    """A record's licence in the hub's words, of which the first that it names counts; None where it names none."""
    said = (training.licence or "").split(";")[0].strip().lower().replace(" ", "-")
    return (said if said in LICENCES else "other") if said else None


def _use(kind: str, repository: Repository) -> str:
    command = (
        f'ulmfit generate {repository} --prompt "The film was"'
        if kind == LANGUAGE_MODEL
        else f'ulmfit predict {repository} "A text."'
    )
    return (
        f"```sh\npip install 'ulmfit-lib[hub]'\n{command}\n```\n\n"
        f'```python\nfrom ulmfit_lib import from_pretrained\n\nmodel = from_pretrained("{repository.name}")\n```\n'
    )
