"""TopK SAEs written and read by sae-lens itself.

    make [DIR]      writes DIR/plain and DIR/rescaled, each an SAE folder as `save_model` leaves it (cfg.json,
                    sae_weights.safetensors) with golden.safetensors beside them: `x` [n, d_in], `feature_acts`
                    [n, d_sae] = encode(x), `reconstruction` [n, d_in] = decode(encode(x)). `rescaled` has
                    rescale_acts_by_decoder_norm and decoder rows of norm 0.3 ... 2. The default DIR is
                    packages/sae/fixtures/saelens_topk.
    check SAE_DIR X.safetensors OUT.safetensors [OURS.safetensors]
                    loads SAE_DIR with SAE.load_from_disk, writes encode and decode of the tensor `activations` (or
                    `x`) to OUT as `feature_acts` and `reconstruction`, and prints one JSON object. OURS holds our
                    tensors of the same names; the comparison is described at `compare`.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from sae_lens import SAE
from sae_lens.saes.topk_sae import TopKSAE, TopKSAEConfig

D_IN, D_SAE, K, N = 16, 48, 5, 23
TIE = 1e-5
METADATA = {
    "model_name": "demo",
    "hook_name": "blocks.4.hook_resid_post",
    "context_size": 128,
    "prepend_bos": False,
    "model_class_name": "HookedTransformer",
}


@torch.no_grad()
def compute(sae, x):
    acts = sae.encode(x)
    return {"feature_acts": acts, "reconstruction": sae.decode(acts)}


@torch.no_grad()
def make(folder):
    for name, rescale in (("plain", False), ("rescaled", True)):
        g = torch.Generator().manual_seed(7 + rescale)
        normal = lambda *shape: torch.randn(*shape, generator=g)
        config = TopKSAEConfig(d_in=D_IN, d_sae=D_SAE, k=K, rescale_acts_by_decoder_norm=rescale)
        for key, value in METADATA.items():
            setattr(config.metadata, key, value)
        sae = TopKSAE(config)
        W_dec = normal(D_SAE, D_IN)
        W_dec /= W_dec.norm(dim=1, keepdim=True)
        W_enc = (W_dec + 0.1 * normal(D_SAE, D_IN)).T.contiguous()
        if rescale:
            W_dec *= torch.linspace(0.3, 2.0, D_SAE)[torch.randperm(D_SAE, generator=g), None]
        sae.W_dec.data, sae.W_enc.data = W_dec, W_enc
        sae.b_enc.data, sae.b_dec.data = 0.1 * normal(D_SAE) - 0.25, 0.3 * normal(D_IN)
        x = 2 * normal(N, D_IN) + sae.b_dec
        x[N - 1] = sae.b_dec + 0.02 * normal(D_IN)  # fewer than k positive pre-activations
        out = Path(folder) / name
        sae.save_model(out)
        golden = {"x": x, **compute(sae, x)}
        save_file({key: value.detach().contiguous() for key, value in golden.items()}, out / "golden.safetensors")
        rows = (golden["feature_acts"] > 0).sum(1)
        print(json.dumps({"sae": name, "rows": N, "l0_min": rows.min().item(), "l0_max": rows.max().item()}))


@torch.no_grad()
def compare(sae, x, theirs, ours):
    """max|a - b| and max|a| over the rows whose selection is not a matter of a tie.

    A row is tied where the k-th and the next pre-activation differ by less than 1e-5 relative. `rows_selecting_others`
    counts the rows with other latents than SAELens's; `untied_selecting_others` those of them that are not tied;
    `exact_ties` the rows where both are the same float32, and `ours_off_tie_rule` those of them where ours are not
    the first k by (value descending, index ascending).
    """
    k = sae.cfg.k
    pre = sae.process_sae_in(x) @ sae.W_enc + sae.b_enc
    if sae.cfg.rescale_acts_by_decoder_norm:
        pre = pre * sae.W_dec.norm(dim=-1)
    ordered, index = pre.sort(dim=1, descending=True, stable=True)
    tied = (ordered[:, k - 1] - ordered[:, k]).abs() < TIE * ordered[:, k - 1].abs()
    a, b = theirs["feature_acts"], ours["feature_acts"]
    other = ((a > 0) != (b > 0)).any(dim=1)
    by_rule = torch.zeros_like(pre).scatter(1, index[:, :k], 1.0).bool() & (pre > 0)
    exact = ordered[:, k - 1] == ordered[:, k]
    off_rule = exact & ((b > 0) != by_rule).any(dim=1)
    kept = ~other
    report = {"rows": len(x), "tied_rows": tied.sum().item()}
    report["rows_selecting_others"] = other.sum().item()
    report["untied_selecting_others"] = (other & ~tied).sum().item()
    report["exact_ties"] = exact.sum().item()
    report["ours_off_tie_rule"] = off_rule.sum().item()
    for name in ("feature_acts", "reconstruction"):
        left, right = theirs[name][kept], ours[name][kept]
        worst, size = (left - right).abs().max().item(), left.abs().max().item()
        report[name] = {"max_abs_difference": worst, "max_abs": size, "relative": worst / size}
    return report


def check(folder, x_file, out, ours_file=None):
    sae = SAE.load_from_disk(folder)
    tensors = load_file(x_file)
    x = tensors["activations"] if "activations" in tensors else tensors["x"]
    theirs = compute(sae, x.float())
    save_file({key: value.contiguous() for key, value in theirs.items()}, out)
    report = {"architecture": sae.cfg.architecture(), "d_in": sae.cfg.d_in, "d_sae": sae.cfg.d_sae, "k": sae.cfg.k}
    report["l0"] = (theirs["feature_acts"] > 0).sum(1).float().mean().item()
    if ours_file is not None:
        report |= compare(sae, x.float(), theirs, load_file(ours_file))
    print(json.dumps(report))


if __name__ == "__main__":
    command, arguments = (sys.argv[1:2] or [""])[0], sys.argv[2:]
    if command == "make" and len(arguments) <= 1:
        make(*(arguments or [Path(__file__).parent.parent / "packages/sae/fixtures/saelens_topk"]))
    elif command == "check" and len(arguments) in (3, 4):
        check(*arguments)
    else:
        sys.exit(__doc__)
