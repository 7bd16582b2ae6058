//! Which columns each kind of row has. Names and order are those of the database's views; JSON and CSV carry all of them.

mod compare;
mod data;
mod frontier;
mod reproduce;

pub(crate) use compare::{
    CELLS, CELLS_BY_ACCURACY, FRIEDMAN, LEVELS, LEVELS_BY_ACCURACY, PAIRS, PAIRS_BY_ACCURACY, PATTERNS, SWEEP_CELL_DIFFERENCES,
    SWEEP_DIFFERENCES,
};
pub(crate) use data::{DATASETS, FETCHED, VERIFIED};
pub(crate) use frontier::{
    BAND, BAND_BY_LATENCY, BAND_BY_PARAMS, FRONTIER, FRONTIER_BY_LATENCY, FRONTIER_BY_PARAMS, HISTORY, HISTORY_BY_LATENCY,
    HISTORY_BY_PARAMS, INDICATORS, INDICATORS_BY_LATENCY, INDICATORS_BY_PARAMS,
};
pub(crate) use reproduce::{COMPARED, DIFFERENCES};

/// A kind of row.
#[derive(Debug)]
pub(crate) struct View {
    /// What JSON calls it.
    pub(crate) kind: &'static str,
    /// All its columns.
    pub(crate) columns: &'static [Column],
}

/// One column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    /// Its name in JSON, CSV and SQL.
    pub(crate) name: &'static str,
    /// What stands over it in a table.
    pub(crate) header: &'static str,
    /// Whether tables have it.
    pub(crate) shown: Shown,
    /// How tables write its values.
    pub(crate) quantity: Quantity,
}

/// Whether a table has a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Yes.
    Always,
    /// Where there is room. Of these, the last go first.
    IfRoom,
    /// Where there is room once those have gone. Of these as well, the last go first.
    UnlessNarrow,
    /// Where its values differ: what is the same in every row only takes room.
    IfVaried,
    /// Where a row has something to say: neither nothing nor zero, `no` or `-`.
    IfPresent,
    /// The same, as long as everything that is always there fits beside it.
    IfPresentAndFits,
    /// The same, where there is room. These go with the columns that have room alone.
    IfPresentAndRoom,
    /// It was asked for.
    Chosen,
    /// In JSON and CSV alone.
    Never,
}

/// What a column's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantity {
    /// A name that is copied into commands or compared at a glance: left-aligned, never broken.
    Text,
    /// Sentences, paths and names that people chose: left-aligned, wrapped where there is no room.
    Prose,
    /// A recipe's parts, of which a table shows those that differ.
    Recipe,
    /// A whole number as it is.
    Integer,
    /// A whole number from 1 on; 0 stands for none.
    Ordinal,
    /// A number: whole, or with four decimals.
    Number,
    /// A number with four decimals.
    Decimal,
    /// A share, shown as per cent.
    Share,
    /// A relative error, shown as per cent with its sign.
    Error,
    /// A number with four decimals and its sign.
    Signed,
    /// A difference of shares, in percentage points with its sign.
    Points,
    /// Whole numbers, a list.
    Numbers,
    /// A probability of a test.
    P,
    /// MACs, or a count as large.
    Macs,
    /// Seconds.
    Seconds,
    /// Unix microseconds, shown as ISO-8601 in UTC.
    Time,
    /// One share an exit.
    Shares,
    /// `yes` or `no`.
    Flag,
}

const fn column(name: &'static str, header: &'static str, shown: Shown, quantity: Quantity) -> Column {
    Column { name, header, shown, quantity }
}

/// A column that tables have.
const fn shown(name: &'static str, header: &'static str, quantity: Quantity) -> Column {
    column(name, header, Shown::Always, quantity)
}

/// A column that tables have where there is room.
const fn spare(name: &'static str, header: &'static str, quantity: Quantity) -> Column {
    column(name, header, Shown::IfRoom, quantity)
}

/// A column that all but narrow tables have.
const fn wide(name: &'static str, header: &'static str, quantity: Quantity) -> Column {
    column(name, header, Shown::UnlessNarrow, quantity)
}

/// A column that tables have where its values differ.
const fn varied(name: &'static str, quantity: Quantity) -> Column {
    column(name, name, Shown::IfVaried, quantity)
}

/// A column that tables have where a row has something to say.
const fn present(name: &'static str, header: &'static str, quantity: Quantity) -> Column {
    column(name, header, Shown::IfPresent, quantity)
}

/// A column that tables have where a row has something to say and there is room.
const fn extra(name: &'static str, header: &'static str, quantity: Quantity) -> Column {
    column(name, header, Shown::IfPresentAndRoom, quantity)
}

/// A column that tables leave out.
const fn hidden(name: &'static str, quantity: Quantity) -> Column {
    column(name, name, Shown::Never, quantity)
}

use Quantity::{Decimal, Error, Flag, Integer, Macs, Number, Ordinal, Prose, Recipe, Seconds, Share, Shares, Text, Time};

/// Rows of `v_sweeps`.
pub(crate) const SWEEPS: View = View {
    kind: "sweeps",
    columns: &[
        shown("sweep", "sweep", Integer),
        shown("name", "name", Prose),
        shown("state", "state", Text),
        spare("created_us", "created", Time),
        shown("n_jobs", "jobs", Integer),
        wide("n_queued", "queued", Integer),
        wide("n_leased", "running", Integer),
        shown("n_succeeded", "succeeded", Integer),
        shown("n_failed", "failed", Integer),
        spare("n_diverged", "diverged", Integer),
        extra("n_blocked", "blocked", Integer),
        present("n_quarantined", "quarantined", Integer),
        present("n_cancelled", "cancelled", Integer),
        extra("n_reused", "reused", Integer),
        extra("priority", "priority", Integer),
        Column { name: "note", header: "note", shown: Shown::IfPresentAndFits, quantity: Prose },
    ],
};

/// What slots are doing.
pub(crate) const RUNNING: View = View {
    kind: "running",
    columns: &[
        shown("job", "job", Text),
        spare("attempt", "attempt", Integer),
        spare("worker", "worker", Text),
        shown("slot", "slot", Integer),
        shown("backbone", "backbone", Text),
        varied("dataset", Text),
        shown("pattern", "pattern", Text),
        shown("seed", "seed", Integer),
        shown("epoch", "epoch", Integer),
        shown("n_epochs", "of", Integer),
        spare("loss", "loss", Decimal),
        spare("exit_accuracy", "exit accuracy", Shares),
        spare("images_per_second", "images/s", Integer),
    ],
};

/// Rows of `v_jobs`.
pub(crate) const JOBS: View = View {
    kind: "jobs",
    columns: &[
        shown("job", "job", Text),
        hidden("job_key", Text),
        shown("state", "state", Text),
        shown("backbone", "backbone", Text),
        varied("dataset", Text),
        shown("pattern", "pattern", Text),
        varied("exits", Text),
        varied("budget", Text),
        varied("recipe", Recipe),
        hidden("regime", Text),
        hidden("distill", Text),
        hidden("exit_weights", Text),
        wide("seed", "seed", Integer),
        hidden("branch_rule", Text),
        hidden("backbone_macs", Macs),
        hidden("budget_macs", Macs),
        spare("branch_macs", "branch MACs", Macs),
        spare("budget_error", "budget error", Error),
        hidden("params", Macs),
        spare("attempt", "attempt", Integer),
        hidden("n_failures", Integer),
        shown("final_accuracy", "final exit", Share),
        spare("best_accuracy", "best", Share),
        wide("area", "area", Decimal),
        spare("train_seconds", "time", Seconds),
        spare("trainer", "trainer", Text),
        hidden("created_us", Time),
        hidden("finished_us", Time),
        extra("reused", "reused", Flag),
        extra("priority", "priority", Integer),
        extra("requirements", "requirements", Prose),
        extra("not_before_us", "not before", Time),
        present("error", "error", Prose),
    ],
};

/// Rows of `v_attempts`.
pub(crate) const ATTEMPTS: View = View {
    kind: "attempts",
    columns: &[
        hidden("job", Text),
        shown("attempt", "attempt", Integer),
        shown("worker", "worker", Prose),
        shown("outcome", "outcome", Text),
        wide("state", "then", Text),
        shown("leased_us", "leased", Time),
        shown("ended_us", "ended", Time),
        present("message", "message", Prose),
    ],
};

/// Rows of `v_events`.
pub(crate) const EVENTS: View = View {
    kind: "events",
    columns: &[
        shown("at_us", "when", Time),
        hidden("job", Text),
        hidden("sweep", Integer),
        shown("event", "event", Text),
        shown("attempt", "attempt", Ordinal),
        shown("who", "who", Prose),
        wide("state", "then", Text),
        present("message", "why", Prose),
    ],
};

/// Jobs that another one waits for.
pub(crate) const DEPENDENCIES: View = View { kind: "dependencies", columns: &[shown("job", "job", Text), shown("state", "state", Text)] };

/// Rows of `v_workers`.
pub(crate) const WORKERS: View = View {
    kind: "workers",
    columns: &[
        hidden("session", Integer),
        shown("worker", "worker", Text),
        shown("state", "state", Text),
        shown("n_slots", "slots", Integer),
        shown("n_leased", "busy", Integer),
        shown("device", "device", Text),
        wide("memory_mib", "MiB a slot", Integer),
        wide("datasets", "datasets", Prose),
        extra("labels", "labels", Prose),
        varied("trainer", Text),
        varied("version", Text),
        wide("seen_us", "last seen", Time),
        spare("opened_us", "opened", Time),
        extra("ended_us", "ended", Time),
    ],
};

/// What open workers lack for a job.
pub(crate) const FITS: View = View {
    kind: "fits",
    columns: &[
        shown("worker", "worker", Text),
        shown("n_slots", "slots", Integer),
        shown("n_leased", "busy", Integer),
        shown("lacks", "lacks", Prose),
    ],
};

/// What trying again came to.
pub(crate) const RETRY: View = View { kind: "retry", columns: &[shown("n_retried_jobs", "retried jobs", Integer)] };

/// What an import came to.
pub(crate) const IMPORT: View = View {
    kind: "import",
    columns: &[
        shown("n_imported", "results imported", Integer),
        shown("n_known", "known already", Integer),
        shown("n_differing", "other results here", Integer),
        shown("n_leased", "being trained here", Integer),
        shown("n_refused", "refused", Integer),
        shown("n_sweeps", "sweeps imported", Integer),
    ],
};

/// What deleting came to.
pub(crate) const DELETED: View =
    View { kind: "deleted", columns: &[shown("n_deleted_jobs", "deleted jobs", Integer), shown("n_kept_jobs", "kept jobs", Integer)] };

/// Rows of `v_exits`.
pub(crate) const EXITS: View = View {
    kind: "results",
    columns: &[
        shown("job", "job", Text),
        shown("exit", "exit", Integer),
        spare("is_final", "final", Flag),
        spare("unit", "unit", Integer),
        spare("branch_depth", "depth", Integer),
        spare("branch_width", "width", Integer),
        hidden("backbone_macs", Macs),
        spare("branch_macs", "branch MACs", Macs),
        hidden("branch_params", Macs),
        shown("macs_cascade", "MACs", Macs),
        hidden("macs_selected", Macs),
        shown("accuracy", "accuracy", Share),
        wide("top5_accuracy", "top-5", Share),
        wide("loss", "loss", Decimal),
        wide("ece", "ECE", Decimal),
        spare("n_test", "images", Integer),
        spare("calibration_accuracy", "calibration", Share),
        hidden("calibration_loss", Decimal),
        hidden("calibration_top5_accuracy", Share),
        hidden("calibration_ece", Decimal),
        hidden("n_calibration", Integer),
        varied("backbone", Text),
        varied("dataset", Text),
        varied("pattern", Text),
        varied("seed", Integer),
    ],
};

/// Rows of `v_operating_points`.
pub(crate) const OPERATING_POINTS: View = View {
    kind: "operating_points",
    columns: &[
        hidden("job", Text),
        shown("policy", "policy", Text),
        shown("setting", "setting", Number),
        shown("macs_cascade", "MACs", Macs),
        hidden("macs_selected", Macs),
        shown("accuracy", "accuracy", Share),
        spare("calibration_accuracy", "calibration", Share),
        hidden("calibration_macs_cascade", Macs),
        spare("exit_shares", "leave at each exit", Shares),
        extra("latency_us", "latency us", Integer),
        extra("images_per_second", "images/s", Integer),
        hidden("backbone", Text),
        hidden("dataset", Text),
        hidden("pattern", Text),
        hidden("seed", Integer),
    ],
};

/// Rows of `v_artifacts`.
pub(crate) const ARTIFACTS: View = View {
    kind: "artifacts",
    columns: &[
        hidden("job", Text),
        spare("attempt", "attempt", Integer),
        shown("kind", "kind", Text),
        shown("worker", "worker", Prose),
        shown("path", "path", Prose),
        spare("bytes", "bytes", Integer),
        hidden("sha256", Text),
    ],
};

/// Finished epochs.
pub(crate) const EPOCHS: View = View {
    kind: "epochs",
    columns: &[
        hidden("attempt", Integer),
        shown("epoch", "epoch", Integer),
        shown("loss", "loss", Decimal),
        shown("exit_accuracy", "exit accuracy (calibration)", Shares),
        spare("images_per_second", "images/s", Integer),
    ],
};

/// Cells (everything but the seed) that a sweep file plans, before anything is submitted.
pub(crate) const PLAN: View = View {
    kind: "plan",
    columns: &[
        shown("backbone", "backbone", Text),
        shown("dataset", "dataset", Text),
        shown("pattern", "pattern", Text),
        spare("exits", "exits", Text),
        spare("budget", "budget", Text),
        varied("recipe", Recipe),
        shown("branch_rule", "rule", Text),
        spare("backbone_macs", "backbone MACs", Macs),
        hidden("budget_macs", Macs),
        shown("branch_macs", "branch MACs", Macs),
        shown("budget_error", "budget error", Error),
        shown("branch_depths", "depths", Text),
        spare("branch_widths", "widths", Text),
        hidden("params", Macs),
        shown("n_jobs", "jobs", Integer),
    ],
};

/// Networks that a sweep file plans.
pub(crate) const NETWORKS: View = View {
    kind: "networks",
    columns: &[
        shown("network", "network", Integer),
        shown("backbone", "backbone", Text),
        shown("dataset", "dataset", Text),
        shown("pattern", "pattern", Text),
        shown("exits", "exits", Text),
        shown("budget", "budget", Text),
        shown("branch_rule", "rule", Text),
        shown("backbone_macs", "backbone MACs", Macs),
        shown("backbone_params", "backbone parameters", Macs),
        shown("budget_macs", "budget", Macs),
        shown("branch_macs", "branch MACs", Macs),
        shown("branch_params", "branch parameters", Macs),
        shown("budget_error", "budget error", Error),
        shown("leaving", "leave at each exit", Shares),
        shown("expected_branch_macs", "expected branch MACs", Macs),
        shown("expected_macs_cascade", "expected MACs", Macs),
        shown("expected_macs_selected", "expected MACs, answering branch alone", Macs),
        shown("n_jobs", "jobs", Integer),
    ],
};

/// Exits of the networks that a sweep file plans.
pub(crate) const PLANNED_EXITS: View = View {
    kind: "planned_exits",
    columns: &[
        hidden("network", Integer),
        hidden("backbone", Text),
        hidden("dataset", Text),
        hidden("pattern", Text),
        hidden("exits", Text),
        hidden("budget", Text),
        hidden("branch_rule", Text),
        hidden("budget_error", Error),
        shown("exit", "exit", Integer),
        hidden("is_final", Flag),
        shown("unit", "unit", Integer),
        wide("input", "reads", Text),
        shown("branch", "branch", Text),
        hidden("branch_depth", Integer),
        hidden("branch_width", Integer),
        shown("branch_share", "share", Share),
        shown("branch_macs", "branch MACs", Macs),
        shown("branch_params", "parameters", Macs),
        wide("backbone_macs", "backbone MACs", Macs),
        shown("macs_cascade", "MACs", Macs),
        spare("macs_selected", "own branch alone", Macs),
    ],
};

/// Where a coordinator serves, and from what.
pub(crate) const COORDINATOR: View =
    View { kind: "coordinator", columns: &[shown("address", "address", Prose), shown("database", "database", Prose)] };

/// What `doctor` looked at.
pub(crate) const DOCTOR: View = View {
    kind: "doctor",
    columns: &[
        shown("check", "check", Text),
        shown("status", "status", Text),
        shown("detail", "detail", Prose),
        present("hint", "hint", Prose),
    ],
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use offramp_proto::v1;

    use super::*;
    use crate::output::Rows;

    fn check<R: serde::Serialize + Default>(view: &'static View) {
        let rows = Rows::new(view, &[R::default()]);
        let fields: BTreeSet<_> = rows.rows[0].keys().map(String::as_str).collect();
        let columns: BTreeSet<_> = view.columns.iter().map(|column| column.name).collect();
        assert_eq!(columns, fields, "{}", view.kind);
        assert_eq!(columns.len(), view.columns.len(), "{} names a column twice", view.kind);
    }

    #[test]
    fn columns_are_the_fields_of_the_rows() {
        check::<v1::SweepRow>(&SWEEPS);
        check::<v1::JobRow>(&JOBS);
        check::<v1::AttemptRow>(&ATTEMPTS);
        check::<v1::EventRow>(&EVENTS);
        check::<v1::DependencyRow>(&DEPENDENCIES);
        check::<v1::WorkerRow>(&WORKERS);
        check::<v1::RetryJobsResponse>(&RETRY);
        check::<v1::DeleteJobsResponse>(&DELETED);
        check::<v1::ExitRow>(&EXITS);
        check::<v1::OperatingPointRow>(&OPERATING_POINTS);
        check::<v1::ArtifactRow>(&ARTIFACTS);
        check::<v1::EpochRow>(&EPOCHS);
        for view in [&FRONTIER, &FRONTIER_BY_PARAMS, &FRONTIER_BY_LATENCY] {
            check::<v1::FrontierRow>(view);
        }
        for view in [&HISTORY, &HISTORY_BY_PARAMS, &HISTORY_BY_LATENCY] {
            check::<v1::FrontierHistoryRow>(view);
        }
        check::<v1::PatternRow>(&PATTERNS);
        check::<crate::commands::import::Summary>(&IMPORT);
        check::<crate::commands::band::BandRow>(&BAND);
        check::<crate::commands::indicators::IndicatorRow>(&INDICATORS);
        check::<crate::commands::data::DatasetRow>(&DATASETS);
        check::<crate::commands::data::FetchedRow>(&FETCHED);
        check::<crate::commands::data::VerifiedRow>(&VERIFIED);
    }
}
