"""Checks an Offramp database, straight in the database: SQLite through Python's own sqlite3, PostgreSQL through psycopg.

Usage: check_database.py DATABASE [options]

DATABASE is a file, sqlite:PATH or postgres://USER@HOST:PORT/NAME. Shares no code with Offramp, and reads nothing but the documented views.
Exits 0 and prints what it looked at, or exits 1 with one line for each thing that is wrong; 3 where the database cannot be reached.
"""

import argparse
import itertools
import json
import sqlite3
import statistics
import sys
from collections import Counter, defaultdict

OPEN = {"blocked", "queued", "leased"}
FINAL = {"succeeded", "failed", "diverged", "quarantined", "cancelled"}

# What a job's state may be after an attempt that ended so.
STATES_AFTER = {
    "running": {""},
    "succeeded": {"succeeded"},
    "diverged": {"diverged"},
    "failed": {"queued", "failed"},
    "out-of-memory": {"queued", "failed"},
    "timed-out": {"queued", "failed"},
    "crashed": {"queued", "failed", "quarantined"},
    "lost": {"queued"},
    "preempted": {"queued"},
    "cancelled": {"cancelled"},
}

# Outcomes that use up a job's tries.
FAILURES = {"failed", "out-of-memory", "timed-out", "crashed"}

# The states that may follow a state.
NEXT = {
    "": {"queued", "blocked"},
    "blocked": {"queued", "failed", "cancelled"},
    # A sweep that comes later may have a job wait that did not wait before.
    "queued": {"blocked", "leased", "cancelled"},
    "leased": {"succeeded", "failed", "diverged", "quarantined", "cancelled", "queued"},
    # Its result may be taken back.
    "succeeded": {"queued", "blocked"},
    "failed": {"queued", "blocked"},
    "diverged": {"queued", "blocked"},
    "quarantined": {"queued", "blocked"},
    "cancelled": {"queued", "blocked"},
}

# Events that are told of without moving the job.
MOVE_NOTHING = {"prioritized", "reported-late"}

# The states that these events lead to, whatever follows.
EVENT_STATES = {"submitted": "queued", "blocked": "blocked", "unblocked": "queued", "claimed": "leased", "retried": "queued"}


class Database:
    """One state of a database, whatever is written meanwhile."""

    def __init__(self, url):
        if url.startswith(("postgres://", "postgresql://")):
            import psycopg

            self.connection = psycopg.connect(url)
            self.connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self.connection.read_only = True
        else:
            self.connection = sqlite3.connect(f"file:{url.removeprefix('sqlite:')}?mode=ro", uri=True)
            self.connection.execute("begin")

    def rows(self, query):
        return self.connection.execute(query).fetchall()

    def groups(self, query):
        """The rows of a query by their first column, without it."""
        found = defaultdict(list)
        for first, *rest in self.rows(query):
            found[first].append(tuple(rest))
        return found

    def count(self, view):
        return self.rows(f"select count(*) from {view}")[0][0]


def jobs(db, options):
    """Every job is open or final; an accepted result is there exactly where the job succeeded, once, and complete."""
    exits = db.groups("select job, is_final from v_exits")
    query = "select job from v_events where event = 'retried' and message like 'its result was taken back%'"
    taken_back = Counter(job for (job,) in db.rows(query))
    points = Counter(job for (job,) in db.rows("select job from v_operating_points"))
    attempts = db.groups("select job, outcome from v_attempts")
    for job, state in db.rows("select job, state from v_jobs"):
        if state not in FINAL | OPEN:
            yield f"{job}: unknown state {state!r}"
        if options.finished and state != "succeeded":
            yield f"{job}: is {state}, should have succeeded"
        if options.final and state not in FINAL:
            yield f"{job}: is {state}, should be over"
        if options.quiescent and state == "leased":
            yield f"{job}: is leased, and nobody works any more"
        expected = 1 if state == "succeeded" else 0
        n_results = sum(outcome == "succeeded" for (outcome,) in attempts[job]) - taken_back[job]
        if n_results != expected:
            yield f"{job}: {state} with {n_results} accepted results"
        if (len(exits[job]) > 0) != (expected == 1) or (points[job] > 0) != (expected == 1):
            yield f"{job}: {state} with {len(exits[job])} exits and {points[job]} operating points"
        n_final = sum(bool(is_final) for (is_final,) in exits[job])
        if expected and n_final != 1:
            yield f"{job}: {n_final} final exits"
    keys = Counter(key for (key,) in db.rows("select job_key from v_jobs"))
    yield from (f"{key}: {n} jobs have this key" for key, n in keys.items() if n > 1)


def sweeps(db, _options):
    """Every sweep has as many jobs as it says, and its counts are those of its jobs."""
    states = dict(db.rows("select job, state from v_jobs"))
    members = db.groups("select sweep, position, job from v_sweep_jobs order by sweep, position")
    for sweep, state, n_jobs, *counts in db.rows(
        "select sweep, state, n_jobs, n_blocked, n_queued, n_leased, n_succeeded, n_failed, n_diverged, n_quarantined, n_cancelled from v_sweeps"
    ):
        positions = [position for position, _ in members[sweep]]
        # Whoever deletes a job leaves its place empty.
        if len(positions) != n_jobs or len(set(positions)) != n_jobs:
            yield f"sweep {sweep}: is to have {n_jobs} jobs, has {len(positions)}"
        if len({job for _, job in members[sweep]}) != len(positions):
            yield f"sweep {sweep}: holds a job twice"
        found = Counter(states[job] for _, job in members[sweep])
        names = ("blocked", "queued", "leased", "succeeded", "failed", "diverged", "quarantined", "cancelled")
        for name, count in zip(names, counts, strict=True):
            if found[name] != count:
                yield f"sweep {sweep}: counts {count} {name} jobs, has {found[name]}"
        is_open = any(found[name] for name in OPEN)
        if (
            state not in {"running", "paused", "finished", "cancelled"}
            or (is_open and state == "finished")
            or (not is_open and state in {"running", "paused"})
        ):
            yield f"sweep {sweep}: is {state} with {dict(found)}"
    wanted = {job for rows in members.values() for _, job in rows}
    # Results may be imported without their sweeps.
    wanted |= {job for (job,) in db.rows("select job from v_events where event = 'imported'") if job}
    yield from (f"{job}: belongs to no sweep" for job in states if job not in wanted)


def attempts(db, options):
    """Attempts are numbered without gaps and don't overlap; a running one has a leased job; what they came to agrees with their jobs."""
    query = "select job, attempt, outcome, state, leased_us, ended_us from v_attempts order by job, attempt"
    attempts = db.groups(query)
    retried = {job for (job,) in db.rows("select job from v_events where event = 'retried'") if job}
    for job, state, attempt, n_failures in db.rows("select job, state, attempt, n_failures from v_jobs"):
        rows = attempts[job]
        numbers = [row[0] for row in rows]
        if numbers != list(range(1, attempt + 1)):
            yield f"{job}: at attempt {attempt}, recorded are {numbers}"
        n_running = sum(row[1] == "running" for row in rows)
        if n_running != (1 if state == "leased" else 0):
            yield f"{job}: {state} with {n_running} running attempts"
        if n_running and rows[-1][1] != "running":
            yield f"{job}: an attempt before the last one is running"
        if n_failures > options.max_failures:
            yield f"{job}: failed {n_failures} times, {options.max_failures} are allowed"
        counted = sum(row[1] in FAILURES for row in rows)
        # Where somebody asked for another round of tries, the counting began anew.
        if counted < n_failures or (job not in retried and counted != n_failures):
            yield f"{job}: counts {n_failures} failures, {counted} attempts failed"
        previous_end = 0
        for number, outcome, after, leased_us, ended_us in rows:
            if after not in STATES_AFTER.get(outcome, set()):
                yield f"{job}: attempt {number} ended as {outcome!r} and left the job {after!r}"
            if (ended_us is None) != (outcome == "running"):
                yield f"{job}: attempt {number} is {outcome}, its end is {ended_us}"
            if leased_us < previous_end or (ended_us is not None and ended_us < leased_us):
                yield f"{job}: attempt {number} overlaps with another, or ends before it begins"
            previous_end = ended_us if ended_us is not None else leased_us
        if rows and state == "succeeded" and rows[-1][1] != "succeeded":
            yield f"{job}: succeeded, its last attempt is {rows[-1][1]}"
        if rows and rows[-1][2] in FINAL and rows[-1][2] != state and job not in retried:
            yield f"{job}: its last attempt left it {rows[-1][2]}, it is {state}"


def leases(db, _options):
    """No lease outlives its worker: whoever holds one has not left, and holds as many as it is said to."""
    running = Counter(worker for (worker,) in db.rows("select worker from v_attempts where outcome = 'running'"))
    held = Counter()
    for session, worker, state, n_leased in db.rows("select session, worker, state, n_leased from v_workers"):
        held[worker] += n_leased
        if state == "ended" and n_leased:
            yield f"worker {worker}, session {session}: has left with {n_leased} leases"
    for worker in running.keys() | held.keys():
        if running[worker] != held[worker]:
            yield f"worker {worker}: {running[worker]} attempts run, its sessions hold {held[worker]} leases"


def dependencies(db, _options):
    """A job is blocked exactly while it waits for something; what waits for a failed job has failed, or is not wanted any more."""
    states = dict(db.rows("select job, state from v_jobs"))
    waits_for = db.groups("select job, waits_for from v_dependencies")
    # A job that was claimed before the last sweep came that wants it may not have had to wait at that time.
    wanted = dict(db.rows("select m.job, max(s.created_us) from v_sweep_jobs m join v_sweeps s on s.sweep = m.sweep group by m.job"))
    claimed = dict(db.rows("select job, max(leased_us) from v_attempts group by job"))
    for job, state in states.items():
        needed = Counter(states[other] for (other,) in waits_for[job])
        n_open, n_succeeded = sum(needed[name] for name in OPEN), needed["succeeded"]
        n_bad = needed.total() - n_open - n_succeeded
        if state == "blocked" and (n_open == 0 or n_bad):
            yield f"{job}: is blocked, what it waits for is {dict(needed)}"
        had_to_wait = state == "queued" or claimed.get(job, 0) > wanted.get(job, 0)
        if state in {"queued", "leased", "succeeded", "diverged", "quarantined"} and had_to_wait and needed.total() != n_succeeded:
            yield f"{job}: is {state}, what it waits for is {dict(needed)}"


def events(db, _options):
    """The events of a job, in order, lead from its submission to where it stands, by steps that exist."""
    stories = db.groups("select job, at_us, attempt, event, state from v_events where job is not null order by job, at_us")
    for job, state, attempt in db.rows("select job, state, attempt from v_jobs"):
        reached = {""}
        for _, _, event, after in stories[job]:
            if EVENT_STATES.get(event, after) != after:
                yield f"{job}: was {event} and is said to be {after} then, not {EVENT_STATES[event]}"
        # Events of one moment may be told in any order: some order must make sense.
        for _, moment in itertools.groupby(stories[job], key=lambda row: row[0]):
            told = [row[2:4] for row in moment]
            reached = {end for begin in reached for order in set(itertools.permutations(told)) for end in ends(begin, order)}
        if state not in reached:
            story = " ".join(f"{event}:{after}" for _, _, event, after in stories[job])
            yield f"{job}: is {state}, its events don't lead there: {story}"
        claims = [number for _, number, event, _ in stories[job] if event in {"claimed", "imported"}]
        if sorted(claims) != list(range(1, attempt + 1)):
            yield f"{job}: at attempt {attempt}, the claims told of are {claims}"


def ends(state, steps):
    """Where the steps lead, in this order: a list of one state, or an empty one."""
    for event, step in steps:
        # A result from elsewhere is taken however the job stands, unless it has one or is being worked on.
        if event == "imported" and step == "succeeded" and state not in {"leased", "succeeded"}:
            state = step
            continue
        if step not in ({state} if event in MOVE_NOTHING else NEXT[state]):
            return []
        state = step
    return [state]


def frontiers(db, _options):
    """The stored frontier of every sweep and of all, every grouping and every cost is the one found anew by sorting, and so is the area under it."""
    stored = defaultdict(list)
    query = (
        "select sweep, grouping, dataset, backbone, pattern, trainer, cost_metric, cost, accuracy, job, policy, setting from v_frontier"
    )
    for sweep, grouping, dataset, backbone, pattern, trainer, metric, *rest in db.rows(query):
        stored[group(sweep, grouping, dataset, backbone, pattern, trainer, metric)].append(tuple(rest))
    points = defaultdict(list)
    sweeps_of = db.groups("select job, sweep from v_sweep_jobs")
    query = (
        "select p.job, j.dataset, j.backbone, j.pattern, j.trainer, p.macs_cascade, p.macs_selected, j.params, p.latency_us, p.accuracy,"
        " p.policy, p.setting from v_operating_points p join v_jobs j on j.job = p.job"
    )
    for job, dataset, backbone, pattern, trainer, cascade, selected, params, latency, accuracy, policy, setting in db.rows(query):
        costs = {"macs_cascade": cascade, "macs_selected": selected, "params": params, "latency_us": latency}
        for sweep in [None] + [sweep for (sweep,) in sweeps_of[job]]:
            for metric, cost in costs.items():
                if cost is not None:
                    for grouping in ("dataset", "backbone", "pattern"):
                        key = group(sweep, grouping, dataset, backbone, pattern, trainer, metric)
                        points[key].append((cost, accuracy, job, policy, setting))
    for key in points.keys() | stored.keys():
        found, expected = set(stored[key]), non_dominated(points[key])
        name = "{}, by {}, {}".format("all sweeps" if key[0] is None else f"sweep {key[0]}", *key[1:])
        if len(found) != len(stored[key]):
            yield f"{name}: the frontier holds a point twice"
        if found != expected:
            yield f"{name}: {len(found - expected)} stored points are dominated, {len(expected - found)} non-dominated ones are missing"
    yield from histories(db, stored)


def histories(db, stored):
    """Of every frontier, what has not left it stands on it, and the newest area is that of what stands."""
    standing, newest = defaultdict(list), {}
    query = (
        "select sweep, grouping, dataset, backbone, pattern, trainer, cost_metric, cost, accuracy, job, policy, setting, entered_us, left_us,"
        " displaced_by, hypervolume, reference_cost, reference_accuracy from v_frontier_history"
    )
    for row in db.rows(query):
        key, (point, (entered, left, by, *area)) = group(*row[:7]), (row[7:12], row[12:])
        if left is None:
            standing[key].append(tuple(point))
        elif left <= entered or by is None:
            yield f"{key}: a point of job {point[2]} left before it entered, or for nobody"
        if key not in newest or newest[key][0] < entered:
            newest[key] = (entered, *area)
    for key in standing.keys() | stored.keys():
        if sorted(standing[key]) != sorted(stored[key]):
            yield f"{key}: what the history says has not left is not what stands"
    for key, (_, said, cost, accuracy) in newest.items():
        # Along a frontier accuracy rises: each point adds the strip between the accuracy before and its own.
        area, below = 0.0, accuracy
        for point in sorted(stored[key]):
            if point[1] > below:
                area += (cost - point[0]) * (point[1] - below)
                below = point[1]
        if abs(area - said) > 1e-9 * max(area, 1e-300):
            yield f"{key}: the area is {area}, the history says {said}"


def group(sweep, grouping, dataset, backbone, pattern, trainer, metric):
    """What tells a frontier from all others."""
    part = {"dataset": None, "backbone": backbone, "pattern": pattern}[grouping]
    return sweep, grouping, dataset, part, metric, trainer if metric == "latency_us" else None


def non_dominated(points):
    """Points that no other is at least as good as in cost and accuracy, and better in one of them."""
    found, best = set(), float("-inf")
    for _, group in itertools.groupby(sorted(points), key=lambda point: point[0]):
        group = list(group)
        most = max(point[1] for point in group)
        if most > best:
            found.update(point for point in group if point[1] == most)
            best = most
    return found


def costs(db, _options):
    """Cost identities of every exit, and expected costs of every operating point, from the exits' rows."""
    exits = {}
    columns = "job, exit, is_final, backbone_macs, branch_macs, macs_cascade, macs_selected, accuracy"
    for row in db.rows(f"select {columns} from v_exits order by job, exit"):
        exits.setdefault(row[0], []).append(row[1:])
    for job, rows in exits.items():
        paid = 0
        for index, (exit_index, is_final, backbone, branch, cascade, selected, _) in enumerate(rows):
            paid += branch
            if exit_index != index or bool(is_final) != (index == len(rows) - 1):
                yield f"{job}: exit {exit_index} is out of order"
            if cascade != backbone + paid or selected != backbone + branch:
                yield f"{job}: exit {exit_index} costs {cascade} cascade and {selected} selected, its parts say otherwise"
    query = "select job, policy, setting, macs_cascade, macs_selected, accuracy, exit_shares from v_operating_points"
    for job, policy, setting, cascade, selected, accuracy, shares in db.rows(query):
        shares = json.loads(shares) if isinstance(shares, str) else shares
        rows = exits.get(job, [])
        if len(rows) != len(shares):
            yield f"{job}: {policy} {setting} has shares of {len(shares)} exits, there are {len(rows)}"
            continue
        if abs(sum(shares) - 1) > 1e-9:
            yield f"{job}: shares of {policy} {setting} sum to {sum(shares)}"
        # Exits that answer together are all paid, however costs are counted.
        selected_column = 4 if policy == "ensemble" else 5
        for name, value, column in (("cascade", cascade, 4), ("selected", selected, selected_column)):
            expected = sum(share * row[column] for share, row in zip(shares, rows, strict=True))
            if abs(value - expected) > 1e-6 * expected:
                yield f"{job}: {policy} {setting} costs {value} ({name}), its shares say {expected}"
        if policy == "fixed" and accuracy != rows[int(setting)][6]:
            yield f"{job}: leaving at exit {setting} has accuracy {accuracy}, the exit has {rows[int(setting)][6]}"


N_CLASSES = {"digits": 10, "cifar10": 10, "cifar100": 100}


def areas(db, _options):
    """The accuracies and the area under accuracy-vs-MACs of every finished job, recomputed from its exits and operating points."""
    exits, points = {}, {}
    for job, is_final, accuracy in db.rows("select job, is_final, accuracy from v_exits"):
        exits.setdefault(job, []).append((is_final, accuracy))
    query = "select job, calibration_macs_cascade, calibration_accuracy, accuracy from v_operating_points"
    for job, *point in db.rows(query):
        points.setdefault(job, []).append(point)
    query = "select job, dataset, backbone_macs, final_accuracy, best_accuracy, area from v_jobs where state = 'succeeded'"
    for job, dataset, backbone_macs, final, best, area in db.rows(query):
        if job not in exits or job not in points:
            continue  # Told of already.
        if final != next((accuracy for is_final, accuracy in exits[job] if is_final), None):
            yield f"{job}: final accuracy {final} is not the final exit's"
        if best != max(accuracy for _, accuracy in exits[job]):
            yield f"{job}: best accuracy {best} is not the best exit's"
        # Of points that are equal on the calibration split the first counts, and views have no order: any of them may be meant.
        least, most = (
            mean_accuracy(sorted(points[job], key=lambda point: (point[0], sign * point[2])), 2 * backbone_macs, 1 / N_CLASSES[dataset])
            for sign in (1, -1)
        )
        if not least - 1e-9 <= area <= most + 1e-9:
            yield f"{job}: area {area}, should be {least} to {most}"


def mean_accuracy(points, limit, chance):
    """Mean over budgets from 0 to limit of the test accuracy of the point that does best on the calibration split within the budget.

    The points come cheapest first; of equal ones the first counts.
    """
    total, reached, best, value = 0.0, 0.0, -1.0, chance
    for cost, calibration, accuracy in points:
        if cost >= limit:
            break
        if calibration > best:
            total += value * (cost - reached)
            reached, best, value = cost, calibration, accuracy
    return (total + value * (limit - reached)) / limit


def patterns(db, _options):
    """The means and deviations of v_patterns, recomputed from v_jobs."""
    cells = {}
    query = (
        "select s.sweep, j.backbone, j.dataset, j.exits, j.budget, j.recipe, j.pattern, j.area, j.final_accuracy"
        " from v_jobs j join v_sweep_jobs s on s.job = j.job where j.state = 'succeeded'"
    )
    for row in db.rows(query):
        cells.setdefault(row[:7], []).append(row[7:])
    stored = db.rows(
        "select sweep, backbone, dataset, exits, budget, recipe, pattern, n_seeds, area_mean, area_deviation,"
        " final_accuracy_mean, final_accuracy_deviation from v_patterns"
    )
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


def memory(db, options):
    """What was accepted once stays as it was: nothing is taken back, nothing is trained again."""
    accepted = {
        job: [attempt, finished_us, area]
        for job, attempt, finished_us, area in db.rows("select job, attempt, finished_us, area from v_jobs where state = 'succeeded'")
    }
    if options.remember is None:
        return
    try:
        with open(options.remember, encoding="utf-8") as file:
            before = json.load(file)
    except FileNotFoundError:
        before = {}
    for job, result in before.items():
        if accepted.get(job) != result:
            yield f"{job}: had the result {result}, has {accepted.get(job)}"
    with open(options.remember, "w", encoding="utf-8") as file:
        json.dump(accepted, file)


CHECKS = (jobs, sweeps, attempts, leases, dependencies, events, frontiers, costs, areas, patterns, memory)


def summary(db, faults):
    """What was looked at, in numbers."""
    outcomes = Counter(dict(db.rows("select outcome, count(*) from v_attempts group by outcome")))
    twice = db.rows("select count(*) from (select job from v_attempts where outcome = 'succeeded' group by job having count(*) > 1) twice")
    return {
        "jobs": dict(db.rows("select state, count(*) from v_jobs group by state")),
        "attempts": dict(outcomes),
        "counted_twice": twice[0][0],
        "operating_points": db.count("v_operating_points"),
        "frontier": db.count("v_frontier"),
        "faults": faults,
    }


def arguments():
    parser = argparse.ArgumentParser(description="Checks an Offramp database.")
    parser.add_argument("database", help="a file, sqlite:PATH or postgres://...")
    parser.add_argument("--finished", action="store_true", help="every job must have succeeded")
    parser.add_argument("--final", action="store_true", help="every job must be over")
    parser.add_argument("--quiescent", action="store_true", help="nobody works any more: nothing may be leased")
    parser.add_argument("--max-failures", type=int, default=3, metavar="N", help="how often a job may fail")
    parser.add_argument(
        "--remember", metavar="FILE", help="hold results against those of an earlier call, and write them down for the next"
    )
    parser.add_argument("--json", action="store_true", help="print what was looked at, and the faults, as JSON")
    parser.add_argument("--query", metavar="SELECT", help="check nothing: print the rows of a query as JSON")
    return parser.parse_args()


def is_unreachable(error):
    """Whether there is no connection, or none any more, as opposed to a question that cannot be answered."""
    if isinstance(error, sqlite3.OperationalError):
        return getattr(error, "sqlite_errorcode", None) == 14  # SQLITE_CANTOPEN, which older versions do not name.
    psycopg = sys.modules.get("psycopg")
    return psycopg is not None and isinstance(error, psycopg.OperationalError)


def main():
    options = arguments()
    try:
        db = Database(options.database)
        if options.query:
            print(json.dumps(db.rows(options.query)))
            return
        faults = [fault for check in CHECKS for fault in check(db, options)]
        seen = summary(db, faults)
    except Exception as error:
        if not is_unreachable(error):
            raise
        print(f"the database cannot be reached: {error}", file=sys.stderr)
        sys.exit(3)
    if options.json:
        print(json.dumps(seen))
    else:
        for fault in faults:
            print(fault)
        n_jobs, n_attempts = sum(seen["jobs"].values()), sum(seen["attempts"].values())
        print(
            f"checked {n_jobs} jobs, {n_attempts} attempts, {seen['operating_points']} operating points,"
            f" {seen['frontier']} frontier rows: {len(faults)} faults"
        )
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
