import pytest

from ulmfit_lib.models.exporting import export_checked


@pytest.fixture(scope="module")
def exported(tiny_classifier, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    tiny_classifier.save(folder / "model")
    texts = ["the film was great great", "terrible"]
    export_checked(folder / "model", folder / "onnx", precision="float32", texts=texts)
    return folder / "onnx"
