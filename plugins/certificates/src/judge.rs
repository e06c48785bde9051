//! Finds problems with certificates and the files to install.

use crate::bindings::cowhand::hooks::types::NewFile;
use crate::folder::{Files, Unread};
use crate::material::{Key, Leaf};
use crate::settings::Settings;

/// The site's directory for certificates.
const SITE: &str = "data/assets/ssl";
const CERTIFICATE: &str = "cert.pem";
const KEY: &str = "key.pem";
const PARAMETERS: &str = "dhparams.pem";
/// Everyone may read a certificate; only its owner may read a key.
const CERTIFICATE_MODE: u32 = 0o644;
const KEY_MODE: u32 = 0o600;
const DAY: i64 = 24 * 60 * 60;

/// The problems found and the files to install.
#[derive(Debug, Default)]
pub struct Findings {
    /// The problems, one line each, for the operator.
    pub problems: Vec<String>,
    /// The files to install.
    pub files: Vec<NewFile>,
}

impl Findings {
    /// Adds the site's findings. Problems with its main pair are left out if that pair is replaced.
    pub fn and(mut self, site: SiteFindings) -> Self {
        if self.files.is_empty() {
            self.problems.extend(site.main);
        }
        self.problems.extend(site.others);
        self
    }
}

/// Problems found in the site's directory.
#[derive(Debug, Default)]
pub struct SiteFindings {
    /// Problems with the pair that an ACME client outside the site may replace.
    main: Vec<String>,
    /// Problems with everything else.
    others: Vec<String>,
}

/// The paths of a certificate and its key.
struct Pair {
    certificate: String,
    key: String,
}

impl Pair {
    fn below(folder: &str, certificate: &str, key: &str) -> Self {
        let folder = folder.trim_end_matches('/');
        Self { certificate: format!("{folder}/{certificate}"), key: format!("{folder}/{key}") }
    }
}

/// Checks the pair of an ACME client outside the site. Its files are installed if the pair is
/// usable and the site's differs.
pub fn source<M: Fn(&str) -> Option<u32>>(
    settings: &Settings,
    files: &Files<M>,
    now: i64,
) -> Findings {
    let Some(folder) = &settings.source else { return Findings::default() };
    let pair = Pair::below(folder, &settings.certificate, &settings.key);
    let mut problems = Vec::new();
    let read = read_both(files, &pair, &mut problems);
    let usable = read
        .filter(|(certificate, key)| judge(&pair, certificate, key, settings, now, &mut problems));
    let Some((certificate, key)) = usable else {
        problems
            .push(format!("{folder} has no usable certificate and key; the site keeps its own"));
        return Findings { problems, files: Vec::new() };
    };
    let site = Pair::below(SITE, CERTIFICATE, KEY);
    let kept = files.has(&site.certificate, &certificate, CERTIFICATE_MODE)
        && files.has(&site.key, &key, KEY_MODE);
    Findings { problems, files: if kept { Vec::new() } else { hand_over(site, certificate, key) } }
}

fn hand_over(site: Pair, certificate: Vec<u8>, key: Vec<u8>) -> Vec<NewFile> {
    vec![
        NewFile { path: site.certificate, mode: CERTIFICATE_MODE, content: certificate },
        NewFile { path: site.key, mode: KEY_MODE, content: key },
    ]
}

/// Checks the site's own certificates: the main pair, and one for each directory that contains a
/// certificate.
pub fn site<M: Fn(&str) -> Option<u32>>(
    settings: &Settings,
    files: &Files<M>,
    now: i64,
) -> SiteFindings {
    let mut found = SiteFindings::default();
    if !files.is_open(SITE) {
        return found;
    }
    check(&Pair::below(SITE, CERTIFICATE, KEY), settings, files, now, &mut found.main);
    if files.read(&format!("{SITE}/{PARAMETERS}")) == Err(Unread::Missing) {
        found.others.push(format!("{SITE}/{PARAMETERS} is missing"));
    }
    // The names that a directory's certificate should be for are not known here.
    let unnamed = Settings { names: Vec::new(), ..settings.clone() };
    for folder in files.folders(SITE) {
        let pair = Pair::below(&format!("{SITE}/{folder}"), CERTIFICATE, KEY);
        if files.read(&pair.certificate) != Err(Unread::Missing) {
            check(&pair, &unnamed, files, now, &mut found.others);
        }
    }
    found
}

fn check<M>(
    pair: &Pair,
    settings: &Settings,
    files: &Files<M>,
    now: i64,
    problems: &mut Vec<String>,
) where
    M: Fn(&str) -> Option<u32>,
{
    if let Some((certificate, key)) = read_both(files, pair, problems) {
        judge(pair, &certificate, &key, settings, now, problems);
    }
    if let Some(mode) = files.mode(&pair.key).filter(|mode| mode & 0o077 != 0) {
        problems.push(format!(
            "{} has mode {mode:04o}: other users can access the key; change it to {KEY_MODE:04o}",
            pair.key
        ));
    }
    if let Some(mode) = files.mode(&pair.certificate).filter(|mode| mode & 0o022 != 0) {
        let certificate = &pair.certificate;
        problems.push(format!(
            "{certificate} has mode {mode:04o}: other users can change it; \
             change it to {CERTIFICATE_MODE:04o}"
        ));
    }
}

fn read_both<M>(
    files: &Files<M>,
    pair: &Pair,
    problems: &mut Vec<String>,
) -> Option<(Vec<u8>, Vec<u8>)>
where
    M: Fn(&str) -> Option<u32>,
{
    let mut read = |path: &str| match files.read(path) {
        Ok(content) => Some(content),
        Err(why) => {
            problems.push(match why {
                Unread::Missing => format!("{path} is missing"),
                Unread::Refused(why) => {
                    format!(
                        "{path} cannot be read ({why}); \
                         a link may point outside the granted directories"
                    )
                }
            });
            None
        }
    };
    let (certificate, key) = (read(&pair.certificate), read(&pair.key));
    certificate.zip(key)
}

/// Adds the problems of a pair. Returns true if a server could use the pair all the same.
fn judge(
    pair: &Pair,
    certificate: &[u8],
    key: &[u8],
    settings: &Settings,
    now: i64,
    problems: &mut Vec<String>,
) -> bool {
    let (leaf, key) = (Leaf::read(certificate), Key::read(key));
    let wrong = |path: &str, what: &String| format!("{path} {what}");
    problems.extend(leaf.as_ref().err().map(|what| wrong(&pair.certificate, what)));
    problems.extend(key.as_ref().err().map(|what| wrong(&pair.key, what)));
    let (Ok(leaf), Ok(key)) = (leaf, key) else { return false };
    let fits = leaf.matches(&key) != Some(false);
    if !fits {
        problems.push(format!("{} does not belong to {}", pair.key, pair.certificate));
    }
    let missing = settings.names.iter().filter(|name| !leaf.covers(name));
    problems.extend(missing.map(|name| format!("{} is not valid for {name}", pair.certificate)));
    problems
        .extend(age(&leaf, settings.warn_days, now).map(|what| wrong(&pair.certificate, &what)));
    fits && (leaf.from..=leaf.until).contains(&now)
}

fn age(leaf: &Leaf, warn_days: i64, now: i64) -> Option<String> {
    let left = (leaf.until - now).div_euclid(DAY);
    if now < leaf.from {
        Some("is not valid yet".to_owned())
    } else if now > leaf.until {
        Some(format!("expired {}", days_ago(now - leaf.until)))
    } else {
        (left < warn_days).then(|| format!("expires in {}", days(left)))
    }
}

fn days_ago(seconds: i64) -> String {
    match seconds / DAY {
        0 => "today".to_owned(),
        count => format!("{} ago", days(count)),
    }
}

fn days(count: i64) -> String {
    match count {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        count => format!("{count} days"),
    }
}

impl<M: Fn(&str) -> Option<u32>> Files<M> {
    /// Returns true if a file has this content and, as far as its permissions are known, this mode.
    fn has(&self, path: &str, content: &[u8], mode: u32) -> bool {
        self.read(path).is_ok_and(|there| there == content)
            && self.mode(path).is_none_or(|there| there == mode)
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
