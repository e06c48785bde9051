//! One mailcow installation on disk: where its files are, and what Cowhand keeps about it. Reading files happens here;
//! what they mean is said in [`mailcow`] and [`crate::config`].

pub mod journal;
pub mod keep;
pub mod lock;
pub mod mailcow;
pub mod settings;
pub mod store;

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::error::{Context, Error, Result};
use crate::exit::Exit;
use mailcow::Conf;

/// The name of the configuration file in the site's folder.
pub const CONFIG_FILE: &str = "cowhand.toml";

/// A site's folder, its `mailcow.conf` and its `cowhand.toml`.
#[derive(Clone, Debug)]
pub struct Site {
    root: PathBuf,
    conf: Conf,
    config: Config,
}

impl Site {
    /// Opens the site in `folder`: it must exist, hold a compose file and a readable `mailcow.conf`.
    pub fn open(folder: &Path) -> Result<Self> {
        let root = folder.canonicalize().map_err(|cause| {
            refused(format!("there is no folder {}", folder.display()))
                .because(cause)
                .hint("Name the site's folder with --site DIR.")
        })?;
        if !root.join(mailcow::COMPOSE_FILE).is_file() {
            return Err(refused(format!(
                "{} is not a mailcow site: it has no {}",
                root.display(),
                mailcow::COMPOSE_FILE
            ))
            .hint(
                "Run cowhand in the folder that holds mailcow.conf and docker-compose.yml, or name it with --site DIR.",
            ));
        }
        let conf = Conf::parse(&read_conf(&root)?);
        let config = read_config(&root)?;
        Ok(Self { root, conf, config })
    }

    /// The site's folder, absolute and without links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path below the site's folder.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// The options of `mailcow.conf`.
    pub fn conf(&self) -> &Conf {
        &self.conf
    }

    /// What `cowhand.toml` says.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The compose files of the site as compose itself would find them, relative to the site's folder: what
    /// `COMPOSE_FILE` names, else the usual two.
    pub fn compose_files(&self) -> Vec<PathBuf> {
        if let Some(files) = self.conf.get("COMPOSE_FILE").filter(|files| !files.is_empty()) {
            let separator = self.conf.get("COMPOSE_PATH_SEPARATOR").unwrap_or(":");
            return files.split(separator).map(PathBuf::from).collect();
        }
        let overrides = mailcow::OVERRIDE_FILES.iter().find(|name| self.path(name).is_file());
        std::iter::once(mailcow::COMPOSE_FILE).chain(overrides.copied()).map(PathBuf::from).collect()
    }
}

fn read_conf(root: &Path) -> Result<String> {
    let path = root.join(mailcow::CONF);
    let bytes = fs::read(&path).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::NotFound => refused(format!("{} is missing", path.display()))
            .hint("A new site makes it with ./generate_config.sh; a lost one comes back from a backup."),
        _ => refused(format!("could not read {}", path.display())).because(cause).hint("Run cowhand as root."),
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn read_config(root: &Path) -> Result<Config> {
    let path = root.join(CONFIG_FILE);
    match fs::read_to_string(&path) {
        Ok(text) => Config::parse(&text, CONFIG_FILE),
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => Ok(Config::default()),
        Err(error) => {
            Err(error).what_with(|| format!("could not read {}", path.display())).map_err(|e| e.exit(Exit::Usage))
        }
    }
}

fn refused(what: String) -> Error {
    Error::new(what).exit(Exit::Refused)
}
