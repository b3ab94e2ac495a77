"""Golden losses and gradients of every family from PyTorch autograd, in float64, and from the peers' own code.

Writes packages/sae/fixtures/family_goldens.safetensors. The losses are written out in family_losses.py from the papers;
family_peers.py puts the same weights and inputs through the installed sae_lens, dictionary_learning and sparsify where
they have the loss, and this script stops where a peer disagrees by more than 1e-10 of the largest gradient (1e-6
where the peer itself computes in float32). Known bugs of the peers are avoided or mended, and
named there.

Tensors: `x`, `y`, `dead`; `<case>.in.<parameter>`; `<case>.<term>` (loss, reconstruction, sparsity, aux, pre_act,
gate_aux); `<case>.<parameter>` gradients; `<peer>.<case>.loss` and `<peer>.<case>.<parameter>` from a peer;
`<case>.after.<parameter>`: after five steps of torch.optim.Adam with the case's constraint.

    python oracle/family_goldens.py [OUT.safetensors]
"""

import json
import sys
from pathlib import Path

import torch
from family_losses import CASES, D_IN, D_OUT, D_SAE, EPS, K, K_AUX, N, SHAPES
from family_peers import PEERS, TOLERANCE
from safetensors.torch import save_file

DEAD = [1, 6, 9, 14, 18]
STEPS, RATE = 5, 0.01
# Cases that train with rows of W_dec kept at norm 1 / with free norms.
TRAINED = {"standard_unit": True, "standard_free": False, "jumprelu_step": True, "skip_transcoder": False}


def point(case, names):
    """Weights of a case; thresholds are float32 numbers, since SAELens keeps them so."""
    g = torch.Generator().manual_seed(7)
    normal = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)
    free = {
        "W_dec": normal(D_SAE, D_IN) / D_IN**0.5,
        "W_enc": normal(D_SAE, D_IN) / D_IN**0.5,
        "b_enc": 0.1 + 0.2 * normal(D_SAE),
        "b_dec": 0.2 * normal(D_IN),
        "r_mag": 0.2 * normal(D_SAE),
        "b_mag": 0.2 * normal(D_SAE),
        "threshold": (0.1 + 0.2 * normal(D_SAE).abs()).float().double(),
        "W_skip": 0.2 * normal(D_OUT, D_IN),
    }
    free["W_enc"] = free["W_enc"] + free["W_dec"]
    free["b_enc"][DEAD] -= 0.8  # never among the largest, yet positive on some rows
    for name, shape in SHAPES.get(case, {}).items():
        free[name] = normal(*shape) / 2
    return {name: free[name] for name in names}


def check_point(x, w):
    """A golden is only worth something away from kinks."""
    pre = torch.cat([x @ w["W_enc"].T + w["b_enc"], (x - w["b_dec"]) @ w["W_enc"].T + w["b_enc"]])
    gaps = [pre.abs()]
    for scores in (pre, pre * w["W_dec"].norm(dim=1)):
        ordered = scores.sort(dim=1, descending=True).values
        gaps.append(ordered[:, K - 1] - ordered[:, K])
        dead = scores[:, DEAD].sort(dim=1, descending=True).values
        gaps.append(dead[:, K_AUX - 1] - dead[:, K_AUX])
    if "threshold" in w:
        gaps += [(pre - w["threshold"]).abs(), ((pre - w["threshold"]).abs() - EPS / 2).abs()]
    gap = min(float(values.min()) for values in gaps)
    assert gap > 1e-5, f"a kink is {gap:.1e} away"


def trained(case, x, y, w, dead, unit):
    """Adam of PyTorch; unit rows: the parallel part of the gradient removed, renormalised after the step."""
    w = {name: value.clone() for name, value in w.items()}
    if unit:
        w["W_dec"] /= w["W_dec"].norm(dim=1, keepdim=True)
    leaves = {name: torch.nn.Parameter(value) for name, value in w.items()}
    adam = torch.optim.Adam(leaves.values(), lr=RATE, betas=(0.9, 0.999), eps=1e-8)
    for _ in range(STEPS):
        adam.zero_grad()
        case(x, y, leaves, dead)["loss"].backward()
        with torch.no_grad():
            if unit:
                rows, grad = leaves["W_dec"], leaves["W_dec"].grad
                grad -= (grad * rows).sum(1, keepdim=True) * rows
        adam.step()
        with torch.no_grad():
            if unit:
                leaves["W_dec"] /= leaves["W_dec"].norm(dim=1, keepdim=True)
            if "threshold" in leaves:
                leaves["threshold"].clamp_(min=0)
    return {name: leaf.detach() for name, leaf in leaves.items()}


def main():
    default = Path(__file__).parent.parent / "packages/training/fixtures/family_goldens.safetensors"
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    g = torch.Generator().manual_seed(5)
    x = torch.randn(N, D_IN, generator=g, dtype=torch.float64)
    y = torch.randn(N, D_OUT, generator=g, dtype=torch.float64)
    dead = torch.zeros(D_SAE, dtype=torch.bool)
    dead[DEAD] = True
    tensors = {"x": x, "y": y, "dead": dead.to(torch.uint8)}
    for name, (case, names) in CASES.items():
        w = point(name, names)
        if name not in SHAPES:
            check_point(x, w)
        leaves = {key: value.clone().requires_grad_() for key, value in w.items()}
        terms = case(x, y, leaves, dead)
        gradients = dict(zip(leaves, torch.autograd.grad(terms["loss"], list(leaves.values())), strict=True))
        tensors |= {f"{name}.in.{key}": value for key, value in w.items()}
        tensors |= {f"{name}.{key}": value.reshape(1) for key, value in terms.items()}
        tensors |= {f"{name}.{key}": value for key, value in gradients.items()}
        off = {}
        for peer, compute in PEERS.get(name, {}).items():
            loss, theirs = compute(x, y, w, dead)
            largest = max(value.abs().max() for value in gradients.values())
            worst = max((gradients[key] - value).abs().max() for key, value in theirs.items()) / largest
            off[peer] = max(float(worst), float(((loss - terms["loss"]).abs() / terms["loss"]).detach()))
            tensors[f"{peer}.{name}.loss"] = loss.reshape(1)
            tensors |= {f"{peer}.{name}.{key}": value for key, value in theirs.items()}
        print(json.dumps({"case": name, "loss": terms["loss"].item(), "off": off}))
        for peer, value in off.items():
            assert value < TOLERANCE.get((peer, name), 1e-10), f"{name}: the formula is not {peer}'s"
        if name in TRAINED:
            after = trained(case, x, y, w, dead, TRAINED[name])
            tensors |= {f"{name}.after.{key}": value for key, value in after.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: t.detach().double().contiguous().clone() for name, t in tensors.items()}, out)


if __name__ == "__main__":
    main()
