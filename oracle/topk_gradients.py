"""Golden losses and gradients of the TopK SAE from PyTorch autograd, in float64.

Writes packages/sae/fixtures/topk_gradients.safetensors. The loss is written out below from Gao et al. 2024
(arXiv 2406.04093); every case is also put through the installed sae_lens and dictionary_learning, so that the
formulas are the peers' own. The difference is printed, and more than 1e-12 of the largest gradient stops the script
(1e-6 for dictionary_learning's AuxK, which casts its residual to float32). dictionary_learning gets only the rows
with k positive pre-activations: on others its top k of ReLU'd values takes zeros at random, counts those latents as
fired, and a dead one among them counts as alive in the very step.

    L = mean_B |x̂ - x|^2 + coefficient * aux,   aux = scale * mean_B |ê - r|^2 / denominator,   r = (x - x̂) constant

Cases (tensors `<case>.loss`, `.mse`, `.aux`, `.W_enc`, `.b_enc`, `.W_dec`, `.b_dec`, `.feature_acts`):
    plain            no AuxK
    dl, dl_few       dictionary_learning: ReLU'd dead activations, denominator = the residual's variance, 1/32
    saelens, saelens_few    SAELens: raw pre-activations, no denominator, times min(dead / k_aux, 1), coefficient 1
`*_few` have fewer dead latents than k_aux (tensors `dead`, `dead_few`, uint8 [d_sae]). Weights and gradients are
feature-major, [d_sae, d_in]; `.aux` is the term before its coefficient, `scale` and denominator included.

    python oracle/topk_gradients.py [OUT.safetensors]
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

D_IN, D_SAE, K, K_AUX, N = 12, 40, 4, 6, 17
DEAD = [1, 4, 9, 13, 17, 22, 26, 30, 35, 39]
DEAD_FEW = [4, 13, 26, 35]
NAMES = ("W_enc", "b_enc", "W_dec", "b_dec")
CASES = {
    "plain": dict(dead=None, coefficient=0.0, relu=True, normalise=False, scale_by_dead=False),
    "dl": dict(dead=DEAD, coefficient=1 / 32, relu=True, normalise=True, scale_by_dead=False),
    "dl_few": dict(dead=DEAD_FEW, coefficient=1 / 32, relu=True, normalise=True, scale_by_dead=False),
    "saelens": dict(dead=DEAD, coefficient=1.0, relu=False, normalise=False, scale_by_dead=True),
    "saelens_few": dict(dead=DEAD_FEW, coefficient=1.0, relu=False, normalise=False, scale_by_dead=True),
}


def mask(latents):
    flags = torch.zeros(D_SAE, dtype=torch.bool)
    flags[latents] = True
    return flags


def point():
    """Weights and inputs with nothing near a kink; one row has fewer than k positive pre-activations."""
    g = torch.Generator().manual_seed(3)
    normal = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)
    W_dec = normal(D_SAE, D_IN)
    W_dec /= W_dec.norm(dim=1, keepdim=True)
    W_enc = W_dec + 0.1 * normal(D_SAE, D_IN)
    b_enc = -0.05 - 0.2 * torch.rand(D_SAE, generator=g, dtype=torch.float64)
    b_enc[[2, 20]] = 0.15
    b_enc[DEAD] -= 1.0  # never among the top k, yet positive on some rows: both ends of the ReLU are met
    b_dec = 0.3 * normal(D_IN)
    x = b_dec + normal(N, D_IN)
    x[N - 1] = b_dec + 0.02 * normal(D_IN)
    return x, (W_enc, b_enc, W_dec, b_dec)


def loss(x, weights, dead, coefficient, relu, normalise, scale_by_dead):
    W_enc, b_enc, W_dec, b_dec = weights
    pre = (x - b_dec) @ W_enc.T + b_enc
    value, index = pre.topk(K, dim=1)
    acts = torch.zeros_like(pre).scatter(1, index, value.relu())
    out = acts @ W_dec + b_dec
    mse = (out - x).pow(2).sum(1).mean()
    if dead is None:
        return mse, mse, torch.zeros_like(mse), acts, pre
    residual = (x - out).detach()
    k_aux = min(K_AUX, len(dead))
    value, index = torch.where(mask(dead), pre, -torch.inf).topk(k_aux, dim=1)
    if relu:
        value = value.relu()
    estimate = torch.zeros_like(pre).scatter(1, index, value) @ W_dec
    aux = (estimate - residual).pow(2).sum(1).mean()
    if normalise:
        aux = aux / (residual - residual.mean(0)).pow(2).sum(1).mean()
    if scale_by_dead:
        aux = aux * min(len(dead) / K_AUX, 1)
    return mse + coefficient * aux, mse, aux, acts, pre


def check_point(pre):
    """The golden is only worth something away from kinks and where both branches of each ReLU are taken."""
    ordered = pre.sort(dim=1, descending=True).values
    dead = pre[:, DEAD].sort(dim=1, descending=True).values
    gaps = torch.cat([ordered[:, K - 1] - ordered[:, K], dead[:, K_AUX - 1] - dead[:, K_AUX], pre.abs().flatten()])
    assert gaps.min() > 1e-4, f"a kink is {gaps.min():.1e} away"
    assert (ordered[:, K - 1] < 0).any(), "no row with fewer than k positive pre-activations"
    assert (dead[:, :K_AUX] > 0).any() and (dead[:, :K_AUX] < 0).any(), "AuxK meets one side of its ReLU only"
    chosen = pre.topk(K, dim=1).indices
    assert not mask(DEAD)[chosen].any(), "a latent called dead fires"


def dictionary_learning_gradients(x, weights, dead):
    from dictionary_learning.trainers.top_k import TopKTrainer

    W_enc, b_enc, W_dec, b_dec = weights
    trainer = TopKTrainer(10, D_IN, D_SAE, K, 0, "none", lr=1e-3, warmup_steps=1, device="cpu")
    trainer.ae.double()
    ae = trainer.ae
    ae.encoder.weight.data, ae.encoder.bias.data = W_enc.clone(), b_enc.clone()
    ae.decoder.weight.data, ae.b_dec.data = W_dec.T.clone(), b_dec.clone()
    assert trainer.top_k_aux == K_AUX and trainer.auxk_alpha == 1 / 32
    if dead is None:
        trainer.auxk_alpha = 0
    else:
        trainer.num_tokens_since_fired[dead] = trainer.dead_feature_threshold
    total = trainer.loss(x, step=0)
    total.backward()
    return total, (ae.encoder.weight.grad, ae.encoder.bias.grad, ae.decoder.weight.grad.T, ae.b_dec.grad)


def saelens_gradients(x, weights, dead):
    from sae_lens.saes.sae import TrainStepInput
    from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig

    # rescale_acts_by_decoder_norm is its default, but rows of norm 1 would still get a gradient through their norm.
    sae = TopKTrainingSAE(
        TopKTrainingSAEConfig(d_in=D_IN, d_sae=D_SAE, k=K, dtype="float64", rescale_acts_by_decoder_norm=False)
    )
    W_enc, b_enc, W_dec, b_dec = weights
    sae.load_state_dict({"W_enc": W_enc.T, "b_enc": b_enc, "W_dec": W_dec, "b_dec": b_dec})
    flags = None if dead is None else mask(dead)
    step = TrainStepInput(sae_in=x, coefficients={}, dead_neuron_mask=flags, n_training_steps=0, is_logging_step=False)
    total = sae.training_forward_pass(step).loss
    total.backward()
    return total, (sae.W_enc.grad.T, sae.b_enc.grad, sae.W_dec.grad, sae.b_dec.grad)


def difference(ours, theirs):
    largest = max(g.abs().max() for g in ours[1])
    gradient = max((a - b).abs().max() for a, b in zip(ours[1], theirs[1], strict=True)) / largest
    return max(gradient, (ours[0] - theirs[0]).abs() / ours[0].abs()).item()


def main():
    default = Path(__file__).parent.parent / "packages/training/fixtures/topk_gradients.safetensors"
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    x, weights = point()
    tensors = {"x": x, "dead": mask(DEAD).to(torch.uint8), "dead_few": mask(DEAD_FEW).to(torch.uint8)}
    tensors |= dict(zip(NAMES, weights, strict=True))
    for case, options in CASES.items():
        leaves = [w.clone().requires_grad_() for w in weights]
        total, mse, aux, acts, pre = (t.detach() if i else t for i, t in enumerate(loss(x, leaves, **options)))
        check_point(pre)
        gradients = torch.autograd.grad(total, leaves)
        off = {}
        if not case.startswith("saelens"):
            rows = x[(pre > 0).sum(1) >= K]
            part = loss(rows, leaves, **options)[0]
            ours = part, torch.autograd.grad(part, leaves)
            off["dictionary_learning"] = difference(ours, dictionary_learning_gradients(rows, weights, options["dead"]))
        if not case.startswith("dl"):
            off["sae_lens"] = difference((total, gradients), saelens_gradients(x, weights, options["dead"]))
        print(json.dumps({"case": case, "loss": total.item(), "mse": mse.item(), "aux": aux.item(), "off": off}))
        assert max(off.values()) < (1e-6 if case.startswith("dl") else 1e-12), "the formula above is not the peer's"
        tensors |= {f"{case}.{name}": g for name, g in zip(NAMES, gradients, strict=True)}
        scalars = {"loss": total, "mse": mse, "aux": aux}
        tensors |= {f"{case}.{name}": v.detach().reshape(1) for name, v in scalars.items()}
        tensors[f"{case}.feature_acts"] = acts.detach()
    out.parent.mkdir(parents=True, exist_ok=True)
    settings = {"k": K, "k_aux": K_AUX, "d_in": D_IN, "d_sae": D_SAE, "n": N}
    metadata = {name: str(value) for name, value in settings.items()}
    save_file({name: t.detach().contiguous().clone() for name, t in tensors.items()}, out, metadata=metadata)


if __name__ == "__main__":
    main()
