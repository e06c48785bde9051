//! "Did you mean …?"

/// Returns the candidate closest to `typed`, if one is close enough.
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const NEAR_ENOUGH: f64 = 0.6;
    let scored =
        candidates.into_iter().map(|candidate| (strsim::jaro_winkler(typed, candidate), candidate));
    scored
        .filter(|(score, _)| *score >= NEAR_ENOUGH)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
