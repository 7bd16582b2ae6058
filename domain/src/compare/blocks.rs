//! Which cells agree in everything but the factor.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::factor::without_meaning;
use super::paired::Slot;
use super::{Cell, Factor};
use crate::job::JobConfig;

/// Cells by level and block.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// Names of levels, in the order of the cells.
    pub(super) levels: Vec<String>,
    /// Cells, those of the same level and block as one.
    pub(super) members: Vec<Member>,
    /// For each block its members, by level. A member may be in several.
    pub(super) list: Vec<BTreeMap<usize, usize>>,
    /// Cells that the factor means nothing to.
    pub(super) n_not_applicable: usize,
    /// Results beyond the first of their level, block and seed.
    pub(super) n_repeated: usize,
    /// What sweeps differ in as a whole.
    pub(super) differs_as_well: Vec<String>,
}

/// The cells of one level that agree in everything else.
#[derive(Debug)]
pub(super) struct Member {
    /// Index of its level.
    pub(super) level: usize,
    /// What is known, by seed.
    pub(super) seeds: BTreeMap<u64, Slot>,
    key: Key,
}

/// What must agree, by its place in the configuration, as JSON; and what the cell leaves no choice of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    open: &'static [&'static str],
    parts: BTreeMap<String, String>,
}

impl Key {
    fn new(config: &JobConfig) -> Self {
        let open = without_meaning(config);
        let mut parts = parts(config);
        parts.retain(|part, _| !open.contains(&part.as_str()));
        Self { open, parts }
    }

    /// What is left without the parts that another key leaves open.
    fn without(&self, open: &[&str]) -> BTreeMap<&str, &str> {
        self.parts.iter().map(|(part, value)| (part.as_str(), value.as_str())).filter(|(part, _)| !open.contains(part)).collect()
    }
}

/// The configuration as flat as it is compared: a field each, those of branches and of the recipe one by one. Fields at their defaults are not
/// written, and so are absent here. The seed tells runs of a cell apart, and whom a job is private to changes nothing about it.
fn parts(config: &JobConfig) -> BTreeMap<String, String> {
    let Ok(Value::Object(fields)) = serde_json::to_value(config) else { unreachable!("a configuration is a struct with string keys") };
    let mut parts = BTreeMap::new();
    for (name, value) in fields {
        match (name.as_str(), value) {
            ("branches" | "recipe", Value::Object(fields)) => {
                parts.extend(fields.into_iter().map(|(field, value)| (format!("{name}.{field}"), value.to_string())));
            }
            // Without branches the place of the pattern is empty, which is a pattern like any other.
            ("seed" | "private_to" | "branches", _) => {}
            (_, value) => {
                parts.insert(name, value.to_string());
            }
        }
    }
    parts
}

impl Blocks {
    /// Sorts cells into levels and blocks.
    pub(super) fn find(cells: &[Cell], factor: Factor) -> Self {
        let mut blocks = Self::default();
        let mut level_of: HashMap<String, usize> = HashMap::new();
        let mut placed: Vec<(&Cell, usize, Key)> = Vec::new();
        for cell in cells {
            let Some(level) = factor.level(&cell.config, &cell.sweep) else {
                blocks.n_not_applicable += 1;
                continue;
            };
            let level = *level_of.entry(level).or_insert_with_key(|level| {
                blocks.levels.push(level.clone());
                blocks.levels.len() - 1
            });
            let mut key = Key::new(&cell.config);
            key.parts.retain(|part, _| !factor.has_part(part));
            if factor != Factor::Pattern {
                // Only where patterns are compared may cells of different patterns be paired.
                key.open = &[];
            }
            placed.push((cell, level, key));
        }
        if factor == Factor::Sweep {
            blocks.differs_as_well = differing_as_a_whole(&placed);
            // But for what areas depend on, which would not be the same number any more.
            let mut constant = constant_parts(&placed);
            constant.retain(|part| part != "backbone" && part != "dataset");
            for (_, _, key) in &mut placed {
                key.parts.retain(|part, _| !constant.contains(part));
            }
        }
        blocks.gather(placed);
        blocks.settle();
        blocks
    }

    /// Makes one member of the cells of the same level and key.
    fn gather(&mut self, placed: Vec<(&Cell, usize, Key)>) {
        let mut member_of: HashMap<(usize, Key), usize> = HashMap::new();
        for (cell, level, key) in placed {
            let member = *member_of.entry((level, key)).or_insert_with_key(|(level, key)| {
                self.members.push(Member { level: *level, seeds: BTreeMap::new(), key: key.clone() });
                self.members.len() - 1
            });
            for run in &cell.runs {
                let slot = self.members[member].seeds.entry(run.seed).or_default();
                if slot.jobs.contains(&run.job) {
                    continue;
                }
                slot.jobs.push(run.job.clone());
                match run.value.filter(|value| value.is_finite()) {
                    Some(value) => {
                        self.n_repeated += usize::from(!slot.values.is_empty());
                        slot.values.push(value);
                    }
                    None => slot.n_without_result += 1,
                }
            }
        }
    }

    /// Finds the blocks. Keys that leave nothing open are blocks; one that leaves parts open joins all blocks that leave no others open and
    /// agree with it in the rest, and is a block of its own where there are none.
    fn settle(&mut self) {
        let open = |member: usize| self.members[member].key.open;
        let mut order: Vec<usize> = (0..self.members.len()).collect();
        // Stable: within a group the order stays that of the cells.
        order.sort_by_key(|&member| (open(member).len(), open(member)));
        // Each block with the member that founded it.
        let mut blocks: Vec<(usize, BTreeMap<usize, usize>)> = Vec::new();
        for group in order.chunk_by(|&a, &b| open(a) == open(b)) {
            let mut by_rest: HashMap<BTreeMap<&str, &str>, Vec<usize>> = HashMap::new();
            for (block, &(founder, _)) in blocks.iter().enumerate() {
                if open(founder).iter().all(|part| open(group[0]).contains(part)) {
                    by_rest.entry(self.members[founder].key.without(open(group[0]))).or_default().push(block);
                }
            }
            let mut founded: HashMap<&Key, usize> = HashMap::new();
            for &member in group {
                let Member { level, key, .. } = &self.members[member];
                let joined = by_rest.get(&key.without(&[])).cloned().unwrap_or_else(|| {
                    let own = founded.entry(key).or_insert_with(|| {
                        blocks.push((member, BTreeMap::new()));
                        blocks.len() - 1
                    });
                    vec![*own]
                });
                for block in joined {
                    blocks[block].1.insert(*level, member);
                }
            }
        }
        self.list = blocks.into_iter().map(|(_, members)| members).collect();
    }
}

/// The values that each level's cells have of each part that means something to them. What is not written is `null`.
fn values_of_parts(placed: &[(&Cell, usize, Key)]) -> BTreeMap<String, BTreeMap<usize, BTreeSet<String>>> {
    let names: BTreeSet<&String> = placed.iter().flat_map(|(_, _, key)| key.parts.keys()).collect();
    let mut values: BTreeMap<String, BTreeMap<usize, BTreeSet<String>>> = BTreeMap::new();
    for (cell, level, key) in placed {
        let open = without_meaning(&cell.config);
        for name in names.iter().filter(|name| !open.contains(&name.as_str())) {
            let value = key.parts.get(*name).cloned().unwrap_or_else(|| "null".to_owned());
            values.entry((*name).clone()).or_default().entry(*level).or_default().insert(value);
        }
    }
    values
}

/// Parts that have one value in each sweep.
fn constant_parts(placed: &[(&Cell, usize, Key)]) -> BTreeSet<String> {
    let values = values_of_parts(placed).into_iter();
    values.filter(|(_, by_level)| by_level.values().all(|values| values.len() == 1)).map(|(part, _)| part).collect()
}

/// Parts that have one value in each sweep, and not the same one in all.
fn differing_as_a_whole(placed: &[(&Cell, usize, Key)]) -> Vec<String> {
    let values = values_of_parts(placed).into_iter();
    values
        .filter(|(_, by_level)| by_level.values().all(|values| values.len() == 1) && by_level.values().collect::<BTreeSet<_>>().len() > 1)
        .map(|(part, _)| part)
        .collect()
}
