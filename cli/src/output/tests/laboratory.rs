//! What the commands that read results write of the laboratory's sweeps: each in every format, as files beside this one.
//!
//! `UPDATE_EXPECT=1 cargo test -p offramp` writes them anew.

use std::path::Path;

use expect_test::expect_file;
use offramp_coordinator::store::{CostMetric, Grouping};
use offramp_proto::v1;

use crate::output::{Rows, csv, json, table, view};
use crate::source::{Frontiers, Source};
use crate::tests::laboratory::{Laboratory, SWEEPS};

/// Rows of every command that reads a sweep's results.
async fn rows(source: &Source, sweep: &str) -> Vec<Rows> {
    let asked = |metric| Frontiers { sweep: Some(sweep), grouping: Grouping::Dataset, metric };
    let request = v1::ListJobsRequest { sweep: sweep.to_owned(), limit: 100, ..v1::ListJobsRequest::default() };
    let of_sweep = || vec![sweep.to_owned()];
    let cells = v1::ListCellsRequest { sweeps: of_sweep(), metric: "area".into(), confidence: 0.95, resamples: 999, ..Default::default() };
    let mut rows = vec![
        Rows::new(&view::HISTORY, &source.frontier_history(&asked(CostMetric::MacsCascade)).await.unwrap().points),
        Rows::new(&view::CELLS, &source.cells(cells).await.unwrap().cells),
        Rows::new(&view::FRONTIER, &source.frontier(&asked(CostMetric::MacsCascade)).await.unwrap().points),
        Rows::new(&view::EXITS, &source.results(sweep).await.unwrap().exits),
        Rows::new(&view::PATTERNS, &source.patterns(sweep).await.unwrap().patterns),
        Rows::new(&view::JOBS, &source.jobs(request).await.unwrap()),
        Rows::new(&view::SWEEPS, source.sweep(sweep).await.unwrap().sweep.as_slice()),
        Rows::new(&view::WORKERS, &source.workers(true, 10).await.unwrap()),
    ];
    // Of one job there is nothing to compare.
    if sweep != SWEEPS[2] {
        let (by, metric, unit) = ("pattern".to_owned(), "area".to_owned(), "seed".to_owned());
        let compare = v1::CompareRequest { sweeps: of_sweep(), by, metric, unit, confidence: 0.95, resamples: 999, ..Default::default() };
        let compared = source.compare(compare).await.unwrap();
        rows.extend([Rows::new(&view::LEVELS, &compared.levels), Rows::new(&view::PAIRS, &compared.pairs)]);
        rows.push(Rows::new(&view::FRIEDMAN, compared.friedman.as_slice()));
        let (a, b) = (SWEEPS[if sweep == SWEEPS[3] { 0 } else { 3 }].to_owned(), sweep.to_owned());
        let diff = v1::DiffSweepsRequest { a, b, metric: "area".into(), confidence: 0.95, resamples: 999, ..Default::default() };
        let diff = source.diff_sweeps(diff).await.unwrap();
        rows.push(Rows::new(&view::SWEEP_DIFFERENCES, &diff.differences));
        rows.push(Rows::new(&view::SWEEP_CELL_DIFFERENCES, &diff.cells));
    }
    rows
}

#[tokio::test]
async fn results_in_every_format() {
    let laboratory = Laboratory::new().await;
    let source = laboratory.source().await;
    for mut of in rows(&source, "study").await {
        of.rows.truncate(12);
        for (format, text) in [("txt", table::render(&of, None)), ("csv", csv::render(&of)), ("json", json::list(&of))] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/output/tests/snapshots");
            expect_file![folder.join(format!("{}.{format}", of.view.kind))].assert_eq(&text);
        }
    }
}

#[tokio::test]
async fn hostile_text_is_inert_in_every_format() {
    let laboratory = Laboratory::new().await;
    let source = laboratory.source().await;
    for sweep in SWEEPS {
        for of in rows(&source, sweep).await {
            let kind = of.view.kind;
            for width in [None, Some(60), Some(120)] {
                let text = table::render(&of, width);
                let drives = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
                assert!(!text.contains(drives), "{sweep} {kind}: {text:?}");
            }
            let text = csv::render(&of);
            for record in ::csv::Reader::from_reader(text.as_bytes()).records() {
                let is_formula =
                    |cell: &&str| cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && *cell != "-" && cell.parse::<f64>().is_err();
                assert_eq!(record.unwrap().iter().find(is_formula), None, "{sweep} {kind}");
            }
            let value: serde_json::Value = serde_json::from_str(&json::list(&of)).unwrap();
            assert_eq!(value["rows"].as_array().unwrap().len(), of.rows.len(), "{sweep} {kind}");
        }
    }
}
