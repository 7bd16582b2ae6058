//! The dispatcher over a real store, whose transactions the test counts, holds up and fails.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::*;
use crate::janitor;
use crate::store::tests::{SECOND_US, START_US, TestDatabase, by, new_session, outcome, sweep_text};
use crate::store::{Beat, RetryStates};

/// Longer than anything here takes on a slow machine: a test that reaches it hangs.
const DEADLINE: Duration = Duration::from_mins(1);
const LONG_WAIT: Duration = Duration::from_mins(5);
const LEASE: Duration = Duration::from_secs(15);
const LIMITS: offramp_domain::lifecycle::Limits = offramp_domain::lifecycle::Limits { max_failures: 3, quarantine_after: 2 };

/// A store whose transactions are counted, and can be held up before their replies are passed on, or failed.
#[derive(Debug)]
struct Held {
    store: Store,
    /// The number of requests of each transaction so far.
    batches: Mutex<Vec<usize>>,
    /// One permit a transaction, once it is closed.
    gate: Semaphore,
    is_open: AtomicBool,
    /// How the next transactions fail instead.
    failures: Mutex<VecDeque<fn() -> DatabaseError>>,
    /// A request of this session fails every transaction that it is part of.
    poison: Mutex<Option<SessionId>>,
}

impl Ledger for Arc<Held> {
    async fn apply(&self, requests: &[Request], now_us: i64, lease_us: i64) -> Result<Applied, DatabaseError> {
        self.batches.lock().unwrap().push(requests.len());
        let failure = self.failures.lock().unwrap().pop_front();
        let poisoned = requests.iter().any(|request| Some(request.session) == *self.poison.lock().unwrap());
        let applied = match failure {
            Some(failure) => Err(failure()),
            None if poisoned => Err(statement_failed()),
            None => self.store.apply(requests, now_us, lease_us).await,
        };
        if !self.is_open.load(Ordering::SeqCst) {
            self.gate.acquire().await.unwrap().forget();
        }
        applied
    }
}

fn statement_failed() -> DatabaseError {
    DatabaseError::Statement(sqlx::Error::RowNotFound)
}

struct Dispatched {
    held: Arc<Held>,
    dispatch: Dispatch,
    live: Arc<Live>,
    now_us: Arc<AtomicI64>,
    shutdown: CancellationToken,
    end: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    home: TestDatabase,
}

impl std::ops::Deref for Dispatched {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.held.store
    }
}

async fn dispatched() -> Dispatched {
    dispatched_on(TestDatabase::sqlite()).await
}

async fn dispatched_on(home: TestDatabase) -> Dispatched {
    let held = Arc::new(Held {
        store: Store::open(&home.database, LIMITS).await.unwrap(),
        batches: Mutex::default(),
        gate: Semaphore::new(0),
        is_open: AtomicBool::new(true),
        failures: Mutex::default(),
        poison: Mutex::default(),
    });
    let (live, now_us) = (Arc::new(Live::default()), Arc::new(AtomicI64::new(START_US)));
    let (shutdown, end) = (CancellationToken::new(), CancellationToken::new());
    let clock = Clock::Manual(Arc::clone(&now_us));
    let (dispatch, task) = start(Arc::clone(&held), clock, Arc::clone(&live), LEASE, shutdown.clone(), end.clone());
    Dispatched { held, dispatch, live, now_us, shutdown, end, task, home }
}

impl Dispatched {
    async fn session(&self, worker: &str) -> SessionId {
        self.held.store.open_session(&new_session(worker, false), START_US).await.unwrap().id
    }

    /// Queues so many jobs, and says so.
    async fn submit(&self, name: &str, n_jobs: usize) -> i64 {
        let sweep = self.submit_in_silence(name, n_jobs).await;
        self.live.jobs_queued();
        sweep
    }

    /// Queues so many jobs as another coordinator does: nobody here is told.
    async fn submit_in_silence(&self, name: &str, n_jobs: usize) -> i64 {
        let seeds: Vec<usize> = (0..n_jobs).collect();
        let text = format!("reuse = false\n{}", sweep_text(name, r#"["none"]"#, &format!("{seeds:?}")));
        let sweep = offramp_domain::sweep::parse(&text).unwrap();
        self.held.store.submit(&sweep, &text, &by("me"), START_US).await.unwrap().sweep
    }

    /// Claims in the background.
    fn claims(&self, session: SessionId, wait: Duration) -> tokio::task::JoinHandle<Answer> {
        let dispatch = self.dispatch.clone();
        tokio::spawn(async move { dispatch.claim(Request { n_jobs: 1, ..Request::new(session) }, wait).await })
    }

    /// Claims one job, which is there.
    async fn claim(&self, session: SessionId) -> ClaimedJob {
        let request = Request { n_jobs: 1, ..Request::new(session) };
        self.dispatch.claim(request, Duration::ZERO).await.unwrap().claimed.pop().expect("a job is queued")
    }

    async fn report(&self, session: SessionId, job: &ClaimedJob, end: AttemptEnd) -> Reply {
        let reports = vec![AttemptReport { attempt: job.attempt.clone(), end }];
        self.dispatch.ask(Request { reports, ..Request::new(session) }).await.unwrap()
    }

    fn n_transactions(&self) -> usize {
        self.held.batches.lock().unwrap().len()
    }

    fn close_gate(&self) {
        self.held.is_open.store(false, Ordering::SeqCst);
    }

    /// Lets the transactions through that are held up, and all that come.
    fn open_gate(&self) {
        self.held.is_open.store(true, Ordering::SeqCst);
        self.held.gate.add_permits(1);
    }

    async fn state(&self, job: &ClaimedJob) -> String {
        self.held.store.reader().job(job.attempt.key.as_str()).await.unwrap().job.unwrap().state
    }
}

/// Waits until something holds, by looking again and again.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, looking).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}

async fn answered(claim: tokio::task::JoinHandle<Answer>) -> Reply {
    timeout(DEADLINE, claim).await.expect("it is answered in time").unwrap().unwrap()
}

#[tokio::test]
async fn requests_that_come_during_a_commit_share_the_next() {
    let dispatched = dispatched().await;
    dispatched.submit("a", 64).await;
    let mut sessions = Vec::new();
    for worker in 0..64 {
        sessions.push(dispatched.session(&format!("w{worker}")).await);
    }
    dispatched.close_gate();
    let first = dispatched.claims(sessions[0], Duration::ZERO);
    until("the first is being carried out", async || dispatched.n_transactions() == 1).await;
    let others: Vec<_> = sessions[1..].iter().map(|session| dispatched.claims(*session, Duration::ZERO)).collect();
    until("the others wait", async || dispatched.dispatch.tickets.capacity() == QUEUE_MOST - 63).await;
    dispatched.open_gate();
    let mut jobs = std::collections::HashSet::new();
    for claim in iter::once(first).chain(others) {
        let claimed = answered(claim).await.claimed;
        assert_eq!(claimed.len(), 1);
        jobs.insert(claimed[0].attempt.key.clone());
    }
    assert_eq!(jobs.len(), 64, "to each a job of its own");
    assert_eq!(*dispatched.held.batches.lock().unwrap(), [1, 63]);
}

/// Sixty-four workers at once, each claiming and reporting over and over: many requests, few transactions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_workers_share_commits_all_the_time() {
    const WORKERS: usize = 64;
    const ROUNDS: usize = 4;
    let dispatched = dispatched().await;
    dispatched.submit("a", WORKERS * ROUNDS).await;
    let mut workers = Vec::new();
    for worker in 0..WORKERS {
        let (session, dispatch) = (dispatched.session(&format!("w{worker}")).await, dispatched.dispatch.clone());
        workers.push(tokio::spawn(async move {
            for _ in 0..ROUNDS {
                let claim = Request { n_jobs: 1, ..Request::new(session) };
                let job = dispatch.claim(claim, LONG_WAIT).await.unwrap().claimed.pop().unwrap();
                let end = AttemptEnd::Completed(Box::new(outcome(&job.config_json, 0.9, &[(1.0, 0.9)])));
                let reports = vec![AttemptReport { attempt: job.attempt, end }];
                let reply = dispatch.ask(Request { reports, ..Request::new(session) }).await.unwrap();
                assert_eq!(reply.answers, [crate::store::Answer::Accepted]);
            }
        }));
    }
    for worker in workers {
        timeout(DEADLINE, worker).await.unwrap().unwrap();
    }
    let (n_requests, n_transactions) = (2 * WORKERS * ROUNDS, dispatched.n_transactions());
    assert!(n_transactions * 4 <= n_requests, "{n_requests} requests took {n_transactions} transactions");
    assert_eq!(dispatched.held.store.reader().sweep("a").await.unwrap().n_succeeded, (WORKERS * ROUNDS) as i64);
}

#[tokio::test]
async fn a_request_that_fails_its_batch_fails_alone() {
    let dispatched = dispatched().await;
    dispatched.submit("a", 9).await;
    let mut sessions = Vec::new();
    for worker in 0..9 {
        sessions.push(dispatched.session(&format!("w{worker}")).await);
    }
    dispatched.close_gate();
    let held_up = dispatched.claims(sessions[0], Duration::ZERO);
    until("the first is being carried out", async || dispatched.n_transactions() == 1).await;
    *dispatched.held.poison.lock().unwrap() = Some(sessions[5]);
    let claims: Vec<_> = sessions[1..].iter().map(|session| dispatched.claims(*session, Duration::ZERO)).collect();
    until("the others wait", async || dispatched.dispatch.tickets.capacity() == QUEUE_MOST - 8).await;
    dispatched.open_gate();
    answered(held_up).await;
    for (session, claim) in sessions[1..].iter().zip(claims) {
        let answer = timeout(DEADLINE, claim).await.unwrap().unwrap();
        if *session == sessions[5] {
            assert!(matches!(&answer, Err(DispatchError::Database(cause)) if matches!(**cause, DatabaseError::Statement(_))), "{answer:?}");
        } else {
            assert_eq!(answer.unwrap().claimed.len(), 1);
        }
    }
    // Halves, not every request in a transaction of its own: 8, then 4 (good), 4, 2, 1 (at fault), 1, 2 in the worst order.
    let batches = dispatched.held.batches.lock().unwrap()[1..].to_vec();
    assert_eq!((batches[0], batches.len()), (8, 7), "{batches:?}");
}

#[tokio::test]
async fn a_failing_database_fails_all_alike_and_once() {
    let dispatched = dispatched().await;
    let sessions = [dispatched.session("a").await, dispatched.session("b").await, dispatched.session("c").await];
    let beat = |session| Request { beats: Some(Vec::new()), ..Request::new(session) };
    dispatched.close_gate();
    let (held_up, dispatch) = (dispatched.claims(sessions[0], Duration::ZERO), dispatched.dispatch.clone());
    until("the first is being carried out", async || dispatched.n_transactions() == 1).await;
    dispatched.held.failures.lock().unwrap().push_back(|| DatabaseError::ReadOnly(sqlx::Error::RowNotFound));
    let beats: Vec<_> = sessions
        .map(|session| {
            tokio::spawn({
                let dispatch = dispatch.clone();
                async move { dispatch.ask(beat(session)).await }
            })
        })
        .into();
    until("the others wait", async || dispatched.dispatch.tickets.capacity() == QUEUE_MOST - 3).await;
    dispatched.open_gate();
    answered(held_up).await;
    for beat in beats {
        let answer = timeout(DEADLINE, beat).await.unwrap().unwrap();
        assert!(matches!(&answer, Err(DispatchError::Database(cause)) if matches!(**cause, DatabaseError::ReadOnly(_))), "{answer:?}");
    }
    assert_eq!(*dispatched.held.batches.lock().unwrap(), [1, 3], "nobody is helped by trying again for each");
    assert!(dispatched.live.take_heartbeat_failed(), "the janitor knows that nobody could be heard");
}

#[tokio::test]
async fn a_transaction_that_lost_against_another_is_tried_again() {
    let dispatched = dispatched().await;
    let session = dispatched.session("w").await;
    dispatched.submit("a", 1).await;
    let busy: fn() -> DatabaseError = || DatabaseError::Busy(sqlx::Error::RowNotFound);
    dispatched.held.failures.lock().unwrap().extend([busy, busy]);
    dispatched.claim(session).await;
    assert_eq!(dispatched.n_transactions(), 3);
    dispatched.held.failures.lock().unwrap().extend([busy, busy, busy]);
    let answer = dispatched.dispatch.ask(Request { beats: Some(Vec::new()), ..Request::new(session) }).await;
    assert!(matches!(&answer, Err(DispatchError::Database(cause)) if matches!(**cause, DatabaseError::Busy(_))), "{answer:?}");
}

/// What is queued after a claim has looked, and before it is parked, must wake it: the wake-up would be lost otherwise.
#[tokio::test]
async fn a_job_that_comes_between_the_look_and_the_parking_is_not_missed() {
    let dispatched = dispatched().await;
    let session = dispatched.session("w").await;
    dispatched.close_gate();
    let claim = dispatched.claims(session, LONG_WAIT);
    until("the claim has looked", async || dispatched.n_transactions() == 1).await;
    dispatched.submit("a", 1).await;
    let told = dispatched.n_transactions();
    dispatched.open_gate();
    assert_eq!(answered(claim).await.claimed.len(), 1);
    assert_eq!((told, dispatched.n_transactions()), (1, 2), "it was woken, and did not have to look by itself");
}

/// A claim waits; whatever happens next queues the job for it. It would find the job by itself too, a look later: that it was woken shows in the
/// queue's counter.
#[tokio::test]
async fn whatever_queues_jobs_wakes_the_claims_that_wait() {
    let dispatched = dispatched().await;
    let (store, live) = (&dispatched.held.store, &dispatched.live);
    let (holder, waiting) = (dispatched.session("holder").await, dispatched.session("waiting").await);
    let now_us = || dispatched.now_us.load(Ordering::SeqCst);
    let pass = |us: i64| dispatched.now_us.fetch_add(us, Ordering::SeqCst) + us;
    macro_rules! woken_by {
        ($what:literal, $queueing:expr) => {{
            let before = dispatched.n_transactions();
            let claim = dispatched.claims(waiting, LONG_WAIT);
            until("the claim is parked", async || dispatched.n_transactions() > before).await;
            let mut wakes = live.watch_queue();
            wakes.mark_unchanged();
            $queueing;
            assert!(wakes.has_changed().unwrap(), "not woken by {}", $what);
            answered(claim).await.claimed.pop().expect($what)
        }};
    }
    let sweep = dispatched.submit_in_silence("a", 1).await;
    let job = dispatched.claim(holder).await;
    let job = woken_by!("a job given back", dispatched.report(holder, &job, AttemptEnd::GivenBack).await);
    let job = woken_by!("a lease that ran out", {
        let expired = store.expire(pass(LEASE.as_micros() as i64)).await.unwrap();
        assert_eq!(expired.lost, std::slice::from_ref(&job.attempt));
        janitor::announce(&expired.lost, live);
    });
    let failed = AttemptEnd::Failed { kind: offramp_domain::outcome::FailureKind::Failed, message: String::new() };
    let job = woken_by!("a failure, whose back-off ends", {
        dispatched.report(waiting, &job, failed).await;
        assert!(store.expire(pass(300 * SECOND_US)).await.unwrap().promoted);
        live.jobs_queued();
    });
    let job = woken_by!("a retry", {
        store.cancel_job(&job.attempt.key, &by("me"), now_us()).await.unwrap();
        assert!(store.retry_job(&job.attempt.key, false, &by("me"), now_us()).await.unwrap().changed);
        live.jobs_queued();
    });
    woken_by!("a sweep that is resumed", {
        store.pause(sweep, &by("me"), now_us()).await.unwrap();
        dispatched.report(waiting, &job, AttemptEnd::GivenBack).await;
        assert!(store.resume(sweep, &by("me"), now_us()).await.unwrap().changed);
        live.jobs_queued();
    });
    woken_by!("a submission", dispatched.submit("b", 1).await);
}

#[tokio::test]
async fn a_result_that_jobs_wait_for_wakes_the_claims_that_wait() {
    let dispatched = dispatched().await;
    let (holder, waiting) = (dispatched.session("holder").await, dispatched.session("waiting").await);
    let after = "[[after]]\njob = { pattern = \"constant\" }\nwait_for = { pattern = \"none\" }\n";
    let text = format!("{}{after}", sweep_text("a", r#"["none", "constant"]"#, "0"));
    let sweep = offramp_domain::sweep::parse(&text).unwrap();
    dispatched.held.store.submit(&sweep, &text, &by("me"), START_US).await.unwrap();
    let first = dispatched.claim(holder).await;
    let claim = dispatched.claims(waiting, LONG_WAIT);
    until("the claim is parked", async || dispatched.n_transactions() == 2).await;
    let end = AttemptEnd::Completed(Box::new(outcome(&first.config_json, 0.9, &[(1.0, 0.9)])));
    dispatched.report(holder, &first, end).await;
    let second = answered(claim).await.claimed.remove(0);
    assert_ne!(second.attempt.key, first.attempt.key);
    // The report's transaction, and one for who was woken: nobody waited for a look.
    assert_eq!(dispatched.n_transactions(), 4);
}

#[tokio::test]
async fn what_another_coordinator_queues_is_found_in_passing() {
    for home in [Some(TestDatabase::sqlite()), TestDatabase::postgres().await].into_iter().flatten() {
        let dispatched = dispatched_on(home).await;
        let other = match &dispatched.home.database {
            crate::config::Database::Sqlite(_) => dispatched.held.store.clone(),
            postgres @ crate::config::Database::Postgres(_) => Store::open(postgres, LIMITS).await.unwrap(),
        };
        let session = dispatched.session("w").await;
        let claim = dispatched.claims(session, LONG_WAIT);
        until("the claim is parked", async || dispatched.n_transactions() == 1).await;
        let text = sweep_text("a", r#"["none"]"#, "0");
        other.submit(&offramp_domain::sweep::parse(&text).unwrap(), &text, &by("me"), START_US).await.unwrap();
        // Requests that keep coming do not put the look off.
        let busy = async {
            loop {
                dispatched.dispatch.ask(Request { beats: Some(Vec::new()), ..Request::new(session) }).await.unwrap();
            }
        };
        tokio::select! {
            reply = answered(claim) => assert_eq!(reply.claimed.len(), 1),
            () = busy => {}
        }
    }
}

#[tokio::test]
async fn a_claim_whose_caller_went_away_leases_nothing_for_long() {
    let dispatched = dispatched().await;
    let (leaving, staying) = (dispatched.session("leaving").await, dispatched.session("staying").await);
    // It hung up while the claim waits: nothing is leased to it.
    let claim = dispatched.claims(leaving, LONG_WAIT);
    until("the claim is parked", async || dispatched.n_transactions() == 1).await;
    claim.abort();
    assert!(claim.await.unwrap_err().is_cancelled());
    dispatched.submit("a", 1).await;
    let job = dispatched.claim(staying).await;
    assert_eq!(job.attempt.attempt, 1, "nobody had it before");
    dispatched.report(staying, &job, AttemptEnd::GivenBack).await;

    // It hung up while its claim is being carried out: what was leased goes back.
    dispatched.close_gate();
    let before = dispatched.n_transactions();
    let claim = dispatched.claims(leaving, LONG_WAIT);
    until("the claim is being carried out", async || dispatched.n_transactions() > before).await;
    until("it holds the job", async || dispatched.state(&job).await == "leased").await;
    claim.abort();
    assert!(claim.await.unwrap_err().is_cancelled());
    dispatched.open_gate();
    until("the job is given back", async || dispatched.state(&job).await == "queued").await;

    // It hung up with the answer on its way: the same.
    let request = Request { n_jobs: 1, ..Request::new(leaving) };
    let waiting = dispatched.dispatch.hand_in(request, false).await.unwrap();
    until("the answer has arrived", async || !waiting.answer.is_empty()).await;
    assert_eq!(dispatched.state(&job).await, "leased");
    drop(waiting);
    until("the job is given back", async || dispatched.state(&job).await == "queued").await;
    assert_eq!(dispatched.claim(staying).await.attempt.key, job.attempt.key);
}

#[tokio::test]
async fn a_worker_that_is_sent_home_stops_waiting() {
    let dispatched = dispatched().await;
    let session = dispatched.session("w").await;
    let claim = dispatched.claims(session, LONG_WAIT);
    until("the claim is parked", async || dispatched.n_transactions() == 1).await;
    assert_eq!(dispatched.held.store.drain("w", false).await.unwrap(), 1);
    dispatched.live.jobs_queued();
    let reply = answered(claim).await;
    assert_eq!((reply.draining, reply.claimed), (1, vec![]));
}

#[tokio::test]
async fn a_claim_of_a_session_that_is_over_is_refused_whenever_that_shows() {
    let dispatched = dispatched().await;
    let session = dispatched.session("w").await;
    let claim = dispatched.claims(session, LONG_WAIT);
    until("the claim is parked", async || dispatched.n_transactions() == 1).await;
    dispatched.held.store.close_session(session, START_US).await.unwrap();
    dispatched.live.jobs_queued();
    let answer = timeout(DEADLINE, claim).await.unwrap().unwrap();
    assert!(matches!(&answer, Err(DispatchError::Session(_))), "{answer:?}");
    let answer = dispatched.dispatch.claim(Request { n_jobs: 1, ..Request::new(session) }, LONG_WAIT).await;
    assert!(matches!(&answer, Err(DispatchError::Session(_))), "{answer:?}");
}

#[tokio::test]
async fn the_end_answers_whoever_waits() {
    let dispatched = dispatched().await;
    let session = dispatched.session("w").await;
    let claim = dispatched.claims(session, LONG_WAIT);
    until("the claim is parked", async || dispatched.n_transactions() == 1).await;
    dispatched.shutdown.cancel();
    assert_eq!(answered(claim).await, Reply::default());
    assert_eq!(answered(dispatched.claims(session, LONG_WAIT)).await, Reply::default(), "nobody starts to wait any more");
    // What is under way is still written.
    dispatched.dispatch.ask(Request { beats: Some(Vec::new()), ..Request::new(session) }).await.unwrap();
    dispatched.end.cancel();
    let Dispatched { task, dispatch, .. } = dispatched;
    timeout(DEADLINE, task).await.unwrap().unwrap();
    let answer = dispatch.ask(Request::new(session)).await;
    assert!(matches!(answer, Err(DispatchError::Ending)), "{answer:?}");
}

#[tokio::test]
async fn a_claim_gives_up_after_its_time() {
    let dispatched = dispatched().await;
    let session = dispatched.session("w").await;
    assert_eq!(answered(dispatched.claims(session, Duration::from_millis(1))).await, Reply::default());
}

#[tokio::test]
async fn a_report_frees_a_job_for_a_claim_of_the_same_batch() {
    let dispatched = dispatched().await;
    let (holder, other) = (dispatched.session("holder").await, dispatched.session("other").await);
    dispatched.submit("a", 1).await;
    let job = dispatched.claim(holder).await;
    let reports = vec![AttemptReport { attempt: job.attempt.clone(), end: AttemptEnd::GivenBack }];
    let reply = dispatched.dispatch.ask(Request { reports, n_jobs: 1, ..Request::new(holder) }).await.unwrap();
    assert_eq!(reply.claimed.len(), 1, "to the same worker");
    assert_eq!(reply.claimed[0].attempt.attempt, 2);
    let beat = Beat { attempt: job.attempt.clone(), progress: None };
    let reply = dispatched.dispatch.ask(Request { beats: Some(vec![beat]), ..Request::new(other) }).await.unwrap();
    assert_eq!(reply.stale, [job.attempt]);
}

/// More claims wait than one transaction takes: everyone is served who can be, in the order in which they came.
#[tokio::test]
async fn a_thousand_waiting_claims_are_served_together() {
    let dispatched = dispatched().await;
    let session = dispatched.session("w").await;
    let n_claims = WOKEN_MOST + 76;
    let claims: Vec<_> = (0..n_claims).map(|_| dispatched.claims(session, LONG_WAIT)).collect();
    let parked = async || dispatched.held.batches.lock().unwrap().iter().sum::<usize>() >= n_claims;
    until("all have looked", parked).await;
    let before = dispatched.n_transactions();
    let sweep = dispatched.submit("a", n_claims).await;
    for claim in claims {
        assert_eq!(answered(claim).await.claimed.len(), 1);
    }
    // Two for those that were woken, and what looks fell in between.
    assert!(dispatched.n_transactions() - before <= 8, "{:?}", &dispatched.held.batches.lock().unwrap()[before..]);
    let cancelled = RetryStates { cancelled: true, ..RetryStates::default() };
    assert!(!dispatched.held.store.retry_sweep(sweep, cancelled, &by("me"), START_US).await.unwrap().changed);
}
