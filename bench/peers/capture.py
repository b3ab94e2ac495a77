"""The peers' side of the capture bench: a GPT-2 forward in torch, float32 on the CPU, no gradients.

    --model DIR         a GPT-2 folder (config.json, model.safetensors), as oracle/make_gpt2_small.py writes
    --mode transformers GPT2Model with output_hidden_states to the last layer, without the head
    --mode stopped      embeddings and blocks 0 … --layer by hand, and no more
    --mode saelens      SAELens's HookedProxyLM, run_with_cache of the hook `transformer.h.LAYER` alone, called as its
                        ActivationsStore does: with stop_at_layer = LAYER + 1, which sae-lens 6.54 obeys
    --mode saelens_whole the same without stop_at_layer: the whole model runs, head included, as older versions did
    --layer N           block whose output is captured; default half the blocks - 1
    --input-ids FILE    {"input_ids": [[...], ...]}; default input_ids.json in the model folder
    --threads N         default 2

stdin: `run N` answers N lines {"ms", "peak_rss_bytes", "layers_run"}; `save FILE` writes the last run's activations:
one tensor `blocks.I.hook_resid_post` per captured block, [contexts, tokens, d]; `quit`.
GPT2Model's last hidden state is after the final LayerNorm, so `transformers` saves blocks 0 … last - 1 only.
"""

import argparse
import json
from pathlib import Path

from turns import answer, peak_rss_bytes, serve, set_threads, timed

MODES = ("transformers", "stopped", "saelens", "saelens_whole")
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--model", type=Path, required=True)
parser.add_argument("--mode", choices=MODES, required=True)
parser.add_argument("--layer", type=int)
parser.add_argument("--input-ids", type=Path)
parser.add_argument("--threads", type=int, default=2)
given = parser.parse_args()
set_threads(given.threads)

import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

ids_file = given.input_ids or given.model / "input_ids.json"
ids = torch.tensor(json.loads(ids_file.read_text())["input_ids"])
# from_pretrained and its defaults, as a user gets them (scaled-dot-product attention).
lm = transformers.AutoModelForCausalLM.from_pretrained(given.model, dtype=torch.float32).eval()
body = lm.transformer
blocks = len(body.h)
layer = blocks // 2 - 1 if given.layer is None else given.layer
counted = []


def hook_name(block):
    return f"blocks.{block}.hook_resid_post"


def run_transformers():
    states = body(ids, output_hidden_states=True, use_cache=False).hidden_states
    return {hook_name(i): states[i + 1] for i in range(blocks - 1)}


def run_stopped():
    positions = torch.arange(ids.shape[1])[None]
    hidden = body.wte(ids) + body.wpe(positions)
    for block in body.h[: layer + 1]:
        # Without a mask scaled-dot-product attention is causal by itself.
        out = block(hidden)
        hidden = out[0] if isinstance(out, tuple) else out
    return {hook_name(layer): hidden}


def saelens_runner():
    from sae_lens.load_model import HookedProxyLM

    name = f"transformer.h.{layer}"
    model = HookedProxyLM(lm, None, hook_names=[name])
    stop = layer + 1 if given.mode == "saelens" else None

    def run():
        cache = model.run_with_cache(ids, names_filter=[name], stop_at_layer=stop, prepend_bos=False)[1]
        return {hook_name(layer): cache[name]}

    return run


if given.mode.startswith("saelens"):
    work = saelens_runner()
else:
    work = run_transformers if given.mode == "transformers" else run_stopped

# A count of the blocks that ran, taken once with hooks that are then removed.
handles = [block.register_forward_hook(lambda *_: counted.append(1)) for block in body.h]
with torch.inference_mode():
    last = work()
for handle in handles:
    handle.remove()


@torch.inference_mode()
def run(count="1"):
    global last
    for _ in range(int(count)):
        ms, last = timed(work)
        answer({"ms": ms, "peak_rss_bytes": peak_rss_bytes(), "layers_run": len(counted)})


def save(path):
    save_file({name: value.contiguous().clone() for name, value in last.items()}, path)
    answer({"written": path})


def versions():
    found = {"transformers": transformers.__version__, "torch": torch.__version__}
    if given.mode.startswith("saelens"):
        import sae_lens

        found["sae_lens"] = sae_lens.__version__
    return found


serve(
    {"run": run, "save": save},
    {
        **versions(),
        "mode": given.mode,
        "layer": layer,
        "layers_run": len(counted),
        "shape": list(ids.shape),
        "torch_threads": torch.get_num_threads(),
        "attention": lm.config._attn_implementation,
    },
)
