//! Jobs by cell: all that differ in nothing but the seed.

use std::collections::BTreeSet;

use offramp_domain::statistics::{mean, sample_deviation};
use offramp_proto::v1;

/// What a cell's jobs agree in: backbone, dataset, exits, budget, recipe and pattern, as `v_patterns` has it.
pub(super) type CellKey = [String; 6];

/// A job's cell.
pub(super) fn key(job: &v1::JobRow) -> CellKey {
    [&job.backbone, &job.dataset, &job.exits, &job.budget, &job.recipe, &job.pattern].map(Clone::clone)
}

/// Jobs of one cell.
#[derive(Debug)]
pub(super) struct Cell<'a> {
    pub(super) jobs: Vec<&'a v1::JobRow>,
}

impl<'a> Cell<'a> {
    /// What all of its jobs have in common can be read off any of them.
    pub(super) fn any(&self) -> &'a v1::JobRow {
        self.jobs[0]
    }

    pub(super) fn finished(&self) -> impl Iterator<Item = &'a v1::JobRow> + '_ {
        self.jobs.iter().copied().filter(|job| job.state == "succeeded")
    }
}

/// The cells, in the order in which the jobs have them.
pub(super) fn cells(jobs: &[v1::JobRow]) -> Vec<Cell<'_>> {
    let mut places: std::collections::HashMap<CellKey, usize> = std::collections::HashMap::new();
    let mut cells: Vec<Cell> = Vec::new();
    for job in jobs {
        let place = *places.entry(key(job)).or_insert(cells.len());
        if place == cells.len() {
            cells.push(Cell { jobs: Vec::new() });
        }
        cells[place].jobs.push(job);
    }
    cells
}

/// Which of the six things that a cell is made of differ among the jobs. Patterns without exits or a budget (`-`) differ in them from nobody.
#[derive(Debug, Clone)]
pub(super) struct Naming {
    varied: [bool; 6],
    shared_recipe: BTreeSet<String>,
}

impl Naming {
    pub(super) fn of(jobs: &[v1::JobRow]) -> Self {
        let distinct = |field: usize| {
            let values: BTreeSet<String> = jobs.iter().map(|job| key(job)[field].clone()).filter(|value| value != "-").collect();
            values.len() > 1
        };
        let parts = |job: &v1::JobRow| job.recipe.split(", ").map(str::to_owned).collect::<BTreeSet<String>>();
        let first = jobs.first().map(parts).unwrap_or_default();
        let shared_recipe = jobs.iter().fold(first, |shared, job| shared.intersection(&parts(job)).cloned().collect());
        Self { varied: std::array::from_fn(distinct), shared_recipe }
    }

    /// What tells a job's cell from the others: the backbone, the dataset and the pattern, and of the rest what differs.
    pub(super) fn name(&self, job: &v1::JobRow) -> String {
        self.parts(job, true).join(", ")
    }

    /// The same without the pattern.
    pub(super) fn block(&self, job: &v1::JobRow) -> String {
        self.parts(job, false).join(", ")
    }

    fn parts(&self, job: &v1::JobRow, with_pattern: bool) -> Vec<String> {
        let [backbone, dataset, exits, budget, recipe, pattern] = key(job);
        let mut parts = vec![format!("{backbone} on {dataset}")];
        if with_pattern {
            parts.push(pattern);
        }
        parts.extend(self.varied[2].then_some(exits).filter(|exits| exits != "-"));
        parts.extend(self.varied[3].then_some(budget).filter(|budget| budget != "-"));
        if self.varied[4] {
            parts.extend(recipe.split(", ").filter(|part| !self.shared_recipe.contains(*part)).map(str::to_owned));
        }
        parts
    }
}

/// A mean with its sample deviation, where there are two or more values.
pub(super) fn with_deviation(values: &[f64], show: impl Fn(f64) -> String) -> String {
    if values.is_empty() {
        return "-".to_owned();
    }
    match sample_deviation(values) {
        Ok(deviation) => format!("{} ± {}", show(mean(values)), show(deviation)),
        Err(_) => show(mean(values)),
    }
}

/// The distinct values of a field, in the order in which the jobs have them, without what stands for nothing.
pub(super) fn distinct<'a>(jobs: &'a [v1::JobRow], field: impl Fn(&'a v1::JobRow) -> &'a str) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    jobs.iter().map(field).filter(|value| *value != "-" && !value.is_empty() && seen.insert(*value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_of_one_has_no_deviation() {
        let show = |value: f64| format!("{value:.1}");
        assert_eq!(with_deviation(&[], show), "-");
        assert_eq!(with_deviation(&[2.0], show), "2.0");
        // Mean 3, deviations -1, 0 and 1, divided by n - 1.
        assert_eq!(with_deviation(&[2.0, 3.0, 4.0], show), "3.0 ± 1.0");
    }

    #[test]
    fn cells_are_named_by_what_differs() {
        let job = |pattern: &str, exits: &str, recipe: &str| v1::JobRow {
            backbone: "resnet8".into(),
            dataset: "digits".into(),
            pattern: pattern.into(),
            exits: exits.into(),
            budget: exits.replace("stage-ends", "6 levels"),
            recipe: recipe.into(),
            ..v1::JobRow::default()
        };
        let jobs = [job("none", "-", "15 epochs, sgd 0.1"), job("constant", "stage-ends", "15 epochs, sgd 0.1")];
        assert_eq!(Naming::of(&jobs).name(&jobs[1]), "resnet8 on digits, constant");
        let jobs = [jobs[0].clone(), jobs[1].clone(), job("constant", "stage-ends", "30 epochs, sgd 0.1")];
        assert_eq!(Naming::of(&jobs).name(&jobs[2]), "resnet8 on digits, constant, 30 epochs");
        assert_eq!(Naming::of(&jobs).block(&jobs[2]), "resnet8 on digits, 30 epochs");
        assert_eq!(cells(&jobs).len(), 3);
    }
}
