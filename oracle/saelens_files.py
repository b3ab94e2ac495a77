"""SAEs written and read by sae-lens itself.

    make [DIR]      writes an SAE folder as sae-lens leaves it (cfg.json, sae_weights.safetensors) for every architecture
                    and normalisation that we read, with golden.safetensors beside: `x` [n, d_in], `feature_acts`
                    [n, d_sae] = encode(x), `reconstruction` = forward(x). `topk_rescaled` has
                    rescale_acts_by_decoder_norm and decoder rows of norm 0.3 ... 2; `batchtopk` and
                    `matryoshka_batchtopk` are training checkpoints, their golden is that of the JumpReLU that sae-lens
                    makes of them. The default DIR is packages/sae/fixtures/saelens.
    check SAE_DIR X.safetensors OUT.safetensors [OURS.safetensors]
                    loads SAE_DIR with SAE.load_from_disk, writes encode and forward of the tensor `activations` (or
                    `x`) to OUT as `feature_acts` and `reconstruction`, and prints one JSON object. OURS holds our
                    tensors of the same names; the comparison is described at `compare`.
    check-all DIR   `check` for every folder that bench/saelens_ours.ts wrote to DIR; names of our own (`mistudio_...`)
                    must be refused. Prints a line each; exit status 1 when one is not as it must be.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from sae_lens import SAE
from sae_lens.registry import get_sae_class, get_sae_training_class
from sae_lens.saes.transcoder import Transcoder

D_IN, D_OUT, D_SAE, K, N = 16, 12, 48, 5, 23
TIE = 1e-5
TOLERANCE = 1e-5
METADATA = {
    "model_name": "demo",
    "hook_name": "blocks.4.hook_resid_post",
    "context_size": 128,
    "prepend_bos": False,
    "model_class_name": "HookedTransformer",
}

# name of the folder, architecture, further configuration
SAVED = [
    ("standard", "standard", {}),
    ("standard_constant_norm", "standard", {"normalize_activations": "constant_norm_rescale"}),
    ("standard_layer_norm", "standard", {"normalize_activations": "layer_norm"}),
    ("standard_plain_x", "standard", {"apply_b_dec_to_input": False}),
    ("gated", "gated", {}),
    ("topk", "topk", {"k": K}),
    ("topk_rescaled", "topk", {"k": K, "rescale_acts_by_decoder_norm": True}),
    ("jumprelu", "jumprelu", {}),
    ("batchtopk", "batchtopk", {"k": K}),
    ("matryoshka_batchtopk", "matryoshka_batchtopk", {"k": K, "matryoshka_widths": [16, 48]}),
    ("transcoder", "transcoder", {}),
    ("transcoder_layer_norm", "transcoder", {"normalize_activations": "layer_norm"}),
    ("skip_transcoder", "skip_transcoder", {}),
    ("jumprelu_transcoder", "jumprelu_transcoder", {}),
    ("jumprelu_skip_transcoder", "jumprelu_skip_transcoder", {}),
]


@torch.no_grad()
def compute(sae, x):
    return {"feature_acts": sae.encode(x), "reconstruction": sae(x)}


def set_weights(sae, g, rescaled):
    normal = lambda *shape: torch.randn(*shape, generator=g)
    for name, parameter in sae.named_parameters():
        draw = {
            "W_dec": lambda s: 0.4 * normal(*s),
            "W_enc": lambda s: 0.4 * normal(*s),
            "W_skip": lambda s: 0.3 * normal(*s),
            "b_enc": lambda s: 0.1 * normal(*s) - 0.25,
            "b_gate": lambda s: 0.1 * normal(*s) - 0.25,
            "threshold": lambda s: (0.3 * normal(*s) + 0.3).abs(),
        }.get(name, lambda s: 0.3 * normal(*s))
        parameter.data = draw(parameter.shape)
    if rescaled:
        W_dec = normal(D_SAE, D_IN)
        W_dec /= W_dec.norm(dim=1, keepdim=True)
        sae.W_enc.data = (W_dec + 0.1 * normal(D_SAE, D_IN)).T.contiguous()
        sae.W_dec.data = W_dec * torch.linspace(0.3, 2.0, D_SAE)[torch.randperm(D_SAE, generator=g), None]
    if hasattr(sae, "topk_threshold"):
        sae.topk_threshold.fill_(0.4)


@torch.no_grad()
def make(folder):
    for number, (name, architecture, more) in enumerate(SAVED):
        training = "batchtopk" in architecture
        cls, config_cls = (get_sae_training_class if training else get_sae_class)(architecture)
        transcoder = issubclass(cls, Transcoder)
        config = config_cls(
            d_in=D_IN,
            d_sae=D_SAE,
            **({"d_out": D_OUT, "apply_b_dec_to_input": False} if transcoder else {}),
            **more,
        )
        for key, value in METADATA.items():
            setattr(config.metadata, key, value)
        if transcoder:
            config.metadata.hook_name_out = "blocks.4.hook_mlp_out"
        g = torch.Generator().manual_seed(70 + number)
        sae = cls(config)
        set_weights(sae, g, rescaled=name == "topk_rescaled")
        centre = sae.b_dec.data if not transcoder else torch.zeros(D_IN)
        x = 1.5 * torch.randn(N, D_IN, generator=g) + centre
        x[N - 1] = centre + 0.02 * torch.randn(D_IN, generator=g)  # hardly a positive pre-activation
        out = Path(folder) / name
        judge = sae
        sae.save_model(out)
        if training:
            inference = Path(folder) / f"{name}.inference"
            sae.save_inference_model(inference)
            judge = SAE.load_from_disk(inference)
            for file in inference.iterdir():
                file.unlink()
            inference.rmdir()
        golden = {"x": x, **compute(judge, x)}
        save_file({key: value.detach().contiguous() for key, value in golden.items()}, out / "golden.safetensors")
        rows = (golden["feature_acts"] > 0).sum(1)
        print(json.dumps({"sae": name, "rows": N, "l0_min": rows.min().item(), "l0_max": rows.max().item()}))


@torch.no_grad()
def compare(sae, x, theirs, ours):
    """max|a - b| and max|a| over the rows whose selection is not a matter of a tie.

    For TopK a row is tied where the k-th and the next pre-activation differ by less than 1e-5 relative.
    `rows_selecting_others` counts the rows with other latents than SAELens's; `untied_selecting_others` those of them
    that are not tied; `exact_ties` the rows where both are the same float32, and `ours_off_tie_rule` those of them where
    ours are not the first k by (value descending, index ascending). For other architectures no row counts as tied, and
    a latent that fires on one side alone is measured by its value like any other.
    """
    a, b = theirs["feature_acts"], ours["feature_acts"]
    report = {"rows": len(x)}
    kept = torch.ones(len(x), dtype=torch.bool)
    k = getattr(sae.cfg, "k", None)
    if k is not None:
        pre = sae.process_sae_in(x) @ sae.W_enc + sae.b_enc
        if sae.cfg.rescale_acts_by_decoder_norm:
            pre = pre * sae.W_dec.norm(dim=-1)
        ordered, index = pre.sort(dim=1, descending=True, stable=True)
        tied = (ordered[:, k - 1] - ordered[:, k]).abs() < TIE * ordered[:, k - 1].abs()
        other = ((a > 0) != (b > 0)).any(dim=1)
        by_rule = torch.zeros_like(pre).scatter(1, index[:, :k], 1.0).bool() & (pre > 0)
        exact = ordered[:, k - 1] == ordered[:, k]
        off_rule = exact & ((b > 0) != by_rule).any(dim=1)
        kept = ~other
        report["tied_rows"] = tied.sum().item()
        report["rows_selecting_others"] = other.sum().item()
        report["untied_selecting_others"] = (other & ~tied).sum().item()
        report["exact_ties"] = exact.sum().item()
        report["ours_off_tie_rule"] = off_rule.sum().item()
    for name in ("feature_acts", "reconstruction"):
        left, right = theirs[name][kept], ours[name][kept]
        worst, size = (left - right).abs().max().item(), left.abs().max().item()
        report[name] = {"max_abs_difference": worst, "max_abs": size, "relative": worst / size}
    return report


def check(folder, x_file, out=None, ours_file=None):
    sae = SAE.load_from_disk(folder)
    tensors = load_file(x_file)
    x = tensors["activations"] if "activations" in tensors else tensors["x"]
    theirs = compute(sae, x.float())
    if out is not None:
        save_file({key: value.contiguous() for key, value in theirs.items()}, out)
    report = {"architecture": sae.cfg.architecture(), "d_in": sae.cfg.d_in, "d_sae": sae.cfg.d_sae}
    if getattr(sae.cfg, "k", None) is not None:
        report["k"] = sae.cfg.k
    report["l0"] = (theirs["feature_acts"] > 0).sum(1).float().mean().item()
    if ours_file is not None:
        report |= compare(sae, x.float(), theirs, load_file(ours_file))
    return report


def check_all(folder):
    good = True
    for sae in sorted(Path(folder).iterdir()):
        architecture = json.loads((sae / "cfg.json").read_text())["architecture"]
        if architecture.startswith("mistudio_"):
            try:
                SAE.load_from_disk(sae)
                print(f"{sae.name}: {architecture} was loaded")
                good = False
            except Exception as error:
                print(f"{sae.name}: {architecture} is refused ({type(error).__name__})")
            continue
        report = check(sae, sae / "x.safetensors", None, sae / "ours.safetensors")
        relative = {name: report[name]["relative"] for name in ("feature_acts", "reconstruction")}
        fine = max(relative.values()) < TOLERANCE and report.get("untied_selecting_others", 0) == 0
        good = good and fine
        numbers = ", ".join(f"{name} {value:.1e}" for name, value in relative.items())
        print(f"{sae.name}: {architecture}, l0 {report['l0']:.1f}, {numbers}{'' if fine else '  TOO FAR'}")
    return good


if __name__ == "__main__":
    command, arguments = (sys.argv[1:2] or [""])[0], sys.argv[2:]
    if command == "make" and len(arguments) <= 1:
        make(*(arguments or [Path(__file__).parent.parent / "packages/sae/fixtures/saelens"]))
    elif command == "check" and len(arguments) in (3, 4):
        print(json.dumps(check(*arguments)))
    elif command == "check-all" and len(arguments) == 1:
        sys.exit(0 if check_all(*arguments) else 1)
    else:
        sys.exit(__doc__)
