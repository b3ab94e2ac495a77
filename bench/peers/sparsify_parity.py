"""sparsify's side of the parity bench: its SparseCoder as a transcoder, on batches that are given.

    --family transcoder | skip_transcoder
    --settings '{"k": 32}'     fields of SparseCoderConfig

Its Trainer reads activations out of a running language model and cannot be given any, so its step is repeated here around
its own SparseCoder: biases from the first batch (encoder bias −mean(x) W_encᵀ, b_dec the mean target), the loss FVU of
the batch, Adam with its linear schedule (warm-up, then down to 0 over the whole run), no clipping, free decoder rows.
"""

import os

os.environ["SPARSIFY_DISABLE_TRITON"] = "1"

from given_batches import batches, done, parse, save  # noqa: E402
from turns import answer, timed  # noqa: E402

given = parse(__doc__)

import torch  # noqa: E402
from sparsify import SparseCoder  # noqa: E402
from sparsify.config import SparseCoderConfig  # noqa: E402
from transformers import get_linear_schedule_with_warmup  # noqa: E402

torch.manual_seed(given.seed)
config = SparseCoderConfig(
    num_latents=given.d_sae,
    transcode=True,
    skip_connection=given.family == "skip_transcoder",
    **given.settings,
)
coder = SparseCoder(given.d_in, config, dtype=torch.float32)
adam = torch.optim.Adam(coder.parameters(), lr=given.lr)
schedule = get_linear_schedule_with_warmup(adam, given.warm_up, given.steps)


def feature_major():
    names = {"W_enc": coder.encoder.weight, "b_enc": coder.encoder.bias, "W_dec": coder.W_dec, "b_dec": coder.b_dec}
    return names if coder.W_skip is None else {**names, "W_skip": coder.W_skip}


def step(x, y):
    out = coder(x=x, y=y)
    out.fvu.backward()
    adam.step()
    adam.zero_grad()
    schedule.step()
    return out


inputs = batches(given.data[0], given.d_in, given.batch, given.steps)
targets = batches(given.targets, given.d_in, given.batch, given.steps)
seconds = 0.0
variance = 0.0
for index, (x, y) in enumerate(zip(inputs, targets)):
    if index == 0:
        coder.encoder.bias.data = -x.mean(0) @ coder.encoder.weight.data.T
        coder.b_dec.data = y.mean(0)
        save(given.init, feature_major())
    variance += float((y - y.mean(0)).pow(2).sum()) / len(y)
    ms, out = timed(lambda: step(x, y))
    seconds += ms / 1000
    if index % 100 == 0 or index == given.steps - 1:
        answer({"step": index, "loss": float(out.fvu), "l0": float((out.latent_acts > 0).float().sum(-1).mean())})

save(given.out, feature_major(), activation="topk", centred=False, k=config.k)
done(given, train_seconds=seconds, mean_row_variance=variance / given.steps)
