//! Ranges of seeds, and sweeps with many of them.

use super::*;

fn seeds(axis: &str) -> Vec<u64> {
    let text = plain(&format!("seed = {axis}"), "epochs = 5");
    let sweep = parse(&text).unwrap_or_else(|problems| panic!("{}", render(&problems, "sweep.toml", &text)));
    sweep.jobs().map(|job| job.config.seed).collect()
}

#[test]
fn a_range_stands_for_its_seeds() {
    assert_eq!(seeds("{ from = 3, to = 6 }"), [3, 4, 5, 6]);
    assert_eq!(seeds("[7, { from = 1, to = 2 }, 0, { from = 9, to = 9 }]"), [7, 1, 2, 0, 9]);
    assert_eq!(seeds("{ from = 9223372036854775806, to = 9223372036854775807 }"), [9_223_372_036_854_775_806, 9_223_372_036_854_775_807]);
    let key = |axis: &str| parse(&plain(&format!("seed = {axis}"), "epochs = 5")).unwrap().key();
    assert_eq!(key("{ from = 0, to = 3 }"), key("[0, { from = 1, to = 2 }, 3]"));
}

#[test]
fn ranges_pick_seeds_in_tables() {
    let text = format!(
        "{}[[exclude]]\nseed = [{{ from = 2, to = 4 }}, 3, 8]\n[[after]]\njob = {{ seed = {{ from = 5, to = 9 }} }}\nwait_for = {{ seed = [1, 0] }}\n",
        plain("seed = [8, { from = 0, to = 7 }, 9]", "epochs = 5")
    );
    let sweep = parse(&text).unwrap();
    let seeds: Vec<u64> = sweep.jobs().map(|job| job.config.seed).collect();
    assert_eq!(seeds, [0, 1, 5, 6, 7, 9]);
    let waits: Vec<(u64, u64)> = sweep.dependencies().map(|(job, waits_for)| (seeds[job], seeds[waits_for])).collect();
    assert_eq!(waits, [(5, 0), (5, 1), (6, 0), (6, 1), (7, 0), (7, 1), (9, 0), (9, 1)]);
}

#[test]
fn wrong_ranges_are_told_with_their_place() {
    let text = format!(
        "{}[[exclude]]\nseed = {{ from = 8, to = 12 }}\n",
        plain(
            "seed = [{ from = 5, to = 4 }, { from = -1, to = 3 }, { from = 1 }, { from = 1, two = 2 }, { from = 0, to = 10 }, 10, { from = 9, to = 11 }]",
            "epochs = 5"
        )
    );
    check(
        &text,
        &expect![[r#"
            error: `to` cannot be `4`
             --> sweep.toml:6:26
              |
            6 | seed = [{ from = 5, to = 4 }, { from = -1, to = 3 }, { from = 1 }, { from = 1, two = 2…
              |                          ^
            hint: it takes a whole number from 5 to 9223372036854775807

            error: `from` cannot be `-1`
             --> sweep.toml:6:40
              |
            6 | seed = [{ from = 5, to = 4 }, { from = -1, to = 3 }, { from = 1 }, { from = 1, two = 2 }, { from = 0,…
              |                                        ^^
            hint: it takes a whole number from 0 to 9223372036854775807

            error: `seed` lacks `to`
             --> sweep.toml:6:54
              |
            6 | seed = [{ from = 5, to = 4 }, { from = -1, to = 3 }, { from = 1 }, { from = 1, two = 2 }, { from = 0, to = 10 }, 10, { from =…
              |                                                      ^^^^^^^^^^^^
            hint: add `to = 99`

            error: unknown key `two` in `seed`
             --> sweep.toml:6:80
              |
            6 | seed = [{ from = 5, to = 4 }, { from = -1, to = 3 }, { from = 1 }, { from = 1, two = 2 }, { from = 0, to = 10 }, 10, { from = 9, to = 11 }]
              |                                                                                ^^^
            hint: did you mean `to`?

            error: `10` is on the axis `seed` twice
             --> sweep.toml:6:114
              |
            6 | …rom = -1, to = 3 }, { from = 1 }, { from = 1, two = 2 }, { from = 0, to = 10 }, 10, { from = 9, to = 11 }]
              |                                                                                  ^^
            hint: every value makes jobs of its own: leave one out

            error: `{ from = 9, to = 11 }` has seeds that are on the axis `seed` already
             --> sweep.toml:6:118
              |
            6 | …= -1, to = 3 }, { from = 1 }, { from = 1, two = 2 }, { from = 0, to = 10 }, 10, { from = 9, to = 11 }]
              |                                                                                  ^^^^^^^^^^^^^^^^^^^^^
            hint: every value makes jobs of its own: leave one out

            error: `{ from = 8, to = 12 }` has seeds that are not among the values of `seed`
              --> sweep.toml:12:8
               |
            12 | seed = { from = 8, to = 12 }
               |        ^^^^^^^^^^^^^^^^^^^^^
            hint: end the range where the axis does
        "#]],
    );
    let text = plain("seed = { from = 0, to = 9223372036854775807 }", "epochs = 5");
    assert_eq!(
        problems(&text)[0].message,
        "the axes make 9223372036854775808 combinations (9223372036854775808), more than the 1000000 allowed"
    );
    // Nor is it listed where another axis has no value.
    assert_eq!(problems(&text.replace("'resnet8'", "'resnet9'")).len(), 1);
}

#[test]
fn a_million_jobs_are_listed_and_the_last_is_made_without_the_others() {
    let text = format!(
        "{}[[after]]\njob = {{ seed = {{ from = 1, to = 999_999 }} }}\nwait_for = {{ seed = 0 }}\n",
        plain("seed = { from = 0, to = 999_999 }", "epochs = 5")
    );
    let sweep = parse(&text).unwrap();
    assert_eq!((sweep.n_jobs(), sweep.keys().len(), sweep.dependencies().len(), sweep.runs().count()), (1_000_000, 1_000_000, 999_999, 1));
    let last = sweep.job(999_999);
    assert_eq!((last.config.seed, &last.config.key()), (999_999, &sweep.keys()[999_999]));
    assert_eq!(sweep.dependencies().last(), Some((999_999, 0)));
}

/// Single seeds and ranges that are apart from each other.
fn apart() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((1..4_u64, 0..5_u64), 1..6)
        .prop_map(|steps| {
            let mut next = 0;
            let mut range = |(gap, length): (u64, u64)| {
                let first = next + gap;
                next = first + length;
                (first, next)
            };
            steps.into_iter().map(&mut range).collect::<Vec<_>>()
        })
        .prop_shuffle()
}

fn written(ranges: &[(u64, u64)]) -> String {
    let one = |&(first, last): &(u64, u64)| if first == last { first.to_string() } else { format!("{{ from = {first}, to = {last} }}") };
    format!("[{}]", ranges.iter().map(one).collect::<Vec<_>>().join(", "))
}

proptest! {
    #[test]
    fn ranges_are_their_seeds_in_order(ranges in apart(), excluded in apart()) {
        let listed: Vec<u64> = ranges.iter().flat_map(|&(first, last)| first..=last).collect();
        prop_assert_eq!(&seeds(&written(&ranges)), &listed);

        let out: HashSet<u64> = excluded.iter().flat_map(|&(first, last)| first..=last).collect();
        let text = format!("{}[[exclude]]\nseed = {}\n", plain(&format!("seed = {}", written(&ranges)), "epochs = 5"), written(&excluded));
        let left: Vec<u64> = listed.iter().copied().filter(|seed| !out.contains(seed)).collect();
        match parse(&text) {
            Ok(sweep) => prop_assert_eq!(sweep.jobs().map(|job| job.config.seed).collect::<Vec<_>>(), left),
            Err(_) => prop_assert!(left.is_empty() || out.iter().any(|seed| !listed.contains(seed))),
        }
        prop_assert!(parse(&text).is_err() || out.iter().all(|seed| listed.contains(seed)));
    }
}
