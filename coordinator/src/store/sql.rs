//! Every statement, one a file; the headers say who runs it and which index it relies on.

/// Names the files, so that a test can hold the list against the directory and prepare each.
macro_rules! statements {
    ($($name:ident = $file:literal,)*) => {
        $(pub(super) const $name: &str = include_str!(concat!("sql/", $file, ".sql"));)*

        #[cfg(test)]
        pub(super) const ALL: &[(&str, &str)] = &[$(($file, $name)),*];
    };
}

statements! {
    APPLICATION_ID = "application_id",
    ATTEMPT_OUTCOME = "attempt_outcome",
    ATTEMPTS_OF_JOB = "attempts_of_job",
    CAP_BACK_OFFS = "cap_back_offs",
    CAP_LEASES = "cap_leases",
    CLAIM = "claim",
    CLAIMABLE = "claimable",
    CONFIG_OF_JOB = "config_of_job",
    COUNT_KNOWN_JOBS = "count_known_jobs",
    COUNT_OBJECTS = "count_objects",
    DELETE_FRONTIER_POINT = "delete_frontier_point",
    END_ATTEMPT = "end_attempt",
    END_EMBEDDED_SESSIONS = "end_embedded_sessions",
    END_SESSION = "end_session",
    EPOCHS_OF_JOB = "epochs_of_job",
    EXITS_OF_JOB = "exits_of_job",
    EXITS_OF_SWEEP = "exits_of_sweep",
    FIND_SESSION = "find_session",
    FOREIGN_TRAINER = "foreign_trainer",
    FRONTIER_MEMBERS = "frontier_members",
    FRONTIER_OF_SWEEP = "frontier_of_sweep",
    HELD = "held",
    HELD_BY_EMBEDDED = "held_by_embedded",
    HELD_BY_SESSION = "held_by_session",
    HELD_TOO_LONG = "held_too_long",
    INSERT_ATTEMPT = "insert_attempt",
    INSERT_EPOCH = "insert_epoch",
    INSERT_EXIT_RESULT = "insert_exit_result",
    INSERT_EXITS = "insert_exits",
    INSERT_FRONTIER_POINT = "insert_frontier_point",
    INSERT_JOB_STATES = "insert_job_states",
    INSERT_JOBS = "insert_jobs",
    INSERT_OPERATING_POINT = "insert_operating_point",
    INSERT_RESULT = "insert_result",
    INSERT_SESSION = "insert_session",
    INSERT_SWEEP = "insert_sweep",
    INSERT_SWEEP_JOBS = "insert_sweep_jobs",
    JOB_BY_KEY = "job_by_key",
    KEYS_BY_PREFIX = "keys_by_prefix",
    LAPSE_SESSIONS = "lapse_sessions",
    LIST_JOBS = "list_jobs",
    LIST_SWEEP_JOBS = "list_sweep_jobs",
    LIST_SWEEPS = "list_sweeps",
    NEWEST_SWEEP = "newest_sweep",
    NEWEST_SWEEP_NAMED = "newest_sweep_named",
    PATTERNS_OF_SWEEP = "patterns_of_sweep",
    PLAN_OF_JOB = "plan_of_job",
    POINTS_OF_JOB = "points_of_job",
    POINTS_OF_SWEEP_JOBS = "points_of_sweep_jobs",
    RENEW = "renew",
    RUNNING_JOBS = "running_jobs",
    SCHEMA_VERSION = "schema_version",
    SET_APPLICATION_ID = "set_application_id",
    SETTLE = "settle",
    SQLITE_VERSION = "sqlite_version",
    SWEEP_BY_ID = "sweep_by_id",
    SWEEP_BY_KEY = "sweep_by_key",
    SWEEPS_OF_JOB = "sweeps_of_job",
    TOUCH_SESSION = "touch_session",
}
