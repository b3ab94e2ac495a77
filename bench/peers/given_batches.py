"""What the parity scripts share: batches read from files in training order, initial and final weights in one layout.

Files of activations are float32 little-endian, row after row, in the order of training: step s reads rows
[s * batch, (s + 1) * batch). Weights are safetensors, feature-major as miStudio keeps them: W_enc [d_sae, d_in],
W_dec [d_sae, d_out], b_enc, b_dec, and threshold, r_mag, b_mag, W_skip [d_out, d_in] where there are any.
A finished SAE says in its metadata how it is run: activation relu | topk | jumprelu | gated, k, centred.
"""

import argparse
import json
import os

from turns import answer, set_threads


def parse(description):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", required=True)
    parser.add_argument("--settings", type=json.loads, default={}, help="JSON, the script's own names")
    parser.add_argument("--data", required=True, nargs="+", help="inputs; several for a crosscoder")
    parser.add_argument("--targets", help="what a transcoder predicts")
    parser.add_argument("--d-in", type=int, required=True, help="width of one file")
    parser.add_argument("--d-sae", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--warm-up", type=int, default=0)
    parser.add_argument("--decay", type=float, default=0.0, help="last share of the run")
    parser.add_argument("--dead-after", type=int, default=10_000_000, help="tokens")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--init", required=True, help="the initial weights are written here")
    parser.add_argument("--out", required=True, help="the trained SAE is written here")
    given = parser.parse_args()
    # Nothing here is timed against us: workers that wait may sleep.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    set_threads(given.threads)
    return given


def batches(path, d, batch, steps):
    """float32 [batch, d] tensors in order."""
    import numpy as np
    import torch

    table = np.memmap(path, dtype="<f4", mode="r").reshape(-1, d)
    if len(table) < batch * steps:
        raise SystemExit(f"{path}: {len(table)} rows, expected at least {batch * steps}")
    for step in range(steps):
        yield torch.from_numpy(np.array(table[step * batch : (step + 1) * batch]))


def save(path, tensors, activation=None, centred=True, k=0):
    from safetensors.torch import save_file

    metadata = None
    if activation is not None:
        metadata = {"activation": activation, "centred": str(centred).lower(), "k": str(k)}
    plain = {name: tensor.detach().float().contiguous().clone() for name, tensor in tensors.items()}
    save_file(plain, path, metadata=metadata)


def decay_start(given):
    return given.steps - round(given.steps * given.decay)


def done(given, **values):
    answer({"done": {"family": given.family, "seed": given.seed, "steps": given.steps, **values}})
