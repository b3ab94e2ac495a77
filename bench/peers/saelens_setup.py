"""sae-lens's training SAEs under its SAETrainer, and their tensors in our layout: shared by parity and synthetic data."""

from sae_lens.config import LoggingConfig, SAETrainerConfig
from sae_lens.registry import get_sae_training_class
from sae_lens.training.sae_trainer import SAETrainer

import given_batches


def make_trainer(*, family, settings, d_in, d_sae, batch, steps, lr, warm_up=0, decay_steps=0, dead_steps=1000, **adam):
    """`settings`: fields of the family's TrainingSAEConfig; sae-lens's defaults for everything not given."""
    sae_class, config_class = get_sae_training_class(family)
    sae = sae_class(config_class(d_in=d_in, d_sae=d_sae, **settings))
    config = SAETrainerConfig(
        total_training_samples=steps * batch,
        train_batch_size_samples=batch,
        lr=lr,
        lr_end=lr,
        lr_warm_up_steps=warm_up,
        lr_decay_steps=decay_steps,
        dead_feature_window=dead_steps,
        logger=LoggingConfig(log_to_wandb=False),
        **adam,
    )
    return SAETrainer(config, sae=sae, data_provider=iter(()))


def step(trainer, x):
    """What `fit` does for every batch, without its progress bar."""
    output = trainer.step(x)
    trainer.n_training_steps += 1
    return output


def feature_major(state):
    """Tensors of a sae-lens state dict under our names."""
    names = {"b_gate": "b_enc", "threshold": "threshold", "r_mag": "r_mag", "b_mag": "b_mag"}
    tensors = {name: state[name] for name in ("b_enc", "W_dec", "b_dec") if name in state}
    tensors["W_enc"] = state["W_enc"].T
    tensors.update({ours: state[theirs] for theirs, ours in names.items() if theirs in state})
    return tensors


def save_finished(path, trainer, family, settings):
    """What sae-lens saves for inference: decoder norms folded by TopK and BatchTopK, BatchTopK as JumpReLU."""
    sae = trainer.sae
    state = {name: tensor.detach().clone() for name, tensor in sae.state_dict().items()}
    sae.process_state_dict_for_saving_inference(state)
    kinds = {"standard": "relu", "gated": "gated", "topk": "topk"}
    given_batches.save(
        path,
        feature_major(state),
        activation=kinds.get(family, "jumprelu"),
        centred=sae.cfg.apply_b_dec_to_input,
        k=int(settings.get("k", 0)),
    )
