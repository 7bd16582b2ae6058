//! Whether a dataset that is here is good: its files' checksums, every record, and its statistics beside the published ones.

use std::fs::{self, File};
use std::path::Path;

use offramp_domain::dataset::Dataset;

use crate::catalogue::{self, Place, Remote};
use crate::checksum::sha256;
use crate::presence::{self, Presence};
use crate::statistics::Statistics;
use crate::unpack::CHECKSUMS;
use crate::{Images, LoadedDataset, load};

/// Farthest that a measured mean or deviation may be from the published one: those have four digits, and decoders of JPEG differ a little.
pub const TOLERANCE: f64 = 0.001;
/// Files named in one finding.
const MOST_NAMED: usize = 3;

/// One thing looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub what: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Not as published. It can be worked with, and results are not comparable.
    Differs,
    /// Of no use.
    Damaged,
}

impl Verdict {
    /// The verdict's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Differs => "differs",
            Self::Damaged => "damaged",
        }
    }
}

/// Looks at everything of a dataset: this reads and decodes all of it.
pub fn verify(facts: &Dataset, data_dir: &Path) -> Vec<Finding> {
    let published = catalogue::published(facts);
    let mut findings: Vec<Finding> =
        published.iter().flat_map(|published| published.files).map(|file| check_file(file, data_dir)).collect();
    let LoadedDataset { train, test } = match load(facts, data_dir) {
        Ok(loaded) => loaded,
        Err(error) => {
            let source = std::error::Error::source(&error).map_or_else(String::new, |source| format!(": {source}"));
            findings.push(Finding::new("records", Verdict::Damaged, format!("{error}{source}")));
            return findings;
        }
    };
    findings.push(check_counts(facts, [&train, &test], published.map(|published| published.n_images)));
    if let Some(published) = published.and_then(|published| published.statistics) {
        findings.push(check_statistics(&Statistics::measure(&train), published));
    } else {
        let Statistics { mean, deviation } = Statistics::measure(&train);
        findings.push(Finding::new("statistics", Verdict::Good, format!("mean {}, deviation {}", list(&mean), list(&deviation))));
    }
    findings
}

impl Finding {
    fn new(what: impl Into<String>, verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { what: what.into(), verdict, detail: detail.into() }
    }
}

fn check_file(file: &Remote, data_dir: &Path) -> Finding {
    match file.place {
        Place::Unpacked { root, .. } => check_unpacked(root, &data_dir.join(root)),
        Place::Folder(folder) => {
            let path = data_dir.join(folder).join(file.name);
            match file.checksum.of_file(&path) {
                Ok(got) if got == file.checksum.digits() => {
                    Finding::new(file.name, Verdict::Good, format!("{} as published", file.checksum.kind()))
                }
                Ok(got) => {
                    let detail = format!("{} is {got}, expected {}", file.checksum.kind(), file.checksum.digits());
                    Finding::new(file.name, Verdict::Damaged, detail)
                }
                // Unpacked by hand: then its records have to do.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && path.with_extension("").is_file() => {
                    Finding::new(file.name, Verdict::Differs, "it was unpacked, and no checksum of that is published")
                }
                Err(error) => Finding::new(file.name, Verdict::Damaged, error.to_string()),
            }
        }
    }
}

/// Compares an unpacked archive with the checksums taken when it was unpacked.
fn check_unpacked(root: &str, folder: &Path) -> Finding {
    match fs::read_to_string(folder.join(CHECKSUMS)) {
        Ok(sums) => match compare(&sums, folder) {
            Ok(n_files) => Finding::new(root, Verdict::Good, format!("{n_files} files as they were unpacked from the published archive")),
            Err(detail) => Finding::new(root, Verdict::Damaged, detail),
        },
        Err(error) if folder.is_dir() && error.kind() == std::io::ErrorKind::NotFound => Finding::new(
            root,
            Verdict::Differs,
            format!("not unpacked by `offramp data fetch`: there is no `{CHECKSUMS}` to compare it with"),
        ),
        Err(error) => Finding::new(root, Verdict::Damaged, format!("{}: {error}", folder.display())),
    }
}

/// The number of files that are as a list of `sha256sum`'s layout says, or which are not.
fn compare(sums: &str, folder: &Path) -> Result<usize, String> {
    let mut wrong = Vec::new();
    let mut n_files = 0;
    for line in sums.lines() {
        let Some((sum, name)) = line.split_once("  ") else {
            return Err(format!("`{CHECKSUMS}` has a line that is no checksum and name: `{}`", line.escape_debug()));
        };
        n_files += 1;
        match File::open(folder.join(name)).and_then(|mut file| sha256(&mut file)) {
            Ok(got) if got == sum => {}
            Ok(_) => wrong.push(format!("`{name}` has changed")),
            Err(error) => wrong.push(format!("`{name}`: {error}")),
        }
    }
    match wrong.len() {
        0 if n_files == 0 => Err(format!("`{CHECKSUMS}` is empty")),
        0 => Ok(n_files),
        n => Err(format!("{n} of {n_files} files are not as they were unpacked: {}", wrong[..n.min(MOST_NAMED)].join(", "))),
    }
}

/// Counts images, and classes without any.
fn check_counts(facts: &Dataset, splits: [&Images; 2], published: Option<[usize; 2]>) -> Finding {
    let counts = splits.map(Images::len);
    let detail = format!("{} training and {} test images, {} classes", counts[0], counts[1], facts.n_classes);
    let lacking: Vec<String> = ["training", "test"]
        .iter()
        .zip(splits)
        .filter_map(|(split, images)| Some((split, first_unseen(images, facts.n_classes)?)))
        .map(|(split, class)| format!("no {split} image has class {class}"))
        .collect();
    if !lacking.is_empty() {
        return Finding::new("records", Verdict::Differs, format!("{detail}; {}", lacking.join(", ")));
    }
    match published {
        Some(expected) if expected != counts => {
            Finding::new("records", Verdict::Differs, format!("{detail}; published are {} and {}", expected[0], expected[1]))
        }
        _ => Finding::new("records", Verdict::Good, detail),
    }
}

/// The first class that no image has.
fn first_unseen(images: &Images, n_classes: usize) -> Option<usize> {
    let mut seen = vec![false; n_classes];
    for &label in &images.labels {
        seen[usize::from(label)] = true;
    }
    seen.iter().position(|seen| !seen)
}

fn check_statistics(measured: &Statistics, [mean, deviation]: [&[f64]; 2]) -> Finding {
    let far = |measured: &[f64], published: &[f64]| measured.iter().zip(published).any(|(m, p)| (m - p).abs() > TOLERANCE);
    let detail = format!("mean {}, deviation {}", list(&measured.mean), list(&measured.deviation));
    if far(&measured.mean, mean) || far(&measured.deviation, deviation) {
        let published = format!("published are {} and {}", list(mean), list(deviation));
        return Finding::new("statistics", Verdict::Differs, format!("{detail}; {published}"));
    }
    Finding::new("statistics", Verdict::Good, format!("{detail}, as published"))
}

fn list(values: &[f64]) -> String {
    values.iter().map(|value| format!("{value:.4}")).collect::<Vec<_>>().join(" ")
}

/// Says what is wrong with a dataset's folder, for a fetch that would put a new one in its place: from names and sizes alone, or, where it is
/// to be replaced unless it is as published, from everything in it.
///
/// # Errors
/// What is wrong.
pub fn is_whole(facts: &Dataset, data_dir: &Path, thoroughly: bool) -> Result<(), String> {
    match presence::look(facts, data_dir) {
        Presence::Damaged { reason } => return Err(reason),
        Presence::Absent => return Err("none of its files are there".to_owned()),
        Presence::BuiltIn | Presence::Present => {}
    }
    let findings = if thoroughly { verify(facts, data_dir) } else { Vec::new() };
    match findings.into_iter().find(|finding| finding.verdict != Verdict::Good) {
        Some(finding) => Err(format!("{}: {}", finding.what, finding.detail)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
