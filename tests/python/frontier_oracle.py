"""Compares Offramp's frontiers, hypervolumes, indicators and attainment surfaces with those of moocore and pymoo.

frontier_oracle.py ANSWERS

ANSWERS is what domain/tests/frontier_oracle.rs writes: for each set a line of JSON with the names and lengths of arrays, then the arrays as
little-endian doubles. Less is better in both programs, so accuracies are turned round for them. They know nothing of points that are not
finite: those are taken out first, which is Offramp's rule. Numbers have to agree within 1e-12 relative, points to the last bit.
"""

import json
import sys
from fractions import Fraction

import moocore
import numpy
from pymoo.indicators.igd_plus import IGDPlus
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

TOLERANCE = 1e-12


def read(file):
    while line := file.readline():
        header = json.loads(line)
        arrays = {name: numpy.frombuffer(file.read(8 * length), "<f8") for name, length in header["arrays"]}
        yield header["name"], arrays


def minimised(flat):
    return flat.reshape(-1, 2) * [1.0, -1.0]


def exact_area(points, reference):
    """The area in rational numbers: no rounding at all."""
    area, below = Fraction(0), Fraction(reference[1])
    for cost, second in sorted(map(tuple, points)):
        if cost < reference[0] and Fraction(second) < below:
            area += (Fraction(reference[0]) - Fraction(cost)) * (below - Fraction(second))
            below = Fraction(second)
    return float(area)


class Comparison:
    def __init__(self, name):
        self.name = name
        self.faults = []

    def same(self, what, have, expected):
        if not numpy.array_equal(have, expected):
            self.faults.append(f"{self.name}: {what}: {have!r} is not {expected!r}")

    def near(self, what, have, expected):
        have, expected = numpy.atleast_1d(have), numpy.atleast_1d(expected)
        if have.shape != expected.shape or not numpy.all(numpy.abs(have - expected) <= TOLERANCE * numpy.abs(expected)):
            self.faults.append(f"{self.name}: {what}: {have!r} is not {expected!r}")


def compare(name, arrays, counts):
    comparison = Comparison(name)
    same, near = comparison.same, comparison.near

    def count(what):
        counts[what] = counts.get(what, 0) + 1

    every = minimised(arrays["points"])
    finite = numpy.isfinite(every).all(axis=1)
    points, places = every[finite], numpy.flatnonzero(finite)
    reference = minimised(arrays["reference"])[0]
    others = minimised(arrays["others"])
    others = others[numpy.isfinite(others).all(axis=1)]
    if len(points):
        # Frontier, cheapest first, equal points in the order they came in.
        on_front = moocore.is_nondominated(points, keep_weakly=True)
        front = places[on_front]
        front = front[numpy.lexsort((front, every[front, 0]))]
        same("frontier", arrays["front"], front)
        count("frontier")
        area = moocore.hypervolume(points, ref=reference)
        near("hypervolume", arrays["area"], area)
        count("hypervolume")
        if len(points) <= 300:
            near("hypervolume, exactly", arrays["area"], exact_area(points, reference))
            same("frontier by pymoo", numpy.sort(places[NonDominatedSorting().do(points, only_non_dominated_front=True)]), numpy.sort(front))
            count("exact hypervolume, frontier by pymoo")
    else:
        same("frontier of nothing", arrays["front"], [])
    if len(points) and len(others):
        near("IGD+", arrays["igd_plus"], moocore.igd_plus(points, ref=others))
        near("additive epsilon", arrays["epsilon_additive"], moocore.epsilon_additive(points, ref=others))
        count("IGD+ and additive epsilon")
        if len(points) <= 300:
            near("IGD+ by pymoo", arrays["igd_plus"], IGDPlus(others)(points))
            count("IGD+ by pymoo")
    else:
        near_nothing = numpy.isnan([arrays["igd_plus"][0], arrays["epsilon_additive"][0]])
        same("indicators of nothing", near_nothing, [True, True])

    def positive(points):
        return (points * [1.0, -1.0])[((points * [1.0, -1.0]) > 0).all(axis=1)]

    own, targets = positive(points), positive(others)
    if len(own) and len(targets):
        factor = moocore.epsilon_mult(own, ref=targets, maximise=[False, True])
        near("multiplicative epsilon", arrays["epsilon_multiplicative"], factor)
        count("multiplicative epsilon")
    else:
        same("factor of nothing", numpy.isnan(arrays["epsilon_multiplicative"]), [True])

    solid = arrays["solid"].reshape(-1, 3)
    solid = solid[numpy.isfinite(solid).all(axis=1)]
    if len(solid):
        near("volume", arrays["volume"], moocore.hypervolume(solid, ref=arrays["solid_reference"]))
        count("volume")

    levels = sorted((int(key.split()[1]), value) for key, value in arrays.items() if key.startswith("level "))
    n_groups = len(levels)
    surfaces(same, points, arrays, arrays["groups"][finite], levels)
    count("attainment surfaces")
    same("best", arrays["best"], levels[0][1])
    same("median", arrays["median"], levels[(n_groups + 1) // 2 - 1][1])
    same("worst", arrays["worst"], levels[-1][1])
    return comparison.faults


def surfaces(same, points, arrays, groups, levels):
    """moocore numbers the sets that have points. Those without attain nothing: levels above the number of sets with points are empty."""
    present = numpy.unique(groups)
    n_present = len(present)
    attained = None
    if n_present:
        data = numpy.column_stack([points, numpy.searchsorted(present, groups) + 1])
        # `eaf` wants the points of a set together.
        data = data[numpy.argsort(data[:, 2], kind="stable")]
        attained = moocore.eaf(data[:, :2], sets=data[:, 2].astype(int))
    for level, surface in levels:
        expected = numpy.empty((0, 2))
        if level <= n_present:
            expected = attained[numpy.rint(attained[:, 2] * n_present / 100) == level][:, :2]
            expected = expected[numpy.argsort(expected[:, 0])]
        same(f"surface of level {level} of {len(levels)}", minimised(surface), expected)


def main():
    faults, counts, n_sets = [], {}, 0
    with open(sys.argv[1], "rb") as file:
        for name, arrays in read(file):
            faults += compare(name, arrays, counts)
            n_sets += 1
    for what, n in counts.items():
        print(f"{what}: {n}")
    for fault in faults[:20]:
        print(fault)
    if faults:
        sys.exit(f"{len(faults)} comparisons of {n_sets} sets differ")
    print(f"{n_sets} sets agree")


if __name__ == "__main__":
    main()
