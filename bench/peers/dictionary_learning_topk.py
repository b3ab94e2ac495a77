"""dictionary_learning's side of the quality bench: its AutoEncoderTopK under its TopKTrainer, on given activations in
a given order from given weights, saved so that our evaluator reads both SAEs with the same code.

    --data FILE         activations [n, d_in]: .safetensors with the tensor `activations`, or raw little-endian float32
                        of any other name (memory-mapped, n from its size)
    --rows FILE         raw little-endian int32: the row of every training token, batch after batch. Without it
                        batch s is rows s·batch … of the data, which are read over again when they end.
    --init FILE         safetensors of the initial weights: W_enc and W_dec [d_sae, d_in] (feature-major), b_enc
                        [d_sae], b_dec [d_in]. b_dec is then set from the first batch, as TopKTrainer always does.
    --write-init FILE   writes dictionary_learning's own initial weights for --d-in, --d-sae, --k, --seed, in the same
                        form, and stops unless --data is given as well
    --d-in N --d-sae N --k K            default 256, 4096, 32
    --batch N --steps N                 default 1,024 and as many as --rows (or one pass over the data) has
    --lr RATE --warm-up STEPS --decay FRACTION --dead-after TOKENS
                                        default its own rate, 100, 0.2 (the last fifth), 200,000
    --seed S --threads N                default 0, 2
    --out DIR           SAELens folder: cfg.json, sae_weights.safetensors (W_enc [d_in, d_sae], W_dec [d_sae, d_in])
    --model-name NAME --hook HOOK --context-size N      what cfg.json says of the SAE
    --eval FILE         activations as --data: prints FVU, L0 and the share of latents that fired, by our definitions

Prints JSON lines: {"step", "loss", "aux", "dead", "ms"} every 100 steps (aux is the AuxK error before it is
normalised, -1 where no latent is dead) and {"done": {...}} at the end.
"""

import argparse
import json
from pathlib import Path

from turns import answer, peak_rss_bytes, set_threads, timed

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data")
parser.add_argument("--rows")
parser.add_argument("--init")
parser.add_argument("--write-init")
parser.add_argument("--d-in", type=int, default=256)
parser.add_argument("--d-sae", type=int, default=4096)
parser.add_argument("--k", type=int, default=32)
parser.add_argument("--batch", type=int, default=1024)
parser.add_argument("--steps", type=int)
parser.add_argument("--lr", type=float)
parser.add_argument("--warm-up", type=int, default=100)
parser.add_argument("--decay", type=float, default=0.2)
parser.add_argument("--dead-after", type=int, default=200_000)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--out", type=Path)
parser.add_argument("--model-name", default="demo")
parser.add_argument("--hook", default="blocks.4.hook_resid_post")
parser.add_argument("--context-size", type=int, default=128)
parser.add_argument("--eval")
given = parser.parse_args()
set_threads(given.threads)

import numpy as np  # noqa: E402
import torch  # noqa: E402
from dictionary_learning.trainers.top_k import TopKTrainer  # noqa: E402
from safetensors import safe_open  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402


def activations(path):
    """A function from a row selection (slice or indices) to float32 [rows, d_in], and the number of rows."""
    if path.endswith(".safetensors"):
        with safe_open(path, framework="pt") as file:
            table = file.get_tensor("activations").float()
        if table.ndim != 2 or table.shape[1] != given.d_in:
            raise SystemExit(f"{path}: activations is {list(table.shape)}, expected [n, {given.d_in}]")
        return (lambda rows: table[torch.as_tensor(rows)] if not isinstance(rows, slice) else table[rows]), len(table)
    table = np.memmap(path, dtype="<f4", mode="r")
    if table.size % given.d_in:
        raise SystemExit(f"{path}: {table.size} floats are no whole number of rows of {given.d_in}")
    table = table.reshape(-1, given.d_in)
    return (lambda rows: torch.from_numpy(np.array(table[rows]))), len(table)


def feature_major(ae):
    named = {"W_enc": ae.encoder.weight, "b_enc": ae.encoder.bias, "W_dec": ae.decoder.weight.T, "b_dec": ae.b_dec}
    return {name: tensor.detach().contiguous().clone() for name, tensor in named.items()}


def load_init(ae, path):
    tensors = load_file(path)
    wanted = {name: tensor.shape for name, tensor in feature_major(ae).items()}
    for name, shape in wanted.items():
        found = tensors.get(name)
        if found is None or found.shape != shape:
            raise SystemExit(f"{path}: {name} is {None if found is None else list(found.shape)}, expected {list(shape)}")
    ae.encoder.weight.data = tensors["W_enc"].float().clone()
    ae.encoder.bias.data = tensors["b_enc"].float().clone()
    ae.decoder.weight.data = tensors["W_dec"].float().T.contiguous()
    ae.b_dec.data = tensors["b_dec"].float().clone()


def save_saelens(ae, folder):
    folder.mkdir(parents=True, exist_ok=True)
    tensors = feature_major(ae)
    tensors["W_enc"] = tensors["W_enc"].T.contiguous()
    save_file(tensors, folder / "sae_weights.safetensors")
    config = {
        "architecture": "topk",
        "d_in": given.d_in,
        "d_sae": given.d_sae,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "k": given.k,
        "rescale_acts_by_decoder_norm": False,
        "metadata": {
            "sae_lens_version": "6.0.0",
            "model_name": given.model_name,
            "hook_name": given.hook,
            "context_size": given.context_size,
            "prepend_bos": False,
        },
    }
    (folder / "cfg.json").write_text(json.dumps(config, indent=2) + "\n")


def trainer_for(steps):
    decay_start = steps - round(steps * given.decay) if given.decay > 0 else None
    trainer = TopKTrainer(
        steps,
        given.d_in,
        given.d_sae,
        given.k,
        layer=0,
        lm_name=given.model_name,
        lr=given.lr,
        warmup_steps=given.warm_up,
        decay_start=decay_start,
        seed=given.seed,
        device="cpu",
    )
    trainer.dead_feature_threshold = given.dead_after  # 10 M in its constructor, not an argument
    return trainer


@torch.no_grad()
def evaluate(ae, path, chunk=4096):
    """FVU = sum |x - x̂|² / sum |x - mean over all rows|²; L0 and fired count activations > 0."""
    read, n = activations(path)
    total = torch.zeros(given.d_in, dtype=torch.float64)
    squares = error = firing = 0.0
    fired = torch.zeros(given.d_sae, dtype=torch.bool)
    for start in range(0, n, chunk):
        x = read(slice(start, min(n, start + chunk)))
        acts = ae.encode(x)
        error += (ae.decode(acts) - x).double().pow(2).sum().item()
        total += x.double().sum(0)
        squares += x.double().pow(2).sum().item()
        firing += (acts > 0).sum().item()
        fired |= (acts > 0).any(0)
    variance = squares - (total.pow(2).sum() / n).item()
    return {"tokens": n, "fvu": error / variance, "l0": firing / n, "alive_fraction": fired.float().mean().item()}


def train():
    read, n = activations(given.data)
    rows = np.fromfile(given.rows, dtype="<i4") if given.rows else None
    available = (n if rows is None else len(rows)) // given.batch
    steps = given.steps or available
    if available == 0 or (rows is not None and steps > available):
        raise SystemExit(f"{steps} steps of {given.batch} asked for, the data hold {available}")
    if rows is not None and (rows.min() < 0 or rows.max() >= n):
        raise SystemExit(f"--rows reaches {rows.min()} … {rows.max()}, the data have {n} rows")
    trainer = trainer_for(steps)
    if given.init:
        load_init(trainer.ae, given.init)
    seconds = 0.0
    for step in range(steps):
        at = step * given.batch if rows is not None else (step % available) * given.batch
        part = slice(at, at + given.batch)
        x = read(part if rows is None else rows[part])
        ms, loss = timed(lambda: trainer.update(step, x))
        seconds += ms / 1000
        if step % 100 == 0 or step == steps - 1:
            aux = trainer.pre_norm_auxk_loss
            aux = aux.item() if isinstance(aux, torch.Tensor) else aux
            answer({"step": step, "loss": loss, "aux": aux, "dead": trainer.dead_features, "ms": ms})
    return trainer, {"steps": steps, "tokens": steps * given.batch, "lr": trainer.lr, "train_seconds": seconds}


def main():
    if given.write_init:
        trainer = trainer_for(10_000)
        if given.init:
            load_init(trainer.ae, given.init)
        save_file(feature_major(trainer.ae), given.write_init)
        if not given.data:
            return answer({"done": {"written": given.write_init}})
    if not given.data:
        raise SystemExit("--data or --write-init is needed")
    trainer, report = train()
    if given.out:
        save_saelens(trainer.ae, given.out)
    if given.eval:
        report["held_out"] = evaluate(trainer.ae, given.eval)
    answer({"done": {**report, "seed": given.seed, "torch": torch.__version__, "peak_rss_bytes": peak_rss_bytes()}})


main()
