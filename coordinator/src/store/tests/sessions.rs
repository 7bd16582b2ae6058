use offramp_domain::outcome::FailureKind;

use super::*;

#[tokio::test]
async fn closing_a_session_gives_its_leases_back() {
    let store = fixture().await;
    store.submit_text(&sweep_text("a", r#"["none"]"#, "[0, 1, 2]")).await;
    let (leaving, staying) = (store.session("leaving").await, store.session("staying").await);
    let left = store.claim(leaving, 2, None, START_US, LEASE_US).await.unwrap();
    let kept = store.claim_one(staying, START_US).await.unwrap().attempt;
    let released = store.close_session(leaving, START_US).await.unwrap();
    assert_eq!(released, left.into_iter().map(|job| job.attempt).collect::<Vec<_>>());
    assert_eq!(store.close_session(leaving, START_US).await.unwrap(), [], "closing again changes nothing");
    assert_eq!(store.attempt_outcomes(&released[0]).await, ["released"]);
    assert_eq!(store.job(&kept).await.state, "leased");
    assert_eq!(store.claim(staying, 64, None, START_US, LEASE_US).await.unwrap().len(), 2, "claimable at once");
}

#[tokio::test]
async fn a_session_that_is_over_is_told_so() {
    let store = fixture().await;
    let session = store.session("w").await;
    store.check_session(session).await.unwrap();
    store.close_session(session, START_US).await.unwrap();
    assert!(matches!(store.check_session(session).await, Err(SessionError::Gone(gone)) if gone == session));
    assert!(matches!(store.claim(session, 1, None, START_US, LEASE_US).await, Err(SessionError::Gone(_))));
    assert!(matches!(store.heartbeat(session, &[], START_US, LEASE_US).await, Err(SessionError::Gone(_))));
}

#[tokio::test]
async fn a_session_of_another_database_is_unknown() {
    let (here, there) = (fixture().await, fixture().await);
    let foreign = there.open_session(&new_session("w", false), START_US + 1).await.unwrap();
    let own = here.session("w").await;
    assert_eq!(own.to_string().split('-').next(), foreign.to_string().split('-').next(), "the same number in both");
    assert!(matches!(here.claim(foreign, 1, None, START_US, LEASE_US).await, Err(SessionError::Gone(_))));

    // Nor can it speak for an attempt that the session of that number holds.
    here.submit_text(&sweep_text("a", r#"["none"]"#, "0")).await;
    let job = here.claim_one(own, START_US).await.unwrap();
    let result = outcome(&job.config_json, 0.9, &[(1.0, 0.9)]);
    assert_eq!(here.complete(foreign, &job.attempt, &result, START_US).await.unwrap(), Report::Stale);
    assert_eq!(here.fail(foreign, &job.attempt, FailureKind::Failed, "forged", START_US).await.unwrap(), Report::Stale);
    here.release(foreign, std::slice::from_ref(&job.attempt), START_US).await.unwrap();
    assert_eq!(here.attempt_outcomes(&job.attempt).await, ["running"]);
    assert_eq!(here.complete(own, &job.attempt, &result, START_US).await.unwrap(), Report::Accepted);
}

#[tokio::test]
async fn leases_are_prolonged_and_never_cut() {
    let store = fixture().await;
    store.submit_text(&sweep_text("a", r#"["none"]"#, "[0, 1]")).await;
    let session = store.session("w").await;
    let short = store.claim_one(session, START_US).await.unwrap().attempt;
    let long = store.claim(session, 1, None, START_US, 10 * LEASE_US).await.unwrap().remove(0).attempt;
    store.extend_leases(START_US + LEASE_US, LEASE_US).await.unwrap();
    assert_eq!(store.expire(START_US + 2 * LEASE_US - 1).await.unwrap(), []);
    assert_eq!(store.expire(START_US + 2 * LEASE_US).await.unwrap(), [short]);
    assert_eq!(store.expire(START_US + 10 * LEASE_US - 1).await.unwrap(), []);
    assert_eq!(store.expire(START_US + 10 * LEASE_US).await.unwrap(), [long]);
}

#[tokio::test]
async fn silent_sessions_lapse_unless_they_hold_a_lease() {
    let store = fixture().await;
    store.submit_text(&sweep_text("a", r#"["none"]"#, "0")).await;
    let (idle, busy, talking) = (store.session("idle").await, store.session("busy").await, store.session("talking").await);
    let later = START_US + 601 * SECOND_US;
    store.claim(busy, 1, None, START_US, later + LEASE_US).await.unwrap();
    store.heartbeat(talking, &[], later - SECOND_US, LEASE_US).await.unwrap();
    store.expire(later).await.unwrap();
    assert!(matches!(store.check_session(idle).await, Err(SessionError::Gone(_))));
    store.check_session(busy).await.unwrap();
    store.check_session(talking).await.unwrap();
}

#[tokio::test]
async fn what_an_earlier_process_held_is_lost_at_once() {
    let store = fixture().await;
    store.submit_text(&sweep_text("a", r#"["none"]"#, "[0, 1]")).await;
    let embedded = store.open_session(&new_session("inside", true), START_US).await.unwrap();
    let remote = store.session("outside").await;
    let inside = store.claim_one(embedded, START_US).await.unwrap().attempt;
    let outside = store.claim_one(remote, START_US).await.unwrap().attempt;

    // The process dies, the next one opens the same file.
    let Fixture { store, path, folder } = store;
    drop(store);
    let store = Fixture { store: Store::open(&path, MAX_FAILURES).await.unwrap(), path, folder };
    assert_eq!(store.lose_embedded(START_US + 1).await.unwrap(), std::slice::from_ref(&inside));
    assert_eq!((store.job(&inside).await.state.as_str(), store.job(&outside).await.state.as_str()), ("queued", "leased"));
    assert_eq!(store.attempt_outcomes(&inside).await, ["lost"]);
    assert!(matches!(store.check_session(embedded).await, Err(SessionError::Gone(_))));
    store.check_session(remote).await.unwrap();
    assert_eq!(store.lose_embedded(START_US + 2).await.unwrap(), []);
}

fn of_trainer(trainer: &str) -> NewSession {
    NewSession { trainer: trainer.into(), ..new_session("w", false) }
}

#[tokio::test]
async fn simulated_and_real_trainers_do_not_share_a_database() {
    for (first, second) in [("simulated", "burn-flex"), ("burn-flex", "simulated")] {
        let store = fixture().await;
        store.submit_text(&sweep_text("a", r#"["none"]"#, "[0, 1]")).await;
        let refused = async || {
            let refusal = store.open_session(&of_trainer(second), START_US).await.unwrap_err();
            let both = format!("trainer `{second}` cannot work where trainer `{first}` does: simulated and real results are kept apart");
            assert_eq!(refusal.to_string(), both);
            assert!(refusal.hint().unwrap().contains("--database"));
        };
        // An open session is enough, and lets more of its kind in.
        let session = store.open_session(&of_trainer(first), START_US).await.unwrap();
        refused().await;
        store.open_session(&of_trainer(first), START_US).await.map(drop).unwrap();

        let ClaimedJob { attempt, config_json } = store.claim_one(session, START_US).await.unwrap();
        let result = Outcome { trainer: first.into(), ..outcome(&config_json, 0.9, &[(1.0, 0.9)]) };
        store.complete(session, &attempt, &result, START_US).await.unwrap();
        store.expire(START_US + 601 * SECOND_US).await.unwrap();
        assert_eq!(store.count("SELECT count(*) FROM sessions WHERE ended_us IS NULL").await, 0);
        // And so is a result without a session.
        refused().await;
    }
}

#[tokio::test]
async fn a_worker_that_left_nothing_behind_keeps_no_trainer_out() {
    let store = fixture().await;
    store.submit_text(&sweep_text("a", r#"["none"]"#, "0")).await;
    let session = store.open_session(&of_trainer("simulated"), START_US).await.unwrap();
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
