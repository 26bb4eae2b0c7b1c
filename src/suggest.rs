//! "Did you mean …?"

/// Returns the candidate nearest to `word`, if one is near enough to suggest.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    let furthest = |c: &str| 1 + c.len() / 3;
    candidates
        .into_iter()
        // A word may be as long as a file: candidates of very different length are not compared.
        .filter(|c| length.abs_diff(c.chars().count()) <= furthest(c))
        .map(|c| (strsim::damerau_levenshtein(&word.to_lowercase(), &c.to_lowercase()), c))
        .filter(|(distance, c)| *distance <= furthest(c))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}
