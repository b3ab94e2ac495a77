"""Every family's loss in PyTorch float64, written from the papers, each in a few lines of its own.

`CASES` maps a name to a function `(x, y, w, dead) -> dict of terms` whose sum `loss` autograd differentiates: what a
paper holds constant is detached, and the jumps of JumpReLU are autograd Functions with the rectangle's straight-through
estimator. family_goldens.py evaluates them; packages/training/testing/golden_plans.ts names the same cases as plans.

    W_enc [d_sae, d_in], W_dec [d_sae, d_out] feature-major; x [B, d_in], y [B, d_out]; dead bool [d_sae]
"""

import torch
from torch.autograd import Function

D_IN, D_OUT, D_SAE, N = 6, 5, 20, 11
K, K_AUX, LAMBDA, P, EPS = 3, 3, 0.3, 0.7, 0.5
WIDTHS = (5, 12, 20)
LEVEL_WEIGHTS = (1.0, 0.5, 2.0)
TARGET_L0 = 4.0
PRE_ACT = 0.05


def rectangle(u):
    return (u.abs() < 0.5).to(u.dtype)


class Heaviside(Function):
    """H(π − θ); ∂/∂θ = −rect((π−θ)/ε)/ε; to π the opposite (Anthropic, January 2025) or nothing (DeepMind 2024)."""

    @staticmethod
    def forward(ctx, pi, theta, to_input):
        ctx.save_for_backward(pi, theta)
        ctx.to_input = to_input
        return (pi > theta).to(pi.dtype)

    @staticmethod
    def backward(ctx, upstream):
        pi, theta = ctx.saved_tensors
        slope = upstream * rectangle((pi - theta) / EPS) / EPS
        return (slope if ctx.to_input else None), -slope.sum(0), None


class JumpReLU(Function):
    """π·H(π − θ); ∂/∂θ = −(θ/ε)·rect((π−θ)/ε); ∂/∂π = H, and the opposite of ∂/∂θ where the estimator reaches π."""

    @staticmethod
    def forward(ctx, pi, theta, to_input):
        ctx.save_for_backward(pi, theta)
        ctx.to_input = to_input
        return pi * (pi > theta)

    @staticmethod
    def backward(ctx, upstream):
        pi, theta = ctx.saved_tensors
        jump = upstream * (theta / EPS) * rectangle((pi - theta) / EPS)
        through = upstream * (pi > theta)
        return (through + jump if ctx.to_input else through), -jump.sum(0), None


def mse(estimate, target):
    return (estimate - target).pow(2).sum(1).mean()


def terms(reconstruction, **others):
    result = {"reconstruction": reconstruction, **others}
    return {**result, "loss": sum(result.values())}


def encode(x, w, centred):
    return (x - w["b_dec"] if centred else x) @ w["W_enc"].T + w["b_enc"]


def decode(f, w):
    return f @ w["W_dec"] + w["b_dec"]


def norms(w):
    return w["W_dec"].norm(dim=1)


def standard_free(x, y, w, dead):
    """Anthropic April 2024, SAELens 6: λ Σ f‖d‖, norms free."""
    f = encode(x, w, False).relu()
    return terms(mse(decode(f, w), x), sparsity=LAMBDA * (f * norms(w)).sum(1).mean())


def standard_unit(x, y, w, dead):
    """Bricken et al. 2023, dictionary_learning's StandardTrainer: λ Σ f, encoder reads x − b_dec."""
    f = encode(x, w, True).relu()
    return terms(mse(decode(f, w), x), sparsity=LAMBDA * f.sum(1).mean())


def p_anneal(x, y, w, dead):
    """Karvonen et al. 2024: λ Σ f^p."""
    f = encode(x, w, True).relu()
    return terms(mse(decode(f, w), x), sparsity=LAMBDA * f.pow(P).sum(1).mean())


def gated(x, w, centred, frozen, n):
    z = (x - w["b_dec"] if centred else x) @ w["W_enc"].T
    gate = z + w["b_enc"]
    magnitude = z * w["r_mag"].exp() + w["b_mag"]
    f = (gate > 0).to(z.dtype) * magnitude.relu()
    W_dec, b_dec = (w[name].detach() if frozen else w[name] for name in ("W_dec", "b_dec"))
    return terms(
        mse(decode(f, w), x),
        sparsity=LAMBDA * (gate.relu() * n).sum(1).mean(),
        gate_aux=mse(gate.relu() @ W_dec + b_dec, x),
    )


def gated_paper(x, y, w, dead):
    """Rajamanoharan et al. 2024a: the decoder is frozen in the auxiliary reconstruction."""
    return gated(x, w, True, True, 1)


def gated_saelens(x, y, w, dead):
    """SAELens 6: the decoder learns from the auxiliary reconstruction too, the penalty counts norms."""
    return gated(x, w, False, False, norms(w))


def keep_row(pre, scores):
    index = scores.detach().topk(K, dim=1).indices
    return torch.zeros_like(pre).scatter(1, index, pre.gather(1, index)).relu()


def keep_batch(pre, scores):
    kept = torch.zeros(pre.numel(), dtype=torch.bool)
    kept[scores.detach().flatten().topk(K * len(pre)).indices] = True
    return torch.where(kept.reshape(pre.shape), pre, 0).relu()


def aux_variance(pre, out, y, w, dead):
    """Gao et al. 2024 and dictionary_learning: ReLU'd dead latents, over the residual's variance, 1/32."""
    residual = (y - out).detach()
    value, index = torch.where(dead, pre, -torch.inf).topk(min(K_AUX, int(dead.sum())), dim=1)
    estimate = torch.zeros_like(pre).scatter(1, index, value.relu()) @ w["W_dec"]
    return mse(estimate, residual) / mse(residual, residual.mean(0)) / 32


def aux_scaled(pre, scores, out, y, w, dead):
    """SAELens and sparsify: raw dead pre-activations, times min(dead / k_aux, 1), coefficient 1."""
    residual = (y - out).detach()
    index = torch.where(dead, scores.detach(), -torch.inf).topk(min(K_AUX, int(dead.sum())), dim=1).indices
    estimate = torch.zeros_like(pre).scatter(1, index, pre.gather(1, index)) @ w["W_dec"]
    return mse(estimate, residual) * min(int(dead.sum()) / K_AUX, 1)


def topk(x, y, w, dead):
    pre = encode(x, w, True)
    out = decode(keep_row(pre, pre), w)
    return terms(mse(out, x), aux=aux_variance(pre, out, x, w, dead))


def topk_normed(x, y, w, dead):
    pre = encode(x, w, False)
    scores = pre * norms(w)
    out = decode(keep_row(pre, scores), w)
    return terms(mse(out, x), aux=aux_scaled(pre, scores, out, x, w, dead))


def batchtopk(x, y, w, dead):
    """Bussmann et al. 2024."""
    pre = encode(x, w, True)
    out = decode(keep_batch(pre, pre), w)
    return terms(mse(out, x), aux=aux_variance(pre, out, x, w, dead))


def batchtopk_normed(x, y, w, dead):
    pre = encode(x, w, False)
    scores = pre * norms(w)
    out = decode(keep_batch(pre, scores), w)
    return terms(mse(out, x), aux=aux_scaled(pre, scores, out, x, w, dead))


def nested(f, x, w, weights):
    prefixes = [f[:, :m] @ w["W_dec"][:m] + w["b_dec"] for m in WIDTHS]
    return prefixes[-1], sum(weight * mse(out, x) for weight, out in zip(weights, prefixes, strict=True))


def matryoshka(x, y, w, dead):
    """Bussmann et al. 2025: every prefix reconstructs x; AuxK reads the residual of the whole."""
    pre = encode(x, w, True)
    out, reconstruction = nested(keep_batch(pre, pre), x, w, LEVEL_WEIGHTS)
    return terms(reconstruction, aux=aux_variance(pre, out, x, w, dead))


def matryoshka_normed(x, y, w, dead):
    pre = encode(x, w, False)
    scores = pre * norms(w)
    out, reconstruction = nested(keep_batch(pre, scores), x, w, (1, 1, 1))
    return terms(reconstruction, aux=aux_scaled(pre, scores, out, x, w, dead))


def jumprelu_step(x, y, w, dead, to_input=False, centred=False):
    """Rajamanoharan et al. 2024b: λ Σ H(π − θ)."""
    pre = encode(x, w, centred)
    f = JumpReLU.apply(pre, w["threshold"], to_input)
    l0 = Heaviside.apply(pre, w["threshold"], to_input).sum(1).mean()
    return terms(mse(decode(f, w), x), sparsity=LAMBDA * l0)


def jumprelu_step_to_input(x, y, w, dead):
    return jumprelu_step(x, y, w, dead, to_input=True, centred=True)


def jumprelu_target(x, y, w, dead):
    """The quadratic form on the batch's mean L0 (dictionary_learning)."""
    pre = encode(x, w, False)
    f = JumpReLU.apply(pre, w["threshold"], False)
    l0 = Heaviside.apply(pre, w["threshold"], False).sum(1).mean()
    return terms(mse(decode(f, w), x), sparsity=LAMBDA * (l0 / TARGET_L0 - 1) ** 2)


def jumprelu_tanh(x, y, w, dead):
    """SAELens's form of Anthropic's loss: estimators to θ alone, pre-activation loss on the dead."""
    pre = encode(x, w, False)
    f = JumpReLU.apply(pre, w["threshold"], False)
    return terms(
        mse(decode(f, w), x),
        sparsity=LAMBDA * (4 * f * norms(w)).tanh().sum(1).mean(),
        pre_act=PRE_ACT * ((w["threshold"] - pre).relu() * dead * norms(w)).sum(1).mean(),
    )


def jumprelu_anthropic(x, y, w, dead):
    """Anthropic, January 2025: gradients flow to all parameters, the pre-activation loss is on all latents."""
    pre = encode(x, w, False)
    f = JumpReLU.apply(pre, w["threshold"], True)
    return terms(
        mse(decode(f, w), x),
        sparsity=LAMBDA * (4 * f * norms(w)).tanh().sum(1).mean(),
        pre_act=PRE_ACT * ((w["threshold"] - pre).relu() * norms(w)).sum(1).mean(),
    )


def transcoder(x, y, w, dead):
    pre = encode(x, w, False)
    out = decode(keep_row(pre, pre), w)
    return terms(mse(out, y), aux=aux_variance(pre, out, y, w, dead))


def skip_transcoder(x, y, w, dead):
    """Paulo et al. 2025: an affine skip."""
    pre = encode(x, w, False)
    out = decode(keep_row(pre, pre), w) + x @ w["W_skip"].T
    return terms(mse(out, y), aux=aux_scaled(pre, pre, out, y, w, dead))


def transcoder_plain(x, y, w, dead):
    """Without AuxK, as sparsify trains by default."""
    pre = encode(x, w, False)
    return terms(mse(decode(keep_row(pre, pre), w), y))


def skip_transcoder_plain(x, y, w, dead):
    pre = encode(x, w, False)
    return terms(mse(decode(keep_row(pre, pre), w) + x @ w["W_skip"].T, y))


def crosscoder(x, y, w, dead):
    """Lindsey et al. 2024: two models of width 3 side by side, λ Σ f (‖d_A‖ + ‖d_B‖)."""
    f = encode(x, w, False).relu()
    both = w["W_dec"].reshape(D_SAE, 2, 3).norm(dim=2).sum(1)
    return terms(mse(decode(f, w), x), sparsity=LAMBDA * (f * both).sum(1).mean())


def cross_layer(x, y, w, dead):
    """Ameisen et al. 2025: two layers of width 3; the first's latents write to both outputs (widths 3 and 2)."""
    first, second = 12, D_SAE - 12
    encoders = w["W_enc"][: first * 3].reshape(first, 3), w["W_enc"][first * 3 :].reshape(second, 3)
    early = w["W_dec"][: first * 5].reshape(first, 5)
    late = w["W_dec"][first * 5 :].reshape(second, 2)
    pre = torch.cat([x[:, :3] @ encoders[0].T, x[:, 3:] @ encoders[1].T], dim=1) + w["b_enc"]
    f = JumpReLU.apply(pre, w["threshold"], True)
    out = w["b_dec"] + torch.cat([f[:, :first] @ early[:, :3], f[:, :first] @ early[:, 3:] + f[:, first:] @ late], dim=1)
    n = torch.cat([early.norm(dim=1), late.norm(dim=1)])
    return terms(
        mse(out, y),
        sparsity=LAMBDA * (4 * f * n).tanh().sum(1).mean(),
        pre_act=PRE_ACT * ((w["threshold"] - pre).relu() * n).sum(1).mean(),
    )


BASE = ("W_enc", "b_enc", "W_dec", "b_dec")
GATED = (*BASE, "r_mag", "b_mag")
JUMP = (*BASE, "threshold")
CASES = {
    standard_free: BASE,
    standard_unit: BASE,
    p_anneal: BASE,
    gated_paper: GATED,
    gated_saelens: GATED,
    topk: BASE,
    topk_normed: BASE,
    batchtopk: BASE,
    batchtopk_normed: BASE,
    matryoshka: BASE,
    matryoshka_normed: BASE,
    jumprelu_step: JUMP,
    jumprelu_step_to_input: JUMP,
    jumprelu_target: JUMP,
    jumprelu_tanh: JUMP,
    jumprelu_anthropic: JUMP,
    transcoder: BASE,
    skip_transcoder: (*BASE, "W_skip"),
    transcoder_plain: BASE,
    skip_transcoder_plain: (*BASE, "W_skip"),
    crosscoder: BASE,
    cross_layer: JUMP,
}
CASES = {case.__name__: (case, names) for case, names in CASES.items()}
# What a case reads where it is not an SAE of d_in columns.
NARROW = {"W_dec": (D_SAE, D_OUT), "b_dec": (D_OUT,)}
SHAPES = {
    "transcoder": NARROW,
    "skip_transcoder": NARROW,
    "transcoder_plain": NARROW,
    "skip_transcoder_plain": NARROW,
    "cross_layer": {"W_enc": (D_SAE * 3,), "W_dec": (12 * 5 + 8 * 2,), "b_dec": (D_OUT,)},
}
