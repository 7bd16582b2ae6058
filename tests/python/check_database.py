"""Checks an Offramp database with nothing but Python's own sqlite3.

Usage: check_database.py DATABASE [--finished]

Shares no code with Offramp: the frontier is recomputed by comparing every pair of operating points. Exits 0 and prints what it looked at,
or exits 1 with one line for each thing that is wrong. With --finished, every job must have succeeded.
"""

import sqlite3
import sys

FINAL = {"succeeded", "failed", "diverged"}
OPEN = {"queued", "leased"}


def jobs(con, finished):
    """Every job is open or final; an accepted result is there exactly where the job succeeded, once, and complete."""
    n_results = dict(con.execute("select job, count(*) from v_attempts where outcome = 'succeeded' group by job"))
    exits = dict(con.execute("select job, count(*) from v_exits group by job"))
    finals = dict(con.execute("select job, sum(is_final) from v_exits group by job"))
    points = dict(con.execute("select job, count(*) from v_operating_points group by job"))
    for job, state, attempt in con.execute("select job, state, attempt from v_jobs").fetchall():
        if state not in FINAL | OPEN:
            yield f"{job}: unknown state {state!r}"
        if finished and state != "succeeded":
            yield f"{job}: is {state}, should have succeeded"
        expected = 1 if state == "succeeded" else 0
        if n_results.get(job, 0) != expected:
            yield f"{job}: {state} with {n_results.get(job, 0)} accepted results"
        if (exits.get(job, 0) > 0) != (expected == 1) or (points.get(job, 0) > 0) != (expected == 1):
            yield f"{job}: {state} with {exits.get(job, 0)} exits and {points.get(job, 0)} operating points"
        if expected and finals[job] != 1:
            yield f"{job}: {finals[job]} final exits"
        numbers = [n for (n,) in con.execute("select attempt from v_attempts where job = ? order by attempt", (job,))]
        if numbers != list(range(1, attempt + 1)):
            yield f"{job}: at attempt {attempt}, recorded are {numbers}"
        running = con.execute("select count(*) from v_attempts where job = ? and outcome = 'running'", (job,)).fetchone()[0]
        if running != (1 if state == "leased" else 0):
            yield f"{job}: {state} with {running} running attempts"


def frontiers(con):
    """The stored frontier of every sweep, dataset and metric equals the brute-force one."""
    for (sweep,) in con.execute("select sweep from v_sweeps").fetchall():
        for metric in ("macs_cascade", "macs_selected"):
            rows = con.execute(
                f"select p.dataset, p.{metric}, p.accuracy, p.job, p.policy, p.setting"
                " from v_operating_points p join v_sweep_jobs s on s.job = p.job where s.sweep = ?",
                (sweep,),
            ).fetchall()
            for dataset in {row[0] for row in rows}:
                points = [row[1:] for row in rows if row[0] == dataset]
                brute = {p for p in points if not any(dominates(q, p) for q in points)}
                stored = con.execute(
                    "select cost, accuracy, job, policy, setting from v_frontier where sweep = ? and dataset = ? and cost_metric = ?",
                    (sweep, dataset, metric),
                ).fetchall()
                if len(stored) != len(set(stored)):
                    yield f"sweep {sweep}, {dataset}, {metric}: the frontier holds a point twice"
                if set(stored) != brute:
                    yield (
                        f"sweep {sweep}, {dataset}, {metric}: {len(set(stored) - brute)} stored points are dominated,"
                        f" {len(brute - set(stored))} non-dominated ones are missing"
                    )


def dominates(q, p):
    return q[0] <= p[0] and q[1] >= p[1] and (q[0] < p[0] or q[1] > p[1])


def costs(con):
    """Cost identities of every exit, and expected costs of every operating point, from the exits' rows."""
    import json

    exits = {}
    columns = "job, exit, is_final, backbone_macs, branch_macs, macs_cascade, macs_selected, accuracy"
    for row in con.execute(f"select {columns} from v_exits order by job, exit"):
        exits.setdefault(row[0], []).append(row[1:])
    for job, rows in exits.items():
        paid = 0
        for index, (exit_index, is_final, backbone, branch, cascade, selected, _) in enumerate(rows):
            paid += branch
            if exit_index != index or is_final != (index == len(rows) - 1):
                yield f"{job}: exit {exit_index} is out of order"
            if cascade != backbone + paid or selected != backbone + branch:
                yield f"{job}: exit {exit_index} costs {cascade} cascade and {selected} selected, its parts say otherwise"
    query = "select job, policy, setting, macs_cascade, macs_selected, accuracy, exit_shares from v_operating_points"
    for job, policy, setting, cascade, selected, accuracy, shares in con.execute(query):
        shares = json.loads(shares)
        rows = exits[job]
        if abs(sum(shares) - 1) > 1e-9:
            yield f"{job}: shares of {policy} {setting} sum to {sum(shares)}"
        for name, value, column in (("cascade", cascade, 4), ("selected", selected, 5)):
            expected = sum(share * row[column] for share, row in zip(shares, rows, strict=True))
            if abs(value - expected) > 1e-6 * expected:
                yield f"{job}: {policy} {setting} costs {value} ({name}), its shares say {expected}"
        if policy == "fixed" and accuracy != rows[int(setting)][6]:
            yield f"{job}: leaving at exit {setting} has accuracy {accuracy}, the exit has {rows[int(setting)][6]}"


N_CLASSES = {"digits": 10, "cifar10": 10, "cifar100": 100}


def areas(con):
    """The accuracies and the area under accuracy-vs-MACs of every finished job, recomputed from its exits and operating points."""
    exits, points = {}, {}
    for job, is_final, accuracy in con.execute("select job, is_final, accuracy from v_exits"):
        exits.setdefault(job, []).append((is_final, accuracy))
    query = "select job, calibration_macs_cascade, calibration_accuracy, accuracy from v_operating_points"
    for job, *point in con.execute(query):
        points.setdefault(job, []).append(point)
    query = "select job, dataset, backbone_macs, final_accuracy, best_accuracy, area from v_jobs where state = 'succeeded'"
    for job, dataset, backbone_macs, final, best, area in con.execute(query):
        if final != next(accuracy for is_final, accuracy in exits[job] if is_final):
            yield f"{job}: final accuracy {final} is not the final exit's"
        if best != max(accuracy for _, accuracy in exits[job]):
            yield f"{job}: best accuracy {best} is not the best exit's"
        expected = mean_accuracy(points[job], 2 * backbone_macs, 1 / N_CLASSES[dataset])
        if abs(area - expected) > 1e-9:
            yield f"{job}: area {area}, should be {expected}"


def mean_accuracy(points, limit, chance):
    """Mean over budgets from 0 to limit of the test accuracy of the point that does best on the calibration split within the budget."""
    total, reached, best, value = 0.0, 0.0, -1.0, chance
    for cost, calibration, accuracy in sorted(points, key=lambda point: point[0]):
        if cost >= limit:
            break
        if calibration > best:
            total += value * (cost - reached)
            reached, best, value = cost, calibration, accuracy
    return (total + value * (limit - reached)) / limit


def patterns(con):
    """The means and deviations of v_patterns, recomputed from v_jobs."""
    import statistics

    cells = {}
    query = (
        "select s.sweep, j.backbone, j.dataset, j.exits, j.budget, j.recipe, j.pattern, j.area, j.final_accuracy"
        " from v_jobs j join v_sweep_jobs s on s.job = j.job where j.state = 'succeeded'"
    )
    for row in con.execute(query):
        cells.setdefault(row[:7], []).append(row[7:])
    stored = con.execute(
        "select sweep, backbone, dataset, exits, budget, recipe, pattern, n_seeds, area_mean, area_deviation,"
        " final_accuracy_mean, final_accuracy_deviation from v_patterns"
    ).fetchall()
    if len({row[:7] for row in stored}) != len(stored):
        yield "v_patterns has a cell twice"
    if {row[:7] for row in stored} != set(cells):
        yield "v_patterns has other cells than v_jobs"
        return
    for row in stored:
        members = cells[row[:7]]
        if row[7] != len(members):
            yield f"{row[:7]}: {row[7]} seeds, v_jobs has {len(members)}"
        for column, mean, deviation in ((0, row[8], row[9]), (1, row[10], row[11])):
            values = [member[column] for member in members]
            if abs(mean - statistics.fmean(values)) > 1e-12:
                yield f"{row[:7]}: mean {mean}, should be {statistics.fmean(values)}"
            expected = statistics.stdev(values) if len(values) > 1 else None
            if (deviation is None) != (expected is None) or (expected is not None and abs(deviation - expected) > 1e-9):
                yield f"{row[:7]}: deviation {deviation}, should be {expected}"


def main():
    database = sys.argv[1]
    con = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    # One transaction: everything is read from one state, whatever a coordinator writes meanwhile.
    con.execute("begin")
    finished = "--finished" in sys.argv[2:]
    faults = [*jobs(con, finished), *frontiers(con), *costs(con), *areas(con), *patterns(con)]
    for fault in faults:
        print(fault)
    n_jobs, n_points, n_frontier = (
        con.execute(f"select count(*) from {view}").fetchone()[0] for view in ("v_jobs", "v_operating_points", "v_frontier")
    )
    print(f"checked {n_jobs} jobs, {n_points} operating points, {n_frontier} frontier rows: {len(faults)} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
