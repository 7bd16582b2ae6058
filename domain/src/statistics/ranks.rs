//! Ranks of values, ties sharing theirs.

/// Ranks from 1, the smallest value first; equal values each get the mean of the ranks that they take up.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut ranks = vec![0.0; values.len()];
    for group in tied(values) {
        let (first, last) = (group.first_rank, group.first_rank + group.indices.len() - 1);
        for index in group.indices {
            ranks[index] = (first + last) as f64 / 2.0;
        }
    }
    ranks
}

/// Equal values.
pub(super) struct Tied {
    /// Where they stand.
    pub(super) indices: Vec<usize>,
    /// The lowest of the ranks that they take up, from 1.
    first_rank: usize,
}

/// The values in groups of equal ones, the smallest first.
pub(super) fn tied(values: &[f64]) -> Vec<Tied> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut first_rank = 1;
    let groups = order.chunk_by(|&a, &b| values[a] == values[b]);
    groups
        .map(|group| {
            let tied = Tied { indices: group.to_vec(), first_rank };
            first_rank += group.len();
            tied
        })
        .collect()
}

/// Sum of t³ - t over the sizes t of groups of equal values: by how much ties lower the variance of rank sums.
pub(super) fn tie_sum(values: &[f64]) -> f64 {
    tied(values).iter().map(|group| group.indices.len() as f64).map(|t| t * t * t - t).sum()
}
