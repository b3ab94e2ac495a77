"""Weights after several updates by the peers' own trainers: dictionary_learning's and SAELens's, in float64.

Writes packages/sae/fixtures/family_trainers.safetensors. Loss, projection of the decoder's gradient, clip, Adam,
renormalisation and running threshold are the peers' code in the peers' order; the start and the batches are given (numbers
that float32 has). dictionary_learning's warm-up is 0 and its threshold runs from the first step. Matryoshka's weights are
mended as family_peers.py says, and StandardTrainerAprilUpdate and its JumpReLU are left out for the bugs named there.

Tensors: `x` [steps, B, d_in]; `<peer>.<case>.in.<parameter>`, `<peer>.<case>.out.<parameter>`, `<peer>.<case>.threshold`.

    python oracle/family_trainers.py [OUT.safetensors]
"""

import sys
from pathlib import Path

import torch
from family_goldens import point
from family_losses import CASES, D_IN, D_SAE, K, LAMBDA, LEVEL_WEIGHTS, N, P, WIDTHS
from family_peers import COMMON, JUMP, TANH, saelens_config
from safetensors.torch import save_file

STEPS, RATE, BETA = 6, 0.01, 0.75
UNIT = {"standard_unit", "p_anneal", "gated_paper", "topk", "batchtopk", "matryoshka"}


def start(case):
    w = point(case, CASES[case][1])
    if case in UNIT:
        w["W_dec"] = w["W_dec"] / w["W_dec"].norm(dim=1, keepdim=True)
    return {name: value.float().double() for name, value in w.items()}


def dictionary_learning(case):
    from dictionary_learning.trainers import batch_top_k, gdm, matryoshka_batch_top_k, p_anneal, standard, top_k

    options = {**COMMON, "steps": 100_000, "lr": RATE, "warmup_steps": 0}
    running = dict(threshold_beta=BETA, threshold_start_step=-1)
    dense = dict(sparsity_warmup_steps=None)
    sizes = [width - before for width, before in zip(WIDTHS, (0, *WIDTHS), strict=False)]
    groups = dict(
        group_fractions=[size / D_SAE for size in sizes],
        group_weights=[len(WIDTHS) * weight for weight in LEVEL_WEIGHTS],
    )
    penalty = dict(sparsity_function="Lp^p", initial_sparsity_penalty=LAMBDA, p_start=P)
    return {
        "standard_unit": lambda: standard.StandardTrainer(**options, **dense, l1_penalty=LAMBDA),
        "p_anneal": lambda: p_anneal.PAnnealTrainer(**options, **dense, **penalty),
        "gated_paper": lambda: gdm.GatedSAETrainer(**options, **dense, l1_penalty=LAMBDA),
        "topk": lambda: top_k.TopKTrainer(**options, **running, k=K),
        "batchtopk": lambda: batch_top_k.BatchTopKTrainer(**options, **running, k=K),
        "matryoshka": lambda: matryoshka_batch_top_k.MatryoshkaBatchTopKTrainer(**options, **running, **groups, k=K),
    }[case]()


def by_dictionary_learning(case, w, x):
    trainer = dictionary_learning(case)
    ae = trainer.ae.double()
    if case == "matryoshka":
        places = {"W_enc": (ae.W_enc, True), "W_dec": (ae.W_dec, False), "b_enc": (ae.b_enc, False)}
    else:
        places = {"W_enc": (ae.encoder.weight, False), "W_dec": (ae.decoder.weight, True)}
        places["b_enc"] = (ae.gate_bias if case == "gated_paper" else ae.encoder.bias, False)
    if case == "gated_paper":
        places |= {"r_mag": (ae.r_mag, False), "b_mag": (ae.mag_bias, False), "b_dec": (ae.decoder_bias, False)}
    else:
        places["b_dec"] = (ae.bias if hasattr(ae, "bias") else ae.b_dec, False)
    for name, (parameter, transposed) in places.items():
        parameter.data = (w[name].T if transposed else w[name]).clone()
    # Step 0 would set b_dec to the geometric median.
    for step, batch in enumerate(x):
        trainer.update(step + 1, batch)
    after = {name: (p.data.T if transposed else p.data) for name, (p, transposed) in places.items()}
    return after, getattr(ae, "threshold", None) if case in ("batchtopk", "matryoshka") else None


SAELENS = {
    "standard_free": ("Standard", dict(l1_coefficient=LAMBDA)),
    "gated_saelens": ("Gated", dict(l1_coefficient=LAMBDA)),
    "topk_normed": ("TopK", dict(k=K)),
    "batchtopk_normed": ("BatchTopK", dict(k=K)),
    "matryoshka_normed": ("MatryoshkaBatchTopK", dict(k=K, matryoshka_widths=list(WIDTHS))),
    "jumprelu_step": ("JumpReLU", dict(l0_coefficient=LAMBDA, **JUMP)),
    "jumprelu_step_to_input": (
        "JumpReLU",
        dict(l0_coefficient=LAMBDA, **JUMP, jumprelu_ste_to_input=True, apply_b_dec_to_input=True),
    ),
    "jumprelu_tanh": ("JumpReLU", dict(l0_coefficient=LAMBDA, **JUMP, **TANH)),
}


def by_saelens(case, w, x):
    from sae_lens.config import SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    kind, options = SAELENS[case]
    sae = saelens_config(kind, **options)()
    gate = "b_gate" if kind == "Gated" else "b_enc"
    names = {name: gate if name == "b_enc" else name for name in w}
    state = {theirs: (w[ours].T if ours == "W_enc" else w[ours]).contiguous() for ours, theirs in names.items()}
    sae.load_state_dict(state, strict=False)
    config = SAETrainerConfig(
        total_training_samples=STEPS * N, train_batch_size_samples=N, lr=RATE, lr_end=RATE, dead_feature_window=1000
    )
    trainer = SAETrainer(config, sae, iter(x))
    for batch in x:
        trainer.step(batch)
        trainer.n_training_steps += 1
    after = {ours: getattr(sae, theirs).data.double() for ours, theirs in names.items()}
    return after | {"W_enc": after["W_enc"].T}, None


def main():
    default = Path(__file__).parent.parent / "packages/training/fixtures/family_trainers.safetensors"
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    x = torch.randn(STEPS, N, D_IN, generator=torch.Generator().manual_seed(9)).double()
    tensors = {"x": x}
    for peer, update, cases in (
        ("dictionary_learning", by_dictionary_learning, sorted(UNIT)),
        ("saelens", by_saelens, SAELENS),
    ):
        for case in cases:
            w = start(case)
            after, threshold = update(case, w, x)
            tensors |= {f"{peer}.{case}.in.{name}": value for name, value in w.items()}
            tensors |= {f"{peer}.{case}.out.{name}": value for name, value in after.items()}
            if threshold is not None:
                tensors[f"{peer}.{case}.threshold"] = threshold.reshape(1)
            moved = max(float((after[name] - w[name]).abs().max()) for name in w)
            print(f"{peer} {case}: moved {moved:.3f}")
    save_file({name: t.detach().double().contiguous().clone() for name, t in tensors.items()}, out)


if __name__ == "__main__":
    main()
