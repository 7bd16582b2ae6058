//! The two inner loops of a convolution, for vectors of whatever width.
//!
//! Vectors run along channels, and each lane is a sum of its own, taken in one order. So the width of the vectors decides the speed, and not
//! the result; only whether the processor fuses multiply and add does, as nearly all do.

use pulp::Simd;
use pulp::bytemuck::cast_slice;

use super::gather::{TILE, Tile};

/// Rows of a weight gradient that are summed at once.
pub(super) const ROWS: usize = 8;

/// Channels that one vector of a width, or two, hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    /// The first channel.
    pub(super) first: usize,
    /// Vectors: 1 or 2.
    pub(super) n_vectors: usize,
}

/// Cuts channels into blocks of two vectors where there are registers for them, and of one.
pub(super) fn blocks<S: Simd>(channels: usize) -> impl Iterator<Item = Block> + Clone {
    let n_vectors = channels.div_ceil(S::F32_LANES);
    let most = if S::REGISTER_COUNT >= 32 { 2 } else { 1 };
    (0..n_vectors).step_by(most).map(move |vector| Block { first: vector * S::F32_LANES, n_vectors: most.min(n_vectors - vector) })
}

/// Channels rounded up to whole vectors.
pub(super) fn padded<S: Simd>(channels: usize) -> usize {
    channels.next_multiple_of(S::F32_LANES)
}

/// Values from the first position of a tile to the last, where positions lie next to each other.
pub(super) const NEXT: usize = TILE;

/// The same where there is one between them.
pub(super) const EVERY_OTHER: usize = 2 * TILE - 1;

/// A tile's sums over taps: for each position, one vector block of channels.
///
/// `weights` has `VECTORS` vectors for each offset; `REACH` is [`NEXT`] or [`EVERY_OTHER`].
#[inline(always)]
pub(super) fn sums<S: Simd, const VECTORS: usize, const REACH: usize>(
    simd: S,
    values: &[f32],
    offsets: &[usize],
    weights: &[S::f32s],
    into: &mut [[S::f32s; VECTORS]; TILE],
) {
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; TILE];
    let (weights, _) = weights.as_chunks::<VECTORS>();
    for (&offset, weights) in offsets.iter().zip(weights) {
        let Some(values) = reach::<REACH>(values, offset) else { break };
        for position in 0..TILE {
            let value = simd.splat_f32s(values[position * (REACH - 1) / (TILE - 1)]);
            for vector in 0..VECTORS {
                sums[position][vector] = simd.mul_add_e_f32s(value, weights[vector], sums[position][vector]);
            }
        }
    }
    store::<S, VECTORS, _>(&sums, into);
}

/// Sums over a task's tiles for [`ROWS`] offsets of the weight gradient: for each, one vector block of channels.
///
/// `gradients` has `VECTORS` vectors for each position of each tile; `REACH` is as above.
#[inline(always)]
pub(super) fn row_sums<S: Simd, const VECTORS: usize, const REACH: usize>(
    simd: S,
    values: &[f32],
    tiles: &[Tile],
    offsets: &[usize; ROWS],
    gradients: &[S::f32s],
    into: &mut [[S::f32s; VECTORS]; ROWS],
) {
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
    let (gradients, _) = gradients.as_chunks::<VECTORS>();
    let (gradients, _) = gradients.as_chunks::<TILE>();
    'tiles: for (tile, gradients) in tiles.iter().zip(gradients) {
        let mut rows = [&[0.0; REACH]; ROWS];
        for row in 0..ROWS {
            let Some(values) = reach::<REACH>(values, tile.start + offsets[row]) else { break 'tiles };
            rows[row] = values;
        }
        for position in 0..TILE {
            for row in 0..ROWS {
                let value = simd.splat_f32s(rows[row][position * (REACH - 1) / (TILE - 1)]);
                for vector in 0..VECTORS {
                    sums[row][vector] = simd.mul_add_e_f32s(value, gradients[position][vector], sums[row][vector]);
                }
            }
        }
    }
    store::<S, VECTORS, _>(&sums, into);
}

/// Writes sums out, vector by vector: what is never taken the address of stays in registers till here.
#[inline(always)]
fn store<S: Simd, const VECTORS: usize, const N: usize>(sums: &[[S::f32s; VECTORS]; N], into: &mut [[S::f32s; VECTORS]; N]) {
    for index in 0..N {
        for vector in 0..VECTORS {
            into[index][vector] = sums[index][vector];
        }
    }
}

/// The values of a tile. There always are: but a loop that cannot panic keeps its sums in registers.
#[inline(always)]
fn reach<const REACH: usize>(values: &[f32], offset: usize) -> Option<&[f32; REACH]> {
    let values = values.get(offset..).and_then(<[f32]>::first_chunk);
    debug_assert!(values.is_some(), "a tile reaches past the values of its task");
    values
}

/// The lanes of vectors, one after another.
#[inline(always)]
pub(super) fn lanes<S: Simd, const VECTORS: usize, const N: usize>(vectors: &[[S::f32s; VECTORS]; N]) -> &[f32] {
    cast_slice(vectors.as_flattened())
}
