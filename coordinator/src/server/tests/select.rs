//! Rows of any view over the wire.

use offramp_domain::table::{self, Batch, ValueRef};
use offramp_proto::rows;

use super::*;
use crate::services::SELECTS_MOST;
use crate::store::tests::sweep_text;
use crate::store::{Query, Reader};

served_on_both_engines! {
    a_stream_has_what_the_database_has,
    what_cannot_be_asked_is_refused_with_the_place,
}

fn request(view: &str) -> v1::SelectRequest {
    v1::SelectRequest { view: view.into(), ..v1::SelectRequest::default() }
}

/// All batches of an answer.
async fn received(served: &Served, request: v1::SelectRequest) -> Vec<v1::RowBatch> {
    let mut stream = served.results().select(request).await.unwrap().into_inner();
    let mut batches = Vec::new();
    while let Some(batch) = stream.message().await.unwrap() {
        batches.push(batch);
    }
    batches
}

async fn a_stream_has_what_the_database_has(home: TestDatabase) {
    let served = served(home).await;
    served.submit(&sweep_text("a", r#"["none", "constant"]"#, "[0, 1, 2]")).await;
    served.open_session().await;
    let reader = Reader::open(&served.home.database).await.unwrap();
    for view in table::VIEWS {
        let mut direct = reader.select(view, Query::all(view));
        let mut expected = Vec::new();
        while let Some(batch) = tokio_stream::StreamExt::next(&mut direct).await {
            expected.push(batch.unwrap());
        }
        let found = received(&served, request(view.name)).await;
        let found: Vec<Batch> = found.into_iter().map(|message| rows::batch(view.columns, message).unwrap()).collect();
        assert_eq!(found, expected, "{}", view.name);
    }
    let chosen = v1::SelectRequest {
        sweep: "last".into(),
        r#where: "pattern.kind = constant and seed != 1".into(),
        sort: vec!["-seed".into()],
        columns: vec!["seed".into(), "reused".into()],
        limit: 5,
        ..request("jobs")
    };
    let [batch] = received(&served, chosen.clone()).await.try_into().unwrap();
    assert_eq!(
        batch.columns.iter().map(|column| (column.name.as_str(), column.kind.as_str())).collect::<Vec<_>>(),
        [("seed", "integer"), ("reused", "flag")]
    );
    let jobs = table::view("jobs").unwrap();
    let columns = ["seed", "reused"].map(|name| jobs.column(jobs.index_of(name).unwrap()).unwrap());
    let batch = rows::batch(columns, batch).unwrap();
    let row = |row| (batch.columns[0].get(row), batch.columns[1].get(row));
    assert_eq!(
        (row(0), row(1), batch.n_rows),
        ((ValueRef::Integer(2), ValueRef::Flag(false)), (ValueRef::Integer(0), ValueRef::Flag(false)), 2)
    );
    let second = v1::SelectRequest { limit: 1, offset: 1, ..chosen };
    assert_eq!(received(&served, second).await[0].n_rows, 1);
    // Nothing is an answer, with its columns.
    let [nothing] = received(&served, request("artifacts")).await.try_into().unwrap();
    assert_eq!((nothing.n_rows, nothing.columns.len()), (0, 7));
}

async fn what_cannot_be_asked_is_refused_with_the_place(home: TestDatabase) {
    let served = served(home).await;
    served.submit(&sweep_text("a", r#"["none"]"#, "0")).await;
    let refused = async |request: v1::SelectRequest| {
        let status = served.results().select(request).await.expect_err("refused");
        assert!(status.message().len() < 2_000, "{}", status.message().len());
        (status.code(), status.message().to_owned())
    };
    let invalid = |message: &str| (Code::InvalidArgument, message.to_owned());
    assert_eq!(refused(request("job")).await, invalid("no view is called `job`\nhint: did you mean `jobs`?"));
    let filter = |text: &str| v1::SelectRequest { r#where: text.into(), ..request("jobs") };
    assert_eq!(
        refused(filter("bakbone = x")).await,
        invalid("wrong filter: v_jobs has no column `bakbone`\n  bakbone = x\n  ^^^^^^^\nhint: did you mean `backbone`?")
    );
    for hostile in ["'; DROP TABLE jobs; --", "seed = 3\u{1b}[2J", &"(".repeat(100_000), &"not ".repeat(10_000), &"\u{202e}".repeat(1_000)]
    {
        let (code, message) = refused(filter(hostile)).await;
        assert!(code == Code::InvalidArgument && !message.contains(['\u{1b}', '\u{202e}']), "{message}");
    }
    let sorted = v1::SelectRequest { sort: vec!["-sede".into()], ..request("jobs") };
    assert_eq!(refused(sorted).await, invalid("cannot sort: v_jobs has no column `sede`\nhint: did you mean `seed`?"));
    let columns = v1::SelectRequest { columns: vec!["seed; DROP".into()], ..request("jobs") };
    assert!(refused(columns).await.1.starts_with("v_jobs has no column `seed; DROP`"));
    let workers = v1::SelectRequest { sweep: "last".into(), ..request("workers") };
    assert_eq!(refused(workers).await, invalid("the rows of v_workers belong to no sweep\nhint: leave `sweep` empty"));
    let nowhere = v1::SelectRequest { sweep: "nowhere".into(), ..request("jobs") };
    assert_eq!(refused(nowhere).await.0, Code::NotFound);
    assert_eq!(received(&served, request("jobs")).await[0].n_rows, 1, "nothing happened to it");
}

#[tokio::test]
async fn streams_are_bounded_in_number_and_let_go_of() {
    let served = served_on_a_file().await;
    // More than fits into what lies on the way, on a line of its own each: a stream stays open while nobody reads on.
    let seeds = (0..10_000).map(|seed| seed.to_string()).collect::<Vec<_>>().join(", ");
    served.submit(&sweep_text("a", r#"["none"]"#, &format!("[{seeds}]"))).await;
    let mut open = Vec::new();
    for _ in 0..SELECTS_MOST {
        let mut client = ResultServiceClient::new(connect(served.running.address).await);
        open.push(client.select(request("configs")).await.unwrap().into_inner());
    }
    let status = served.results().select(request("jobs")).await.expect_err("too many");
    assert_eq!((status.code(), status.message().lines().next()), (Code::ResourceExhausted, Some("16 streams of rows are open already")));
    // Writers and other readers go on.
    served.submit(&sweep_text("b", r#"["constant"]"#, "0")).await;
    assert_eq!(served.sweeps().list_sweeps(v1::ListSweepsRequest { limit: 5 }).await.unwrap().into_inner().sweeps.len(), 2);
    drop(open);
    // What was let go of is free again as soon as the coordinator hears of it.
    timeout(DEADLINE, async {
        while served.results().select(request("jobs")).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    // A stream that is open ends with the coordinator.
    let mut last = served.results().select(request("jobs")).await.unwrap().into_inner();
    served.shutdown.cancel();
    let ended = timeout(DEADLINE, async {
        loop {
            match last.message().await {
                Ok(Some(_)) => {}
                ended => return ended,
            }
        }
    });
    match ended.await.unwrap() {
        // It may have been sent whole before.
        Ok(None) => {}
        Ok(Some(_)) => unreachable!(),
        Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
    }
}
