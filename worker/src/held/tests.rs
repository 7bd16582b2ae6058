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
    assert!(epochs(&held.news_of(&[attempt(1), attempt(9)])).is_empty());
}

#[test]
fn news_of_some_attempts_leave_out_the_others_and_share_one_heartbeat() {
    let held = holding([1, 2, 3]);
    for epoch in 1..=600 {
        for number in [1, 3] {
            held.push(&attempt(number), progress(epoch, 0.0));
        }
    }
    let told = |wanted: &[u32]| {
        let wanted: Vec<Attempt> = wanted.iter().map(|number| attempt(*number)).collect();
        let told = epochs(&held.news_of(&wanted));
        [1, 2, 3].map(|number| told.iter().filter(|(of, _)| *of == number).count())
    };
    assert_eq!(told(&[1, 2]), [512, 0, 0]);
    assert_eq!(told(&[3, 1]), [512, 0, 512]);
    assert_eq!(told(&[2]), [0, 0, 0]);
    assert_eq!(told(&[]), [0, 0, 0]);
}

#[test]
fn lost_leases_stop_their_runs_alone() {
    let held = Held::default();
    let stops: Vec<CancellationToken> = (0..3).map(|_| CancellationToken::new()).collect();
    for (number, stop) in (1..).zip(&stops) {
        held.insert(&attempt(number), 0, stop.clone());
    }
    let id = |number| attempt_id(&attempt(number));
    let unknown = AttemptId { job_key: "no key".into(), attempt: 1 };
    held.mark_lost(&[id(2), id(3), id(4), unknown], &[id(3)]);
    assert_eq!(stops.iter().map(CancellationToken::is_cancelled).collect::<Vec<_>>(), [false, true, true]);
    let lost = [1, 2, 3, 4].map(|number| held.lost(&attempt(number)));
    assert_eq!(lost, [None, Some(Lost::Stale), Some(Lost::Cancelled), None]);
}

#[test]
fn a_cancelled_attempt_need_not_be_called_stale_as_well() {
    let held = holding([1]);
    held.mark_lost(&[], &[attempt_id(&attempt(1))]);
    assert_eq!(held.lost(&attempt(1)), Some(Lost::Cancelled));
}
