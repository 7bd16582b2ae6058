//! A coordinator that dies at the worst moments: right before a commit, and between a commit and its answer.

use offramp_tests::{DEADLINE, Home, Started, on_both_engines, sweep_file, wait_until};

/// What a coordinator ends with at a failpoint.
const AT_A_FAILPOINT: i32 = 86;

/// Long enough that nothing lapses while a coordinator is started again: what is done twice is done twice because of a repeated request.
const LEASES: [&str; 4] = ["--lease-seconds", "20", "--heartbeat-seconds", "1"];

on_both_engines! {
    what_workers_ask_for_is_done_once_or_not_at_all,
    a_submission_is_there_whole_or_not_at_all_and_may_be_repeated,
    what_people_ask_for_may_be_repeated,
    a_worker_comes_in_spite_of_a_coordinator_that_dies_on_it,
}

fn start(home: &Home, listen: &str, failpoints: &str) -> Started {
    let faults: &[&str] = if failpoints.is_empty() { &[] } else { &["--failpoints", failpoints] };
    home.start(&[&["coordinator", "--listen", listen], &LEASES[..], faults].concat())
}

fn url(coordinator: &Started) -> String {
    wait_until("the coordinator to print its address", DEADLINE, || {
        let text = coordinator.stdout();
        let begin = text.find("http://")?;
        let end = begin + text[begin..].find(char::is_whitespace)?;
        Some(text[begin..end].to_owned())
    })
}

fn address(url: &str) -> &str {
    url.strip_prefix("http://").expect("the URL is plain")
}

fn ends_at_its_failpoint(coordinator: Started) {
    let ended = coordinator.finish(DEADLINE);
    assert_eq!(ended.code, Some(AT_A_FAILPOINT), "{}", ended.stderr);
}

fn what_workers_ask_for_is_done_once_or_not_at_all(home: &Home) {
    // The hits come early, late and in between: claims, heartbeats and reports all pass these places.
    let failpoints = ["before-commit=exit@2", "after-commit=exit@1", "after-commit=exit@6", "before-commit=exit@9", "after-commit=exit@15"];
    let first = start(home, "127.0.0.1:0", "");
    let url = url(&first);
    assert_eq!(home.run(&["sweep", "submit", &sweep_file("digits.toml"), "--coordinator", &url]).code, Some(0));
    let worker = home.start(&["worker", "--coordinator", &url, "--slots", "2", "--trainer", "simulated", "--simulate", "epoch-ms=20"]);
    wait_until("a running job", DEADLINE, || (!home.rows(&["job", "list", "last", "--state", "leased"]).is_empty()).then_some(()));
    first.signal("KILL");
    first.finish(DEADLINE);
    for failpoint in failpoints {
        let coordinator = start(home, address(&url), &format!("apply.{failpoint}"));
        ends_at_its_failpoint(coordinator);
        home.check_database(false);
    }
    let _last = start(home, address(&url), "");
    wait_until("the sweep to finish", DEADLINE, || {
        (home.run(&["sweep", "wait", "last", "--coordinator", &url, "--timeout", "60s"]).code == Some(0)).then_some(())
    });
    // Not even a claim whose answer was lost cost a result; the worker never ended.
    home.check_database(false);
    assert!(home.rows(&["job", "list", "last"]).iter().all(|job| job["state"] == "succeeded" && job["n_failures"] == 0));
    worker.signal("TERM");
    assert_eq!(worker.finish(DEADLINE).code, Some(0));
}

fn a_submission_is_there_whole_or_not_at_all_and_may_be_repeated(home: &Home) {
    for (failpoint, n_sweeps) in [("submit.in-the-middle", 0), ("submit.before-commit", 0), ("submit.after-commit", 1)] {
        let coordinator = start(home, "127.0.0.1:0", &format!("{failpoint}=exit@1"));
        let url = url(&coordinator);
        // The client tries again by itself, against nobody: it is told of the outage at last, or ended here.
        let submission = home.start(&["sweep", "submit", &sweep_file("digits.toml"), "--coordinator", &url]);
        ends_at_its_failpoint(coordinator);
        home.check_database(false);
        let count = |view: &str| home.query(&format!("select count(*) from {view}"))[0][0].as_u64();
        assert_eq!(count("v_sweeps"), Some(n_sweeps), "{failpoint}");
        assert_eq!(count("v_jobs"), Some(16 * n_sweeps), "{failpoint}");
        drop(submission);
    }
    let coordinator = start(home, "127.0.0.1:0", "");
    let url = url(&coordinator);
    assert_eq!(home.run(&["sweep", "submit", &sweep_file("digits.toml"), "--coordinator", &url]).code, Some(0));
    assert_eq!(home.query("select n_jobs from v_sweeps"), [[16]]);
    home.check_database(false);
}

fn what_people_ask_for_may_be_repeated(home: &Home) {
    let coordinator = start(home, "127.0.0.1:0", "");
    let url = url(&coordinator);
    assert_eq!(home.run(&["sweep", "submit", &sweep_file("digits.toml"), "--coordinator", &url]).code, Some(0));
    coordinator.signal("TERM");
    assert_eq!(coordinator.finish(DEADLINE).code, Some(0));
    let cases = [
        ("control.before-commit=exit@1", "pause", "running", "paused"),
        ("control.after-commit=exit@1", "cancel", "cancelled", "cancelled"),
    ];
    for (failpoint, command, left_as, at_last) in cases {
        let state = || home.query("select state from v_sweeps");
        let coordinator = start(home, address(&url), failpoint);
        self::url(&coordinator);
        let asked = home.start(&["sweep", command, "last", "--coordinator", &url]);
        ends_at_its_failpoint(coordinator);
        home.check_database(false);
        assert_eq!(state(), [[left_as]], "{failpoint}");
        // The command asks a coordinator that is back the same once more, by itself.
        let back = start(home, address(&url), "");
        let answered = asked.finish(DEADLINE);
        assert_eq!(answered.code, Some(0), "{failpoint}: {}", answered.stderr);
        assert_eq!(state(), [[at_last]], "{failpoint}");
        home.check_database(false);
        back.signal("TERM");
        assert_eq!(back.finish(DEADLINE).code, Some(0));
    }
}

fn a_worker_comes_in_spite_of_a_coordinator_that_dies_on_it(home: &Home) {
    let first = start(home, "127.0.0.1:0", "session.before-commit=exit@1");
    let url = url(&first);
    let worker = home.start(&["worker", "--coordinator", &url, "--name", "patient", "--slots", "1", "--trainer", "simulated"]);
    ends_at_its_failpoint(first);
    ends_at_its_failpoint(start(home, address(&url), "session.after-commit=exit@1"));
    let _last = start(home, address(&url), "");
    assert_eq!(home.run(&["sweep", "submit", &sweep_file("digits.toml"), "--coordinator", &url]).code, Some(0));
    wait_until("a result", DEADLINE, || (!home.rows(&["job", "list", "last", "--state", "succeeded"]).is_empty()).then_some(()));
    home.check_database(false);
    worker.signal("TERM");
    assert_eq!(worker.finish(DEADLINE).code, Some(0));
}
