//! Takes back, once a second, what was lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::live::Live;
use crate::store::{AttemptRef, DatabaseError, Store};

/// No longer than the shortest lease, so that a lost job waits for its lease and hardly longer.
const TICK: Duration = Duration::from_secs(1);
/// Two ticks that succeed further apart than this say that the process stood still or the database took no writes: then no heartbeat could be
/// taken either, and silence says nothing about a worker. Above one tick, which a busy machine stretches.
const PAUSE: Duration = TICK.saturating_mul(2);
/// What is left of every lease after a time in which no worker could be heard, microseconds: a whole lease at least.
pub(crate) fn grace_us(lease: Duration, grace: Duration) -> i64 {
    micros(lease.max(grace))
}

/// Longer than a tick takes that does not wait for a database which stands still.
const TICK_WITHIN: Duration = Duration::from_secs(15);

/// Ticks until `shutdown`, and says in `works` whether the last tick succeeded.
pub(crate) async fn run(
    store: Store,
    clock: Clock,
    live: Arc<Live>,
    grace_us: i64,
    works: watch::Sender<bool>,
    shutdown: CancellationToken,
) {
    let mut janitor = Janitor { store, live, grace_us, last_us: clock.now_us(), prolonged: false };
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        let failure = match tokio::time::timeout(TICK_WITHIN, janitor.tick(clock.now_us())).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(crate::chain(&error)),
            Err(_) => Some(format!("the database has not answered for {} s", TICK_WITHIN.as_secs())),
        };
        // Said once, not every second of an outage.
        if let (Some(error), false) = (&failure, failing) {
            warn!(error, "lost leases cannot be taken back");
        }
        failing = failure.is_some();
        works.send_if_modified(|works| std::mem::replace(works, !failing) == failing);
    }
}

struct Janitor {
    store: Store,
    live: Arc<Live>,
    grace_us: i64,
    /// When a tick last succeeded.
    last_us: i64,
    /// Whether that tick prolonged leases.
    prolonged: bool,
}

impl Janitor {
    /// Takes back the leases that ran out. After a time in which no worker could be heard, lets all of them last for some more instead.
    async fn tick(&mut self, now_us: i64) -> Result<(), DatabaseError> {
        let pause_us = now_us - self.last_us;
        // Asked for at every tick, whatever else speaks for an extension.
        let heartbeat_failed = self.live.take_heartbeat_failed();
        let prolongs = heartbeat_failed || pause_us > micros(PAUSE);
        if prolongs {
            // Until it succeeds, the next tick tries it again.
            self.store
                .extend_leases(now_us, self.grace_us, self.last_us - self.grace_us)
                .await
                .inspect_err(|_| self.live.heartbeat_failed())?;
            // Said once: a tick that waited long for the database is followed by another that finds a pause.
            if !self.prolonged {
                warn!(pause_s = pause_us as f64 / 1e6, "workers could not be heard for a while, leases are prolonged");
            }
            if self.store.promote(now_us).await? {
                self.live.jobs_queued();
            }
        } else {
            let expired = self.store.expire(now_us).await?;
            announce(&expired.lost, &self.live);
            if expired.promoted {
                self.live.jobs_queued();
            }
        }
        self.last_us = now_us;
        self.prolonged = prolongs;
        Ok(())
    }
}

fn micros(duration: Duration) -> i64 {
    duration.as_micros() as i64
}

/// Tells the log and whoever waits that these attempts are over and their jobs queued again.
pub(crate) fn announce(lost: &[AttemptRef], live: &Live) {
    if lost.is_empty() {
        return;
    }
    for AttemptRef { key, attempt } in lost {
        info!(job = key.id(), attempt, "lease lost, job queued again");
    }
    live.forget(lost);
    live.jobs_queued();
}

#[cfg(test)]
mod tests {
    use offramp_domain::outcome::FailureKind;

    use super::*;
    use crate::store::SessionId;
    use crate::store::tests::{Fixture, LEASE_US, SECOND_US, START_US, on_both_engines, sweep_text};

    on_both_engines! {
        a_silent_workers_lease_runs_out_while_the_janitor_keeps_ticking,
        after_a_pause_a_worker_has_a_whole_lease_to_be_heard_again,
        a_worker_that_does_not_come_back_after_a_pause_loses_its_lease,
        a_heartbeat_that_could_not_be_recorded_is_not_held_against_the_worker,
        writes_that_failed_count_as_a_pause,
        waiting_workers_are_told_of_jobs_whose_back_off_is_over,
    }

    /// A janitor that has just ticked, and a lease taken at that moment.
    async fn with_a_lease(store: &Fixture) -> (Janitor, SessionId, AttemptRef) {
        store.submit_text(&sweep_text("a", r#"["none"]"#, "0")).await;
        let session = store.session("w").await;
        let attempt = store.claim_one(session, START_US).await.unwrap().attempt;
        let janitor = Janitor { store: store.store.clone(), live: Arc::default(), grace_us: LEASE_US, last_us: START_US, prolonged: false };
        (janitor, session, attempt)
    }

    async fn state(store: &Store) -> String {
        store.jobs().await[0].state.clone()
    }

    async fn a_silent_workers_lease_runs_out_while_the_janitor_keeps_ticking(store: Fixture) {
        let (mut janitor, _, _) = with_a_lease(&store).await;
        for second in 1..15 {
            janitor.tick(START_US + second * SECOND_US).await.unwrap();
            assert_eq!(state(&store).await, "leased", "after {second} s");
        }
        janitor.tick(START_US + LEASE_US).await.unwrap();
        assert_eq!(state(&store).await, "queued");
    }

    async fn after_a_pause_a_worker_has_a_whole_lease_to_be_heard_again(store: Fixture) {
        let (mut janitor, session, attempt) = with_a_lease(&store).await;
        let back_us = START_US + 100 * SECOND_US;
        janitor.tick(back_us).await.unwrap();
        for second in 1..15 {
            janitor.tick(back_us + second * SECOND_US).await.unwrap();
        }
        let reply = janitor.store.beat(session, &[&attempt], back_us + 14 * SECOND_US).await.unwrap();
        assert_eq!(reply.stale, [], "its work goes on");
    }

    async fn a_worker_that_does_not_come_back_after_a_pause_loses_its_lease(store: Fixture) {
        let (mut janitor, _, _) = with_a_lease(&store).await;
        let back_us = START_US + 100 * SECOND_US;
        for second in 0..15 {
            janitor.tick(back_us + second * SECOND_US).await.unwrap();
        }
        assert_eq!(state(&store).await, "leased");
        janitor.tick(back_us + LEASE_US).await.unwrap();
        assert_eq!(state(&store).await, "queued");
    }

    /// On a full disk a tick that has nothing to write succeeds, where a heartbeat does not.
    async fn a_heartbeat_that_could_not_be_recorded_is_not_held_against_the_worker(store: Fixture) {
        let (mut janitor, session, attempt) = with_a_lease(&store).await;
        for second in 1..15 {
            janitor.tick(START_US + second * SECOND_US).await.unwrap();
            janitor.live.heartbeat_failed();
        }
        janitor.tick(START_US + LEASE_US).await.unwrap();
        janitor.tick(START_US + LEASE_US + SECOND_US).await.unwrap();
        let reply = janitor.store.beat(session, &[&attempt], START_US + LEASE_US + SECOND_US).await.unwrap();
        assert_eq!(reply.stale, [], "its work goes on");
    }

    #[test]
    fn grace_is_a_lease_and_long_enough_to_come_back_in() {
        assert_eq!(grace_us(Duration::from_secs(15), Duration::from_secs(10)), 15 * SECOND_US);
        assert_eq!(grace_us(Duration::from_secs(2), Duration::from_secs(10)), 10 * SECOND_US);
    }

    async fn writes_that_failed_count_as_a_pause(store: Fixture) {
        let (mut janitor, _, _) = with_a_lease(&store).await;
        // A closed database takes as little as a full disk.
        janitor.store.close().await;
        for second in 1..20 {
            janitor.tick(START_US + second * SECOND_US).await.unwrap_err();
        }
        let last_us = janitor.last_us;
        drop(janitor);
        let store = store.reopened().await;
        let mut janitor = Janitor { store: store.store.clone(), live: Arc::default(), grace_us: LEASE_US, last_us, prolonged: false };
        janitor.tick(START_US + 20 * SECOND_US).await.unwrap();
        assert_eq!(state(&store).await, "leased");
    }

    async fn waiting_workers_are_told_of_jobs_whose_back_off_is_over(store: Fixture) {
        let (mut janitor, session, attempt) = with_a_lease(&store).await;
        store.fail(session, &attempt, FailureKind::Failed, "once", START_US).await;
        let queue = janitor.live.watch_queue();
        // The first back-off is half a second at least, and a second at most.
        janitor.tick(START_US + SECOND_US / 2 - 1).await.unwrap();
        assert!(!queue.has_changed().unwrap());
        janitor.tick(START_US + SECOND_US).await.unwrap();
        assert!(queue.has_changed().unwrap());
        assert!(store.claim_one(session, START_US + SECOND_US).await.is_some());
    }
}
