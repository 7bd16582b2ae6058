//! Followed frontiers over a real store.

use std::sync::atomic::Ordering;

use tokio::time::timeout;

use super::*;
use crate::store::tests::{Fixture, TestDatabase, sweep_text};
use crate::store::{CostMetric, Grouping, SessionId};

/// Longer than anything here takes on a slow machine: a test that reaches it hangs.
const DEADLINE: Duration = Duration::from_mins(1);

struct Watched {
    watches: Arc<FrontierWatches>,
    store: Store,
    live: Arc<Live>,
    shutdown: CancellationToken,
    sweep: i64,
    session: SessionId,
    _home: TestDatabase,
}

/// A sweep of four jobs.
async fn watched() -> Watched {
    let Fixture { store, home } = Fixture::sqlite().await;
    let sweep = store.submit_text(&sweep_text("a", r#"["constant"]"#, "[0, 1, 2, 3]")).await.sweep;
    let session = store.session("w").await;
    Watched { watches: Arc::default(), store, live: Arc::default(), shutdown: CancellationToken::new(), sweep, session, _home: home }
}

type Viewer = mpsc::Receiver<Result<v1::FrontierChange, Status>>;

impl Watched {
    fn which(&self) -> FrontierFilter {
        FrontierFilter { sweep: Some(self.sweep), grouping: Grouping::Dataset, metric: CostMetric::MacsCascade }
    }

    fn follow(&self) -> watch::Receiver<Seen> {
        self.watches.follow(self.which(), &self.store, &self.live, &self.shutdown).unwrap()
    }

    fn view(&self, dataset: &str) -> Viewer {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(pass_on(self.follow(), dataset.to_owned(), sender, self.shutdown.clone()));
        receiver
    }

    /// Completes a job with one point: this share of the samples goes all the way, and the others leave at the first exit.
    async fn complete_next(&self, share: f64, accuracy: f64) {
        self.store.complete_next(self.session, &[(share, accuracy)]).await;
        self.live.results_changed();
    }

    fn n_looks(&self) -> usize {
        self.watches.n_looks.load(Ordering::SeqCst)
    }

    /// Waits until there are so many points in all.
    async fn holds(&self, n_points: usize) {
        let holds = |seen: &Seen| seen.as_ref().is_some_and(|seen| seen.as_ref().unwrap().points.len() == n_points);
        timeout(DEADLINE, self.follow().wait_for(holds)).await.expect("it is seen in time").unwrap();
    }
}

async fn next(viewer: &mut Viewer) -> Result<v1::FrontierChange, Status> {
    timeout(DEADLINE, viewer.recv()).await.expect("it is told in time").expect("the stream goes on")
}

fn accuracies(points: &[v1::FrontierRow]) -> Vec<f64> {
    points.iter().map(|point| point.accuracy).collect()
}

#[tokio::test]
async fn a_viewer_hears_what_there_is_and_then_what_changes() {
    let watched = watched().await;
    watched.complete_next(0.5, 0.5).await;
    let mut viewer = watched.view("");
    let first = next(&mut viewer).await.unwrap();
    assert_eq!((first.whole, accuracies(&first.entered), first.left.len(), first.groups.len()), (true, vec![0.5], 0, 1));
    assert_eq!((first.groups[0].dataset.as_str(), first.groups[0].n_points), ("digits", 1));

    watched.complete_next(1.0, 0.7).await;
    let second = next(&mut viewer).await.unwrap();
    assert_eq!((second.whole, accuracies(&second.entered), second.left.len()), (false, vec![0.7], 0));
    assert_eq!(second.groups[0].n_points, 2);
    assert!(second.groups[0].hypervolume > first.groups[0].hypervolume);

    // Both are displaced: whoever adds up what it was told has what there is.
    watched.complete_next(0.5, 0.9).await;
    let third = next(&mut viewer).await.unwrap();
    assert_eq!((accuracies(&third.entered), accuracies(&third.left)), (vec![0.9], vec![0.5, 0.7]));
    // One rectangle: up to the power of two that no cost so far is above, and from chance among ten classes up.
    let group = &third.groups[0];
    let dearest = second.entered[0].cost;
    assert!((dearest..2.0 * dearest).contains(&group.reference_cost) && group.reference_cost.log2().fract() == 0.0, "{group:?}");
    assert_eq!((group.n_points, group.reference_accuracy), (1, 0.1));
    let area = (group.reference_cost - third.entered[0].cost) * 0.8;
    assert!((group.hypervolume - area).abs() <= 1e-12 * area, "{} is not {area}", group.hypervolume);
}

#[tokio::test]
async fn many_viewers_are_one_question_and_what_changes_nothing_is_not_told() {
    let watched = watched().await;
    let mut viewers: Vec<Viewer> = (0..50).map(|_| watched.view("")).collect();
    for viewer in &mut viewers {
        assert_eq!(next(viewer).await.unwrap(), v1::FrontierChange { whole: true, ..Default::default() });
    }
    assert_eq!(watched.n_looks(), 1);
    watched.complete_next(0.5, 0.5).await;
    watched.holds(1).await;
    let n_looks = watched.n_looks();
    // Dominated: the next message is of what comes after it.
    watched.complete_next(1.0, 0.4).await;
    watched.complete_next(1.0, 0.6).await;
    for viewer in &mut viewers {
        assert_eq!(accuracies(&next(viewer).await.unwrap().entered), [0.5]);
        assert_eq!(accuracies(&next(viewer).await.unwrap().entered), [0.6]);
    }
    assert!(watched.n_looks() <= n_looks + 3, "{} looks after {n_looks}", watched.n_looks());
}

#[tokio::test]
async fn a_slow_viewer_gets_one_large_change() {
    let watched = watched().await;
    let mut viewer = watched.view("");
    watched.holds(0).await;
    // The first message fills the room there is; what happens while it lies there becomes one.
    for (share, accuracy) in [(0.25, 0.3), (0.5, 0.5), (0.75, 0.7), (1.0, 0.9)] {
        watched.complete_next(share, accuracy).await;
    }
    watched.holds(4).await;
    let mut heard = Vec::new();
    let mut n_messages = 0;
    while heard.len() < 4 {
        heard.extend(accuracies(&next(&mut viewer).await.unwrap().entered));
        n_messages += 1;
    }
    assert_eq!(heard, [0.3, 0.5, 0.7, 0.9]);
    assert!(n_messages <= 3, "the whole, at most one that was under way, and the rest: {n_messages}");
}

#[tokio::test]
async fn a_viewer_of_one_dataset_hears_of_no_other() {
    let watched = watched().await;
    let mut viewer = watched.view("mnist");
    assert!(next(&mut viewer).await.unwrap().whole);
    watched.complete_next(1.0, 0.5).await;
    watched.holds(1).await;
    watched.shutdown.cancel();
    assert_eq!(next(&mut viewer).await.unwrap_err().code(), tonic::Code::Unavailable, "and that is the next that it hears");
}

#[tokio::test]
async fn there_is_a_bound_on_what_is_followed() {
    let watched = watched().await;
    let follow = |sweep| {
        let which = FrontierFilter { sweep: Some(sweep), ..watched.which() };
        watched.watches.follow(which, &watched.store, &watched.live, &watched.shutdown)
    };
    let followed: Vec<_> = (0..FOLLOWED_MOST as i64).map(|sweep| follow(sweep + 1).unwrap()).collect();
    assert_eq!(follow(-1).unwrap_err().code(), tonic::Code::ResourceExhausted);
    follow(1).expect("another viewer of the same costs nothing");
    drop(followed);
}

#[test]
fn a_group_that_loses_its_last_point_is_told_as_empty() {
    let group = v1::FrontierGroup { dataset: "d".into(), n_points: 1, hypervolume: 0.5, ..Default::default() };
    let before = Frontiers { points: vec![v1::FrontierRow { dataset: "d".into(), ..Default::default() }], groups: vec![group.clone()] };
    let change = change(Some(&before), &Frontiers::default(), "");
    assert_eq!((change.entered.len(), change.left.len()), (0, 1));
    assert_eq!(change.groups, [v1::FrontierGroup { n_points: 0, hypervolume: 0.0, ..group }]);
}
