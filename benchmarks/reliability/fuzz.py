"""Let atheris look for bytes that break the loading of a model: coverage of the reading code leads it.

    pip install atheris
    python benchmarks/reliability/fuzz.py -max_total_time=600

Each input replaces one file of a saved classifier; it must load or be refused with a sentence. What is found becomes a
case in tests/test_reliability.py.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ulmfit_lib"]):
    from corruptions import make_models

    from ulmfit_lib import TextClassifier
    from ulmfit_lib.errors import UlmfitError

FILES = ("config.json", "vocab.json", "training.json", "model.safetensors", "baseline_terms.json", "topics_terms.json")


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        models, copy = Path(temporary) / "models", Path(temporary) / "copy"
        models.mkdir()
        make_models(models)
        whole = models / "pair-words"
        shutil.copytree(whole, copy)
        seeds = Path(temporary) / "seeds"
        seeds.mkdir()
        for number, name in enumerate(FILES):
            (seeds / name).write_bytes(bytes([number]) + (whole / name).read_bytes())

        def load(data: bytes) -> None:
            if not data:
                return
            name = FILES[data[0] % len(FILES)]
            (copy / name).write_bytes(data[1:])
            try:
                TextClassifier.load(copy)
            except UlmfitError as error:
                assert "\n" not in str(error), str(error)
            finally:
                shutil.copyfile(whole / name, copy / name)

        atheris.Setup([*sys.argv, str(seeds), "-max_len=20000", "-timeout=60", "-rss_limit_mb=3000"], load)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
