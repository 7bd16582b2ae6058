//! The same question to a coordinator and to the database that it serves.

use std::net::SocketAddr;

use offramp_coordinator::store::Query;
use offramp_domain::table::{Batch, OfSweep, VIEWS};
use tokio_stream::StreamExt;

use super::*;

/// All that a source answers.
async fn answer(source: &Source, view: &'static offramp_domain::table::View, sweep: Option<&str>, query: Query) -> Vec<Batch> {
    let mut batches = source.select(view, sweep, query).await.unwrap();
    let mut all = Vec::new();
    while let Some(batch) = batches.next().await {
        all.push(batch.unwrap());
    }
    all
}

#[tokio::test]
async fn a_coordinator_and_its_database_answer_alike() {
    let anywhere: SocketAddr = ([127, 0, 0, 1], 0).into();
    let coordinator = Coordinator::start_in(Laboratory::new().await.into_folder(), anywhere).await;
    let database = Coordinator::database(&coordinator.folder);
    let direct = Source::open(&SourceArguments { database: Some(database), coordinator: None }).await.unwrap();
    let asked = Source::open(&SourceArguments { database: None, coordinator: Some(coordinator.url()) }).await.unwrap();
    let nothing: [&str; 0] = [];
    for view in VIEWS {
        let first = view.columns[0].name;
        // The last column, largest first; every other row of what has a first column; a page of it.
        let sort = [format!("-{}", view.columns[view.columns.len() - 1].name)];
        let filtered = Query::parse(view, &format!("{first} is not null"), &sort, &nothing).unwrap();
        let mut queries = vec![Query::all(view), Query { limit: Some(3), offset: 2, ..filtered.clone() }, filtered];
        queries.push(Query::parse(view, &format!("not ({first} is not null)"), &nothing, &[first]).unwrap());
        for query in queries {
            assert_eq!(answer(&asked, view, None, query.clone()).await, answer(&direct, view, None, query).await, "{}", view.name);
        }
        if view.of_sweep != OfSweep::None {
            let of_sweep = answer(&direct, view, Some("study"), Query::all(view)).await;
            assert_eq!(answer(&asked, view, Some("study"), Query::all(view)).await, of_sweep, "{}", view.name);
        }
    }
    let texts = |filter: &str| {
        let jobs = offramp_domain::table::view("jobs").unwrap();
        (jobs, Query::parse(jobs, filter, &nothing, &["job", "error"]).unwrap())
    };
    let (jobs, hostile) = texts("error contains '</td>' and not (error contains '''; DROP TABLE jobs; --')");
    let found = answer(&asked, jobs, Some("study"), hostile.clone()).await;
    assert_eq!(found[0].n_rows, 1, "the job that failed with a hostile message");
    assert_eq!(found, answer(&direct, jobs, Some("study"), hostile).await);
    for source in [&asked, &direct] {
        let Err(failure) = source.select(jobs, Some("nowhere"), Query::all(jobs)).await else { panic!("there is no such sweep") };
        assert_eq!(failure.exit(), Exit::NothingMatched);
    }
    coordinator.stop().await;
}
