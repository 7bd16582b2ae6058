//! `offramp frontier --band`: what single seeds attain, rather than all of them together.

use offramp_domain::frontier::attainment;
use serde::Serialize;

use crate::args::{CostChoice, FrontierArguments};
use crate::commands::reached::{self, Groups};
use crate::failure::Failure;
use crate::output::{Rows, say, view};
use crate::source::Source;

/// A point of a surface.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(crate) struct BandRow {
    pub(crate) dataset: String,
    pub(crate) backbone: Option<String>,
    pub(crate) pattern: Option<String>,
    pub(crate) trainer: Option<String>,
    /// `best`, `median` or `worst`.
    pub(crate) surface: &'static str,
    /// By how many of the seeds the surface is attained, at least.
    pub(crate) level: usize,
    pub(crate) n_seeds: usize,
    pub(crate) cost: f64,
    pub(crate) accuracy: f64,
}

/// The band of each group; says on stderr what is uneven.
pub(crate) async fn rows(source: &Source, arguments: &FrontierArguments) -> Result<Rows, Failure> {
    let groups = reached::read(source, arguments).await?;
    for (group, reached) in &groups {
        if let Some((least, most)) = reached::uneven(reached) {
            let dataset = crate::text::escape_control(&group.dataset);
            say(&format!("on {dataset}, seeds have results of {least} to {most} jobs: where some are missing, the band is too low"));
        }
    }
    let view = match arguments.cost {
        CostChoice::Macs | CostChoice::MacsSelected => &view::BAND,
        CostChoice::Params => &view::BAND_BY_PARAMS,
        CostChoice::Latency => &view::BAND_BY_LATENCY,
    };
    Ok(Rows::new(view, &band(&groups)))
}

fn band(groups: &Groups) -> Vec<BandRow> {
    let mut rows = Vec::new();
    for (group, reached) in groups {
        let sets: Vec<_> = reached::by_seed(reached).into_values().collect();
        let n_seeds = sets.len();
        for (surface, level) in [("best", 1), ("median", n_seeds.div_ceil(2)), ("worst", n_seeds)] {
            rows.extend(attainment::surface(&sets, level).into_iter().map(|point| BandRow {
                dataset: group.dataset.clone(),
                backbone: group.backbone.clone(),
                pattern: group.pattern.clone(),
                trainer: group.trainer.clone(),
                surface,
                level,
                n_seeds,
                cost: point.cost,
                accuracy: point.accuracy,
            }));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use offramp_domain::frontier::Point;

    use super::*;
    use crate::commands::reached::{Group, Reached};

    #[test]
    fn the_median_of_three_seeds_is_what_two_of_them_attain() {
        let point = |seed, cost, accuracy| Reached {
            job: format!("job {seed}"),
            pattern: "constant".to_owned(),
            seed,
            point: Point { cost, accuracy },
            params: 1.0,
        };
        let group = Group { dataset: "digits".to_owned(), backbone: None, pattern: None, trainer: None };
        let reached = vec![point(0, 1.0, 0.5), point(0, 3.0, 0.75), point(1, 2.0, 0.625), point(2, 2.0, 0.5)];
        let rows = band(&Groups::from([(group, reached)]));
        let told: Vec<_> = rows.iter().map(|row| (row.surface, row.level, row.cost, row.accuracy)).collect();
        assert_eq!(
            told,
            [
                ("best", 1, 1.0, 0.5),
                ("best", 1, 2.0, 0.625),
                ("best", 1, 3.0, 0.75),
                // At 2, seeds 0 and 2 have 0.5, and seed 1 more; at 3, seeds 0 and 1 have 0.625.
                ("median", 2, 2.0, 0.5),
                ("median", 2, 3.0, 0.625),
                ("worst", 3, 2.0, 0.5),
            ]
        );
        assert!(rows.iter().all(|row| row.n_seeds == 3));
    }
}
