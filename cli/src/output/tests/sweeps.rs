//! Sweeps.

use expect_test::expect;
use offramp_proto::v1;

use super::check_table;
use crate::output::{Rows, csv, json, table, view};

pub(super) fn sweep() -> v1::SweepRow {
    v1::SweepRow {
        sweep: 3,
        name: "digits".into(),
        state: "running".into(),
        created_us: 1_700_000_000_000_000,
        n_jobs: 16,
        n_queued: 10,
        n_leased: 2,
        n_succeeded: 4,
        ..v1::SweepRow::default()
    }
}

#[test]
fn a_detail_as_json_has_its_parts_by_name() {
    let sweep = [v1::SweepRow { sweep: 3, name: "digits".into(), state: "running".into(), n_jobs: 16, ..v1::SweepRow::default() }];
    let (sweep, running) = (Rows::new(&view::SWEEPS, &sweep), Rows::new(&view::ATTEMPTS, &[] as &[v1::AttemptRow]));
    expect![[r#"
        {"version":1,"kind":"sweep","sweep":{"sweep":3,"name":"digits","state":"running","created_us":0,"n_jobs":16,"n_queued":0,"n_leased":0,"n_succeeded":0,"n_failed":0,"n_diverged":0,"n_blocked":0,"n_quarantined":0,"n_cancelled":0,"n_reused":0,"priority":0,"note":""},"running":[],"note":"x"}
    "#]]
    .assert_eq(&json::detail("sweep", &[("sweep", json::Part::Row(&sweep)), ("running", json::Part::List(&running)), ("note", json::Part::Value("x".into()))]));
}

#[test]
fn a_narrow_list_of_sweeps_still_tells_of_failures() {
    let sweep =
        v1::SweepRow { sweep: 3, name: "digits".into(), state: "finished".into(), n_jobs: 16, n_failed: 2, ..v1::SweepRow::default() };
    check_table(
        &view::SWEEPS,
        &[sweep],
        Some(60),
        &expect![[r"
            sweep  name    state     jobs  queued  succeeded  failed
                3  digits  finished    16       0          0       2
        "]],
    );
}

#[test]
fn sweeps_show_what_there_is_to_tell() {
    check_table(
        &view::SWEEPS,
        &[sweep()],
        None,
        &expect![[r"
        sweep  name    state    created               jobs  queued  running  succeeded  failed  diverged
            3  digits  running  2023-11-14T22:13:20Z    16      10        2          4       0         0
    "]],
    );
    let paused = v1::SweepRow {
        sweep: 4,
        state: "paused".into(),
        n_quarantined: 1,
        n_blocked: 3,
        n_cancelled: 1,
        n_reused: 2,
        priority: -5,
        note: "paused by ada@lab: the GPUs are needed elsewhere until Monday".into(),
        ..sweep()
    };
    check_table(
        &view::SWEEPS,
        &[paused.clone(), sweep()],
        None,
        &expect![[r"
        sweep  name    state    created               jobs  queued  running  succeeded  failed  diverged  blocked  quarantined  cancelled  reused  priority  note
            4  digits  paused   2023-11-14T22:13:20Z    16      10        2          4       0         0        3            1          1       2        -5  paused by ada@lab: the GPUs are needed elsewhere until Monday
            3  digits  running  2023-11-14T22:13:20Z    16      10        2          4       0         0        0            0          0       0         0
    "]],
    );
    // In a terminal, what went wrong and why a sweep stands still stay longest.
    check_table(
        &view::SWEEPS,
        &[paused.clone(), sweep()],
        Some(100),
        &expect![[r"
        sweep  name    state    jobs  queued  succeeded  failed  quarantined  cancelled  note
            4  digits  paused     16      10          4       0            1          1  paused by ada@lab:
                                                                                         the GPUs are needed
                                                                                         elsewhere until
                                                                                         Monday
            3  digits  running    16      10          4       0            0          0
    "]],
    );
    check_table(
        &view::SWEEPS,
        &[paused.clone(), sweep()],
        Some(80),
        &expect![[r"
        sweep  name    state    jobs  succeeded  failed  quarantined  note
            4  digits  paused     16          4       0            1  paused by ada@lab:
                                                                      the GPUs are
                                                                      needed elsewhere
                                                                      until Monday
            3  digits  running    16          4       0            0
    "]],
    );
    expect![[r"
        sweep        4
        name         digits
        state        paused
        created      2023-11-14T22:13:20Z
        jobs         16
        queued       10
        leased       2
        succeeded    4
        failed       0
        diverged     0
        blocked      3
        quarantined  1
        cancelled    1
        reused       2
        priority     -5
        note         paused by ada@lab: the GPUs are needed elsewhere until Monday
    "]]
    .assert_eq(&table::render_detail(&Rows::new(&view::SWEEPS, std::slice::from_ref(&paused)), Some(80)));
    expect![[r"
        sweep      3
        name       digits
        state      running
        created    2023-11-14T22:13:20Z
        jobs       16
        queued     10
        leased     2
        succeeded  4
        failed     0
        diverged   0
    "]]
    .assert_eq(&table::render_detail(&Rows::new(&view::SWEEPS, &[sweep()]), Some(80)));
    expect![[r"
        sweep,name,state,created_us,n_jobs,n_queued,n_leased,n_succeeded,n_failed,n_diverged,n_blocked,n_quarantined,n_cancelled,n_reused,priority,note
        4,digits,paused,1700000000000000,16,10,2,4,0,0,3,1,1,2,-5,paused by ada@lab: the GPUs are needed elsewhere until Monday
    "]].assert_eq(&csv::render(&Rows::new(&view::SWEEPS, &[paused])));
}

#[test]
fn a_narrow_table_of_sweeps_does_without_the_note_first() {
    let paused = v1::SweepRow { state: "paused".into(), note: "paused by ada@lab: the GPUs are needed".into(), ..sweep() };
    let header =
        |width| table::render(&Rows::new(&view::SWEEPS, std::slice::from_ref(&paused)), Some(width)).lines().next().unwrap().to_owned();
    expect!["sweep  name    state   jobs  queued  succeeded  failed  note"].assert_eq(&header(80));
    expect!["sweep  name    state   jobs  succeeded"].assert_eq(&header(40));
}
