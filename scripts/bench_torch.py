#!/usr/bin/env python3
"""The training steps and the inference of astroclip in PyTorch, as fast as we can write them, to compare with.

    scripts/bench_torch.py --task train-image --batch 64
    scripts/bench_torch.py --task embed-spectrum --batch 256 --matmul --json

Tasks: train-image, a DINOv2 step of ViT-L/12 as in configs/vitl-released.toml; train-spectrum, a masked-modelling step
of the 43.2 M SpecFormer; embed-image and embed-spectrum, class token and mean token. scripts/check_bench_torch.py
shows on a CPU that the steps compute what astroclip's do.

What is done for speed: bf16 autocast over f32 master weights, TF32 where f32 remains, fused attention (SDPA),
torch.compile, one pass of the linear layers over the tokens of all crops (as DINOv2 packs them), stochastic depth that
skips the dropped samples and moves rows by gathers alone, prototype scores of class tokens and masked patches only, no
synchronisation with the host inside a step, fused AdamW, one kernel for the teacher's average. Crops, masks and spectra are
random and lie on the device, so that loading is not measured. Of several sets each step takes the next.

Needs PyTorch 2.4 or newer and nothing else.
"""

import argparse
import contextlib
import json
import math
import statistics
import sys
import time
from dataclasses import dataclass, fields, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TASKS = ("train-image", "train-spectrum", "embed-image", "embed-spectrum")
GLOBAL_CROPS = 2
# Sets of inputs that the steps take in turn.
INPUT_SETS = 4


# --- configuration ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ImageConfig:
    """configs/vitl-released.toml."""

    image_size: int = 144
    local_size: int = 60
    locals: int = 8
    patch: int = 12
    channels: int = 3
    width: int = 1024
    depth: int = 24
    heads: int = 16
    mlp_ratio: int = 4
    layer_scale: float = 1e-5
    drop_path: float = 0.3
    head_hidden: int = 2048
    bottleneck: int = 256
    prototypes: int = 65536
    separate_heads: bool = False
    # Every second global crop has masked patches, on average this share of them (0.1 to 0.5, evenly).
    masked_share: float = 0.3
    koleo_weight: float = 0.1
    student_temperature: float = 0.1
    center_momentum: float = 0.9
    layer_decay: float = 0.9
    patch_embed_lr_factor: float = 0.2
    clip_norm: float = 3.0

    def tokens(self, size: int) -> int:
        return 1 + (size // self.patch) ** 2


@dataclass(frozen=True)
class SpectrumConfig:
    """configs/specformer.toml."""

    token_width: int = 22
    tokens: int = 778
    max_tokens: int = 800
    width: int = 768
    depth: int = 6
    heads: int = 6
    mlp_ratio: int = 4
    segments: int = 6
    segment_width: int = 30
    lr: float = 1e-5
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    clip_norm: float = 1.0


@dataclass(frozen=True)
class Schedule:
    """What changes from step to step."""

    lr: float = 2.37e-4
    last_layer_lr: float = 2.37e-4
    weight_decay: float = 1e-3
    momentum: float = 0.992
    teacher_temperature: float = 0.07


@dataclass(frozen=True)
class Speed:
    """How, not what, is computed."""

    precision: str = "bf16"
    compile: str = "block"
    compile_mode: str = "default"
    residual: str = "bf16"

    def compiled(self, function, scope: str):
        """`function`, compiled if `scope` ("block" or "model") is what is compiled; "any" is in both."""
        if self.compile == "off" or scope not in ("any", self.compile):
            return function
        mode = None if self.compile_mode == "default" else self.compile_mode
        return torch.compile(function, mode=mode, dynamic=False)

    def autocast(self, device: torch.device):
        if self.precision == "f32":
            return contextlib.nullcontext()
        return torch.autocast(device.type, torch.bfloat16)

    @property
    def dtype(self) -> torch.dtype:
        """Of what goes into the matrix products."""
        return torch.bfloat16 if self.precision == "bf16" else torch.float32

    @property
    def residual_dtype(self) -> torch.dtype:
        return self.dtype if self.residual == "bf16" else torch.float32


# --- transformer --------------------------------------------------------------------------------------------------------


class Gather(torch.autograd.Function):
    """Rows `rows` (all different) of x. `rank` has the place of each row of x in `rows`, -1 where it is not there: with it
    the backward pass is a gather, too, and needs no atomic additions."""

    @staticmethod
    def forward(ctx, x: Tensor, rows: Tensor, rank: Tensor) -> Tensor:
        ctx.save_for_backward(rows, rank)
        return x[rows]

    @staticmethod
    def backward(ctx, grad: Tensor):
        _, rank = ctx.saved_tensors
        return spread(grad, rank), None, None


class Spread(torch.autograd.Function):
    """The reverse of Gather: the rows of x at their places, zeros elsewhere."""

    @staticmethod
    def forward(ctx, x: Tensor, rows: Tensor, rank: Tensor) -> Tensor:
        ctx.save_for_backward(rows, rank)
        return spread(x, rank)

    @staticmethod
    def backward(ctx, grad: Tensor):
        rows, _ = ctx.saved_tensors
        return grad[rows], None, None


def spread(x: Tensor, rank: Tensor) -> Tensor:
    kept = (rank >= 0).view(-1, *[1] * (x.dim() - 1))
    return torch.where(kept, x[rank.clamp(min=0)], 0)


def draw_kept(branches: int, samples: int, rate: float, device: torch.device):
    """For every residual branch the samples that it sees, `rows`, and the `rank` of each sample, (branches, …); None where
    no sample is dropped."""
    kept = max(int(samples * (1 - rate)), 1)
    if kept == samples:
        return None
    order = torch.rand(branches, samples, device=device).argsort(dim=1)
    rank = order.argsort(dim=1)
    return order[:, :kept].contiguous(), torch.where(rank < kept, rank, -1)


class SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.heads = heads

    def forward(self, flat: Tensor, groups: list[tuple[int, int]]) -> Tensor:
        """(tokens, width) to the same: within each of `samples` sequences of `count` tokens, group after group."""
        outputs = []
        for part, (samples, count) in zip(self.qkv(flat).split([n * t for n, t in groups]), groups):
            q, k, v = part.view(samples, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            output = F.scaled_dot_product_attention(q, k, v)
            outputs.append(output.transpose(1, 2).reshape(samples * count, -1))
        return self.proj(torch.cat(outputs))


class Mlp(nn.Module):
    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class LayerScale(nn.Module):
    def __init__(self, width: int, value: float):
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), value))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Block(nn.Module):
    """Pre-norm transformer block on groups of sequences, (samples, tokens, width) each."""

    def __init__(self, width: int, heads: int, mlp_ratio: int, layer_scale: float | None, epsilon: float):
        super().__init__()
        scale = (lambda: nn.Identity()) if layer_scale is None else (lambda: LayerScale(width, layer_scale))
        self.norm1 = nn.LayerNorm(width, eps=epsilon)
        self.attn = SelfAttention(width, heads)
        self.ls1 = scale()
        self.norm2 = nn.LayerNorm(width, eps=epsilon)
        self.mlp = Mlp(width, mlp_ratio * width)
        self.ls2 = scale()

    def forward(self, xs: list[Tensor], kept: list | None) -> list[Tensor]:
        """`kept` has for the attention and the MLP the (rows, rank) of every group."""
        attention, mlp = kept or (None, None)
        xs = residual(xs, attention, lambda flat, groups: self.ls1(self.attn(self.norm1(flat), groups)))
        return residual(xs, mlp, lambda flat, _: self.ls2(self.mlp(self.norm2(flat))))


def residual(xs: list[Tensor], kept: list | None, branch) -> list[Tensor]:
    seen = xs if kept is None else [Gather.apply(x, *picked) for x, picked in zip(xs, kept)]
    groups = [tuple(x.shape[:2]) for x in seen]
    output = branch(torch.cat([x.flatten(0, 1) for x in seen]), groups)
    parts = [part.view_as(x) for part, x in zip(output.split([n * t for n, t in groups]), seen)]
    if kept is not None:
        parts = [Spread.apply(p * (x.shape[0] / p.shape[0]), *picked) for p, x, picked in zip(parts, xs, kept)]
    return [x + part.to(x.dtype) for x, part in zip(xs, parts)]


def run_blocks(blocks, block, xs: list[Tensor], drawn: list | None) -> list[Tensor]:
    """`drawn` has for every group what draw_kept gives for two branches a block."""
    for index, module in enumerate(blocks):
        kept = drawn and [[(rows[b], rank[b]) for rows, rank in drawn] for b in (2 * index, 2 * index + 1)]
        xs = block(module, xs, kept)
    return xs


def call_block(module: Block, xs: list[Tensor], kept: list | None) -> list[Tensor]:
    return module(xs, kept)


class Vit(nn.Module):
    def __init__(self, config: ImageConfig, speed: Speed):
        super().__init__()
        self.config, self.dtype = config, speed.residual_dtype
        width = config.width
        self.cls_token = nn.Parameter(torch.randn(1, 1, width) * 1e-6)
        self.pos_embed = nn.Parameter(torch.randn(1, config.tokens(config.image_size), width) * 0.02)
        self.mask_token = nn.Parameter(torch.zeros(1, width))
        self.patch_embed = nn.Linear(config.channels * config.patch**2, width)
        self.blocks = nn.ModuleList(
            Block(width, config.heads, config.mlp_ratio, config.layer_scale, 1e-6) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        for layer in self.blocks.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        self.register_buffer("resize", self.resize_matrix(config.local_size), persistent=False)
        self.block = speed.compiled(call_block, "block")

    def resize_matrix(self, size: int) -> Tensor:
        """(out patches, patches): bicubic resize of the positions with DINOv2's offset of 0.1 on the scale."""
        learned, side = (s // self.config.patch for s in (self.config.image_size, size))
        grid = torch.eye(learned**2).view(learned**2, 1, learned, learned)
        scale = (side + 0.1) / learned
        resized = F.interpolate(grid, scale_factor=(scale, scale), mode="bicubic", antialias=False)
        return resized.reshape(learned**2, side**2).T.contiguous()

    def embed(self, images: Tensor, masks: Tensor | None) -> Tensor:
        batch, channels, size, _ = images.shape
        patch, side = self.config.patch, size // self.config.patch
        pixels = images.view(batch, channels, side, patch, side, patch).permute(0, 2, 4, 1, 3, 5)
        tokens = self.patch_embed(pixels.reshape(batch, side**2, -1))
        if masks is not None:
            tokens = torch.where(masks.unsqueeze(2), self.mask_token.to(tokens.dtype), tokens)
        positions = self.pos_embed
        if size != self.config.image_size:
            with torch.autocast(images.device.type, enabled=False):
                patches = self.resize.to(positions.dtype) @ positions[0, 1:]
            positions = torch.cat([positions[:, :1], patches.unsqueeze(0)], 1)
        tokens = torch.cat([self.cls_token.expand(batch, -1, -1), tokens], 1) + positions
        return tokens.to(self.dtype)

    def forward(self, images: list[Tensor], masks: list[Tensor | None], drawn: list | None) -> list[Tensor]:
        """Tokens (samples, 1 + patches, width) after the final norm of every group of images."""
        xs = [self.embed(*group) for group in zip(images, masks)]
        return [self.norm(x) for x in run_blocks(self.blocks, self.block, xs, drawn)]


class SpecFormer(nn.Module):
    def __init__(self, config: SpectrumConfig, speed: Speed):
        super().__init__()
        self.config, self.dtype = config, speed.residual_dtype
        width = config.width
        self.data_embed = nn.Linear(config.token_width, width)
        self.position_embed = nn.Parameter(torch.randn(config.max_tokens, width) * (2 * width * config.depth) ** -0.5)
        self.blocks = nn.ModuleList(
            Block(width, config.heads, config.mlp_ratio, None, 1e-5) for _ in range(config.depth)
        )
        self.final_layernorm = nn.LayerNorm(width, eps=1e-5)
        self.head = nn.Linear(width, config.token_width)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=(2 * layer.in_features * config.depth) ** -0.5)
                nn.init.zeros_(layer.bias)
        self.block = speed.compiled(call_block, "block")

    def forward(self, tokens: Tensor) -> Tensor:
        x = (self.data_embed(tokens) + self.position_embed[: tokens.shape[1]]).to(self.dtype)
        return self.final_layernorm(run_blocks(self.blocks, self.block, [x], None)[0])


# --- DINOv2 step --------------------------------------------------------------------------------------------------------


class WeightNormed(nn.Module):
    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight_g = nn.Parameter(torch.ones(outputs, 1))
        self.weight_v = nn.Parameter(torch.empty(outputs, inputs).uniform_(-(inputs**-0.5), inputs**-0.5))

    def forward(self, x: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(self.weight_v, dim=1, keepdim=True)
        return F.linear(x, self.weight_v * (self.weight_g / norm))


class PrototypeHead(nn.Module):
    def __init__(self, config: ImageConfig):
        super().__init__()
        widths = [config.width, config.head_hidden, config.head_hidden, config.bottleneck]
        self.mlp = nn.ModuleList(nn.Linear(*pair) for pair in zip(widths, widths[1:]))
        self.last_layer = WeightNormed(config.bottleneck, config.prototypes)
        for layer in self.mlp:
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mlp[0](x)
        for layer in self.mlp[1:]:
            x = layer(F.gelu(x))
        return self.last_layer(F.normalize(x.float(), dim=1, eps=1e-12))


class Network(nn.Module):
    def __init__(self, config: ImageConfig, speed: Speed):
        super().__init__()
        self.backbone = Vit(config, speed)
        self.dino_head = PrototypeHead(config)
        self.ibot_head = PrototypeHead(config) if config.separate_heads else None

    def forward(self, images: list[Tensor], masks: list, places: Tensor, drawn: list | None):
        """Class tokens of every group; scores of all class tokens and of the global crops' patches at `places`."""
        groups = self.backbone(images, masks, drawn)
        classes = [tokens[:, 0] for tokens in groups]
        # Through the whole sequence, not through its patches: those would have to be copied first.
        samples, count, width = groups[0].shape
        sample, patch = places // (count - 1), places % (count - 1)
        patches = groups[0].reshape(samples * count, width).index_select(0, sample * count + 1 + patch)
        rows = torch.cat(classes)
        if self.ibot_head is not None:
            return classes, self.dino_head(rows), self.ibot_head(patches)
        scores = self.dino_head(torch.cat([rows, patches]))
        return classes, *scores.split([rows.shape[0], patches.shape[0]])


@dataclass
class CropBatch:
    """Crops crop-major, masks (global crops, patches), places and weights of the masked patches."""

    globals: Tensor
    locals: Tensor
    masks: Tensor
    places: Tensor
    weights: Tensor

    @staticmethod
    def of(globals: Tensor, locals: Tensor, masks: Tensor) -> "CropBatch":
        share = masks.sum(1).clamp(min=1).reciprocal().unsqueeze(1).expand(masks.shape)
        return CropBatch(globals, locals, masks, masks.flatten().nonzero().flatten(), share[masks])

    @staticmethod
    def random(config: ImageConfig, samples: int, device: torch.device) -> "CropBatch":
        crops = GLOBAL_CROPS * samples
        image = lambda count, size: torch.randn(count, config.channels, size, size, device=device)
        patches = config.tokens(config.image_size) - 1
        masked = max(crops // 2, 1)
        # Shares evenly around the mean, so that the number of masked patches is that of every batch.
        spread = 2 * config.masked_share / 3
        shares = config.masked_share + spread * ((torch.arange(masked) + 0.5) / masked * 2 - 1)
        masks = torch.zeros(crops, patches, dtype=torch.bool)
        for crop, share in zip(torch.randperm(crops), shares):
            masks[crop, torch.randperm(patches)[: max(round(share.item() * patches), 1)]] = True
        locals = image(config.locals * samples, config.local_size)
        return CropBatch.of(image(crops, config.image_size), locals, masks.to(device))


def teacher_probabilities(scores: Tensor, center: Tensor, temperature: float) -> Tensor:
    return F.softmax((scores.float() - center) / temperature, dim=1)


def moved_center(scores: Tensor, center: Tensor, momentum: float) -> Tensor:
    return center * momentum + scores.float().mean(0, keepdim=True) * (1 - momentum)


def cross_entropies(teacher: Tensor, student: Tensor, temperature: float) -> Tensor:
    """Of each row, (…, rows)."""
    return -(teacher * F.log_softmax(student.float() / temperature, dim=-1)).sum(-1)


def koleo(features: Tensor) -> Tensor:
    unit = F.normalize(features.float(), dim=1, eps=1e-8)
    with torch.no_grad():
        similarity = unit @ unit.T
        nearest = similarity.fill_diagonal_(-2.0).argmax(1)
    distance = torch.linalg.vector_norm(unit - unit[nearest] + 1e-8, dim=1)
    return -torch.log(distance + 1e-8).mean()


def loss_terms(config: ImageConfig, classes, class_scores, patch_scores, targets, weights) -> dict[str, Tensor]:
    """The weighted terms of the loss. `targets`: the teacher's probabilities of the class tokens of the global crops and
    of the masked patches."""
    class_targets, patch_targets = targets
    first, second = class_targets.chunk(2)
    samples, temperature = first.shape[0], config.student_temperature
    crops = GLOBAL_CROPS * samples
    pairs = GLOBAL_CROPS * (GLOBAL_CROPS - 1) + GLOBAL_CROPS * config.locals
    scores = class_scores.view(-1, samples, class_scores.shape[1])
    swapped = torch.stack([second, first])
    # A sum over the student's crops of one size is their mean times their number.
    terms = {
        "dino_global": cross_entropies(swapped, scores[:2], temperature).mean() * (GLOBAL_CROPS / pairs),
        "koleo": config.koleo_weight * sum(koleo(crop) for crop in classes[0].chunk(2)),
        "ibot": (cross_entropies(patch_targets, patch_scores, temperature) * weights).sum() / crops,
    }
    if config.locals:
        both = (first + second).unsqueeze(0)
        local = cross_entropies(both, scores[2:], temperature).mean()
        terms["dino_local"] = local * (config.locals / pairs)
    return terms


def parameter_rule(name: str, config: ImageConfig) -> tuple[float, float]:
    """Multipliers of learning rate and weight decay."""
    layer = config.depth + 1
    if name.startswith("backbone.blocks."):
        layer = int(name.split(".")[2]) + 1
    elif name.startswith("backbone.") and not name.startswith("backbone.norm."):
        layer = 0
    rate = config.layer_decay ** (config.depth + 1 - layer)
    if "patch_embed" in name:
        rate *= config.patch_embed_lr_factor
    undecayed = name.endswith(".bias") or "norm" in name or "gamma" in name
    return rate, 0.0 if undecayed else 1.0


class DinoStep:
    """Student, teacher, optimiser, and one step on a batch."""

    def __init__(self, config: ImageConfig, speed: Speed, device: torch.device):
        self.config, self.speed, self.device = config, speed, device
        with torch.device(device):
            self.student, self.teacher = Network(config, speed), Network(config, speed)
            self.centers = [torch.zeros(1, config.prototypes) for _ in range(2)]
        self.teacher.load_state_dict(self.student.state_dict())
        self.teacher.requires_grad_(False)
        groups = {}
        for name, parameter in self.student.named_parameters():
            rule = (*parameter_rule(name, config), "last_layer" in name)
            groups.setdefault(rule, []).append(parameter)
        self.optimizer = torch.optim.AdamW(
            [{"params": group, "rule": rule} for rule, group in groups.items()], lr=1.0, fused=True
        )
        parts = (self.student.backbone, self.student.dino_head, self.student.ibot_head)
        self.parts = [list(part.parameters()) for part in parts if part is not None]
        self.both = list(self.teacher.parameters()), list(self.student.parameters())
        self.forward = speed.compiled(lambda network, *inputs: network(*inputs), "model")
        self.targets = speed.compiled(self.teacher_targets, "any")
        self.losses = speed.compiled(loss_terms, "any")

    def teacher_targets(self, scores, centers, temperature: float):
        targets = [teacher_probabilities(s, c, temperature) for s, c in zip(scores, centers)]
        return targets, [moved_center(s, c, self.config.center_momentum) for s, c in zip(scores, centers)]

    def draw_kept(self, batch: CropBatch) -> list | None:
        """Samples to keep of global and local crops in every branch."""
        groups = [batch.globals, batch.locals]
        rate = self.config.drop_path
        drawn = [draw_kept(2 * self.config.depth, g.shape[0], rate, self.device) for g in groups if g.shape[0]]
        if any(d is None for d in drawn) and rate > 0:
            raise SystemExit("--batch is too small for --drop-path: no crop would be dropped")
        return drawn if rate > 0 else None

    def __call__(self, batch: CropBatch, schedule: Schedule) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Terms of the loss, and the gradient norms of the backbone and each head before clipping."""
        places = batch.places
        with self.speed.autocast(self.device):
            with torch.no_grad():
                _, *scores = self.forward(self.teacher, [batch.globals], [None], places, None)
                targets, self.centers = self.targets(scores, self.centers, schedule.teacher_temperature)
            images = [batch.globals, batch.locals] if self.config.locals else [batch.globals]
            masks = [batch.masks, None][: len(images)]
            outputs = self.forward(self.student, images, masks, places, self.draw_kept(batch))
        # Losses are f32 throughout.
        terms = self.losses(self.config, *outputs, targets, batch.weights)
        sum(terms.values()).backward()
        norms = [nn.utils.clip_grad_norm_(part, self.config.clip_norm, foreach=True) for part in self.parts]
        for group in self.optimizer.param_groups:
            rate, decay, last_layer = group["rule"]
            group["lr"] = rate * (schedule.last_layer_lr if last_layer else schedule.lr)
            group["weight_decay"] = decay * schedule.weight_decay
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            torch._foreach_lerp_(*self.both, 1 - schedule.momentum)
        return terms, norms


# --- masked modelling of spectra ----------------------------------------------------------------------------------------


class MaskedModellingStep:
    def __init__(self, config: SpectrumConfig, speed: Speed, device: torch.device):
        self.config, self.speed, self.device = config, speed, device
        with torch.device(device):
            self.model = SpecFormer(config, speed)
        self.parameters = list(self.model.parameters())
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=config.lr, betas=config.betas, weight_decay=config.weight_decay, fused=True
        )
        self.forward = speed.compiled(lambda model, tokens: model(tokens), "model")
        self.reconstruct = speed.compiled(self.masked_mse, "any")

    @staticmethod
    def masked_mse(head: nn.Module, tokens: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        squared = (head(tokens).float() - target).square() * mask
        return squared.sum() / mask.sum()

    def random_batch(self, samples: int) -> tuple[Tensor, Tensor]:
        """Target and mask, (samples, tokens, token width)."""
        config = self.config
        target = torch.randn(samples, config.tokens, config.token_width, device=self.device)
        mask = torch.zeros_like(target)
        for spectrum in mask:
            for start in torch.randint(1, config.tokens - config.segment_width, (config.segments,)).tolist():
                spectrum[start : start + config.segment_width, 2:] = 1.0
        return target, mask

    def __call__(self, batch: tuple[Tensor, Tensor]) -> tuple[dict[str, Tensor], list[Tensor]]:
        target, mask = batch
        with self.speed.autocast(self.device):
            tokens = self.forward(self.model, target * (1 - mask))
            loss = self.reconstruct(self.model.head, tokens, target, mask)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.parameters, self.config.clip_norm, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return {"masked_mse": loss}, [norm]


# --- work ---------------------------------------------------------------------------------------------------------------


def sequence_flops(width: int, depth: int, mlp_ratio: int, tokens: int) -> int:
    """Of the blocks for one sequence, forward: a multiply-add is two; element-wise work is not counted.

    Linear layers: qkv 3 w², projection w², MLP 2 r w² multiply-adds a token; scores and weighted values: 2 t² w."""
    return depth * (2 * tokens * (4 + 2 * mlp_ratio) * width**2 + 4 * tokens**2 * width)


def image_flops(config: ImageConfig, batch: int, masked_patches: float, train: bool) -> float:
    """Of one step or one inference, per image. The backward pass is twice the forward one, but pixels need no gradient.
    Samples that stochastic depth drops, and what checkpointing or fused attention compute twice, are not work."""
    sequence = lambda size: sequence_flops(config.width, config.depth, config.mlp_ratio, config.tokens(size))
    patch_embed = lambda size: 2 * (config.tokens(size) - 1) * config.channels * config.patch**2 * config.width
    size, local = config.image_size, config.local_size
    if not train:
        return sequence(size) + patch_embed(size)
    kept = lambda crops: max(int(crops * batch * (1 - config.drop_path)), 1) / batch
    widths = [config.width, config.head_hidden, config.head_hidden, config.bottleneck, config.prototypes]
    row = sum(2 * a * b for a, b in zip(widths, widths[1:]))
    student = 3 * (kept(GLOBAL_CROPS) * sequence(size) + kept(config.locals) * sequence(local))
    student += 2 * (GLOBAL_CROPS * patch_embed(size) + config.locals * patch_embed(local))
    student += 3 * (GLOBAL_CROPS + config.locals + masked_patches) * row
    teacher = GLOBAL_CROPS * (sequence(size) + patch_embed(size)) + (GLOBAL_CROPS + masked_patches) * row
    return student + teacher


def spectrum_flops(config: SpectrumConfig, train: bool) -> float:
    """Of one step or one inference, per spectrum."""
    sequence = sequence_flops(config.width, config.depth, config.mlp_ratio, config.tokens)
    layer = 2 * config.tokens * config.token_width * config.width
    return 3 * sequence + (2 + 3) * layer if train else sequence + layer


def sequences(task: str, config, batch: int) -> list[tuple[int, int]]:
    """Samples and tokens of each that go through a block; without those that stochastic depth drops."""
    if task == "train-image":
        crops = [(GLOBAL_CROPS, config.image_size), (config.locals, config.local_size)]
        return [(int(n * batch * (1 - config.drop_path)), config.tokens(size)) for n, size in crops]
    return [(batch, config.tokens(config.image_size) if task == "embed-image" else config.tokens)]


def layer_shapes(task: str, config, batch: int) -> list[tuple[str, int, int, int]]:
    """The linear layers of the blocks as products (m, k) x (k, n), forward and both backward ones where it is trained."""
    width, hidden = config.width, config.mlp_ratio * config.width
    tokens = sum(samples * tokens for samples, tokens in sequences(task, config, batch))
    layers = [("qkv", width, 3 * width), ("proj", width, width), ("fc1", width, hidden), ("fc2", hidden, width)]
    shapes = []
    for name, inputs, outputs in layers:
        shapes.append((name, tokens, inputs, outputs))
        if task.startswith("train"):
            shapes.append((f"{name}, input gradient", tokens, outputs, inputs))
            shapes.append((f"{name}, weight gradient", inputs, tokens, outputs))
    return shapes


def matmul_rates(shapes: list[tuple[str, int, int, int]], device: torch.device, dtype: torch.dtype) -> dict:
    """TFLOP/s of each product and of all in turn, on random values, medians of 20."""
    rates, flops, seconds = {}, 0.0, 0.0
    for name, m, k, n in shapes:
        transposed = "weight gradient" in name
        a = [torch.randn(*((k, m) if transposed else (m, k)), device=device, dtype=dtype) for _ in range(3)]
        b = [torch.randn(*((k, n) if transposed else (n, k)), device=device, dtype=dtype) for _ in range(3)]
        if "input gradient" in name:
            b = [x.T.contiguous().T for x in b]
        product = (lambda i: a[i % 3].T @ b[i % 3]) if transposed else (lambda i: a[i % 3] @ b[i % 3].T)
        median = statistics.median(timed(product, 20, 5, device)[1])
        rates[f"{name} ({m} x {k} x {n})"] = 2 * m * k * n / median / 1e12
        flops, seconds = flops + 2 * m * k * n, seconds + median
    return {"tflops_per_second": flops / seconds / 1e12, "products": rates}


def attention_times(task: str, config, batch: int, device: torch.device, dtype: torch.dtype) -> dict:
    """Milliseconds of the blocks' attention on random values, forward and with the backward pass; medians of 20."""
    qkv = [
        torch.randn(3, samples, config.heads, tokens, config.width // config.heads, device=device, dtype=dtype)
        for samples, tokens in sequences(task, config, batch)
    ]

    def forward(_):
        return [F.scaled_dot_product_attention(*each) for each in qkv]

    def training(_):
        for each in qkv:
            each.grad = None
            F.scaled_dot_product_attention(*each.requires_grad_()).sum().backward()

    with torch.no_grad():
        forward_ms = 1e3 * statistics.median(timed(forward, 20, 5, device)[1])
    return {"forward_ms": forward_ms, "training_ms": 1e3 * statistics.median(timed(training, 20, 5, device)[1])}


# --- measuring ----------------------------------------------------------------------------------------------------------


def timed(run, steps: int, warmup: int, device: torch.device, after_warmup=lambda: None):
    """What the last run gave; seconds of each of `steps` runs after `warmup`; seconds of the very first one."""
    synchronize = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    synchronize()
    first = time.perf_counter()
    for index in range(max(warmup, 1)):
        result = run(index)
        if index == 0:
            synchronize()
            first = time.perf_counter() - first
    synchronize()
    after_warmup()
    if device.type == "cuda":
        # Events only: the host may run ahead, as it does in training.
        events = [torch.cuda.Event(enable_timing=True) for _ in range(steps + 1)]
        events[0].record()
        for index, event in enumerate(events[1:]):
            result = run(index)
            event.record()
        synchronize()
        times = [a.elapsed_time(b) / 1e3 for a, b in zip(events, events[1:])]
    else:
        times = []
        for index in range(steps):
            start = time.perf_counter()
            result = run(index)
            times.append(time.perf_counter() - start)
    return result, times, first


def embedder(task: str, config, speed: Speed, batch: int, device: torch.device):
    """Inputs, and the function of the next ones' embeddings, with weights in the precision of the computation."""
    # Without autocast the residual stream has the precision of the weights.
    dtype, speed = speed.dtype, replace(speed, residual=speed.precision)
    if task == "embed-image":
        size = config.image_size
        inputs = [torch.randn(batch, config.channels, size, size, device=device, dtype=dtype) for _ in range(INPUT_SETS)]
        with torch.device(device):
            model = Vit(config, speed)
        embed = lambda model, images: model([images], [None], None)[0][:, 0]
    else:
        shape = (batch, config.tokens, config.token_width)
        inputs = [torch.randn(shape, device=device, dtype=dtype) for _ in range(INPUT_SETS)]
        with torch.device(device):
            model = SpecFormer(config, speed)
        embed = lambda model, tokens: model(tokens).mean(1)
    model = model.to(dtype).eval().requires_grad_(False)
    embed = speed.compiled(embed, "model")

    def run(index: int) -> Tensor:
        with torch.inference_mode():
            return embed(model, inputs[index % INPUT_SETS])

    return run


def profile(run, device: torch.device) -> None:
    """The 40 kernels that take most time in 5 runs, to stderr."""
    with torch.profiler.profile() as profiler:
        for index in range(5):
            run(index)
        if device.type == "cuda":
            torch.cuda.synchronize()
    key = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    print(profiler.key_averages().table(sort_by=key, row_limit=40, max_name_column_width=80), file=sys.stderr)


def measure(options: argparse.Namespace, config, speed: Speed, device: torch.device) -> dict:
    task, batch = options.task, options.batch
    torch.manual_seed(0)
    masked = 0.0
    if task == "train-image":
        step, schedule = DinoStep(config, speed, device), Schedule()
        sets = [CropBatch.random(config, batch, device) for _ in range(INPUT_SETS)]
        masked = len(sets[0].places) / batch
        run = lambda index: step(sets[index % INPUT_SETS], schedule)
    elif task == "train-spectrum":
        step = MaskedModellingStep(config, speed, device)
        sets = [step.random_batch(batch) for _ in range(INPUT_SETS)]
        run = lambda index: step(sets[index % INPUT_SETS])
    else:
        run = embedder(task, config, speed, batch, device)
    cuda = device.type == "cuda"
    reset = torch.cuda.reset_peak_memory_stats if cuda else lambda: None
    result, times, first = timed(run, options.steps, options.warmup, device, reset)
    train = task.startswith("train")
    flops = image_flops(config, batch, masked, train) if "image" in task else spectrum_flops(config, train)
    median = statistics.median(times)
    report = {
        "task": task,
        "batch": batch,
        "samples_per_second": batch / median,
        "step_ms": median * 1e3,
        "step_ms_min": min(times) * 1e3,
        "step_ms_max": max(times) * 1e3,
        "steps": options.steps,
        "first_step_s": first,
        "peak_allocated_gib": torch.cuda.max_memory_allocated() / 2**30 if cuda else None,
        "peak_reserved_gib": torch.cuda.max_memory_reserved() / 2**30 if cuda else None,
        "gflop_per_sample": flops / 1e9,
        "tflops_per_second": flops * batch / median / 1e12,
    }
    if options.profile:
        profile(run, device)
    if train:
        terms, norms = result
        report["loss"] = sum(value.item() for value in terms.values())
        report["loss_terms"] = {name: value.item() for name, value in terms.items()}
        report["gradient_norms"] = [norm.item() for norm in norms]
        if not math.isfinite(report["loss"]):
            raise SystemExit(f"the loss of the last step is {report['loss']}")
    elif not result.isfinite().all():
        raise SystemExit("an embedding is not finite")
    return report


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--task", choices=TASKS, default="train-image")
    add("--batch", type=int, default=64, help="images or spectra at once (64)")
    add("--steps", type=int, default=30, help="measured steps (30)")
    add("--warmup", type=int, default=10, help="steps before them, with the compilation (10)")
    add("--precision", choices=("bf16", "f32"), default="bf16")
    add("--residual", choices=("bf16", "f32"), default="bf16", help="residual stream under bf16 (bf16, as in DINOv2)")
    add("--compile", choices=("block", "model", "off"), default="block", help="what torch.compile sees at once (block)")
    add("--compile-mode", default="default", help="mode of torch.compile, such as max-autotune-no-cudagraphs")
    add("--attention", choices=("auto", "flash", "cudnn"), default="auto", help="kernels of SDPA (auto)")
    add("--matmul", action="store_true", help="measure matrix products and attention of the model's shapes as well")
    add("--profile", action="store_true", help="after measuring, print the costliest kernels to stderr")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--json", action="store_true", help="print JSON alone")
    add("--separate-heads", action="store_true", help="a head of their own for patches, as in configs/vitl.toml")
    sizes = parser.add_argument_group("sizes, to try this out on a CPU; those of the recipes without")
    for name in ("width", "depth", "heads", "tokens", "locals", "head-hidden", "bottleneck", "prototypes"):
        sizes.add_argument(f"--{name}", type=int)
    sizes.add_argument("--drop-path", type=float)
    options = parser.parse_args()
    if options.batch < 1 or options.steps < 1:
        parser.error("--batch and --steps are 1 or more")
    return options


def main() -> None:
    options = arguments()
    device = torch.device(options.device)
    torch.set_float32_matmul_precision("high")
    if options.attention != "auto":
        for kind, name in (("flash", "flash"), ("cudnn", "cudnn"), (None, "mem_efficient"), (None, "math")):
            getattr(torch.backends.cuda, f"enable_{name}_sdp")(kind == options.attention)
    default = ImageConfig() if "image" in options.task else SpectrumConfig()
    known = {field.name for field in fields(default)}
    given = {name: value for name, value in vars(options).items() if name in known and value is not None}
    config = replace(default, **given)
    speed = Speed(options.precision, options.compile, options.compile_mode, options.residual)

    report = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "torch": torch.__version__,
        "precision": speed.precision,
        "residual": str(speed.residual_dtype).removeprefix("torch."),
        "compile": f"{speed.compile}, {speed.compile_mode}",
        "attention": options.attention,
        **measure(options, config, speed, device),
    }
    if options.matmul:
        shapes = layer_shapes(options.task, config, options.batch)
        report["matmul"] = matmul_rates(shapes, device, speed.dtype)
        report["attention_ms"] = attention_times(options.task, config, options.batch, device, speed.dtype)
        report["matmul_utilisation"] = report["tflops_per_second"] / report["matmul"]["tflops_per_second"]
    if options.json:
        json.dump(report, sys.stdout, indent=1)
        print()
        return
    for name, value in report.items():
        rows = value.items() if isinstance(value, dict) else [("", value)]
        for inner, item in rows:
            if isinstance(item, dict):
                for product, rate in item.items():
                    print(f"{'matmul ' + product:<52} {rate:.1f}")
                continue
            item = f"{item:.4g}" if isinstance(item, float) else item
            print(f"{(name + ' ' + inner).strip():<52} {item}")


if __name__ == "__main__":
    main()
