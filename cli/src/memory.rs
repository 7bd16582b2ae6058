//! How much memory this process may use: the machine's, or less where its control group (a container, a systemd slice) has a limit.

use std::path::{Path, PathBuf};

/// Memory that this process may use, MiB; `None` where the system does not say.
pub(crate) fn usable_mib() -> Option<u64> {
    let machine = total_kib(&std::fs::read_to_string("/proc/meminfo").ok()?)? / 1024;
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = group(&groups).and_then(|group| limit_mib(Path::new("/sys/fs/cgroup"), &group));
    Some(limit.map_or(machine, |limit| limit.min(machine)))
}

/// `MemTotal` of `/proc/meminfo`.
fn total_kib(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The path of this process's group in the unified hierarchy, from `/proc/self/cgroup`.
fn group(groups: &str) -> Option<PathBuf> {
    groups.lines().find_map(|line| line.strip_prefix("0::/")).map(PathBuf::from)
}

/// The least limit of a group and those around it.
fn limit_mib(root: &Path, group: &Path) -> Option<u64> {
    let limit = |folder: &Path| std::fs::read_to_string(root.join(folder).join("memory.max")).ok()?.trim().parse::<u64>().ok();
    // `max` is no number, and so no limit. The last ancestor is the root itself, which is a container's own group.
    group.ancestors().filter_map(limit).min().map(|bytes| bytes >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_says_how_much_it_has() {
        assert_eq!(total_kib("MemTotal:       32779340 kB\nMemFree:         1 kB\n"), Some(32_779_340));
        assert_eq!(total_kib("MemFree: 1 kB\n"), None);
        assert!(usable_mib().is_some_and(|mib| mib > 64));
    }

    #[test]
    fn the_least_limit_around_a_group_counts() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, limit: &str| {
            let folder = root.path().join(path);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("memory.max"), limit).unwrap();
        };
        let group = group("1:name=systemd:/x\n0::/a/b\n").unwrap();
        assert_eq!(limit_mib(root.path(), &group), None);
        put("a/b", "max\n");
        assert_eq!(limit_mib(root.path(), &group), None);
        put("a", "2147483648\n");
        assert_eq!(limit_mib(root.path(), &group), Some(2048));
        put("a/b", "1073741824\n");
        assert_eq!(limit_mib(root.path(), &group), Some(1024));
        put("", "536870912\n");
        assert_eq!(limit_mib(root.path(), &group), Some(512));
    }
}
