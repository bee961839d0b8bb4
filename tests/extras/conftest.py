import pytest

from ulmfit_lib.models.exporting import export_checked
from ulmfit_lib.training.static_student import distil_static


@pytest.fixture(scope="module")
def exported(tiny_classifier, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    tiny_classifier.save(folder / "model")
    texts = ["the film was great great", "terrible"]
    export_checked(folder / "model", folder / "onnx", precision="float32", texts=texts)
    return folder / "onnx"


@pytest.fixture(scope="module")
def static(tiny_classifier, tmp_path_factory):
    folder = tmp_path_factory.mktemp("static") / "static"
    distil_static(tiny_classifier, ["the film was great great", "terrible"] * 20).save(folder)
    return folder
