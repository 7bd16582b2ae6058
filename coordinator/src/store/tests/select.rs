//! Streams of a view's rows: which, in which order, and at what cost to others.

use offramp_domain::filter::Filter;
use offramp_domain::table::{self, BATCH_BYTES, BATCH_ROWS, Batch, OfSweep, Sort, VIEWS, Value, View};
use tokio_stream::StreamExt;

use super::plans::{sqlite_plan, with_many_jobs};
use super::*;
use crate::store::select::statement;

on_both_engines! {
    every_view_is_read_as_it_is,
    rows_are_filtered_sorted_and_paged,
    a_sweep_has_its_order,
    batches_are_bounded,
    a_slow_reader_holds_up_nobody_and_reads_one_moment,
    a_closed_database_ends_streams,
}

/// The query that a command line of these words makes.
fn query(view: &'static View, filter: &str, sort: &[&str], columns: &[&str]) -> Query {
    Query {
        filter: (!filter.is_empty()).then(|| Filter::parse(filter, view).unwrap_or_else(|error| panic!("{error}"))),
        sort: sort.iter().map(|text| Sort::parse(text, view).unwrap()).collect(),
        columns: columns.iter().map(|name| view.index_of(name).unwrap()).collect(),
        ..Query::default()
    }
}

async fn batches(store: &Store, view: &'static View, query: Query) -> Vec<Batch> {
    let mut stream = store.reader().select(view, query);
    let mut batches = Vec::new();
    while let Some(batch) = stream.next().await {
        batches.push(batch.unwrap());
    }
    batches
}

/// All rows of all batches.
async fn rows(store: &Store, view: &'static View, query: Query) -> Vec<Vec<Value>> {
    let batches = batches(store, view, query).await;
    let of = |batch: &Batch| -> Vec<Vec<Value>> {
        (0..batch.n_rows).map(|row| batch.columns.iter().map(|column| column.get(row).into()).collect()).collect()
    };
    batches.iter().flat_map(of).collect()
}

/// The one column of all rows, as texts.
async fn column(store: &Store, view: &str, filter: &str, sort: &[&str], name: &str) -> Vec<String> {
    let view = table::view(view).unwrap();
    let rows = rows(store, view, query(view, filter, sort, &[name])).await;
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::Integer(value) => value.to_string(),
        Value::Real(value) => value.to_string(),
        Value::Text(value) => value.clone(),
        Value::Flag(value) => value.to_string(),
    };
    rows.iter().map(|row| text(&row[0])).collect()
}

/// Two sweeps that share jobs; of the first one, jobs with results, a failed one, a running one and queued ones.
async fn fill(store: &Store) -> [i64; 2] {
    let first = store.submit_text(&sweep_text("first", r#"["none", "constant", { increasing = 0.5 }]"#, "[0, 1]")).await.sweep;
    let session = store.session("w").await;
    // In the sweep's order: `none` twice, `constant` once.
    store.complete_next(session, &[(1.0, 0.7)]).await;
    store.complete_next(session, &[(1.0, 0.8)]).await;
    store.complete_next(session, &[(0.25, 0.5), (0.5, 0.6), (1.0, 0.9)]).await;
    let diverged = store.claim_one(session, START_US).await.unwrap().attempt;
    store.fail(session, &diverged, FailureKind::Diverged, "loss is NaN; 'quoted'\n", START_US + SECOND_US).await;
    store.claim_one(session, START_US + 2 * SECOND_US).await.unwrap();
    let second = store.submit_text(&sweep_text("second", r#"["constant", "none"]"#, "[1, 0]")).await.sweep;
    [first, second]
}

async fn every_view_is_read_as_it_is(store: Fixture) {
    fill(&store).await;
    for view in VIEWS {
        let found = rows(&store, view, Query::all(view)).await;
        assert_eq!(found.len() as i64, store.count(view.name).await, "{}", view.name);
        assert!(found.iter().all(|row| row.len() == view.columns.len()), "{}", view.name);
        for (index, column) in view.columns.iter().enumerate() {
            assert!(column.nullable || found.iter().all(|row| row[index] != Value::Null), "{}.{} is NULL", view.name, column.name);
        }
    }
    // A view without rows has its columns.
    let artifacts = table::view("artifacts").unwrap();
    let batches = batches(&store, artifacts, query(artifacts, "", &[], &["path", "bytes"])).await;
    assert_eq!(batches, [Batch { columns: vec![table::Array::Texts(vec![]), table::Array::Integers(vec![])], n_rows: 0 }]);
}

async fn rows_are_filtered_sorted_and_paged(store: Fixture) {
    fill(&store).await;
    let found = async |filter: &str, sort: &[&str]| column(&store, "jobs", filter, sort, "pattern").await.join(", ");
    assert_eq!(found("final_accuracy is not null", &["pattern", "seed"]).await, "constant, none, none");
    assert_eq!(found("pattern.slope > 0 or state = diverged", &["-pattern", "seed"]).await, "increasing 0.5, increasing 0.5, constant");
    assert_eq!(found("not (pattern = none) and seed in [1]", &["pattern"]).await, "constant, increasing 0.5");
    assert_eq!(found("error contains 'quoted'", &[]).await, "constant");
    assert_eq!(found("error contains '''; DROP TABLE jobs; --'", &[]).await, "");
    // Nothing comes last, whichever way; texts by their bytes.
    let trainers = async |sort: &str| column(&store, "jobs", "", &[sort], "trainer").await.join(",");
    assert_eq!(trainers("trainer").await, "simulated,simulated,simulated,-,-,-");
    assert_eq!(trainers("-trainer").await, "simulated,simulated,simulated,-,-,-");
    let events = column(&store, "events", "", &["-at_us", "event"], "event").await;
    assert_eq!(events[..2], ["claimed", "diverged"]);
    // A page of what the filter takes, and of everything.
    let points = table::view("v_operating_points").unwrap();
    let page = async |filter: &str, limit, offset| {
        let asked = Query { limit, offset, ..query(points, filter, &["accuracy"], &["accuracy"]) };
        rows(&store, points, asked).await.into_iter().map(|mut row| row.remove(0)).collect::<Vec<_>>()
    };
    let reals = |values: &[f64]| values.iter().map(|value| Value::Real(*value)).collect::<Vec<_>>();
    assert_eq!(page("", None, 0).await, reals(&[0.5, 0.6, 0.7, 0.8, 0.9]));
    for filter in ["", "accuracy > 0"] {
        assert_eq!(page(filter, Some(2), 1).await, reals(&[0.6, 0.7]), "{filter}");
        assert_eq!(page(filter, None, 4).await, reals(&[0.9]), "{filter}");
        assert_eq!(page(filter, Some(0), 0).await, [], "{filter}");
        assert_eq!(page(filter, Some(u64::MAX), u64::MAX).await, [], "{filter}");
    }
    assert_eq!(page("accuracy != 60%", Some(2), 1).await, reals(&[0.7, 0.8]));
}

async fn a_sweep_has_its_order(store: Fixture) {
    let [first, second] = fill(&store).await;
    let jobs = table::view("jobs").unwrap();
    let of_sweep = async |sweep, filter: &str, columns: &[&str]| {
        rows(&store, jobs, Query { sweep: Some(sweep), ..query(jobs, filter, &[], columns) }).await
    };
    let text = |text: &str| Value::Text(text.into());
    assert_eq!(of_sweep(first, "seed = 0", &["pattern"]).await, [[text("none")], [text("constant")], [text("increasing 0.5")]]);
    // As the second sweep lists them; what it found finished is reused.
    let reused = [
        [text("constant"), Value::Integer(1), Value::Flag(false)],
        [text("constant"), Value::Integer(0), Value::Flag(true)],
        [text("none"), Value::Integer(1), Value::Flag(true)],
        [text("none"), Value::Integer(0), Value::Flag(true)],
    ];
    let mut found = of_sweep(second, "", &["pattern", "seed", "reused"]).await;
    assert_eq!(found.len(), 4);
    let by_name = |row: &Vec<Value>| format!("{row:?}");
    found.sort_by_key(by_name);
    let mut expected: Vec<Vec<Value>> = reused.iter().map(|row| row.to_vec()).collect();
    expected.sort_by_key(by_name);
    assert_eq!(found, expected);
    assert_eq!(of_sweep(second, "reused and pattern = none", &["seed"]).await.len(), 2);
    assert_eq!(rows(&store, jobs, query(jobs, "reused is null", &[], &["job"])).await.len(), 6, "no sweep, nothing reused");
    // Every view that can be asked of a sweep, against the whole of it.
    let members = column(&store, "sweep_jobs", &format!("sweep = {second}"), &[], "job").await;
    for view in VIEWS.iter().filter(|view| view.of_sweep != OfSweep::None) {
        let index = |name: &str| view.index_of(name).ok();
        let belongs = |row: &Vec<Value>| {
            let of_sweep = index("sweep").is_some_and(|index| row[index] == Value::Integer(second));
            let of_job = index("job").is_some_and(|index| matches!(&row[index], Value::Text(job) if members.contains(job)));
            match view.of_sweep {
                OfSweep::Column => of_sweep,
                OfSweep::Job => of_job,
                OfSweep::ColumnOrJob => of_sweep || of_job,
                OfSweep::None => false,
            }
        };
        let mut expected = rows(&store, view, Query::all(view)).await;
        expected.retain(belongs);
        let mut found = rows(&store, view, Query { sweep: Some(second), ..Query::all(view) }).await;
        assert!(!found.is_empty() || ["v_dependencies", "v_artifacts", "v_epochs"].contains(&view.name), "{}", view.name);
        expected.sort_by_key(by_name);
        found.sort_by_key(by_name);
        assert_eq!(found, expected, "{}", view.name);
    }
}

async fn batches_are_bounded(store: Fixture) {
    with_many_jobs(&store, 2_500).await;
    let jobs = table::view("jobs").unwrap();
    let sizes = async |query: Query| batches(&store, jobs, query).await.iter().map(|batch| batch.n_rows).collect::<Vec<_>>();
    assert_eq!(sizes(query(jobs, "", &[], &["job", "seed"])).await, [BATCH_ROWS, BATCH_ROWS, 500]);
    assert_eq!(sizes(query(jobs, "priority < 3", &["-job"], &["job"])).await, [BATCH_ROWS, BATCH_ROWS, 500]);
    assert_eq!(sizes(Query { limit: Some(1_000), ..query(jobs, "priority < 3", &[], &["job"]) }).await, [1_000]);
    assert_eq!(sizes(Query { limit: Some(1_001), ..query(jobs, "", &[], &["job"]) }).await, [1_000, 1]);
    // Without any column there are still rows.
    assert_eq!(sizes(query(jobs, "", &[], &[])).await, [BATCH_ROWS, BATCH_ROWS, 500]);
    let message = "x".repeat(BATCH_BYTES / 2);
    store.execute(&format!("UPDATE events SET message = '{message}' WHERE id <= 5")).await;
    let events = table::view("events").unwrap();
    let long = batches(&store, events, query(events, "message contains xxx", &[], &["message"])).await;
    assert_eq!(long.iter().map(|batch| batch.n_rows).collect::<Vec<_>>(), [2, 2, 1]);
}

async fn a_slow_reader_holds_up_nobody_and_reads_one_moment(store: Fixture) {
    with_many_jobs(&store, 5_000).await;
    let jobs = table::view("jobs").unwrap();
    // As many at a time as a coordinator has connections to read, and more.
    let mut slow: Vec<_> = (0..6).map(|_| store.reader().select(jobs, query(jobs, "", &[], &["job", "state"]))).collect();
    for stream in &mut slow {
        assert_eq!(stream.next().await.unwrap().unwrap().n_rows, BATCH_ROWS);
    }
    store.execute("UPDATE job_states SET state = 'cancelled', finished_us = 1, sponsor_id = NULL").await;
    assert_eq!(store.reader().sweeps(1).await.unwrap()[0].n_cancelled, 5_000);
    for mut stream in slow.drain(1..) {
        let mut n_rows = BATCH_ROWS;
        while let Some(batch) = stream.next().await {
            let batch = batch.unwrap();
            let cancelled = (0..batch.n_rows).find(|row| batch.columns[1].get(*row) == table::ValueRef::Text("cancelled"));
            assert_eq!(cancelled, None, "a row from after the beginning");
            n_rows += batch.n_rows;
        }
        assert_eq!(n_rows, 5_000);
    }
    // One that nobody reads to its end: the database can be given up all the same.
    drop(slow);
    store.close().await;
}

async fn a_closed_database_ends_streams(store: Fixture) {
    with_many_jobs(&store, 5_000).await;
    let jobs = table::view("jobs").unwrap();
    let mut stream = store.reader().select(jobs, query(jobs, "", &[], &["job"]));
    stream.next().await.unwrap().unwrap();
    store.close().await;
    let mut last = None;
    while let Some(next) = stream.next().await {
        last = Some(next);
    }
    assert!(matches!(last, Some(Err(DatabaseError::Closed(_)))), "{last:?}");
    let mut late = store.reader().select(jobs, Query::all(jobs));
    assert!(matches!(late.next().await, Some(Err(DatabaseError::Closed(_)))));
}

/// The same submissions and results give the same rows in the same order, whatever is asked.
#[tokio::test]
async fn both_engines_answer_alike() {
    let Some(postgres) = Fixture::postgres().await else { return };
    let sqlite = Fixture::sqlite().await;
    let sweeps = fill(&sqlite).await;
    assert_eq!(fill(&postgres).await, sweeps);
    for view in VIEWS {
        let mut asked = vec![Query::all(view), Query { sweep: Some(sweeps[1]), ..Query::all(view) }];
        for column in 0..view.columns.len() {
            for is_descending in [false, true] {
                asked.push(Query { sort: vec![Sort { column, is_descending }], ..Query::all(view) });
            }
            let name = view.columns[column].name;
            let filter = Filter::parse(&format!("{name} is not null"), view).unwrap();
            let sort = vec![Sort { column, is_descending: true }];
            asked.push(Query { filter: Some(filter), sort, limit: Some(3), offset: 1, sweep: Some(sweeps[0]), ..Query::all(view) });
        }
        for query in asked {
            let expected = rows(&sqlite, view, query.clone()).await;
            let found = rows(&postgres, view, query.clone()).await;
            let alike =
                found.len() == expected.len() && found.iter().zip(&expected).all(|(a, b)| a.iter().zip(b).all(|(a, b)| is_alike(a, b)));
            assert!(alike, "{}: {query:?}\n{found:?}\n{expected:?}", view.name);
        }
    }
}

/// Whether two values are one: of doubles to 15 digits, as a deviation is computed by each engine in its own way.
fn is_alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Real(a), Value::Real(b)) => (a - b).abs() <= 1e-15 * a.abs().max(b.abs()),
        (a, b) => a == b,
    }
}

/// The large views are read in the order of an index; what is sorted is a job's own rows alone.
#[tokio::test]
async fn large_views_are_not_sorted_as_a_whole_on_sqlite() {
    let store = Fixture::sqlite().await;
    for (name, sweep) in [("operating_points", None), ("epochs", None), ("jobs", None), ("operating_points", Some(1)), ("epochs", Some(1))]
    {
        let view = table::view(name).unwrap();
        let text = statement::text(view, &Query { sweep, ..Query::all(view) }, false);
        let plan = sqlite_plan(&store, &text, []).await;
        let sorted: Vec<&String> = plan.iter().map(|step| &step.detail).filter(|detail| detail.contains("TEMP B-TREE")).collect();
        assert!(sorted.iter().all(|detail| detail.contains("RIGHT PART") || detail.contains("LAST")), "{name}: {plan:#?}");
    }
}
