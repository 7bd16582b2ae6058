//! Reading a frontier, against the fastest way to compute it.

use anyhow::ensure;
use offramp_coordinator::store::{CostMetric, FrontierFilter, Grouping, Reader};
use offramp_domain::frontier::{Point, non_dominated};

use super::Scale;
use crate::clock;
use crate::database::{Database, Engine};
use crate::statistics::percentile;
use crate::table::{Figure, Requirement};

/// The steps of the frontier of all points, for they are of one dataset, by a database that looks at each once; as points of equal cost and accuracy
/// are one step, that is less than what is read.
const SWEPT: &str = "
SELECT count(*)
FROM (
    SELECT accuracy, max(accuracy) OVER (ORDER BY macs_cascade, accuracy DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS best
    FROM operating_points
) AS swept
WHERE best IS NULL OR accuracy > best";

const POINTS: &str = "SELECT macs_cascade, accuracy FROM operating_points";

pub(super) async fn measure(engine: Engine, scale: &Scale, database: &Database) -> anyhow::Result<Vec<Figure>> {
    let reader = Reader::open(&database.url().parse()?).await?;
    let mut connection = database.ask().await?;
    let filter = FrontierFilter { sweep: None, grouping: Grouping::Dataset, metric: CostMetric::MacsCascade };
    let figure =
        |name, n, requirement| Figure { name, engine: engine.name(), unit: "ms", measured: Vec::new(), raw: Vec::new(), n, requirement };
    let mut typical = figure("frontier-p50", scale.n_reads, Requirement::RatioAtMost(1.0 / 50.0));
    let mut worst = figure("frontier-p99", scale.n_reads, Requirement::AtMost(10.0));
    let mut swept = figure("frontier-recomputed-in-sql", 1, Requirement::None);
    let mut filtered = figure("frontier-recomputed-in-rust", 1, Requirement::None);
    for _ in 0..scale.n_repetitions {
        let (mut took_ms, mut steps) = (Vec::new(), Vec::new());
        for _ in 0..scale.n_reads {
            let start = clock::now();
            let rows = reader.frontier(filter).await?;
            took_ms.push(start.elapsed().as_secs_f64() * 1e3);
            steps = rows.iter().map(|row| (row.cost, row.accuracy)).collect();
        }
        steps.dedup();

        let start = clock::now();
        let n_swept = connection.number(SWEPT).await?;
        swept.measured.push(start.elapsed().as_secs_f64() * 1e3);
        ensure!(n_swept == steps.len() as i64, "the frontier read has {} steps, the one computed in SQL {n_swept}", steps.len());

        let start = clock::now();
        let points: Vec<Point> = connection.pairs(POINTS).await?.into_iter().map(|(cost, accuracy)| Point { cost, accuracy }).collect();
        let standing = non_dominated(&points);
        filtered.measured.push(start.elapsed().as_secs_f64() * 1e3);
        let mut expected: Vec<(f64, f64)> = standing.into_iter().map(|index| (points[index].cost, points[index].accuracy)).collect();
        expected.dedup();
        ensure!(steps == expected, "the frontier read is not the one computed in Rust");

        typical.measured.push(percentile(&took_ms, 0.5));
        worst.measured.push(percentile(&took_ms, 0.99));
        let least = swept.measured.iter().zip(&filtered.measured).next_back().map_or(f64::NAN, |(a, b)| a.min(*b));
        typical.raw.push(least);
    }
    reader.close().await;
    connection.close().await?;
    Ok(vec![typical, worst, swept, filtered])
}
