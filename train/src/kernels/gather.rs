//! Which source positions feed which positions of a grid, cut into tiles that the products in [`super::product`] work on.
//!
//! A convolution reads, for each output position, the input under its kernel; its gradient with respect to the input reads, for each input
//! position, the output gradients that the position contributed to. Both are one thing: each position of a grid takes a weighted sum over
//! taps, each a fixed distance from the position's own place in a source map, and over the source's channels. Only the lists of taps differ.

/// Positions of one tile. Eight sums of up to 32 channels fill half the vector registers of AVX-512, and eight of 8 channels most of AVX2's.
pub(super) const TILE: usize = 8;

/// Grid positions that a task covers at least, so that small maps share the work of getting weights into the cache.
const TASK_POSITIONS: usize = 64;

/// Taps of a map on a grid: position `(y, x)` reads the source at `(y * step + dy, x * step + dx)` for each tap, and zero outside it.
#[derive(Debug, Clone)]
pub(super) struct Gather {
    /// Channels of the source.
    pub(super) channels: usize,
    /// Height and width of the source.
    pub(super) source: [usize; 2],
    /// Height and width of the grid.
    pub(super) grid: [usize; 2],
    /// Source rows between two grid rows, and columns.
    pub(super) step: [usize; 2],
    /// Distances `(dy, dx)`.
    pub(super) taps: Vec<[isize; 2]>,
}

/// Up to [`TILE`] consecutive positions of a task, counted over its images.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile {
    /// Where the first tap of the first channel of the first position lies in the task's values.
    pub(super) start: usize,
    /// The first position.
    pub(super) first: usize,
    /// Positions at the front that the tile before this one has as well.
    pub(super) shared: usize,
}

/// A gather with its margins and tiles.
#[derive(Debug)]
pub(super) struct Plan {
    gather: Gather,
    /// Zero rows above and zero columns to the left.
    margin: [usize; 2],
    /// Height and width with margins.
    padded: [usize; 2],
    /// Images of a task.
    pub(super) n_images: usize,
    /// Whether tiles are copied next to each other first, as they do not lie within rows.
    packed: bool,
    /// Where each position of a task lies among its padded images. Empty unless packed.
    bases: Vec<usize>,
    /// From a position to each channel and tap among the padded images, channels outermost.
    places: Vec<usize>,
    /// From a tile's start to each channel and tap, channels outermost.
    pub(super) offsets: Vec<usize>,
    /// Between two positions of a tile: 1 or 2.
    pub(super) stride: usize,
    /// The tiles of a task.
    pub(super) tiles: Vec<Tile>,
}

/// A task's source values as its tiles want them. Reused from task to task.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    padded: Vec<f32>,
    packed: Vec<f32>,
}

/// The images that make up a task on a grid of so many positions: a function of the shape alone, so that results are as well.
pub(super) fn images_per_task(positions: usize) -> usize {
    TASK_POSITIONS.div_ceil(positions.max(1))
}

impl Gather {
    /// The same gather with the map as a single row, where taps never leave a position's own place.
    fn flattened(mut self) -> Self {
        if self.taps == [[0, 0]] && self.step == [1, 1] && self.source == self.grid {
            self.source = [1, self.source[0] * self.source[1]];
            self.grid = self.source;
        }
        self
    }

    /// Rows or columns of margin before the source, and its length with the margins of both ends.
    fn margin(&self, axis: usize) -> (usize, usize) {
        let distances = self.taps.iter().map(|tap| tap[axis]);
        let before = distances.clone().min().unwrap_or(0).min(0).unsigned_abs();
        let last = (self.grid[axis].saturating_sub(1) * self.step[axis]) as isize + distances.max().unwrap_or(0);
        (before, before + self.source[axis].max((last + 1).max(0) as usize))
    }
}

impl Plan {
    pub(super) fn new(gather: Gather, n_images: usize) -> Self {
        let gather = gather.flattened();
        let (top, height) = gather.margin(0);
        let (left, width) = gather.margin(1);
        let taps = gather.taps.iter().map(|[dy, dx]| (top as isize + dy) as usize * width + (left as isize + dx) as usize);
        let taps: Vec<usize> = taps.collect();
        let plane = height * width;
        let places = (0..gather.channels).flat_map(|channel| taps.iter().map(move |tap| channel * plane + tap));
        let places: Vec<usize> = places.collect();
        let [n_rows, n_columns] = gather.grid;
        let bases = (0..n_images).flat_map(|image| {
            (0..n_rows).flat_map(move |y| {
                let row = image * gather.channels * plane + y * gather.step[0] * width;
                (0..n_columns).map(move |x| row + x * gather.step[1])
            })
        });
        let bases: Vec<usize> = bases.collect();

        let packed = n_columns < TILE || gather.step[1] > 2;
        let mut tiles = Vec::new();
        if packed {
            let starts = (0..bases.len().div_ceil(TILE)).map(|index| index * TILE);
            tiles.extend(starts.map(|first| Tile { start: first * places.len(), first, shared: 0 }));
        } else {
            for row in (0..bases.len()).step_by(n_columns) {
                for column in (0..n_columns).step_by(TILE) {
                    let first = row + column.min(n_columns - TILE);
                    tiles.push(Tile { start: bases[first], first, shared: row + column - first });
                }
            }
        }
        Self {
            margin: [top, left],
            padded: [height, width],
            n_images,
            packed,
            offsets: if packed { (0..places.len()).map(|index| index * TILE).collect() } else { places.clone() },
            places,
            stride: if packed { 1 } else { gather.step[1] },
            bases: if packed { bases } else { Vec::new() },
            tiles,
            gather,
        }
    }

    /// Positions of one image.
    pub(super) fn positions(&self) -> usize {
        self.gather.grid[0] * self.gather.grid[1]
    }

    /// Whether a tile's positions lie in one row of one image.
    pub(super) fn in_rows(&self) -> bool {
        !self.packed
    }

    /// A task's values, which the tiles' starts and the offsets point into.
    ///
    /// # Shapes
    /// `source`: at most `n_images` images of `[channels, height, width]`.
    pub(super) fn values<'a>(&self, source: &'a [f32], scratch: &'a mut Scratch) -> &'a [f32] {
        let Self { padded: [height, width], margin: [top, left], ref gather, .. } = *self;
        let n_planes = source.len() / (gather.source[0] * gather.source[1]).max(1);
        let bare = [height, width] == gather.source;
        if !bare {
            scratch.padded.clear();
            scratch.padded.resize(n_planes * height * width, 0.0);
            let planes = scratch.padded.chunks_exact_mut(height * width);
            for (padded, plane) in planes.zip(source.chunks_exact(gather.source[0] * gather.source[1])) {
                let rows = padded.chunks_exact_mut(width).skip(top);
                for (padded, row) in rows.zip(plane.chunks_exact(gather.source[1])) {
                    padded[left..left + row.len()].copy_from_slice(row);
                }
            }
        }
        let Scratch { padded, packed } = scratch;
        let padded: &[f32] = if bare { source } else { padded };
        if !self.packed {
            return padded;
        }
        let n_present = n_planes / gather.channels.max(1) * self.positions();
        packed.clear();
        packed.resize(n_present.div_ceil(TILE) * TILE * self.offsets.len(), 0.0);
        let tiles = packed.chunks_exact_mut(TILE * self.offsets.len().max(1));
        for (tile, bases) in tiles.zip(self.bases[..n_present].chunks(TILE)) {
            for (row, place) in tile.chunks_exact_mut(TILE).zip(&self.places) {
                row.iter_mut().zip(bases).for_each(|(value, base)| *value = padded[base + place]);
            }
        }
        packed
    }
}
