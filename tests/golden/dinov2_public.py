"""Makes dinov2_public.pth and dinov2_public_io.safetensors: `python dinov2_public.py FOLDER` with PyTorch.

A narrow image transformer with random weights in float32 on the CPU, its tensors named and its file laid out as the public
DINOv2 files (dinov2_vits14_pretrain.pth), and what it makes of images: a forward pass that follows
facebookresearch/dinov2, dinov2/models/vision_transformer.py and dinov2/layers (MemEffAttention without xFormers). The images
are in [0, 1] and are brought to ImageNet's units first (dinov2/data/transforms.py).
The images are not in the file: place i of them holds (7919 i mod 1000) / 1000.
"""

import json
import struct
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

WIDTH, DEPTH, HEADS, PATCH, SIZE, HIDDEN = 16, 2, 2, 4, 20, 64
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def weights():
    torch.manual_seed(7)
    draw = lambda *shape, std=0.3: torch.randn(*shape) * std
    state = {
        "cls_token": draw(1, 1, WIDTH),
        "pos_embed": draw(1, 1 + (SIZE // PATCH) ** 2, WIDTH),
        "mask_token": draw(1, WIDTH),
        "patch_embed.proj.weight": draw(WIDTH, 3, PATCH, PATCH, std=0.1),
        "patch_embed.proj.bias": draw(WIDTH),
    }
    for index in range(DEPTH):
        parts = {
            "norm1.weight": 1 + draw(WIDTH),
            "norm1.bias": draw(WIDTH),
            "attn.qkv.weight": draw(3 * WIDTH, WIDTH),
            "attn.qkv.bias": draw(3 * WIDTH),
            "attn.proj.weight": draw(WIDTH, WIDTH),
            "attn.proj.bias": draw(WIDTH),
            "ls1.gamma": 0.5 + draw(WIDTH),
            "norm2.weight": 1 + draw(WIDTH),
            "norm2.bias": draw(WIDTH),
            "mlp.fc1.weight": draw(HIDDEN, WIDTH),
            "mlp.fc1.bias": draw(HIDDEN),
            "mlp.fc2.weight": draw(WIDTH, HIDDEN),
            "mlp.fc2.bias": draw(WIDTH),
            "ls2.gamma": 0.5 + draw(WIDTH),
        }
        state |= {f"blocks.{index}.{name}": value for name, value in parts.items()}
    return state | {"norm.weight": 1 + draw(WIDTH), "norm.bias": draw(WIDTH)}


def positions(learned, side):
    """Those of `side` x `side` patches, from the learned ones."""
    before = SIZE // PATCH
    if side == before:
        return learned
    grid = learned[:, 1:].reshape(1, before, before, WIDTH).permute(0, 3, 1, 2)
    scale = (side + 0.1) / before
    grid = F.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
    assert grid.shape[-2:] == (side, side)
    return torch.cat((learned[:, :1], grid.permute(0, 2, 3, 1).reshape(1, -1, WIDTH)), 1)


def forward(state, images):
    """Tokens after the last norm, (batch, 1 + patches, width)."""
    images = (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    x = F.conv2d(images, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=PATCH)
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat((state["cls_token"].expand(len(x), -1, -1), x), 1)
    x = x + positions(state["pos_embed"], images.shape[-1] // PATCH)
    for index in range(DEPTH):
        of = lambda name: state[f"blocks.{index}.{name}"]
        both = lambda name: (of(f"{name}.weight"), of(f"{name}.bias"))
        y = F.linear(F.layer_norm(x, (WIDTH,), *both("norm1"), 1e-6), *both("attn.qkv"))
        batch, tokens, _ = x.shape
        q, k, v = y.reshape(batch, tokens, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        shares = ((q * (WIDTH // HEADS) ** -0.5) @ k.transpose(-2, -1)).softmax(-1)
        y = (shares @ v).transpose(1, 2).reshape(batch, tokens, WIDTH)
        x = x + of("ls1.gamma") * F.linear(y, *both("attn.proj"))
        y = F.gelu(F.linear(F.layer_norm(x, (WIDTH,), *both("norm2"), 1e-6), *both("mlp.fc1")))
        x = x + of("ls2.gamma") * F.linear(y, *both("mlp.fc2"))
    return F.layer_norm(x, (WIDTH,), state["norm.weight"], state["norm.bias"], 1e-6)


def save(tensors, path):
    """Safetensors of float32."""
    header, values = {}, b""
    for name, tensor in tensors.items():
        data = tensor.contiguous().numpy().astype("<f4").tobytes()
        offsets = [len(values), len(values) + len(data)]
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": offsets}
        values += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + values)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    state = weights()
    torch.save(state, folder / "dinov2_public.pth")
    tokens = {}
    for side in (SIZE, 12):
        count = 2 * 3 * side * side
        images = torch.tensor([7919 * i % 1000 / 1000 for i in range(count)]).reshape(2, 3, side, side)
        tokens[f"tokens_{side}"] = forward(state, images)
    save(tokens, folder / "dinov2_public_io.safetensors")
