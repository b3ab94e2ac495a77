"""SAEDashboard's side of the extraction bench: SaeVisRunner over a SAELens folder, a Llama folder and given tokens, set
up as its NeuronpediaRunner does it (whole contexts, 5 quantiles of 5, the top 20, activations of the model cached on
disk, every batch of features encoded anew).

    --sae DIR --model DIR
    --tokens FILE       safetensors: `input_ids` int32 or int64 [contexts, tokens]
    --features N        the first N features (default all), or a comma-separated list
    --per-batch N       features at a time, default 128; --prompts N contexts a forward, default 32
    --top N             default 20
    --ignore-tokens IDS comma-separated, default 0 (the demo's <|endoftext|>); position 0 is ignored as well
    --golden FILE       checks the model against golden activations first
    --threads N         default 2
    --out FILE          the examples, {"features": [{"feature", "top": [{"context", "position", "activation"}]}]}

Prints JSON lines: {"model": {...}} with --golden, {"features": [first, last], "seconds"} per batch, and {"done":
{"features", "tokens", "seconds", "first_batch_seconds", "peak_rss_bytes"}}. The first batch includes the model's
forward; loading is not counted. Cost is linear in the number of batches after the first.
An example is a token: one context may occur more than once in a feature's top. Activations are rounded to 4 decimals
by SAEDashboard; those of 0 are left out here.
"""

import argparse
import json
import tempfile
from pathlib import Path

from turns import answer, peak_rss_bytes, set_threads, timed

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--sae", required=True)
parser.add_argument("--model", required=True)
parser.add_argument("--tokens", required=True)
parser.add_argument("--features")
parser.add_argument("--per-batch", type=int, default=128)
parser.add_argument("--prompts", type=int, default=32)
parser.add_argument("--top", type=int, default=20)
parser.add_argument("--ignore-tokens", default="0")
parser.add_argument("--golden")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--out", type=Path)
given = parser.parse_args()
set_threads(given.threads)

import llama_lens  # noqa: E402
from sae_dashboard.components_config import (  # noqa: E402
    ActsHistogramConfig,
    Column,
    FeatureTablesConfig,
    LogitsHistogramConfig,
    LogitsTableConfig,
    SequencesConfig,
)
from sae_dashboard.layout import SaeVisLayoutConfig  # noqa: E402
from sae_dashboard.sae_vis_data import SaeVisConfig  # noqa: E402
from sae_dashboard.sae_vis_runner import SaeVisRunner  # noqa: E402
from sae_lens import SAE  # noqa: E402
from safetensors.torch import load_file  # noqa: E402


def layout():
    sequences = SequencesConfig(
        stack_mode="stack-all",
        buffer=None,
        compute_buffer=True,
        n_quantiles=5,
        top_acts_group_size=given.top,
        quantile_group_size=5,
    )
    rest = (ActsHistogramConfig(), LogitsHistogramConfig(), LogitsTableConfig(), FeatureTablesConfig(n_rows=3))
    return SaeVisLayoutConfig(columns=[Column(sequences, *rest)])


def chosen_features(d_sae):
    if given.features is None:
        return list(range(d_sae))
    if "," in given.features:
        return [int(word) for word in given.features.split(",")]
    return list(range(min(int(given.features), d_sae)))


def examples(data):
    top = data.sequence_data.seq_group_data[0].seq_data
    found = []
    for sequence in top:
        # Its feat_acts begin at position 1 of the context: it drops the first token of what it gathers.
        position = sequence.qualifying_token_index
        value = sequence.feat_acts[position - 1] if position > 0 else 0.0
        if value > 0:
            found.append({"context": sequence.original_index, "position": position, "activation": value})
    return found


def main():
    model = llama_lens.load(given.model)
    if given.golden:
        answer({"model": llama_lens.compare(model, given.golden)})
    sae = SAE.load_from_disk(given.sae)
    # SaeVisRunner folds decoder norms first, which sae-lens refuses for TopK without rescale_acts_by_decoder_norm
    # because it would change the selection. Without the fold the activations are the SAE's own.
    sae.fold_W_dec_norm = lambda: None
    tokens = load_file(given.tokens)["input_ids"].long()
    features = chosen_features(sae.cfg.d_sae)
    found, seconds = [], []
    with tempfile.TemporaryDirectory() as cache:
        for start in range(0, len(features), given.per_batch):
            batch = features[start : start + given.per_batch]
            config = SaeVisConfig(
                hook_point=sae.cfg.metadata.hook_name,
                features=batch,
                minibatch_size_features=given.per_batch,
                minibatch_size_tokens=given.prompts,
                quantile_feature_batch_size=64,
                feature_centric_layout=layout(),
                ignore_tokens={int(word) for word in given.ignore_tokens.split(",") if word},
                ignore_positions=[0],
                cache_dir=Path(cache),
                device="cpu",
                verbose=False,
            )
            ms, result = timed(lambda: SaeVisRunner(config).run(encoder=sae, model=model, tokens=tokens))
            seconds.append(ms / 1000)
            answer({"features": [batch[0], batch[-1]], "seconds": seconds[-1]})
            found += [{"feature": f, "top": examples(result.feature_data_dict[f])} for f in batch]
    if given.out:
        given.out.write_text(json.dumps({"features": found}) + "\n")
    done = {"features": len(features), "tokens": tokens.numel(), "seconds": sum(seconds)}
    answer({"done": {**done, "first_batch_seconds": seconds[0], "peak_rss_bytes": peak_rss_bytes()}})


main()
