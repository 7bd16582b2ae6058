//! Which jobs are compared in one panel, and over which seeds.

use offramp_proto::v1;

/// Jobs that are compared: equal in all but pattern and seed.
#[derive(Debug)]
pub(super) struct Group<'a> {
    /// Backbone and dataset.
    pub(super) name: String,
    /// What else tells it from the other groups; empty where nothing does.
    pub(super) conditions: String,
    /// Patterns in the order of the jobs.
    pub(super) patterns: Vec<Pattern<'a>>,
}

/// A pattern's jobs: one a seed.
#[derive(Debug)]
pub(super) struct Pattern<'a> {
    pub(super) name: String,
    pub(super) jobs: Vec<Job<'a>>,
}

/// A job with its row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) row: &'a v1::JobRow,
    pub(super) detail: &'a v1::JobDetail,
}

/// Jobs with their rows; a detail without one is none.
pub(super) fn jobs(details: &[v1::JobDetail]) -> impl Iterator<Item = Job<'_>> {
    details.iter().filter_map(|detail| detail.job.as_ref().map(|row| Job { row, detail }))
}

/// What tells groups apart besides backbone and dataset, each with what a panel says of it.
fn conditions(row: &v1::JobRow) -> [(&'static str, &str); 6] {
    [
        ("exits ", &row.exits),
        ("budget ", &row.budget),
        ("", &row.recipe),
        ("", &row.regime),
        ("distill ", &row.distill),
        ("weights ", &row.exit_weights),
    ]
}

/// Pattern `none` has no exits and no budget, so it belongs to every group that is equal in the rest.
fn belongs(job: &v1::JobRow, group: &v1::JobRow) -> bool {
    let equal = |(job, group): (&(&str, &str), &(&str, &str))| job.1 == group.1 || (job.1 == "-" && matches!(job.0, "exits " | "budget "));
    // What exits learn from, and how much each counts, means nothing where there is one.
    let n_told = if job.exits == "-" { 3 } else { 6 };
    job.backbone == group.backbone && job.dataset == group.dataset && conditions(job).iter().zip(&conditions(group)).take(n_told).all(equal)
}

/// Puts jobs into groups, in the order in which they come.
pub(super) fn groups(details: &[v1::JobDetail]) -> Vec<Group<'_>> {
    let mut heads: Vec<&v1::JobRow> = Vec::new();
    // Jobs with exits first: those without join them, and make groups of their own where there are none.
    let (with, without): (Vec<Job<'_>>, Vec<Job<'_>>) = jobs(details).partition(|job| job.row.exits != "-");
    for job in with.iter().chain(&without) {
        if !heads.iter().any(|head| belongs(job.row, head)) {
            heads.push(job.row);
        }
    }
    let differs = |index: usize| heads.iter().any(|head| conditions(head)[index].1 != conditions(heads[0])[index].1);
    let group = |head: &&v1::JobRow| {
        let told = conditions(head).into_iter().enumerate().filter(|(index, (_, value))| differs(*index) && *value != "-");
        let told: Vec<String> = told.map(|(_, (word, value))| format!("{word}{value}")).collect();
        let mut patterns: Vec<Pattern<'_>> = Vec::new();
        for job in jobs(details).filter(|job| belongs(job.row, head)) {
            match patterns.iter_mut().find(|pattern| pattern.name == job.row.pattern) {
                Some(pattern) => pattern.jobs.push(job),
                None => patterns.push(Pattern { name: job.row.pattern.clone(), jobs: vec![job] }),
            }
        }
        Group { name: format!("{} on {}", head.backbone, head.dataset), conditions: told.join(", "), patterns }
    };
    heads.iter().map(group).collect()
}
