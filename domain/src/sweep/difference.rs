//! What two sweep files say differently.

use std::collections::BTreeMap;

use toml::{Table, Value};

/// Something that two files say differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where: `axes.pattern`, `recipe.epochs`.
    pub place: String,
    /// What the first says there, as TOML; absent where it says nothing.
    pub first: Option<String>,
    /// The same of the second.
    pub second: Option<String>,
}

/// A sweep file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the {0} sweep's file is not TOML")]
pub struct UnreadableFile(&'static str, #[source] toml::de::Error);

/// What two sweep files say differently, sorted by place. It is what they say that counts, not what comes of it: the same thing said in other words
/// is a difference, but for an axis with one value, which is the same with and without brackets.
///
/// # Errors
/// When one of them is not TOML.
pub fn differences(first: &str, second: &str) -> Result<Vec<Difference>, UnreadableFile> {
    let read = |which, text: &str| text.parse::<Table>().map_err(|error| UnreadableFile(which, error));
    let (first, second) = (said(read("first", first)?), said(read("second", second)?));
    let places: std::collections::BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    let difference =
        |place: &String| Difference { place: place.clone(), first: first.get(place).cloned(), second: second.get(place).cloned() };
    Ok(places.into_iter().map(difference).filter(|difference| difference.first != difference.second).collect())
}

/// What a file says, by place: entries of sections one by one, anything else as a whole.
fn said(file: Table) -> BTreeMap<String, String> {
    let mut said = BTreeMap::new();
    for (section, value) in file {
        match value {
            Value::Table(entries) => {
                for (key, value) in entries {
                    let is_axis_of_one = section == "axes" && !value.is_array() && key != "seed";
                    let value = if is_axis_of_one { Value::Array(vec![value]) } else { value };
                    said.insert(format!("{section}.{key}"), value.to_string());
                }
            }
            value => {
                said.insert(section, value.to_string());
            }
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_values_are_told() {
        let first = "name = \"a\"\n[axes]\nbackbone = \"resnet20\"\npattern = [\"none\", \"constant\"]\nbudget = { levels = 3 }\n[recipe]\nepochs = 10\n";
        let second = "name = \"b\"\npriority = 3\n[recipe]\nepochs = 20\n[axes]\nbackbone = [\"resnet20\"]\npattern = [\"none\", { increasing = 0.5 }]\nbudget = [{ levels = 3 }]\n";
        let told: Vec<(String, Option<String>, Option<String>)> =
            differences(first, second).unwrap().into_iter().map(|Difference { place, first, second }| (place, first, second)).collect();
        let said = |text: &str| Some(text.to_owned());
        assert_eq!(
            told,
            [
                ("axes.pattern".to_owned(), said("[\"none\", \"constant\"]"), said("[\"none\", { increasing = 0.5 }]")),
                ("name".to_owned(), said("\"a\""), said("\"b\"")),
                ("priority".to_owned(), None, said("3")),
                ("recipe.epochs".to_owned(), said("10"), said("20")),
            ]
        );
        assert_eq!(differences(first, first).unwrap(), []);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        assert_eq!(differences("name = 1", "name = ").unwrap_err().to_string(), "the second sweep's file is not TOML");
    }
}
