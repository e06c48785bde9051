//! The stock conflict policy, asked last. It follows upstream's documentation and update.sh,
//! decides by kind alone and reads no file.

mod bindings {
    //! The bindings that wit-bindgen generates from the contract.
    #![allow(clippy::pedantic, missing_docs)]
    wit_bindgen::generate!({ path: "../../wit/v0.1", world: "conflict-resolver-plugin" });
    use super::StockConflicts;
    export!(StockConflicts);
}

use bindings::cowhand::hooks::config;
use bindings::cowhand::hooks::types::Favor;
use bindings::exports::cowhand::hooks::conflict_resolver::{Conflict, Guest, Kind, Resolution};

struct StockConflicts;

impl Guest for StockConflicts {
    fn resolve(conflict: Conflict<'_>) -> Result<Resolution, String> {
        match config::get().as_str() {
            "{}" => Ok(decide(&conflict)),
            _ => Err("[plugin.config]: stock-conflicts has no settings; set `favor` in [merge]"
                .to_owned()),
        }
    }
}

fn decide(conflict: &Conflict<'_>) -> Resolution {
    if conflict.collision.is_some() {
        // The switch writes upstream's file; the run keeps a copy of the site's.
        return Resolution::Theirs;
    }
    match conflict.kind {
        Kind::Content | Kind::AddAdd => Resolution::Favor(conflict.prefers),
        Kind::Binary
        | Kind::Mode
        | Kind::Type
        | Kind::DirectoryFile
        | Kind::RenameRename
        | Kind::Submodule => whole(conflict.prefers),
        // update.sh removes what one side deleted, whichever side is favoured.
        Kind::ModifyDelete | Kind::DeleteModify | Kind::RenameDelete => Resolution::Remove,
        Kind::Other(_) => Resolution::Pass,
    }
}

fn whole(side: Favor) -> Resolution {
    match side {
        Favor::Ours => Resolution::Ours,
        Favor::Theirs => Resolution::Theirs,
        Favor::Union => Resolution::Pass,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::exports::cowhand::hooks::conflict_resolver::Collision;

    fn conflict(kind: Kind, prefers: Favor) -> Conflict<'static> {
        let path = "data/conf/postfix/main.cf".to_owned();
        Conflict { path, kind, collision: None, prefers, base: None, ours: None, theirs: None }
    }

    #[test]
    fn texts_are_merged_hunk_by_hunk_as_the_site_prefers() {
        for kind in [Kind::Content, Kind::AddAdd] {
            for side in [Favor::Ours, Favor::Theirs] {
                let decided = decide(&conflict(kind.clone(), side));
                assert!(matches!(decided, Resolution::Favor(favored) if favored == side));
            }
        }
    }

    #[test]
    fn conflicts_without_hunks_take_one_side_whole() {
        let kinds = [
            Kind::Binary,
            Kind::Mode,
            Kind::Type,
            Kind::DirectoryFile,
            Kind::RenameRename,
            Kind::Submodule,
        ];
        for kind in kinds {
            assert!(matches!(decide(&conflict(kind.clone(), Favor::Ours)), Resolution::Ours));
            assert!(matches!(decide(&conflict(kind, Favor::Theirs)), Resolution::Theirs));
        }
    }

    #[test]
    fn a_file_deleted_on_one_side_is_removed_whichever_side_is_favoured() {
        for kind in [Kind::ModifyDelete, Kind::DeleteModify, Kind::RenameDelete] {
            for side in [Favor::Ours, Favor::Theirs] {
                assert!(matches!(decide(&conflict(kind.clone(), side)), Resolution::Remove));
            }
        }
    }

    #[test]
    fn a_file_in_the_way_is_replaced() {
        for collision in [Collision::Ignored, Collision::Untracked] {
            let conflict =
                Conflict { collision: Some(collision), ..conflict(Kind::AddAdd, Favor::Ours) };
            assert!(matches!(decide(&conflict), Resolution::Theirs));
        }
    }

    #[test]
    fn unknown_kinds_are_passed_on() {
        assert!(matches!(
            decide(&conflict(Kind::Other("new".to_owned()), Favor::Theirs)),
            Resolution::Pass
        ));
    }
}
