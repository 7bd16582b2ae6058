use super::*;
use offramp_domain::job::JobKey;

fn attempt(number: u32) -> Attempt {
    Attempt { job: JobKey::parse("0123456789abcdef0123456789abcdef").unwrap(), number }
}

fn progress(epoch: u32, loss: f64) -> Progress {
    Progress { epoch, n_epochs: 9, loss, exit_accuracy: vec![0.5], images_per_second: 1.0 }
}

fn epochs(snapshot: &Snapshot) -> Vec<(u32, Option<u32>)> {
    let attempt = |entry: &AttemptProgress| entry.attempt.as_ref().unwrap().attempt;
    snapshot.entries().iter().map(|entry| (attempt(entry), entry.progress.as_ref().map(|progress| progress.epoch))).collect()
}

fn holding(numbers: impl IntoIterator<Item = u32>) -> Held {
    let held = Held::default();
    for number in numbers {
        held.insert(&attempt(number), number, CancellationToken::new());
    }
    held
}

#[test]
fn every_attempt_is_renewed_even_without_news() {
    let held = holding([1, 2]);
    held.push(&attempt(2), progress(1, 0.5));
    assert_eq!(epochs(&held.snapshot()), [(1, None), (2, Some(1))]);
    held.remove(&attempt(1));
    assert_eq!(epochs(&held.snapshot()), [(2, Some(1))]);
}

#[test]
fn epochs_are_told_until_they_are_acknowledged() {
    let held = holding([1]);
    held.push(&attempt(1), progress(1, 0.5));
    held.push(&attempt(1), progress(2, 0.4));
    let lost = held.snapshot();
    let delivered = held.snapshot();
    assert_eq!(epochs(&lost), epochs(&delivered));
    held.push(&attempt(1), progress(3, 0.3));
    held.acknowledge(&delivered);
    assert_eq!(epochs(&held.snapshot()), [(1, Some(3))]);
    held.acknowledge(&held.snapshot());
    assert_eq!(epochs(&held.snapshot()), [(1, None)]);
    assert!(!held.snapshot().has_progress());
}

#[test]
fn an_epoch_told_anew_replaces_and_outlives_the_old_one() {
    let held = holding([1]);
    held.push(&attempt(1), progress(1, 0.5));
    let old = held.snapshot();
    held.push(&attempt(1), progress(1, 0.4));
    held.acknowledge(&old);
    let losses: Vec<f64> = held.snapshot().entries().into_iter().filter_map(|entry| Some(entry.progress?.loss)).collect();
    assert_eq!(losses, [0.4]);
}

#[test]
fn a_diverging_epoch_is_acknowledged_as_well() {
    // NaN differs from itself: an epoch with such a loss must not be told for ever.
    let held = holding([1]);
    held.push(&attempt(1), progress(1, f64::NAN));
    held.acknowledge(&held.snapshot());
    assert_eq!(epochs(&held.snapshot()), [(1, None)]);
}

#[test]
fn a_heartbeat_is_bounded_and_the_rest_follows() {
    let held = holding([1, 2]);
    for epoch in 1..=5_000 {
        held.push(&attempt(1), progress(epoch, 0.0));
    }
    let first = held.snapshot();
    // Half of 1,024 entries for each of two attempts, of which one has no news.
    assert_eq!(first.entries().len(), 512 + 1);
    held.acknowledge(&first);
    assert_eq!(epochs(&held.snapshot())[0], (1, Some(513)));
}

#[test]
fn what_is_told_before_the_first_epoch_or_of_others_is_not_kept() {
    let held = holding([1]);
    held.push(&attempt(1), progress(0, 0.5));
    held.push(&attempt(9), progress(1, 0.5));
    assert!(!held.snapshot().has_progress());
    assert!(epochs(&held.snapshot_of(&attempt(9))).is_empty());
}

#[test]
fn a_lost_lease_stops_its_run_alone() {
    let held = Held::default();
    let (stop_1, stop_2) = (CancellationToken::new(), CancellationToken::new());
    held.insert(&attempt(1), 0, stop_1.clone());
    held.insert(&attempt(2), 1, stop_2.clone());
    let unknown = AttemptId { job_key: "no key".into(), attempt: 1 };
    held.mark_stale(&[attempt_id(&attempt(2)), attempt_id(&attempt(3)), unknown]);
    assert_eq!((stop_1.is_cancelled(), stop_2.is_cancelled()), (false, true));
    assert_eq!((held.is_stale(&attempt(1)), held.is_stale(&attempt(2)), held.is_stale(&attempt(3))), (false, true, false));
}
