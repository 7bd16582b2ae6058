//! Whether a database holds what so many completed jobs must leave behind, no more and no less. Asked of both sides of every ratio: a loop that
//! forgets a row would make the queue look slow, and a queue that forgets one would look fast.

use anyhow::bail;

use crate::database::Database;

/// Checks a database with one sweep, of whose jobs `n_done` were completed at the first attempt and the others are queued.
pub(crate) async fn check(database: &Database, n_done: u64) -> anyhow::Result<()> {
    let n_done = i64::try_from(n_done)?;
    let mut connection = database.connect().await?;
    let best = "accuracy = (SELECT max(accuracy) FROM operating_points)";
    let n_best = connection.number(&format!("SELECT count(*) FROM operating_points WHERE {best}")).await?;
    let wanted = [
        ("jobs succeeded", "job_states WHERE state = 'succeeded' AND attempt = 1 AND error = ''".to_owned(), n_done),
        ("jobs in another state than queued", "job_states WHERE state NOT IN ('succeeded', 'queued')".to_owned(), 0),
        ("attempts", "attempts".to_owned(), n_done),
        (
            "attempts that succeeded",
            "attempts WHERE outcome = 'succeeded' AND state = 'succeeded' AND ended_us >= leased_us".to_owned(),
            n_done,
        ),
        ("results", "results JOIN job_states ON job_states.job_id = results.job_id WHERE state = 'succeeded'".to_owned(), n_done),
        ("results of exits", "exit_results WHERE top5_accuracy IS NOT NULL AND calibration_ece IS NOT NULL".to_owned(), n_done),
        ("operating points", "operating_points".to_owned(), 2 * n_done),
        // All jobs' networks cost the same, so that the most accurate points alone are on the frontier.
        // There are those of the sweep and of all, by dataset, backbone and pattern, under the three costs that are not measured.
        ("points on the frontiers", "frontier WHERE left_us IS NULL".to_owned(), 18 * n_best),
        (
            "best points on the frontiers",
            format!(
                "frontier JOIN operating_points
                ON operating_points.job_id = frontier.job_id AND operating_points.point = frontier.point
                WHERE left_us IS NULL AND operating_points.{best}"
            ),
            18 * n_best,
        ),
    ];
    for (what, rows, expected) in wanted {
        let found = connection.number(&format!("SELECT count(*) FROM {rows}")).await?;
        if found != expected {
            bail!("{found} {what} where there should be {expected}");
        }
    }
    connection.close().await
}
