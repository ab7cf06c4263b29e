"""Makes baselines.safetensors: `python baselines.py baselines.safetensors` with PyTorch 2.

Narrow networks with random weights in float32 on the CPU: torchvision's resnet18 (written out, width 2 instead of 64)
and the SpectrumEncoder of AstroCLIP's supervised baselines (fewer channels). For each: weights and running statistics
before; output in training mode; gradients of its mean square; running statistics after; output in inference mode.
The input is not in the file: place i of it holds (7919 i mod 1000) / 1000.
"""

import sys

import torch
from safetensors.torch import save_file
from torch import nn

WIDTH, TARGETS = 2, 2


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        layer = lambda i, o, stride: nn.Sequential(Block(i, o, stride), Block(o, o, 1))
        self.conv1 = nn.Conv2d(3, WIDTH, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTH)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = layer(WIDTH, WIDTH, 1)
        self.layer2 = layer(WIDTH, 2 * WIDTH, 2)
        self.layer3 = layer(2 * WIDTH, 4 * WIDTH, 2)
        self.layer4 = layer(4 * WIDTH, 8 * WIDTH, 2)
        self.fc = nn.Linear(8 * WIDTH, TARGETS)

    def forward(self, x):
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


class ConvAttention(nn.Module):
    CHANNELS, KERNELS, HIDDEN = [2, 4, 4, 6], [5, 10, 20, 40], [6, 6]

    def __init__(self):
        super().__init__()
        self.convolutions, self.mlp, width = nn.ModuleList(), nn.ModuleList(), 1
        for channels, kernel in zip(self.CHANNELS, self.KERNELS):
            conv = nn.Conv1d(width, channels, kernel, padding=kernel // 2)
            self.convolutions.append(nn.ModuleDict({"conv": conv, "act": nn.PReLU(channels)}))
            width = channels
        width //= 2
        for hidden in self.HIDDEN:
            linear = nn.Linear(width, hidden)
            self.mlp.append(nn.ModuleDict({"linear": linear, "act": nn.PReLU(hidden)}))
            width = hidden
        self.head = nn.Linear(width, TARGETS)

    def forward(self, x):
        x = x.unsqueeze(1)
        for index, (block, kernel) in enumerate(zip(self.convolutions, self.KERNELS)):
            x = block["conv"](x)
            x = block["act"](nn.InstanceNorm1d(x.shape[1])(x))
            if index + 1 < len(self.KERNELS):
                x = nn.MaxPool1d(kernel, padding=kernel // 2)(x)
        values, attention = torch.split(x, x.shape[1] // 2, 1)
        x = (values * torch.softmax(attention, -1)).sum(2)
        for layer in self.mlp:
            x = layer["act"](layer["linear"](x))
        return self.head(x)


def record(out, name, model, shape, with_gradient):
    def put(key, tensor):
        out[f"{name}/{key}"] = tensor.detach().clone().contiguous()

    count = torch.Size(shape).numel()
    x = (torch.arange(count) * 7919 % 1000 / 1000).float().reshape(shape)
    for parameter in model.parameters():
        if parameter.dim() == 1:
            nn.init.uniform_(parameter, 0.2, 1.0)
    for key, value in model.state_dict().items():
        if "num_batches" not in key:
            put(f"before/{key}", value)
    y = model.train()(x)
    put("train_output", y)
    (y**2).mean().backward()
    for key, parameter in model.named_parameters():
        if key.startswith(tuple(with_gradient)):
            put(f"gradient/{key}", parameter.grad)
    for key, value in model.state_dict().items():
        if "running" in key:
            put(f"after/{key}", value)
    put("eval_output", model.eval()(x))


tensors = {}
torch.manual_seed(7)
parts = ["conv1", "bn1", "layer1.0", "layer2.0.downsample", "fc"]
record(tensors, "resnet", ResNet(), (4, 3, 33, 33), parts)
record(tensors, "conv", ConvAttention(), (3, 1555), [""])
save_file(tensors, sys.argv[1])
