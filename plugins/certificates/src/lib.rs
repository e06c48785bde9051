//! Checks the site's certificates and installs those that an ACME client outside the site obtained.

mod folder;
mod judge;
mod material;
mod settings;

mod bindings {
    //! The bindings that wit-bindgen generates from the contract.
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
        Ok(match report(&settings, findings) {
            Ok(files) => pre_merge::Answer::Proceed(files),
            Err(reason) => pre_merge::Answer::Stop(reason),
        })
    }
}

impl post_pull::Guest for Certificates {
    /// Checks the ACME client's pair again, which may have been renewed during a long pull. The
    /// site's own certificates were reported before the merge.
    fn check(pulled: post_pull::Pulled) -> Result<post_pull::Answer, String> {
        let settings = settings()?;
        Ok(match report(&settings, judge::source(&settings, &granted(), pulled.now.seconds)) {
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

/// Logs the problems and returns the files to install, or the reason to stop.
fn report(settings: &Settings, findings: judge::Findings) -> Result<Vec<NewFile>, String> {
    if settings.on_problem == OnProblem::Stop && !findings.problems.is_empty() {
        return Err(findings.problems.join("; "));
    }
    for problem in &findings.problems {
        log::write(log::Level::Warn, problem);
    }
    Ok(findings.files)
}
