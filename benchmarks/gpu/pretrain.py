"""Train the full-size language model on a GPU machine that has Python, torch and numpy, and nothing else of ours.

    python pretrain.py wiki forward --data shards --checkpoints scratch --out out --seconds 500
    python pretrain.py reviews forward --base scratch/wiki-forward.pt --data shards --checkpoints scratch --out out

Run the same command again until it prints "finished": each run goes on where the last one stopped. The weights are
left in ``out`` as int8 with a scale per row, in pieces; ``assemble.py`` makes a model folder of them.
"""

import argparse
import json
import lzma
import math
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

START = 2  # xxbos, where each text begins
PIECE_BYTES = 15 << 20
CHUNK = 8192  # vectors scored at a time


class LanguageModel(nn.Module):
    """AWD-LSTM without weight dropout, so that cuDNN runs each layer as one call; embedding and decoder are tied."""

    def __init__(self, vocab_size: int, embedding: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        widths = [embedding, *[hidden] * (layers - 1), embedding]
        self.embedding = nn.Embedding(vocab_size, embedding)
        self.rnns = nn.ModuleList(nn.LSTM(n, m, batch_first=True) for n, m in pairwise(widths))
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        self.dropout = dropout
        self.state: list[Any] = [None] * layers
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)

    def forward(self, ids: Tensor) -> Tensor:
        """(batch, time) -> (batch, time, embedding)."""
        output = self._drop(self.embedding(ids))
        for layer, rnn in enumerate(self.rnns):
            output, state = rnn(output, self.state[layer])
            self.state[layer] = tuple(part.detach() for part in state)
            output = self._drop(output)
        return output

    def _drop(self, x: Tensor) -> Tensor:
        """One mask for all steps of a text (Gal & Ghahramani 2016)."""
        if not (self.training and self.dropout):
            return x
        mask = torch.empty(len(x), 1, x.shape[2], device=x.device, dtype=x.dtype).bernoulli_(1 - self.dropout)
        return x * mask / (1 - self.dropout)


class ChunkedCrossEntropy(torch.autograd.Function):
    """Mean nats of targets over the whole vocabulary; scores and their gradients exist for one chunk at a time."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        dtype = torch.bfloat16 if vectors.is_cuda else torch.float32
        low, low_weight = vectors.to(dtype), weight.to(dtype)
        d_vectors, d_weight = torch.empty_like(low), torch.zeros_like(weight)
        d_bias, total = torch.zeros_like(bias), vectors.new_zeros((), dtype=torch.float32)
        for start in range(0, len(low), CHUNK):
            piece, wanted = low[start : start + CHUNK], targets[start : start + CHUNK]
            scores = (piece @ low_weight.T).float() + bias
            log_total = scores.logsumexp(1)
            total += (log_total - scores.gather(1, wanted[:, None]).squeeze(1)).sum()
            gradient = (scores - log_total[:, None]).exp_()
            gradient[torch.arange(len(wanted), device=wanted.device), wanted] -= 1
            gradient /= len(low)
            d_bias += gradient.sum(0)
            gradient = gradient.to(dtype)
            d_vectors[start : start + CHUNK] = gradient @ low_weight
            d_weight += (gradient.T @ piece).float()
        ctx.save_for_backward(d_vectors.to(vectors.dtype), d_weight, d_bias)
        return total / len(low)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        d_vectors, d_weight, d_bias = ctx.saved_tensors
        return gradients[0] * d_vectors, gradients[0] * d_weight, gradients[0] * d_bias, None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", choices=["wiki", "reviews"])
    parser.add_argument("direction", choices=["forward", "backward"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--checkpoints", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--base", type=Path, help="checkpoint of a finished run to go on from")
    parser.add_argument("--seconds", type=float, default=540, help="stop and keep a checkpoint after this long")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--window", type=int, default=70)
    parser.add_argument("--embedding", type=int, default=400)
    parser.add_argument("--hidden", type=int, default=1152)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    started = time.monotonic()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(options.seed)
    torch.backends.cuda.matmul.allow_tf32 = True
    name = f"{options.corpus}-{options.direction}"
    vocabulary = json.loads((options.data / "vocab.json").read_text(encoding="utf-8"))
    ids = read_ids(options.data, options.corpus, options.direction, device)
    net = LanguageModel(len(vocabulary), options.embedding, options.hidden, options.layers, options.dropout).to(device)
    counts = torch.bincount(ids.long(), minlength=len(vocabulary)).float() + 0.5
    net.bias.data.copy_((counts / counts.sum()).log())
    optimizer = torch.optim.AdamW(net.parameters(), lr=options.lr, betas=(0.9, 0.98), weight_decay=0.0)
    position = {"epoch": 0, "batch": 0, "step": 0}
    checkpoint = options.checkpoints / f"{name}.pt"
    options.checkpoints.mkdir(parents=True, exist_ok=True)
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
        position, net.state = saved["position"], [tuple(state) for state in saved["state"]]
    elif options.base:
        net.load_state_dict(torch.load(options.base, map_location=device, weights_only=True)["net"])
    row_length = len(ids) // options.batch_size
    steps_per_epoch = (row_length - 1) // options.window
    total_steps, tokens, last_saved = options.epochs * steps_per_epoch, 0, time.monotonic()
    while position["epoch"] < options.epochs:
        for inputs, targets in batches(ids, position, options, device):
            for group in optimizer.param_groups:
                group["lr"] = one_cycle(position["step"] / total_steps, options.lr)
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
                vectors = net(inputs)
            loss = ChunkedCrossEntropy.apply(vectors.flatten(0, 1), net.embedding.weight, net.bias, targets.flatten())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            position["batch"] += 1
            position["step"] += 1
            tokens += inputs.numel()
            now = time.monotonic()
            if position["step"] % 500 == 0:
                rate = f"loss {float(loss):.3f}, {tokens / (now - started):,.0f} tokens/s"
                print(f"{name}: step {position['step']} of {total_steps}, {rate}", flush=True)
            if now - last_saved > 60 or now - started > options.seconds:
                save_checkpoint(checkpoint, net, optimizer, position)
                last_saved = now
            if now - started > options.seconds:
                print(f"{name}: stopped at step {position['step']} of {total_steps}; run the same command again")
                return
        position["epoch"], position["batch"] = position["epoch"] + 1, 0
        save_checkpoint(checkpoint, net, optimizer, position)
    spent = time.monotonic() - started
    valid = read_ids(options.data, f"{options.corpus}-valid", options.direction, device)
    result = {
        "corpus": options.corpus,
        "direction": options.direction,
        "epochs": options.epochs,
        "tokens_per_epoch": len(ids),
        "seconds_of_this_run": round(spent),
        "tokens_per_second": round(tokens / spent),
        "architecture": [options.embedding, options.hidden, options.layers],
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "nats_per_token": evaluate(net, valid, options.window),
    }
    stored = quantise(net)
    result["nats_per_token_int8"] = evaluate(net, valid, options.window)
    write_pieces(options.out, name, stored, result)
    print("finished", json.dumps(result))


def read_ids(folder: Path, corpus: str, direction: str, device: torch.device) -> Tensor:
    """All tokens of a corpus; backward, the whole stream is turned round, so that each text ends with xxbos."""
    files = sorted(file for file in folder.glob(f"{corpus}-[0-9][0-9].xz"))
    if not files:
        raise SystemExit(f"{folder}: no {corpus}-00.xz in it")
    whole = np.concatenate([np.frombuffer(lzma.decompress(file.read_bytes()), np.uint16) for file in files])
    return torch.from_numpy((whole[::-1] if direction == "backward" else whole).astype(np.int32)).to(device)


def batches(
    ids: Tensor, position: dict[str, int], options: argparse.Namespace, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """The texts in this epoch's order, laid end to end in rows, cut into windows; from ``position`` on."""
    marks = (ids == START).nonzero().squeeze(1)
    starts = marks if options.direction == "forward" else torch.cat([marks.new_zeros(1), marks[:-1] + 1])
    lengths = torch.cat([starts[1:], starts.new_tensor([len(ids)])]) - starts
    generator = torch.Generator().manual_seed(options.seed + position["epoch"])
    order = torch.randperm(len(starts), generator=generator).to(device)
    ends = lengths[order].cumsum(0)
    places = torch.arange(int(ends[-1]), device=device)
    places += torch.repeat_interleave(starts[order] - (ends - lengths[order]), lengths[order])
    stream = ids[places]
    row_length = len(stream) // options.batch_size
    rows = stream[: options.batch_size * row_length].view(options.batch_size, row_length)
    for batch in range(position["batch"], (row_length - 1) // options.window):
        piece = rows[:, batch * options.window : (batch + 1) * options.window + 1].long()
        yield piece[:, :-1], piece[:, 1:]


def one_cycle(progress: float, lr: float, warm_up: float = 0.1) -> float:
    """A cosine up from lr / 25 and a cosine down to nearly nothing."""
    if progress < warm_up:
        return lr / 25 + (lr - lr / 25) * (1 - math.cos(math.pi * progress / warm_up)) / 2
    return lr * (1e-4 + (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up))) / 2)


def save_checkpoint(path: Path, net: LanguageModel, optimizer: torch.optim.Optimizer, position: dict[str, int]) -> None:
    """Beside, then renamed: a kill leaves the last whole one."""
    state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "position": position, "state": net.state}
    torch.save(state, path.with_suffix(".writing"))
    path.with_suffix(".writing").replace(path)


@torch.inference_mode()
def evaluate(net: LanguageModel, ids: Tensor, window: int) -> float:
    """Nats per token by the full softmax in float32."""
    net.eval()
    kept, net.state = net.state, [None] * len(net.rnns)
    rows = ids[: len(ids) // 8 * 8].view(8, -1).long()
    total = 0.0
    for left in range(0, rows.shape[1] - 1, window):
        piece = rows[:, left : left + window + 1]
        vectors = net(piece[:, :-1]).flatten(0, 1)
        scores = F.linear(vectors, net.embedding.weight, net.bias)
        total += float(F.cross_entropy(scores, piece[:, 1:].flatten(), reduction="sum"))
    net.state = kept
    net.train()
    return total / (8 * (rows.shape[1] - 1))


@torch.no_grad()
def quantise(net: LanguageModel) -> dict[str, Tensor]:
    """int8 with a scale per row of each matrix; the net goes on with what is left of its weights."""
    named = {"encoder.weight": net.embedding.weight, "decoder.bias": net.bias}
    for layer, rnn in enumerate(net.rnns):
        named |= {f"rnns.{layer}.{key.removesuffix('_l0')}": value for key, value in rnn.named_parameters()}
    stored = {}
    for name, parameter in named.items():
        if parameter.ndim == 1:
            stored[name] = parameter.half().cpu()
            parameter.copy_(parameter.half().float())
            continue
        scale = parameter.abs().amax(1).clamp_min(1e-12) / 127
        whole = (parameter / scale[:, None]).round()
        parameter.copy_(whole * scale[:, None])
        stored[name], stored[f"{name}.scale"] = whole.to(torch.int8).cpu(), scale.cpu()
    return stored


def write_pieces(folder: Path, name: str, stored: dict[str, Tensor], result: dict[str, Any]) -> None:
    """The tensors as one file cut into pieces, and what was measured."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = folder / f"{name}.pt"
    torch.save(stored, whole)
    content = whole.read_bytes()
    whole.unlink()
    for number, start in enumerate(range(0, len(content), PIECE_BYTES)):
        (folder / f"{name}.{number:02}.piece").write_bytes(content[start : start + PIECE_BYTES])
    (folder / f"{name}.json").write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
