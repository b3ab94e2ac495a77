"""SAELens's side of the synthetic bench: several of its training SAEs on one stream of activations, read from stdin.

    saelens_synthetic.py --d N --d-sae N --batch N --steps N --held-out ROWS --out FOLDER --runs JSON
    --runs '[{"name": "topk", "family": "topk", "settings": {"k": 5}, "lr": 3e-4, "warm_up": 0, "decay_steps": 0}]'

stdin: float32 rows [d]: steps · batch to train on, in order, then the held-out rows. Every run takes one step on every
batch; each has its own seeded initial weights, sae-lens's. Written: FOLDER/NAME.safetensors for each run with a tensor
`alive` [d_sae], 1 for latents that fired at any held-out row, and one line of FVU, L0 and seconds of its own steps.
"""

import argparse
import json
import sys
from pathlib import Path

from turns import answer, set_threads, timed

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--d", type=int, required=True)
parser.add_argument("--d-sae", type=int, required=True)
parser.add_argument("--batch", type=int, required=True)
parser.add_argument("--steps", type=int, required=True)
parser.add_argument("--held-out", type=int, required=True)
parser.add_argument("--out", type=Path, required=True)
parser.add_argument("--runs", type=json.loads, required=True)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--threads", type=int, default=2)
given = parser.parse_args()
set_threads(given.threads)

import numpy as np  # noqa: E402
import torch  # noqa: E402
from finished import Judge  # noqa: E402
from saelens_setup import make_trainer, save_finished, step  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402


def rows(count):
    wanted = count * given.d * 4
    read = sys.stdin.buffer.read(wanted)
    if len(read) < wanted:
        raise SystemExit(f"stdin ended after {len(read)} of {wanted} bytes")
    return torch.from_numpy(np.frombuffer(read, dtype="<f4").reshape(count, given.d).copy())


torch.manual_seed(given.seed)
trainers = {}
seconds = {}
for run in given.runs:
    options = {key: value for key, value in run.items() if key != "name"}
    trainers[run["name"]] = make_trainer(
        d_in=given.d, d_sae=given.d_sae, batch=given.batch, steps=given.steps, **options
    )
    seconds[run["name"]] = 0.0
for index in range(given.steps):
    x = rows(given.batch)
    losses = {}
    for name, trainer in trainers.items():
        ms, output = timed(lambda: step(trainer, x))  # noqa: B023
        seconds[name] += ms / 1000
        losses[name] = float(output.loss)
    if index % 500 == 0:
        answer({"step": index, "losses": losses})

given.out.mkdir(parents=True, exist_ok=True)
judges = {}
for run in given.runs:
    path = given.out / f"{run['name']}.safetensors"
    save_finished(path, trainers[run["name"]], run["family"], run["settings"])
    judges[run["name"]] = (path, Judge(path))
left = given.held_out
while left > 0:
    x = rows(min(left, 4096))
    left -= len(x)
    for _, judge in judges.values():
        judge.add(x, x)
results = {}
for name, (path, judge) in judges.items():
    save_file({**load_file(path), "alive": judge.fired.float()}, path)
    results[name] = {**judge.result(), "seconds": seconds[name]}
answer({"done": results})
