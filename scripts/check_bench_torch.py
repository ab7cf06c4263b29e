#!/usr/bin/env python3
"""Checks that scripts/bench_torch.py computes what astroclip does: both meet the reference values of the released code.

    scripts/check_bench_torch.py [FOLDER]     (default: tests/golden)

In f32: the image transformer, three DINOv2 steps, the spectrum transformer and three masked-modelling steps, compiled if
wanted; packed stochastic depth against its plain form; the count of operations against PyTorch's own. Needs safetensors.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import bench_torch as bench

PLAIN = bench.Speed(precision="f32", compile="off")
CPU = torch.device("cpu")


class Checks:
    def __init__(self, device: torch.device, speed: bench.Speed):
        self.device, self.speed = device, speed
        self.failed = 0

    def within(self, what: str, error: float, tolerance: float) -> None:
        ok = error <= tolerance
        self.failed += not ok
        print(f"{'ok  ' if ok else 'FAIL'} {what:<64} {error:.1e} (at most {tolerance:.0e})")


def distance(actual: Tensor, expected: Tensor) -> float:
    """‖a − b‖ / ‖b‖ in f64."""
    actual, expected = actual.detach().double(), expected.double()
    return ((actual - expected).norm() / expected.norm().clamp(min=1e-300)).item()


def load(path: Path, device: torch.device) -> tuple[dict[str, Tensor], dict[str, int]]:
    """Tensors, and the sizes in the metadata."""
    with safe_open(path, "pt", device=str(device)) as file:
        sizes = {name: int(value) for name, value in (file.metadata() or {}).items() if value.isdigit()}
        return {name: file.get_tensor(name) for name in file.keys()}, sizes


def network(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Student or teacher: released names and shapes to those of bench_torch."""
    renamed = {}
    for name, tensor in tensors.items():
        if not name.startswith(prefix):
            continue
        parts = name.removeprefix(prefix).split(".")
        if parts[:2] == ["backbone", "blocks"]:
            del parts[2]
        if parts[1] == "mlp":
            parts[2] = str(int(parts[2]) // 2)
        if parts[1] == "patch_embed":
            del parts[2]
            tensor = tensor.flatten(1) if tensor.dim() == 4 else tensor
        renamed[".".join(parts)] = tensor
    return renamed


def spectrum_names(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    pairs = (
        ("position_embed.weight", "position_embed"),
        ("layernorm1", "norm1"),
        ("layernorm2", "norm2"),
        ("attention.attention", "attn.qkv"),
        ("attention.projection", "attn.proj"),
        ("mlp.encoder", "mlp.fc1"),
        ("mlp.decoder", "mlp.fc2"),
    )
    renamed = {}
    for name, tensor in tensors.items():
        if name.startswith(prefix):
            name = name.removeprefix(prefix)
            for released, ours in pairs:
                name = name.replace(released, ours)
            renamed[name] = tensor
    return renamed


def weight_errors(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> tuple[float, float]:
    """The largest error of a tensor; apart from it that of the keys' biases, which softmax does not see and which AdamW
    therefore moves by rounding alone."""
    worst, keys = 0.0, 0.0
    for name, value in expected.items():
        ours = actual[name]
        if name.endswith("qkv.bias"):
            thirds = [distance(a, b) for a, b in zip(ours.chunk(3), value.chunk(3))]
            keys = max(keys, thirds[1])
            worst = max(worst, thirds[0], thirds[2])
        else:
            worst = max(worst, distance(ours, value))
    return worst, keys


def check_image(checks: Checks, folder: Path) -> None:
    io, sizes = load(folder / "astrodino_io.safetensors", checks.device)
    start, _ = load(folder / "dinov2_step_init.safetensors", checks.device)
    final, _ = load(folder / "dinov2_step_final.safetensors", checks.device)
    steps = json.loads((folder / "dinov2_steps.json").read_text())
    config = bench.ImageConfig(
        image_size=io["global"].shape[2],
        local_size=io["local"].shape[2],
        locals=io["local"].shape[0] // sizes["B"],
        width=sizes["D"],
        depth=sizes["depth"],
        heads=sizes["heads"],
        head_hidden=sizes["hid"],
        bottleneck=sizes["bott"],
        prototypes=sizes["proto"],
        drop_path=0.0,
        koleo_weight=steps["koleo_weight"],
        layer_decay=steps["layerwise_decay"],
        patch_embed_lr_factor=steps["patch_embed_lr_mult"],
        clip_norm=steps["clip_grad"],
    )

    released = torch.load(folder / "astrodino.pth", weights_only=True)["teacher"]
    vit = bench.Vit(config, checks.speed).to(checks.device)
    backbone = network(released, "")
    vit.load_state_dict({name.removeprefix("backbone."): t for name, t in backbone.items() if "backbone" in name})
    masks = io["masks"] > 0
    for name, images, mask in (("global", io["global"], None), ("local", io["local"], None), ("masked", io["global"], masks)):
        tokens = vit([images], [mask], None)[0]
        checks.within(f"image transformer, {name}, class tokens", distance(tokens[:, 0], io[f"{name}_cls"]), 1e-4)
        checks.within(f"image transformer, {name}, patches", distance(tokens[:, 1:], io[f"{name}_patches"]), 1e-4)

    step = bench.DinoStep(config, checks.speed, checks.device)
    step.student.load_state_dict(network(start, "student."))
    step.teacher.load_state_dict(network(start, "teacher."))
    batch = bench.CropBatch.of(io["global"], io["local"], masks)
    for index, expected in enumerate(steps["steps"]):
        names = ("lr", "last_layer_lr", "weight_decay", "momentum", "teacher_temp")
        terms, norms = step(batch, bench.Schedule(*(steps[name][index] for name in names)))
        actual = {name: value.item() for name, value in terms.items()}
        actual["total"] = sum(actual.values())
        actual["grad_norm_backbone"], actual["grad_norm_head"] = (norm.item() for norm in norms)
        for name, value in actual.items():
            checks.within(f"DINOv2 step {index + 1}, {name} = {value:.6f}", abs(value / expected[name] - 1), 1e-5)
        # The released code moves its centres when they are used next.
        if index == len(steps["steps"]) - 2:
            for center, name in zip(step.centers, ("dino_center", "ibot_center")):
                checks.within(name, distance(center.flatten(), final[name].flatten()), 1e-4)
    for prefix, module in (("student.", step.student), ("teacher.", step.teacher)):
        worst, keys = weight_errors(module.state_dict(), network(final, prefix))
        checks.within(f"weights after the steps, {prefix[:-1]}", worst, 1e-4)
        checks.within(f"weights after the steps, {prefix[:-1]}, keys' biases", keys, 1e-2)


def check_spectrum(checks: Checks, folder: Path) -> None:
    io, sizes = load(folder / "specformer_io.safetensors", checks.device)
    final, _ = load(folder / "specformer_steps.safetensors", checks.device)
    steps = json.loads((folder / "specformer_steps.json").read_text())
    config = bench.SpectrumConfig(
        token_width=sizes["input_dim"],
        tokens=io["tokens"].shape[1],
        max_tokens=sizes["max_len"],
        width=sizes["embed_dim"],
        depth=sizes["num_layers"],
        heads=sizes["num_heads"],
        lr=steps["lr"],
        weight_decay=steps["weight_decay"],
        betas=tuple(steps["betas"]),
        clip_norm=steps["clip"],
    )
    step = bench.MaskedModellingStep(config, checks.speed, checks.device)
    released = torch.load(folder / "specformer.ckpt", weights_only=True)["state_dict"]
    step.model.load_state_dict(spectrum_names(released, ""))
    tokens = step.model(io["tokens"])
    checks.within("spectrum transformer, embedding", distance(tokens, io["embedding"]), 1e-4)
    checks.within("spectrum transformer, reconstruction", distance(step.model.head(tokens), io["reconstructions"]), 1e-4)
    for index, expected in enumerate(steps["steps"]):
        hidden = (io["tokens"] != final[f"masked_tokens_{index}"]).float()
        terms, (norm,) = step((io["tokens"], hidden))
        loss = terms["masked_mse"].item()
        checks.within(f"spectrum step {index + 1}, loss = {loss:.6f}", abs(loss / expected["loss"] - 1), 1e-5)
        error = abs(norm.item() / expected["grad_norm"] - 1)
        checks.within(f"spectrum step {index + 1}, gradient norm = {norm.item():.6f}", error, 1e-5)
    worst, keys = weight_errors(step.model.state_dict(), spectrum_names(final, "final."))
    checks.within("weights after the steps, spectrum", worst, 1e-4)
    checks.within("weights after the steps, spectrum, keys' biases", keys, 1e-2)


SMALL = bench.ImageConfig(
    image_size=48, local_size=24, locals=4, width=32, depth=2, heads=2, head_hidden=64, bottleneck=16, prototypes=96
)


def check_stochastic_depth(checks: Checks) -> None:
    """Outputs and gradients against a mask of zeros and 1 / (share kept), in f64; and that steps see the right number."""
    torch.manual_seed(1)
    block = bench.Block(16, 2, 4, 0.5, 1e-6).double()
    groups = [torch.randn(10, 5, 16).double().requires_grad_(), torch.randn(20, 3, 16).double().requires_grad_()]
    drawn = [bench.draw_kept(2, x.shape[0], 0.3, CPU) for x in groups]
    kept = [[(rows[b], rank[b]) for rows, rank in drawn] for b in range(2)]
    seen = [len(rows) for rows, _ in kept[0]]
    checks.within("stochastic depth keeps 7 of 10 and 14 of 20 samples", float(seen != [7, 14]), 0)

    def plain(x: Tensor, group: int) -> Tensor:
        for branch in range(2):
            rows = kept[branch][group][0]
            factor = torch.zeros(x.shape[0], 1, 1).double()
            factor[rows] = x.shape[0] / len(rows)
            flat = x.flatten(0, 1)
            if branch == 0:
                out = block.ls1(block.attn(block.norm1(flat), [tuple(x.shape[:2])]))
            else:
                out = block.ls2(block.mlp(block.norm2(flat)))
            x = x + factor * out.view_as(x)
        return x

    leaves = [*groups, *block.parameters()]
    weights = [torch.randn_like(x) for x in groups]
    results = {}
    for name, outputs in (("packed", block(groups, kept)), ("plain", [plain(x, i) for i, x in enumerate(groups)])):
        loss = sum((x * w).sum() for x, w in zip(outputs, weights))
        results[name] = [*outputs, *torch.autograd.grad(loss, leaves)]
    worst = max(distance(a, b.detach()) for a, b in zip(*results.values()) if b.norm() > 1e-9)
    checks.within("packed stochastic depth, outputs and gradients", worst, 1e-12)


def check_flops(checks: Checks) -> None:
    """Against PyTorch's count of the operations it runs."""
    for name, config in (
        ("no sample dropped", replace(SMALL, drop_path=0.0)),
        ("samples dropped, two heads", replace(SMALL, separate_heads=True)),
    ):
        batch = 5
        step = bench.DinoStep(config, PLAIN, CPU)
        crops = bench.CropBatch.random(config, batch, CPU)
        with FlopCounterMode(display=False) as counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            step(crops, bench.Schedule())
        # KoLeo's similarities and the resized positions are left out of the count: under a thousandth at full size.
        small = 2 * 2 * batch**2 * config.width
        small += 2 * 2 * step.student.backbone.resize.numel() * config.width
        expected = bench.image_flops(config, batch, len(crops.places) / batch, True) * batch
        error = abs((counter.get_total_flops() - small) / expected - 1)
        checks.within(f"operations of an image step, {name}", error, 1e-6)
    config = bench.SpectrumConfig(tokens=30, max_tokens=40, width=24, depth=2, heads=3, segment_width=5)
    step = bench.MaskedModellingStep(config, PLAIN, CPU)
    with FlopCounterMode(display=False) as counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        step(step.random_batch(3))
    error = abs(counter.get_total_flops() / (3 * bench.spectrum_flops(config, True)) - 1)
    checks.within("operations of a spectrum step", error, 1e-6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    golden = Path(__file__).resolve().parent.parent / "tests" / "golden"
    parser.add_argument("folder", nargs="?", type=Path, default=golden)
    parser.add_argument("--compile", choices=("off", "block", "model"), default="off", help="what torch.compile sees (off)")
    parser.add_argument("--device", type=torch.device, default=CPU)
    options = parser.parse_args()
    checks = Checks(options.device, replace(PLAIN, compile=options.compile))
    check_image(checks, options.folder)
    check_spectrum(checks, options.folder)
    check_stochastic_depth(checks)
    check_flops(checks)
    print(f"{checks.failed} failed" if checks.failed else "all passed")
    sys.exit(checks.failed > 0)


if __name__ == "__main__":
    main()
