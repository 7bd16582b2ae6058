//! Which workers get which jobs.

use offramp_domain::outcome::FailureKind;
use offramp_domain::placement::DeviceKind;

use super::*;

on_both_engines! {
    a_worker_gets_what_it_meets_and_nothing_else,
    what_is_not_known_meets_no_requirement,
    a_worker_without_the_dataset_gets_no_job_of_it,
    a_worker_that_meets_several_gets_the_first_of_all,
    a_later_sweep_may_need_something_else_of_a_waiting_job,
    new_requirements_are_learnt_of_by_every_coordinator,
    a_job_that_found_no_good_data_goes_to_a_worker_with_other_data,
    a_job_that_finds_no_good_data_anywhere_fails_at_once,
}

/// A sweep whose jobs need something; nothing where the table is empty.
async fn sweep(store: &Store, name: &str, requirements: &str, seeds: &str) -> i64 {
    let text = sweep_text(name, r#"["none"]"#, seeds);
    let table = if requirements.is_empty() { String::new() } else { format!("[requirements]\n{requirements}\n") };
    store.submit_text(&format!("{text}{table}")).await.sweep
}

async fn worker(store: &Store, name: &str, capabilities: Capabilities) -> SessionId {
    store.open_session(&NewSession { capabilities, ..new_session(name, false) }, START_US).await.unwrap().id
}

fn offering(device: DeviceKind, memory_mib: u64, labels: &[&str]) -> Capabilities {
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    Capabilities { device: Some(device), memory_mib: Some(memory_mib), datasets: Datasets::Any, labels }
}

/// The seeds of all jobs that a worker is given, which gives them back.
async fn given(store: &Store, session: SessionId) -> Vec<u64> {
    let claimed = store.claim(session, 99, START_US).await;
    for job in &claimed {
        store.give_back(session, &job.attempt, START_US).await;
    }
    claimed.iter().map(|job| offramp_domain::job::JobConfig::from_json(&job.config_json).unwrap().seed).collect()
}

async fn a_worker_gets_what_it_meets_and_nothing_else(store: Fixture) {
    sweep(&store, "any", "", "0").await;
    sweep(&store, "gpu", "device = \"cuda\"", "1").await;
    sweep(&store, "large", "device = \"cuda\"\nmemory_mib = 8000", "2").await;
    sweep(&store, "labelled", "labels = [\"a100\", \"nvlink\"]", "3").await;
    for (name, capabilities, seeds) in [
        ("cpu", offering(DeviceKind::Cpu, 64_000, &[]), &[0][..]),
        ("small", offering(DeviceKind::Cuda, 7_999, &["a100"]), &[0, 1]),
        ("large", offering(DeviceKind::Cuda, 8_000, &[]), &[0, 1, 2]),
        ("all", offering(DeviceKind::Cuda, 80_000, &["nvlink", "fast", "a100"]), &[0, 1, 2, 3]),
        ("labels", offering(DeviceKind::Vulkan, 1, &["nvlink", "a100"]), &[0, 3]),
    ] {
        let session = worker(&store, name, capabilities).await;
        let mut given = given(&store, session).await;
        given.sort_unstable();
        assert_eq!(given, seeds, "{name}");
    }
    let requirements: Vec<String> = store.jobs().await.into_iter().map(|job| job.requirements).collect();
    assert_eq!(requirements, ["-", "cuda", "cuda, 8000 MiB", "a100, nvlink"]);
}

async fn what_is_not_known_meets_no_requirement(store: Fixture) {
    sweep(&store, "any", "", "0").await;
    sweep(&store, "memory", "memory_mib = 1", "1").await;
    sweep(&store, "device", "device = \"cpu\"", "2").await;
    // The worker of most tests says nothing of itself.
    let session = store.session("w").await;
    assert_eq!(given(&store, session).await, [0]);
}

async fn a_worker_without_the_dataset_gets_no_job_of_it(store: Fixture) {
    let text = sweep_text("a", r#"["none"]"#, "[0, 1]").replace(r#"dataset = "digits""#, r#"dataset = ["digits", "cifar10"]"#);
    store.submit_text(&text).await;
    let named = |names: &[&str]| {
        let datasets = Datasets::Named(names.iter().map(|name| (*name).to_owned()).collect());
        Capabilities { device: None, memory_mib: None, datasets, labels: vec![] }
    };
    for (names, n_jobs) in [(&[][..], 0), (&["svhn"], 0), (&["digits"], 2), (&["svhn", "cifar10"], 2), (&["digits", "cifar10"], 4)] {
        let session = worker(&store, "w", named(names)).await;
        assert_eq!(given(&store, session).await.len(), n_jobs, "{names:?}");
    }
}

async fn a_worker_that_meets_several_gets_the_first_of_all(store: Fixture) {
    sweep(&store, "plain", "", "[0, 2, 4]").await;
    sweep(&store, "gpu", "device = \"cuda\"", "[1, 3, 5]").await;
    let urgent = sweep(&store, "urgent", "labels = [\"fast\"]", "6").await;
    store.prioritize_sweep(urgent, 4, &by("me"), START_US).await.unwrap();
    let session = worker(&store, "w", offering(DeviceKind::Cuda, 1, &["fast"])).await;
    let mut order = Vec::new();
    for _ in 0..7 {
        let job = store.claim_one(session, START_US).await.unwrap();
        order.push(offramp_domain::job::JobConfig::from_json(&job.config_json).unwrap().seed);
    }
    assert_eq!(order, [6, 0, 1, 2, 3, 4, 5]);
}

async fn a_later_sweep_may_need_something_else_of_a_waiting_job(store: Fixture) {
    sweep(&store, "a", "device = \"cuda\"", "[0, 1]").await;
    let session = store.session("w").await;
    assert_eq!(given(&store, session).await, [0; 0]);
    sweep(&store, "b", "", "[1, 2]").await;
    let mut found = given(&store, session).await;
    found.sort_unstable();
    assert_eq!(found, [1, 2]);
}

async fn new_requirements_are_learnt_of_by_every_coordinator(store: Fixture) {
    sweep(&store, "a", "", "0").await;
    let session = worker(&store, "w", offering(DeviceKind::Cuda, 1, &[])).await;
    assert_eq!(given(&store, session).await, [0]);
    // What another coordinator stores, this one finds; on SQLite, where there is one alone, what it stores itself.
    if store.is_postgres() {
        let other = Store::open(&store.home.database, LIMITS).await.unwrap();
        sweep(&other, "b", "device = \"cuda\"", "1").await;
    } else {
        sweep(&store, "b", "device = \"cuda\"", "1").await;
    }
    assert_eq!(given(&store, session).await, [0, 1]);
}

/// What a worker with these datasets offers.
fn having(names: &[&str]) -> Capabilities {
    let datasets = Datasets::Named(names.iter().map(|name| (*name).to_owned()).collect());
    Capabilities { device: None, memory_mib: None, datasets, labels: vec![] }
}

async fn datasets_offered(store: &Store, session: SessionId) -> String {
    let rows = store.rows(&format!("SELECT datasets FROM sessions WHERE id = {}", session.id)).await;
    rows[0].get("datasets").unwrap()
}

async fn a_job_that_found_no_good_data_goes_to_a_worker_with_other_data(store: Fixture) {
    let text = sweep_text("a", r#"["none"]"#, "0").replace(r#"dataset = "digits""#, r#"dataset = ["digits", "cifar10"]"#);
    store.submit_text(&text).await;
    let bad = worker(&store, "bad", having(&["cifar10", "digits"])).await;
    let good = worker(&store, "good", having(&["cifar10"])).await;
    let jobs = store.claim(bad, 9, START_US).await;
    let of = |dataset: &str| jobs.iter().find(|job| job.config_json.contains(dataset)).unwrap().attempt.clone();
    store.give_back(bad, &of("digits"), START_US).await;

    // It asks for more in the same breath, and is not given the same again.
    let end = AttemptEnd::Failed { kind: FailureKind::NoData, message: "`test_batch.bin` is empty".into() };
    let report = AttemptReport { attempt: of("cifar10"), end };
    let request = Request { reports: vec![report.clone()], n_jobs: 9, ..Request::new(bad) };
    let reply = store.ask(request, START_US).await.unwrap();
    assert_eq!(reply.answers, [Answer::Accepted]);
    assert!(reply.claimed.iter().all(|job| job.config_json.contains("digits")) && reply.claimed.len() == 1, "{reply:?}");
    assert_eq!(datasets_offered(&store, bad).await, r#"["digits"]"#);
    let repeated = store.ask(Request { reports: vec![report], ..Request::new(bad) }, START_US).await.unwrap();
    assert_eq!(repeated.answers, [Answer::Accepted], "the same report again");

    // At once, and as a failure that counts.
    let again = store.claim(good, 9, START_US).await;
    assert_eq!(again.iter().map(|job| job.attempt.attempt).collect::<Vec<_>>(), [2]);
    let row = store.jobs().await.into_iter().find(|job| job.dataset == "cifar10").unwrap();
    assert_eq!((row.n_failures, row.error.as_str()), (1, "`test_batch.bin` is empty"));
}

async fn a_job_that_finds_no_good_data_anywhere_fails_at_once(store: Fixture) {
    store.submit_text(&sweep_text("a", r#"["none"]"#, "[0, 1]")).await;
    let only = worker(&store, "only", having(&["digits", "svhn"])).await;
    worker(&store, "other", having(&["svhn"])).await;
    let attempt = store.claim_one(only, START_US).await.unwrap().attempt;
    store.fail(only, &attempt, FailureKind::NoData, "damaged", START_US).await;
    let states: Vec<String> = store.jobs().await.into_iter().map(|job| job.state).collect();
    assert_eq!(states, ["failed", "queued"]);
    // The next one is to be told the same, and not to wait for nobody.
    assert_eq!(datasets_offered(&store, only).await, r#"["digits","svhn"]"#);
    assert!(store.claim_one(only, START_US).await.is_some());
}
