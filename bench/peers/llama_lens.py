"""A TransformerLens HookedTransformer of a Llama folder with any configuration. TransformerLens builds its own only by
the names of known models, so the configuration is filled in here as its loader does for `LlamaForCausalLM`, and the
weights go through its own convert_llama_weights, unprocessed (no folding, no centring: SAELens's way)."""

import json
from pathlib import Path

import torch
from transformer_lens import HookedTransformer, HookedTransformerConfig
from transformer_lens.pretrained.weight_conversions import convert_llama_weights
from transformers import LlamaForCausalLM


def load(folder):
    raw = json.loads((Path(folder) / "config.json").read_text())
    rope = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
    if raw["model_type"] != "llama" or rope.get("rope_type", "default") != "default":
        raise SystemExit(f"{folder}: only Llama without rope scaling is built here")
    hf = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    given = hf.config
    d_head = raw.get("head_dim") or given.hidden_size // given.num_attention_heads
    grouped = given.num_key_value_heads != given.num_attention_heads
    config = HookedTransformerConfig(
        d_model=given.hidden_size,
        d_head=d_head,
        n_heads=given.num_attention_heads,
        n_key_value_heads=given.num_key_value_heads if grouped else None,
        d_mlp=given.intermediate_size,
        n_layers=given.num_hidden_layers,
        n_ctx=given.max_position_embeddings,
        d_vocab=given.vocab_size,
        eps=given.rms_norm_eps,
        act_fn=given.hidden_act,
        normalization_type="RMS",
        positional_embedding_type="rotary",
        rotary_adjacent_pairs=False,
        rotary_dim=d_head,
        rotary_base=int(rope.get("rope_theta", raw.get("rope_theta", 10000))),
        final_rms=True,
        gated_mlp=True,
        device="cpu",
        dtype=torch.float32,
    )
    model = HookedTransformer(config)
    model.load_and_process_state_dict(
        convert_llama_weights(hf, config),
        fold_ln=False,
        center_writing_weights=False,
        center_unembed=False,
        fold_value_biases=False,
    )
    return model.eval()


@torch.inference_mode()
def compare(model, golden):
    """The largest difference to the golden tensors of the same hook names, over its `input_ids`."""
    from safetensors.torch import load_file

    tensors = load_file(golden)
    logits, cache = model.run_with_cache(tensors["input_ids"].long())
    off = {n: (cache[n] - t).abs().max().item() for n, t in tensors.items() if n.startswith("blocks.")}
    off["logits"] = (logits - tensors["logits"]).abs().max().item()
    worst = max(off, key=off.get)
    return {"tensors": len(off), "worst": worst, "max_abs_difference": off[worst]}
