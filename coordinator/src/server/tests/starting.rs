//! Starting, restarting and ending.

use super::*;
use crate::store::tests::sweep_text;

served_on_both_engines! {
    the_shutdown_ends_whoever_waits_and_closes_the_database,
    a_restarted_coordinator_goes_on_where_the_last_one_died,
}

async fn the_shutdown_ends_whoever_waits_and_closes_the_database(home: TestDatabase) {
    let served = served(home).await;
    served.submit(&sweep_text("a", r#"["none"]"#, "0")).await;
    let mut watched = served.watch("a").await;
    next_where(&mut watched, |_| true).await;
    let session = served.open_session().await;
    served.claim(&session, 0).await;
    let ends = async {
        served.shutdown.cancel();
    };
    let (leases, ()) = tokio::join!(served.claim(&session, LONG_WAIT_MS), ends);
    assert_eq!(leases, []);
    let told = async {
        loop {
            match watched.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a stream that ends early says why"),
                Err(status) => return status,
            }
        }
    };
    assert_eq!(timeout(DEADLINE, told).await.unwrap().code(), Code::Unavailable);
    let home = served.end().await;
    if let Database::Sqlite(path) = &home.database {
        assert!(!path.with_extension("db-wal").exists(), "the log is folded into the file");
    }
}

async fn a_restarted_coordinator_goes_on_where_the_last_one_died(home: TestDatabase) {
    let text = sweep_text("a", r#"["none"]"#, "[0, 1]");
    let shutdown = CancellationToken::new();
    let first = start(config(&home.database), shutdown.clone()).await.unwrap();
    let mut workers = WorkerServiceClient::new(connect(first.address).await);
    let mut sweeps = SweepServiceClient::new(connect(first.address).await);
    sweeps.submit_sweep(submission(&text)).await.unwrap();
    let inside = v1::OpenSessionRequest { embedded: true, ..open_request("inside") };
    let inside = workers.open_session(inside).await.unwrap().into_inner().session;
    let outside = workers.open_session(open_request("outside")).await.unwrap().into_inner().session;
    let claim = |session: &str| v1::ClaimRequest { session: session.into(), max_jobs: 1, wait_ms: 0, sweep: 0 };
    let lost = workers.claim(claim(&inside)).await.unwrap().into_inner().leases.remove(0);
    let kept = workers.claim(claim(&outside)).await.unwrap().into_inner().leases.remove(0);
    // It ends without closing a session, as a killed one does.
    shutdown.cancel();
    timeout(DEADLINE, first.join).await.unwrap().unwrap().unwrap();
    drop(first.store);

    let shutdown = CancellationToken::new();
    let second = start(config(&home.database), shutdown.clone()).await.unwrap();
    let mut workers = WorkerServiceClient::new(connect(second.address).await);
    if matches!(home.database, Database::Sqlite(_)) {
        let gone = workers.claim(claim(&inside)).await.unwrap_err();
        assert_eq!(gone.code(), Code::NotFound, "the embedded worker died with its process");
        let retried = workers.claim(claim(&outside)).await.unwrap().into_inner().leases.remove(0);
        assert_eq!((retried.job_key, retried.attempt), (lost.job_key, 2));
    } else {
        // Its process may be another coordinator's, which shares the database and is well.
        let answer = workers.report(report(&inside, &lost, completed(&lost, 0.9))).await.unwrap().into_inner();
        assert_eq!(answer.results[0].answer(), v1::ReportAnswer::Accepted);
    }
    let answer = workers.report(report(&outside, &kept, completed(&kept, 0.9))).await.unwrap().into_inner();
    assert_eq!(answer.results[0].answer(), v1::ReportAnswer::Accepted, "the other one lived on");
    shutdown.cancel();
    timeout(DEADLINE, second.join).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn starting_says_what_stands_in_the_way() {
    let (home, other) = (TestDatabase::sqlite(), TestDatabase::sqlite());
    let Database::Sqlite(other_path) = &other.database else { panic!("a file") };
    let shutdown = CancellationToken::new();
    let first = start(config(&home.database), shutdown.clone()).await.unwrap();
    assert!(first.address.port() != 0 && first.address.ip().is_loopback());

    let taken = Config { listen: first.address, ..config(&other.database) };
    let error = start(taken, shutdown.clone()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{} is in use", first.address));
    assert!(error.hint().unwrap().contains("--listen"));
    assert!(!other_path.exists());

    let error = start(config(&home.database), shutdown.clone()).await.unwrap_err();
    assert!(matches!(&error, StartError::Open(OpenError::Locked { pid, .. }) if *pid == Some(std::process::id())), "{error:?}");

    let open = Config { listen: "0.0.0.0:0".parse().unwrap(), ..config(&other.database) };
    let error = start(open, shutdown.clone()).await.unwrap_err();
    assert!(error.to_string().contains("listen: `0.0.0.0:0` can be reached from other machines"), "{error}");
    assert!(error.hint().unwrap().contains("--insecure"));

    // An address of a documentation network is none of this machine's.
    let elsewhere = Config { listen: "192.0.2.1:1".parse().unwrap(), insecure: true, ..config(&other.database) };
    let error = start(elsewhere, shutdown.clone()).await.unwrap_err();
    assert!(matches!(&error, StartError::Bind { address, .. } if address.port() == 1), "{error:?}");

    shutdown.cancel();
    timeout(DEADLINE, first.join).await.unwrap().unwrap().unwrap();
}
