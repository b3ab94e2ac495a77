"""Finished SAEs of either side in one layout (given_batches.py), run and judged by one code in PyTorch."""

import torch
from safetensors import safe_open


def load(path):
    """The tensors of a finished SAE and its metadata: activation, k, centred."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name).float() for name in file.keys()}, file.metadata()


def encode(x, w, how):
    z = (x - w["b_dec"] if how["centred"] == "true" else x) @ w["W_enc"].T
    pre = z + w["b_enc"]
    kind = how["activation"]
    if kind == "relu":
        return pre.relu()
    if kind == "topk":
        top = pre.topk(int(how["k"]), dim=-1)
        return torch.zeros_like(pre).scatter(-1, top.indices, top.values.relu())
    if kind == "jumprelu":
        return pre.relu() * (pre > w["threshold"])
    if kind == "gated":
        return (z * w["r_mag"].exp() + w["b_mag"]).relu() * (pre > 0)
    raise SystemExit(f"unknown activation {kind}")


class Judge:
    """FVU = Σ‖y − x̂‖² / Σ‖y − ȳ‖² with the mean over all rows; L0 counts activations above 0."""

    def __init__(self, path):
        self.w, self.how = load(path)
        self.rows = 0
        self.error = self.squares = self.firing = 0.0
        self.total = 0
        self.fired = torch.zeros(len(self.w["b_enc"]), dtype=torch.bool)

    @torch.no_grad()
    def add(self, x, y):
        f = encode(x, self.w, self.how)
        out = f @ self.w["W_dec"] + self.w["b_dec"]
        if "W_skip" in self.w:
            out = out + x @ self.w["W_skip"].T
        self.rows += len(x)
        self.error += float((out - y).double().pow(2).sum())
        self.squares += float(y.double().pow(2).sum())
        self.total = self.total + y.double().sum(0)
        self.firing += float((f > 0).sum())
        self.fired |= (f > 0).any(0)

    def result(self):
        variance = self.squares - float(self.total.pow(2).sum()) / self.rows
        alive = float(self.fired.float().mean())
        return {"tokens": self.rows, "fvu": self.error / variance, "l0": self.firing / self.rows, "alive": alive}
