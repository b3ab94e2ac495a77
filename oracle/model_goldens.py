"""Tiny Llama and GPT-2 checkpoints in configurations the shared goldens do not cover, with what transformers
computes for them (eager attention, float32, CPU). Writes packages/model/fixtures/<name>/.

    python oracle/model_goldens.py

Every parameter is random, biases and norms included, so that none can be left out unnoticed. The tensors have
the names of the fixtures `llama` and `gpt2`: input_ids, block.{i}.input|output|attn_module_output|
mlp_module_output, logits, greedy (the first NINE ids are the prompt).
"""

import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "packages" / "model" / "fixtures"
TOKENS, PROMPT, NEW = 40, 9, 16

LLAMA = dict(
    vocab_size=96, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=64, bos_token_id=0, eos_token_id=1, tie_word_embeddings=True,
)
GPT2 = dict(vocab_size=96, n_embd=24, n_layer=2, n_head=4, n_positions=64, bos_token_id=0, eos_token_id=1)

LLAMA3 = dict(
    rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32
)
MODELS = {
    # As many key heads as query heads, heads wider than hidden_size / heads, biases in the MLP.
    "llama_mha": (LlamaConfig, {**LLAMA, "num_key_value_heads": 4, "head_dim": 10, "mlp_bias": True}),
    "llama_rope_linear": (LlamaConfig, {**LLAMA, "rope_scaling": {"rope_type": "linear", "factor": 4.0}}),
    "llama_rope_llama3": (LlamaConfig, {**LLAMA, "head_dim": 16, "rope_theta": 500.0, "rope_scaling": LLAMA3}),
    "llama_untied_bias": (LlamaConfig, {**LLAMA, "tie_word_embeddings": False, "attention_bias": True}),
    "llama_f16": (LlamaConfig, LLAMA),
    "llama_bf16": (LlamaConfig, LLAMA),
    "gpt2_inner": (GPT2Config, {**GPT2, "n_inner": 40, "scale_attn_by_inverse_layer_idx": True}),
    "gpt2_unscaled": (
        GPT2Config,
        {**GPT2, "scale_attn_weights": False, "tie_word_embeddings": False, "activation_function": "gelu"},
    ),
}
DTYPES = {"llama_f16": torch.float16, "llama_bf16": torch.bfloat16}
# Written in the form of transformers 5, read by nobody in older ones.
ROPE_PARAMETERS = {"llama_rope_llama3"}


def randomise(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            norm = parameter.dim() == 1 and name.endswith("weight")
            parameter.copy_(1 + 0.2 * noise if norm else noise * (0.3 if parameter.dim() == 1 else 0.25))


def blocks_of(model):
    if hasattr(model, "transformer"):
        return [(block, block.attn, block.mlp) for block in model.transformer.h]
    return [(block, block.self_attn, block.mlp) for block in model.model.layers]


def first(value):
    return value[0] if isinstance(value, tuple) else value


def record(model, input_ids):
    tensors, handles = {}, []

    def keep(name):
        def hook(_module, _inputs, output):
            tensors[name] = first(output).detach().clone()

        return hook

    def keep_input(name):
        def hook(_module, args, kwargs):
            tensors[name] = (args[0] if args else kwargs["hidden_states"]).detach().clone()

        return hook

    for i, (block, attention, mlp) in enumerate(blocks_of(model)):
        handles.append(block.register_forward_pre_hook(keep_input(f"block.{i}.input"), with_kwargs=True))
        handles.append(block.register_forward_hook(keep(f"block.{i}.output")))
        handles.append(attention.register_forward_hook(keep(f"block.{i}.attn_module_output")))
        handles.append(mlp.register_forward_hook(keep(f"block.{i}.mlp_module_output")))
    with torch.no_grad():
        tensors["logits"] = model(input_ids, use_cache=False).logits
    for handle in handles:
        handle.remove()
    return tensors


def greedy(model, prompt):
    ids = prompt.clone()
    with torch.no_grad():
        for _ in range(NEW):
            ids = torch.cat([ids, model(ids, use_cache=False).logits[:, -1:].argmax(-1)], dim=1)
    return ids


def main():
    for seed, (name, (config_class, settings)) in enumerate(MODELS.items()):
        config = config_class(**settings, attn_implementation="eager")
        model = (LlamaForCausalLM if config_class is LlamaConfig else GPT2LMHeadModel)(config).eval()
        randomise(model, seed)
        stored = DTYPES.get(name, torch.float32)
        # What is computed is the stored weights, widened. Not model.to(stored): that would round the rotary
        # frequencies as well, which are no weights.
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(parameter.to(stored))
        generator = torch.Generator().manual_seed(1000 + seed)
        input_ids = torch.randint(2, config.vocab_size, (2, TOKENS), generator=generator)
        tensors = {"input_ids": input_ids, **record(model, input_ids), "greedy": greedy(model, input_ids[:1, :PROMPT])}
        folder = FIXTURES / name
        model.to(stored).save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        save_file({key: value.contiguous() for key, value in tensors.items()}, folder / "golden.safetensors")
        if name in ROPE_PARAMETERS:
            path = folder / "config.json"
            written = json.loads(path.read_text())
            written["rope_parameters"] = {**written.pop("rope_scaling"), "rope_theta": written.pop("rope_theta")}
            path.write_text(json.dumps(written, indent=2, sort_keys=True) + "\n")
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"{name}: {size} bytes")


if __name__ == "__main__":
    main()
