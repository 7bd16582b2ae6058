use super::*;

/// Written by SciPy; see the fixtures' `make.py`.
fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

#[test]
fn numeric_arrays_are_visited_with_their_sizes_and_others_are_not() {
    for name in ["svhn-compressed.mat", "svhn-plain.mat"] {
        let mut seen = Vec::new();
        arrays(&fixture(name), |header, _values| {
            seen.push(header.clone());
            Ok(())
        })
        .unwrap();
        let expected = [("X", vec![32, 32, 3, 3]), ("y", vec![3, 1])];
        assert_eq!(seen, expected.map(|(name, sizes)| Header { name: name.into(), sizes }), "{name}");
    }
}

#[test]
fn a_visitors_error_ends_the_reading() {
    let mut n = 0;
    let result = arrays(&fixture("svhn-plain.mat"), |_, values| {
        n += 1;
        Err(values.content("something else", "this"))
    });
    assert!(matches!(result, Err(DataError::Content { .. })), "{result:?}");
    assert_eq!(n, 1);
}

#[test]
fn values_of_another_type_are_refused() {
    let result = arrays(&fixture("svhn-plain.mat"), |header, values| match header.name.as_str() {
        "y" => values.byte_records(3, 1, |_| {}),
        _ => Ok(()),
    });
    let message = result.unwrap_err().to_string();
    assert!(message.ends_with("expected whole numbers of 8 bits, type 2, got type 9"), "{message}");
}
