//! Priority, circuit breaker, requirements, `reuse`, and what they do to keys.

use super::*;
use crate::placement::DeviceKind;

/// [`plain`] with two seeds and lines before its tables and after them.
fn scheduled_plain(before: &str, after: &str) -> String {
    format!("{before}\n{}{after}", plain("seed = [0, 1]", "epochs = 5"))
}

#[test]
fn what_is_said_of_scheduling_is_read() {
    let sweep = parse(&scheduled()).unwrap();
    assert_eq!(sweep.scheduling, Scheduling { priority: -5, max_failed_jobs: Some(3) });
    for job in sweep.jobs() {
        let expected = Requirements {
            device: Some(DeviceKind::Cuda),
            memory_mib: 8_000,
            dataset: "digits".to_owned(),
            labels: vec!["a100".to_owned(), "nvlink".to_owned()],
        };
        assert_eq!(sweep.requirements(&job.config), expected);
        assert_eq!(job.config.private_to.as_deref(), Some("branches"));
    }
}

#[test]
fn nothing_is_required_unless_it_is_said() {
    let sweep = parse(VALID).unwrap();
    assert_eq!(sweep.scheduling, Scheduling { priority: 0, max_failed_jobs: None });
    let nothing = Requirements { device: None, memory_mib: 0, dataset: "digits".to_owned(), labels: Vec::new() };
    assert_eq!(sweep.requirements(&sweep.job(0).config), nothing);
    assert!(sweep.jobs().all(|job| job.config.private_to.is_none()));
    assert_eq!(sweep.dependencies().len(), 0);
}

#[test]
fn the_ends_of_ranges_of_scheduling_are_taken() {
    let label = "ü".repeat(64);
    let labels: Vec<String> = (0..16).map(|n| format!("'{n}'")).collect();
    for (before, after) in [
        ("priority = 100", String::new()),
        ("priority = -100", String::new()),
        ("max_failed_jobs = 0", String::new()),
        ("max_failed_jobs = 1_000_000", String::new()),
        ("reuse = true", "[requirements]\nmemory_mib = 1".to_owned()),
        ("", "[requirements]\nmemory_mib = 16777216".to_owned()),
        ("", "[requirements]".to_owned()),
        ("", format!("[requirements]\nlabels = '{label}'")),
        ("", format!("[requirements]\nlabels = [{}]", labels.join(","))),
    ] {
        let text = scheduled_plain(before, &after);
        assert!(parse(&text).is_ok(), "{}", render(&problems(&text), "sweep.toml", &text));
    }
}

#[test]
fn wrong_scheduling_is_told_with_its_place() {
    let many: Vec<String> = (0..17).map(|n| format!("'{n}'")).collect();
    let text = scheduled_plain(
        "priority = 101\nmax_failed_jobs = -1\nreuse = 'no'\npriorty = 5",
        &format!("[requirements]\ndevice = 'CUDA'\nmemory_mib = 0\nmemory = 5\nlabels = [{}]", many.join(",")),
    );
    check(
        &text,
        &expect![[r#"
        error: `priority` cannot be `101`
         --> sweep.toml:1:12
          |
        1 | priority = 101
          |            ^^^
        hint: it takes a whole number from -100 to 100

        error: `max_failed_jobs` cannot be `-1`
         --> sweep.toml:2:19
          |
        2 | max_failed_jobs = -1
          |                   ^^
        hint: it takes a whole number from 0 to 1000000

        error: `reuse` cannot be `'no'`
         --> sweep.toml:3:9
          |
        3 | reuse = 'no'
          |         ^^^^
        hint: it takes `true` or `false`

        error: unknown key `priorty` in the sweep file
         --> sweep.toml:4:1
          |
        4 | priorty = 5
          | ^^^^^^^
        hint: the sweep file takes `name`, `priority`, `max_failed_jobs`, `reuse`, `axes`, `branch`, `training`, `recipe`, `evaluation`, `requirements`, `exclude` and `after`

        error: `device` cannot be `'CUDA'`
          --> sweep.toml:16:10
           |
        16 | device = 'CUDA'
           |          ^^^^^^
        hint: it takes `cpu`, `cuda` or `vulkan`; did you mean `cuda`?

        error: `memory_mib` cannot be `0`
          --> sweep.toml:17:14
           |
        17 | memory_mib = 0
           |              ^
        hint: it takes a whole number from 1 to 16777216

        error: unknown key `memory` in `[requirements]`
          --> sweep.toml:18:1
           |
        18 | memory = 5
           | ^^^^^^
        hint: `[requirements]` takes `device`, `memory_mib` and `labels`

        error: 17 labels are more than the 16 allowed
          --> sweep.toml:19:10
           |
        19 | labels = ['0','1','2','3','4','5','6','7','8','9','10','11','12','13','14','15','16']
           |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        hint: require what only the workers in question have
    "#]],
    );
    let text = scheduled_plain(
        "max_failed_jobs = 1000001",
        &format!(
            "[requirements]\nmemory_mib = 16777217\ndevice = 'tpu'\nlabels = ['a', 'b', 'a', '', ' c', \"d\\u001b\", 5, '{}']",
            "x".repeat(65)
        ),
    );
    check(
        &text,
        &expect![[r#"
        error: `max_failed_jobs` cannot be `1000001`
         --> sweep.toml:1:19
          |
        1 | max_failed_jobs = 1000001
          |                   ^^^^^^^
        hint: it takes a whole number from 0 to 1000000

        error: `memory_mib` cannot be `16777217`
          --> sweep.toml:13:14
           |
        13 | memory_mib = 16777217
           |              ^^^^^^^^
        hint: it takes a whole number from 1 to 16777216

        error: `device` cannot be `'tpu'`
          --> sweep.toml:14:10
           |
        14 | device = 'tpu'
           |          ^^^^^
        hint: it takes `cpu`, `cuda` or `vulkan`; did you mean `cpu`?

        error: `'a'` is listed twice
          --> sweep.toml:15:21
           |
        15 | labels = ['a', 'b', 'a', '', ' c', "d\u001b", 5, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
           |                     ^^^
        hint: leave one out

        error: `labels` cannot be `''`
          --> sweep.toml:15:26
           |
        15 | labels = ['a', 'b', 'a', '', ' c', "d\u001b", 5, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
           |                          ^^
        hint: it takes names of 1 to 64 printable characters, such as `"a100"`

        error: `labels` cannot be `' c'`
          --> sweep.toml:15:30
           |
        15 | labels = ['a', 'b', 'a', '', ' c', "d\u001b", 5, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
           |                              ^^^^
        hint: it takes names of 1 to 64 printable characters, such as `"a100"`

        error: `labels` cannot be `"d\u001b"`
          --> sweep.toml:15:36
           |
        15 | labels = ['a', 'b', 'a', '', ' c', "d\u001b", 5, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
           |                                    ^^^^^^^^^
        hint: it takes names of 1 to 64 printable characters, such as `"a100"`

        error: `labels` cannot be `5`
          --> sweep.toml:15:47
           |
        15 | labels = ['a', 'b', 'a', '', ' c', "d\u001b", 5, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
           |                                               ^
        hint: it takes names of 1 to 64 printable characters, such as `"a100"`

        error: `labels` cannot be `'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…`
          --> sweep.toml:15:50
           |
        15 | labels = ['a', 'b', 'a', '', ' c', "d\u001b", 5, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx']
           |                                                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        hint: it takes names of 1 to 64 printable characters, such as `"a100"`
    "#]],
    );
    check(
        &scheduled_plain("requirements = 5\nafter = 3", ""),
        &expect![[r#"
        error: `[requirements]` cannot be `5`
         --> sweep.toml:1:16
          |
        1 | requirements = 5
          |                ^
        hint: it is a table with `device`, `memory_mib` and `labels`

        error: `after` must be an array of tables
         --> sweep.toml:2:9
          |
        2 | after = 3
          |         ^
        hint: write `[[after]]`
    "#]],
    );
}

/// Computed from texts written by hand, with Python's hashlib, as the keys of the jobs are.
#[test]
fn keys_of_files_that_say_nothing_new_are_what_they_were() {
    let demonstration = parse(include_str!("../../../../sweeps/digits.toml")).unwrap();
    assert_eq!(demonstration.key(), "cda43da1cc7445ef954b7f6ebd9e11d4");
    let keys = demonstration.keys();
    assert_eq!((keys[0].as_str(), keys[15].as_str()), ("4dd14412f8857b88b07047bf7bfc757c", "87c12671223ecdbff77e1254ccb5d179"));
    let defaults = "priority = 0\nreuse = true";
    assert_eq!(parse(&scheduled_plain(defaults, "[requirements]")).unwrap().key(), "634e86a7cb479cd535757cb0f455d575");
}

#[test]
fn a_sweep_that_reuses_nothing_has_jobs_of_its_own() {
    let text = format!("reuse = false\n{}", include_str!("../../../../sweeps/digits.toml"));
    let sweep = parse(&text).unwrap();
    // As above, of texts with `"private_to":"digits",` before the seed.
    let keys = sweep.keys();
    assert_eq!((keys[0].as_str(), keys[15].as_str()), ("206cac57d2a6713c07c01f4286e6ef49", "2b020b363293e0e63670f2b77c92e9c4"));
    assert_eq!(sweep.key(), "8e10421dc6fad23da8e1df7fa4e00783");

    let keys = |text: &str| parse(text).unwrap().keys().iter().cloned().collect::<HashSet<_>>();
    let renamed = text.replace("name = \"digits\"", "name = \"again\"");
    assert!(keys(&text).is_disjoint(&keys(&renamed)));
    assert!(keys(&text).is_disjoint(&keys(include_str!("../../../../sweeps/digits.toml"))));
    // The same sweep submitted again finds its own jobs.
    assert_eq!(keys(&text), keys(&text.replace("epochs = 15", "epochs = 0xf")));
    // Names with characters that JSON escapes are told apart, and read back.
    let named = parse(&format!("reuse = false\n{}", plain("", "epochs = 5").replace("'plain'", "'a\"\\{}'"))).unwrap();
    let config = named.job(0).config;
    assert_eq!(config.private_to.as_deref(), Some("a\"\\{}"));
    assert_eq!(JobConfig::from_json(&config.canonical_json()).unwrap(), config);
    assert_eq!(named.keys(), [config.key()]);
}

#[test]
fn a_sweeps_key_is_of_all_that_it_says() {
    let key = |before: &str, after: &str| parse(&scheduled_plain(before, after)).unwrap().key();
    let all = "[requirements]\ndevice = 'cuda'\nmemory_mib = 8000\nlabels = ['nvlink', 'a100']\n[[after]]\njob = { seed = 1 }\nwait_for = { seed = 0 }";
    // Python: sha256(b"plain\n8131..\n9f38..\npriority -5\nmax_failed_jobs 0\ndevice cuda\nmemory_mib 8000\nlabel a100\nlabel nvlink\nafter 1 0\n")
    assert_eq!(key("priority = -5\nmax_failed_jobs = 0", all), "571b0f11330643283e643231c95529ac");
    assert_eq!(
        key("max_failed_jobs = 0\npriority = -5", &all.replace("['nvlink', 'a100']", "['a100', 'nvlink']")),
        "571b0f11330643283e643231c95529ac"
    );

    let different = [
        key("", ""),
        key("reuse = false", ""),
        key("priority = 1", ""),
        key("priority = 2", ""),
        key("max_failed_jobs = 0", ""),
        key("max_failed_jobs = 1", ""),
        key("", "[requirements]\ndevice = 'cpu'"),
        key("", "[requirements]\ndevice = 'cuda'"),
        key("", "[requirements]\nmemory_mib = 1"),
        key("", "[requirements]\nlabels = 'a'"),
        key("", "[requirements]\nlabels = 'b'"),
        key("", "[requirements]\nlabels = ['a', 'b']"),
        key("", "[[after]]\njob = { seed = 1 }\nwait_for = { seed = 0 }"),
        key("", "[[after]]\njob = { seed = 0 }\nwait_for = { seed = 1 }"),
    ];
    assert_eq!(different.iter().collect::<HashSet<_>>().len(), different.len());
}

/// What the demonstration's file says of fields that it does not use is right: without the marks before them it is a sweep.
#[test]
fn the_comments_of_the_demonstration_are_fields() {
    let file = include_str!("../../../../sweeps/digits.toml");
    let fields =
        ["priority", "max_failed_jobs", "reuse", "[requirements]", "device", "memory_mib", "labels", "[[after]]", "job =", "wait_for"];
    let uncommented: String = file
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(field) if fields.iter().any(|name| field.starts_with(name)) => format!("{field}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let sweep = parse(&uncommented).unwrap_or_else(|problems| panic!("{}", render(&problems, "digits.toml", &uncommented)));
    assert_eq!(sweep.scheduling, Scheduling { priority: 10, max_failed_jobs: Some(3) });
    let job = sweep.job(0).config;
    assert_eq!(sweep.requirements(&job).label(), "cuda, 8000 MiB, a100");
    assert_eq!((sweep.n_jobs(), job.private_to.as_deref()), (16, Some("digits")));
    // Two backbones of two seeds: `constant` stands after `none`.
    assert_eq!(sweep.dependencies().collect::<Vec<_>>(), [(2, 0), (3, 1), (10, 8), (11, 9)]);
}
