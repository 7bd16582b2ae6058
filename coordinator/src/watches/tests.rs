//! Watches over a real store.

use std::sync::atomic::Ordering;

use tokio::time::timeout;

use super::*;
use crate::store::SessionId;
use crate::store::tests::{Fixture, START_US, TestDatabase, by, sweep_text};

/// Longer than anything here takes on a slow machine: a test that reaches it hangs.
const DEADLINE: Duration = Duration::from_mins(1);

struct Watched {
    watches: Arc<Watches>,
    store: Store,
    live: Arc<Live>,
    shutdown: CancellationToken,
    sweep: i64,
    session: SessionId,
    _home: TestDatabase,
}

/// A sweep of two jobs.
async fn watched() -> Watched {
    let Fixture { store, home } = Fixture::sqlite().await;
    let sweep = store.submit_text(&sweep_text("a", r#"["none"]"#, "[0, 1]")).await.sweep;
    let session = store.session("w").await;
    Watched { watches: Arc::default(), store, live: Arc::default(), shutdown: CancellationToken::new(), sweep, session, _home: home }
}

impl Watched {
    fn follow(&self) -> watch::Receiver<Seen> {
        self.watches.follow(self.sweep, &self.store, &self.live, &self.shutdown)
    }

    fn n_looks(&self) -> usize {
        self.watches.n_looks.load(Ordering::SeqCst)
    }

    async fn complete_next(&self) {
        self.store.complete_next(self.session, &[(1.0, 0.9)]).await;
        self.live.jobs_changed();
    }

    fn listen(&self) -> mpsc::Receiver<Result<v1::SweepStatus, Status>> {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(pass_on(self.follow(), sender, self.shutdown.clone()));
        receiver
    }
}

fn n_succeeded(seen: &Seen) -> Option<i64> {
    seen.as_ref().map(|status| status.as_ref().unwrap().sweep.as_ref().unwrap().n_succeeded)
}

/// Waits until a receiver has seen so many jobs succeed.
async fn sees(receiver: &mut watch::Receiver<Seen>, n_jobs: i64) {
    timeout(DEADLINE, receiver.wait_for(|seen| n_succeeded(seen) == Some(n_jobs))).await.expect("it is seen in time").unwrap();
}

async fn next(listener: &mut mpsc::Receiver<Result<v1::SweepStatus, Status>>) -> Option<Result<i64, Status>> {
    let told = timeout(DEADLINE, listener.recv()).await.expect("it is told in time");
    told.map(|status| status.map(|status| status.sweep.unwrap().n_succeeded))
}

#[tokio::test]
async fn many_viewers_are_one_question_to_the_database() {
    let watched = watched().await;
    let mut viewers: Vec<_> = (0..100).map(|_| watched.follow()).collect();
    for viewer in &mut viewers {
        sees(viewer, 0).await;
    }
    assert_eq!(watched.n_looks(), 1);
    let late = watched.follow();
    assert_eq!(n_succeeded(&late.borrow()), Some(0), "who comes late sees at once what the others see");
    // However much is announced meanwhile, it is one more look, or two where the first was already under way.
    for _ in 0..1_000 {
        watched.live.jobs_changed();
    }
    watched.complete_next().await;
    for viewer in &mut viewers {
        sees(viewer, 1).await;
    }
    assert!((2..10).contains(&watched.n_looks()), "{}", watched.n_looks());
}

#[tokio::test]
async fn a_finished_sweep_is_told_and_followed_no_longer() {
    let watched = watched().await;
    let mut viewer = watched.follow();
    sees(&mut viewer, 0).await;
    watched.complete_next().await;
    watched.complete_next().await;
    sees(&mut viewer, 2).await;
    assert!(timeout(DEADLINE, viewer.changed()).await.unwrap().is_err(), "nobody follows any more");
    assert!(watched.watches.sweeps().is_empty());
    let looks = watched.n_looks();
    let mut listener = watched.listen();
    assert_eq!(next(&mut listener).await.unwrap().unwrap(), 2, "who comes then is told how it ended");
    assert!(next(&mut listener).await.is_none());
    assert_eq!(watched.n_looks(), looks + 1);
}

#[tokio::test]
async fn what_another_coordinator_changes_is_seen_a_look_later() {
    let watched = watched().await;
    let mut viewer = watched.follow();
    sees(&mut viewer, 0).await;
    watched.store.complete_next(watched.session, &[(1.0, 0.9)]).await;
    sees(&mut viewer, 1).await;
}

#[tokio::test]
async fn a_cancelled_sweep_is_over_and_a_paused_one_is_not() {
    let watched = watched().await;
    let mut listener = watched.listen();
    assert_eq!(next(&mut listener).await.unwrap().unwrap(), 0);
    watched.store.pause(watched.sweep, &by("me"), START_US).await.unwrap();
    watched.live.jobs_changed();
    let paused = timeout(DEADLINE, listener.recv()).await.unwrap().unwrap().unwrap();
    assert_eq!(paused.sweep.unwrap().state, "paused");
    watched.store.cancel_sweep(watched.sweep, &by("me"), START_US).await.unwrap();
    watched.live.jobs_changed();
    let cancelled = timeout(DEADLINE, listener.recv()).await.unwrap().unwrap().unwrap();
    assert_eq!(cancelled.sweep.unwrap().state, "cancelled");
    assert!(next(&mut listener).await.is_none());
}

#[tokio::test]
async fn nobody_is_followed_for_nobody() {
    let watched = watched().await;
    let (mut staying, leaving) = (watched.follow(), watched.follow());
    sees(&mut staying, 0).await;
    drop(leaving);
    watched.complete_next().await;
    sees(&mut staying, 1).await;
    drop(staying);
    watched.live.jobs_changed();
    let ended = async {
        while !watched.watches.sweeps().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, ended).await.expect("the last follower ends");
    let mut again = watched.follow();
    sees(&mut again, 1).await;
}

#[tokio::test]
async fn a_slow_viewer_is_told_less_and_the_newest() {
    let watched = watched().await;
    let mut slow = watched.listen();
    let mut quick = watched.follow();
    sees(&mut quick, 0).await;
    // It reads nothing: one message lies ready, and one waits to be sent at most.
    watched.complete_next().await;
    sees(&mut quick, 1).await;
    watched.complete_next().await;
    sees(&mut quick, 2).await;
    let mut told = Vec::new();
    while let Some(status) = next(&mut slow).await {
        told.push(status.unwrap());
    }
    assert!(told.is_sorted() && told.len() <= 3 && told.last() == Some(&2), "{told:?}");
}

#[tokio::test]
async fn the_end_of_the_coordinator_is_not_that_of_the_sweep() {
    let watched = watched().await;
    let mut listener = watched.listen();
    assert_eq!(next(&mut listener).await.unwrap().unwrap(), 0);
    watched.shutdown.cancel();
    let status = next(&mut listener).await.unwrap().unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert!(next(&mut listener).await.is_none());
}
