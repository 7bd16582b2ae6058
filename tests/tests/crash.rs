//! `kill -9` of anything, then `up` again: every job ends with exactly one result.

use std::collections::BTreeMap;

use offramp_tests::{DEADLINE, Engine, Home, Started, is_alive, on_both_engines, send, sweep_file, wait_until};
use serde_json::Value;

/// Slow enough that a kill finds jobs running, fast enough for a test: 16 jobs on two slots take some seconds.
const PACE: [&str; 6] = ["--trainer", "simulated", "--slots", "2", "--simulate", "epoch-ms=25"];

fn start(home: &Home) -> Started {
    home.start(&[&["up", &sweep_file("digits.toml")][..], &PACE].concat())
}

fn n_jobs_in(home: &Home, state: &str) -> usize {
    if !home.has_database() {
        return 0;
    }
    let finished = home.run(&["job", "list", "last", "--state", state, "--output", "json"]);
    // The sweep may not be there yet.
    let rows = serde_json::from_str::<Value>(&finished.stdout).ok();
    rows.and_then(|value| Some(value["rows"].as_array()?.len())).unwrap_or(0)
}

fn wait_for_the_middle(home: &Home) {
    wait_until("results and running jobs", DEADLINE, || {
        (n_jobs_in(home, "succeeded") >= 2 && n_jobs_in(home, "leased") >= 2).then_some(())
    });
}

/// Job id to (state, attempt, area).
fn jobs(home: &Home) -> BTreeMap<String, (String, u64, Option<f64>)> {
    let row = |job: &Value| {
        let text = |name: &str| job[name].as_str().expect("a text").to_owned();
        (text("job"), (text("state"), job["attempt"].as_u64().expect("a number"), job["area"].as_f64()))
    };
    home.rows(&["job", "list", "last"]).iter().map(row).collect()
}

fn assert_all_succeeded(home: &Home) {
    let jobs = jobs(home);
    assert_eq!(jobs.len(), 16);
    assert!(jobs.values().all(|(state, _, _)| state == "succeeded"), "{jobs:?}");
    home.check_database(true);
}

on_both_engines! {
    a_killed_tree_goes_on_where_it_stopped,
    trainers_end_when_only_the_worker_is_killed,
    a_killed_trainer_costs_one_attempt,
    interrupt_drains_says_how_to_go_on_and_a_finished_sweep_is_not_trained_again,
    jobs_that_failed_are_tried_again_by_the_next_up,
    up_leaves_the_jobs_of_other_sweeps_alone,
    faults_on_request_end_as_documented,
}

fn a_killed_tree_goes_on_where_it_stopped(home: &Home) {
    for _ in 0..2 {
        let up = start(home);
        wait_for_the_middle(home);
        let trainers = up.trainers();
        assert!(!trainers.is_empty());
        up.signal_group("KILL");
        up.finish(DEADLINE);
        // They have a process group of their own, and end because nobody holds their standard input any more.
        wait_until("the trainers to end", DEADLINE, || (!trainers.iter().copied().any(is_alive)).then_some(()));
        home.check_database(false);
        if n_jobs_in(home, "leased") + n_jobs_in(home, "queued") < 6 {
            break; // A machine this fast leaves nothing for a second kill.
        }
    }
    let before = jobs(home);
    let up = start(home).finish(DEADLINE);
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    assert_all_succeeded(home);
    let after = jobs(home);
    for (job, (state, attempt, area)) in &before {
        if state == "succeeded" {
            assert_eq!(after[job], (state.clone(), *attempt, *area), "{job} was trained again");
        }
    }
    let interrupted = before.values().filter(|(state, _, _)| state == "leased").count();
    let repeated = after.values().filter(|(_, attempt, _)| *attempt > 1).count();
    assert!(interrupted >= 1 && repeated >= interrupted, "{interrupted} were interrupted, {repeated} repeated");
}

fn trainers_end_when_only_the_worker_is_killed(home: &Home) {
    let up = start(home);
    wait_for_the_middle(home);
    let trainers = up.trainers();
    assert_eq!(trainers.len(), 2);
    up.signal("KILL");
    wait_until("the trainers to end", DEADLINE, || (!trainers.iter().copied().any(is_alive)).then_some(()));
    drop(up);
    let up = start(home).finish(DEADLINE);
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    assert_all_succeeded(home);
}

fn a_killed_trainer_costs_one_attempt(home: &Home) {
    let up = start(home);
    wait_for_the_middle(home);
    let victim = up.trainers()[0];
    send("KILL", &victim.to_string());
    let finished = up.finish(DEADLINE);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_all_succeeded(home);
    let repeated: Vec<_> = jobs(home).into_iter().filter(|(_, (_, attempt, _))| *attempt > 1).collect();
    assert_eq!(repeated.len(), 1, "{repeated:?}");
    let shown = home.json(&["job", "show", &repeated[0].0]);
    let first = &shown["attempts"][0];
    assert_eq!(first["outcome"], "crashed");
    assert!(first["message"].as_str().is_some_and(|message| message.contains("signal 9")), "{first}");
}

fn interrupt_drains_says_how_to_go_on_and_a_finished_sweep_is_not_trained_again(home: &Home) {
    let up = start(home);
    wait_for_the_middle(home);
    up.signal("INT");
    let interrupted = up.finish(DEADLINE);
    assert_eq!(interrupted.code, Some(130), "{}", interrupted.stderr);
    assert!(interrupted.stderr.contains("offramp up "), "{}", interrupted.stderr);
    assert_eq!(n_jobs_in(home, "leased"), 0, "leases were kept");
    home.check_database(false);

    let again = start(home).finish(DEADLINE);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_all_succeeded(home);
    // What was given back spent no failure.
    assert!(home.rows(&["job", "list", "last"]).iter().all(|job| job["n_failures"] == 0));

    let attempts = jobs(home);
    let third = start(home).finish(DEADLINE);
    assert_eq!(third.code, Some(0), "{}", third.stderr);
    assert_eq!(jobs(home), attempts);
    assert_eq!(home.rows(&["sweep", "list"]).len(), 1);
    assert_eq!(third.stdout, again.stdout);
}

/// A sweep of one job, the demonstration's with one value on every axis.
fn one_job(home: &Home, name: &str, seed: u32) -> String {
    let text = format!(
        r#"
name = "{name}"
[axes]
backbone = "resnet8"
dataset = "digits"
exits = {{ at = "stage-ends" }}
budget = {{ levels = 3 }}
pattern = "constant"
seed = {seed}
[recipe]
epochs = 2
batch_size = 64
optimizer = {{ sgd = {{ lr = 0.1, momentum = 0.9, nesterov = true, weight_decay = 5e-4 }} }}
schedule = "cosine"
augment = "none"
[evaluation]
policies = ["max-softmax"]
"#
    );
    home.write(&format!("{name}.toml"), &text)
}

fn up_simulated(home: &Home, file: &str, spec: &str) -> offramp_tests::Finished {
    home.run(&["up", file, "--trainer", "simulated", "--slots", "1", "--simulate", spec])
}

fn jobs_that_failed_are_tried_again_by_the_next_up(home: &Home) {
    let file = one_job(home, "unlucky", 0);
    let failed = up_simulated(home, &file, "error=1,epoch-ms=1");
    assert_eq!(failed.code, Some(5), "{}", failed.stderr);
    assert_eq!(n_jobs_in(home, "failed"), 1);
    home.check_database(false);

    let retried = up_simulated(home, &file, "epoch-ms=1");
    assert_eq!(retried.code, Some(0), "{}", retried.stderr);
    assert!(retried.stderr.contains("1 failed job is tried again"), "{}", retried.stderr);
    home.check_database(true);
    let job = &home.rows(&["job", "list", "last"])[0];
    // Three tries failed, the fourth is the first of the second round.
    assert_eq!((job["attempt"].as_u64(), job["n_failures"].as_u64()), (Some(4), Some(0)), "{job}");
}

fn up_leaves_the_jobs_of_other_sweeps_alone(home: &Home) {
    let unlucky = one_job(home, "unlucky", 0);
    let up = home.start(&["up", &unlucky, "--trainer", "simulated", "--slots", "1", "--simulate", "epoch-ms=60000"]);
    wait_until("a running job", DEADLINE, || (n_jobs_in(home, "leased") == 1).then_some(()));
    up.signal_group("KILL");
    up.finish(DEADLINE);

    let other = up_simulated(home, &one_job(home, "other", 1), "epoch-ms=1");
    assert_eq!(other.code, Some(0), "{}", other.stderr);
    let left = &home.rows(&["job", "list", "unlucky"])[0];
    // On a database that others may share its lease runs out by itself; who knows whether its worker is dead.
    let states: &[&str] = if home.engine() == Engine::Sqlite { &["queued"] } else { &["leased", "queued"] };
    assert!(states.contains(&left["state"].as_str().unwrap_or_default()), "{left}");
    assert_eq!(left["attempt"], 1, "{left}");
}

fn faults_on_request_end_as_documented(home: &Home) {
    let spec = "epoch-ms=1,crash=0.1,error=0.1,nan=0.1";
    let up = home.run(&["up", &sweep_file("digits.toml"), "--trainer", "simulated", "--slots", "4", "--simulate", spec]);
    home.check_database(false);
    let jobs = home.rows(&["job", "list", "last"]);
    assert!(jobs.iter().all(|job| ["succeeded", "failed", "diverged"].contains(&job["state"].as_str().unwrap_or_default())), "{jobs:?}");
    assert!(jobs.iter().any(|job| job["attempt"].as_u64() > Some(1) || job["state"] == "diverged"), "no fault happened: {jobs:?}");
    let lost = jobs.iter().any(|job| job["state"] != "succeeded");
    assert_eq!(up.code, Some(if lost { 5 } else { 0 }), "{}", up.stderr);
}
