//! Components from `https://` URLs.

use std::time::Duration;

use super::Intake;
use crate::error::{Context, Error, Result};
use crate::event::Events;
use crate::https;

const CONNECT: Duration = Duration::from_secs(10);
/// The time limit for a silent server.
const SILENCE: Duration = Duration::from_secs(30);
/// The most redirects. Releases need one or two.
const MOST_REDIRECTS: usize = 5;

/// Returns the content of a URL. Redirects are followed if they are https.
pub(super) async fn get(address: &str, task: &str, events: &Events) -> Result<Vec<u8>> {
    let client = https::client()?
        .https_only(true)
        .redirect(reqwest::redirect::Policy::limited(MOST_REDIRECTS))
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .user_agent(concat!("cowhand/", env!("CARGO_PKG_VERSION")))
        .build()
        .what("could not set up a client")?;
    let asked = client.get(address).send().await.and_then(reqwest::Response::error_for_status);
    let mut answer = asked.map_err(|error| Error::new(https::reason(&error)))?;
    let mut intake = Intake::new(answer.content_length(), task, events)?;
    while let Some(piece) =
        answer.chunk().await.map_err(|error| Error::new(https::reason(&error)))?
    {
        intake.add(&piece)?;
    }
    Ok(intake.bytes)
}
