"""The published crosscoder loss in PyTorch (Lindsey et al. 2024, transformer-circuits.pub/2024/crosscoders): no peer that
trains crosscoders is installed, so this is what bench/parity.ts holds ours against.

    x = (x_1 … x_M), one part a layer or a model
    f = ReLU(Σ_m W_enc,m x_m + b_enc),  x̂_m = W_dec,m f + b_dec,m
    loss = mean Σ_m ‖x_m − x̂_m‖² + λ · mean Σ_i f_i · Σ_m ‖d_{i,m}‖

λ rises linearly over `l1_warm_up_steps`; Adam, clip 1. Rows of W_dec start random with norm `decoder_init_norm` in every
part, W_enc as their transpose. Arguments as those of bench/peers/*_parity.py; --data has a file for each part.

    --settings '{"l1": 2, "l1_warm_up_steps": 50, "decoder_init_norm": 0.08}'
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "bench" / "peers"))

from given_batches import batches, decay_start, done, parse, save  # noqa: E402
from turns import answer, timed  # noqa: E402

given = parse(__doc__)

import torch  # noqa: E402

d, parts, d_sae = given.d_in, len(given.data), given.d_sae
l1 = given.settings["l1"]
l1_warm_up = given.settings.get("l1_warm_up_steps", 0)
start_norm = given.settings.get("decoder_init_norm", 0.08)

torch.manual_seed(given.seed)
rows = torch.randn(d_sae, parts, d)
rows *= start_norm / rows.norm(dim=-1, keepdim=True)
W_dec = torch.nn.Parameter(rows.clone())
W_enc = torch.nn.Parameter(rows.clone())
b_enc = torch.nn.Parameter(torch.zeros(d_sae))
b_dec = torch.nn.Parameter(torch.zeros(parts, d))
parameters = [W_enc, W_dec, b_enc, b_dec]
adam = torch.optim.Adam(parameters, lr=given.lr)


def tensors():
    joined = {"W_enc": W_enc.reshape(d_sae, -1), "W_dec": W_dec.reshape(d_sae, -1)}
    return {**joined, "b_enc": b_enc, "b_dec": b_dec.reshape(-1)}


def rate(step):
    warm = min(1.0, (step + 1) / given.warm_up) if given.warm_up > 0 else 1.0
    decay = given.steps - decay_start(given)
    return given.lr * warm * (min(1.0, (given.steps - step) / decay) if decay > 0 else 1.0)


def loss_of(x, step):
    f = torch.relu(torch.einsum("bmd,imd->bi", x, W_enc) + b_enc)
    error = x - torch.einsum("bi,imd->bmd", f, W_dec) - b_dec
    pressure = l1 * (min(1.0, (step + 1) / l1_warm_up) if l1_warm_up > 0 else 1.0)
    penalty = (f * W_dec.norm(dim=-1).sum(-1)).sum(-1).mean()
    return error.pow(2).sum((-2, -1)).mean() + pressure * penalty, f


def update(x, step):
    for group in adam.param_groups:
        group["lr"] = rate(step)
    loss, f = loss_of(x, step)
    adam.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    adam.step()
    return loss, f


save(given.init, tensors())
seconds = 0.0
streams = [batches(path, d, given.batch, given.steps) for path in given.data]
for step, rows in enumerate(zip(*streams)):
    x = torch.stack(rows, dim=1)
    ms, (loss, f) = timed(lambda: update(x, step))
    seconds += ms / 1000
    if step % 100 == 0 or step == given.steps - 1:
        answer({"step": step, "loss": float(loss), "l0": float((f > 0).float().sum(-1).mean())})
save(given.out, tensors(), activation="relu", centred=False)
done(given, train_seconds=seconds)
