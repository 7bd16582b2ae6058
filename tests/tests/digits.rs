//! The demonstration, for real: Burn on the CPU, the embedded digits, through every part.

use std::time::Duration;

use offramp_tests::{Home, sweep_file, wait_until};
use serde_json::Value;

/// The whole demonstration, with room for a machine much slower than the one it is tuned on.
const LONG: Duration = Duration::from_mins(40);

/// Two jobs of the demonstration's kind, cut short.
const SHORT: &str = r#"name = "short"

[axes]
backbone = "resnet8"
dataset = "digits"
pattern = ["none", { decreasing = 0.5 }]
budget = { levels = 6 }

[recipe]
epochs = 2
batch_size = 32
optimizer = { sgd = { lr = 0.05 } }
augment = "crop"
"#;

fn number(row: &Value, column: &str) -> f64 {
    row[column].as_f64().unwrap_or_else(|| panic!("no number `{column}` in {row}"))
}

#[test]
fn the_demonstration_does_what_it_promises() {
    let home = Home::new();
    let mut up = home.start(&["up", &sweep_file("digits.toml")]);
    let mut peak_kib = 0;
    wait_until("the demonstration to end", LONG, || {
        peak_kib = peak_kib.max(up.memory_kib());
        up.has_ended().then_some(())
    });
    let finished = up.finish(LONG);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!((1..1024 * 1024).contains(&peak_kib), "all processes together took {peak_kib} KiB at their peak");
    home.check_database(true);

    let jobs = home.rows(&["job", "list", "last"]);
    assert_eq!(jobs.len(), 16);
    let accuracies: Vec<f64> = jobs.iter().map(|job| number(job, "final_accuracy")).collect();
    assert!(accuracies.iter().all(|accuracy| *accuracy >= 0.96), "{accuracies:?}");
    assert!(accuracies.iter().any(|accuracy| *accuracy >= 0.97), "{accuracies:?}");
    for job in &jobs {
        assert_eq!(number(job, "budget_error"), 0.0, "{job}");
        let rule = if job["pattern"] == "none" { "none" } else { "levels" };
        assert_eq!(job["branch_rule"], rule);
    }

    // The frontier says what the frontier command says, and the way on is shown.
    let frontier = home.rows(&["frontier", "last"]);
    assert!(frontier.len() >= 3, "{frontier:?}");
    for job in frontier.iter().map(|point| point["job"].as_str().unwrap()) {
        assert!(finished.stdout.contains(job), "{job} is on the frontier, not in the table: {}", finished.stdout);
    }
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert!(said.contains(home.database().to_str().unwrap()) && said.contains("offramp frontier"), "{said}");
    for pattern in ["none", "constant", "increasing", "decreasing"] {
        assert!(finished.stdout.contains(pattern), "{}", finished.stdout);
    }
}

#[test]
fn the_same_seed_gives_the_same_digits() {
    let observed: Vec<_> = ["1", "2"]
        .map(|slots| {
            let home = Home::new();
            let file = home.write("short.toml", SHORT);
            let finished = home.start(&["up", &file, "--slots", slots]).finish(LONG);
            assert_eq!(finished.code, Some(0), "{}", finished.stderr);
            let without_times = |mut job: Value| {
                for column in ["created_us", "finished_us", "train_seconds"] {
                    job.as_object_mut().unwrap().remove(column);
                }
                job
            };
            let jobs: Vec<Value> = home.rows(&["job", "list", "last"]).into_iter().map(without_times).collect();
            (jobs, home.rows(&["results", "last"]), home.rows(&["frontier", "last"]))
        })
        .into_iter()
        .collect();
    assert_eq!(observed[0], observed[1]);
}

#[test]
fn a_trainer_killed_in_mid_training_is_replaced_and_changes_no_digit() {
    let undisturbed = {
        let home = Home::new();
        let file = home.write("short.toml", SHORT);
        assert_eq!(home.start(&["up", &file, "--slots", "1"]).finish(LONG).code, Some(0));
        home.rows(&["results", "last"])
    };
    let home = Home::new();
    let file = home.write("short.toml", SHORT);
    let up = home.start(&["up", &file, "--slots", "1"]);
    let victim = wait_until("a job to be on its way", LONG, || {
        home.database().exists().then_some(())?;
        let leased = home.run(&["job", "list", "last", "--state", "leased", "--output", "json"]);
        leased.stdout.contains("\"leased\"").then(|| up.trainers().first().copied()).flatten()
    });
    offramp_tests::send("KILL", &victim.to_string());
    let finished = up.finish(LONG);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    home.check_database(true);
    assert_eq!(home.rows(&["results", "last"]), undisturbed);
    let attempts: u64 = home.rows(&["job", "list", "last"]).iter().map(|job| job["attempt"].as_u64().unwrap()).sum();
    assert_eq!(attempts, 3);
}

/// One job, long enough to be killed in the middle.
const LONGER: &str = r#"name = "longer"

[axes]
backbone = "resnet8"
dataset = "digits"
pattern = [{ decreasing = 0.5 }]
budget = { levels = 6 }

[recipe]
epochs = 10
batch_size = 32
optimizer = { sgd = { lr = 0.05 } }
augment = "crop"
"#;

#[test]
fn a_killed_trainer_leaves_a_checkpoint_that_the_next_attempt_goes_on_from() {
    let start = |home: &Home| home.start(&["up", &home.write("longer.toml", LONGER), "--slots", "1", "--checkpoint-every", "0s"]);
    let undisturbed = {
        let home = Home::new();
        assert_eq!(start(&home).finish(LONG).code, Some(0));
        home.rows(&["results", "last"])
    };
    let home = Home::new();
    let up = start(&home);
    let checkpoints = home.path().join("offramp/checkpoints");
    let jobs = || std::fs::read_dir(&checkpoints).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    wait_until("the second epoch's checkpoint", LONG, || jobs().any(|job| job.join("000002").exists()).then_some(()));
    offramp_tests::send("KILL", &up.trainers()[0].to_string());
    let finished = up.finish(LONG);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    home.check_database(true);
    assert_eq!(home.rows(&["results", "last"]), undisturbed);

    // Epochs that end between two heartbeats may be missing; that both of the first would be, in an attempt that begins anew, is unlikely.
    let first_heard_of = &home.query("SELECT min(epoch) FROM epochs WHERE attempt = 2")[0][0];
    assert!(first_heard_of.as_u64().unwrap() > 2, "{first_heard_of}");
    assert_eq!(jobs().count(), 0, "what has its result needs no checkpoint");
}
