//! The frontier of each dataset, with its hypervolume and its knee.

use maud::{Markup, html};
use offramp_domain::dataset;
use offramp_domain::frontier::{Point, hypervolume, indicators};
use offramp_proto::v1;

use crate::report::Material;
use crate::report::cells::distinct;
use crate::report::figures::Drawing;
use crate::report::parts::{Kind, missing, note, section, table};
use crate::text::{count, escape_control, macs, number, percent};

/// The frontiers.
pub(super) fn frontier(material: &Material, figure: &Drawing) -> Markup {
    let body = html! {
        p {
            "The operating points that no other point of the sweep beats: none costs as little and is as accurate. "
            "Costs are expected MACs of a sample, with every branch on the way paid. "
            "Points are chosen by test accuracy, so the best of many reads slightly high; the comparison of patterns below does not choose on the test split."
        }
        @if material.frontier.is_empty() { (missing("No job has a result, so there is no frontier.")) }
        (figure.show("Frontiers by pattern, a panel for each dataset. Where there are three seeds or more, the line is the median seed and the band reaches from the worst to the best."))
        @for dataset in datasets(material) {
            (of_dataset(material, dataset))
        }
    };
    section("frontier", "Frontier", &body)
}

fn datasets(material: &Material) -> Vec<&str> {
    let datasets = distinct(&material.jobs, |job| &job.dataset);
    datasets.into_iter().filter(|dataset| material.frontier.iter().any(|point| point.dataset == *dataset)).collect()
}

fn of_dataset(material: &Material, name: &str) -> Markup {
    let points: Vec<&v1::FrontierRow> = material.frontier.iter().filter(|point| point.dataset == name).collect();
    let places: Vec<Point> = points.iter().map(|point| Point { cost: point.cost, accuracy: point.accuracy }).collect();
    let knee = indicators::knee(&places);
    let rows: Vec<Vec<String>> = points
        .iter()
        .enumerate()
        .map(|(index, point)| {
            vec![
                macs(point.cost),
                percent(point.accuracy),
                point.backbone.clone(),
                point.pattern.clone(),
                point.exits.clone(),
                point.budget.clone(),
                point.recipe.clone(),
                point.seed.to_string(),
                point.policy.clone(),
                number(point.setting),
                point.latency_us.map_or_else(|| "-".to_owned(), |us| format!("{us:.0} µs")),
                point.job.clone(),
                if knee == Some(index) { "knee".to_owned() } else { String::new() },
            ]
        })
        .collect();
    let columns = [
        ("MACs", Kind::Number),
        ("accuracy", Kind::Number),
        ("backbone", Kind::Text),
        ("pattern", Kind::Text),
        ("exits", Kind::Varied),
        ("budget", Kind::Varied),
        ("recipe", Kind::Varied),
        ("seed", Kind::Number),
        ("policy", Kind::Text),
        ("setting", Kind::Number),
        ("latency", Kind::Varied),
        ("job", Kind::Text),
        ("note", Kind::Varied),
    ];
    let all = format!("offramp frontier {} --output csv", material.sweep.sweep);
    html! {
        h3 { (escape_control(name)) ": " (count(points.len() as u64, "point")) }
        (volume(material, name, &places))
        @match knee.map(|index| points[index]) {
            Some(point) => p {
                "Its knee, where one more MAC begins to buy less, is at " (macs(point.cost)) " MACs and " (percent(point.accuracy)) " ("
                (escape_control(&point.backbone)) ", " (escape_control(&point.pattern)) ", " (escape_control(&point.policy)) ")."
            },
            None => p { "It has no knee: no point lies above the line from its cheapest to its most accurate one." },
        }
        (table(&format!("Frontier on {name}, cheapest first"), &columns, &rows, &all))
    }
}

/// The hypervolume as a share of what there is to cover. The box is the sweep's own: from chance to always right, and up to twice the MACs of its
/// most expensive backbone, which is where the area ends as well.
fn volume(material: &Material, name: &str, places: &[Point]) -> Markup {
    let backbone = material.jobs.iter().filter(|job| job.dataset == name).map(|job| job.backbone_macs).max();
    let (Some(backbone), Ok(dataset)) = (backbone, dataset::parse(name)) else {
        return note("Its hypervolume is not given: the number of classes is not known here.");
    };
    let chance = 1.0 / dataset.n_classes as f64;
    let most = 2.0 * backbone as f64;
    let covered = hypervolume(places, Point { cost: most, accuracy: chance });
    html! {
        p {
            "Its hypervolume is " (percent(covered / (most * (1.0 - chance)))) " of the area between chance (" (percent(chance)) ") and 100 %, up to "
            (macs(most)) " MACs: twice the most expensive backbone."
        }
    }
}
