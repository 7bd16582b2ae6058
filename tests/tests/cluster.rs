//! Coordinator and workers as processes of their own.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use offramp_tests::{DEADLINE, Home, Started, on_both_engines, python, sweep_file, wait_until};

/// A coordinator on a free port, and its URL.
fn coordinator(home: &Home, extra: &[&str]) -> (Started, String) {
    let started = home.start(&[&["coordinator", "--listen", "127.0.0.1:0"], extra].concat());
    let url = wait_until("the coordinator to print its address", DEADLINE, || {
        let text = started.stdout();
        let begin = text.find("http://")?;
        let end = begin + text[begin..].find(char::is_whitespace)?;
        Some(text[begin..end].to_owned())
    });
    (started, url)
}

fn worker(home: &Home, url: &str, name: &str, spec: &str) -> Started {
    let arguments = ["worker", "--coordinator", url, "--name", name, "--slots", "2", "--trainer", "simulated", "--simulate", spec];
    home.start(&arguments)
}

on_both_engines! {
    three_workers_share_a_sweep,
    a_killed_workers_jobs_are_leased_again,
    a_coordinator_that_is_killed_and_comes_back_loses_nothing,
    waiting_has_a_time_limit,
    a_foreign_client_needs_nothing_but_reflection,
}

fn three_workers_share_a_sweep(home: &Home) {
    let (coordinator, url) = coordinator(home, &[]);
    let workers: Vec<_> = ["a", "b", "c"].iter().map(|name| worker(home, &url, name, "epoch-ms=10")).collect();
    let submitted = home.run(&["sweep", "submit", &sweep_file("digits.toml"), "--coordinator", &url]);
    assert_eq!(submitted.code, Some(0), "{}", submitted.stderr);
    let waited = home.run(&["sweep", "wait", "last", "--coordinator", &url]);
    assert_eq!(waited.code, Some(0), "{}", waited.stderr);

    // The same answers from the coordinator and from its database.
    for command in [&["frontier"][..], &["results"], &["sweep", "list"], &["sweep", "show"], &["job", "list"]] {
        for format in ["table", "json", "csv"] {
            let direct = home.run(&[command, &["--output", format]].concat());
            let asked = home.run(&[command, &["--output", format, "--coordinator", &url]].concat());
            assert_eq!(direct.code, Some(0), "{command:?}: {}", direct.stderr);
            assert_eq!(direct.stdout, asked.stdout, "{command:?} --output {format}");
        }
    }

    for started in workers {
        started.signal("TERM");
        let ended = started.finish(DEADLINE);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    coordinator.signal("TERM");
    let ended = coordinator.finish(DEADLINE);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    home.check_database(true);
}

fn a_killed_workers_jobs_are_leased_again(home: &Home) {
    let (_coordinator, url) = coordinator(home, &["--lease-seconds", "2", "--heartbeat-seconds", "1"]);
    let victim = worker(home, &url, "victim", "epoch-ms=2000");
    assert_eq!(home.run(&["sweep", "submit", &sweep_file("digits.toml"), "--coordinator", &url]).code, Some(0));
    wait_until("the victim to work", DEADLINE, || (home.rows(&["job", "list", "last", "--state", "leased"]).len() == 2).then_some(()));
    victim.signal_group("KILL");
    let _rescuer = worker(home, &url, "rescuer", "epoch-ms=1");
    let waited = home.run(&["sweep", "wait", "last", "--coordinator", &url]);
    assert_eq!(waited.code, Some(0), "{}", waited.stderr);
    home.check_database(true);
    let again = home.rows(&["job", "list", "last"]).into_iter().filter(|job| job["attempt"] == 2).count();
    assert_eq!(again, 2);
}

/// Whether there are leases, and all of them have run out.
fn leases_have_run_out(home: &Home) -> bool {
    let rows = home.query("select count(*), max(lease_until_us) from job_states where state = 'leased'");
    assert_ne!(rows[0][0].as_u64(), Some(0), "nothing was leased");
    let last_us = rows[0][1].as_u64().expect("a leased job's lease has an end");
    Duration::from_micros(last_us) < since_1970()
}

#[expect(clippy::disallowed_methods, reason = "leases are written down in wall-clock time")]
fn since_1970() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("the clock is past 1970")
}

fn a_coordinator_that_is_killed_and_comes_back_loses_nothing(home: &Home) {
    let short_leases = ["--lease-seconds", "2", "--heartbeat-seconds", "1"];
    let (first, url) = coordinator(home, &short_leases);
    let _worker = worker(home, &url, "patient", "epoch-ms=50");
    assert_eq!(home.run(&["sweep", "submit", &sweep_file("digits.toml"), "--coordinator", &url]).code, Some(0));
    wait_until("a result", DEADLINE, || (!home.rows(&["job", "list", "last", "--state", "succeeded"]).is_empty()).then_some(()));
    first.signal("KILL");
    first.finish(DEADLINE);
    let address = url.strip_prefix("http://").expect("the URL is plain");
    wait_until("the leases to run out", DEADLINE, || leases_have_run_out(home).then_some(()));
    let _second = home.start(&[&["coordinator", "--listen", address][..], &short_leases].concat());
    wait_until("the sweep to finish", DEADLINE, || {
        (home.run(&["sweep", "wait", "last", "--coordinator", &url, "--timeout", "60s"]).code == Some(0)).then_some(())
    });
    home.check_database(true);
    // The worker kept its leases over the restart: nothing was trained twice.
    assert!(home.rows(&["job", "list", "last"]).iter().all(|job| job["attempt"] == 1));
}

#[test]
fn a_second_coordinator_on_the_same_file_is_refused() {
    let home = Home::new();
    let (_first, _) = coordinator(&home, &[]);
    let second = home.run(&["coordinator", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.code, Some(1), "{}", second.stderr);
    assert!(second.stderr.contains("offramp.db") && second.stderr.contains("hint:"), "{}", second.stderr);
}

#[test]
fn a_port_in_use_is_named() {
    let home = Home::new();
    let (_first, url) = coordinator(&home, &[]);
    let address = url.strip_prefix("http://").expect("the URL is plain");
    let database = format!("sqlite:{}", home.path().join("other.db").display());
    let second = home.run(&["coordinator", "--listen", address, "--database", &database]);
    assert_eq!(second.code, Some(1), "{}", second.stderr);
    assert!(second.stderr.contains(address) && second.stderr.contains("hint:"), "{}", second.stderr);
}

#[test]
fn a_worker_without_a_coordinator_says_so_once_and_gives_up() {
    let home = Home::new();
    // Nothing listens on port 1.
    let arguments = ["worker", "--coordinator", "http://127.0.0.1:1", "--trainer", "simulated", "--give-up-after", "3s"];
    let worker = home.start(&arguments).finish(Duration::from_mins(1));
    assert_eq!(worker.code, Some(3), "{}", worker.stderr);
    let mentions = worker.stderr.lines().filter(|line| line.contains("http://127.0.0.1:1") && !line.starts_with("error")).count();
    assert_eq!(mentions, 1, "{}", worker.stderr);
}

fn waiting_has_a_time_limit(home: &Home) {
    let (_coordinator, url) = coordinator(home, &[]);
    assert_eq!(home.run(&["sweep", "submit", &sweep_file("digits.toml"), "--coordinator", &url]).code, Some(0));
    let waited = home.run(&["sweep", "wait", "last", "--coordinator", &url, "--timeout", "1s"]);
    assert_eq!(waited.code, Some(124), "{}", waited.stderr);
}

#[test]
fn other_machines_are_kept_out_unless_told_otherwise() {
    let home = Home::new();
    let refused = home.run(&["coordinator", "--listen", "0.0.0.0:0"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("--insecure"), "{}", refused.stderr);
    assert!(!home.database().exists(), "a refused start leaves no database");
}

fn a_foreign_client_needs_nothing_but_reflection(home: &Home) {
    let (_coordinator, url) = coordinator(home, &[]);
    let address = url.strip_prefix("http://").expect("the URL is plain");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/foreign_client.py");
    let output = Command::new(python()).arg(script).args([address, &sweep_file("digits.toml")]).output().expect("Python can be started");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    // The client played a worker: its made-up result is the one that counts.
    home.check_database(false);
    assert_eq!(home.rows(&["job", "list", "last", "--state", "succeeded"]).len(), 1);
}
