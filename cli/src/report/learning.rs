//! How networks learned.

use std::collections::BTreeMap;

use maud::{Markup, html};
use offramp_domain::statistics::mean;
use offramp_proto::v1;

use crate::report::Material;
use crate::report::cells::{Naming, cells};
use crate::report::figures::Drawing;
use crate::report::parts::{Kind, missing, note, section, table};

/// Epochs that a table has a row for, evenly spaced, the first and the last among them.
const EPOCHS: usize = 6;

/// The learning curves.
pub(super) fn learning(material: &Material, figure: &Drawing) -> Markup {
    let naming = Naming::of(&material.jobs);
    let mut rows = Vec::new();
    for cell in cells(&material.jobs) {
        let curves: Vec<&[v1::EpochRow]> =
            cell.finished().filter_map(|job| material.details.get(&job.job)).map(|detail| detail.epochs.as_slice()).collect();
        let epochs = by_epoch(&curves);
        for epoch in sampled(&epochs.keys().copied().collect::<Vec<_>>()) {
            let of_epoch = &epochs[&epoch];
            let losses: Vec<f64> = of_epoch.iter().map(|row| row.loss).filter(|loss| loss.is_finite()).collect();
            let n_exits = of_epoch.iter().map(|row| row.exit_accuracy.len()).min().unwrap_or(0);
            let exits: Vec<String> = (0..n_exits)
                .map(|exit| of_epoch.iter().map(|row| row.exit_accuracy[exit]).collect::<Vec<f64>>())
                .map(|accuracies| format!("{:.1}", 100.0 * mean(&accuracies)))
                .collect();
            rows.push(vec![
                naming.name(cell.any()),
                epoch.to_string(),
                of_epoch.len().to_string(),
                if losses.is_empty() { "-".to_owned() } else { format!("{:.3}", mean(&losses)) },
                format!("{} %", exits.join(" / ")),
            ]);
        }
    }
    let columns = [
        ("cell", Kind::Text),
        ("epoch", Kind::Number),
        ("seeds", Kind::Number),
        ("training loss", Kind::Number),
        ("accuracy of each exit (calibration)", Kind::Number),
    ];
    let body = html! {
        p { "Means over seeds after some of the epochs: the training loss summed over exits, and the accuracy of each exit on the calibration images, the final one last." }
        (figure.show("Training loss and calibration accuracy over epochs, a line for each pattern; intervals are over seeds."))
        @if rows.is_empty() { (missing("No epoch of a finished job is recorded.")) } @else {
            (table("Learning curves", &columns, &rows, "offramp job show JOB"))
        }
        @if let Some(told) = material.told_of() { (note(&told)) }
    };
    section("learning", "Learning", &body)
}

/// The epochs of several jobs, side by side.
fn by_epoch<'a>(curves: &[&'a [v1::EpochRow]]) -> BTreeMap<u32, Vec<&'a v1::EpochRow>> {
    let mut epochs: BTreeMap<u32, Vec<&v1::EpochRow>> = BTreeMap::new();
    for row in curves.iter().copied().flatten() {
        epochs.entry(row.epoch).or_default().push(row);
    }
    epochs
}

/// Some of the epochs.
fn sampled(epochs: &[u32]) -> Vec<u32> {
    if epochs.len() <= EPOCHS {
        return epochs.to_vec();
    }
    (0..EPOCHS).map(|index| epochs[index * (epochs.len() - 1) / (EPOCHS - 1)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_epoch_are_among_the_sample() {
        assert_eq!(sampled(&[1, 2, 3]), [1, 2, 3]);
        assert_eq!(sampled(&(1..=30).collect::<Vec<_>>()), [1, 6, 12, 18, 24, 30]);
    }
}
