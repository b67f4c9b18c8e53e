"""Decoders of the model catalogue as torch modules, written as the references of their families are."""

import json
import os
import pathlib

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint


def catalogue():
    home = os.environ.get("TRAINYARD_HOME")
    return pathlib.Path(home) / "models" / "catalogue" if home else pathlib.Path(__file__).resolve().parents[3] / "models" / "catalogue"


def read_model(name):
    """The keys of the catalogue that a decoder needs. A model of another family than GPT-2's and Llama's is refused."""
    spec = json.loads((catalogue() / f"{name}.json").read_text())
    if spec["family"] not in ("gpt", "llama"):
        raise ValueError(f"{name} is of family {spec['family']}: this builds gpt and llama")
    return {
        "name": name,
        "layers": spec["layers"],
        "hidden": spec["hidden"],
        "heads": spec["heads"],
        "kv_heads": spec.get("kv_heads", spec["heads"]),
        "ffn": spec.get("ffn", 4 * spec["hidden"]),
        "vocab": spec["vocab"],
        "seq_len": spec["seq_len"],
        "llama": spec["family"] == "llama",
    }


def rotate(x, cosine, sine):
    """Rotary embedding of [batch, heads, sequence, size], halves rotated against each other."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)


class Layer(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.hidden, self.heads, self.kv_heads, self.llama = model["hidden"], model["heads"], model["kv_heads"], model["llama"]
        self.head_dim = self.hidden // self.heads
        bias = not self.llama
        norm = nn.RMSNorm if self.llama else nn.LayerNorm
        self.norm1, self.norm2 = norm(self.hidden), norm(self.hidden)
        if self.llama:
            self.q = nn.Linear(self.hidden, self.heads * self.head_dim, bias=False)
            self.k = nn.Linear(self.hidden, self.kv_heads * self.head_dim, bias=False)
            self.v = nn.Linear(self.hidden, self.kv_heads * self.head_dim, bias=False)
            self.gate = nn.Linear(self.hidden, model["ffn"], bias=False)
        else:
            self.qkv = nn.Linear(self.hidden, 3 * self.hidden)
        self.out = nn.Linear(self.heads * self.head_dim, self.hidden, bias=bias)
        self.up = nn.Linear(self.hidden, model["ffn"], bias=bias)
        self.down = nn.Linear(model["ffn"], self.hidden, bias=bias)

    def heads_of(self, x, count):
        return x.view(x.shape[0], x.shape[1], count, self.head_dim).transpose(1, 2)

    def forward(self, x, cosine, sine):
        normed = self.norm1(x)
        if self.llama:
            q = rotate(self.heads_of(self.q(normed), self.heads), cosine, sine)
            k = rotate(self.heads_of(self.k(normed), self.kv_heads), cosine, sine)
            v = self.heads_of(self.v(normed), self.kv_heads)
        else:
            q, k, v = (self.heads_of(part, self.heads) for part in self.qkv(normed).split(self.hidden, dim=-1))
        attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.heads != self.kv_heads)
        x = x + self.out(attended.transpose(1, 2).reshape(x.shape[0], x.shape[1], self.heads * self.head_dim))
        normed = self.norm2(x)
        if self.llama:
            return x + self.down(functional.silu(self.gate(normed)) * self.up(normed))
        return x + self.down(functional.gelu(self.up(normed), approximate="tanh"))


class Decoder(nn.Module):
    """So many layers of a model between its embedding and its head; returns the mean loss, logits in fp32."""

    def __init__(self, model, layers, seq_len):
        super().__init__()
        hidden = model["hidden"]
        self.tokens = nn.Embedding(model["vocab"], hidden)
        self.positions = None if model["llama"] else nn.Embedding(seq_len, hidden)
        self.layers = nn.ModuleList(Layer(model) for _ in range(layers))
        self.norm = nn.RMSNorm(hidden) if model["llama"] else nn.LayerNorm(hidden)
        self.head = nn.Linear(hidden, model["vocab"], bias=False)
        if not model["llama"]:
            self.head.weight = self.tokens.weight
        size = hidden // model["heads"]
        frequencies = 500000.0 ** -(torch.arange(0, size, 2, dtype=torch.float32) / size)
        angles = torch.outer(torch.arange(seq_len, dtype=torch.float32), frequencies)
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)
        self.recomputes = False

    def recompute(self):
        """From now on a layer keeps its input alone and runs forward again before its backward pass."""
        self.recomputes = True

    def forward(self, ids, targets):
        x = self.tokens(ids)
        if self.positions is not None:
            x = x + self.positions.weight
        cosine, sine = self.cosine.to(x.dtype), self.sine.to(x.dtype)
        for layer in self.layers:
            x = checkpoint(layer, x, cosine, sine, use_reentrant=False) if self.recomputes else layer(x, cosine, sine)
        logits = self.head(self.norm(x))
        return functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def build(model, layers, seq_len, dtype, device):
    """A decoder made on the device: nothing is initialised on the host."""
    torch.manual_seed(0)
    with torch.device(device):
        default = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            decoder = Decoder(model, layers, seq_len)
        finally:
            torch.set_default_dtype(default)
    for parameter in decoder.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.02)
    return decoder
