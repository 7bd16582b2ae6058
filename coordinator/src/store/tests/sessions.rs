use super::*;

on_both_engines! {
    closing_a_session_gives_its_leases_back,
    a_session_that_is_over_is_told_so,
    leases_are_prolonged_and_never_cut,
    silent_sessions_lapse_unless_they_hold_a_lease,
    what_an_earlier_process_held_is_lost_at_once,
    a_real_trainer_does_not_share_a_database_with_simulated_ones,
    a_simulated_trainer_does_not_share_a_database_with_real_ones,
    a_session_of_another_database_is_unknown,
    a_worker_that_left_nothing_behind_keeps_no_trainer_out,
}

async fn closing_a_session_gives_its_leases_back(store: Fixture) {
    store.submit_text(&sweep_text("a", r#"["none"]"#, "[0, 1, 2]")).await;
    let (leaving, staying) = (store.session("leaving").await, store.session("staying").await);
    let left = store.claim(leaving, 2, START_US).await;
    let kept = store.claim_one(staying, START_US).await.unwrap().attempt;
    let released = store.close_session(leaving, START_US).await.unwrap();
    assert_eq!(released, left.into_iter().map(|job| job.attempt).collect::<Vec<_>>());
    assert_eq!(store.close_session(leaving, START_US).await.unwrap(), [], "closing again changes nothing");
    assert_eq!(store.attempt_outcomes(&released[0]).await, ["preempted"]);
    assert_eq!(store.job(&kept).await.state, "leased");
    assert_eq!(store.claim(staying, 64, START_US).await.len(), 2, "claimable at once");
}

async fn a_session_that_is_over_is_told_so(store: Fixture) {
    let session = store.session("w").await;
    assert!(store.is_open(session).await);
    store.close_session(session, START_US).await.unwrap();
    assert!(!store.is_open(session).await);
    let claim = Request { n_jobs: 1, ..Request::new(session) };
    assert!(matches!(store.ask(claim, START_US).await, Err(SessionError::Gone(gone)) if gone == session));
}

async fn a_session_of_another_database_is_unknown(here: Fixture) {
    let there = Fixture::sqlite().await;
    let foreign = there.open_session(&new_session("w", false), START_US + 1).await.unwrap().id;
    let own = here.session("w").await;
    assert_eq!(own.to_string().split('-').next(), foreign.to_string().split('-').next(), "the same number in both");
    assert!(!here.is_open(foreign).await);

    // Nor can it speak for an attempt that the session of that number holds.
    here.submit_text(&sweep_text("a", r#"["none"]"#, "0")).await;
    let job = here.claim_one(own, START_US).await.unwrap();
    let result = outcome(&job.config_json, 0.9, &[(1.0, 0.9)]);
    assert_eq!(here.complete(foreign, &job.attempt, &result, START_US).await, Answer::Stale);
    assert_eq!(here.fail(foreign, &job.attempt, FailureKind::Failed, "forged", START_US).await, Answer::Stale);
    assert_eq!(here.give_back(foreign, &job.attempt, START_US).await, Answer::Stale);
    assert_eq!(here.close_session(foreign, START_US).await.unwrap(), []);
    assert_eq!(here.attempt_outcomes(&job.attempt).await, ["running"]);
    assert_eq!(here.complete(own, &job.attempt, &result, START_US).await, Answer::Accepted);
}

async fn leases_are_prolonged_and_never_cut(store: Fixture) {
    store.submit_text(&sweep_text("a", r#"["none"]"#, "[0, 1]")).await;
    let session = store.session("w").await;
    let short = store.claim_one(session, START_US).await.unwrap().attempt;
    let claim = Request { n_jobs: 1, ..Request::new(session) };
    let claimed = store.apply(&[claim], START_US, 10 * LEASE_US).await.unwrap().replies.remove(0).unwrap().claimed;
    let long = claimed[0].attempt.clone();
    store.extend_leases(START_US + LEASE_US, LEASE_US, START_US).await.unwrap();
    assert_eq!(store.lost(START_US + 2 * LEASE_US - 1).await, []);
    assert_eq!(store.lost(START_US + 2 * LEASE_US).await, [short]);
    assert_eq!(store.lost(START_US + 10 * LEASE_US - 1).await, []);
    assert_eq!(store.lost(START_US + 10 * LEASE_US).await, [long]);
}

async fn silent_sessions_lapse_unless_they_hold_a_lease(store: Fixture) {
    store.submit_text(&sweep_text("a", r#"["none"]"#, "0")).await;
    let (idle, busy, talking) = (store.session("idle").await, store.session("busy").await, store.session("talking").await);
    let later = START_US + 601 * SECOND_US;
    assert_eq!(store.claim(busy, 1, later - SECOND_US).await.len(), 1);
    store.beat(talking, &[], later - SECOND_US).await.unwrap();
    assert_eq!(store.lost(later).await, []);
    assert_eq!([store.is_open(idle).await, store.is_open(busy).await, store.is_open(talking).await], [false, true, true]);
}

async fn what_an_earlier_process_held_is_lost_at_once(store: Fixture) {
    store.submit_text(&sweep_text("a", r#"["none"]"#, "[0, 1]")).await;
    let embedded = store.open_session(&new_session("inside", true), START_US).await.unwrap().id;
    let remote = store.session("outside").await;
    let inside = store.claim_one(embedded, START_US).await.unwrap().attempt;
    let outside = store.claim_one(remote, START_US).await.unwrap().attempt;

    // The process dies, the next one opens the same database.
    let store = store.reopened().await;
    assert_eq!(store.lose_embedded(START_US + 1).await.unwrap(), std::slice::from_ref(&inside));
    assert_eq!((store.job(&inside).await.state.as_str(), store.job(&outside).await.state.as_str()), ("queued", "leased"));
    assert_eq!(store.attempt_outcomes(&inside).await, ["lost"]);
    assert_eq!([store.is_open(embedded).await, store.is_open(remote).await], [false, true]);
    assert_eq!(store.lose_embedded(START_US + 2).await.unwrap(), []);
}

fn of_trainer(trainer: &str) -> NewSession {
    NewSession { trainer: trainer.into(), ..new_session("w", false) }
}

async fn a_real_trainer_does_not_share_a_database_with_simulated_ones(store: Fixture) {
    are_kept_apart(&store, "simulated", "burn-flex").await;
}

async fn a_simulated_trainer_does_not_share_a_database_with_real_ones(store: Fixture) {
    are_kept_apart(&store, "burn-flex", "simulated").await;
}

async fn are_kept_apart(store: &Store, first: &str, second: &str) {
    store.submit_text(&sweep_text("a", r#"["none"]"#, "[0, 1]")).await;
    let refused = async || {
        let refusal = store.open_session(&of_trainer(second), START_US).await.unwrap_err();
        let both = format!("trainer `{second}` cannot work where trainer `{first}` does: simulated and real results are kept apart");
        assert_eq!(refusal.to_string(), both);
        assert!(refusal.hint().unwrap().contains("--database"));
    };
    // An open session is enough, and lets more of its kind in.
    let session = store.open_session(&of_trainer(first), START_US).await.unwrap().id;
    refused().await;
    store.open_session(&of_trainer(first), START_US).await.map(drop).unwrap();

    let ClaimedJob { attempt, config_json } = store.claim_one(session, START_US).await.unwrap();
    let result = Outcome { trainer: first.into(), ..outcome(&config_json, 0.9, &[(1.0, 0.9)]) };
    assert_eq!(store.complete(session, &attempt, &result, START_US).await, Answer::Accepted);
    store.lost(START_US + 601 * SECOND_US).await;
    assert_eq!(store.count("sessions WHERE ended_us IS NULL").await, 0);
    // And so is a result without a session.
    refused().await;
}

async fn a_worker_that_left_nothing_behind_keeps_no_trainer_out(store: Fixture) {
    store.submit_text(&sweep_text("a", r#"["none"]"#, "0")).await;
    let session = store.open_session(&of_trainer("simulated"), START_US).await.unwrap().id;
    store.claim_one(session, START_US).await.unwrap();
    store.close_session(session, START_US).await.unwrap();
    for trainer in ["burn-flex", "burn-cuda"] {
        store.open_session(&of_trainer(trainer), START_US).await.map(drop).unwrap();
    }
}

#[test]
fn session_names_are_read_back() {
    let session = SessionId::parse("7-1700000000000000").unwrap();
    assert_eq!(session.to_string(), "7-1700000000000000");
    for text in ["", "7", "-", "7-", "-7", "a-b", "7-1-2", "7 -1", "99999999999999999999-1"] {
        assert_eq!(SessionId::parse(text), None, "{text}");
    }
}
