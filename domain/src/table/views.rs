//! The views, in the order of `docs/RESULTS.md`.

use super::{Column, Kind, OfSweep, View};

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, nullable: false }
}

const fn integer(name: &'static str) -> Column {
    column(name, Kind::Integer)
}

const fn real(name: &'static str) -> Column {
    column(name, Kind::Real)
}

const fn text(name: &'static str) -> Column {
    column(name, Kind::Text)
}

const fn flag(name: &'static str) -> Column {
    column(name, Kind::Flag)
}

const fn time(name: &'static str) -> Column {
    column(name, Kind::Time)
}

const fn json(name: &'static str) -> Column {
    column(name, Kind::Json)
}

/// The same column, where a row may have no value.
const fn maybe(column: Column) -> Column {
    Column { nullable: true, ..column }
}

/// Every view.
pub const VIEWS: &[View] = &[
    SWEEPS,
    SWEEP_JOBS,
    JOBS,
    ATTEMPTS,
    EVENTS,
    DEPENDENCIES,
    WORKERS,
    EXITS,
    OPERATING_POINTS,
    ARTIFACTS,
    FRONTIER,
    FRONTIER_HISTORY,
    PATTERNS,
    EPOCHS,
    CONFIGS,
];

const SWEEPS: View = View {
    name: "v_sweeps",
    columns: &[
        integer("sweep"),
        text("name"),
        text("state"),
        integer("priority"),
        time("created_us"),
        integer("n_jobs"),
        integer("n_blocked"),
        integer("n_queued"),
        integer("n_leased"),
        integer("n_succeeded"),
        integer("n_failed"),
        integer("n_diverged"),
        integer("n_quarantined"),
        integer("n_cancelled"),
        integer("n_reused"),
        text("note"),
    ],
    beside: &[],
    of_sweep: OfSweep::Column,
    key: &["sweep"],
};

const SWEEP_JOBS: View = View {
    name: "v_sweep_jobs",
    columns: &[integer("sweep"), integer("position"), text("job"), flag("reused")],
    beside: &[],
    of_sweep: OfSweep::Column,
    key: &["sweep", "position"],
};

const JOBS: View = View {
    name: "v_jobs",
    columns: &[
        text("job"),
        text("job_key"),
        text("state"),
        text("backbone"),
        text("dataset"),
        text("pattern"),
        text("exits"),
        text("budget"),
        text("recipe"),
        text("regime"),
        text("distill"),
        text("exit_weights"),
        integer("seed"),
        text("branch_rule"),
        integer("backbone_macs"),
        integer("budget_macs"),
        integer("branch_macs"),
        real("budget_error"),
        integer("params"),
        text("requirements"),
        integer("priority"),
        integer("attempt"),
        integer("n_failures"),
        maybe(time("not_before_us")),
        maybe(real("final_accuracy")),
        maybe(real("best_accuracy")),
        maybe(real("area")),
        maybe(real("train_seconds")),
        maybe(text("trainer")),
        time("created_us"),
        maybe(time("finished_us")),
        text("error"),
    ],
    beside: &[maybe(flag("reused"))],
    of_sweep: OfSweep::Job,
    key: &["job"],
};

const ATTEMPTS: View = View {
    name: "v_attempts",
    columns: &[
        text("job"),
        integer("attempt"),
        text("worker"),
        text("outcome"),
        text("state"),
        text("message"),
        time("leased_us"),
        maybe(time("ended_us")),
    ],
    beside: &[],
    of_sweep: OfSweep::Job,
    key: &["job", "attempt"],
};

const EVENTS: View = View {
    name: "v_events",
    columns: &[
        time("at_us"),
        maybe(text("job")),
        maybe(integer("sweep")),
        integer("attempt"),
        text("event"),
        text("state"),
        text("who"),
        text("message"),
    ],
    beside: &[],
    of_sweep: OfSweep::ColumnOrJob,
    // Several things happen to a job within a microsecond, and all of this tells them apart.
    key: &["at_us", "job", "sweep", "attempt", "event", "state", "who", "message"],
};

const DEPENDENCIES: View = View {
    name: "v_dependencies",
    columns: &[text("job"), text("waits_for")],
    beside: &[],
    of_sweep: OfSweep::Job,
    key: &["job", "waits_for"],
};

const WORKERS: View = View {
    name: "v_workers",
    columns: &[
        integer("session"),
        text("worker"),
        text("state"),
        text("version"),
        text("trainer"),
        text("device"),
        maybe(integer("memory_mib")),
        text("datasets"),
        text("labels"),
        integer("n_slots"),
        integer("n_leased"),
        time("opened_us"),
        time("seen_us"),
        maybe(time("ended_us")),
    ],
    beside: &[],
    of_sweep: OfSweep::None,
    key: &["session"],
};

const EXITS: View = View {
    name: "v_exits",
    columns: &[
        text("job"),
        integer("exit"),
        flag("is_final"),
        integer("unit"),
        integer("branch_depth"),
        integer("branch_width"),
        integer("backbone_macs"),
        integer("branch_macs"),
        integer("branch_params"),
        integer("macs_cascade"),
        integer("macs_selected"),
        real("accuracy"),
        real("loss"),
        maybe(real("top5_accuracy")),
        maybe(real("ece")),
        integer("n_test"),
        real("calibration_accuracy"),
        real("calibration_loss"),
        maybe(real("calibration_top5_accuracy")),
        maybe(real("calibration_ece")),
        integer("n_calibration"),
        text("backbone"),
        text("dataset"),
        text("pattern"),
        integer("seed"),
    ],
    beside: &[],
    of_sweep: OfSweep::Job,
    key: &["job", "exit"],
};

const OPERATING_POINTS: View = View {
    name: "v_operating_points",
    columns: &[
        text("job"),
        text("policy"),
        real("setting"),
        real("macs_cascade"),
        real("macs_selected"),
        real("accuracy"),
        real("calibration_accuracy"),
        real("calibration_macs_cascade"),
        json("exit_shares"),
        maybe(real("latency_us")),
        maybe(real("images_per_second")),
        text("backbone"),
        text("dataset"),
        text("pattern"),
        integer("seed"),
    ],
    beside: &[],
    of_sweep: OfSweep::Job,
    // A trainer may report a setting twice; what it reached there tells them apart.
    key: &["job", "policy", "setting", "macs_cascade", "accuracy"],
};

const ARTIFACTS: View = View {
    name: "v_artifacts",
    columns: &[text("job"), integer("attempt"), text("kind"), text("worker"), text("path"), integer("bytes"), text("sha256")],
    beside: &[],
    of_sweep: OfSweep::Job,
    key: &["job", "attempt", "kind"],
};

const FRONTIER: View = View {
    name: "v_frontier",
    columns: &[
        maybe(integer("sweep")),
        text("grouping"),
        text("dataset"),
        text("trainer"),
        text("cost_metric"),
        real("cost"),
        real("accuracy"),
        text("backbone"),
        text("pattern"),
        text("exits"),
        text("budget"),
        text("recipe"),
        integer("seed"),
        text("policy"),
        real("setting"),
        maybe(real("latency_us")),
        maybe(real("images_per_second")),
        text("job"),
    ],
    beside: &[],
    of_sweep: OfSweep::Column,
    // The trainer comes late: but for latencies, results of several stand on one frontier.
    key: &["sweep", "grouping", "dataset", "cost_metric", "cost", "accuracy", "backbone", "pattern", "trainer", "job", "policy", "setting"],
};

const FRONTIER_HISTORY: View = View {
    name: "v_frontier_history",
    columns: &[
        maybe(integer("sweep")),
        text("grouping"),
        text("dataset"),
        maybe(text("backbone")),
        maybe(text("pattern")),
        maybe(text("trainer")),
        text("cost_metric"),
        real("cost"),
        real("accuracy"),
        text("job"),
        text("policy"),
        real("setting"),
        time("entered_us"),
        maybe(time("left_us")),
        maybe(text("displaced_by")),
        real("hypervolume"),
        real("reference_cost"),
        real("reference_accuracy"),
    ],
    beside: &[],
    of_sweep: OfSweep::Column,
    key: &[
        "sweep",
        "grouping",
        "dataset",
        "backbone",
        "pattern",
        "trainer",
        "cost_metric",
        "entered_us",
        "cost",
        "accuracy",
        "job",
        "policy",
        "setting",
    ],
};

const PATTERNS: View = View {
    name: "v_patterns",
    columns: &[
        integer("sweep"),
        text("backbone"),
        text("dataset"),
        text("exits"),
        text("budget"),
        text("recipe"),
        text("pattern"),
        integer("n_seeds"),
        real("area_mean"),
        maybe(real("area_deviation")),
        real("final_accuracy_mean"),
        maybe(real("final_accuracy_deviation")),
        real("budget_error"),
        integer("branch_macs"),
        integer("backbone_macs"),
    ],
    beside: &[],
    of_sweep: OfSweep::Column,
    key: &["sweep", "dataset", "backbone", "exits", "budget", "recipe", "pattern"],
};

const EPOCHS: View = View {
    name: "v_epochs",
    columns: &[text("job"), integer("attempt"), integer("epoch"), maybe(real("loss")), json("exit_accuracy"), real("images_per_second")],
    beside: &[],
    of_sweep: OfSweep::Job,
    key: &["job", "attempt", "epoch"],
};

const CONFIGS: View = View {
    name: "v_configs",
    columns: &[text("job"), text("job_key"), json("config")],
    beside: &[],
    of_sweep: OfSweep::Job,
    key: &["job"],
};
