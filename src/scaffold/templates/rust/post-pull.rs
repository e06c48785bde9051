//! Stops an update if an image has one of the tags in `refuse`.

use crate::Plugin;
use crate::bindings::exports::cowhand::hooks::post_pull::{Answer, Guest, Pulled};
use crate::settings::Settings;

impl Guest for Plugin {
    fn check(pulled: Pulled) -> Result<Answer, String> {
        let refuse = Settings::read()?.refuse;
        let refused = pulled.images.iter().find(|image| is_refused(&image.reference, &refuse));
        Ok(match refused {
            Some(image) => Answer::Stop(format!("{} has a refused tag", image.reference)),
            None => Answer::Proceed(Vec::new()),
        })
    }
}

/// Returns true if an image's tag is in the list.
fn is_refused(reference: &str, tags: &[String]) -> bool {
    let name = reference.rsplit('/').next().unwrap_or_default();
    let tag = name.split_once(':').map_or("latest", |(_, tag)| tag);
    tags.iter().any(|refused| refused == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_not_taken_for_a_tag() {
        let refuse = ["latest".to_owned()];
        assert!(is_refused("example.org:5000/ofelia", &refuse));
        assert!(is_refused("mcuadros/ofelia:latest", &refuse));
        assert!(!is_refused("mariadb:10.11", &refuse));
    }
}
