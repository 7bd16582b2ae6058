//! Names that people got wrong: the known one they may have meant, and the text as messages show it.

use crate::problem::printable;

/// The candidate that `name` most resembles, if it resembles one.
pub fn suggest<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    // The distance takes quadratic time, and nothing this long resembles a name of ours.
    if name.len() > 64 {
        return None;
    }
    let name = name.to_lowercase();
    let near = candidates.map(|candidate| (strsim::damerau_levenshtein(&name, candidate), candidate));
    near.filter(|&(distance, candidate)| distance <= candidate.len().div_ceil(3)).min_by_key(|&(distance, _)| distance).map(|(_, c)| c)
}

/// Text in backticks, on one line and at most 40 characters of it.
pub fn quote(text: &str) -> String {
    format!("`{}`", extract(text))
}

/// Text on one line, at most 40 characters of it.
pub(crate) fn extract(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let shown: String = line.chars().take(40).collect();
    let cut = if shown.len() < text.len() { "…" } else { "" };
    format!("{}{cut}", printable(&shown))
}
