//! The calibration split: the part of a training set on which thresholds are chosen and nothing is learnt.

/// A training set's indices, parted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Images to train on, rising.
    pub train: Vec<u32>,
    /// Images to choose thresholds on, rising.
    pub calibration: Vec<u32>,
}

/// Holds out a share of a training set for calibration.
///
/// The rule: `round(share * n)` images (at least one where there is one to spare: a class's last is never taken) are dealt out over the classes in proportion to their sizes,
/// by largest remainder, ties to the lower class. Of a class that is to give k of its m images, those at positions
/// `floor((2i + 1) m / 2k)`, i from 0 to k - 1, in the order of the file are taken: evenly spaced, so that a file ordered by writer or by
/// source is represented throughout. No seed enters: every job on a dataset with the same share calibrates on the same images.
///
/// # Panics
/// When `share` is not within (0, 0.5].
pub fn split(labels: &[u16], share: f64) -> Split {
    assert!(share > 0.0 && share <= 0.5, "a calibration share is in (0, 0.5]");
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); 1 + labels.iter().copied().max().map_or(0, usize::from)];
    for (index, &label) in (0_u32..).zip(labels) {
        members[usize::from(label)].push(index);
    }
    let sizes: Vec<usize> = members.iter().map(Vec::len).collect();
    let n_wanted = ((share * labels.len() as f64).round() as usize).max(1);

    let mut is_calibration = vec![false; labels.len()];
    for (class, n_taken) in members.iter().zip(deal_out(n_wanted, &sizes)) {
        for i in 0..n_taken {
            is_calibration[class[(2 * i + 1) * class.len() / (2 * n_taken)] as usize] = true;
        }
    }
    let (calibration, train) = (0_u32..labels.len() as u32).partition(|&index| is_calibration[index as usize]);
    Split { train, calibration }
}

/// Parts `n_wanted` in proportion to `sizes` by largest remainder, in whole numbers; each part stays below its size.
fn deal_out(n_wanted: usize, sizes: &[usize]) -> Vec<usize> {
    let n: usize = sizes.iter().sum();
    let mut parts: Vec<usize> = sizes.iter().map(|size| n_wanted * size / n.max(1)).collect();
    let mut by_remainder: Vec<usize> = (0..sizes.len()).collect();
    by_remainder.sort_by_key(|&class| std::cmp::Reverse(n_wanted * sizes[class] % n.max(1)));
    let n_left = n_wanted.saturating_sub(parts.iter().sum());
    for &class in by_remainder.iter().take(n_left) {
        parts[class] += 1;
    }
    parts.iter().zip(sizes).map(|(&part, &size)| part.min(size.saturating_sub(1))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evenly_spaced_members_of_each_class_by_hand() {
        // Class 0 at 0..8, class 1 at 8..12. A quarter of 12 is 3: 2 of class 0 (positions 2 and 6), 1 of class 1 (position 2).
        let labels = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1];
        let split = split(&labels, 0.25);
        assert_eq!(split.calibration, [2, 6, 10]);
        assert_eq!(split.train, [0, 1, 3, 4, 5, 7, 8, 9, 11]);
    }

    #[test]
    fn remainders_go_to_the_largest_then_to_the_lower_class() {
        // 10 over sizes 33, 33, 34: shares 3.3, 3.3, 3.4.
        assert_eq!(deal_out(10, &[33, 33, 34]), [3, 3, 4]);
        assert_eq!(deal_out(10, &[34, 33, 33]), [4, 3, 3]);
        assert_eq!(deal_out(2, &[10, 10, 10]), [1, 1, 0]);
    }

    #[test]
    fn a_class_keeps_an_image_to_train_on() {
        let split = split(&[0, 1, 1, 1], 0.5);
        assert!(split.train.contains(&0));
        assert_eq!(deal_out(1, &[1, 0]), [0, 0]);
    }

    #[test]
    fn no_image_is_in_both_parts_and_none_is_lost() {
        let labels: Vec<u16> = (0..1000_u32).map(|i| (i * i % 7) as u16).collect();
        for share in [0.001, 0.1, 0.25, 0.5] {
            let split = split(&labels, share);
            let mut all = [split.train.clone(), split.calibration.clone()].concat();
            all.sort_unstable();
            assert_eq!(all, (0..1000).collect::<Vec<u32>>());
            assert_eq!(split.calibration.len(), (share * 1000.0).round() as usize);
        }
    }
}
