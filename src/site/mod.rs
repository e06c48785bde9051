//! One mailcow installation on disk: its files, and what Cowhand keeps about it. Reading files
//! happens here; what they mean is said in [`mailcow`] and [`crate::config`].

#![expect(
    clippy::disallowed_methods,
    reason = "it finds the directory that is opened, and files outside it that compose reads"
)]

pub mod journal;
pub mod keep;
pub mod lock;
pub mod mailcow;
pub mod settings;
pub mod store;

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Config;
use crate::dir::{self, Attributes, Dir};
use crate::error::{Context, Error, Result};
use crate::exit::Exit;
use crate::ownership::{Exposure, exposures};
use mailcow::Conf;

/// The name of the configuration file in the site's directory.
pub const CONFIG_FILE: &str = "cowhand.toml";
/// Names in the site's directory that are the site's alone: nothing of upstream's gets there.
pub const OWN_NAMES: [&str; 3] = [CONFIG_FILE, crate::plugin::LOCK_FILE, "plugins"];
/// The largest settings, configuration or compose file that is read, in bytes.
pub const MOST_OF_A_TEXT: u64 = 16 << 20;

/// A site's directory with its `mailcow.conf` and `cowhand.toml`.
#[derive(Clone, Debug)]
pub struct Site {
    root: PathBuf,
    dir: Arc<Dir>,
    conf: Conf,
    config: Config,
    exposures: Vec<Exposure>,
}

impl Site {
    /// Opens the site in `folder`: it must exist, hold a compose file and a readable
    /// `mailcow.conf`.
    pub fn open(folder: &Path) -> Result<Self> {
        let root = folder.canonicalize().map_err(|cause| {
            refused(format!("directory {} does not exist", folder.display()))
                .because(cause)
                .hint("Name the site's directory with --site DIR.")
        })?;
        let dir = Dir::open(&root)
            .what_with(|| format!("could not open {}", root.display()))
            .map_err(|error| error.exit(Exit::Refused))?;
        if !dir.is_file(Path::new(mailcow::COMPOSE_FILE)) {
            return Err(refused(format!(
                "{} is not a mailcow site: it has no {}",
                root.display(),
                mailcow::COMPOSE_FILE
            ))
            .hint(
                "Run cowhand in the directory of mailcow.conf and docker-compose.yml, or name it \
                 with --site DIR.",
            ));
        }
        let text = ConfFile::find(&root, &dir)?.read()?;
        let conf = Conf::parse(&String::from_utf8_lossy(&text));
        let (config, exposures) = read_config(&root, &dir)?;
        Ok(Self { root, dir: Arc::new(dir), conf, config, exposures })
    }

    /// Returns the site's directory, absolute and without links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the open handle of the site's directory, for every file below it.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Returns a path in the site's directory, for messages and for programs.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// The options of `mailcow.conf`.
    pub fn conf(&self) -> &Conf {
        &self.conf
    }

    /// Returns the settings in `cowhand.toml`.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns how other users can change `cowhand.toml`: grants in it do not count then.
    pub fn exposures(&self) -> &[Exposure] {
        &self.exposures
    }

    /// Finds `mailcow.conf`, or the target of its link.
    pub fn conf_file(&self) -> Result<ConfFile> {
        ConfFile::find(&self.root, &self.dir)
    }

    /// Returns the compose files of the site as compose itself would find them: what `COMPOSE_FILE`
    /// names, else the usual two. A file of the site has a path relative to its directory. One
    /// outside of it, or behind a link, has an absolute path: no merge and no rollback touches it.
    pub fn compose_files(&self) -> Vec<PathBuf> {
        if let Some(files) = self.conf.get("COMPOSE_FILE").filter(|files| !files.is_empty()) {
            let separator = self.conf.get("COMPOSE_PATH_SEPARATOR").unwrap_or(":");
            return files.split(separator).map(|name| self.compose_file(Path::new(name))).collect();
        }
        let overrides = mailcow::OVERRIDE_FILES.iter().find(|name| self.path(name).is_file());
        let names = std::iter::once(mailcow::COMPOSE_FILE).chain(overrides.copied());
        names.map(|name| self.compose_file(Path::new(name))).collect()
    }

    fn compose_file(&self, name: &Path) -> PathBuf {
        let path = self.root.join(name);
        let real = path.parent().and_then(|parent| parent.canonicalize().ok());
        let inside = real.as_ref().and_then(|real| real.strip_prefix(&self.root).ok());
        let relative = inside.zip(path.file_name()).map(|(folder, name)| folder.join(name));
        let is_link =
            |path: &PathBuf| matches!(self.dir.metadata(path), Ok(Some(it)) if it.is_symlink());
        relative.filter(|path| !is_link(path)).unwrap_or(path)
    }
}

/// The file that holds the site's settings: `mailcow.conf`, or the target of the link that it is.
/// It is the only file of the site that is read through a link.
pub struct ConfFile {
    path: PathBuf,
    dir: Dir,
    name: OsString,
    through_link: bool,
}

impl ConfFile {
    fn find(root: &Path, dir: &Dir) -> Result<Self> {
        let path = root.join(mailcow::CONF);
        let linked = match dir.metadata(Path::new(mailcow::CONF)) {
            Ok(None) => return Err(missing_conf(&path)),
            found => found.map_err(|cause| unreadable(&path).because(cause))?,
        }
        .is_some_and(|found| found.is_symlink());
        let real = if linked {
            path.canonicalize().map_err(|cause| match cause.kind() {
                ErrorKind::NotFound => missing_conf(&path),
                _ => unreadable(&path).because(cause),
            })?
        } else {
            path
        };
        let (Some(folder), Some(name)) = (real.parent(), real.file_name()) else {
            return Err(unreadable(&real));
        };
        let dir = Dir::open(folder).map_err(|cause| unreadable(&real).because(cause))?;
        Ok(Self { dir, name: name.to_owned(), path: real, through_link: linked })
    }

    /// Reads it. A link counts only if its target belongs to root or the caller: anybody else could
    /// have root read a file that they may not read themselves.
    pub fn read(&self) -> Result<Vec<u8>> {
        let (file, found) = self
            .dir
            .file(Path::new(&self.name))
            .map_err(|cause| unreadable(&self.path).because(cause))?;
        let user = rustix::process::geteuid();
        if self.through_link && found.uid() != 0 && found.uid() != user.as_raw() {
            let path = self.path.display();
            return Err(refused(format!("{} is a link to a file of another user", mailcow::CONF))
                .because(format!("{path} belongs to user {}", found.uid()))
                .hint(format!("If you trust it, run `chown {user} {path}`.")));
        }
        dir::read_at_most(file, MOST_OF_A_TEXT)
            .map_err(|cause| unreadable(&self.path).because(cause))
    }

    /// Returns its permission bits.
    pub fn bits(&self) -> Result<u32> {
        Ok(self.attributes()?.bits)
    }

    /// Replaces it, atomically and durably. Its owner stays.
    pub fn write(&self, content: &[u8], bits: u32) -> Result<()> {
        let like = Attributes { bits, modified: None, ..self.attributes()? };
        let written = self.dir.write(Path::new(&self.name), content, like);
        written.what_with(|| format!("could not write {}", self.path.display()))
    }

    fn attributes(&self) -> Result<Attributes> {
        let doing = || format!("could not look at {}", self.path.display());
        Ok(Attributes::of(&self.dir.file(Path::new(&self.name)).what_with(doing)?.1))
    }
}

fn missing_conf(path: &Path) -> Error {
    refused(format!("{} is missing", path.display()))
        .hint("Create it with ./generate_config.sh, or restore it from a backup.")
}

fn unreadable(path: &Path) -> Error {
    refused(format!("could not read {}", path.display())).hint("Run cowhand as root.")
}

/// Reads `cowhand.toml` and reports how other users can change it or its directory.
fn read_config(root: &Path, dir: &Dir) -> Result<(Config, Vec<Exposure>)> {
    let path = root.join(CONFIG_FILE);
    let unreadable = |error: std::io::Error| {
        Error::new(format!("could not read {}", path.display())).because(error).exit(Exit::Usage)
    };
    let file = match dir.file(Path::new(CONFIG_FILE)) {
        Err(missing) if missing.kind() == ErrorKind::NotFound => return Ok(Default::default()),
        opened => opened.map_err(unreadable)?.0,
    };
    let exposures = [exposures(&file, &path), exposures(dir, root)].concat();
    let text = dir::read_at_most(file, MOST_OF_A_TEXT).map_err(unreadable)?;
    Ok((Config::parse(&String::from_utf8_lossy(&text), CONFIG_FILE)?, exposures))
}

fn refused(what: String) -> Error {
    Error::new(what).exit(Exit::Refused)
}
