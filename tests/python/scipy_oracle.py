"""Works out statistics with SciPy and compares them with what Offramp said.

Reads a JSON array of cases from standard input. Prints how many of each kind it looked at, and how far apart the two were at most; every
disagreement goes to standard error, and the exit code is 1 if there was any.
"""

import collections
import json
import sys
import types

import numpy as np
from scipy import stats

# Largest relative distance of numbers that are worked out the same way, in double precision throughout.
CLOSE = 1e-12
# The same for tails of the chi-squared and F distributions and for normal quantiles, where two implementations of special functions meet.
SPECIAL = 1e-10
# The same for the studentized range. SciPy integrates it numerically to an absolute error of this size, so that its small tails have few digits.
RANGE = 1e-10

wrong = []
seen = collections.Counter()
farthest = collections.defaultdict(float)


def distance(ours, theirs):
    return abs(ours - theirs) / max(abs(theirs), 1e-300) if ours != theirs else 0.0


def agree(case, name, ours, theirs, tolerance, absolute=0.0):
    ours, theirs = np.atleast_1d(ours), np.atleast_1d(theirs)
    if ours.shape != theirs.shape:
        wrong.append(f"{case['kind']}: {name} has {ours.shape} values, SciPy has {theirs.shape}")
        return
    for one, other in zip(ours.tolist(), theirs.tolist()):
        if one is None or not np.isfinite(other):
            wrong.append(f"{case}: {name} is {one}, SciPy says {other}")
        elif abs(one - other) > absolute:
            farthest[f"{case['kind']} {name}"] = max(farthest[f"{case['kind']} {name}"], distance(one, other))
            if distance(one, other) > tolerance:
                wrong.append(f"{case}: {name} is {one}, SciPy says {other}")


def summary(case):
    values = np.array(case["values"])
    agree(case, "mean", case["mean"], np.mean(values), CLOSE, absolute=1e-16)
    agree(case, "deviation", case["deviation"], np.std(values, ddof=1), CLOSE)
    agree(case, "ranks", case["ranks"], stats.rankdata(values), 0.0)
    if np.ptp(values) == 0:
        assert case["cohens_dz"] is None, case
    else:
        # A one-sample t statistic is d times the root of n.
        agree(case, "cohens_dz", case["cohens_dz"], stats.ttest_1samp(values, 0.0).statistic / np.sqrt(len(values)), CLOSE, absolute=1e-15)


def wilcoxon(case):
    differences = np.array(case["differences"])
    kept = differences[differences != 0]
    if len(kept) == 0:
        assert case["p"] is None, case
        return
    result = stats.wilcoxon(differences)
    agree(case, "statistic", min(case["plus"], case["minus"]), result.statistic, 0.0)
    # Exact p-values are sums of up to 2^50 ways, of which SciPy subtracts the larger part from 1.
    agree(case, "p", case["p"], result.pvalue, CLOSE, absolute=1e-15)
    ranks = stats.rankdata(abs(kept))
    agree(case, "rank_biserial", case["rank_biserial"], (ranks[kept > 0].sum() - ranks[kept < 0].sum()) / ranks.sum(), CLOSE, absolute=1e-16)
    is_plain = len(np.unique(abs(kept))) == len(differences)
    seen[case["method"] + ("" if is_plain else " with ties or zeros")] += 1
    if is_plain and len(differences) <= 50:
        assert case["method"] == "exact", case


def friedman(case):
    blocks = np.array(case["blocks"])
    (n, k), ranks = blocks.shape, stats.rankdata(-blocks, axis=1)
    result = stats.friedmanchisquare(*blocks.T)
    agree(case, "mean_ranks", case["mean_ranks"], ranks.mean(axis=0), CLOSE)
    agree(case, "chi_squared", case["chi_squared"], result.statistic, 1e-11, absolute=1e-11)
    agree(case, "p", case["p"], result.pvalue, SPECIAL)
    left = n * (k - 1) - result.statistic
    if left <= 1e-9 * n * (k - 1):
        assert case["f"] is None, case
    else:
        f = (n - 1) * result.statistic / left
        # What is left may be small beside what it is left of.
        agree(case, "f", case["f"], f, 1e-9, absolute=1e-11)
        agree(case, "f_p", case["f_p"], stats.f.sf(case["f"], k - 1, (k - 1) * (n - 1)), SPECIAL)
    error = np.sqrt(k * (k + 1) / (6 * n))
    q = np.array([abs(rank - case["mean_ranks"][0]) for rank in case["mean_ranks"]]) / error * np.sqrt(2)
    agree(case, "nemenyi", case["nemenyi"], stats.studentized_range.sf(q, k, np.inf), RANGE, absolute=RANGE)
    critical = stats.studentized_range.ppf(0.95, k, np.inf) / np.sqrt(2) * error
    agree(case, "critical_difference", case["critical_difference"], critical, 1e-8)


def range_tail(case):
    agree(case, "tail", case["tail"], stats.studentized_range.sf(case["q"], case["k"], np.inf), RANGE, absolute=RANGE)


def range_quantile(case):
    # Where SciPy's tail is `alpha` is found to about 1e-9; its own tail at our quantile says it more sharply.
    agree(case, "quantile", case["q"], stats.studentized_range.ppf(1 - case["alpha"], case["k"], np.inf), 1e-8)
    agree(case, "tail of the quantile", case["alpha"], stats.studentized_range.sf(case["q"], case["k"], np.inf), 1e-9, absolute=RANGE)


def holm(case):
    # SciPy has no Holm; the definition is a line: the least level at which the step-down procedure rejects.
    p = np.array(case["p_values"])
    order = np.argsort(p, kind="stable")
    steps = np.minimum(1, np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p)))))
    expected = np.empty(len(p))
    expected[order] = steps
    agree(case, "adjusted", case["adjusted"], expected, CLOSE)


def bootstrap(case):
    values = np.array(case["values"])
    # An earlier result stands in for SciPy's own resamples, and none are added.
    earlier = types.SimpleNamespace(bootstrap_distribution=np.array(case["means"]))
    result = stats.bootstrap(
        (values,), np.mean, n_resamples=0, confidence_level=case["confidence"], method=case["method"], bootstrap_result=earlier, vectorized=True
    )
    # Between equal means either is right to within its last digits.
    spread = np.ptp(values)
    agree(case, "low", case["low"], result.confidence_interval.low, 0.0, absolute=1e-11 * spread)
    agree(case, "high", case["high"], result.confidence_interval.high, 0.0, absolute=1e-11 * spread)


def bootstrap_anew(case):
    values = np.array(case["values"])
    result = stats.bootstrap((values,), np.mean, n_resamples=100_000, method="BCa", rng=np.random.default_rng(0), batch=10_000)
    # Two draws of 100,000: a percentile at 0.025 has a standard error of 0.0005 in level, which is 0.009 deviations of the mean. Means of few
    # values are few, and a percentile is one of them or the next: half a deviation of the mean covers that for three values, less for more.
    tolerance = (0.06 if len(values) >= 8 else 0.5) * np.std(values) / np.sqrt(len(values))
    agree(case, "low", case["low"], result.confidence_interval.low, 0.0, absolute=tolerance)
    agree(case, "high", case["high"], result.confidence_interval.high, 0.0, absolute=tolerance)


def comparison(case):
    """A whole `offramp compare --by pattern`, from the rows of v_jobs on."""
    values = collections.defaultdict(dict)
    plain = collections.defaultdict(dict)
    for backbone, dataset, exits, budget, recipe, pattern, seed, area in case["rows"]:
        if pattern == "none":
            plain[backbone, dataset, recipe][seed] = area
        else:
            values[(backbone, dataset, exits, budget, recipe), pattern][seed] = area
    # A plain network is in every block of its backbone, dataset and recipe.
    blocks = sorted({block for block, _ in values})
    for backbone, dataset, exits, budget, recipe in blocks:
        if (backbone, dataset, recipe) in plain:
            values[(backbone, dataset, exits, budget, recipe), "none"] = plain[backbone, dataset, recipe]

    def at(block, pattern):
        return {seed: area for seed, area in values.get((block, pattern), {}).items() if area is not None}

    answer, p_values = case["answer"], []
    for pair in answer["pairs"]:
        said = {"kind": "comparison", "pair": [pair["level"], pair["other"]]}
        differences = []
        for block in blocks:
            one, other = at(block, pair["level"]), at(block, pair["other"])
            differences += [one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())]
        differences = np.round(differences, 12)
        agree(said, "n_pairs", pair["n_pairs"], len(differences), 0.0)
        agree(said, "wins", [pair["n_wins"], pair["n_losses"]], [np.sum(differences > 0), np.sum(differences < 0)], 0.0)
        agree(said, "mean_difference", pair["mean_difference"], np.mean(differences), 1e-9, absolute=1e-12)
        test = stats.wilcoxon(differences)
        agree(said, "p_value", pair["p_value"], test.pvalue, CLOSE, absolute=1e-15)
        agree(said, "cohens_dz", pair["cohens_dz"], np.mean(differences) / np.std(differences, ddof=1), 1e-9)
        interval = stats.bootstrap((differences,), np.mean, n_resamples=20_000, rng=np.random.default_rng(0)).confidence_interval
        # Draws of 10,000 and 20,000: the error of a percentile at 0.025, in deviations of the mean, is below 0.04 for both together.
        tolerance = 0.15 * np.std(differences) / np.sqrt(len(differences))
        agree(said, "low", pair["low"], interval.low, 0.0, absolute=tolerance)
        agree(said, "high", pair["high"], interval.high, 0.0, absolute=tolerance)
        p_values.append(test.pvalue)
    holm({"kind": "holm", "p_values": p_values, "adjusted": [pair["p_holm"] for pair in answer["pairs"]]})

    patterns = [level["level"] for level in answer["levels"]]
    complete = []
    for block in blocks:
        seeds = set.intersection(*(set(at(block, pattern)) for pattern in patterns))
        if seeds:
            complete.append([np.mean([at(block, pattern)[seed] for seed in sorted(seeds)]) for pattern in patterns])
    complete = np.round(complete, 12)
    (n, k), ranks = complete.shape, stats.rankdata(-complete, axis=1).mean(axis=0)
    test = stats.friedmanchisquare(*complete.T)
    said = {"kind": "comparison", "test": answer["friedman"]}
    agree(said, "n_blocks", answer["friedman"]["n_blocks"], n, 0.0)
    agree(said, "chi_squared", answer["friedman"]["chi_squared"], test.statistic, 1e-11)
    agree(said, "friedman p", answer["friedman"]["p_value"], test.pvalue, SPECIAL)
    agree(said, "mean_rank", [level["mean_rank"] for level in answer["levels"]], ranks, CLOSE)
    error = np.sqrt(k * (k + 1) / (6 * n))
    critical = stats.studentized_range.ppf(answer["confidence"], k, np.inf) / np.sqrt(2) * error
    agree(said, "critical_difference", answer["friedman"]["critical_difference"], critical, 1e-8)
    for pair in answer["pairs"]:
        q = abs(ranks[patterns.index(pair["level"])] - ranks[patterns.index(pair["other"])]) / error * np.sqrt(2)
        agree(said, "p_nemenyi", pair["p_nemenyi"], stats.studentized_range.sf(q, k, np.inf), RANGE, absolute=RANGE)

    cells = {}
    for backbone, dataset, exits, budget, recipe, pattern, _, area in case["rows"]:
        cells.setdefault((backbone, dataset, exits, budget, recipe, pattern), []).append(area)
    assert len(cells) == len(case["cells"]), (len(cells), len(case["cells"]))
    for cell in case["cells"]:
        areas = cells[tuple(cell[name] for name in ("backbone", "dataset", "exits", "budget", "recipe", "pattern"))]
        areas = [area for area in areas if area is not None]
        agree({"kind": "cell"}, "n_seeds", cell["n_seeds"], len(areas), 0.0)
        agree({"kind": "cell"}, "mean", cell["mean"], np.mean(areas), CLOSE)
        agree({"kind": "cell"}, "deviation", cell["deviation"], np.std(areas, ddof=1), 1e-10)


CHECKS = {
    "comparison": comparison,
    "summary": summary,
    "wilcoxon": wilcoxon,
    "friedman": friedman,
    "range": range_tail,
    "range quantile": range_quantile,
    "holm": holm,
    "bootstrap": bootstrap,
    "bootstrap anew": bootstrap_anew,
    "nothing": lambda case: None,
}


def main():
    cases = json.load(sys.stdin)
    for case in cases:
        seen[case["kind"]] += 1
        CHECKS[case["kind"]](case)
    for kind, count in sorted(seen.items()):
        print(f"{kind}: {count}")
    for name, largest in sorted(farthest.items()):
        print(f"farthest apart, {name}: {largest:.3g}")
    for line in wrong[:20]:
        print(line[:1000], file=sys.stderr)
    if wrong:
        print(f"{len(wrong)} numbers differ", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
