"""Cached activations as SAELens writes them, for packages/capture/src/cache/saelens_cache.ts.

    python oracle/saelens_cached_activations.py [DIR]

runs sae-lens's own CacheActivationsRunner over a tiny random HookedTransformer (nothing is downloaded) and writes
DIR/float32 and DIR/float16, each a folder as `Dataset.save_to_disk` leaves it (dataset_info.json, state.json,
data-*.arrow, several of them), with golden.safetensors beside them: `float32` and `float16` [contexts, context, d_in]
and `token_ids` [contexts, context], as sae-lens's loader reads them. The default DIR is
packages/sae/fixtures/saelens_cached.
"""

import shutil
import sys
from pathlib import Path

import datasets
import sae_lens.cache_activations_runner as runner_module
import torch
import torchvision.io
from safetensors.torch import save_file
from sae_lens.config import CacheActivationsRunnerConfig
from transformer_lens import HookedTransformer, HookedTransformerConfig

# datasets 3 asks whether a value is one of these, which newer torchvisions no longer have.
if not hasattr(torchvision.io, "VideoReader"):
    torchvision.io.VideoReader = type("VideoReader", (), {})

D_IN, CONTEXT, CONTEXTS, VOCABULARY = 8, 6, 20, 50
HOOK = "blocks.0.hook_resid_post"


def tiny_model():
    torch.manual_seed(0)
    return HookedTransformer(
        HookedTransformerConfig(
            n_layers=1, d_model=D_IN, n_ctx=CONTEXT, d_head=4, n_heads=2, d_mlp=16,
            act_fn="gelu", d_vocab=VOCABULARY, seed=0, device="cpu",
        )
    )


def main(folder: Path):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    runner_module.load_model = lambda **_: tiny_model()
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, VOCABULARY, (CONTEXTS * 2, CONTEXT), generator=generator)
    text = datasets.Dataset.from_dict({"tokens": tokens.tolist()})
    golden = {}
    for dtype in ["float32", "float16"]:
        path = folder / dtype
        config = CacheActivationsRunnerConfig(
            dataset_path="tokens", model_name="tiny", model_batch_size=2, hook_name=HOOK, d_in=D_IN,
            training_tokens=CONTEXTS * CONTEXT, context_size=CONTEXT, new_cached_activations_path=str(path),
            shuffle=False, dtype=dtype, device="cpu", prepend_bos=False, streaming=False,
            # Eight contexts a shard: three shards.
            buffer_size_gb=8 * CONTEXT * D_IN * (4 if dtype == "float32" else 2) / 1e9,
        )
        runner_module.CacheActivationsRunner(config, override_dataset=text).run()
        for lock in path.glob("*.lock"):
            lock.unlink()
        loaded = datasets.load_from_disk(str(path)).with_format("torch")
        golden[dtype] = torch.stack([row[HOOK] for row in loaded]).to(getattr(torch, dtype)).contiguous()
        golden["token_ids"] = torch.stack([row["token_ids"] for row in loaded]).to(torch.int32).contiguous()
    save_file(golden, folder / "golden.safetensors")
    print({name: tuple(tensor.shape) for name, tensor in golden.items()})


if __name__ == "__main__":
    default = Path(__file__).parent.parent / "packages/capture/fixtures/saelens_cached"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else default)
