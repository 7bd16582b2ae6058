//! In which order jobs are handed out.

use std::collections::HashMap;

use super::*;

on_both_engines! {
    higher_priorities_come_first,
    a_jobs_own_priority_adds_to_its_sweeps,
    sweeps_of_one_priority_take_turns,
    a_later_sweep_neither_waits_behind_the_whole_earlier_one_nor_overtakes_it,
    a_job_that_came_back_does_not_let_a_later_sweep_overtake,
    no_priority_starves,
    a_sweep_of_a_new_priority_queues_up_there,
    a_resumed_sweep_queues_up_behind_what_waits,
    a_shared_job_goes_with_its_most_urgent_sweep,
    a_claim_can_be_for_one_sweep_alone,
    few_jobs_are_spread_over_those_who_want_some,
}

/// Submits a sweep whose jobs are told apart by the hundreds of their seeds.
async fn sweep(store: &Store, name: &str, priority: i32, seeds: std::ops::Range<u32>) -> i64 {
    let seeds = format!("{{ from = {}, to = {} }}", seeds.start, seeds.end - 1);
    let text = sweep_text(name, r#"["none"]"#, &seeds);
    store.submit_text(&format!("priority = {priority}\n{text}")).await.sweep
}

fn seed(job: &ClaimedJob) -> u64 {
    offramp_domain::job::JobConfig::from_json(&job.config_json).unwrap().seed
}

/// Claims jobs one by one; the hundreds of their seeds.
async fn claim_order(store: &Store, session: SessionId, n_jobs: usize) -> Vec<u64> {
    let mut order = Vec::new();
    for _ in 0..n_jobs {
        order.push(seed(&store.claim_one(session, START_US).await.expect("a job is queued")) / 100);
    }
    order
}

async fn higher_priorities_come_first(store: Fixture) {
    sweep(&store, "usual", 0, 100..104).await;
    sweep(&store, "low", -3, 200..202).await;
    sweep(&store, "urgent", 7, 300..303).await;
    let session = store.session("w").await;
    assert_eq!(claim_order(&store, session, 9).await, [3, 3, 3, 1, 1, 1, 1, 2, 2]);
}

async fn a_jobs_own_priority_adds_to_its_sweeps(store: Fixture) {
    let first = sweep(&store, "a", 1, 100..104).await;
    sweep(&store, "b", 2, 200..202).await;
    let jobs = store.jobs().await;
    let key = |index: usize| offramp_domain::job::JobKey::parse(&jobs[index].job_key).unwrap();
    let set = store.prioritize_job(&key(3), 5, &by("me"), START_US).await.unwrap();
    assert_eq!((set.n_jobs, set.changed), (1, true));
    assert_eq!(store.prioritize_job(&key(3), 5, &by("me"), START_US).await.unwrap(), Controlled::default());
    store.prioritize_job(&key(0), -9, &by("me"), START_US).await.unwrap();
    assert_eq!(store.jobs().await.iter().map(|job| job.priority).collect::<Vec<_>>(), [-8, 1, 1, 6, 2, 2]);
    // What the sweep is given, its jobs get on top of their own.
    store.prioritize_sweep(first, 3, &by("me"), START_US).await.unwrap();
    assert_eq!(store.jobs().await.iter().map(|job| job.priority).collect::<Vec<_>>(), [-6, 3, 3, 8, 2, 2]);
    let session = store.session("w").await;
    let order: Vec<u64> = store.claim(session, 9, START_US).await.iter().map(seed).collect();
    assert_eq!(order, [103, 101, 102, 200, 201, 100]);
    let attempt = AttemptRef { key: key(3), attempt: 1 };
    store.fail(session, &attempt, FailureKind::Diverged, "nan", START_US).await;
    let refused = store.prioritize_job(&key(3), 1, &by("me"), START_US).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("job `{}` is diverged already", key(3).id()));
}

async fn sweeps_of_one_priority_take_turns(store: Fixture) {
    sweep(&store, "a", 0, 100..110).await;
    sweep(&store, "b", 0, 200..205).await;
    sweep(&store, "c", 0, 300..310).await;
    let session = store.session("w").await;
    let order = claim_order(&store, session, 25).await;
    // While all three have jobs, each gets one in three.
    for round in order[..15].chunks(3) {
        assert_eq!(round, [1, 2, 3], "{order:?}");
    }
    for round in order[15..].chunks(2) {
        assert_eq!(round, [1, 3], "{order:?}");
    }
}

async fn a_later_sweep_neither_waits_behind_the_whole_earlier_one_nor_overtakes_it(store: Fixture) {
    sweep(&store, "a", 0, 100..150).await;
    let session = store.session("w").await;
    assert_eq!(claim_order(&store, session, 30).await, [1; 30]);
    sweep(&store, "b", 0, 200..240).await;
    let order = claim_order(&store, session, 40).await;
    for (n_jobs, job) in order.iter().enumerate() {
        let n_later = order[..=n_jobs].iter().filter(|sweep| **sweep == 2).count();
        assert!(n_later.abs_diff(n_jobs + 1 - n_later) <= 2, "job {n_jobs} of sweep {job}: {order:?}");
    }
    assert_eq!(claim_order(&store, session, 20).await, [2; 20]);
}

async fn a_job_that_came_back_does_not_let_a_later_sweep_overtake(store: Fixture) {
    sweep(&store, "a", 0, 100..150).await;
    let (slow, session) = (store.session("slow").await, store.session("w").await);
    let first = store.claim_one(slow, START_US).await.unwrap();
    assert_eq!(claim_order(&store, session, 30).await, [1; 30]);
    // The very first job is queued again, with the turn that it had.
    store.give_back(slow, &first.attempt, START_US).await;
    sweep(&store, "b", 0, 200..240).await;
    let order = claim_order(&store, session, 20).await;
    assert_eq!(order[0], 1, "it does not wait a second time");
    let n_later = order.iter().filter(|sweep| **sweep == 2).count();
    assert!((9..=11).contains(&n_later), "{order:?}");
}

async fn no_priority_starves(store: Fixture) {
    sweep(&store, "high", 5, 1_000..1_200).await;
    sweep(&store, "usual", 0, 200..250).await;
    sweep(&store, "low", -5, 300..350).await;
    let session = store.session("w").await;
    let order = claim_order(&store, session, 160).await;
    let mut counts: HashMap<u64, usize> = HashMap::new();
    for sweep in &order {
        *counts.entry(if *sweep >= 10 { 10 } else { *sweep }).or_default() += 1;
    }
    // One in sixteen from below, from one level after the other.
    assert_eq!(counts, HashMap::from([(10, 150), (2, 5), (3, 5)]), "{order:?}");
    let below: Vec<u64> = order.into_iter().filter(|sweep| *sweep < 10).collect();
    assert!(below.windows(2).all(|pair| pair[0] != pair[1]), "{below:?}");
    // A batch gives as many of its jobs away as the single claims would have.
    let batch = store.claim(session, 32, START_US).await;
    assert_eq!(batch.iter().filter(|job| seed(job) < 1_000).count(), 2);
}

async fn a_sweep_of_a_new_priority_queues_up_there(store: Fixture) {
    sweep(&store, "a", 3, 100..140).await;
    let later = sweep(&store, "b", 0, 200..210).await;
    let session = store.session("w").await;
    assert_eq!(claim_order(&store, session, 15).await, [1; 15]);
    let set = store.prioritize_sweep(later, 3, &by("me"), START_US).await.unwrap();
    assert_eq!((set.n_jobs, set.changed), (10, true));
    assert_eq!(store.reader().sweep("b").await.unwrap().priority, 3);
    let order = claim_order(&store, session, 20).await;
    for round in order.chunks(2) {
        assert_eq!(round.iter().sum::<u64>(), 3, "one of each: {order:?}");
    }
    assert_eq!(store.prioritize_sweep(later, 3, &by("me"), START_US).await.unwrap(), Controlled::default());
}

async fn a_resumed_sweep_queues_up_behind_what_waits(store: Fixture) {
    let paused = sweep(&store, "a", 0, 100..120).await;
    sweep(&store, "b", 0, 200..240).await;
    let session = store.session("w").await;
    store.pause(paused, &by("me"), START_US).await.unwrap();
    assert_eq!(claim_order(&store, session, 20).await, [2; 20]);
    store.resume(paused, &by("me"), START_US).await.unwrap();
    let order = claim_order(&store, session, 40).await;
    for round in order.chunks(2) {
        assert_eq!(round.iter().sum::<u64>(), 3, "one of each, no catching up: {order:?}");
    }
}

async fn a_shared_job_goes_with_its_most_urgent_sweep(store: Fixture) {
    sweep(&store, "a", 0, 100..104).await;
    let urgent = sweep(&store, "b", 9, 103..105).await;
    assert_eq!(store.jobs().await.iter().map(|job| job.priority).collect::<Vec<_>>(), [0, 0, 0, 9, 9]);
    // What the urgent one no longer wants is as urgent as the other has it.
    store.pause(urgent, &by("me"), START_US).await.unwrap();
    let session = store.session("w").await;
    let order: Vec<u64> = store.claim(session, 9, START_US).await.iter().map(seed).collect();
    assert_eq!(order, [100, 101, 102, 103], "the urgent sweep's own job waits with it");
    store.resume(urgent, &by("me"), START_US).await.unwrap();
    assert_eq!(store.claim(session, 9, START_US).await.iter().map(seed).collect::<Vec<_>>(), [104]);
}

async fn a_claim_can_be_for_one_sweep_alone(store: Fixture) {
    sweep(&store, "a", 9, 100..103).await;
    let wanted = sweep(&store, "b", 0, 102..105).await;
    let session = store.session("w").await;
    let of_sweep = |n_jobs| Request { n_jobs, sweep: Some(wanted), ..Request::new(session) };
    let claimed = store.ask(of_sweep(9), START_US).await.unwrap().claimed;
    assert_eq!(claimed.iter().map(seed).collect::<Vec<_>>(), [102, 103, 104], "the shared job is more urgent, and belongs to it as well");
    assert_eq!(store.ask(of_sweep(1), START_US).await.unwrap().claimed, []);
    assert_eq!(store.claim(session, 9, START_US).await.iter().map(seed).collect::<Vec<_>>(), [100, 101]);
}

async fn few_jobs_are_spread_over_those_who_want_some(store: Fixture) {
    sweep(&store, "a", 0, 100..105).await;
    let mut requests = Vec::new();
    for worker in ["one", "two", "three"] {
        requests.push(Request { n_jobs: 4, ..Request::new(store.session(worker).await) });
    }
    let replies = store.apply(&requests, START_US, LEASE_US).await.unwrap().replies;
    let claimed: Vec<Vec<u64>> = replies.into_iter().map(|reply| reply.unwrap().claimed.iter().map(seed).collect()).collect();
    assert_eq!(claimed, [vec![100, 103], vec![101, 104], vec![102]]);
}
