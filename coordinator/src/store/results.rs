//! Accepted results as rows.

use offramp_domain::evaluation;
use offramp_domain::outcome::Outcome;

use super::engine::{Insertion, Value, args};
use super::frontier::{Accepted, Candidate};
use super::report::Reported;
use super::sql;

/// The rows of accepted results, each after what it refers to.
pub(super) fn rows(results: &[(&Reported, &Outcome)]) -> Vec<Insertion> {
    let (mut rows, mut exits, mut points) = (Vec::new(), Vec::new(), Vec::new());
    for (found, outcome) in results {
        let job_id = found.held.job_id;
        rows.push(result_row(found, outcome));
        exits.extend((0_i64..).zip(&outcome.exits).map(|(index, exit)| {
            args![
                job_id,
                index,
                exit.accuracy,
                exit.loss,
                exit.calibration_accuracy,
                exit.calibration_loss,
                exit.top5_accuracy,
                exit.ece,
                exit.calibration_top5_accuracy,
                exit.calibration_ece,
            ]
            .to_vec()
        }));
        for (index, point) in (0_i64..).zip(&outcome.operating_points) {
            let exit_shares = serde_json::to_string(&point.exit_shares).expect("numbers are JSON");
            points.push(
                args![
                    job_id,
                    index,
                    &point.policy,
                    point.setting,
                    point.macs_cascade,
                    point.macs_selected,
                    point.accuracy,
                    point.calibration_accuracy,
                    point.calibration_macs_cascade,
                    exit_shares,
                    point.latency_us,
                    point.images_per_second,
                ]
                .to_vec(),
            );
        }
    }
    vec![(sql::INSERT_RESULT, rows), (sql::INSERT_EXIT_RESULT, exits), (sql::INSERT_OPERATING_POINT, points)]
}

/// The operating points of accepted results, as far as frontiers care.
pub(super) fn points(results: &[(&Reported, &Outcome)]) -> Vec<Accepted> {
    let of = |(found, outcome): &(&Reported, &Outcome)| {
        let points = (0_i64..).zip(&outcome.operating_points).map(|(index, point)| Candidate::new(&found.origin, index, point));
        Accepted { origin: found.origin.clone(), points: points.collect() }
    };
    results.iter().map(of).collect()
}

fn result_row(found: &Reported, outcome: &Outcome) -> Vec<Value> {
    let accuracies = outcome.exits.iter().map(|exit| exit.accuracy);
    let records = outcome.records.as_ref();
    args![
        found.held.job_id,
        found.held.attempt.attempt,
        &outcome.trainer,
        outcome.n_train,
        outcome.n_calibration,
        outcome.n_test,
        outcome.train_seconds,
        accuracies.clone().next_back(),
        accuracies.reduce(f64::max),
        evaluation::area(&outcome.operating_points, found.backbone_macs, found.origin.n_classes as usize),
        records.map(|records| records.path.as_str()),
        records.map(|records| records.bytes as i64),
        records.map(|records| records.sha256.as_str()),
    ]
    .to_vec()
}
