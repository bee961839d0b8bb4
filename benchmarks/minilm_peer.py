"""all-MiniLM-L6-v2 under ONNX Runtime with a logistic regression on its vectors: a peer of light.py."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

LONGEST, TOGETHER = 256, 32  # tokens of a text, as its authors set it; texts that are read at a time
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def export(source: Path, work: Path, texts: Sequence[str], labels: Sequence[str]) -> dict[str, Path]:
    """Folders of the float32 and the int8 graph, from that of a sentence transformer, each with a head on its vectors.

    It needs the packages sentence-transformers, onnxscript and scikit-learn.
    """
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from sentence_transformers import SentenceTransformer
    from sklearn.linear_model import LogisticRegression

    folders = {"minilm": work / "minilm", "minilm-int8": work / "minilm-int8"}
    for folder in folders.values():
        folder.mkdir(parents=True)
        shutil.copy(source / "tokenizer.json", folder)
    network = SentenceTransformer(str(source), device="cpu")[0].auto_model.eval()
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("time")}
    torch.onnx.export(
        network,
        tuple(torch.ones(2, 8, dtype=torch.long) for _ in INPUTS),
        str(folders["minilm"] / "model.onnx"),
        input_names=list(INPUTS),
        output_names=["vectors"],
        dynamic_shapes=[sizes] * len(INPUTS),
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    graphs = [str(folder / "model.onnx") for folder in folders.values()]
    quantize_dynamic(*graphs, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)  # what AVX2 needs
    for folder in folders.values():
        head = LogisticRegression(C=10, max_iter=1000).fit(MiniLm(folder).embed(texts), labels)
        weights = np.concatenate([-head.coef_, head.coef_]) if len(head.classes_) == 2 else head.coef_
        biases = np.concatenate([-head.intercept_, head.intercept_]) if len(head.classes_) == 2 else head.intercept_
        scale = 0.5 if len(head.classes_) == 2 else 1.0
        found = {"weights": (scale * weights).tolist(), "biases": (scale * biases).tolist()}
        (folder / "head.json").write_text(json.dumps(found))
    return folders


class MiniLm:
    """What ``export`` wrote; it needs NumPy, ONNX Runtime and tokenizers."""

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(LONGEST)
        self._tokenizer.enable_padding()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # its time of a core counts, too
        self._session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
        self._takes = {one.name for one in self._session.get_inputs()}
        head = json.loads((folder / "head.json").read_text()) if (folder / "head.json").is_file() else {}
        self._head = {name: np.array(array) for name, array in head.items()}

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n_texts, 384), of length 1; texts of like length are read together."""
        vectors = np.zeros((len(texts), 384), np.float32)
        order = np.argsort([-len(text) for text in texts], kind="stable")
        for start in range(0, len(order), TOGETHER):
            places = order[start : start + TOGETHER]
            read = self._tokenizer.encode_batch([texts[place] for place in places])
            arrays = [np.array([getattr(one, name) for one in read]) for name in ("ids", "attention_mask", "type_ids")]
            given = {name: array for name, array in zip(INPUTS, arrays, strict=True) if name in self._takes}
            outputs = self._session.run(["vectors"], given)[0]
            mask = arrays[1][:, :, None].astype(np.float32)
            mean = (outputs * mask).sum(1) / mask.sum(1)
            vectors[places] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return vectors

    def predict_proba(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """(n_texts, n_classes)."""
        scores = self.embed(texts) @ self._head["weights"].T + self._head["biases"]
        powers = np.exp(scores - scores.max(1, keepdims=True))
        return np.asarray(powers / powers.sum(1, keepdims=True))
