//! Keeps images whose reference begins with one of `keep`.

use crate::Plugin;
use crate::bindings::exports::cowhand::hooks::pre_prune::{Candidate, Candidates, Guest, Keep};
use crate::settings::Settings;

impl Guest for Plugin {
    fn choose(candidates: Candidates) -> Result<Vec<Keep>, String> {
        let keep = Settings::read()?.keep;
        let kept = candidates.items.into_iter().filter(|candidate| is_kept(&candidate.references, &keep));
        Ok(kept.map(because).collect())
    }
}

fn because(candidate: Candidate) -> Keep {
    Keep { id: candidate.id, reason: "the site keeps it".to_owned() }
}

/// Whether one of an image's references begins with one of the list.
fn is_kept(references: &[String], keep: &[String]) -> bool {
    references.iter().any(|reference| keep.iter().any(|prefix| reference.starts_with(prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_kept_by_its_beginning() {
        let keep = ["ghcr.io/mailcow/sogo".to_owned()];
        assert!(is_kept(&["ghcr.io/mailcow/sogo:1.133".to_owned()], &keep));
        assert!(!is_kept(&["mariadb:10.11".to_owned()], &keep));
    }
}
