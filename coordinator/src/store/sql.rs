//! Every statement, one a file; the headers say who runs it and which index it relies on.
//!
//! Most say the same on both engines and lie in `sql/`. The others differ in how a JSON text becomes rows (`json_each` or `jsonb_to_recordset`)
//! and in that PostgreSQL locks rows (`FOR NO KEY UPDATE`, `SKIP LOCKED`) where SQLite has one writer anyway.

use super::engine::Statement;

/// Names the files, so that a test can hold the lists against the directories and prepare each statement.
macro_rules! statements {
    (
        alike { $($name:ident = $file:literal,)* }
        by_engine { $($split_name:ident = $split_file:literal,)* }
    ) => {
        $(pub(super) const $name: Statement = Statement {
            name: $file,
            sqlite: include_str!(concat!("sql/", $file, ".sql")),
            postgres: include_str!(concat!("sql/", $file, ".sql")),
        };)*
        $(pub(super) const $split_name: Statement = Statement {
            name: $split_file,
            sqlite: include_str!(concat!("sql/sqlite/", $split_file, ".sql")),
            postgres: include_str!(concat!("sql/postgres/", $split_file, ".sql")),
        };)*

        #[cfg(test)]
        pub(super) const ALIKE: &[Statement] = &[$($name),*];
        #[cfg(test)]
        pub(super) const BY_ENGINE: &[Statement] = &[$($split_name),*];
    };
}

/// What only a file needs.
pub(super) mod sqlite {
    pub(in crate::store) const APPLICATION_ID: &str = include_str!("sql/sqlite/application_id.sql");
    pub(in crate::store) const COUNT_OBJECTS: &str = include_str!("sql/sqlite/count_objects.sql");
    pub(in crate::store) const SET_APPLICATION_ID: &str = include_str!("sql/sqlite/set_application_id.sql");
    pub(in crate::store) const SNAPSHOT: &str = include_str!("sql/sqlite/snapshot.sql");
    pub(in crate::store) const SQLITE_VERSION: &str = include_str!("sql/sqlite/sqlite_version.sql");

    #[cfg(test)]
    pub(in crate::store) const ALL: &[(&str, &str)] = &[
        ("application_id", APPLICATION_ID),
        ("count_objects", COUNT_OBJECTS),
        ("set_application_id", SET_APPLICATION_ID),
        ("snapshot", SNAPSHOT),
        ("sqlite_version", SQLITE_VERSION),
    ];
}

/// What only a server needs.
pub(super) mod postgres {
    pub(in crate::store) const WHOSE_SCHEMA: &str = include_str!("sql/postgres/whose_schema.sql");

    pub(in crate::store) const CLOCK: &str = include_str!("sql/postgres/clock.sql");

    pub(in crate::store) const TAKE_TURNS: &str = include_str!("sql/postgres/take_turns.sql");
    pub(in crate::store) const LOCK_AWAITED_JOBS: &str = include_str!("sql/postgres/lock_awaited_jobs.sql");
    pub(in crate::store) const LOCK_KNOWN_JOBS: &str = include_str!("sql/postgres/lock_known_jobs.sql");
    pub(in crate::store) const LOCK_FRONTIERS: &str = include_str!("sql/postgres/lock_frontiers.sql");
    pub(in crate::store) const LOCK_UNFINISHED_JOBS: &str = include_str!("sql/postgres/lock_unfinished_jobs.sql");

    #[cfg(test)]
    pub(in crate::store) const ALL: &[(&str, &str)] = &[
        ("whose_schema", WHOSE_SCHEMA),
        ("clock", CLOCK),
        ("take_turns", TAKE_TURNS),
        ("lock_awaited_jobs", LOCK_AWAITED_JOBS),
        ("lock_known_jobs", LOCK_KNOWN_JOBS),
        ("lock_frontiers", LOCK_FRONTIERS),
        ("lock_unfinished_jobs", LOCK_UNFINISHED_JOBS),
    ];
}

statements! {
    alike {
        ACCEPTED_JOBS = "accepted_jobs",
        ACCEPTED_JOBS_OF_SWEEP = "accepted_jobs_of_sweep",
        ARTIFACTS_OF_JOB = "artifacts_of_job",
        ATTEMPTS_OF_JOB = "attempts_of_job",
        CAP_BACK_OFFS = "cap_back_offs",
        CAP_FORGIVEN = "cap_forgiven",
        CAP_LEASES = "cap_leases",
        CELLS_OF_SWEEP = "cells_of_sweep",
        CLAIM_PLACE = "claim_place",
        CONFIG_OF_JOB = "config_of_job",
        COUNT_AHEAD = "count_ahead",
        COUNT_REMOVAL = "count_removal",
        COUNT_SESSIONS = "count_sessions",
        DEPENDENCIES_OF_JOB = "dependencies_of_job",
        DEPENDENT_JOBS_OF_SWEEP = "dependent_jobs_of_sweep",
        DRAIN_WORKERS = "drain_workers",
        END_EMBEDDED_SESSIONS = "end_embedded_sessions",
        END_SESSION = "end_session",
        EPOCHS_OF_JOB = "epochs_of_job",
        EVENTS_OF_JOB = "events_of_job",
        EVERY_SWEEP = "every_sweep",
        EXITS_OF_JOB = "exits_of_job",
        EXITS_OF_SWEEP = "exits_of_sweep",
        EXTEND_LEASES = "extend_leases",
        FILE_OF_SWEEP = "file_of_sweep",
        FINISHED_EPOCHS = "finished_epochs",
        FINISHED_EXITS = "finished_exits",
        FINISHED_JOBS = "finished_jobs",
        FINISHED_POINTS = "finished_points",
        FOREIGN_TRAINER = "foreign_trainer",
        FORGIVE_FAILURES = "forgive_failures",
        FRONTIER_HISTORY = "frontier_history",
        FRONTIER_POINTS = "frontier_points",
        FRONTIER_UPKEEP = "frontier_upkeep",
        IMPORT_SESSION = "import_session",
        INSERT_EPOCH = "insert_epoch",
        INSERT_EVENT = "insert_event",
        INSERT_EXIT_RESULT = "insert_exit_result",
        INSERT_FRONTIER_ADVANCE = "insert_frontier_advance",
        INSERT_FRONTIER_GROUP = "insert_frontier_group",
        INSERT_FRONTIER_POINT = "insert_frontier_point",
        INSERT_IMPORTED_ATTEMPT = "insert_imported_attempt",
        INSERT_LATE_REPORT = "insert_late_report",
        INSERT_OPERATING_POINT = "insert_operating_point",
        INSERT_PLACEMENT = "insert_placement",
        INSERT_RESULT = "insert_result",
        INSERT_SESSION = "insert_session",
        INSERT_SWEEP = "insert_sweep",
        INSERT_WAITING_STATE = "insert_waiting_state",
        JOB_BY_KEY = "job_by_key",
        JOB_ID = "job_id",
        KEYS_BY_PREFIX = "keys_by_prefix",
        KEY_OF_JOB = "key_of_job",
        LAPSE_SESSIONS = "lapse_sessions",
        LAST_HEARD = "last_heard",
        LEASE_IMPORTED = "lease_imported",
        LEAST_TURNS = "least_turns",
        LIST_JOBS = "list_jobs",
        LIST_SWEEPS = "list_sweeps",
        LIST_SWEEP_JOBS = "list_sweep_jobs",
        LIST_WORKERS = "list_workers",
        NEWEST_SWEEP = "newest_sweep",
        NEWEST_SWEEP_NAMED = "newest_sweep_named",
        NEW_PLACEMENTS = "new_placements",
        OFFERS_OF_SESSIONS = "offers_of_sessions",
        OPEN_SESSIONS = "open_sessions",
        PATTERNS_OF_SWEEP = "patterns_of_sweep",
        PLACEMENT = "placement",
        POINTS_OF_JOB = "points_of_job",
        PROMOTE = "promote",
        REMAINING_JOBS_OF_SWEEP = "remaining_jobs_of_sweep",
        RUNNING_JOBS = "running_jobs",
        RUNS_OF_SWEEP = "runs_of_sweep",
        RUNS_OF_SWEEP_AT = "runs_of_sweep_at",
        SCHEMA_VERSION = "schema_version",
        SET_DATASETS = "set_datasets",
        SET_FRONTIERS_COMPUTED = "set_frontiers_computed",
        SET_JOB_PRIORITY = "set_job_priority",
        SET_SWEEP_PRIORITY = "set_sweep_priority",
        SET_SWEEP_STATE = "set_sweep_state",
        SHIFT_TURNS = "shift_turns",
        SHRINK_SWEEP = "shrink_sweep",
        SPONSOR = "sponsor",
        SWEEPS_OF_JOB = "sweeps_of_job",
        STANDING_GROUPS = "standing_groups",
        SWEEP_BY_ID = "sweep_by_id",
        SWEEP_BY_KEY = "sweep_by_key",
        SWEEP_FILES = "sweep_files",
        SWEEP_STANDING = "sweep_standing",
        TURN_BASE = "turn_base",
    }
    by_engine {
        BLOCK = "block",
        BLOCKED_DEPENDANTS = "blocked_dependants",
        CANCEL_LEASED = "cancel_leased",
        CANCELLABLE_JOBS = "cancellable_jobs",
        CANCELLED_ATTEMPTS = "cancelled_attempts",
        CLAIM = "claim",
        COUNT_KNOWN_JOBS = "count_known_jobs",
        DELETE_EXIT_RESULTS = "delete_exit_results",
        DELETE_FRONTIER_ADVANCES = "delete_frontier_advances",
        DELETE_FRONTIER_POINTS = "delete_frontier_points",
        DELETE_FRONTIERS_OF_SWEEP = "delete_frontiers_of_sweep",
        DELETE_JOBS = "delete_jobs",
        DELETE_OPERATING_POINTS = "delete_operating_points",
        DELETE_RESULTS = "delete_results",
        DELETE_SWEEP = "delete_sweep",
        DEPENDENCIES_OF = "dependencies_of",
        DISPLACE_FRONTIER_POINTS = "displace_frontier_points",
        END_ATTEMPTS = "end_attempts",
        END_UNLEASED = "end_unleased",
        ENDED_JOBS_OF_SWEEP = "ended_jobs_of_sweep",
        FAILED_DEPENDANTS = "failed_dependants",
        FAILED_DEPENDENCIES = "failed_dependencies",
        FRONTIER_NEIGHBOURS = "frontier_neighbours",
        FRONTIERS_OF_JOBS = "frontiers_of_jobs",
        HELD_BY_EMBEDDED = "held_by_embedded",
        HELD_BY_SESSION = "held_by_session",
        HELD_TOO_LONG = "held_too_long",
        INSERT_DEPENDENCIES = "insert_dependencies",
        INSERT_EXITS = "insert_exits",
        INSERT_JOB_STATES = "insert_job_states",
        INSERT_JOBS = "insert_jobs",
        INSERT_SWEEP_JOBS = "insert_sweep_jobs",
        JOBS_OF_NO_OTHER_SWEEP = "jobs_of_no_other_sweep",
        KEEP_FRONTIER_GROUPS = "keep_frontier_groups",
        LOOK = "look",
        POINTS_OF_JOBS = "points_of_jobs",
        QUEUED_DEPENDANTS = "queued_dependants",
        RENEW = "renew",
        RETRY = "retry",
        SERVER_VERSION = "server_version",
        SETTLE = "settle",
        SPONSOR_JOBS = "sponsor_jobs",
        STANDING_OF_JOB = "standing_of_job",
        SWEEPS_OF_JOBS = "sweeps_of_jobs",
        TOUCH_SESSIONS = "touch_sessions",
        TRIPPED_BREAKERS = "tripped_breakers",
        UNBLOCK = "unblock",
    }
}
