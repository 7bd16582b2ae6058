"""Compares what Burn made of every case with what PyTorch made of it in double precision.

    python compare.py FOLDER

Both sides must have the same tensors. The error of a tensor is its greatest absolute difference, relative to the greatest absolute value of PyTorch's. A bias
that only batch norms read, at once or through 1x1 convolutions, has a gradient that is zero but for rounding: biases are judged by the gradients of their
layer's weights where those are greater. Prints the worst tensor of every kind, and what PyTorch's own single precision comes to. Fails when Burn's
worst is above the limit.
"""

import json
import sys
from pathlib import Path

from safetensors.numpy import load_file

LIMIT = 1e-4

KINDS = ("evaluation", "training", "gradient", "equilibrium", "statistics")


def scale(expected, name):
    own = abs(expected[name]).max()
    return max(own, abs(expected[name.removesuffix("bias") + "weight"]).max()) if name.endswith(".bias") else own


def worst(expected, got, kind):
    errors = {
        name: float(abs(expected[name] - got[name]).max() / scale(expected, name))
        for name in expected
        if name.startswith(f"{kind}.")
    }
    # A value that is not a number is no small error: it must not lose a comparison.
    name = max(errors, key=lambda name: float("inf") if errors[name] != errors[name] else errors[name])
    return errors[name], name


def main(folder):
    fails = []
    print(f"{'network':<22}{'compared':<13}{'Burn f32':>10}{'PyTorch f32':>13}  worst tensor")
    for case in json.loads((folder / "cases.json").read_text()):
        name = case["name"]
        expected, got, single = (
            load_file(folder / name / f"{file}.safetensors") for file in ("expected", "got", "torch-f32")
        )
        for lacking, having, side in ((got, expected, "Burn"), (expected, got, "PyTorch")):
            missing = sorted(set(having) - set(lacking))
            if missing:
                fails.append(f"{name}: {side} has no {', '.join(missing[:5])} ({len(missing)} in all)")
        differ = [key for key in expected if key in got and expected[key].shape != got[key].shape]
        if differ:
            fails.append(f"{name}: other shapes of {', '.join(differ[:5])}")
        if any(fail.startswith(f"{name}:") for fail in fails):
            continue
        for kind in KINDS:
            error, tensor = worst(expected, got, kind)
            own, _ = worst(expected, single, kind)
            print(f"{name:<22}{kind:<13}{error:>10.1e}{own:>13.1e}  {tensor.removeprefix(kind + '.')}")
            if not error <= LIMIT:
                fails.append(f"{name}: {tensor} is off by {error:.1e}, more than {LIMIT:.0e}")
    for fail in fails:
        print(f"FAILED {fail}", file=sys.stderr)
    return 1 if fails else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
