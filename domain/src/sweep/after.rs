//! `[[after]]`: jobs that wait for other jobs of the sweep.
//!
//! A job that matches `job` waits for every job that matches `wait_for` and is equal to it on every axis that neither of the two names. A job
//! of the pattern `none` has no branches and so neither exits nor a budget, a regime, a distillation, exit weights or a gradient equilibrium: a
//! table that names one of them does not match it, and where none does, it is equal to jobs of any. The same goes for what the patterns
//! `final-only` (all of these but a budget) and `own` (exits and a budget) leave no choice of.

use std::ops::Range;

use super::axes::{Axes, N_AXES, NAMES};
use super::cells::{Cells, Kind};
use super::cycle;
use super::reader::{Fields, Reader, Value, any_of};
use super::selector::{Selector, tables};

/// More than anybody writes by hand; every job is held against every one of them.
const MAX_AFTERS: usize = 100;

/// Eight bytes each while a sweep is submitted, and a row each for ever.
const MAX_DEPENDENCIES: usize = 1_000_000;

/// One table.
pub(super) struct After {
    place: Range<usize>,
    job: Selector,
    wait_for: Selector,
}

/// A job, by its index, and one that it waits for.
pub(super) type Dependency = (u32, u32);

/// All tables together make more dependencies than are allowed, which is reported.
struct TooMany;

/// Reads the array of tables.
pub(super) fn read(reader: &mut Reader, value: &Value, axes: &Axes) -> Vec<After> {
    let tables = tables(reader, value, "after", MAX_AFTERS);
    let one = |table| {
        let fields = Fields::open(reader, table, "`[[after]]`", &["job", "wait_for"])?;
        let job = fields.required(reader, "job", "job = { pattern = \"constant\" }");
        let job = job.and_then(|value| Selector::read(reader, value, "`job`", axes));
        let wait_for = fields.required(reader, "wait_for", "wait_for = { pattern = \"none\" }");
        let wait_for = wait_for.and_then(|value| Selector::read(reader, value, "`wait_for`", axes));
        Some(After { place: table.span(), job: job?, wait_for: wait_for? })
    };
    tables.iter().filter_map(one).collect()
}

/// Who waits for whom, each pair once, sorted. Tables without effect, jobs that would wait for themselves and cycles are reported.
pub(super) fn dependencies(reader: &mut Reader, afters: &[After], axes: &Axes, cells: &Cells) -> Vec<Dependency> {
    let mut pairs = Vec::new();
    let mut is_sound = true;
    for after in afters {
        let side = |selector: &Selector| -> Vec<u32> {
            (0..).zip(&cells.numbers).filter(|(_, number)| matches(selector, cells, **number)).map(|(job, _)| job).collect()
        };
        let (waiting, awaited) = (side(&after.job), side(&after.wait_for));
        let unmatched =
            [(&after.job, "job", &waiting), (&after.wait_for, "wait_for", &awaited)].into_iter().filter(|side| side.2.is_empty());
        for (selector, name, _) in unmatched.clone() {
            let hint = "its values never meet: they are excluded, or exits and a budget are asked of the pattern `none`, which has neither";
            reader.report(selector.place.clone(), format_args!("no job of the sweep matches `{name}`"), Some(hint.to_owned()));
        }
        let more = match unmatched.count() {
            // Further tables would make more still.
            0 => match after.pairs(reader, [&waiting, &awaited], pairs.len(), axes, cells) {
                Err(TooMany) => return Vec::new(),
                Ok(more) => more,
            },
            _ => None,
        };
        is_sound &= more.is_some();
        pairs.extend(more.into_iter().flatten());
    }
    pairs.sort_unstable();
    pairs.dedup();
    if is_sound && let Some(chain) = cycle::shortest(&pairs, cells.numbers.len()) {
        report_cycle(reader, afters, &chain, axes, cells);
    }
    pairs
}

fn matches(selector: &Selector, cells: &Cells, number: u32) -> bool {
    let asks_for_what_it_lacks = || cells.kind(number).lacks().iter().any(|axis| selector.names(*axis));
    selector.matches(&cells.numbering, number) && !asks_for_what_it_lacks()
}

impl After {
    /// The table's pairs; `None` where a problem of it was reported. `n_others` is the number of those of the tables before it.
    fn pairs(
        &self,
        reader: &mut Reader,
        [waiting, awaited]: [&[u32]; 2],
        n_others: usize,
        axes: &Axes,
        cells: &Cells,
    ) -> Result<Option<Vec<Dependency>>, TooMany> {
        let index = Index::new(self, awaited, cells);
        let mut pairs = Vec::new();
        let mut own = Vec::new();
        for &job in waiting {
            let partners = index.partners(cells, job);
            // Before they are listed: each of a million jobs could wait for a million.
            if n_others + pairs.len() + partners.iter().map(|list| list.len()).sum::<usize>() > MAX_DEPENDENCIES {
                let message = format!("the `[[after]]` tables make more than the {MAX_DEPENDENCIES} dependencies allowed");
                let hint = "let jobs wait for a few others each rather than for all, or split the sweep".to_owned();
                reader.report(self.place.clone(), message, Some(hint));
                return Err(TooMany);
            }
            for &(_, partner) in partners.into_iter().flatten() {
                if partner == job {
                    own.push(job);
                } else {
                    pairs.push((job, partner));
                }
            }
        }
        if let Some(&first) = own.first() {
            let named: Vec<usize> = (0..N_AXES).filter(|&axis| self.names(axis)).collect();
            let others = match own.len() - 1 {
                0 => String::new(),
                1 => " and 1 other job".to_owned(),
                n => format!(" and {n} other jobs"),
            };
            let message = format!("the job {}{others} would wait for itself", describe(reader, axes, cells, first, &named));
            let hint = "a job must not match both `job` and `wait_for`: name one axis in both, with different values".to_owned();
            reader.report(self.place.clone(), message, Some(hint));
            return Ok(None);
        }
        if pairs.is_empty() {
            let is_telling = |axis: &usize| !self.names(*axis) && cells.numbering.length(*axis) > 1;
            let unnamed = any_of((0..N_AXES).filter(is_telling).map(|axis| NAMES[axis]));
            let hint = format!("jobs wait for those that are equal in what neither `job` nor `wait_for` names: {unnamed}");
            reader.report(self.place.clone(), "no job waits for another by this `[[after]]`", Some(hint));
            return Ok(None);
        }
        Ok(Some(pairs))
    }

    fn names(&self, axis: usize) -> bool {
        self.job.names(axis) || self.wait_for.names(axis)
    }

    /// Whether the first combination waits for the second by this table: what is said at the top of this file, word for word.
    fn relates(&self, cells: &Cells, waiting: u32, awaited: u32) -> bool {
        let is_lacking = |axis: usize| [waiting, awaited].iter().any(|number| cells.kind(*number).lacks().contains(&axis));
        let is_compared = |axis: usize| !self.names(axis) && !is_lacking(axis);
        let position = |number, axis| cells.numbering.position(number, axis);
        matches(&self.job, cells, waiting)
            && matches(&self.wait_for, cells, awaited)
            && (0..N_AXES).filter(|&axis| is_compared(axis)).all(|axis| position(waiting, axis) == position(awaited, axis))
    }
}

/// Finds the jobs of one side that are equal to a job on every axis that is compared, without holding each against each.
struct Index<'a> {
    after: &'a After,
    lists: Vec<List>,
}

/// The awaited jobs of one kind by the axes on which they are compared with waiting ones of another.
struct List {
    awaited: Kind,
    waiting: Kind,
    /// Sorted.
    entries: Vec<(u32, u32)>,
}

impl<'a> Index<'a> {
    fn new(after: &'a After, awaited: &[u32], cells: &Cells) -> Self {
        let mut index = Self { after, lists: Vec::new() };
        let kinds = cells.kinds();
        for (kind, waiting) in kinds.iter().flat_map(|kind| kinds.iter().map(|waiting| (*kind, *waiting))) {
            let of_kind = awaited.iter().filter(|job| cells.kind(cells.numbers[**job as usize]) == kind);
            let entry = |&job: &u32| (index.compared(cells, cells.numbers[job as usize], [kind, waiting]), job);
            let mut entries: Vec<(u32, u32)> = of_kind.map(entry).collect();
            entries.sort_unstable();
            index.lists.push(List { awaited: kind, waiting, entries });
        }
        index
    }

    /// The combination with the first value on every axis that is not compared between jobs of two kinds.
    fn compared(&self, cells: &Cells, number: u32, kinds: [Kind; 2]) -> u32 {
        let number = kinds.into_iter().fold(number, |number, kind| cells.without(number, kind));
        (0..N_AXES).filter(|&axis| self.after.names(axis)).fold(number, |number, axis| cells.numbering.at_first(number, axis))
    }

    fn partners(&self, cells: &Cells, job: u32) -> Vec<&[(u32, u32)]> {
        let number = cells.numbers[job as usize];
        let kind = cells.kind(number);
        let lists = self.lists.iter().filter(|list| list.waiting == kind);
        lists.map(|list| equal(&list.entries, self.compared(cells, number, [list.awaited, kind]))).collect()
    }
}

/// The entries of a sorted list with this key.
fn equal(list: &[(u32, u32)], key: u32) -> &[(u32, u32)] {
    let start = list.partition_point(|entry| entry.0 < key);
    let length = list[start..].partition_point(|entry| entry.0 == key);
    &list[start..start + length]
}

/// Jobs of a cycle that are named.
const MAX_NAMED: usize = 8;

fn report_cycle(reader: &mut Reader, afters: &[After], chain: &[u32], axes: &Axes, cells: &Cells) {
    let number = |job: u32| cells.numbers[job as usize];
    let differs = |axis: &usize| {
        let mut positions = chain.iter().map(|&job| cells.numbering.position(number(job), *axis));
        let first = positions.next();
        positions.any(|position| Some(position) != first)
    };
    let telling: Vec<usize> = (0..N_AXES).filter(differs).collect();
    let named: Vec<String> = chain.iter().take(MAX_NAMED).map(|&job| describe(reader, axes, cells, job, &telling)).collect();
    let way = named[1..].join(", which waits for ");
    let back = match chain.len().saturating_sub(MAX_NAMED) {
        0 => "which waits for the first".to_owned(),
        1 => "and so on by way of 1 more job back to the first".to_owned(),
        n => format!("and so on by way of {n} more jobs back to the first"),
    };
    let message = format!("the job {} would wait for itself: it waits for {way}, {back}", named[0]);
    // The last table in the file that has a part in it: without it, what stands before it makes no such cycle.
    let links = chain.iter().zip(chain.iter().cycle().skip(1));
    let responsible = |(&waiting, &awaited)| afters.iter().position(|after| after.relates(cells, number(waiting), number(awaited)));
    let last = links.filter_map(responsible).max().expect("every dependency is of a table");
    let hint = "take a table out that is part of this circle, or narrow its `job` or its `wait_for`".to_owned();
    reader.report(afters[last].place.clone(), message, Some(hint));
}

/// A job by its values on some axes, as the file writes them.
fn describe(reader: &Reader, axes: &Axes, cells: &Cells, job: u32, telling: &[usize]) -> String {
    let number = cells.numbers[job as usize];
    let has = |axis: usize| !cells.kind(number).lacks().contains(&axis);
    let value = |axis: usize| format!("{} = {}", NAMES[axis], axes.all()[axis].written(reader, cells.numbering.position(number, axis)));
    let values: Vec<String> = telling.iter().filter(|&&axis| has(axis)).map(|&axis| value(axis)).collect();
    format!("`{{ {} }}`", values.join(", "))
}
