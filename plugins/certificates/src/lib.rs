//! Watches the site's certificates, and hands over what an ACME client outside the site has obtained.

mod folder;
mod judge;
mod material;
mod settings;

mod bindings {
    //! What wit-bindgen makes of the contract.
    #![allow(clippy::pedantic, missing_docs)]
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        inline: "
            package stock:certificates;
            world certificates {
                include cowhand:hooks/pre-merge-plugin@0.1.0;
                include cowhand:hooks/post-pull-plugin@0.1.0;
            }
        ",
        generate_all,
    });
    use super::Certificates;
    export!(Certificates);
}

use bindings::cowhand::hooks::types::NewFile;
use bindings::cowhand::hooks::{config, file_modes, log};
use bindings::exports::cowhand::hooks::{post_pull, pre_merge};
use folder::Files;
use settings::{OnProblem, Settings};

guest::requests!("../requests.json");

struct Certificates;

impl pre_merge::Guest for Certificates {
    fn check(update: pre_merge::Update) -> Result<pre_merge::Answer, String> {
        let (settings, files, now) = (settings()?, granted(), update.now.seconds);
        let findings =
            judge::source(&settings, &files, now).and(judge::site(&settings, &files, now));
        Ok(match tell(&settings, findings) {
            Ok(files) => pre_merge::Answer::Proceed(files),
            Err(reason) => pre_merge::Answer::Stop(reason),
        })
    }
}

impl post_pull::Guest for Certificates {
    /// The pull may have taken long: what is outside may be newer now. The site's own were told about before.
    fn check(pulled: post_pull::Pulled) -> Result<post_pull::Answer, String> {
        let settings = settings()?;
        Ok(match tell(&settings, judge::source(&settings, &granted(), pulled.now.seconds)) {
            Ok(files) => post_pull::Answer::Proceed(files),
            Err(reason) => post_pull::Answer::Stop(reason),
        })
    }
}

fn settings() -> Result<Settings, String> {
    guest::settings(&config::get())
}

fn granted() -> Files<fn(&str) -> Option<u32>> {
    Files { root: String::new(), mode: |path| file_modes::mode(path).ok() }
}

/// Says what was found; gives the files to hand over, or the reason to stop.
fn tell(settings: &Settings, findings: judge::Findings) -> Result<Vec<NewFile>, String> {
    if settings.on_problem == OnProblem::Stop && !findings.problems.is_empty() {
        return Err(findings.problems.join("; "));
    }
    for problem in &findings.problems {
        log::write(log::Level::Warn, problem);
    }
    Ok(findings.files)
}
