//! Keeps images whose reference begins with an entry in `keep`.

use crate::Plugin;
use crate::bindings::exports::cowhand::hooks::pre_prune::{Candidate, Candidates, Guest, Keep};
use crate::settings::Settings;

impl Guest for Plugin {
    fn choose(candidates: Candidates) -> Result<Vec<Keep>, String> {
        let keep = Settings::read()?.keep;
        let is_kept = |candidate: &Candidate| is_kept(&candidate.references, &keep);
        Ok(candidates.items.into_iter().filter(is_kept).map(because).collect())
    }
}

fn because(candidate: Candidate) -> Keep {
    Keep { id: candidate.id, reason: "matches `keep`".to_owned() }
}

/// Returns true if one of an image's references begins with an entry in the list.
fn is_kept(references: &[String], keep: &[String]) -> bool {
    references.iter().any(|reference| keep.iter().any(|prefix| reference.starts_with(prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_match_by_prefix() {
        let keep = ["ghcr.io/mailcow/sogo".to_owned()];
        assert!(is_kept(&["ghcr.io/mailcow/sogo:1.133".to_owned()], &keep));
        assert!(!is_kept(&["mariadb:10.11".to_owned()], &keep));
    }
}
