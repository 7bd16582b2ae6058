//! How accurate networks are: for a cost, and exit by exit.

use std::collections::BTreeMap;

use maud::{Markup, html};
use offramp_proto::v1;

use crate::report::Material;
use crate::report::cells::{Cell, Naming, cells, with_deviation};
use crate::report::figures::Drawing;
use crate::report::parts::{Kind, missing, note, section, table};
use crate::text::{macs, percent};

/// Costs that the table has columns for, as shares of the backbone's MACs.
const SHARES: [f64; 5] = [0.25, 0.5, 0.75, 1.0, 1.5];

/// Accuracy for a cost, by pattern.
pub(super) fn accuracy(material: &Material, figure: &Drawing) -> Markup {
    let naming = Naming::of(&material.jobs);
    let mut rows = Vec::new();
    for cell in cells(&material.jobs) {
        let details: Vec<&v1::JobDetail> = cell.finished().filter_map(|job| material.details.get(&job.job)).collect();
        if details.is_empty() {
            continue;
        }
        let job = cell.any();
        let mut row = vec![naming.block(job), job.pattern.clone(), details.len().to_string()];
        for share in SHARES {
            let most = share * job.backbone_macs as f64;
            let reached: Vec<f64> = details.iter().filter_map(|detail| within(&detail.operating_points, most)).collect();
            row.push(if reached.len() < details.len() { "-".to_owned() } else { with_deviation(&reached, percent) });
        }
        let areas: Vec<f64> = cell.finished().filter_map(|job| job.area).collect();
        row.push(with_deviation(&areas, |area| format!("{area:.4}")));
        rows.push(row);
    }
    let columns = [
        ("network", Kind::Text),
        ("pattern", Kind::Text),
        ("seeds", Kind::Number),
        ("at 25 %", Kind::Number),
        ("at 50 %", Kind::Number),
        ("at 75 %", Kind::Number),
        ("at 100 %", Kind::Number),
        ("at 150 %", Kind::Number),
        ("area", Kind::Number),
    ];
    let body = html! {
        p {
            "Test accuracy for at most that share of the backbone's MACs, mean ± sample deviation over seeds: of the operating points that cost no more on the calibration split, "
            "the most accurate there is taken, and measured on the test split. A dash: no exit is that cheap. "
            "The area is the mean over all costs up to twice the backbone's, with chance where nothing is that cheap; it compares patterns of one backbone and dataset."
        }
        (figure.show("Accuracy against expected MACs, a panel for each network and a line for each pattern: markers are the exits, lines a policy's thresholds, intervals are over seeds."))
        @if rows.is_empty() { (missing("No job has a result, so there is no accuracy to show.")) } @else {
            (table("Accuracy for a cost", &columns, &rows, &format!("offramp patterns {}", material.sweep.sweep)))
        }
        @if let Some(told) = material.told_of() { (note(&told)) }
    };
    section("accuracy", "Accuracy and cost", &body)
}

/// Test accuracy of the point that the calibration split chooses for a budget, as the area does.
fn within(points: &[v1::OperatingPointRow], most_macs: f64) -> Option<f64> {
    let mut chosen: Option<&v1::OperatingPointRow> = None;
    for point in points.iter().filter(|point| point.calibration_macs_cascade <= most_macs) {
        let is_better = chosen.is_none_or(|chosen| {
            let cheaper = point.calibration_macs_cascade < chosen.calibration_macs_cascade;
            point.calibration_accuracy > chosen.calibration_accuracy
                || (point.calibration_accuracy == chosen.calibration_accuracy && cheaper)
        });
        if is_better {
            chosen = Some(point);
        }
    }
    chosen.map(|point| point.accuracy)
}

/// Exit by exit.
pub(super) fn exits(material: &Material) -> Markup {
    let naming = Naming::of(&material.jobs);
    let mut by_job: BTreeMap<&str, Vec<&v1::ExitRow>> = BTreeMap::new();
    for exit in &material.exits {
        by_job.entry(&exit.job).or_default().push(exit);
    }
    let rows: Vec<Vec<String>> = cells(&material.jobs).iter().flat_map(|cell| exit_rows(cell, &by_job, &naming)).collect();
    let columns = [
        ("cell", Kind::Text),
        ("exit", Kind::Number),
        ("unit", Kind::Number),
        ("branch", Kind::Text),
        ("MACs", Kind::Number),
        ("seeds", Kind::Number),
        ("top-1", Kind::Number),
        ("top-5", Kind::Number),
        ("loss", Kind::Number),
        ("ECE", Kind::Number),
        ("test images", Kind::Varied),
    ];
    let body = html! {
        p {
            "Where every test image leaves at that exit: mean ± sample deviation over seeds. MACs are of the backbone up to there and of every branch on the way; "
            "ECE is the expected calibration error over 15 bins, losses are in nats."
        }
        @if rows.is_empty() { (missing("No job has a result, so there are no exits to show.")) } @else {
            (table("Every exit of every cell", &columns, &rows, &format!("offramp results {} --output csv", material.sweep.sweep)))
        }
    };
    section("exits", "Exits", &body)
}

fn exit_rows(cell: &Cell, by_job: &BTreeMap<&str, Vec<&v1::ExitRow>>, naming: &Naming) -> Vec<Vec<String>> {
    let of_jobs: Vec<&Vec<&v1::ExitRow>> = cell.finished().filter_map(|job| by_job.get(job.job.as_str())).collect();
    let n_exits = of_jobs.iter().map(|exits| exits.len()).min().unwrap_or(0);
    let row = |index: usize| {
        let exits: Vec<&v1::ExitRow> = of_jobs.iter().map(|exits| exits[index]).collect();
        let first = exits[0];
        let values = |field: fn(&v1::ExitRow) -> Option<f64>| exits.iter().filter_map(|exit| field(exit)).collect::<Vec<f64>>();
        let branch = match (first.is_final, first.branch_depth) {
            (true, _) => "final".to_owned(),
            (false, 0) => "linear".to_owned(),
            (false, depth) => format!("{depth} x {}", first.branch_width),
        };
        vec![
            naming.name(cell.any()),
            first.exit.to_string(),
            first.unit.to_string(),
            branch,
            macs(first.macs_cascade as f64),
            exits.len().to_string(),
            with_deviation(&values(|exit| Some(exit.accuracy)), percent),
            with_deviation(&values(|exit| exit.top5_accuracy), percent),
            with_deviation(&values(|exit| Some(exit.loss)), |loss| format!("{loss:.3}")),
            with_deviation(&values(|exit| exit.ece), |ece| format!("{ece:.3}")),
            first.n_test.to_string(),
        ]
    };
    (0..n_exits).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calibration_split_chooses_and_the_test_split_measures() {
        let point = |macs: f64, calibration: f64, accuracy: f64| v1::OperatingPointRow {
            calibration_macs_cascade: macs,
            calibration_accuracy: calibration,
            accuracy,
            ..v1::OperatingPointRow::default()
        };
        let points = [point(10.0, 0.5, 0.9), point(20.0, 0.7, 0.6), point(15.0, 0.7, 0.65), point(30.0, 0.8, 0.8)];
        assert_eq!(within(&points, 9.0), None);
        assert_eq!(within(&points, 10.0), Some(0.9));
        // Of the equally accurate ones the cheaper.
        assert_eq!(within(&points, 29.0), Some(0.65));
        assert_eq!(within(&points, 30.0), Some(0.8));
    }
}
