"""Judges finished SAEs of either side by one code: FVU, L0 and alive latents on held-out activations.

    judge.py --inputs FILE… [--targets FILE] --d N --sae FILE…

Files as given_batches.py describes them; alive is the share of latents that fired at any row.
"""

import argparse

from turns import answer, set_threads

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--inputs", nargs="+", required=True)
parser.add_argument("--targets")
parser.add_argument("--d", type=int, required=True)
parser.add_argument("--sae", nargs="+", required=True)
parser.add_argument("--threads", type=int, default=2)
given = parser.parse_args()
set_threads(given.threads)

import numpy as np  # noqa: E402
import torch  # noqa: E402
from finished import Judge  # noqa: E402


def tables(paths):
    return [np.memmap(path, dtype="<f4", mode="r").reshape(-1, given.d) for path in paths]


def rows(files, at, count):
    return torch.from_numpy(np.concatenate([np.array(file[at : at + count]) for file in files], axis=1))


inputs = tables(given.inputs)
targets = None if given.targets is None else tables([given.targets])
judges = {path: Judge(path) for path in given.sae}
for at in range(0, len(inputs[0]), 4096):
    x = rows(inputs, at, 4096)
    y = x if targets is None else rows(targets, at, 4096)
    for judge in judges.values():
        judge.add(x, y)
answer({"done": {path: judge.result() for path, judge in judges.items()}})
