"""Multi-exit networks in plain PyTorch, written from the papers and independent of Offramp's own description of them.

Each network is a list of units, between any two of which an exit can hang, and names its tensors as the widely used PyTorch implementation of that
network does; `docs/WEIGHTS.md` lists them.
"""

from math import ceil, floor

import torch
from torch import nn
from torch.nn import functional


def convolution(inputs, outputs, kernel, stride=1, groups=1, bias=False):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=bias)


class Mean(nn.Module):
    """Over all positions."""

    def forward(self, x):
        return x.mean((2, 3))


def branch(channels, depth, width, n_classes):
    """`depth` times 3x3 convolution, batch norm, rectifier, all `width` wide; mean over positions; linear."""
    layers = []
    for _ in range(depth):
        layers += [convolution(channels, width, 3), nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers, Mean(), nn.Linear(channels, n_classes))


class Rescale(torch.autograd.Function):
    """The identity, whose gradient is multiplied by a factor."""

    @staticmethod
    def forward(context, x, factor):
        context.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(context, gradient):
        return gradient * context.factor, None


class MultiExit(nn.Module):
    """A trunk with branches. A subclass gives the trunk's units as functions, one after another, and what the final classifier does."""

    def hang(self, exits, input, n_classes):
        """Hangs a branch on every unit of `exits`; its channels are those that the trunk really puts out there."""
        self.eval()
        with torch.no_grad():
            x, channels = torch.zeros(1, *input), []
            for unit in self.unit_functions():
                x = unit(x)
                channels.append(x.shape[1])
        self.exit_units = [exit["unit"] for exit in exits]
        heads = (branch(channels[exit["unit"]], exit["depth"], exit["width"], n_classes) for exit in exits)
        self.branches = nn.ModuleList(heads)
        return self

    def read(self, state):
        """The map that an exit reads."""
        return state

    def put(self, state, x):
        """What the next unit is given where an exit has read `x`."""
        return x

    def forward(self, x, equilibrium=False):
        """All logits. With `equilibrium` (Li et al. 2019) the map before exit i of n gets its gradients through 1 / (n - i), and those from the units behind it
        through n - i - 1 before that."""
        logits, state, n = [], x, len(self.exit_units) + 1
        for index, unit in enumerate(self.unit_functions()):
            state = unit(state)
            if index in self.exit_units:
                exit, x = len(logits), self.read(state)
                if equilibrium:
                    x = Rescale.apply(x, 1 / (n - exit))
                logits.append(self.branches[exit](x))
                if equilibrium:
                    state = self.put(state, Rescale.apply(x, n - exit - 1))
        return logits + [self.classify(self.read(state))]


class BasicBlock(nn.Module):
    """He et al. 2015: two 3x3 convolutions. `shortcut` "A" subsamples and pads with zero channels, "B" projects."""

    expansion = 1

    def __init__(self, inputs, outputs, stride, shortcut):
        super().__init__()
        self.conv1 = convolution(inputs, outputs, 3, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = convolution(outputs, outputs, 3)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.widen(inputs, outputs, stride, shortcut)

    def widen(self, inputs, outputs, stride, shortcut):
        self.stride, self.pad, self.downsample = stride, 0, None
        if inputs == outputs and stride == 1:
            return
        if shortcut == "A":
            self.pad = (outputs - inputs) // 2
        else:
            self.downsample = nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def past(self, x):
        if self.downsample is not None:
            return self.downsample(x)
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.pad, self.pad))

    def forward(self, x):
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(y + self.past(x))


class Bottleneck(BasicBlock):
    """He et al. 2015: 1x1, 3x3, 1x1, with the stride on the 3x3 (version 1.5)."""

    expansion = 4

    def __init__(self, inputs, outputs, stride, shortcut):
        nn.Module.__init__(self)
        middle = outputs // self.expansion
        self.conv1 = convolution(inputs, middle, 1)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = convolution(middle, middle, 3, stride)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = convolution(middle, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.widen(inputs, outputs, stride, shortcut)

    def forward(self, x):
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        return functional.relu(self.bn3(self.conv3(y)) + self.past(x))


class ResNet(MultiExit):
    """He et al. 2015; with `large` the stem for ImageNet: 7x7 with stride 2 and a max pool."""

    def __init__(self, input, n_classes, block, n_blocks, channels, shortcut, large):
        super().__init__()
        self.large = large
        self.conv1 = nn.Conv2d(input[0], channels[0], 7, 2, 3, bias=False) if large else convolution(input[0], channels[0], 3)
        self.bn1 = nn.BatchNorm2d(channels[0])
        width = channels[0]
        self.stages = []
        for index, (n, stage_channels) in enumerate(zip(n_blocks, channels)):
            blocks = []
            for position in range(n):
                outputs = stage_channels * block.expansion
                blocks.append(block(width, outputs, 2 if index > 0 and position == 0 else 1, shortcut))
                width = outputs
            self.add_module(f"layer{index + 1}", nn.Sequential(*blocks))
            self.stages.append(f"layer{index + 1}")
        self.fc = nn.Linear(width, n_classes)

    def stem(self, x):
        x = functional.relu(self.bn1(self.conv1(x)))
        return functional.max_pool2d(x, 3, 2, 1) if self.large else x

    def unit_functions(self):
        return [self.stem, *(block for stage in self.stages for block in getattr(self, stage))]

    def classify(self, x):
        return self.fc(x.mean((2, 3)))


class WideBlock(nn.Module):
    """Zagoruyko & Komodakis 2016: batch norm and rectifier come first, and the projection starts from the rectified map."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = convolution(inputs, outputs, 3, stride)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = convolution(outputs, outputs, 3)
        self.convShortcut = convolution(inputs, outputs, 1, stride) if inputs != outputs else None

    def forward(self, x):
        a = functional.relu(self.bn1(x))
        y = self.conv2(functional.relu(self.bn2(self.conv1(a))))
        return y + (x if self.convShortcut is None else self.convShortcut(a))


class WideGroup(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.layer = nn.Sequential(*blocks)


class WideResNet(MultiExit):
    def __init__(self, input, n_classes, depth, factor):
        super().__init__()
        n = (depth - 4) // 6
        self.conv1 = convolution(input[0], 16, 3)
        width = 16
        for index, channels in enumerate((16 * factor, 32 * factor, 64 * factor)):
            blocks = []
            for position in range(n):
                blocks.append(WideBlock(width, channels, 2 if index > 0 and position == 0 else 1))
                width = channels
            self.add_module(f"block{index + 1}", WideGroup(blocks))
        self.bn1 = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width, n_classes)

    def unit_functions(self):
        return [self.conv1, *self.block1.layer, *self.block2.layer, *self.block3.layer]

    def classify(self, x):
        return self.fc(functional.relu(self.bn1(x)).mean((2, 3)))


VGG = {
    11: ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    13: ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512)),
    16: ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3),
    19: ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4),
}


class Vgg(MultiExit):
    """Simonyan & Zisserman 2014 with batch norm, biased convolutions, five max pools and one linear layer. A unit is a convolution with what follows it, but
    a pool belongs to the unit after it, so that an exit reads the map before it is pooled."""

    def __init__(self, input, n_classes, depth):
        super().__init__()
        layers, self.ends, width = [], [], input[0]
        for stage in VGG[depth]:
            for channels in stage:
                layers += [convolution(width, channels, 3, bias=True), nn.BatchNorm2d(channels), nn.ReLU()]
                self.ends.append(len(layers))
                width = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(width, n_classes)

    def unit_functions(self):
        return [self.features[start:end] for start, end in zip([0, *self.ends], self.ends)]

    def classify(self, x):
        return self.classifier(self.features[self.ends[-1] :](x).mean((2, 3)))


class SeparableBlock(nn.Module):
    """Howard et al. 2017: depthwise 3x3, then pointwise, each with batch norm and rectifier."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = convolution(inputs, inputs, 3, stride, groups=inputs)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv2 = convolution(inputs, outputs, 1)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return functional.relu(self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x))))))


class MobileNetV1(MultiExit):
    """For small images: stem with stride 1, and strides on blocks 2, 4, 6 and 12."""

    BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)) + ((512, 1),) * 5 + ((1024, 2), (1024, 1))

    def __init__(self, input, n_classes):
        super().__init__()
        self.conv1 = convolution(input[0], 32, 3)
        self.bn1 = nn.BatchNorm2d(32)
        width, blocks = 32, []
        for channels, stride in self.BLOCKS:
            blocks.append(SeparableBlock(width, channels, stride))
            width = channels
        self.layers = nn.Sequential(*blocks)
        self.linear = nn.Linear(width, n_classes)

    def stem(self, x):
        return functional.relu(self.bn1(self.conv1(x)))

    def unit_functions(self):
        return [self.stem, *self.layers]

    def classify(self, x):
        return self.linear(x.mean((2, 3)))


def rectified(inputs, outputs, kernel, stride=1, groups=1):
    """Convolution, batch norm and the rectifier that is cut off at 6."""
    return nn.Sequential(convolution(inputs, outputs, kernel, stride, groups), nn.BatchNorm2d(outputs), nn.ReLU6())


class InvertedResidual(nn.Module):
    """Sandler et al. 2018: widen, depthwise 3x3, project linearly; the input is added where nothing changes shape."""

    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        middle = inputs * expansion
        widen = [rectified(inputs, middle, 1)] if expansion != 1 else []
        depthwise = rectified(middle, middle, 3, stride, groups=middle)
        self.conv = nn.Sequential(*widen, depthwise, convolution(middle, outputs, 1), nn.BatchNorm2d(outputs))
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.conv(x) if self.adds else self.conv(x)


class MobileNetV2(MultiExit):
    """For small images: stem and second stage with stride 1. The last convolution belongs to the final classifier: no exit follows it."""

    STAGES = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))

    def __init__(self, input, n_classes):
        super().__init__()
        units, width = [rectified(input[0], 32, 3)], 32
        for expansion, channels, n, stride in self.STAGES:
            for position in range(n):
                units.append(InvertedResidual(width, channels, stride if position == 0 else 1, expansion))
                width = channels
        units.append(rectified(width, 1280, 1))
        self.features = nn.Sequential(*units)
        self.classifier = nn.Sequential(nn.Identity(), nn.Linear(1280, n_classes))

    def unit_functions(self):
        return list(self.features)[:-1]

    def classify(self, x):
        return self.classifier(self.features[-1](x).mean((2, 3)))


class DenseLayer(nn.Module):
    """Huang et al. 2017, DenseNet-B: a bottleneck of four times the growth before the 3x3 convolution."""

    def __init__(self, inputs, growth):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = convolution(inputs, 4 * growth, 1)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = convolution(4 * growth, growth, 3)

    def forward(self, x):
        y = self.conv1(functional.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(functional.relu(self.norm2(y)))], 1)


class Transition(nn.Module):
    """Halves channels and sides."""

    def __init__(self, inputs):
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.conv = convolution(inputs, inputs // 2, 1)

    def forward(self, x):
        return functional.avg_pool2d(self.conv(functional.relu(self.norm(x))), 2)


class DenseNet(MultiExit):
    """DenseNet-BC for small images: three blocks of (depth - 4) / 6 layers, compression 0.5."""

    def __init__(self, input, n_classes, depth, growth):
        super().__init__()
        width = 2 * growth
        self.features = nn.Sequential()
        self.features.add_module("conv0", convolution(input[0], width, 3))
        for index in (1, 2, 3):
            block = nn.Sequential()
            for position in range((depth - 4) // 6):
                block.add_module(f"denselayer{position + 1}", DenseLayer(width, growth))
                width += growth
            self.features.add_module(f"denseblock{index}", block)
            if index < 3:
                self.features.add_module(f"transition{index}", Transition(width))
                width //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(width))
        self.classifier = nn.Linear(width, n_classes)

    def unit_functions(self):
        units = []
        for name, module in self.features.named_children():
            if name != "norm5":
                units += list(module) if name.startswith("denseblock") else [module]
        return units

    def classify(self, x):
        return self.classifier(functional.relu(self.features.norm5(x)).mean((2, 3)))


def normed(inputs, outputs, kernel, stride=1):
    return nn.Sequential(convolution(inputs, outputs, kernel, stride), nn.BatchNorm2d(outputs), nn.ReLU())


def squeezed(inputs, outputs, stride, width):
    """Huang et al. 2018: a 1x1 convolution to at most `width` times the outputs before the 3x3 one."""
    middle = min(inputs, width * outputs)
    return nn.Sequential(*normed(inputs, middle, 1), *normed(middle, outputs, 3, stride))


class MsdScale(nn.Module):
    """One scale of a layer: new maps from the scale itself, and from the next finer one with stride 2 if there is one, behind what was there."""

    def __init__(self, width, growth, factors, scale, has_finer):
        super().__init__()
        new = growth * factors[scale]
        self.down = squeezed(width * factors[scale - 1], new // 2, 2, factors[scale - 1]) if has_finer else None
        self.same = squeezed(width * factors[scale], new // 2 if has_finer else new, 1, factors[scale])

    def forward(self, here, finer):
        made = [] if self.down is None else [self.down(finer)]
        return torch.cat([here, *made, self.same(here)], 1)


class MsdLayer(nn.ModuleList):
    """One layer on every scale that it leaves; it is given one finer scale more where it drops one."""

    def __init__(self, width, growth, factors, n_in, n_out):
        n_scales = len(factors)
        left = range(n_scales - n_out, n_scales)
        super().__init__(MsdScale(width, growth, factors, scale, scale > n_scales - n_in) for scale in left)
        self.drop = n_in - n_out

    def forward(self, maps):
        places = range(self.drop, len(maps))
        return [scale(maps[place], maps[place - 1] if place > 0 else None) for scale, place in zip(self, places)]


class Halving(nn.ModuleList):
    """A 1x1 convolution on every scale."""

    def forward(self, maps):
        return [scale(x) for scale, x in zip(self, maps)]


class MsdNet(MultiExit):
    """Huang et al. 2018 for small images, scales dropped evenly over the depth ("max" pruning) with halved channels where one is dropped.

    A unit is the stem, a layer or a halving; the exits are the network's own, after every block."""

    def __init__(self, input, n_classes, n_blocks, base, step, grows=False, channels=16, growth=6, factors=(1, 2, 4)):
        super().__init__()
        n_scales = len(factors)
        steps = [base] + [step * index + 1 if grows else step for index in range(1, n_blocks)]
        self.first, inputs = nn.ModuleList(), input[0]
        for index, factor in enumerate(factors):
            self.first.append(normed(inputs, channels * factor, 3, 1 if index == 0 else 2))
            inputs = channels * factor
        self.layers, self.block_ends, widths = nn.ModuleList(), [], []
        interval, layer, width = ceil(sum(steps) / n_scales), 0, channels
        for n in steps:
            for _ in range(n):
                layer += 1
                n_in = n_scales - max(0, layer - 2) // interval
                n_out = n_scales - (layer - 1) // interval
                self.layers.append(MsdLayer(width, growth, factors, n_in, n_out))
                width += growth
                if n_in > n_out:
                    narrow = floor(0.5 * width)
                    left = factors[n_scales - n_out :]
                    self.layers.append(Halving(normed(width * factor, narrow * factor, 1) for factor in left))
                    width = narrow
            self.block_ends.append(len(self.layers))
            widths.append(width * factors[-1])
        *side, last = [self.head(width, n_classes) for width in widths]
        self.branches, self.classifier = nn.ModuleList(side), last
        self.exit_units = self.block_ends[:-1]

    @staticmethod
    def head(channels, n_classes):
        pool = nn.Sequential(nn.AvgPool2d(2), nn.Flatten())
        return nn.Sequential(*normed(channels, 128, 3, 2), *normed(128, 128, 3, 2), pool, nn.Linear(128, n_classes))

    def hang(self, exits, input, n_classes):
        assert self.exit_units == [exit["unit"] for exit in exits]
        return self

    def maps(self, x):
        maps = []
        for first in self.first:
            x = first(x)
            maps.append(x)
        return maps

    def unit_functions(self):
        return [self.maps, *self.layers]

    def read(self, state):
        return state[-1]

    def put(self, state, x):
        return [*state[:-1], x]

    def classify(self, x):
        return self.classifier(x)
