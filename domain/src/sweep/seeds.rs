//! The axis of seeds: single ones and ranges of them, because nobody writes a hundred thousand numbers.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

use super::axes::{AnyAxis, items};
use super::reader::{Reader, Value};
use super::values;

/// All seeds of a sweep, in the order in which they are written.
#[derive(Debug, Clone)]
pub(super) struct Seeds {
    stretches: Vec<Stretch>,
    /// Indexes of the stretches by their first seed. They don't overlap.
    by_first: BTreeMap<u64, usize>,
    length: usize,
}

/// Seeds that follow each other.
#[derive(Debug, Clone)]
struct Stretch {
    first: u64,
    last: u64,
    /// Position of the first on the axis.
    start: usize,
}

impl Seeds {
    /// Reads the axis. Seeds that could not be read, or are there twice, are left out.
    pub(super) fn read(reader: &mut Reader, value: &Value) -> Self {
        let mut seeds = Self { stretches: Vec::new(), by_first: BTreeMap::new(), length: 0 };
        for item in items(reader, "seed", value) {
            let Some(range) = values::seeds(reader, item) else { continue };
            if seeds.overlapping(&range).next().is_none() {
                seeds.push(&range);
                continue;
            }
            let found = reader.quote(item.span());
            let message = if range.start() == range.end() {
                format!("{found} is on the axis `seed` twice")
            } else {
                format!("{found} has seeds that are on the axis `seed` already")
            };
            reader.report(item.span(), message, Some("every value makes jobs of its own: leave one out".to_owned()));
        }
        if seeds.length == 0 { Self::zero() } else { seeds }
    }

    /// The seed of a file that mentions none, and the one that stands in where none could be read.
    pub(super) fn zero() -> Self {
        let mut seeds = Self { stretches: Vec::new(), by_first: BTreeMap::new(), length: 0 };
        seeds.push(&(0..=0));
        seeds
    }

    fn push(&mut self, range: &RangeInclusive<u64>) {
        self.by_first.insert(*range.start(), self.stretches.len());
        self.stretches.push(Stretch { first: *range.start(), last: *range.end(), start: self.length });
        // At most the 2^63 seeds that there are.
        self.length += (range.end() - range.start()) as usize + 1;
    }

    /// Stretches with seeds of the range, from the last.
    fn overlapping(&self, range: &RangeInclusive<u64>) -> impl Iterator<Item = &Stretch> {
        let first = *range.start();
        let starting = self.by_first.range(..=*range.end()).rev();
        starting.map(|(_, index)| &self.stretches[*index]).take_while(move |stretch| stretch.last >= first)
    }

    pub(super) fn value(&self, position: usize) -> u64 {
        let after = self.stretches.partition_point(|stretch| stretch.start <= position);
        let stretch = &self.stretches[after - 1];
        stretch.first + (position - stretch.start) as u64
    }

    /// Where the seeds of a range stand on the axis; `None` where one of them does not.
    pub(super) fn positions(&self, range: &RangeInclusive<u64>) -> Option<Vec<Range<usize>>> {
        let position = |stretch: &Stretch, seed: u64| stretch.start + (seed - stretch.first) as usize;
        let positions: Vec<Range<usize>> = self
            .overlapping(range)
            .map(|stretch| position(stretch, stretch.first.max(*range.start()))..position(stretch, stretch.last.min(*range.end())) + 1)
            .collect();
        let n_wanted = (range.end() - range.start()) as usize + 1;
        (positions.iter().map(ExactSizeIterator::len).sum::<usize>() == n_wanted).then_some(positions)
    }
}

impl AnyAxis for Seeds {
    fn len(&self) -> usize {
        self.length
    }

    fn written(&self, _: &Reader, position: usize) -> String {
        self.value(position).to_string()
    }

    fn locate(&self, reader: &mut Reader, item: &Value) -> Option<Vec<Range<usize>>> {
        values::seeds(reader, item).map(|seeds| self.positions(&seeds).unwrap_or_default())
    }
}
