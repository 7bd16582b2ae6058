"""Runs every case of `cases.json` in PyTorch: weights and a batch for Offramp, and what PyTorch makes of them in double precision.

    python reference.py FOLDER

FOLDER/cases.json says which networks with which branches. Written for each, in FOLDER/NAME/: `weights.safetensors`, `batch.safetensors` and
`expected.safetensors`, which holds logits in training and in evaluation, gradients of the summed cross-entropies plainly and in equilibrium, and running
statistics after the one training step, where the variance is the biased one (see docs/WEIGHTS.md). `torch-f32.safetensors` is the same in single precision.
"""

import copy
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from compare import KINDS, LIMIT, worst
from models import BasicBlock, Bottleneck, DenseNet, InvertedResidual, MobileNetV1, MobileNetV2, MsdNet, ResNet, Vgg, WideResNet

N_IMAGES = 4

# A rectifier whose input is nearer to its corner than this share of the map's deviation may switch in single precision, and one that switches makes another
# gradient: PyTorch's own two precisions then differ by percents. Single precision is off by about 3e-7 here.
LEAST_MARGIN = 1e-6

MOST_DRAWS = 40


def build(name, input, n_classes):
    """The network of a name, as the literature has it."""
    family, *numbers = name.split("-")
    if name.startswith("resnet") and name.endswith("-imagenet"):
        block, n_blocks = {"resnet18": (BasicBlock, (2, 2, 2, 2)), "resnet50": (Bottleneck, (3, 4, 6, 3))}[family]
        return ResNet(input, n_classes, block, n_blocks, (64, 128, 256, 512), "B", large=True)
    if name.startswith("resnet"):
        n = (int(family[len("resnet") :]) - 2) // 6
        return ResNet(input, n_classes, BasicBlock, (n, n, n), (16, 32, 64), "B" if numbers == ["b"] else "A", large=False)
    if family == "wrn":
        return WideResNet(input, n_classes, int(numbers[0]), int(numbers[1]))
    if family.startswith("vgg"):
        return Vgg(input, n_classes, int(family[len("vgg") :]))
    if family == "densenet":
        return DenseNet(input, n_classes, int(numbers[1]), int(numbers[2]))
    if family == "msdnet":
        return MsdNet(input, n_classes, *map(int, numbers[:3]), grows=numbers[3:] == ["linear"])
    return {"mobilenetv1": MobileNetV1, "mobilenetv2": MobileNetV2}[name](input, n_classes)


def randomise(model):
    """Weights that let signals through at every depth, and norms that are no identity."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.normal_(module.bias, 0, 0.1)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    # Fifty norms one after another over few values amplify rounding a hundredfold, so that the deep networks' residual parts are made small, as in training
    # schemes that start from the identity.
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, Bottleneck):
                module.bn3.weight *= 0.2
            elif isinstance(module, InvertedResidual) and module.adds:
                module.conv[-1].weight *= 0.2


def evaluate(model, images, labels):
    """What a model makes of a batch, under the names of its tensors."""
    found = {}
    model.eval()
    with torch.no_grad():
        for exit, logits in enumerate(model(images)):
            found[f"evaluation.logits.{exit}"] = logits

    model.train()
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    n_values, hooks = {}, []
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            hook = lambda _, inputs, name=name: n_values.__setitem__(name, inputs[0].numel() // inputs[0].shape[1])
            hooks.append(module.register_forward_pre_hook(hook))
    for kind, equilibrium in (("gradient", False), ("equilibrium", True)):
        model.zero_grad()
        logits = model(images, equilibrium)
        sum(functional.cross_entropy(of_exit, labels) for of_exit in logits).backward()
        # Finer scales that no exit depends on get none.
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                found[f"{kind}.{name}"] = parameter.grad.clone()
        if equilibrium:
            break
        for exit, of_exit in enumerate(logits):
            found[f"training.logits.{exit}"] = of_exit.detach()
        for name, n in n_values.items():
            mean, variance = f"{name}.running_mean", f"{name}.running_var"
            after = dict(model.named_buffers())
            found[f"statistics.{mean}"] = after[mean].clone()
            # PyTorch moved it by a tenth towards the variance that is divided by n - 1; here by n.
            unbiased = (after[variance] - 0.9 * before[variance]) / 0.1
            found[f"statistics.{variance}"] = 0.9 * before[variance] + 0.1 * unbiased * (n - 1) / n
    for hook in hooks:
        hook.remove()
    return found


def margin(model, images):
    """How near any rectifier's input comes to a corner in double precision, in deviations of its map."""
    nearest, plain = [], {name: getattr(functional, name) for name in ("relu", "relu6")}

    def watch(name, corners):
        def rectify(x, inplace=False):
            deviation = x.std() + 1e-12
            nearest.extend(((x - corner).abs().min() / deviation).item() for corner in corners)
            return plain[name](x)

        setattr(functional, name, rectify)

    watch("relu", (0,))
    watch("relu6", (0, 6))
    try:
        with torch.no_grad():
            copy.deepcopy(model).double().train()(images.double())
    finally:
        for name, function in plain.items():
            setattr(functional, name, function)
    return min(nearest)


def draw(case):
    """Random weights and a batch, and what PyTorch makes of them in single and in double precision: the first draw that keeps away from the rectifiers' corners
    and whose two precisions agree. PyTorch alone decides which."""
    for seed in range(MOST_DRAWS):
        torch.manual_seed(seed)
        model = build(case["backbone"], case["input"], case["n_classes"]).hang(case["exits"], case["input"], case["n_classes"])
        randomise(model)
        images = torch.randn(N_IMAGES, *case["input"])
        labels = torch.randint(case["n_classes"], (N_IMAGES,))
        if margin(model, images) < LEAST_MARGIN:
            continue
        single = evaluate(copy.deepcopy(model), images, labels)
        double = evaluate(copy.deepcopy(model).double(), images.double(), labels)
        if all(worst(numpy(double), numpy(single), kind)[0] <= LIMIT / 2 for kind in KINDS):
            return model, images, labels, single, double
    raise SystemExit(f"{case['name']}: PyTorch's two precisions agree in none of {MOST_DRAWS} draws; make the case smaller")


def main(folder):
    torch.use_deterministic_algorithms(True)
    for case in json.loads((folder / "cases.json").read_text()):
        here = folder / case["name"]
        here.mkdir(exist_ok=True)
        model, images, labels, single, double = draw(case)
        weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
        save_file(weights, here / "weights.safetensors")
        save_file({"images": images, "labels": labels}, here / "batch.safetensors")
        save_file(contiguous(single), here / "torch-f32.safetensors")
        save_file(contiguous(double), here / "expected.safetensors")


def numpy(tensors):
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def contiguous(tensors):
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
