"""SAELens's side of the training-step bench: one TopKTrainingSAE under sae-lens's own SAETrainer, float32 on the CPU.

A step is `SAETrainer.step(batch)`: forward, firing statistics, backward, clip to norm 1, Adam, schedulers; what
`fit` does for every batch, without its progress bar. The SAE has sae-lens's defaults (use_sparse_activations False,
rescale_acts_by_decoder_norm True, aux_loss_coefficient 1) but for what the options say.

    --d-in N --d-sae N --k K --batch N --threads N
    --sparse            use_sparse_activations=True. It turns rescale_acts_by_decoder_norm off, because together they
                        fail in torch's backward on the CPU (`aten::view` of a sparse tensor).
    --dead FRACTION     the first round(FRACTION * d_sae) latents are in the dead_neuron_mask of every step, whether
                        they fire or not, so that AuxK works at full size
    --data FILE         safetensors: `x` [batch, d_in] or more rows, and, where present, `W_enc` [d_sae, d_in],
                        `W_dec` [d_sae, d_in] (both feature-major, as our engine keeps them), `b_enc`, `b_dec`.
                        Otherwise x is standard normal and the weights sae-lens's initial ones. With more rows than
                        a batch the steps walk through them, over and over.
    --save FILE         writes what would be read with --data and goes on
    --lr RATE           default 3e-4, sae-lens's

stdin: `step N` answers N lines {"ms", "loss", "mse", "aux", "dead", "firing"}; `weights FILE` writes the weights
as --save does; `quit`.
"""

import argparse

from turns import answer, peak_rss_bytes, serve, set_threads, timed


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--d-in", type=int, required=True)
    parser.add_argument("--d-sae", type=int, required=True)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sparse", action="store_true")
    parser.add_argument("--dead", type=float, default=0.0)
    parser.add_argument("--data")
    parser.add_argument("--save")
    parser.add_argument("--lr", type=float, default=3e-4)
    return parser.parse_args()


given = arguments()
set_threads(given.threads)

import sae_lens  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from sae_lens.config import LoggingConfig, SAETrainerConfig  # noqa: E402
from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig  # noqa: E402
from sae_lens.training.sae_trainer import SAETrainer  # noqa: E402


def build():
    torch.manual_seed(0)
    config = TopKTrainingSAEConfig(
        d_in=given.d_in,
        d_sae=given.d_sae,
        k=given.k,
        use_sparse_activations=given.sparse,
        rescale_acts_by_decoder_norm=not given.sparse,
    )
    sae = TopKTrainingSAE(config)
    tensors = load_file(given.data) if given.data else {}
    x = tensors.get("x")
    if x is None:
        x = torch.randn(given.batch, given.d_in)
    x = x.float()
    if x.ndim != 2 or x.shape[1] != given.d_in or len(x) < given.batch:
        raise SystemExit(f"x is {list(x.shape)}, expected [at least {given.batch}, {given.d_in}]")
    with torch.no_grad():
        if "W_enc" in tensors:
            sae.W_enc.copy_(tensors["W_enc"].T)
        for name in ("W_dec", "b_enc", "b_dec"):
            if name in tensors:
                getattr(sae, name).copy_(tensors[name])
    steps = 1_000_000
    trainer = SAETrainer(
        SAETrainerConfig(
            total_training_samples=steps * given.batch,
            train_batch_size_samples=given.batch,
            lr=given.lr,
            lr_end=given.lr,
            logger=LoggingConfig(log_to_wandb=False),
        ),
        sae=sae,
        data_provider=iter(()),
    )
    return sae, trainer, x


def write(path):
    tensors = {"x": x, "W_enc": sae.W_enc.T, "b_enc": sae.b_enc, "W_dec": sae.W_dec, "b_dec": sae.b_dec}
    save_file({name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}, path)


sae, trainer, x = build()
forced = round(given.dead * given.d_sae)
if given.save:
    write(given.save)


def step(count="1"):
    whole = len(x) // given.batch
    for _ in range(int(count)):
        at = (trainer.n_training_steps % whole) * given.batch
        batch = x[at : at + given.batch]
        trainer.n_forward_passes_since_fired[:forced] = trainer.cfg.dead_feature_window + 1
        dead = int(trainer.dead_neurons.sum())
        ms, output = timed(lambda: trainer.step(batch))
        trainer.n_training_steps += 1
        losses = {name: value.item() for name, value in output.losses.items()}
        fired = trainer.n_forward_passes_since_fired == 0
        answer(
            {
                "ms": ms,
                "loss": output.loss.item(),
                "mse": losses["mse_loss"],
                "aux": losses.get("auxiliary_reconstruction_loss", 0.0),
                "dead": dead,
                "firing": int(fired.sum()),
                "peak_rss_bytes": peak_rss_bytes(),
            }
        )


serve(
    {"step": step, "weights": lambda path: (write(path), answer({"written": path}))},
    {
        "sae_lens": sae_lens.__version__,
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "rescale_acts_by_decoder_norm": sae.cfg.rescale_acts_by_decoder_norm,
        "k_aux": given.d_in // 2,
        "parameters": {k: v for k, v in vars(given).items() if k not in ("data", "save")},
    },
)
