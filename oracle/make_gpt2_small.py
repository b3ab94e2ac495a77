"""Writes a model folder of GPT-2 small's shape with random weights, for both sides of the capture bench.

    python oracle/make_gpt2_small.py DIR [--seed S] [--layers N] [--width N] [--heads N] [--vocabulary N] [--context N]

config.json, model.safetensors (float32, Hugging Face's GPT2LMHeadModel names, tied head) and input_ids.json,
{"input_ids": [8 contexts of 128 tokens]}. Weights are normal with GPT-2's standard deviations, LayerNorm weights near
1 and biases near 0, none left at the value that would hide a mistake. No tokenizer: the ids are random.
"""

import argparse
import json
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--vocabulary", type=int, default=50257)
    parser.add_argument("--context", type=int, default=1024)
    given = parser.parse_args()
    torch.manual_seed(given.seed)
    config = GPT2Config(
        n_layer=given.layers,
        n_embd=given.width,
        n_head=given.heads,
        vocab_size=given.vocabulary,
        n_positions=given.context,
        bos_token_id=given.vocabulary - 1,
        eos_token_id=given.vocabulary - 1,
    )
    model = GPT2LMHeadModel(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.02)
            elif ".ln_" in name:
                parameter.normal_(1, 0.05)
    model.save_pretrained(given.dir, safe_serialization=True)
    (given.dir / "generation_config.json").unlink(missing_ok=True)
    ids = torch.randint(0, given.vocabulary, (8, min(128, given.context)))
    (given.dir / "input_ids.json").write_text(json.dumps({"input_ids": ids.tolist()}) + "\n")
    parameters = sum(p.numel() for p in model.parameters())
    print(json.dumps({"parameters": parameters, "files": sorted(f.name for f in given.dir.iterdir())}))


if __name__ == "__main__":
    main()
