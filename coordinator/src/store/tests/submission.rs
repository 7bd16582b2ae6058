use super::*;

on_both_engines! {
    the_same_content_is_one_sweep,
    a_preview_counts_and_writes_nothing,
    jobs_are_listed_in_the_sweeps_order_with_what_the_network_costs,
    sweeps_are_found_by_what_people_type,
    a_job_is_found_by_any_unique_prefix,
    text_is_kept_verbatim_and_inert,
}

async fn the_same_content_is_one_sweep(store: Fixture) {
    let text = sweep_text("a", r#"["none", "constant"]"#, "[0, 1]");
    let first = store.submit_text(&text).await;
    let nothing = Preview { n_known_jobs: 0, n_finished_jobs: 0 };
    assert_eq!(first, Submitted { sweep: first.sweep, created: true, before: nothing });

    // The same content in other words.
    let reworded = format!("# again\n{}", text.replace("seed = [0, 1]", "seed = [0,1]"));
    let again = store.submit_text(&reworded).await;
    assert_eq!(again, Submitted { sweep: first.sweep, created: false, before: Preview { n_known_jobs: 4, n_finished_jobs: 0 } });
    assert_eq!(store.count("sweeps").await, 1);
    assert_eq!(store.count("jobs").await, 4);
    assert_eq!(store.count("sweep_jobs").await, 4);
    // 3 side exits and the final one for `constant`, the final one alone for `none`; 2 seeds each.
    assert_eq!(store.count("exits").await, 2 * 4 + 2);
}

async fn a_preview_counts_and_writes_nothing(store: Fixture) {
    let sweep = parse(&sweep_text("a", r#"["none"]"#, "[0, 1]"));
    assert_eq!(store.reader().preview(&sweep).await.unwrap(), Preview { n_known_jobs: 0, n_finished_jobs: 0 });
    assert_eq!((store.count("sweeps").await, store.count("jobs").await), (0, 0));

    store.submit_text(&sweep_text("b", r#"["none"]"#, "[1, 2]")).await;
    let session = store.session("w").await;
    store.complete_next(session, &[(1.0, 0.5)]).await;
    assert_eq!(store.reader().preview(&sweep).await.unwrap(), Preview { n_known_jobs: 1, n_finished_jobs: 1 });
}

async fn jobs_are_listed_in_the_sweeps_order_with_what_the_network_costs(store: Fixture) {
    let text = sweep_text("a", r#"["none", "constant"]"#, "[1, 0]");
    let sweep = store.submit_text(&text).await.sweep;
    let all = JobsFilter { sweep: Some(sweep), state: None, limit: 100, offset: 0 };
    let jobs = store.reader().jobs(all).await.unwrap();
    let keys: Vec<String> = parse(&text).jobs().map(|job| job.config.key().as_str().to_owned()).collect();
    assert_eq!(jobs.iter().map(|job| job.job_key.clone()).collect::<Vec<_>>(), keys);
    let named: Vec<(&str, u64)> = jobs.iter().map(|job| (job.pattern.as_str(), job.seed)).collect();
    assert_eq!(named, [("none", 1), ("none", 0), ("constant", 1), ("constant", 0)]);

    // resnet8 on 8x8x1 by hand. Units: stem 3*3*1*16 over 64 positions; stage 1 two 3x3 convolutions 16->16 over 64 positions; stages 2 and
    // 3 halve the map and double the channels, so that their first convolution costs half of a full one; head 64 to 10.
    let full = 9 * 16 * 16 * 64;
    let backbone = 9 * 16 * 64 + 2 * full + (full / 2 + full) + (full / 2 + full) + 64 * 10;
    assert_eq!(jobs[0].backbone_macs, backbone);
    assert_eq!((jobs[0].branch_macs, jobs[0].budget_macs, jobs[0].branch_rule.as_str()), (0, 0, "none"));
    // Six levels, each one full convolution, and a classifier an exit: 16, 32 and 64 features to 10 classes.
    let branches = 6 * full + (16 + 32 + 64) * 10;
    assert_eq!((jobs[2].branch_macs, jobs[2].budget_macs, jobs[2].branch_rule.as_str()), (branches, branches, "levels"));
    assert_eq!(jobs[2].budget_error.to_bits(), 0.0_f64.to_bits());

    let page = JobsFilter { limit: 2, offset: 1, ..all };
    assert_eq!(store.reader().jobs(page).await.unwrap(), jobs[1..3]);
    let past_the_end = JobsFilter { offset: u64::MAX, ..all };
    assert_eq!(store.reader().jobs(past_the_end).await.unwrap(), []);
    let everything = JobsFilter { sweep: None, ..all };
    // Of no sweep in particular, nobody can say whether a job was reused.
    let jobs: Vec<_> = jobs.into_iter().map(|job| offramp_proto::v1::JobRow { reused: None, ..job }).collect();
    assert_eq!(store.reader().jobs(everything).await.unwrap(), jobs);
}

async fn sweeps_are_found_by_what_people_type(store: Fixture) {
    let reader = store.reader();
    assert!(matches!(reader.sweep("last").await, Err(LookupError::NoSweeps)));
    let old = store.submit_text(&sweep_text("a", r#"["none"]"#, "0")).await.sweep;
    let new = store.submit_text(&sweep_text("a", r#"["none"]"#, "[0, 1]")).await.sweep;
    let other = store.submit_text(&sweep_text("b", r#"["none"]"#, "2")).await.sweep;
    for (selector, sweep) in [("last", other), ("a", new), ("b", other), (old.to_string().as_str(), old)] {
        assert_eq!(reader.sweep(selector).await.unwrap().sweep, sweep, "{selector}");
    }
    for selector in ["c", "99", "-1", "", "A"] {
        assert!(matches!(reader.sweep(selector).await, Err(LookupError::NoSuchSweep(name)) if name == selector), "{selector}");
    }
    let listed: Vec<i64> = reader.sweeps(2).await.unwrap().iter().map(|sweep| sweep.sweep).collect();
    assert_eq!(listed, [other, new]);
}

async fn a_job_is_found_by_any_unique_prefix(store: Fixture) {
    let seeds: Vec<String> = (0..40).map(|seed| seed.to_string()).collect();
    store.submit_text(&sweep_text("a", r#"["none"]"#, &format!("[{}]", seeds.join(", ")))).await;
    let mut keys: Vec<String> = store.rows("SELECT key FROM jobs").await.iter().map(|row| row.get("key").unwrap()).collect();
    keys.sort();
    let found = |detail: offramp_proto::v1::JobDetail| detail.job.unwrap().job_key;
    for key in &keys {
        for length in [1, 2, 3, 4, 12, 32] {
            let prefix = &key[..length];
            let alike: Vec<&String> = keys.iter().filter(|other| other.starts_with(prefix)).collect();
            match store.reader().job(prefix).await {
                Ok(detail) => assert_eq!((alike.len(), found(detail)), (1, key.clone())),
                Err(LookupError::AmbiguousJob { ids, .. }) => {
                    let first: Vec<&str> = alike.iter().take(3).map(|key| &key[..12]).collect();
                    assert!(alike.len() > 1 && ids == first, "{prefix}: {ids:?}");
                }
                Err(error) => panic!("{prefix}: {error}"),
            }
        }
    }
    // 40 keys over 16 first digits: some digit is shared.
    assert!(keys.windows(2).any(|pair| pair[0][..1] == pair[1][..1]));
    for prefix in ["", "%", "g", "_", "ABC", "0000000000000000000000000000000000"] {
        assert!(matches!(store.reader().job(prefix).await, Err(LookupError::NoSuchJob(_))), "{prefix}");
    }
}

async fn text_is_kept_verbatim_and_inert(store: Fixture) {
    let text = format!("# '); DROP TABLE jobs; --\n{}", sweep_text("a", r#"["none"]"#, "0"));
    store.submit_text(&text).await;
    assert_eq!(store.rows("SELECT text FROM sweeps").await[0].get::<String>("text").unwrap(), text);
    let session = store.session("'); DROP TABLE sessions; --").await;
    let job = store.claim_one(session, START_US).await.unwrap();
    let detail = store.reader().job(job.attempt.key.id()).await.unwrap();
    assert_eq!(detail.attempts[0].worker, "'); DROP TABLE sessions; --");
}
