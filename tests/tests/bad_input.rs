//! What users get wrong: a clear error that names the value and the next step, the right exit code, and nothing lost.

use std::process::Command;

use offramp_tests::{DEADLINE, Home, sweep_file};

const FIVE_MISTAKES: &str = r#"name = "broken"

[axes]
backbone = ["resnet20", "resnet21"]
dataset = "digit"
pattern = ["constant", { increasing = 1.5 }]
budget = { levels = 6 }
seeds = [0, 1]

[recipe]
epochs = 10
batch_size = 0
optimizer = { sgd = { lr = 0.1 } }
"#;

#[test]
fn all_problems_of_a_sweep_file_are_told_at_once_and_nothing_is_written() {
    let home = Home::new();
    let file = home.write("broken.toml", FIVE_MISTAKES);
    for command in [&["up", &file][..], &["sweep", "submit", &file], &["sweep", "submit", &file, "--dry-run"]] {
        let finished = home.run(command);
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        let text = &finished.stderr;
        assert_eq!(text.matches("error: ").count(), 5, "{text}");
        for (value, line) in [("resnet21", 4), ("digit", 5), ("1.5", 6), ("seeds", 8), ("batch_size", 12)] {
            assert!(text.contains(value), "no word of {value}: {text}");
            assert!(text.contains(&format!("broken.toml:{line}:")), "no place on line {line}: {text}");
        }
        assert!(text.matches("hint: ").count() >= 5, "{text}");
        assert!(text.contains("`digits`") && text.contains("`seed`"), "{text}");
        assert!(text.contains('^'), "{text}");
        assert_eq!(finished.stdout, "");
        assert!(!home.database().exists());
    }
}

#[test]
fn an_infeasible_budget_names_the_nearest_feasible_ones() {
    let home = Home::new();
    let text = "name = \"b\"\n[axes]\nbackbone = \"resnet20\"\ndataset = \"cifar10\"\npattern = \"constant\"\nbudget = 0.25\n\
                [branch]\nrule = \"levels\"\n[recipe]\nepochs = 1\nbatch_size = 32\noptimizer = { sgd = { lr = 0.1 } }\n";
    let finished = home.run(&["sweep", "submit", &home.write("budget.toml", text), "--dry-run"]);
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    // A level of ResNet-20 on CIFAR-10 costs 2,359,296 of 40,551,040 MACs, the three classifiers 1,120: 4 levels are 23.3 %, 5 are 29.1 %.
    assert!(finished.stderr.contains("4 levels") && finished.stderr.contains("5 levels"), "{}", finished.stderr);
}

#[test]
fn a_missing_file_is_named() {
    let home = Home::new();
    let finished = home.run(&["up", "nowhere/sweep.toml"]);
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert!(finished.stderr.contains("nowhere/sweep.toml"), "{}", finished.stderr);
}

#[test]
fn a_database_of_a_newer_schema_is_left_alone() {
    let home = Home::new();
    let up = ["up", &sweep_file("digits.toml"), "--trainer", "simulated", "--simulate", "epoch-ms=1"];
    assert_eq!(home.run(&up).code, Some(0));
    let newer = "import sqlite3, sys; con = sqlite3.connect(sys.argv[1]); \
                 con.execute(\"insert into _sqlx_migrations values (9999, 'from the future', current_timestamp, 1, x'00', 1)\"); con.commit()";
    let status = Command::new(offramp_tests::python()).args(["-c", newer]).arg(home.database()).status().unwrap();
    assert!(status.success());
    for command in [&up[..], &["coordinator", "--listen", "127.0.0.1:0"], &["frontier"]] {
        let finished = home.run(command);
        assert_eq!(finished.code, Some(1), "{command:?}: {}", finished.stderr);
        assert!(finished.stderr.contains("9999") && finished.stderr.contains("hint:"), "{command:?}: {}", finished.stderr);
    }
    home.check_database(true);
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let home = Home::new();
    let file = home.write("notes.txt", "these are my notes, not a database, and they should stay as they are\n");
    let database = format!("sqlite:{file}");
    for command in [&["coordinator", "--listen", "127.0.0.1:0"][..], &["frontier"]] {
        let finished = home.run(&[command, &["--database", &database]].concat());
        assert_eq!(finished.code, Some(1), "{command:?}: {}", finished.stderr);
        assert!(finished.stderr.contains("notes.txt"), "{command:?}: {}", finished.stderr);
    }
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("these are my notes"));
}

#[test]
fn a_folder_that_cannot_be_written_to_is_named() {
    let home = Home::new();
    // A file where a folder should be stops root as well, which permissions do not.
    home.write("blocked", "");
    let database = format!("sqlite:{}/blocked/offramp.db", home.path().display());
    let finished = home.run(&["up", &sweep_file("digits.toml"), "--trainer", "simulated", "--database", &database]);
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(finished.stderr.contains("blocked") && finished.stderr.contains("hint:"), "{}", finished.stderr);
}

#[test]
fn a_database_that_cannot_grow_stops_the_run_and_costs_nothing_that_was_accepted() {
    let home = Home::new();
    // What a test can impose without root is a limit on the size of files: enough for the submission and some results, not for all.
    let script = format!(
        "trap '' XFSZ; ulimit -f 2000; exec \"$OFFRAMP_TEST_BINARY\" up '{}' --trainer simulated --simulate epoch-ms=1 --slots 2",
        sweep_file("digits.toml")
    );
    let limited = Command::new("sh").args(["-c", &script]).env("XDG_DATA_HOME", home.path()).env("HOME", home.path()).output().unwrap();
    let stderr = String::from_utf8_lossy(&limited.stderr);
    assert_eq!(limited.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("error:") && stderr.contains("hint:"), "{stderr}");
    home.check_database(false);
    let accepted = home.rows(&["job", "list", "last", "--state", "succeeded"]);
    assert!((1..16).contains(&accepted.len()), "{} results were accepted: choose another limit", accepted.len());

    let again = home.run(&["up", &sweep_file("digits.toml"), "--trainer", "simulated", "--simulate", "epoch-ms=1"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    home.check_database(true);
    let now = home.rows(&["job", "list", "last"]);
    assert!(accepted.iter().all(|job| now.contains(job)), "a result was trained again");
}

#[test]
fn asking_without_a_database_or_for_what_is_not_there() {
    let home = Home::new();
    let nothing = home.run(&["frontier", "last"]);
    assert_eq!(nothing.code, Some(1), "{}", nothing.stderr);
    assert!(nothing.stderr.contains("offramp.db") && nothing.stderr.contains("offramp up"), "{}", nothing.stderr);
    assert!(!home.database().exists(), "reading made a database");

    assert_eq!(home.run(&["up", &sweep_file("digits.toml"), "--trainer", "simulated", "--simulate", "epoch-ms=1"]).code, Some(0));
    for missing in [&["frontier", "nosuch"][..], &["results", "99"], &["sweep", "show", "nosuch"], &["job", "show", "ffffffff"]] {
        let finished = home.run(missing);
        assert_eq!(finished.code, Some(4), "{missing:?}: {}", finished.stderr);
        assert!(finished.stderr.contains(missing[missing.len() - 1]), "{missing:?}: {}", finished.stderr);
    }
}

#[test]
fn a_dataset_that_is_not_there_names_the_folder() {
    let home = Home::new();
    let text = "name = \"c\"\n[axes]\nbackbone = \"resnet8\"\ndataset = \"cifar10\"\npattern = \"none\"\n\
                [recipe]\nepochs = 1\nbatch_size = 32\noptimizer = { sgd = { lr = 0.1 } }\n";
    let file = home.write("cifar.toml", text);
    let data = home.path().join("data");
    let started = home.start(&["up", &file, "--slots", "1", "--data-dir", data.to_str().unwrap()]);
    let finished = started.finish(DEADLINE);
    // Told at once, before anything is tried: no worker of this machine would be given the job.
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    let way_out = format!("offramp data fetch cifar10 --data-dir {}", data.display());
    assert!(finished.stderr.contains("no dataset `cifar10`") && finished.stderr.contains(&way_out), "{}", finished.stderr);
}

#[test]
fn simulated_results_do_not_pass_for_real_ones() {
    let home = Home::new();
    let file = sweep_file("digits.toml");
    let simulated = ["up", &file, "--trainer", "simulated", "--simulate", "epoch-ms=1"];
    assert_eq!(home.run(&simulated).code, Some(0));
    let jobs = home.rows(&["job", "list"]);
    assert!(jobs.iter().all(|job| job["trainer"] == "simulated"), "{jobs:?}");

    // Finished or not, this sweep or another one.
    let other = home.write("other.toml", &std::fs::read_to_string(&file).unwrap().replace("seed = [0, 1]", "seed = 2"));
    for sweep in [&file, &other] {
        let real = home.run(&["up", sweep, "--trainer", "burn"]);
        assert_eq!(real.code, Some(1), "{}", real.stderr);
        assert!(real.stderr.contains("`burn`") && real.stderr.contains("`simulated`"), "{}", real.stderr);
        assert!(real.stderr.contains("hint:") && real.stderr.contains("--database"), "{}", real.stderr);
        assert_eq!(real.stdout, "");
    }
    assert_eq!(home.rows(&["job", "list"]), jobs);
    let again = home.run(&simulated);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    home.check_database(true);
}

#[test]
fn a_device_that_is_not_there_is_a_clear_error() {
    let home = Home::new();
    for device in ["cuda", "cuda:0", "vulkan:0", "tpu"] {
        let finished = home.run(&["up", &sweep_file("digits.toml"), "--device", device]);
        assert!(matches!(finished.code, Some(1 | 2)), "{device}: {:?} {}", finished.code, finished.stderr);
        assert!(finished.stderr.contains(device) && !finished.stderr.contains("panicked"), "{device}: {}", finished.stderr);
    }
}
