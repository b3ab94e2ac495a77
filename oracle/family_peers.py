"""The peers' own code on given weights: loss and gradients of sae_lens, dictionary_learning and sparsify, in float64.

`PEERS[case][peer](x, y, w, dead)` returns the loss and the gradients under our names and layout. What a peer has wrong
is avoided or mended here, and said:
- dictionary_learning StandardTrainerAprilUpdate is left out: its AutoEncoderNew multiplies f by the decoder norms before
  the trainer does so again, so its penalty is f·‖d‖².
- dictionary_learning MatryoshkaBatchTopK takes the mean over its n groups of losses that its default weights 1/n had
  divided already (1/n² in all): the weights here are n times ours.
- dictionary_learning JumpReLU applies its Step to f, after the jump, so that θ feels only pre-activations above it; here
  its own functions are applied to the pre-activation.
- SAELens's quadratic form is of every row's L0, (2/target)·mean (L0_row − target)², not of the batch's mean: another loss,
  so jumprelu_target is compared with dictionary_learning alone.
- sparsify divides by the variance of the target: loss and gradients are multiplied by it here. Its fused encoder gives
  AuxK no gradient for the encoder, and a selected 0 one that it should not have: AuxK is off, rows have k positive
  pre-activations.
"""

import os

import torch
from family_losses import D_IN, D_OUT, D_SAE, EPS, K, LAMBDA, LEVEL_WEIGHTS, N, P, PRE_ACT, TARGET_L0, WIDTHS

os.environ["SPARSIFY_DISABLE_TRITON"] = "1"


def saelens(make, coefficients=None, b_enc="b_enc", all_dead=False):
    """`all_dead`: its pre-activation loss reaches the dead alone, Anthropic's all latents."""

    def compute(x, y, w, dead):
        from sae_lens.saes.sae import TrainStepInput

        sae = make()
        dead = torch.ones_like(dead) if all_dead else dead
        names = {"W_enc": "W_enc", "W_dec": "W_dec", "b_dec": "b_dec", "b_enc": b_enc}
        names |= {name: name for name in ("threshold", "r_mag", "b_mag") if name in w}
        state = {theirs: w[ours].T if ours == "W_enc" else w[ours] for ours, theirs in names.items()}
        sae.load_state_dict({name: value.contiguous() for name, value in state.items()}, strict=False)
        step = TrainStepInput(
            sae_in=x, coefficients=coefficients or {}, dead_neuron_mask=dead, n_training_steps=0, is_logging_step=False
        )
        loss = sae.training_forward_pass(step).loss
        loss.backward()
        gradients = {ours: getattr(sae, theirs).grad.double() for ours, theirs in names.items()}
        return loss.detach(), gradients | {"W_enc": gradients["W_enc"].T}

    return compute


def saelens_config(kind, **options):
    def make():
        import sae_lens.saes as saes
        import sae_lens.saes.matryoshka_batchtopk_sae as matryoshka

        module = matryoshka if kind.startswith("Matryoshka") else saes
        config = getattr(module, f"{kind}TrainingSAEConfig")(
            d_in=D_IN, d_sae=D_SAE, dtype="float64", **{"apply_b_dec_to_input": False, **options}
        )
        return getattr(module, f"{kind}TrainingSAE")(config)

    return make


def trainer_gradients(loss, ae, encoder, decoder, others):
    """`encoder`, `decoder`: nn.Linear layers of theirs; `others`: our name -> their parameter."""
    loss.backward()
    gradients = {"W_enc": encoder.weight.grad, "W_dec": decoder.weight.grad.T}
    return loss.detach(), gradients | {ours: theirs.grad for ours, theirs in others(ae).items()}


def dl_linear(make, biases, aux_window=False):
    """A trainer whose dictionary has nn.Linear encoder and decoder. `biases(ae)`: our name -> their bias."""

    def compute(x, y, w, dead):
        trainer = make()
        ae = trainer.ae.double()
        ae.encoder.weight.data, ae.decoder.weight.data = w["W_enc"].clone(), w["W_dec"].T.clone()
        for ours, theirs in biases(ae).items():
            theirs.data = w[ours].clone()
        if aux_window:
            trainer.num_tokens_since_fired[dead] = trainer.dead_feature_threshold
        return trainer_gradients(trainer.loss(x, step=0), ae, ae.encoder, ae.decoder, biases)

    return compute


COMMON = dict(steps=10_000, activation_dim=D_IN, dict_size=D_SAE, layer=0, lm_name="none", device="cpu")


def dl_standard():
    from dictionary_learning.trainers.standard import StandardTrainer

    return StandardTrainer(**COMMON, l1_penalty=LAMBDA, sparsity_warmup_steps=None)


def dl_p_anneal():
    from dictionary_learning.trainers.p_anneal import PAnnealTrainer

    options = dict(sparsity_function="Lp^p", initial_sparsity_penalty=LAMBDA, p_start=P, sparsity_warmup_steps=None)
    return PAnnealTrainer(**{**COMMON, "steps": 100_000}, **options)


def dl_gated():
    from dictionary_learning.trainers.gdm import GatedSAETrainer

    return GatedSAETrainer(**COMMON, l1_penalty=LAMBDA, sparsity_warmup_steps=None)


def dl_topk():
    from dictionary_learning.trainers.top_k import TopKTrainer

    return TopKTrainer(**COMMON, k=K)


def dl_batchtopk():
    from dictionary_learning.trainers.batch_top_k import BatchTopKTrainer

    return BatchTopKTrainer(**COMMON, k=K)


def dl_matryoshka(x, y, w, dead):
    from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKTrainer

    n = len(WIDTHS)
    sizes = [width - before for width, before in zip(WIDTHS, (0, *WIDTHS), strict=False)]
    trainer = MatryoshkaBatchTopKTrainer(
        **COMMON,
        k=K,
        group_fractions=[size / D_SAE for size in sizes],
        group_weights=[n * weight for weight in LEVEL_WEIGHTS],
    )
    assert trainer.group_sizes == sizes
    ae = trainer.ae.double()
    for name in ("W_dec", "b_enc", "b_dec"):
        getattr(ae, name).data = w[name].clone()
    ae.W_enc.data = w["W_enc"].T.clone()
    trainer.num_tokens_since_fired[dead] = trainer.dead_feature_threshold
    loss = trainer.loss(x, step=0)
    loss.backward()
    gradients = {name: getattr(ae, name).grad for name in ("W_dec", "b_enc", "b_dec")}
    return loss.detach(), gradients | {"W_enc": ae.W_enc.grad.T}


def dl_jumprelu(x, y, w, dead):
    from dictionary_learning.trainers.jumprelu import JumpReLUFunction, StepFunction

    w = {name: value.clone().requires_grad_() for name, value in w.items()}
    pre = x @ w["W_enc"].T + w["b_enc"]
    f = JumpReLUFunction.apply(pre, w["threshold"], EPS)
    l0 = StepFunction.apply(pre, w["threshold"], EPS).sum(dim=-1).mean()
    out = f @ w["W_dec"] + w["b_dec"]
    loss = (x - out).pow(2).sum(dim=-1).mean() + LAMBDA * (l0 / TARGET_L0 - 1).pow(2)
    loss.backward()
    return loss.detach(), {name: value.grad for name, value in w.items()}


def sparsify_coder(skip):
    def compute(x, y, w, dead):
        from sparsify.config import SparseCoderConfig
        from sparsify.sparse_coder import SparseCoder

        # One width for both sides: the narrower side is filled up with zeros.
        config = SparseCoderConfig(num_latents=D_SAE, k=K, transcode=True, skip_connection=skip, normalize_decoder=False)
        coder = SparseCoder(D_IN, config, dtype=torch.float64)
        wide = lambda t: torch.cat([t, torch.zeros(*t.shape[:-1], D_IN - D_OUT, dtype=t.dtype)], dim=-1)
        coder.encoder.weight.data, coder.encoder.bias.data = w["W_enc"].clone(), w["b_enc"].clone()
        coder.W_dec.data, coder.b_dec.data = wide(w["W_dec"]), wide(w["b_dec"])
        if skip:
            coder.W_skip.data = wide(w["W_skip"].T).T.contiguous()
        target = wide(y)
        scale = (target - target.mean(0)).pow(2).sum() / N
        loss = coder(x, target).fvu * scale
        loss.backward()
        gradients = {
            "W_enc": coder.encoder.weight.grad,
            "b_enc": coder.encoder.bias.grad,
            "W_dec": coder.W_dec.grad[:, :D_OUT],
            "b_dec": coder.b_dec.grad[:D_OUT],
        }
        if skip:
            gradients["W_skip"] = coder.W_skip.grad[:D_OUT]
        return loss.detach(), gradients

    return compute


L1 = {"l1": LAMBDA}
L0 = {"l0": LAMBDA}
JUMP = dict(jumprelu_bandwidth=EPS)
TANH = dict(jumprelu_sparsity_loss_mode="tanh", pre_act_loss_coefficient=PRE_ACT)
encoder_bias = lambda ae: {"b_enc": ae.encoder.bias, "b_dec": ae.b_dec}
PEERS = {
    "standard_free": {"saelens": saelens(saelens_config("Standard"), L1)},
    "standard_unit": {
        "dictionary_learning": dl_linear(dl_standard, lambda ae: {"b_enc": ae.encoder.bias, "b_dec": ae.bias})
    },
    "p_anneal": {
        "dictionary_learning": dl_linear(dl_p_anneal, lambda ae: {"b_enc": ae.encoder.bias, "b_dec": ae.bias})
    },
    "gated_paper": {
        "dictionary_learning": dl_linear(
            dl_gated,
            lambda ae: {"b_enc": ae.gate_bias, "b_mag": ae.mag_bias, "r_mag": ae.r_mag, "b_dec": ae.decoder_bias},
        )
    },
    "gated_saelens": {"saelens": saelens(saelens_config("Gated"), L1, b_enc="b_gate")},
    "topk": {"dictionary_learning": dl_linear(dl_topk, encoder_bias, aux_window=True)},
    "topk_normed": {"saelens": saelens(saelens_config("TopK", k=K))},
    "batchtopk": {"dictionary_learning": dl_linear(dl_batchtopk, encoder_bias, aux_window=True)},
    "batchtopk_normed": {"saelens": saelens(saelens_config("BatchTopK", k=K))},
    "matryoshka": {"dictionary_learning": dl_matryoshka},
    "matryoshka_normed": {
        "saelens": saelens(saelens_config("MatryoshkaBatchTopK", k=K, matryoshka_widths=list(WIDTHS)))
    },
    "jumprelu_step": {"saelens": saelens(saelens_config("JumpReLU", **JUMP), L0)},
    "jumprelu_step_to_input": {
        "saelens": saelens(
            saelens_config("JumpReLU", **JUMP, jumprelu_ste_to_input=True, apply_b_dec_to_input=True), L0
        )
    },
    "jumprelu_target": {"dictionary_learning": dl_jumprelu},
    "jumprelu_tanh": {"saelens": saelens(saelens_config("JumpReLU", **JUMP, **TANH), L0)},
    "jumprelu_anthropic": {
        "saelens": saelens(
            saelens_config("JumpReLU", **JUMP, **TANH, jumprelu_ste_to_input=True), L0, all_dead=True
        )
    },
    "transcoder_plain": {"sparsify": sparsify_coder(False)},
    "skip_transcoder_plain": {"sparsify": sparsify_coder(True)},
}
# dictionary_learning's AuxK and Step are float32; SAELens keeps θ and its gradient in float32.
FLOAT32 = {
    "dictionary_learning": ("topk", "batchtopk", "matryoshka", "jumprelu_target"),
    "saelens": ("jumprelu_step", "jumprelu_step_to_input", "jumprelu_tanh", "jumprelu_anthropic"),
}
TOLERANCE = {(peer, case): 1e-6 for peer, cases in FLOAT32.items() for case in cases}
