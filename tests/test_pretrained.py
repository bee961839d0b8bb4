"""Where language models come from: fastai's files, the network, the cache; and what is refused."""

import http.server
import io
import pickle
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pooch
import pytest
import torch

from ulmfit_lib import LanguageModel
from ulmfit_lib.artifact.catalogue import Download, add_model, own_models
from ulmfit_lib.errors import ArtifactError, OptionError
from ulmfit_lib.files import cache_folder
from ulmfit_lib.models import wt103
from ulmfit_lib.models.bases import load_base
from ulmfit_lib.models.fastai_files import read_vocabulary
from ulmfit_lib.models.loading import import_fastai
from ulmfit_lib.models.wt103 import download_wt103
from ulmfit_lib.tokens.rules import SPECIAL_TOKENS

TOKENS = [*SPECIAL_TOKENS, "the", "film", "\n", "xxfake", "xxfake"]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ULMFIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(wt103.time, "sleep", lambda seconds: None)
    return tmp_path / "cache"


def fastai_net(seed, tokens=TOKENS):
    from fastai.text.models.awdlstm import AWD_LSTM, awd_lstm_lm_config
    from fastai.text.models.core import get_language_model

    torch.manual_seed(seed)
    config = awd_lstm_lm_config | {"emb_sz": 6, "n_hid": 10, "n_layers": 3}
    net = get_language_model(AWD_LSTM, len(tokens), config)
    torch.nn.init.normal_(net[1].decoder.bias)
    return net.eval()


def save_fastai(folder, seed, tokens=TOKENS):
    """As fastai leaves them: a state dict with tied and doubled matrices, and a pickled list."""
    folder.mkdir(parents=True, exist_ok=True)
    net = fastai_net(seed, tokens)
    torch.save(net.state_dict(), folder / "lstm.pth")
    (folder / "itos.pkl").write_bytes(pickle.dumps(tokens))
    return net


def archive(path, *files):
    with tarfile.open(path, "w:gz") as tar:
        for file in files:
            tar.add(file, arcname=f"wt103/{file.name}")
    return path


@pytest.fixture
def archives(tmp_path):
    nets = {}
    for seed, (way, short) in enumerate([("forward", "fwd"), ("backward", "bwd")]):
        nets[way] = save_fastai(tmp_path / short, seed)
        archive(tmp_path / f"wt103-{short}.tgz", tmp_path / short / "lstm.pth", tmp_path / short / "itos.pkl")
    return tmp_path, nets


@pytest.fixture
def server(archives):
    """A web server on this machine; ``server.cut`` makes it hang up half-way for that many answers."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(archives[0]))

        def copyfile(self, source, outputfile):
            content = source.read()
            if self.server.cut > 0:
                self.server.cut -= 1
                content = content[: len(content) // 2]
            outputfile.write(content)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.cut = 0
        threading.Thread(target=running.serve_forever, daemon=True).start()
        running.url = f"http://127.0.0.1:{running.server_port}"
        running.downloads = {
            way: Download(f"{running.url}/wt103-{short}.tgz", (archives[0] / f"wt103-{short}.tgz").stat().st_size)
            for way, short in (("forward", "fwd"), ("backward", "bwd"))
        }
        yield running
        running.shutdown()


def assert_same_logits(ours, theirs):
    ids = torch.randint(len(TOKENS), (1, 40), generator=torch.Generator().manual_seed(5))
    theirs.reset()
    with torch.no_grad():
        torch.testing.assert_close(ours.logits(ours(ids)), theirs(ids)[0], atol=1e-5, rtol=0)


def test_an_imported_model_has_fastais_logits(tmp_path):
    theirs = save_fastai(tmp_path, seed=3)
    ours = import_fastai(tmp_path / "lstm.pth", tmp_path / "itos.pkl")
    assert ours.vocabulary.tokens == tuple(TOKENS) and ours.vocabulary.encode(["film", "xxfake"]) == [10, 12]
    assert_same_logits(ours.net("forward"), theirs)
    ours.save(tmp_path / "saved")
    assert_same_logits(LanguageModel.load(tmp_path / "saved").net("forward"), theirs)


def test_a_model_that_a_learner_saved_with_its_optimiser_imports_too(tmp_path):
    theirs = save_fastai(tmp_path, seed=3)
    torch.save({"model": theirs.state_dict(), "opt": {}}, tmp_path / "learner.pth")
    assert_same_logits(import_fastai(tmp_path / "learner.pth", tmp_path / "itos.pkl").net("forward"), theirs)


def test_both_directions_download_convert_and_load_by_name(cache, archives, server):
    download_wt103(downloads=server.downloads)
    model = LanguageModel.from_pretrained("wt103")  # from the cache: no network is asked again
    assert own_models() == ["wt103"] and model.direction == "both"
    for way, theirs in archives[1].items():
        assert_same_logits(model.net(way), theirs)
    assert server.url in model.training.more["source"] and "sha256" in model.training.more["source"]


def test_files_at_hand_need_no_network(cache, archives, monkeypatch):
    monkeypatch.setenv("ULMFIT_OFFLINE", "1")
    download_wt103(files=[archives[0] / "wt103-bwd.tgz"])
    assert_same_logits(LanguageModel.from_pretrained("wt103").net("backward"), archives[1]["backward"])


def test_a_dropped_connection_is_tried_again(cache, server):
    server.cut = 2
    download_wt103(downloads=server.downloads)
    assert own_models() == ["wt103"]


@pytest.mark.slow
def test_nothing_that_downloads_is_imported_before_a_download():
    code = "import sys, ulmfit_lib.models.wt103; print('pooch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


@pytest.mark.skipif(sys.platform != "linux", reason="XDG's variables are Linux's")
def test_the_cache_is_the_users_own_unless_a_variable_names_another(cache, monkeypatch, tmp_path):
    assert cache_folder() == cache
    monkeypatch.delenv("ULMFIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "ulmfit_lib"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "ulmfit_lib"


def everything_in(folder):
    return sorted((str(file.relative_to(folder)), file.stat().st_size) for file in folder.rglob("*"))


@pytest.mark.parametrize("problem", ["drops", "gone", "sha256", "size", "offline", "nobody there", "disk"])
def test_a_download_that_fails_says_why_and_leaves_the_cache_as_it_was(cache, server, archives, monkeypatch, problem):
    download_wt103(files=[archives[0] / "wt103-fwd.tgz"])
    before = everything_in(cache)
    downloads, sha256 = dict(server.downloads), []
    if problem == "drops":
        server.cut, says = 99, "connection"
    elif problem == "gone":
        downloads["forward"], says = Download(f"{server.url}/nothing.tgz", 1), "404"
    elif problem == "sha256":
        sha256, says = ["0" * 64], "sha256"
    elif problem == "size":
        downloads["backward"], says = Download(downloads["backward"].url, 17), "17 are expected"
    elif problem == "offline":
        monkeypatch.setenv("ULMFIT_OFFLINE", "1")
        says = "ULMFIT_OFFLINE"
    elif problem == "nobody there":
        downloads["forward"], says = Download("http://127.0.0.1:9/wt103-fwd.tgz", 1), "from-file"
    else:
        says = "No space left"

        class Full(io.BytesIO):
            def write(self, content):
                raise OSError(28, "No space left on device")

        monkeypatch.setattr(pooch.downloaders, "open", lambda *_: Full(), raising=False)
    with pytest.raises(ArtifactError, match=says):
        download_wt103(downloads=downloads, sha256=sha256)
    assert everything_in(cache) == before


class Attack:
    def __reduce__(self):
        return (Path.touch, (Path("attacked"),))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (pickle.dumps([*TOKENS, Attack()]), "could run code"),
        (pickle.dumps({"a": 1}), "more than lists"),
        (pickle.dumps(TOKENS)[:-20], "damaged"),
        (b"\x80\x04]r\xff\xff\xff\x7f.", "damaged"),  # a memo of two thousand million entries
        (b"\x80\x04\x8d\x00\x00\x00\x00\x00\x00\x00\x7f.", "damaged"),  # a string of 2^62 bytes
        (b"\x80\x04\x8c\x01a\x8c\x01ba.", "damaged"),  # append a string to a string
        (pickle.dumps([1, 2, 3]), "list of strings"),
        (b"", "damaged"),
    ],
)
def test_a_vocabulary_pickle_is_never_run(tmp_path, monkeypatch, content, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "itos.pkl").write_bytes(content)
    with pytest.raises(ArtifactError, match=says):
        read_vocabulary(tmp_path / "itos.pkl")
    assert not (tmp_path / "attacked").exists()


def test_weights_that_are_damaged_hostile_or_foreign_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = save_fastai(tmp_path, seed=0)
    whole = (tmp_path / "lstm.pth").read_bytes()
    state = net.state_dict()
    buffer = io.BytesIO()
    torch.save({**state, "attack": Attack()}, buffer)
    untied = {**state, "1.decoder.weight": state["1.decoder.weight"] + 1}
    for content, says in [
        (whole[: len(whole) // 2], "no readable weights"),
        (buffer.getvalue(), "no readable weights"),
        (b"", "no readable weights"),
        ({**state, "2.more": torch.zeros(1)}, "2.more is not part"),
        (untied, "tied"),
        ({"0.encoder.weight": state["0.encoder.weight"]}, "missing"),
        ({**state, "0.rnns.1.module.bias_ih_l0": torch.zeros(3)}, r"rnns.1.bias_ih is \(3,\)"),
    ]:
        torch.save(content, tmp_path / "bad.pth") if isinstance(content, dict) else (tmp_path / "bad.pth").write_bytes(
            content
        )
        with pytest.raises(ArtifactError, match=says):
            import_fastai(tmp_path / "bad.pth", tmp_path / "itos.pkl")
    (tmp_path / "itos.pkl").write_bytes(pickle.dumps(TOKENS[:-1]))
    with pytest.raises(ArtifactError, match="13 tokens"):
        import_fastai(tmp_path / "lstm.pth", tmp_path / "itos.pkl")
    assert not (tmp_path / "attacked").exists()


def test_an_archive_that_points_outside_or_lacks_a_file_is_harmless(cache, archives):
    folder = archives[0]
    with tarfile.open(folder / "wt103-fwd.tgz", "w:gz") as tar:
        tar.add(folder / "fwd" / "lstm.pth", arcname="../../../escaped.pth")
    with pytest.raises(ArtifactError, match=r"no \.pkl"):
        download_wt103(files=[folder / "wt103-fwd.tgz"])
    assert not list(folder.rglob("escaped.pth")) and own_models() == []
    (folder / "wt103-fwd.tgz").write_bytes(b"no archive")
    with pytest.raises(ArtifactError, match="cannot be unpacked"):
        download_wt103(files=[folder / "wt103-fwd.tgz"])


def test_a_model_of_ones_own_is_added_and_found_by_name(cache, tiny_lm, tmp_path):
    tiny_lm.save(tmp_path / "mine")
    add_model(tmp_path / "mine", name="house-style")
    assert LanguageModel.from_pretrained("house-style").sha256() == tiny_lm.sha256()
    with pytest.raises(ArtifactError, match="exists already"):
        add_model(tmp_path / "mine", name="house-style")
    with pytest.raises(ArtifactError, match="taken"):
        add_model(tmp_path / "mine", name="wiki-en-small")
    with pytest.raises(OptionError, match=r"\.\./up"):
        add_model(tmp_path / "mine", name="../up")
    (tmp_path / "mine" / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(ArtifactError, match="safetensors: damaged"):
        add_model(tmp_path / "mine", name="other")
    assert own_models() == ["house-style"]


@pytest.mark.slow
def test_auto_takes_an_embedded_model_with_distilled_vectors(reviews):
    model, why = load_base("auto", reviews.texts)
    assert model.architecture.distilled
    assert why.startswith(f"base {model.training.name}: it has distilled vectors")
    with pytest.raises(ArtifactError, match="wiki-en-small"):
        load_base("no-such-model", reviews.texts)


@pytest.mark.slow
def test_auto_says_when_the_texts_are_in_another_language():
    german = ["Das Frühstück war hervorragend, die Zimmer leider winzig und ziemlich hellhörig.", "Nie wieder dorthin!"]
    assert "pretrain --language" in load_base("auto", german)[1]
