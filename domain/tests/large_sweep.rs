//! How much memory a large sweep takes: a process of its own, as the high-water mark is the process's.

#![cfg(target_os = "linux")]

use offramp_domain::sweep;

/// The most memory that the process has had so far.
fn most_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("every process has its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel tells the high-water mark");
    line.trim().trim_end_matches(" kB").parse().expect("it is a number of kB")
}

/// Configurations of all jobs at once would take some 60 MiB.
#[test]
fn a_sweep_of_100_000_jobs_is_never_in_memory_as_a_whole() {
    let text = "name = 'large'\n[axes]\nbackbone = 'resnet8'\ndataset = 'digits'\npattern = 'constant'\nbudget = 0.5\nseed = { from = 0, to = 99_999 }\n\
                [recipe]\nepochs = 5\nbatch_size = 32\noptimizer = { sgd = { lr = 0.05 } }\n\
                [[after]]\njob = { seed = { from = 1, to = 99_999 } }\nwait_for = { seed = 0 }\n";
    let before_kib = most_kib();
    let sweep = sweep::parse(text).expect("the sweep has no problem");
    let mut n_bytes = 0;
    for (index, (job, key)) in sweep.jobs().zip(sweep.keys()).enumerate() {
        // Debug builds take their time over a key; some of them stand for all, which other tests go through.
        assert!(index % 1_000 != 0 || job.config.key() == *key);
        n_bytes += job.config.canonical_json().len();
    }
    assert_eq!((sweep.n_jobs(), sweep.dependencies().len()), (100_000, 99_999));
    // The text of a job is of 400 bytes or so: all of it would not have fitted either.
    assert!(n_bytes > 35_000_000, "{n_bytes}");
    let grown_kib = most_kib() - before_kib;
    assert!(grown_kib < 20 * 1024, "{grown_kib} KiB");
}
