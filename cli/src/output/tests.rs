//! Rows made by hand, in each format. Each command's are in a file of their own.

mod frontier;
mod jobs;
mod laboratory;
mod patterns;
mod sweeps;
mod workers;

use expect_test::Expect;
use offramp_proto::v1;

use super::*;

const RECIPE: &str = "15 epochs, batch 32, sgd 0.05, cosine, crop";

fn check_table<R: Serialize>(view: &'static view::View, rows: &[R], width: Option<u16>, expected: &Expect) {
    expected.assert_eq(&table::render(&Rows::new(view, rows), width));
}

#[test]
fn tables_are_no_wider_than_the_terminal() {
    let rows = Rows::new(&view::FRONTIER, &frontier::frontier());
    for width in [20_u16, 40, 60, 80, 200] {
        let text = table::render(&rows, Some(width));
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= usize::from(width), "{widest} > {width}:\n{text}");
        assert!(text.is_ascii());
    }
}

#[test]
fn every_table_fits_every_terminal() {
    let paused =
        v1::SweepRow { n_quarantined: 1, n_cancelled: 1, note: "paused by ada@lab: the GPUs are needed".into(), ..sweeps::sweep() };
    let events = [v1::EventRow {
        at_us: 1_700_000_000_000_000,
        event: "out-of-memory".into(),
        attempt: 3,
        who: "a-machine-with-a-long-name-4711".into(),
        state: "quarantined".into(),
        message: "the trainer ended with signal 9: out of memory".into(),
        ..v1::EventRow::default()
    }];
    let tables = [Rows::new(&view::SWEEPS, &[paused]), Rows::new(&view::WORKERS, &workers::workers()), Rows::new(&view::EVENTS, &events)];
    for rows in tables {
        for width in [40_u16, 60, 80, 200] {
            let text = table::render(&rows, Some(width));
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= usize::from(width), "{widest} > {width}:\n{text}");
        }
    }
}

#[test]
fn a_terminal_that_does_not_know_its_width_has_80_columns() {
    assert_eq!([0, 1, 80, 200].map(known_width), [80, 1, 80, 200]);
}
