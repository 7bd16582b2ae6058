//! The independent checker is content with what Offramp writes, and sees every kind of damage: one that is blind to a fault is no evidence
//! against it.

use std::path::Path;
use std::process::Command;

use offramp_tests::{Home, python, script};

const SWEEP: &str = r#"
name = "checked"
[axes]
backbone = "resnet8"
dataset = "digits"
budget = { levels = 3 }
pattern = ["none", "constant"]
seed = [0, 1, 2]
[recipe]
epochs = 2
batch_size = 64
optimizer = { sgd = { lr = 0.1 } }
[[after]]
job = { pattern = "constant" }
wait_for = { pattern = "none" }
"#;

/// Copies a database and runs statements on the copy, past all constraints.
fn damaged(home: &Home, statements: &str) -> String {
    let copy = home.path().join("damaged.db");
    let damage = "
import os, sqlite3, sys
source, copy, statements = sys.argv[1:]
if os.path.exists(copy):
    os.remove(copy)
sqlite3.connect(source).execute('vacuum into ?', (copy,))
con = sqlite3.connect(copy)
con.execute('pragma ignore_check_constraints = on')
n = con.total_changes
con.executescript(statements)
sys.exit(0 if con.total_changes > n else 1)
";
    let mut command = Command::new(python());
    command.args(["-c", damage]).arg(home.database()).arg(&copy).arg(statements);
    let output = command.output().expect("Python can be started");
    assert!(output.status.success(), "{statements}: nothing was changed: {}", String::from_utf8_lossy(&output.stderr));
    copy.to_str().expect("temporary folders have UTF-8 names").to_owned()
}

/// What the checker says of a database, and whether it is content.
fn check(database: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(python());
    command.arg(script("check_database.py")).arg(database).args(arguments);
    let output = command.output().expect("Python can be started");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(matches!(output.status.code(), Some(0 | 1)) && !text.contains("Traceback"), "{text}");
    (output.status.success(), text)
}

/// One job that has its result, by its number in the tables.
const ONE: &str = "(select min(job_id) from results)";

#[test]
fn every_kind_of_damage_is_seen() {
    let home = Home::new();
    let file = home.write("checked.toml", SWEEP);
    let up = home.run(&["up", &file, "--trainer", "simulated", "--slots", "2", "--simulate", "epoch-ms=1,error=0.3"]);
    assert!(matches!(up.code, Some(0 | 5)), "{}", up.stderr);
    home.check_database(false);
    let damages = [
        // An accepted result is lost, is there twice, or is there without its job knowing.
        (format!("delete from attempts where outcome = 'succeeded' and job_id = {ONE}"), "with 0 accepted results"),
        (
            format!(
                "insert into attempts select job_id, attempt + 1, session_id, outcome, state, message, leased_us, ended_us from attempts where outcome = 'succeeded' and job_id = {ONE}"
            ),
            "with 2 accepted results",
        ),
        (format!("update job_states set state = 'queued', finished_us = null where job_id = {ONE}"), "queued with 1 accepted results"),
        (format!("delete from operating_points where job_id = {ONE}"), "and 0 operating points"),
        // A job is lost, or one is known to no sweep.
        (format!("delete from sweep_jobs where job_id = {ONE}"), "is to have 6 jobs, has 5"),
        ("update job_states set state = 'sleeping' where job_id = 1".to_owned(), "unknown state 'sleeping'"),
        // Attempts.
        (format!("update job_states set attempt = attempt + 1 where job_id = {ONE}"), "recorded are"),
        (format!("update attempts set outcome = 'running', state = '', ended_us = null where job_id = {ONE}"), "running attempts"),
        ("update job_states set n_failures = 4 where job_id = 1".to_owned(), "failed 4 times, 3 are allowed"),
        (format!("update attempts set state = 'queued' where outcome = 'succeeded' and job_id = {ONE}"), "left the job 'queued'"),
        (format!("update attempts set ended_us = leased_us - 1 where job_id = {ONE}"), "ends before it begins"),
        // A lease without its worker.
        (
            format!(
                "update attempts set outcome = 'running', state = '', ended_us = null where outcome = 'succeeded' and job_id = {ONE};
                 update job_states set state = 'leased', lease_until_us = 1, finished_us = null,
                     session_id = (select session_id from attempts where job_id = {ONE}) where job_id = {ONE};
                 update sessions set ended_us = seen_us"
            ),
            "has left with 1 leases",
        ),
        // Dependencies.
        (format!("update job_states set state = 'blocked', finished_us = null where job_id = {ONE}"), "is blocked, what it waits for is"),
        (
            "update job_states set state = 'failed' where job_id in
                 (select waits_for_id from job_dependencies join results on results.job_id = job_dependencies.job_id)"
                .to_owned(),
            "is succeeded, what it waits for is",
        ),
        // History.
        (
            format!(
                "insert into events (at_us, job_id, attempt, event, state, who, message) select 1 << 60, {ONE}, 1, 'moved', 'queued', '', ''"
            ),
            "its events don't lead there",
        ),
        // Results.
        (
            "delete from frontier where id = (select min(id) from frontier where left_us is null)".to_owned(),
            "non-dominated ones are missing",
        ),
        (
            "insert into frontier (group_id, job_id, point, cost, accuracy, entered_us)
             select frontier_groups.id, operating_points.job_id, point, macs_cascade, accuracy, 1
             from operating_points join frontier_groups
             on frontier_groups.cost_metric = 'macs_cascade' and grouping = 'dataset' and sweep_id is null"
                .to_owned(),
            "stored points are dominated",
        ),
        ("update frontier_advances set hypervolume = hypervolume * 1.001".to_owned(), "the history says"),
        (format!("update results set area = area + 0.001 where job_id = {ONE}"), "area"),
        (format!("update results set final_accuracy = 1.5 where job_id = {ONE}"), "final accuracy 1.5"),
        (format!("update exits set macs_cascade = macs_cascade + 1 where job_id = {ONE}"), "its parts say otherwise"),
        (format!("update operating_points set macs_cascade = macs_cascade * 2 where job_id = {ONE}"), "its shares say"),
    ];
    for (damage, expected) in damages {
        let (content, text) = check(&damaged(&home, &damage), &[]);
        assert!(!content && text.contains(expected), "{damage}: expected {expected:?}: {text}");
    }
    result_that_changes_is_remembered(&home);
}

fn result_that_changes_is_remembered(home: &Home) {
    let memory = home.path().join("results.json");
    let remember = ["--remember", memory.to_str().expect("temporary folders have UTF-8 names")];
    let database = home.database();
    let sound = path(&database);
    for _ in 0..2 {
        let (content, text) = check(sound, &remember);
        assert!(content, "{text}");
    }
    let (_, text) = check(&damaged(home, &format!("update job_states set finished_us = finished_us + 1 where job_id = {ONE}")), &remember);
    assert!(text.contains("had the result"), "{text}");
}

fn path(path: &Path) -> &str {
    path.to_str().expect("temporary folders have UTF-8 names")
}

#[test]
fn jobs_that_are_not_over_are_seen_when_they_should_be() {
    let home = Home::new();
    let file = home.write("checked.toml", SWEEP);
    assert_eq!(home.run(&["up", &file, "--trainer", "simulated", "--simulate", "epoch-ms=1"]).code, Some(0));
    let sound = home.database();
    for arguments in [&["--finished"][..], &["--final"], &["--quiescent"], &[]] {
        let (content, text) = check(path(&sound), arguments);
        assert!(content, "{arguments:?}: {text}");
    }
    let unfinished = damaged(
        &home,
        &format!(
            "delete from frontier where job_id = {ONE}; delete from operating_points where job_id = {ONE};
             delete from exit_results where job_id = {ONE};
             update job_states set state = 'queued', attempt = 0, finished_us = null where job_id = {ONE};
             delete from attempts where job_id = {ONE}; delete from results where job_id = {ONE}"
        ),
    );
    assert!(check(&unfinished, &["--finished"]).1.contains("is queued, should have succeeded"));
    assert!(check(&unfinished, &["--final"]).1.contains("is queued, should be over"));
}
