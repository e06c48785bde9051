//! Refs for a run's objects, so that `git gc` keeps them while the run can be undone.

use git2::{ErrorCode, Oid};

use super::Repo;
use crate::error::{Context, Result};

/// The prefix of these refs.
const NAMESPACE: &str = "refs/cowhand";

impl Repo {
    /// Sets `refs/cowhand/RUN/NAME` to an object. `run` and `name` are plain words.
    pub fn hold(&self, run: &str, name: &str, oid: Oid) -> Result<()> {
        let reference = format!("{NAMESPACE}/{run}/{name}");
        let held = self.git.reference(&reference, oid, true, "held by cowhand");
        held.what_with(|| format!("could not write {reference}")).map(drop)
    }

    /// Returns the object that a run holds under `name`.
    pub fn held(&self, run: &str, name: &str) -> Result<Option<Oid>> {
        let reference = format!("{NAMESPACE}/{run}/{name}");
        match self.git.find_reference(&reference) {
            Ok(found) => Ok(found.target()),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error).what_with(|| format!("could not read {reference}")),
        }
    }

    /// Deletes all refs of a run.
    pub fn release(&self, run: &str) -> Result<()> {
        let doing = || format!("could not remove the refs of run {run}");
        for reference in
            self.git.references_glob(&format!("{NAMESPACE}/{run}/*")).what_with(doing)?
        {
            reference.and_then(|mut reference| reference.delete()).what_with(doing)?;
        }
        Ok(())
    }
}
