//! `resume` and `rollback`: the two ways out of an unfinished run. Neither needs the network.

use super::{Call, typed};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::pipeline::{self, Finished, Run, Standing};
use crate::site::Site;

/// `cowhand resume`
pub async fn resume(call: &mut Call) -> Result<Finished> {
    let site = call.site()?;
    let Some(record) = pipeline::unfinished(&site)? else {
        return Ok(Finished::done("Nothing to resume: every run has finished."));
    };
    let run = reopen(call, site, &record.id)?;
    pipeline::resume(run).await
}

/// `cowhand rollback [RUN]`
pub async fn roll_back(call: &mut Call, id: Option<&str>) -> Result<Finished> {
    let site = call.site()?;
    let id = match id {
        Some(id) => id.to_owned(),
        None => newest(&site)?,
    };
    let run = reopen(call, site, &id)?;
    pipeline::go_back(run).await
}

fn newest(site: &Site) -> Result<String> {
    match pipeline::standing(site)? {
        Standing::Between(record) | Standing::New(record) => Ok(record.id),
        Standing::Old(_) | Standing::NoRun => Err(Error::new("no run to roll back")
            .exit(Exit::Usage)
            .left("Nothing was changed.")
            .hint("`cowhand history` lists the runs.")),
    }
}

fn reopen<'c>(call: &'c mut Call, site: Site, id: &str) -> Result<&'c mut Run> {
    let run = Run::reopen(site, id, call.company.clone(), &typed())?;
    call.start(&run.site, Some(run.folder.id()));
    Ok(call.run.insert(run))
}
