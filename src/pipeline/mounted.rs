//! Volumes that the project's containers mount, recorded before a container can go: prune takes
//! none of them, ever. A volume without a name says nothing about whose it was once its container
//! is gone.

use std::collections::BTreeSet;

use super::Run;
use crate::error::Result;

/// Returns the names of all volumes that a container of the project was ever seen to mount, and
/// records those that are mounted now. A plan, which holds no lock, records nothing.
pub async fn volumes(run: &mut Run, project: &str) -> Result<BTreeSet<String>> {
    let now = run.stack().await?.engine.mounted_volumes(project).await?;
    let known = run.store().mounted_volumes()?;
    let all = &known | &now;
    if run.locked() && all != known {
        run.store().write_mounted_volumes(&all)?;
    }
    Ok(all)
}
