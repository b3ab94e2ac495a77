"""The peer's side of the bench of one training step by family: sae-lens's training SAEs under its SAETrainer, sparsify's
SparseCoder for the transcoder, float32 on the CPU.

    family_steps.py --peer saelens|sparsify --family NAME --settings JSON --data FILE --d-in N --d-sae N --batch N

--data: safetensors with x [batch, d_in], y for a transcoder, and the weights both sides start from, feature-major.
stdin: `step N` takes N steps on that batch and answers one line {"ms", "loss", "l0", "peak_rss_bytes"}, ms of each step
in a list; `quit`. A step is what `fit` does for a batch: forward, firing statistics, backward, clip, Adam, schedulers.
"""

import argparse
import json
import os

os.environ["SPARSIFY_DISABLE_TRITON"] = "1"

from turns import answer, peak_rss_bytes, serve, set_threads, timed  # noqa: E402

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--peer", choices=["saelens", "sparsify"], required=True)
parser.add_argument("--family", required=True)
parser.add_argument("--settings", type=json.loads, required=True)
parser.add_argument("--data", required=True)
parser.add_argument("--d-in", type=int, required=True)
parser.add_argument("--d-sae", type=int, required=True)
parser.add_argument("--batch", type=int, required=True)
parser.add_argument("--lr", type=float, default=1e-5)
parser.add_argument("--threads", type=int, default=2)
given = parser.parse_args()
set_threads(given.threads)

import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

tensors = load_file(given.data)
x = tensors["x"]


def saelens():
    from saelens_setup import make_trainer
    from saelens_setup import step as one

    trainer = make_trainer(
        family=given.family,
        settings=given.settings,
        d_in=given.d_in,
        d_sae=given.d_sae,
        batch=given.batch,
        steps=1_000_000,
        lr=given.lr,
        dead_steps=1_000_000,
    )
    gated = given.family == "gated"
    names = {"W_dec": "W_dec", "b_dec": "b_dec", "threshold": "threshold", "b_enc": "b_gate" if gated else "b_enc"}
    if gated:
        names.update(b_mag="b_mag", r_mag="r_mag")
    with torch.no_grad():
        trainer.sae.W_enc.copy_(tensors["W_enc"].T)
        for ours, theirs in names.items():
            if ours in tensors and hasattr(trainer.sae, theirs):
                getattr(trainer.sae, theirs).copy_(tensors[ours])

    def step():
        output = one(trainer, x)
        return output.loss.detach(), output.feature_acts.detach()

    return step


def sparsify():
    from sparsify import SparseCoder
    from sparsify.config import SparseCoderConfig

    config = SparseCoderConfig(
        num_latents=given.d_sae,
        transcode=True,
        skip_connection=given.family == "skip_transcoder",
        **given.settings,
    )
    coder = SparseCoder(given.d_in, config, dtype=torch.float32)
    with torch.no_grad():
        coder.encoder.weight.copy_(tensors["W_enc"])
        coder.encoder.bias.copy_(tensors["b_enc"])
        coder.W_dec.copy_(tensors["W_dec"])
        coder.b_dec.copy_(tensors["b_dec"])
    adam = torch.optim.Adam(coder.parameters(), lr=given.lr)
    y = tensors["y"]
    variance = float((y - y.mean(0)).pow(2).sum()) / len(y)

    def step():
        out = coder(x=x, y=y)
        out.fvu.backward()
        adam.step()
        adam.zero_grad()
        return out.fvu.detach() * variance, out.latent_acts.detach()

    return step


step = saelens() if given.peer == "saelens" else sparsify()


def steps(count):
    times = []
    for _ in range(int(count)):
        ms, (loss, acts) = timed(step)
        times.append(ms)
    l0 = float((acts > 0).float().sum(-1).mean())
    answer({"ms": times, "loss": float(loss), "l0": l0, "peak_rss_bytes": peak_rss_bytes()})


serve({"step": steps}, {"torch": torch.__version__, "torch_threads": torch.get_num_threads()})
