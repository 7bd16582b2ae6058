//! The two inner loops of a convolution, for vectors of whatever width.
//!
//! Vectors run along channels, and each lane is a sum of its own, taken in one order by fused multiply-adds. So the width of the vectors
//! decides the speed, and not the result.

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

/// A tile's sums over taps: for each position, one vector block of channels.
///
/// `weights` has `VECTORS` vectors for each offset.
#[inline(always)]
pub(super) fn sums<S: Simd, const VECTORS: usize, const STRIDE: usize>(
    simd: S,
    values: &[f32],
    offsets: &[usize],
    weights: &[S::f32s],
) -> [[S::f32s; VECTORS]; TILE] {
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; TILE];
    let (weights, _) = weights.as_chunks::<VECTORS>();
    for (&offset, weights) in offsets.iter().zip(weights) {
        let values = &values[offset..][..(TILE - 1) * STRIDE + 1];
        for position in 0..TILE {
            let value = simd.splat_f32s(values[position * STRIDE]);
            for vector in 0..VECTORS {
                sums[position][vector] = simd.mul_add_e_f32s(value, weights[vector], sums[position][vector]);
            }
        }
    }
    sums
}

/// Sums over a task's tiles for [`ROWS`] offsets of the weight gradient: for each, one vector block of channels.
///
/// `gradients` has `VECTORS` vectors for each position of each tile.
#[inline(always)]
pub(super) fn row_sums<S: Simd, const VECTORS: usize, const STRIDE: usize>(
    simd: S,
    values: &[f32],
    tiles: &[Tile],
    offsets: &[usize; ROWS],
    gradients: &[S::f32s],
) -> [[S::f32s; VECTORS]; ROWS] {
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
    let (gradients, _) = gradients.as_chunks::<VECTORS>();
    let (gradients, _) = gradients.as_chunks::<TILE>();
    for (tile, gradients) in tiles.iter().zip(gradients) {
        let values = &values[tile.start..];
        let rows = offsets.map(|offset| &values[offset..][..(TILE - 1) * STRIDE + 1]);
        for position in 0..TILE {
            for row in 0..ROWS {
                let value = simd.splat_f32s(rows[row][position * STRIDE]);
                for vector in 0..VECTORS {
                    sums[row][vector] = simd.mul_add_e_f32s(value, gradients[position][vector], sums[row][vector]);
                }
            }
        }
    }
    sums
}

/// The lanes of vectors, one after another.
#[inline(always)]
pub(super) fn lanes<S: Simd, const VECTORS: usize, const N: usize>(vectors: &[[S::f32s; VECTORS]; N]) -> &[f32] {
    cast_slice(vectors.as_flattened())
}
