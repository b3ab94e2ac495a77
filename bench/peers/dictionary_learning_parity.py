"""dictionary_learning's side of the parity bench: its own trainers, on batches that are given.

    --family standard | april | gated | topk | batchtopk | jumprelu | matryoshka
    --settings '{"k": 32}'     arguments of the trainer's constructor
    --settings '{"mended": true}'
             jumprelu: the step of the sparsity loss reads the pre-activation (theirs reads the activation after the
                       jump, so thresholds feel only what lies above them)
             matryoshka: the levels' losses are summed with their weights (theirs are averaged once more, so the
                       reconstruction counts 1/n of what AuxK is weighed against)

The initial weights are written with b_dec as the trainer sets it from the first batch. `warm_up` counts from rate 0.
"""

from given_batches import batches, decay_start, done, parse, save
from turns import answer, timed

given = parse(__doc__)

import torch  # noqa: E402
from dictionary_learning.trainers import batch_top_k, gdm, jumprelu, matryoshka_batch_top_k, standard, top_k  # noqa: E402

trainers = {
    "standard": standard.StandardTrainer,
    "april": standard.StandardTrainerAprilUpdate,
    "gated": gdm.GatedSAETrainer,
    "topk": top_k.TopKTrainer,
    "batchtopk": batch_top_k.BatchTopKTrainer,
    "jumprelu": jumprelu.JumpReluTrainer,
    "matryoshka": matryoshka_batch_top_k.MatryoshkaBatchTopKTrainer,
}


class MendedJumpRelu(jumprelu.JumpReluTrainer):
    def loss(self, x, step, logging=False, **_):
        pre = x @ self.ae.W_enc + self.ae.b_enc
        f = jumprelu.JumpReLUFunction.apply(pre, self.ae.threshold, self.bandwidth)
        error = (x - self.ae.decode(f)).pow(2).sum(dim=-1).mean()
        l0 = jumprelu.StepFunction.apply(pre, self.ae.threshold, self.bandwidth).sum(dim=-1).mean()
        pressure = self.sparsity_coefficient * self.sparsity_warmup_fn(step)
        return error + pressure * (l0 / self.target_l0 - 1).pow(2)


class MendedMatryoshka(matryoshka_batch_top_k.MatryoshkaBatchTopKTrainer):
    def loss(self, x, step=None, logging=False):
        f, active, relu = self.ae.encode(x, return_active=True, use_threshold=False)
        if step > self.threshold_start_step:
            self.update_threshold(f)
        error = 0.0
        residual = x - self.ae.b_dec
        at = 0
        for size, weight in zip(self.group_sizes, self.group_weights):
            residual = residual - f[:, at : at + size] @ self.ae.W_dec[at : at + size]
            error = error + weight * residual.pow(2).sum(dim=-1).mean()
            at += size
        self.num_tokens_since_fired += len(x)
        self.num_tokens_since_fired[active] = 0
        return error + self.auxk_alpha * self.get_auxiliary_loss(residual.detach(), relu)


settings = dict(given.settings)
if settings.pop("mended", False):
    trainers.update(jumprelu=MendedJumpRelu, matryoshka=MendedMatryoshka)
threshold = settings.pop("initial_threshold", None)
torch.manual_seed(given.seed)
trainer = trainers[given.family](
    steps=given.steps,
    activation_dim=given.d_in,
    dict_size=given.d_sae,
    layer=0,
    lm_name="demo",
    lr=given.lr,
    warmup_steps=given.warm_up,
    decay_start=decay_start(given) if given.decay > 0 else None,
    seed=given.seed,
    device="cpu",
    **settings,
)
ae = trainer.ae
if threshold is not None:
    ae.threshold.data.fill_(threshold)
if hasattr(trainer, "dead_feature_threshold"):
    trainer.dead_feature_threshold = given.dead_after  # 10 M in the constructor, no argument


def feature_major():
    """Their parameters under our names."""
    tensors = {}
    if hasattr(ae, "encoder"):
        tensors["W_enc"], tensors["W_dec"] = ae.encoder.weight, ae.decoder.weight.T
    else:
        tensors["W_enc"], tensors["W_dec"] = ae.W_enc.T, ae.W_dec
    names = {"b_enc": "b_enc", "b_dec": "b_dec", "bias": "b_dec", "decoder_bias": "b_dec"}
    names.update(gate_bias="b_enc", mag_bias="b_mag", r_mag="r_mag")
    parameters = dict(ae.named_parameters())
    tensors.update({ours: parameters[theirs] for theirs, ours in names.items() if theirs in parameters})
    if "encoder.bias" in parameters:
        tensors["b_enc"] = parameters["encoder.bias"]
    if given.family == "jumprelu":
        tensors["threshold"] = ae.threshold
    return tensors


seconds = 0.0
for step, x in enumerate(batches(given.data[0], given.d_in, given.batch, given.steps)):
    if step == 0:
        if hasattr(trainer, "geometric_median"):
            ae.b_dec.data = trainer.geometric_median(x)
        save(given.init, feature_major())
    ms, _ = timed(lambda: trainer.update(step, x))
    seconds += ms / 1000
    if step % 100 == 0 or step == given.steps - 1:
        with torch.no_grad():
            loss = trainer.loss(x, step=step)
            f = ae.encode(x)
        answer({"step": step, "loss": float(loss), "l0": float((f > 0).float().sum(-1).mean())})

tensors = feature_major()
kinds = {"standard": "relu", "april": "relu", "gated": "gated", "topk": "topk"}
if given.family in ("batchtopk", "matryoshka"):
    tensors["threshold"] = torch.full((given.d_sae,), float(ae.threshold))
save(
    given.out,
    tensors,
    activation=kinds.get(given.family, "jumprelu"),
    centred=given.family != "jumprelu",
    k=int(settings.get("k", 0)),
)
done(given, train_seconds=seconds)
