//! Rows of the views, as messages: the same columns under the same names.

use offramp_proto::v1;

use super::engine::Row;

type Decoded<T> = Result<T, sqlx::Error>;

pub(super) fn sweep(row: &Row) -> Decoded<v1::SweepRow> {
    Ok(v1::SweepRow {
        sweep: row.get("sweep")?,
        name: row.get("name")?,
        state: row.get("state")?,
        created_us: row.get("created_us")?,
        n_jobs: row.get("n_jobs")?,
        n_queued: row.get("n_queued")?,
        n_leased: row.get("n_leased")?,
        n_succeeded: row.get("n_succeeded")?,
        n_failed: row.get("n_failed")?,
        n_diverged: row.get("n_diverged")?,
        n_blocked: row.get("n_blocked")?,
        n_quarantined: row.get("n_quarantined")?,
        n_cancelled: row.get("n_cancelled")?,
        n_reused: row.get("n_reused")?,
        priority: row.get("priority")?,
        note: row.get("note")?,
    })
}

pub(super) fn job(row: &Row) -> Decoded<v1::JobRow> {
    Ok(v1::JobRow {
        job: row.get("job")?,
        job_key: row.get("job_key")?,
        state: row.get("state")?,
        backbone: row.get("backbone")?,
        dataset: row.get("dataset")?,
        pattern: row.get("pattern")?,
        exits: row.get("exits")?,
        budget: row.get("budget")?,
        recipe: row.get("recipe")?,
        regime: row.get("regime")?,
        distill: row.get("distill")?,
        exit_weights: row.get("exit_weights")?,
        seed: seed(row)?,
        branch_rule: row.get("branch_rule")?,
        backbone_macs: row.get("backbone_macs")?,
        budget_macs: row.get("budget_macs")?,
        branch_macs: row.get("branch_macs")?,
        budget_error: row.get("budget_error")?,
        params: row.get("params")?,
        attempt: row.get("attempt")?,
        n_failures: row.get("n_failures")?,
        final_accuracy: row.get("final_accuracy")?,
        best_accuracy: row.get("best_accuracy")?,
        area: row.get("area")?,
        train_seconds: row.get("train_seconds")?,
        trainer: row.get("trainer")?,
        created_us: row.get("created_us")?,
        finished_us: row.get("finished_us")?,
        error: row.get("error")?,
        priority: row.get("priority")?,
        requirements: row.get("requirements")?,
        not_before_us: row.get("not_before_us")?,
        reused: row.get::<Option<i64>>("reused")?.map(|reused| reused != 0),
    })
}

pub(super) fn attempt(row: &Row) -> Decoded<v1::AttemptRow> {
    Ok(v1::AttemptRow {
        job: row.get("job")?,
        attempt: row.get("attempt")?,
        worker: row.get("worker")?,
        outcome: row.get("outcome")?,
        state: row.get("state")?,
        message: row.get("message")?,
        leased_us: row.get("leased_us")?,
        ended_us: row.get("ended_us")?,
    })
}

pub(super) fn exit(row: &Row) -> Decoded<v1::ExitRow> {
    Ok(v1::ExitRow {
        job: row.get("job")?,
        exit: row.get("exit")?,
        is_final: row.get("is_final")?,
        unit: row.get("unit")?,
        branch_depth: row.get("branch_depth")?,
        branch_width: row.get("branch_width")?,
        backbone_macs: row.get("backbone_macs")?,
        branch_macs: row.get("branch_macs")?,
        branch_params: row.get("branch_params")?,
        macs_cascade: row.get("macs_cascade")?,
        macs_selected: row.get("macs_selected")?,
        accuracy: row.get("accuracy")?,
        loss: row.get("loss")?,
        calibration_accuracy: row.get("calibration_accuracy")?,
        top5_accuracy: row.get("top5_accuracy")?,
        ece: row.get("ece")?,
        n_test: row.get("n_test")?,
        calibration_loss: row.get("calibration_loss")?,
        calibration_top5_accuracy: row.get("calibration_top5_accuracy")?,
        calibration_ece: row.get("calibration_ece")?,
        n_calibration: row.get("n_calibration")?,
        backbone: row.get("backbone")?,
        dataset: row.get("dataset")?,
        pattern: row.get("pattern")?,
        seed: seed(row)?,
    })
}

pub(super) fn operating_point(row: &Row) -> Decoded<v1::OperatingPointRow> {
    Ok(v1::OperatingPointRow {
        job: row.get("job")?,
        policy: row.get("policy")?,
        setting: row.get("setting")?,
        macs_cascade: row.get("macs_cascade")?,
        macs_selected: row.get("macs_selected")?,
        accuracy: row.get("accuracy")?,
        calibration_accuracy: row.get("calibration_accuracy")?,
        calibration_macs_cascade: row.get("calibration_macs_cascade")?,
        exit_shares: shares(row, "exit_shares")?,
        latency_us: row.get("latency_us")?,
        images_per_second: row.get("images_per_second")?,
        backbone: row.get("backbone")?,
        dataset: row.get("dataset")?,
        pattern: row.get("pattern")?,
        seed: seed(row)?,
    })
}

pub(super) fn artifact(row: &Row) -> Decoded<v1::ArtifactRow> {
    Ok(v1::ArtifactRow {
        job: row.get("job")?,
        attempt: row.get("attempt")?,
        kind: row.get("kind")?,
        worker: row.get("worker")?,
        path: row.get("path")?,
        bytes: row.get("bytes")?,
        sha256: row.get("sha256")?,
    })
}

pub(super) fn epoch(row: &Row) -> Decoded<v1::EpochRow> {
    Ok(v1::EpochRow {
        attempt: row.get("attempt")?,
        epoch: row.get("epoch")?,
        // Stored as NULL where it was not finite.
        loss: row.get::<Option<f64>>("loss")?.unwrap_or(f64::NAN),
        exit_accuracy: shares(row, "exit_accuracy")?,
        images_per_second: row.get("images_per_second")?,
    })
}

pub(super) fn frontier_point(row: &Row) -> Decoded<v1::FrontierRow> {
    Ok(v1::FrontierRow {
        sweep: row.get("sweep")?,
        grouping: row.get("grouping")?,
        dataset: row.get("dataset")?,
        trainer: row.get("trainer")?,
        cost_metric: row.get("cost_metric")?,
        cost: row.get("cost")?,
        accuracy: row.get("accuracy")?,
        backbone: row.get("backbone")?,
        pattern: row.get("pattern")?,
        exits: row.get("exits")?,
        budget: row.get("budget")?,
        recipe: row.get("recipe")?,
        seed: seed(row)?,
        policy: row.get("policy")?,
        setting: row.get("setting")?,
        latency_us: row.get("latency_us")?,
        images_per_second: row.get("images_per_second")?,
        job: row.get("job")?,
    })
}

pub(super) fn frontier_stay(row: &Row) -> Decoded<v1::FrontierHistoryRow> {
    Ok(v1::FrontierHistoryRow {
        sweep: row.get("sweep")?,
        grouping: row.get("grouping")?,
        dataset: row.get("dataset")?,
        backbone: row.get("backbone")?,
        pattern: row.get("pattern")?,
        trainer: row.get("trainer")?,
        cost_metric: row.get("cost_metric")?,
        cost: row.get("cost")?,
        accuracy: row.get("accuracy")?,
        job: row.get("job")?,
        policy: row.get("policy")?,
        setting: row.get("setting")?,
        entered_us: row.get("entered_us")?,
        left_us: row.get("left_us")?,
        displaced_by: row.get("displaced_by")?,
        hypervolume: row.get("hypervolume")?,
        reference_cost: row.get("reference_cost")?,
        reference_accuracy: row.get("reference_accuracy")?,
    })
}

pub(super) fn frontier_group(row: &Row) -> Decoded<v1::FrontierGroup> {
    Ok(v1::FrontierGroup {
        dataset: row.get("dataset")?,
        backbone: row.get("backbone")?,
        pattern: row.get("pattern")?,
        trainer: row.get("trainer")?,
        n_points: row.get::<i64>("n_points")?.cast_unsigned(),
        hypervolume: row.get("hypervolume")?,
        reference_cost: row.get("reference_cost")?,
        reference_accuracy: row.get("reference_accuracy")?,
    })
}

pub(super) fn pattern(row: &Row) -> Decoded<v1::PatternRow> {
    Ok(v1::PatternRow {
        sweep: row.get("sweep")?,
        backbone: row.get("backbone")?,
        dataset: row.get("dataset")?,
        exits: row.get("exits")?,
        budget: row.get("budget")?,
        recipe: row.get("recipe")?,
        pattern: row.get("pattern")?,
        n_seeds: row.get("n_seeds")?,
        area_mean: row.get("area_mean")?,
        area_deviation: row.get("area_deviation")?,
        final_accuracy_mean: row.get("final_accuracy_mean")?,
        final_accuracy_deviation: row.get("final_accuracy_deviation")?,
        budget_error: row.get("budget_error")?,
        branch_macs: row.get("branch_macs")?,
        backbone_macs: row.get("backbone_macs")?,
    })
}

pub(super) fn event(row: &Row) -> Decoded<v1::EventRow> {
    Ok(v1::EventRow {
        at_us: row.get("at_us")?,
        job: row.get("job")?,
        sweep: row.get("sweep")?,
        attempt: row.get("attempt")?,
        event: row.get("event")?,
        state: row.get("state")?,
        who: row.get("who")?,
        message: row.get("message")?,
    })
}

pub(super) fn dependency(row: &Row) -> Decoded<v1::DependencyRow> {
    Ok(v1::DependencyRow { job: row.get("job")?, state: row.get("state")? })
}

pub(super) fn worker(row: &Row) -> Decoded<v1::WorkerRow> {
    Ok(v1::WorkerRow {
        session: row.get("session")?,
        worker: row.get("worker")?,
        state: row.get("state")?,
        version: row.get("version")?,
        trainer: row.get("trainer")?,
        device: row.get("device")?,
        memory_mib: row.get("memory_mib")?,
        datasets: row.get("datasets")?,
        labels: row.get("labels")?,
        n_slots: row.get("n_slots")?,
        n_leased: row.get("n_leased")?,
        opened_us: row.get("opened_us")?,
        seen_us: row.get("seen_us")?,
        ended_us: row.get("ended_us")?,
    })
}

/// A job that is being worked on; its slot and progress are not stored.
pub(super) fn running_job(row: &Row) -> Decoded<(String, v1::RunningJob)> {
    let key: String = row.get("key")?;
    let running = v1::RunningJob {
        job: key.chars().take(12).collect(),
        attempt: row.get("attempt")?,
        worker: row.get("worker")?,
        slot: 0,
        backbone: row.get("backbone")?,
        dataset: row.get("dataset")?,
        pattern: row.get("pattern")?,
        seed: seed(row)?,
        progress: None,
    };
    Ok((key, running))
}

/// A seed is stored as the bits of a signed number: the only kind there is in SQL.
pub(super) fn seed(row: &Row) -> Decoded<u64> {
    Ok(row.get::<i64>("seed")?.cast_unsigned())
}

/// A JSON array of numbers.
fn shares(row: &Row, column: &str) -> Decoded<Vec<f64>> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(error) })
}
