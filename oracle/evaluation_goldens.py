"""What SAELens's own evaluation says about two small SAEs on the demo model: packages/sae/fixtures/evaluation.

    make [DIR]      writes DIR/standard and DIR/jumprelu, each an SAE folder as `save_model` leaves it, and DIR/golden.json:
                    the tokens, and for each SAE the figures of sae_lens.evals.run_evals. What SAELens defines otherwise
                    than we do is computed here with TransformerLens alone: `kept` has the zero and the mean ablation with
                    masked positions left alone, and the KL divergences of both.

The SAEs write principal directions of the activations, both signs of each, so that they reconstruct something.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from sae_lens import SAE
from sae_lens.evals import _kl, get_eval_everything_config, run_evals
from sae_lens.saes.jumprelu_sae import JumpReLUSAE, JumpReLUSAEConfig
from sae_lens.saes.standard_sae import StandardSAE, StandardSAEConfig
from sae_lens.training.activation_scaler import ActivationScaler

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "bench/peers"))
import llama_lens  # noqa: E402

HOOK = "blocks.4.hook_resid_post"
SPECIAL, CONTEXTS, LENGTH, D_SAE = 0, 8, 32, 32


class Tokens:
    """As much of an activation store as run_evals asks for: one batch, the same every time."""

    def __init__(self, tokens):
        self.tokens, self.context_size, self.store_batch_size_prompts = tokens, tokens.shape[1], len(tokens)

    def get_batch_tokens(self, batch_size):
        assert batch_size == len(self.tokens)
        return self.tokens

    def reset_input_dataset(self):
        pass


def some_tokens(golden):
    """Pieces of the demo's golden text, each after the special token; some with another one inside."""
    ids = load_file(golden)["input_ids"][0].long()
    rows = []
    for c in range(CONTEXTS):
        row = torch.cat([torch.tensor([SPECIAL]), ids.roll(-5 * c)[: LENGTH - 1]])
        if c % 3 == 1:
            row[10 + c] = SPECIAL
        rows.append(row)
    return torch.stack(rows)


@torch.no_grad()
def build(kind, acts):
    mean = acts.mean(0)
    directions = torch.linalg.svd(acts - mean, full_matrices=False).Vh[: D_SAE // 2]
    W_dec = torch.cat([directions, -directions])
    d_in = acts.shape[1]
    if kind == "standard":
        sae = StandardSAE(StandardSAEConfig(d_in=d_in, d_sae=D_SAE))
        sae.b_enc.data = torch.full((D_SAE,), -1.0)
    else:
        sae = JumpReLUSAE(JumpReLUSAEConfig(d_in=d_in, d_sae=D_SAE))
        sae.b_enc.data = torch.zeros(D_SAE)
        sae.threshold.data = torch.linspace(1.0, 9.0, D_SAE)
    sae.W_dec.data, sae.W_enc.data, sae.b_dec.data = W_dec.contiguous(), W_dec.T.contiguous(), mean
    for key, value in {"model_name": "demo", "hook_name": HOOK, "context_size": LENGTH, "prepend_bos": False}.items():
        setattr(sae.cfg.metadata, key, value)
    return sae


@torch.no_grad()
def ablations(model, tokens, mask):
    """Zero and mean ablation at unmasked positions alone, in TransformerLens."""
    logits, loss = model(tokens, return_type="both", loss_per_token=True)
    acts = model.run_with_cache(tokens, names_filter=[HOOK])[1][HOOK]
    scored = mask[:, :-1]
    out = {"ce_clean": loss[scored].double().mean().item()}
    for name, value in {"zero": torch.zeros(acts.shape[-1]), "mean": acts[mask].double().mean(0).float()}.items():
        put = lambda x, hook, value=value: torch.where(mask[..., None], value, x)
        other, spliced = model.run_with_hooks(tokens, return_type="both", loss_per_token=True, fwd_hooks=[(HOOK, put)])
        out[f"ce_{name}"] = spliced[scored].double().mean().item()
        out[f"kl_{name}"] = _kl(logits, other)[mask].double().mean().item()
    return out


@torch.no_grad()
def make(folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model = llama_lens.load(ROOT / "assets/demo/model")
    tokens = some_tokens(ROOT / "assets/demo/golden.safetensors")
    mask = tokens != SPECIAL
    acts = model.run_with_cache(tokens, names_filter=[HOOK])[1][HOOK]
    golden = {"hook": HOOK, "special": SPECIAL, "input_ids": tokens.tolist(), "kept": ablations(model, tokens, mask), "saes": {}}
    config = get_eval_everything_config(len(tokens), n_eval_reconstruction_batches=1, n_eval_sparsity_variance_batches=1)
    for kind in ("standard", "jumprelu"):
        build(kind, acts[mask]).save_model(folder / kind)
        sae = SAE.load_from_disk(folder / kind)
        scalar, feature = run_evals(sae, Tokens(tokens), model, ActivationScaler(), config, exclude_special_tokens=[SPECIAL])
        kept = ("feature_density", "consistent_activation_heuristic")
        known = lambda values: [None if value != value else value for value in values]
        golden["saes"][kind] = {"metrics": scalar, "features": {name: known(feature[name]) for name in kept}}
        print(json.dumps({"sae": kind, **scalar["sparsity"], **scalar["model_performance_preservation"]}))
    (folder / "golden.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    make(*(sys.argv[2:] or [ROOT / "packages/evaluation/fixtures/evaluation"]))
