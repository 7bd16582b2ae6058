//! Rows of the views, as messages: the same columns under the same names.

use offramp_proto::v1;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

type Decoded<T> = Result<T, sqlx::Error>;

pub(super) fn sweep(row: &SqliteRow) -> Decoded<v1::SweepRow> {
    Ok(v1::SweepRow {
        sweep: row.try_get("sweep")?,
        name: row.try_get("name")?,
        state: row.try_get("state")?,
        created_us: row.try_get("created_us")?,
        n_jobs: row.try_get("n_jobs")?,
        n_queued: row.try_get("n_queued")?,
        n_leased: row.try_get("n_leased")?,
        n_succeeded: row.try_get("n_succeeded")?,
        n_failed: row.try_get("n_failed")?,
        n_diverged: row.try_get("n_diverged")?,
    })
}

pub(super) fn job(row: &SqliteRow) -> Decoded<v1::JobRow> {
    Ok(v1::JobRow {
        job: row.try_get("job")?,
        job_key: row.try_get("job_key")?,
        state: row.try_get("state")?,
        backbone: row.try_get("backbone")?,
        dataset: row.try_get("dataset")?,
        pattern: row.try_get("pattern")?,
        exits: row.try_get("exits")?,
        budget: row.try_get("budget")?,
        recipe: row.try_get("recipe")?,
        seed: seed(row)?,
        branch_rule: row.try_get("branch_rule")?,
        backbone_macs: row.try_get("backbone_macs")?,
        budget_macs: row.try_get("budget_macs")?,
        branch_macs: row.try_get("branch_macs")?,
        budget_error: row.try_get("budget_error")?,
        params: row.try_get("params")?,
        attempt: row.try_get("attempt")?,
        n_failures: row.try_get("n_failures")?,
        final_accuracy: row.try_get("final_accuracy")?,
        best_accuracy: row.try_get("best_accuracy")?,
        area: row.try_get("area")?,
        train_seconds: row.try_get("train_seconds")?,
        trainer: row.try_get("trainer")?,
        created_us: row.try_get("created_us")?,
        finished_us: row.try_get("finished_us")?,
        error: row.try_get("error")?,
    })
}

pub(super) fn attempt(row: &SqliteRow) -> Decoded<v1::AttemptRow> {
    Ok(v1::AttemptRow {
        job: row.try_get("job")?,
        attempt: row.try_get("attempt")?,
        worker: row.try_get("worker")?,
        outcome: row.try_get("outcome")?,
        message: row.try_get("message")?,
        leased_us: row.try_get("leased_us")?,
        ended_us: row.try_get("ended_us")?,
    })
}

pub(super) fn exit(row: &SqliteRow) -> Decoded<v1::ExitRow> {
    Ok(v1::ExitRow {
        job: row.try_get("job")?,
        exit: row.try_get("exit")?,
        is_final: row.try_get::<i64, _>("is_final")? != 0,
        unit: row.try_get("unit")?,
        branch_depth: row.try_get("branch_depth")?,
        branch_width: row.try_get("branch_width")?,
        backbone_macs: row.try_get("backbone_macs")?,
        branch_macs: row.try_get("branch_macs")?,
        branch_params: row.try_get("branch_params")?,
        macs_cascade: row.try_get("macs_cascade")?,
        macs_selected: row.try_get("macs_selected")?,
        accuracy: row.try_get("accuracy")?,
        loss: row.try_get("loss")?,
        calibration_accuracy: row.try_get("calibration_accuracy")?,
        backbone: row.try_get("backbone")?,
        dataset: row.try_get("dataset")?,
        pattern: row.try_get("pattern")?,
        seed: seed(row)?,
    })
}

pub(super) fn operating_point(row: &SqliteRow) -> Decoded<v1::OperatingPointRow> {
    Ok(v1::OperatingPointRow {
        job: row.try_get("job")?,
        policy: row.try_get("policy")?,
        setting: row.try_get("setting")?,
        macs_cascade: row.try_get("macs_cascade")?,
        macs_selected: row.try_get("macs_selected")?,
        accuracy: row.try_get("accuracy")?,
        calibration_accuracy: row.try_get("calibration_accuracy")?,
        calibration_macs_cascade: row.try_get("calibration_macs_cascade")?,
        exit_shares: shares(row, "exit_shares")?,
        backbone: row.try_get("backbone")?,
        dataset: row.try_get("dataset")?,
        pattern: row.try_get("pattern")?,
        seed: seed(row)?,
    })
}

pub(super) fn epoch(row: &SqliteRow) -> Decoded<v1::EpochRow> {
    Ok(v1::EpochRow {
        attempt: row.try_get("attempt")?,
        epoch: row.try_get("epoch")?,
        // Stored as NULL where it was not finite.
        loss: row.try_get::<Option<f64>, _>("loss")?.unwrap_or(f64::NAN),
        exit_accuracy: shares(row, "exit_accuracy")?,
        images_per_second: row.try_get("images_per_second")?,
    })
}

pub(super) fn frontier_point(row: &SqliteRow) -> Decoded<v1::FrontierRow> {
    Ok(v1::FrontierRow {
        sweep: row.try_get("sweep")?,
        dataset: row.try_get("dataset")?,
        cost_metric: row.try_get("cost_metric")?,
        cost: row.try_get("cost")?,
        accuracy: row.try_get("accuracy")?,
        backbone: row.try_get("backbone")?,
        pattern: row.try_get("pattern")?,
        exits: row.try_get("exits")?,
        budget: row.try_get("budget")?,
        recipe: row.try_get("recipe")?,
        seed: seed(row)?,
        policy: row.try_get("policy")?,
        setting: row.try_get("setting")?,
        job: row.try_get("job")?,
    })
}

pub(super) fn pattern(row: &SqliteRow) -> Decoded<v1::PatternRow> {
    Ok(v1::PatternRow {
        sweep: row.try_get("sweep")?,
        backbone: row.try_get("backbone")?,
        dataset: row.try_get("dataset")?,
        exits: row.try_get("exits")?,
        budget: row.try_get("budget")?,
        recipe: row.try_get("recipe")?,
        pattern: row.try_get("pattern")?,
        n_seeds: row.try_get("n_seeds")?,
        area_mean: row.try_get("area_mean")?,
        area_deviation: row.try_get("area_deviation")?,
        final_accuracy_mean: row.try_get("final_accuracy_mean")?,
        final_accuracy_deviation: row.try_get("final_accuracy_deviation")?,
        budget_error: row.try_get("budget_error")?,
        branch_macs: row.try_get("branch_macs")?,
        backbone_macs: row.try_get("backbone_macs")?,
    })
}

/// A job that is being worked on; its slot and progress are not stored.
pub(super) fn running_job(row: &SqliteRow) -> Decoded<(String, v1::RunningJob)> {
    let key: String = row.try_get("key")?;
    let running = v1::RunningJob {
        job: key.chars().take(12).collect(),
        attempt: row.try_get("attempt")?,
        worker: row.try_get("worker")?,
        slot: 0,
        backbone: row.try_get("backbone")?,
        dataset: row.try_get("dataset")?,
        pattern: row.try_get("pattern")?,
        seed: seed(row)?,
        progress: None,
    };
    Ok((key, running))
}

/// A seed is stored as the bits of a signed number: the only kind there is in SQL.
fn seed(row: &SqliteRow) -> Decoded<u64> {
    Ok(row.try_get::<i64, _>("seed")?.cast_unsigned())
}

/// A JSON array of numbers.
fn shares(row: &SqliteRow, column: &str) -> Decoded<Vec<f64>> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(error) })
}
