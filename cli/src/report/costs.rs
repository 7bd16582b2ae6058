//! What every network costs, and how near its branches come to the budget.

use maud::{Markup, html};

use crate::report::Material;
use crate::report::cells::cells;
use crate::report::parts::{Kind, missing, section, table};
use crate::text::{macs, signed_percent};

/// The equal-cost table.
pub(super) fn costs(material: &Material) -> Markup {
    let rows: Vec<Vec<String>> = cells(&material.jobs)
        .iter()
        .map(|cell| {
            let job = cell.any();
            let of_backbone = if job.backbone_macs > 0 { job.branch_macs as f64 / job.backbone_macs as f64 } else { f64::NAN };
            vec![
                job.backbone.clone(),
                job.dataset.clone(),
                job.pattern.clone(),
                job.exits.clone(),
                job.budget.clone(),
                job.recipe.clone(),
                job.branch_rule.clone(),
                macs(job.backbone_macs as f64),
                macs(job.budget_macs as f64),
                macs(job.branch_macs as f64),
                signed_percent(job.budget_error),
                crate::text::percent(of_backbone),
                macs(job.params as f64),
            ]
        })
        .collect();
    let columns = [
        ("backbone", Kind::Text),
        ("dataset", Kind::Text),
        ("pattern", Kind::Text),
        ("exits", Kind::Varied),
        ("budget", Kind::Varied),
        ("recipe", Kind::Varied),
        ("rule", Kind::Text),
        ("backbone MACs", Kind::Number),
        ("branch MACs asked", Kind::Number),
        ("branch MACs built", Kind::Number),
        ("error", Kind::Number),
        ("branches of backbone", Kind::Number),
        ("parameters", Kind::Number),
    ];
    let worst = material.jobs.iter().map(|job| job.budget_error.abs()).fold(0.0, f64::max);
    let body = html! {
        p {
            "Costs are strict multiply-accumulates (MACs) a sample of convolutions and linear layers; 1 MAC is 2 FLOPs. "
            "The error is how far the branches are from the budget, as a share of it; the largest here is " (crate::text::percent(worst)) "."
        }
        @if rows.is_empty() { (missing("The sweep has no jobs.")) } @else {
            (table("Asked and built cost of the branches of every pattern", &columns, &rows, &format!("offramp job list {} --output csv", material.sweep.sweep)))
        }
    };
    section("costs", "Equal cost", &body)
}
