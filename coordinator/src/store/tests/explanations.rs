//! Why a job is not running, and what became of it.

use offramp_domain::placement::DeviceKind;
use offramp_proto::v1;

use super::*;

on_both_engines! {
    a_running_job_needs_no_reason,
    a_waiting_job_names_what_it_waits_for,
    without_workers_nothing_runs,
    the_nearest_worker_is_named_with_what_it_lacks,
    busy_workers_and_the_jobs_ahead_are_counted,
    a_back_off_says_for_how_long,
    a_paused_sweep_says_by_whom,
    a_job_that_is_over_says_how,
    a_jobs_whole_story_is_told_in_order,
    a_sweeps_own_events_are_kept,
}

async fn reasons(store: &Store, key: &str) -> Vec<String> {
    store.reader().explain(key, START_US).await.unwrap().reasons
}

async fn submit(store: &Store, seeds: &str) -> Vec<String> {
    store.submit_text(&sweep_text("a", r#"["none"]"#, seeds)).await;
    store.jobs().await.into_iter().map(|job| job.job_key).collect()
}

async fn a_running_job_needs_no_reason(store: Fixture) {
    let keys = submit(&store, "0").await;
    let session = store.session("w").await;
    store.claim_one(session, START_US).await.unwrap();
    let explanation = store.reader().explain(&keys[0], START_US).await.unwrap();
    assert_eq!((explanation.reasons, explanation.n_ahead), (vec![], 0));
    let fit = v1::WorkerFit { worker: "w".into(), n_slots: 2, n_leased: 1, lacks: vec![] };
    assert_eq!(explanation.workers, [fit]);
    assert!(matches!(store.reader().explain("ffff", START_US).await, Err(LookupError::NoSuchJob(_))));
}

async fn a_waiting_job_names_what_it_waits_for(store: Fixture) {
    let after = "[[after]]\njob = { seed = 0 }\nwait_for = { seed = [1, 2] }\n";
    store.submit_text(&format!("{}{after}", sweep_text("a", r#"["none"]"#, "[0, 1, 2]"))).await;
    let keys: Vec<String> = store.jobs().await.into_iter().map(|job| job.job_key).collect();
    let session = store.session("w").await;
    let waits = |key: &str, state: &str| format!("it waits for the result of job `{}`, which is {state}", &key[..12]);
    assert_eq!(reasons(&store, &keys[0]).await, [waits(&keys[1], "queued"), waits(&keys[2], "queued")]);
    store.complete_next(session, &[(1.0, 0.5)]).await;
    store.claim_one(session, START_US).await.unwrap();
    assert_eq!(reasons(&store, &keys[0]).await, [waits(&keys[2], "leased")]);
}

async fn without_workers_nothing_runs(store: Fixture) {
    let keys = submit(&store, "0").await;
    assert_eq!(reasons(&store, &keys[0]).await, ["no worker is connected"]);
    let session = store.session("w").await;
    store.close_session(session, START_US).await.unwrap();
    assert_eq!(reasons(&store, &keys[0]).await, ["no worker is connected"]);
    store.session("w").await;
    assert_eq!(reasons(&store, &keys[0]).await, [""; 0], "nothing keeps it");
}

async fn the_nearest_worker_is_named_with_what_it_lacks(store: Fixture) {
    let text = sweep_text("a", r#"["none"]"#, "0");
    store.submit_text(&format!("{text}[requirements]\ndevice = \"cuda\"\nmemory_mib = 8000\nlabels = [\"a100\"]\n")).await;
    let key = store.jobs().await.remove(0).job_key;
    let offer = |device, labels: &[&str]| Capabilities {
        device: Some(device),
        memory_mib: Some(8_000),
        datasets: Datasets::Any,
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
    };
    for (worker, capabilities) in [("far", offer(DeviceKind::Cpu, &[])), ("near", offer(DeviceKind::Cuda, &["a10"]))] {
        store.open_session(&NewSession { capabilities, ..new_session(worker, false) }, START_US).await.unwrap();
    }
    let explanation = store.reader().explain(&key, START_US).await.unwrap();
    let needs = "dataset `digits`, cuda, 8000 MiB, a100";
    let reason = format!("no worker can run it (it needs {needs}); the nearest is `near`: no label `a100`");
    assert_eq!(explanation.reasons, [reason]);
    let lacks: Vec<(String, Vec<String>)> = explanation.workers.into_iter().map(|fit| (fit.worker, fit.lacks)).collect();
    let far = vec!["device cpu, needs cuda".to_owned(), "no label `a100`".to_owned()];
    assert_eq!(lacks, [("near".to_owned(), vec!["no label `a100`".to_owned()]), ("far".to_owned(), far)]);
    // A worker that could and goes home is no help either.
    let able = NewSession { capabilities: offer(DeviceKind::Cuda, &["a100"]), ..new_session("able", false) };
    store.open_session(&able, START_US).await.unwrap();
    store.drain("able", false).await.unwrap();
    assert!(reasons(&store, &key).await[0].ends_with("the nearest is `able`: it is draining"));
}

async fn busy_workers_and_the_jobs_ahead_are_counted(store: Fixture) {
    let keys = submit(&store, "[0, 1, 2, 3, 4, 5]").await;
    let session = store.session("w").await;
    assert_eq!(reasons(&store, &keys[5]).await, ["5 jobs are ahead of it"]);
    store.claim(session, 2, START_US).await;
    let explanation = store.reader().explain(&keys[5], START_US).await.unwrap();
    assert_eq!(explanation.reasons, ["all 1 workers that can run it are busy; 3 jobs are ahead of it"]);
    assert_eq!((explanation.n_ahead, explanation.more_ahead), (3, false));
    // Its own priority counts.
    let key = offramp_domain::job::JobKey::parse(&keys[5]).unwrap();
    store.prioritize_job(&key, 1, &by("me"), START_US).await.unwrap();
    assert_eq!(store.reader().explain(&keys[5], START_US).await.unwrap().n_ahead, 0);
}

async fn a_back_off_says_for_how_long(store: Fixture) {
    let keys = submit(&store, "0").await;
    let session = store.session("w").await;
    let attempt = store.claim_one(session, START_US).await.unwrap().attempt;
    store.fail(session, &attempt, FailureKind::Failed, "broken", START_US).await;
    let until_us = store.job(&attempt).await.not_before_us.unwrap();
    let seconds = (until_us - START_US) as f64 / 1e6;
    assert_eq!(reasons(&store, &keys[0]).await, [format!("it failed (1 of its tries) and is tried again in {seconds:.1} s")]);
}

async fn a_paused_sweep_says_by_whom(store: Fixture) {
    let keys = submit(&store, "0").await;
    store.session("w").await;
    let other = store.submit_text(&sweep_text("b", r#"["none"]"#, "[0, 1]")).await.sweep;
    let lunch = Requester { who: "me".into(), reason: "lunch".into() };
    store.pause(1, &lunch, START_US).await.unwrap();
    assert_eq!(reasons(&store, &keys[0]).await, [""; 0], "the other sweep wants it");
    store.cancel_sweep(other, &by("you"), START_US).await.unwrap();
    let expected = ["sweep 1 (`a`), which wants it, is paused by me: lunch", "sweep 2 (`b`), which wants it, is cancelled by you"];
    assert_eq!(reasons(&store, &keys[0]).await, expected);
}

async fn a_job_that_is_over_says_how(store: Fixture) {
    let keys = submit(&store, "[0, 1, 2]").await;
    let session = store.session("w").await;
    store.complete_next(session, &[(1.0, 0.5)]).await;
    let attempt = store.claim_one(session, START_US).await.unwrap().attempt;
    store.fail(session, &attempt, FailureKind::Diverged, "loss is NaN", START_US).await;
    store.cancel_job(&offramp_domain::job::JobKey::parse(&keys[2]).unwrap(), &by("me"), START_US).await.unwrap();
    for (key, reason) in keys.iter().zip(["succeeded", "diverged: loss is NaN", "cancelled: cancelled by me"]) {
        assert_eq!(reasons(&store, key).await, [format!("it is over: {reason}")]);
    }
}

async fn a_jobs_whole_story_is_told_in_order(store: Fixture) {
    submit(&store, "0").await;
    let (first, second) = (store.session("first").await, store.session("second").await);
    let at = |seconds: i64| START_US + seconds * SECOND_US;
    let attempt = store.claim_one(first, at(1)).await.unwrap().attempt;
    store.fail(first, &attempt, FailureKind::Crashed, "signal 9", at(2)).await;
    store.expire(at(4)).await.unwrap();
    let lost = store.claim_one(second, at(5)).await.unwrap().attempt;
    assert_eq!(store.lost(at(20)).await, [lost]);
    let given_back = store.claim_one(first, at(21)).await.unwrap().attempt;
    store.give_back(first, &given_back, at(22)).await;
    let because = |who: &str, reason: &str| Requester { who: who.into(), reason: reason.into() };
    store.prioritize_job(&attempt.key, 3, &because("ann", "deadline"), at(23)).await.unwrap();
    store.cancel_job(&attempt.key, &because("bob", "typo"), at(24)).await.unwrap();
    store.retry_job(&attempt.key, false, &because("ann", ""), at(25)).await.unwrap();
    let job = store.claim_one(second, at(26)).await.unwrap();
    store.complete(second, &job.attempt, &outcome(&job.config_json, 0.9, &[(1.0, 0.9)]), at(27)).await;

    let events = store.reader().job(attempt.key.id()).await.unwrap().events;
    let told: Vec<String> = events
        .iter()
        .map(|event| {
            let second = (event.at_us - START_US) / SECOND_US;
            format!("{second} {} {} {} {} {}", event.attempt, event.event, event.state, event.who, event.message)
        })
        .collect();
    let expected = [
        "0 0 submitted queued somebody ",
        "1 1 claimed leased first ",
        "2 1 crashed queued first signal 9",
        "5 2 claimed leased second ",
        "20 2 lost queued coordinator the lease ran out",
        "21 3 claimed leased first ",
        "22 3 preempted queued first given back",
        "23 3 prioritized queued ann priority 3: deadline",
        "24 3 cancelled cancelled bob typo",
        "25 3 retried queued ann ",
        "26 4 claimed leased second ",
        "27 4 succeeded succeeded second ",
    ];
    assert_eq!(told, expected);
    assert!(events.iter().all(|event| event.job.as_deref() == Some(attempt.key.id())));
}

async fn a_sweeps_own_events_are_kept(store: Fixture) {
    submit(&store, "0").await;
    for (second, pauses) in [(1, true), (2, false), (3, true)] {
        let now_us = START_US + second * SECOND_US;
        let changed = if pauses { store.pause(1, &by("me"), now_us).await } else { store.resume(1, &by("me"), now_us).await };
        assert!(changed.unwrap().changed);
    }
    store.prioritize_sweep(1, 4, &by("me"), START_US + 4 * SECOND_US).await.unwrap();
    store.cancel_sweep(1, &by("me"), START_US + 5 * SECOND_US).await.unwrap();
    let rows = store.rows("SELECT event, state, message FROM v_events WHERE sweep = 1 AND job IS NULL ORDER BY at_us").await;
    let told: Vec<[String; 3]> = rows.iter().map(|row| ["event", "state", "message"].map(|column| row.get(column).unwrap())).collect();
    let expected = [
        ["paused", "paused", ""],
        ["resumed", "active", ""],
        ["paused", "paused", ""],
        ["prioritized", "", "priority 4"],
        ["cancelled", "cancelled", ""],
    ];
    assert_eq!(told, expected.map(|event| event.map(str::to_owned)));
}
