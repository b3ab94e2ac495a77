"""SAELens's side of the parity bench: its training SAEs under its own SAETrainer, on batches that are given.

    --family standard | gated | topk | batchtopk | jumprelu | matryoshka_batchtopk
    --settings '{"k": 32}'     fields of the family's TrainingSAEConfig

Rate: linear warm-up, constant, linear decay (SAETrainerConfig); everything else as sae-lens has it (Adam 0.9/0.999, clip
1, W_dec rows of norm 0.1, W_enc its transpose, biases 0). Written is what sae-lens saves for inference, BatchTopK with the
threshold of its running mean.
"""

from given_batches import batches, decay_start, done, parse, save
from turns import answer, timed

given = parse(__doc__)

import torch  # noqa: E402
from saelens_setup import feature_major, make_trainer, save_finished, step  # noqa: E402

torch.manual_seed(given.seed)
trainer = make_trainer(
    family=given.family,
    settings=given.settings,
    d_in=given.d_in,
    d_sae=given.d_sae,
    batch=given.batch,
    steps=given.steps,
    lr=given.lr,
    warm_up=given.warm_up,
    decay_steps=given.steps - decay_start(given),
    dead_steps=max(1, given.dead_after // given.batch),
)
save(given.init, feature_major(trainer.sae.state_dict()))
seconds = 0.0
for index, x in enumerate(batches(given.data[0], given.d_in, given.batch, given.steps)):
    ms, output = timed(lambda: step(trainer, x))
    seconds += ms / 1000
    if index % 100 == 0 or index == given.steps - 1:
        losses = {name: float(value) for name, value in output.losses.items()}
        l0 = float((output.feature_acts > 0).float().sum(-1).mean())
        answer({"step": index, "loss": float(output.loss), "l0": l0, "dead": int(trainer.dead_neurons.sum()), **losses})
save_finished(given.out, trainer, given.family, given.settings)
done(given, train_seconds=seconds)
