//! Workers.

use expect_test::expect;
use offramp_proto::v1;

use super::check_table;
use crate::output::{Rows, csv, view};

pub(super) fn workers() -> [v1::WorkerRow; 2] {
    let gpu = v1::WorkerRow {
        session: 7,
        worker: "gpu-07".into(),
        state: "open".into(),
        version: "0.1.0".into(),
        trainer: "burn-cuda".into(),
        device: "cuda".into(),
        memory_mib: Some(40_000),
        datasets: "digits, cifar10, cifar100".into(),
        labels: "a100, rack-7".into(),
        n_slots: 2,
        n_leased: 1,
        opened_us: 1_700_000_000_000_000,
        seen_us: 1_700_000_061_000_000,
        ended_us: None,
    };
    let simulated = v1::WorkerRow {
        session: 6,
        worker: "laptop-4711".into(),
        state: "ended".into(),
        device: "vulkan".into(),
        memory_mib: None,
        datasets: "*".into(),
        labels: String::new(),
        n_leased: 0,
        ended_us: Some(1_700_000_062_000_000),
        ..gpu.clone()
    };
    [gpu, simulated]
}

#[test]
fn workers_as_tables_and_as_csv() {
    check_table(
        &view::WORKERS,
        &workers(),
        None,
        &expect![[r"
        worker       state  slots  busy  device  MiB a slot  datasets                   labels        last seen             opened                ended
        gpu-07       open       2     1  cuda         40000  digits, cifar10, cifar100  a100, rack-7  2023-11-14T22:14:21Z  2023-11-14T22:13:20Z  -
        laptop-4711  ended      2     0  vulkan           -  *                                        2023-11-14T22:14:21Z  2023-11-14T22:13:20Z  2023-11-14T22:14:22Z
    "]],
    );
    check_table(
        &view::WORKERS,
        &workers()[..1],
        Some(100),
        &expect![[r"
        worker  state  slots  busy  device  MiB a slot  datasets                   last seen
        gpu-07  open       2     1  cuda         40000  digits, cifar10, cifar100  2023-11-14T22:14:21Z
    "]],
    );
    check_table(
        &view::WORKERS,
        &workers(),
        Some(60),
        &expect![[r"
        worker       state  slots  busy  device  MiB a slot
        gpu-07       open       2     1  cuda         40000
        laptop-4711  ended      2     0  vulkan           -
    "]],
    );
    expect![[r#"
        session,worker,state,n_slots,n_leased,device,memory_mib,datasets,labels,trainer,version,seen_us,opened_us,ended_us
        7,gpu-07,open,2,1,cuda,40000,"digits, cifar10, cifar100","a100, rack-7",burn-cuda,0.1.0,1700000061000000,1700000000000000,
        6,laptop-4711,ended,2,0,vulkan,,*,,burn-cuda,0.1.0,1700000061000000,1700000000000000,1700000062000000
    "#]]
    .assert_eq(&csv::render(&Rows::new(&view::WORKERS, &workers())));
}
